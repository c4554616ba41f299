"""Every kind of result that a vectorized function may return, and the errors for options that do not exist."""

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value

w = Value(0.5, "w")


@pytest.mark.parametrize(
    ("returned", "error", "words"),
    [
        (3.0, TypeError, "must return one Value, the cost of an example, or a list of Values, got 3.0"),
        ({"a": w}, TypeError, "or a list of Values, got a dict"),
        (None, TypeError, "got None"),
        ([], ValueError, r"got an empty one, \[\]"),
        ([[w], []], ValueError, r"expected a list of 1 at \[1\], got a list of 0"),
        ([[w, w], w], ValueError, r"expected a list of 2 at \[1\]"),
        ([w, [w]], TypeError, r"expected one Value at \[1\]"),
        ([w, "x"], TypeError, r"expected a Value or a number at \[1\], got 'x'"),
    ],
)
def test_what_a_function_cannot_return(returned, error, words):
    with pytest.raises(error, match=words):
        ts.vectorize(lambda x: returned, [w])([1.0])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reduce": "max"}, 'reduce must be "mean", "sum" or None, .* got \'max\''),
        ({"reduce": 3}, "reduce must be .* got 3"),
        ({"reduce": []}, "reduce must be"),
        ({"jacobian": "csr"}, 'jacobian must be "dense" or "sparse", got \'csr\''),
        ({"jacobian": None}, "jacobian must be"),
    ],
)
def test_options_that_do_not_exist_are_errors(options, words):
    with pytest.raises(ValueError, match=words):
        ts.vectorize(lambda x: w * x, [w], **options)


@pytest.mark.parametrize("option", ["check", "wrt_inputs"])
@pytest.mark.parametrize("given", ["no", [0], 1, None])
def test_a_switch_is_true_or_false(option, given):
    with pytest.raises(TypeError, match=f"{option} must be True or False, got"):
        ts.vectorize(lambda x: w * x, [w], **{option: given})


@pytest.mark.parametrize("dtype", ["float32", np.float32, np.dtype("float32")])
def test_a_dtype_may_be_a_name_or_numpys(dtype):
    assert ts.vectorize(lambda x: w * x, [w], dtype=dtype).parameters.dtype == np.float32


@pytest.mark.parametrize("reduce", ["sum", None])
def test_what_a_function_without_parameters_reads_counts_when_it_changes(reduce):
    w, c = Value(2.0), 3.0
    X = np.array([1.0, 2.0])
    run = ts.vectorize(lambda x: w * x * c, [], wrt_inputs=True, reduce=reduce)
    assert run(X)[2][0].tolist() == [6.0, 6.0]
    w.data = 5.0
    assert run(X)[2][0].tolist() == [15.0, 15.0]
    c = 7.0
    assert run(X)[2][0].tolist() == [35.0, 35.0]
