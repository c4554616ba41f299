"""Arithmetic and comparisons refuse all but plain numbers with a clear message, on either side of the operator."""

import decimal
import inspect
import operator

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value

OPERATORS = [
    *(operator.add, operator.sub, operator.mul, operator.truediv, operator.pow),
    *(operator.lt, operator.le, operator.gt, operator.ge),
]
MASKED = {
    "the constant": np.ma.masked,
    "a hidden number": np.ma.array(-9999.0, mask=True),
    "an array": np.ma.array([1.0, -9999.0], mask=[False, True]),
    "an array that hides nothing": np.ma.array([1.0, 2.0]),
    "a number that is not hidden": np.ma.array(1.0),
    "integers": np.ma.array([1, 2], mask=[False, True]),
}


class Failing:
    def __float__(self):
        raise RuntimeError("no number")


FOREIGN = {
    "None": None,
    "an object that fails to be a float": Failing(),
    "a decimal": decimal.Decimal("nan"),
    "a complex number": 1j,
    "a date": np.datetime64("2020-01-01"),
    "no date": np.datetime64("NaT"),
    "a duration": np.timedelta64(3, "s"),
    "a text": "1",
    "bytes": b"1",
    "an array of dates": np.array(["2020-01-01"], "datetime64[D]"),
}


class OddFloat(Failing, float):
    pass


class OddInt(Failing, int):
    pass


class OddScalar(Failing, np.float32):
    pass


def both_orders(apply, thing):
    v = Value(3.0, "v")
    yield lambda: apply(v, thing)
    yield lambda: apply(thing, v)


@pytest.mark.parametrize("apply", [*OPERATORS, operator.eq, np.add, np.multiply, np.maximum, np.ma.add])
@pytest.mark.parametrize("name", MASKED)
def test_a_value_and_a_masked_number_are_refused_in_words(name, apply):
    for compute in both_orders(apply, MASKED[name]):
        with pytest.raises(ValueError, match=r"v was used with a masked number.*fill what is masked.*or drop it"):
            compute()


def test_a_value_has_no_mask_for_anybody_else():
    v = Value(3.0)
    assert not hasattr(v, "_mask")
    assert dict(inspect.getmembers(v))["data"] == 3.0
    elements = np.ma.array([v, v], mask=[False, True])
    assert elements.compressed().tolist() == [v]
    assert (np.array([1.0, 2.0]) * v)[1].data == 6.0


@pytest.mark.parametrize("apply", OPERATORS)
@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_number_is_a_type_error(name, apply):
    for compute in both_orders(apply, FOREIGN[name]):
        with pytest.raises(TypeError):
            compute()


@pytest.mark.parametrize("apply", [*OPERATORS, ts.maximum])
@pytest.mark.parametrize("odd", [OddFloat(2.0), OddInt(2), OddScalar(2.0)], ids=["float", "int", "NumPy scalar"])
def test_a_number_without_a_float_is_a_type_error_that_says_why(odd, apply):
    for compute in both_orders(apply, odd):
        with pytest.raises(TypeError, match=r"its __float__ raised RuntimeError"):
            compute()
