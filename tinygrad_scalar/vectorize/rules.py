"""The reverse rules of element-wise operations: (write, d, result, *operands) -> the contribution to each, or None.

They are made of the same statements, so the backward pass is an array program too. Where an operation's derivative is
not itself an operation of ops.py, it is a `Slope`, as accurate as in ops.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tinygrad_scalar.engine.ops import Operation, operation
from tinygrad_scalar.primitives.recipe import Recipe
from tinygrad_scalar.vectorize.everyday_operations import RULES as EVERYDAY
from tinygrad_scalar.vectorize.made_of import recipe_or_why
from tinygrad_scalar.vectorize.program import Array, Slope
from tinygrad_scalar.vectorize.recorded_operations import RULES as RECORDED, constant, times_slopes

Write = Callable[..., Array]
Rule = Callable[..., Sequence[Array | None]]


def _times(op: str) -> Rule:
    """d·f(x), for a slope that is itself an operation f of ops.py."""
    return lambda write, d, v, x: (write("*", d, write(op, x)),)


def _constant_power_rule(row: Operation) -> Rule:
    if row.constant == 0.0:
        return lambda write, d, v, x: (None,)
    if row.constant == 2.0:
        return lambda write, d, v, x: (write("*", d, write("*", constant(2.0), x)),)
    return times_slopes(row.name, (0, 1))


# Rules that are shorter or read less than d·∂v/∂x from all of (v, *operands), which any other operation gets.
EVEN = ("+", "-", "neg")  # never infinitely steep
RULES: dict[str, Rule] = {
    "+": lambda write, d, v, x, y: (d, d),
    "-": lambda write, d, v, x, y: (d, write("neg", d)),
    "minus fixed": lambda write, d, v, x, y: (d, None),
    "*": lambda write, d, v, x, y: (
        (write("*", constant(2.0), write("*", d, x)), None) if x is y else (write("*", d, y), write("*", d, x))
    ),
    "/": lambda write, d, v, x, y: (
        write("*", d, write("**-1", y)),
        write("neg", write("*", d, write("/", v, y))),
    ),
    "**": times_slopes("**", (0, 1, 2), (0, 1, 2)),
    "neg": lambda write, d, v, x: (write("neg", d),),
    "abs": times_slopes("abs", (1,)),
    "exp": lambda write, d, v, x: (write("*", d, v),),
    "expm1": _times("exp"),
    "log": lambda write, d, v, x: (write("*", d, write("**-1", x)),),
    "log1p": lambda write, d, v, x: (write("*", d, write("**-1", write("+", constant(1.0), x))),),
    "sqrt": lambda write, d, v, x: (write("*", d, write("/", constant(0.5), v)),),
    "sin": _times("cos"),
    "cos": lambda write, d, v, x: (write("neg", write("*", d, write("sin", x))),),
    "tan": lambda write, d, v, x: (write("*", d, write("+", constant(1.0), write("*", v, v))),),
    "asin": times_slopes("asin", (1,)),
    "acos": times_slopes("acos", (1,)),
    "atan": times_slopes("atan", (1,)),
    "sinh": _times("cosh"),
    "cosh": _times("sinh"),
    "tanh": times_slopes("tanh", (0, 1)),
    "asinh": times_slopes("asinh", (1,)),
    "acosh": times_slopes("acosh", (1,)),
    "atanh": times_slopes("atanh", (1,)),
    "sigmoid": times_slopes("sigmoid", (0, 1)),
    "relu": times_slopes("relu", (1,)),
    "softplus": _times("sigmoid"),
    "erf": times_slopes("erf", (1,)),
    "maximum": times_slopes("maximum", (1, 2), (1, 2)),
    "minimum": times_slopes("minimum", (1, 2), (1, 2)),
    "logaddexp": times_slopes("logaddexp", (1, 2), (1, 2)),
    "binary cross-entropy": times_slopes("binary cross-entropy", (1, 2, 3), (1, 2, 3), (1, 2)),
    "1 at infinity": lambda write, d, v, x, y: (d, None),
    "greater": lambda write, d, v, x, y: (None, None),
    "greater_equal": lambda write, d, v, x, y: (None, None),
    "where": lambda write, d, v, c, x, y: (
        None,
        write("where", c, d, constant(0.0)),
        write("where", c, constant(0.0), d),
    ),
    **RECORDED,
    **EVERYDAY,
}
FAMILIES: dict[str, Callable[[Operation], Rule]] = {
    "**n": _constant_power_rule,
    "leaky_relu": lambda row: times_slopes(row.name, (1,)),
}


def _rule_of_primitive(row: Operation) -> Rule:
    """A slope that has a recipe reads operands alone; one that is always the same number is that number."""
    times = "* on path" if row.piecewise else "*"

    def contribution(write: Write, d: Array, numbers: Sequence[Array], i: int) -> Array | None:
        if i in row.detached:
            return None
        recipe = recipe_or_why((row.name, i))
        if not isinstance(recipe, str) and (slope := recipe.constant) is not None:
            if d.values is not None and slope != 1.0:
                return Array(d.shape, d.batched, values=slope * d.values)
            return d if slope == 1.0 else write(times, constant(slope), d)
        reads = range(isinstance(recipe, Recipe), row.arity + 1)
        return write(times, d, write(Slope(row.name, i, tuple(reads)), *(numbers[k] for k in reads)))

    return lambda write, d, *numbers: [contribution(write, d, numbers, i) for i in range(row.arity)]


def rule_of(op: str) -> Rule:
    """The reverse rule of an element-wise operation; without one here, from the slopes in its row of ops.py."""
    if op in RULES:
        return RULES[op]
    row = operation(op)
    if row.primitive is not None:
        return _rule_of_primitive(row)
    if row.family in FAMILIES:
        return FAMILIES[row.family](row)
    return times_slopes(op, *[tuple(range(row.arity + 1))] * row.arity)
