"""The operations of an exported program: what each computes in terms of JAX or PyTorch, and its derivative there.

The derivative is the one recorded by the row's `vjps`, in the operations of this table again, so that kinks, masked
slopes and digits are the engine's at any order. Where the library's own derivative is the same, it is left to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.activations import SCALE, SCALE_ALPHA, SQRT_HALF
from tinygrad_scalar.engine.graph import topological_order
from tinygrad_scalar.engine.ops import Operation, operation
from tinygrad_scalar.inspection.from_sympy import from_sympy
from tinygrad_scalar.inspection.symbolic import parsed
from tinygrad_scalar.screen import quoted

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.exported_library import Library

# What (library, *operands) computes, by the name of an operation or its family; f is the library's namespace, whose
# names are NumPy's. With a constant, that comes last.
Forward = Callable[..., Any]


def _of_numpy(name: str) -> Forward:
    return lambda lib, *operands: getattr(lib.f, name)(*operands)


def _number(lib: Library, holds: Any, like: Any) -> Any:
    return lib.f.where(holds, lib.f.ones_like(like), lib.f.zeros_like(like))


def _sigmoid(lib: Library, x: Any) -> Any:
    e = lib.f.exp(-abs(x))
    return lib.f.where(x >= 0.0, 1.0 / (1.0 + e), e / (1.0 + e))


def _sigmoid_slope(lib: Library, x: Any) -> Any:
    e = lib.f.exp(-abs(x))
    return e / ((1.0 + e) * (1.0 + e))


def _softplus(lib: Library, x: Any) -> Any:
    return lib.f.where(x <= 0.0, 0.0, x) + lib.f.log1p(lib.f.exp(-abs(x)))


def _logaddexp(lib: Library, x: Any, y: Any) -> Any:
    larger = lib.f.where((x >= y) | (x != x), x, y)
    apart = lib.f.where(x == y, 0.0, x - y)  # equal infinities have no difference
    return larger + lib.f.log1p(lib.f.exp(-abs(apart)))


def _logaddexp_share(lib: Library, x: Any, y: Any) -> Any:
    both_infinite = (x == y) & lib.f.isinf(x)
    share = _sigmoid(lib, lib.f.where(both_infinite, 0.0, x - y))
    return lib.f.where(both_infinite, _number(lib, x > 0.0, x), share)


def _binary_entropy(lib: Library, a: Any, z: Any, y: Any) -> Any:
    """−y·log(a) − (1 − y)·log(1 − a) for a = σ(z), which a always is in an array program."""
    wrong = lib.f.where(z > 0.0, 1.0 - y, y)
    return lib.f.log1p(lib.f.exp(-abs(z))) + lib.f.where(wrong == 0.0, 0.0, abs(z) * wrong)


def _minus_fixed(lib: Library, x: Any, largest: Any) -> Any:
    equal = lib.f.isinf(x) & (x == largest)
    return lib.f.where(equal, lib.f.where(x > 0.0, 0.0, x), x - lib.f.where(equal, 0.0, largest))


def _cbrt(lib: Library, x: Any) -> Any:
    """A power and a step of Newton's method, as in the engine; PyTorch has no cube root."""
    ordinary = (x != 0.0) & (abs(x) < math.inf)
    size = lib.f.where(ordinary, abs(x), 1.0)
    root = size ** (1.0 / 3.0)
    root = root - (root - size / (root * root)) / 3.0
    return lib.f.where(ordinary, lib.f.where(x < 0.0, -root, root), x)


def _xlogy(lib: Library, x: Any, y: Any) -> Any:
    nothing = (x == 0.0) & (y == y)
    return lib.f.where(nothing, 0.0, x * lib.f.log(lib.f.where(nothing, 1.0, y)))


def _cosine(lib: Library, x: Any, y: Any) -> Any:
    at_origin, finite = (x == 0.0) & (y == 0.0), lib.f.isfinite(x) & lib.f.isfinite(y)
    quotient = lib.f.where(finite, x, math.nan) / lib.f.where(at_origin, 1.0, lib.f.hypot(x, y))
    return lib.f.where(at_origin, 0.5, quotient)


def _atan2_slope(lib: Library, x: Any, y: Any) -> Any:
    size = lib.f.hypot(x, y)
    return x / size / size


def _normal_cdf(lib: Library, x: Any) -> Any:
    return 0.5 * lib.erfc(-SQRT_HALF * x)  # its digits last into the tail, where 1 + erf has none


def _elu(right: float, left: float) -> Forward:
    """right·x above 0, left·(exp(x) − 1) below."""
    return lambda lib, x: lib.f.where(x > 0.0, right * x, left * lib.f.expm1(lib.f.where(x > 0.0, 0.0, x)))


def _hardtanh(lib: Library, x: Any) -> Any:
    return lib.f.where(x > 1.0, 1.0, lib.f.where(x < -1.0, -1.0, x))


def _power(lib: Library, x: Any, n: float) -> Any:
    if n == 2.0:
        return x * x
    if n == 0.5:  # as in C: ∞ at −∞ and 0 at −0
        root = lib.f.sqrt(x)
        return lib.f.where((x == 0.0) | (x == -math.inf), abs(x), root)
    return 1.0 / x if n == -1.0 else x**n


FORWARD: dict[str, Forward] = {
    "+": lambda lib, x, y: x + y,
    "-": lambda lib, x, y: x - y,
    "*": lambda lib, x, y: x * y,
    "/": lambda lib, x, y: x / y,
    "**": lambda lib, x, y: x**y,
    "**n": _power,
    "neg": lambda lib, x: -x,
    "copy": lambda lib, x: x,
    "abs": lambda lib, x: abs(x),
    **{name: _of_numpy(name) for name in ("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan", "sinh", "cosh")},
    **{name: _of_numpy(f"arc{name[1:]}") for name in ("asin", "acos", "atan", "asinh", "acosh", "atanh")},
    "tanh": _of_numpy("tanh"),
    "erf": lambda lib, x: lib.erf(x),
    **{name: _of_numpy(name) for name in ("log2", "log10", "exp2", "hypot", "floor", "ceil")},
    "sign": lambda lib, x: lib.f.where(x != x, x, lib.f.sign(x)),
    "atan2": _of_numpy("arctan2"),
    "cbrt": _cbrt,
    "cosine": _cosine,
    "atan2 slope": _atan2_slope,
    "exp of difference": lambda lib, x, y: lib.f.exp(x - y),
    "xlogy": _xlogy,
    "sigmoid": _sigmoid,
    "sigmoid slope": _sigmoid_slope,
    "tanh slope": lambda lib, x: 4.0 * _sigmoid_slope(lib, 2.0 * x),
    "one minus square": lambda lib, x: (1.0 - x) * (1.0 + x),
    "relu": lambda lib, x: lib.f.where(x <= 0.0, 0.0, x),
    "leaky_relu": lambda lib, x, slope: lib.f.where(x < 0.0, slope * x, x),
    "softplus": _softplus,
    "normal cdf": _normal_cdf,
    "gelu": lambda lib, x: x * _normal_cdf(lib, x),
    "elu": _elu(1.0, 1.0),
    "selu": _elu(SCALE, SCALE_ALPHA),
    "hardtanh": _hardtanh,
    "maximum": lambda lib, x, y: lib.f.where((x >= y) | (x != x), x, y),
    "minimum": lambda lib, x, y: lib.f.where((x <= y) | (x != x), x, y),
    "logaddexp": _logaddexp,
    "σ of difference": _logaddexp_share,
    "greater": lambda lib, x, y: _number(lib, x > y, x + y),
    "greater_equal": lambda lib, x, y: _number(lib, x >= y, x + y),
    "where": lambda lib, c, x, y: lib.f.where(c != 0.0, x, y),
    "binary cross-entropy": _binary_entropy,
    "minus fixed": _minus_fixed,
    "1 at infinity": lambda lib, total, largest: lib.f.where(lib.f.isinf(largest), 1.0, total),
}
# The operations of which JAX and PyTorch have the same derivative, at every edge and to every order.
THEIRS = {"+", "-", "*", "neg", "copy", "exp", "sin", "cos", "sinh", "cosh", "greater", "greater_equal", "where"}

Vjp = Callable[..., Any]  # (library, u, v, *operands)


class Rule(NamedTuple):
    """An operation in terms of a library; without vjps, its derivative is the library's of `forward`."""

    forward: Forward
    vjps: tuple[Vjp | None, ...] = ()


# Operations of which no row has these derivatives: those that only arrays have, and −log of σ(z), whose gradient goes
# to z past σ.
OWN_VJPS: dict[str, tuple[Vjp | None, ...]] = {
    "minus fixed": (lambda lib, u, v, x, largest: u, None),
    "1 at infinity": (lambda lib, u, v, total, largest: u, None),
    "binary cross-entropy": (
        None,
        lambda lib, u, v, a, z, y: u * (apply(lib, "sigmoid", z) - y),
        lambda lib, u, v, a, z, y: -(u * z),
    ),
}


def apply(lib: Library, name: str, *operands: Any) -> Any:
    """The result of an operation in terms of a library."""
    return lib.operation(name)(*operands)


def rule_of(name: str) -> Rule:
    """The rule of an operation; NotImplementedError if this table lacks it and its row has no expression."""
    if name in OWN_VJPS:
        return Rule(FORWARD[name], OWN_VJPS[name])
    if name in THEIRS:
        return Rule(FORWARD[name])
    row = operation(name)
    return _rule_of_row(row) if row.primitive is None else _rule(row)  # a primitive can depend on variables


@lru_cache(maxsize=1024)
def _rule_of_row(row: Operation) -> Rule:
    return _rule(row)


def _rule(row: Operation) -> Rule:
    return Rule(_forward_of(row), tuple(None if vjp is None else _recorded(vjp, row.arity) for vjp in row.vjps))


def _forward_of(row: Operation) -> Forward:
    forward = FORWARD.get(row.name)
    if forward is not None:
        return forward
    if row.primitive is not None:
        operands = [Value(0.5) for _ in range(row.arity)]
        try:
            return _Recorded(row.primitive.recorded(*operands), operands).for_all_operands
        except NotImplementedError:  # it is made of numbers
            if not row.expression:
                raise
    of_family, constant = FORWARD.get(row.family), row.constant
    if of_family is not None:
        return lambda lib, *operands: of_family(lib, *operands, constant)
    if not row.expression:
        raise NotImplementedError(
            f"cannot export the operation {quoted(row.name)} to JAX or PyTorch: its row in the table of operations has "
            "no expression"
        )
    return _of_expression(row)


def _of_expression(row: Operation) -> Forward:
    """What the expression of a row computes, in the operations of this table."""
    import sympy

    given = {symbol: Value(0.5) for symbol in sympy.symbols(f"operand:{row.arity}")}
    recorded = _Recorded(from_sympy(parsed(row, list(given)), given), list(given.values()))
    if row.name in (op for op, _ in recorded.steps):
        raise NotImplementedError(
            f"cannot export the operation {quoted(row.name)} to JAX or PyTorch: its expression, {row.expression}, is "
            "itself, and there is no function for it"
        )
    return recorded


def _recorded(vjp: Callable[..., Any], arity: int) -> Vjp:
    """The function that a row has for Values, as one of a library's arrays: what it records is the program."""
    given = [Value(0.5) for _ in range(arity + 2)]
    result = vjp(*given)
    root = result if isinstance(result, Value) else Value(result)
    return _Recorded(root, given)


class _Recorded:
    """A graph of Values as a function of some of its leaves, in terms of a library."""

    def __init__(self, root: Value, given: Sequence[Value]) -> None:
        place = {leaf: i for i, leaf in enumerate(given)}
        number: dict[Any, int] = {}
        self.steps: list[tuple[str, Any]] = []  # of an operation its operands, of a leaf its place, or its number
        for node in topological_order(root):
            number[node] = len(self.steps)
            if node.op:
                self.steps.append((node.op, [number[operand] for operand in node.operands]))
            elif node in place:
                self.steps.append(("given", place[node]))
            else:
                self.steps.append(("number", node.data))

    def for_all_operands(self, lib: Library, *operands: Any) -> Any:
        """The same, with the shape that all operands have together, also of those that it does not read."""
        result = self(lib, *operands)
        for i, operand in enumerate(operands):
            if ("given", i) not in self.steps:
                result = result + lib.f.zeros_like(operand)
        return result

    def __call__(self, lib: Library, *operands: Any) -> Any:
        found: list[Any] = []
        for op, what in self.steps:
            if op == "given":
                found.append(operands[what])
            elif op == "number":
                found.append(lib.number(what))
            else:
                found.append(apply(lib, op, *(found[i] for i in what)))
        return found[-1]
