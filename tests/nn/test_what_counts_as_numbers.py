"""Array-likes at every door: `fit`, `vectorize` and a network take real numbers, and refuse everything else alike."""

import collections
import decimal
import re
import warnings
from fractions import Fraction

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import MLP, Value

ROWS = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
HIDDEN = np.ma.array([[1.0, 2.0], [3.0, -9999.0], [5.0, 6.0]], mask=[[0, 0], [0, 1], [0, 0]])


class Sparse:
    """As in SciPy: NumPy makes it an object."""

    shape = (3, 2)

    def toarray(self):
        return np.array(ROWS)


MASKED = {
    "masked array": HIDDEN,
    "list of masked rows": list(HIDDEN),
    "tuple of masked rows": tuple(HIDDEN),
    "deque of masked rows": collections.deque(HIDDEN),
    "a masked constant": [[1.0, 2.0], [3.0, np.ma.masked], [5.0, 6.0]],
    "a masked scalar array": [[1.0, 2.0], [3.0, np.ma.array(-9999.0, mask=True)], [5.0, 6.0]],
    "masked vector": np.ma.array([1.0, -9999.0, 3.0], mask=[0, 1, 0]),
}
NO_NUMBERS = {
    "complex": np.array(ROWS) + 0j,
    "a complex cell": [[1.0, 2.0], [3.0, 4j], [5.0, 6.0]],
    "text": [["1", "2"]] * 3,
    "bytes": b"123",
    "dates": np.array([["2020-01-01"]] * 3, "datetime64[D]"),
    "durations": np.array(ROWS).astype("timedelta64[s]"),
    "objects": np.array([[1, None], [3, 4], [5, 6]], object),
    "None": [[1.0, 2.0], [3.0, None], [5.0, 6.0]],
    "decimals": [[decimal.Decimal(1)]] * 3,
    "fractions": [[Fraction(1, 2)]] * 3,
    "structured": np.array([(1.0, 2.0)] * 3, [("a", float), ("b", float)]),
    "sparse": Sparse(),
    "set": {1.0, 2.0, 3.0},
    "frozenset": frozenset([1.0, 2.0, 3.0]),
    "list of sets": [{1.0, 2.0}, {3.0, 4.0}, {5.0, 6.0}],
    "dict": {0: 1.0, 1: 2.0, 2: 3.0},
    "keys": {1.0: 0, 2.0: 0, 3.0: 0}.keys(),
    "generator": (row for row in ROWS),
}
WRONG_NUMBERS = {
    "ragged": [[1.0, 2.0], [3.0], [5.0, 6.0]],
    "beyond int64": np.array([[2**64 - 1, 1]] * 3, np.uint64),
    "empty": [],
    "empty rows": [[], [], []],
    "no axis": np.array(1.5),
}
if np.finfo(np.longdouble).max > np.finfo(float).max:
    WRONG_NUMBERS["beyond float64"] = np.array(ROWS, np.longdouble) * np.longdouble("1e4000")
NUMBERS = {
    "nothing masked": np.ma.array(ROWS, mask=False),
    "memoryview": memoryview(np.array(ROWS)),
    "float16": np.array(ROWS, np.float16),
    "float32": np.array(ROWS, np.float32),
    "longdouble": np.array(ROWS, np.longdouble),
    "big endian": np.array(ROWS, ">f8"),
    "int8": np.array(ROWS, np.int8),
    "backwards": np.array(ROWS)[::-1][::-1],
    "deque": collections.deque(ROWS),
    "list of arrays": [np.array(row) for row in ROWS],
}


def _as_x(examples, vectorized=True):
    net = MLP(2, [1], seed=0)
    ts.fit(net, examples, [0.0, 1.0, 0.0], epochs=1, progress=False, vectorized=vectorized)
    return net.parameters()[0].data


def _as_y(examples):
    ts.fit(MLP(1, [2], seed=0), [0.0, 1.0, 2.0], examples, epochs=1, progress=False)


def _as_validation(examples):
    y = [0.0, 1.0, 0.0]
    ts.fit(MLP(2, [1], seed=0), ROWS, y, validation=(examples, y), epochs=1, progress=False)


def _vectorized(examples):
    w = Value(0.5)
    return ts.vectorize(lambda x: w * (x[0] + x[1] if isinstance(x, list) else x), [w])(examples)[0]


DOORS = {
    "fit": _as_x,
    "fit scalar by scalar": lambda examples: _as_x(examples, False),
    "fit's targets": _as_y,
    "fit's validation": _as_validation,
    "vectorize": _vectorized,
}
TABLE = [
    *[(name, given, TypeError, "masked elements") for name, given in MASKED.items()],
    *[(name, given, TypeError, "must hold numbers") for name, given in NO_NUMBERS.items()],
    *[(name, given, ValueError, "X|Y|argument 0") for name, given in WRONG_NUMBERS.items()],
    (
        "beyond any float",
        [[1, 2], [3, 10**400]],
        ValueError,
        "has a number beyond the largest float64, about 1.8e308: 1",
    ),
    ("beyond what is printed", [[1, 2], [3, -(10**5000)]], ValueError, "beyond the largest float64.* of 16610 bits"),
    ("integers beyond int64", [[1, 2], [3, 2**70]], ValueError, "integers beyond 9223372036854775807.*astype.float"),
]


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize(("given", "error", "message"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_is_no_array_of_real_numbers_is_refused_alike_at_every_door(door, given, error, message):
    with warnings.catch_warnings(), pytest.raises(error, match=message):
        warnings.simplefilter("error")
        door(given)


@pytest.mark.parametrize("door", [_as_x, DOORS["fit scalar by scalar"], _vectorized])
@pytest.mark.parametrize("given", NUMBERS.values(), ids=NUMBERS)
def test_any_array_like_of_real_numbers_counts_as_its_numbers(door, given):
    assert door(given) == door(ROWS)


VALUES = [[Value(x) for x in row] for row in ROWS]
FRACTIONS = [[Fraction(x) for x in row] for row in ROWS]


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize(
    ("given", "advice", "followed"),
    [
        ([[Value(x) for x in row] for row in ROWS], "take the number of each Value, its .data", ROWS),
        (np.array([[Value(x) for x in row] for row in ROWS]), "take the number of each Value, its .data", ROWS),
        (
            [[decimal.Decimal(1)] * 2] * 3,
            "for example with np.array(…, float)",
            np.array([[decimal.Decimal(1)] * 2] * 3, float),
        ),
        (
            np.array([[Fraction(1)] * 2] * 3),
            "for example with .astype(float)",
            np.array([[Fraction(1)] * 2] * 3).astype(float),
        ),
    ],
    ids=["Values", "an array of Values", "a list", "an array"],
)
def test_what_the_error_advises_can_be_done_and_helps(door, given, advice, followed):
    with pytest.raises(TypeError, match=f"{re.escape(advice)}$"):
        door(given)
    door(followed)


ROW_OF = {
    "masked": HIDDEN[1],
    "a masked constant": [3.0, np.ma.masked],
    "set": {3.0, 4.0},
    "dict": {0: 3.0, 1: 4.0},
    "keys": {3.0: 0, 4.0: 0}.keys(),
    "bytes": b"12",
    "text": ["1", "2"],
    "complex": [1.0, 2j],
    "None": [1.0, None],
    "decimals": [decimal.Decimal(1)] * 2,
}


@pytest.mark.parametrize("row", ROW_OF.values(), ids=ROW_OF)
def test_an_example_or_targets_of_anything_but_numbers_are_refused(row):
    with pytest.raises(TypeError, match=r"must be an int, a float or a NumPy scalar|list of numbers or Values"):
        MLP(2, [1], seed=0)(row)
    for loss in (ts.squared_error, ts.absolute_error, ts.binary_cross_entropy, ts.hinge):
        with pytest.raises(TypeError, match=r"must be an int, a float or a NumPy scalar|list of numbers or Values"):
            loss([Value(0.5), Value(0.25)], row)


def test_parameters_cannot_be_set_to_what_a_mask_hides():
    w = Value(1.0)
    run = ts.vectorize(lambda x: w * x, [w])
    with pytest.raises(TypeError, match="masked elements"):
        run.parameters = np.ma.array([-9999.0], mask=[True])
    assert run.parameters.tolist() == [1.0]
