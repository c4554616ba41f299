"""NumPy with Values: each ufunc and function has the right gradient, gives plain numbers, or raises an error.

Never a wrong number, never one that has silently lost its gradient. docs/numpy.md says which does what.
"""

import numpy as np
import pytest
from support import numpy_table
from support.numpy_calls import INSTEAD, REMARKS, calls
from support.numpy_table import PAGE, VERSION, outcome, remark, ufunc_calls, ufuncs

import tinygrad_scalar as ts
from tinygrad_scalar import Value

CALLS = [call for section in calls().values() for call in section]
UFUNC_CALLS = [call for name in ufuncs() for call in ufunc_calls(name).values()]
THIS_VERSION = pytest.mark.skipif(f"NumPy {VERSION} " not in PAGE.read_text("utf-8"), reason="made with another NumPy")


@pytest.mark.parametrize("name", ufuncs())
def test_a_ufunc_has_its_gradient_or_says_that_it_has_none(name):
    for call in ufunc_calls(name).values():
        assert outcome(call).kind != "wrong", outcome(call).text


@pytest.mark.parametrize("call", CALLS)
def test_a_function_has_its_gradient_or_says_that_it_has_none(call):
    assert outcome(call).kind != "wrong", outcome(call).text


@THIS_VERSION
def test_the_page_says_what_every_ufunc_and_function_does():
    assert PAGE.read_text("utf-8") == numpy_table.page(), "run python tests/support/numpy_table.py"


@THIS_VERSION
def test_the_page_says_what_to_write_instead_of_what_is_refused():
    refused = [ufunc_calls(name)["arrays"] for name in ufuncs()] + CALLS
    refused = {call for call in refused if outcome(call).kind in ("error", "other")}
    assert [call for call in refused if not (call in INSTEAD or remark(call))] == []
    first_float = {call for name in ufuncs() for form, call in ufunc_calls(name).items() if form.endswith("first")}
    refused |= {call for call in first_float if outcome(call).kind == "error"} | {"np.linalg"}
    assert {*INSTEAD, *REMARKS} <= refused


@THIS_VERSION
@pytest.mark.parametrize("call", INSTEAD)
def test_what_is_written_instead_gives_the_same_numbers_and_has_the_gradient(call):
    assert outcome(call, INSTEAD[call]).kind in ("gradient", "plain"), outcome(call, INSTEAD[call]).text


# --- what differs from arrays of floats, as the page says ------------------------------------------------------------


def _values(*numbers):
    return np.array([Value(number) for number in numbers])


@pytest.mark.parametrize("choose", [np.maximum, np.minimum, np.fmax, np.fmin])
def test_in_a_tie_numpy_gives_the_first_all_of_the_gradient_and_this_package_a_half_to_each(choose):
    x, y = _values(1.0, 2.0), _values(1.0, 2.0)
    assert list(choose(x, y)) == list(x)
    v, w = Value(1.0), Value(1.0)
    ts.maximum(v, w).backward()
    assert (v.grad, w.grad) == (0.5, 0.5)


def test_numpy_does_not_look_for_nan_among_values():
    nan = float("nan")
    with np.errstate(invalid="ignore"):
        assert np.maximum(_values(nan), 1.0)[0] == 1.0
    assert np.isnan(ts.maximum(Value(nan), 1.0).data)
    assert np.isnan(np.nansum(_values(nan, 1.0)).data)
    assert np.isnan(np.nan_to_num(_values(nan))[0].data)


def test_equality_in_numpy_is_identity():
    x = _values(1.0, 2.0)
    assert np.array_equal(x, x)
    assert not np.array_equal(x, _values(1.0, 2.0))
    assert len(np.unique(_values(1.0, 1.0))) == 2


@pytest.mark.parametrize("number", [0.0, float("nan")])
def test_the_sign_of_zero_and_nan_is_an_error_of_numpy(number):
    with pytest.raises(TypeError, match="unorderable"):
        np.sign(_values(number))


def test_a_ufunc_of_the_package_on_arrays_broadcasts_and_has_its_gradient():
    x, y = _values(0.5, 1.0), _values(2.0, 3.0, 4.0)
    z = np.vectorize(ts.logaddexp)(x[:, None], y)
    assert z.shape == (2, 3)
    z.sum().backward()
    numbers = np.array([[0.5], [1.0]]), np.array([2.0, 3.0, 4.0])
    shares = 1.0 / (1.0 + np.exp(numbers[1] - numbers[0]))
    assert [v.grad for v in x] == pytest.approx(shares.sum(axis=1), rel=1e-14)
    assert [v.grad for v in y] == pytest.approx((1.0 - shares).sum(axis=0), rel=1e-14)


@pytest.mark.parametrize("function", [ts.exp, ts.logaddexp, ts.atan2, ts.where])
def test_a_function_of_the_package_says_how_it_is_applied_to_an_array(function):
    operands = (_values(0.5),) * {ts.exp: 1, ts.where: 3}.get(function, 2)
    with pytest.raises(TypeError, match=rf"; on arrays, element by element: np\.vectorize\(ts\.{function.__name__}\)$"):
        function(*operands)
    assert np.vectorize(function)(*operands)[0].data == function(*(array[0] for array in operands)).data


def test_real_numbers_are_their_own_conjugates():
    v = Value(0.5)
    assert v.conjugate() is v
    assert np.conjugate(_values(0.5))[0].op == ""


@pytest.mark.parametrize("apply", [np.rint, np.trunc, np.round, lambda v: v % 2.0, lambda v: 2.0 // v])
@pytest.mark.parametrize("make", [lambda v: v, lambda v: np.array([v])], ids=["single", "array"])
def test_rounding_is_refused_in_words(apply, make):
    with pytest.raises(TypeError, match=r"^angle has no (rint|trunc|%|//): use "):
        apply(make(Value(0.5, "angle")))
