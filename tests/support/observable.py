"""The observable state of a Value, for tests that compare the compiled one with the plain one."""

import math
import operator
import sys

import numpy as np
from programs import UNARY

from tinygrad_scalar.engine.ops import OPERATIONS

METHODS = [name for name in UNARY if name != "abs"]
OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge]
ARITY = {name: row.arity for name, row in OPERATIONS.items()}
EXPONENTS = [0, 1, 2, 3, -1, -2, 17, -17, 0.5, -0.5, 1 / 3, 2.5, 1e-5, -1e300, 1e16, 2**53 + 1, math.inf, math.nan]
SLOPES = [0.01, 0.2, 1, 0, -0.0, -1.5, 1e-300, math.inf, math.nan]


def seen(thing):
    """The thing in a form that implementations can be compared by; a Value as its whole graph."""
    if isinstance(thing, float):
        return float.hex(thing)
    if isinstance(thing, (list, tuple, np.ndarray)):
        return [seen(part) for part in thing]
    return graph(thing) if isinstance(thing, sys.modules["tinygrad_scalar"].Value) else thing


def node(value):
    return value.op, value.label, seen(value.data), seen(value.grad), seen(value.local_grads), type(value).__name__


def graph(root):
    order = sys.modules["tinygrad_scalar"].topological_order(root)
    place = {value: i for i, value in enumerate(order)}
    return [(*node(value), [place[operand] for operand in value.operands]) for value in order]


def outcome(function, *arguments):
    """What a call returns, or the error that it raises, in that form."""
    try:
        return seen(function(*arguments))
    except Exception as error:  # Python's own words name a class in C with its module
        return type(error).__name__, str(error).replace("tinygrad_scalar.Value", "Value")


def outcomes(calls):
    """A function for `of_both`: the outcome of each of many calls."""
    return lambda ts: [outcome(call, ts) for call in calls]


def of_both(selected, function, *arguments):
    """The outcomes of a function of the package and `arguments`."""
    both = []
    for name in ("compiled", "plain"):
        with selected(name) as package:
            both.append(outcome(function, package, *arguments))
    return both
