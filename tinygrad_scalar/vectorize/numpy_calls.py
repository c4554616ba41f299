"""The NumPy calls of element-wise operations and their slopes, with helpers where NumPy has none.

They are for speed: an operation without a call here is computed by its row in ops.py, element by element.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinygrad_scalar.engine.ops import operation
from tinygrad_scalar.vectorize import everyday_operations, recorded_operations
from tinygrad_scalar.vectorize.program import Slope

# An operation's call, by its name or its family: {0}, {1}, {2} stand for its operands and {n} for its constant. A * in
# front means that the result must not be written over the first operand while it is computed.
CALLS = {
    "+": "add({0}, {1}, out={out})",
    "-": "subtract({0}, {1}, out={out})",
    "minus fixed": "*below_largest({0}, {1}, out={out})",
    "*": "multiply({0}, {1}, out={out})",
    "* on path": "times_on_path({0}, {1}, out={out})",
    "/": "divide({0}, {1}, out={out})",
    "**": "*raised({0}, {1}, out={out})",
    "**n": "power({0}, {n}, out={out})",
    "**2": "multiply({0}, {0}, out={out})",
    "**0.5": "*raised({0}, 0.5, out={out})",
    "**-1": "reciprocal({0}, out={out})",
    "neg": "negative({0}, out={out})",
    "abs": "absolute({0}, out={out})",
    **{name: f"{name}({{0}}, out={{out}})" for name in ("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan")},
    **{name: f"{name}({{0}}, out={{out}})" for name in ("sinh", "cosh", "tanh", "erf")},
    "sigmoid": "*sigmoid({0}, out={out})",
    "1 at infinity": "one_at_infinity({0}, {1}, out={out})",
    **{name: f"arc{name[1:]}({{0}}, out={{out}})" for name in ("asin", "acos", "atan", "asinh", "acosh", "atanh")},
    "relu": "maximum({0}, 0.0, out={out})",
    "leaky_relu": "*leaky_relu({0}, {n}, out={out})",
    "softplus": "*softplus({0}, out={out})",
    "maximum": "maximum({1}, {0}, out={out})",  # of 0 and -0, NumPy's loops give the second, ops.py the first
    "minimum": "minimum({1}, {0}, out={out})",
    "logaddexp": "logaddexp({0}, {1}, out={out})",
    "greater": "greater({0}, {1}, out={out})",
    "greater_equal": "greater_equal({0}, {1}, out={out})",
    "where": "*where({0}, {1}, {2}, out={out})",
    "binary cross-entropy": "*binary_entropy({1}, {2}, out={out})",  # a is always σ(z) here
    **recorded_operations.CALLS,
    **everyday_operations.CALLS,
}
# The call of a slope, by its operation and operand: {0} stands for the result, {1}, {2}, … for the operands.
SLOPES = {
    ("relu", 0): "greater({1}, 0.0, out={out})",
    ("leaky_relu", 0): "*slope_of_leaky_relu({1}, {n}, out={out})",
    ("maximum", 0): "*share({1}, {2}, out={out})",
    ("maximum", 1): "*share({2}, {1}, out={out})",
    ("minimum", 0): "*share({2}, {1}, out={out})",
    ("minimum", 1): "*share({1}, {2}, out={out})",
    ("logaddexp", 0): "*share_of_logaddexp({1}, {2}, out={out})",
    ("logaddexp", 1): "*share_of_logaddexp({2}, {1}, out={out})",
    ("abs", 0): "slope_of_abs({1}, out={out})",
    ("tanh", 0): "slope_of_tanh({0}, {1}, out={out})",
    ("sigmoid", 0): "*slope_of_sigmoid({0}, {1}, out={out})",
    ("**n", 0): "*slope_of_power({0}, {1}, {n}, out={out})",
    ("**", 0): "*slope_of_power({0}, {1}, {2}, out={out})",
    ("**", 1): "*slope_of_exponent({0}, {1}, out={out})",
    ("asin", 0): "*slope_of_asin({1}, out={out})",
    ("acos", 0): "*slope_of_acos({1}, out={out})",
    ("atan", 0): "*slope_of_atan({1}, out={out})",
    ("asinh", 0): "slope_of_asinh({1}, out={out})",
    ("acosh", 0): "*slope_of_acosh({1}, out={out})",
    ("atanh", 0): "*slope_of_atanh({1}, out={out})",
    ("erf", 0): "*slope_of_erf({1}, out={out})",
    ("binary cross-entropy", 0): "*slope_of_entropy({2}, {3}, out={out})",
    ("binary cross-entropy", 1): "*far_slope_of_entropy({2}, {3}, out={out})",
    ("binary cross-entropy", 2): "negative({2}, out={out})",
    **everyday_operations.SLOPES,
}


def _written(number: float) -> str:
    return repr(number) if math.isfinite(number) else f"np.{number}".replace("np.-", "-np.")


def _template(op: str | Slope) -> str:
    """The call of an operation or a slope with places for its operands: from the tables, or else by its row."""
    if isinstance(op, Slope):
        row = operation(op.op)
        operand: int | None = op.operand
        call = SLOPES.get((row.family or row.name, op.operand))
        numbers = range(row.arity + 1)
    elif op in CALLS:
        return CALLS[op]
    else:
        row, operand = operation(op), None
        call = CALLS.get(row.family)
        numbers = range(row.arity)
    if call is None:
        return f'*by_its_row("{row.name}", {operand}, {", ".join(f"{{{i}}}" for i in numbers)}, out={{out}})'
    return call if row.constant is None else call.replace("{n}", _written(row.constant))


def may_overwrite(op: str | Slope, operand: int) -> bool:
    """Whether an operation's result can be written over that operand while it is computed."""
    call = _template(op)
    return not call.startswith("*") and (operand == 0 or call.partition("(")[0] not in HELPERS)


def call_of(op: str | Slope, operands: Sequence[str], out: str) -> str:
    """The call that computes an operation, or a slope, of `operands` into `out`."""
    if isinstance(op, Slope):
        numbers = dict(zip(op.reads, operands))
        operands = [numbers.get(i, "") for i in range(1 + max(op.reads, default=0))]
    return _template(op).lstrip("*").format(*operands, out=out)


# NumPy's own functions, which the source imports by name.
NUMPY = (
    "absolute", "add", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "copysign", "copyto", "cos",
    "cosh", "divide", "exp", "expm1", "greater", "greater_equal", "hypot", "log", "log1p", "logaddexp", "matmul",
    "maximum", "minimum", "multiply", "negative", "power", "reciprocal", "sin", "sinh", "sqrt", "subtract", "take",
    "tan", "tanh", "vdot", *everyday_operations.NUMPY,
)  # fmt: skip

# The helpers; the source contains those that it uses. The slopes are as accurate as those of ops.py.
HELPERS = {
    **recorded_operations.HELPERS,
    **everyday_operations.HELPERS,
    "sigmoid": '''
def sigmoid(z, out):
    """1/(1 + exp(-z)); where exp(-z) overflows, exp(z)."""
    reciprocal(add(exp(negative(z, out), out), 1.0, out), out)
    if not out.item(out.argmin()) > 0.0:
        small = np.flatnonzero(out == 0.0)
        out.put(small, exp(z.take(small)))
    return out
''',
    "slope_of_sigmoid": '''
def slope_of_sigmoid(a, z, out):
    """a (1 - a), with 1 - a as 1/(1 + exp(z)), which keeps its digits; where exp(z) overflows, exp(-z)."""
    divide(a, add(exp(z, out), 1.0, out), out)
    if not out.item(out.argmin()) > 0.0:
        large = np.flatnonzero(z > 709.0)
        out.put(large, exp(-z.take(large)))
    return out
''',
    "softplus": '''
def softplus(z, out):
    """log(1 + exp(z)), which is logaddexp(z, 0) in a quarter of the time."""
    copysign(z, -1.0, out=out)
    exp(out, out=out)
    log1p(out, out=out)
    add(out, maximum(z, 0.0), out=out)
    return out
''',
    "binary_entropy": '''
def binary_entropy(z, y, out):
    """-y log(a) - (1 - y) log(1 - a) for a = sigmoid(z), as log(1 + exp(-|z|)) + |z| (1 - y if z > 0 else y)."""
    wrong = absolute(y - greater(z, 0.0))
    copysign(z, -1.0, out=out)
    multiply(out, wrong, wrong)
    exp(out, out=out)
    log1p(out, out=out)
    subtract(out, wrong, out=out)
    least = out.item(out.argmin())  # nan if there is one
    if least != least:
        copyto(out, 0.0, where=np.isinf(z) & (y == greater(z, 0.0)))
    return out
''',
    "slope_of_entropy": '''
def slope_of_entropy(z, y, out):
    """(1 - y)/(1 - a) - y/a for a = sigmoid(z), as (1 - y) (1 + exp(z)) - y (1 + exp(-z)); 0 where |z| > 354."""
    e = exp(z)
    multiply(1.0 - y, 1.0 + e, out=out)
    subtract(out, y * (1.0 + 1.0 / e), out=out)
    if not vdot(z, z) <= 125316.0:
        copyto(out, 0.0, where=absolute(z) > 354.0)
    return out
''',
    "far_slope_of_entropy": '''
def far_slope_of_entropy(z, y, out):
    """sigmoid(z) - y, as (1 - y) sigmoid(z) - y sigmoid(-z), where |z| > 354, else 0."""
    out.fill(0.0)
    if not vdot(z, z) <= 125316.0:
        e = exp(-absolute(z))
        slope = np.where(z > 0.0, (1.0 - y) - y * e, (1.0 - y) * e - y)  # 1 + e is 1
        copyto(out, slope, where=absolute(z) > 354.0)
    return out
''',
    "slope_of_tanh": '''
def slope_of_tanh(a, z, out):
    """1 - a**2; where that has lost digits, 1/cosh(z)**2."""
    multiply(a, a, out=out)
    subtract(1.0, out, out=out)
    if not out.item(out.argmin()) >= 5e-4:
        saturated = np.flatnonzero(out < 5e-4)
        c = 1.0 / cosh(z.take(saturated))  # inverted first: the square of cosh(z) overflows long before this is 0
        out.put(saturated, c * c)
    return out
''',
    "where": '''
def where(condition, x, y, out):
    """x where the condition is not 0, else y."""
    copyto(out, y)
    copyto(out, x, where=np.not_equal(condition, 0.0))
    return out
''',
    "times_on_path": '''
def times_on_path(d, slope, out):
    """d slope; 0 where the slope is 0, even if d is infinite or nan."""
    multiply(d, slope, out=out)
    least = out.item(out.argmin())  # nan if there is one
    if least != least:
        copyto(out, 0.0, where=np.equal(slope, 0.0))
    return out
''',
    "below_largest": '''
def below_largest(x, largest, out):
    """x - largest; where both are infinite, 0 for inf and -inf for -inf."""
    subtract(x, largest, out=out)
    least = out.item(out.argmin())  # nan if there is one
    if least != least:
        copyto(out, np.minimum(x, 0.0), where=np.isinf(x) & np.equal(x, largest))
    return out
''',
    "one_at_infinity": '''
def one_at_infinity(total, largest, out):
    """The total, or 1 where the largest term is infinite."""
    if out is not total:
        copyto(out, total)
    if not vdot(largest, largest) < np.inf:
        copyto(out, 1.0, where=np.isinf(largest))
    return out
''',
    "raised": '''
def raised(x, y, out=None):
    """x**y as in C: inf at -inf and 0 at -0 for y = 0.5, where NumPy takes the square root."""
    out = power(x, y, out=out)
    if np.any(np.equal(y, 0.5)):
        copyto(out, absolute(x), where=np.equal(y, 0.5) & ((x == 0.0) | (x == -np.inf)))
    return out
''',
    "leaky_relu": '''
def leaky_relu(z, slope, out):
    """z for z >= 0, else slope z."""
    multiply(z, slope, out=out)
    copyto(out, z, where=z >= 0.0)
    return out
''',
    "slope_of_leaky_relu": '''
def slope_of_leaky_relu(z, slope, out):
    """1 for z >= 0, else slope."""
    out.fill(slope)
    copyto(out, 1.0, where=z >= 0.0)
    return out
''',
    "slope_of_abs": '''
def slope_of_abs(x, out):
    """1 for x >= 0, else -1."""
    greater_equal(x, 0.0, out=out)
    multiply(out, 2.0, out=out)
    subtract(out, 1.0, out=out)
    return out
''',
    "shares": '''
def shares(x, folded, out, even):
    """Each term's share in a fold by maximum or minimum: of ties all have as much, or the last half of what is left."""
    np.equal(x, folded, out=out)
    ties = add.reduce(out, axis=1, keepdims=True)
    if even:
        divide(out, maximum(ties, 1.0), out=out)
    elif ties.size and ties.max() > 1.0:
        place = np.cumsum(out[:, ::-1], axis=1)[:, ::-1]  # 1 for the last
        multiply(out, 0.5 ** (place - (place == ties)), out=out)
    return out
''',
    "share": '''
def share(x, y, out):
    """The share of x in maximum(x, y): 1, 0, or 1/2 in a tie."""
    greater(x, y, out=out)
    add(out, greater_equal(x, y), out=out)
    multiply(out, 0.5, out=out)
    return out
''',
    "share_of_logaddexp": '''
def share_of_logaddexp(x, y, out):
    """exp(x)/(exp(x) + exp(y)); of inf always 1, of -inf always 0."""
    subtract(y, x, out=out)
    exp(out, out=out)
    add(out, 1.0, out=out)
    reciprocal(out, out=out)
    if not out.item(out.argmin()) > 0.0:  # exp overflows, or both are infinite
        e = exp(-absolute(x - y))
        e = np.where(x > y, 1.0, e) / (1.0 + e)
        out[...] = np.where(np.isinf(x) & (x == y), x > 0.0, e)
    return out
''',
    "slope_of_power": '''
def slope_of_power(v, x, y, out):
    """y x**(y - 1), from v = x**y if y - 1 would be rounded."""
    direct = (y - 1.0 + 1.0 == y) | (x == 0.0) | ~np.isfinite(x)
    out[...] = np.where(direct, y * raised(x, y - 1.0), y * (v / x))
    return out
''',
    "slope_of_exponent": '''
def slope_of_exponent(v, x, out):
    """v log(x), which is v log(1) at x = 0."""
    multiply(v, log(np.where(x == 0.0, 1.0, x)), out=out)
    return out
''',
    "slope_of_asin": '''
def slope_of_asin(x, out):
    """1/sqrt(1 - x**2)."""
    multiply(1.0 - x, 1.0 + x, out=out)
    sqrt(out, out=out)
    reciprocal(out, out=out)
    return out
''',
    "slope_of_acos": '''
def slope_of_acos(x, out):
    """-1/sqrt(1 - x**2)."""
    multiply(1.0 - x, 1.0 + x, out=out)
    sqrt(out, out=out)
    divide(-1.0, out, out=out)
    return out
''',
    "slope_of_atan": '''
def slope_of_atan(x, out):
    """1/(1 + x**2)."""
    multiply(x, x, out=out)
    add(out, 1.0, out=out)
    reciprocal(out, out=out)
    if not out.size or not out.item(out.argmin()) > 1e-290:  # the square overflows
        copyto(out, 1.0 / x / x, where=absolute(x) > 1e145)
    return out
''',
    "slope_of_asinh": '''
def slope_of_asinh(x, out):
    """1/sqrt(1 + x**2)."""
    hypot(x, 1.0, out=out)
    reciprocal(out, out=out)
    return out
''',
    "slope_of_acosh": '''
def slope_of_acosh(x, out):
    """1/sqrt(x**2 - 1)."""
    multiply(sqrt(x - 1.0), sqrt(x + 1.0), out=out)
    reciprocal(out, out=out)
    return out
''',
    "slope_of_atanh": '''
def slope_of_atanh(x, out):
    """1/(1 - x**2)."""
    multiply(1.0 - x, 1.0 + x, out=out)
    reciprocal(out, out=out)
    return out
''',
    "slope_of_erf": '''
def slope_of_erf(x, out):
    """2/sqrt(pi) exp(-x**2), corrected for the rounding of x**2."""
    square = x * x
    high = 134217729.0 * x
    high = high - (high - x)
    low = x - high
    lost = ((high * high - square) + 2.0 * high * low) + low * low
    slope = 2.0 / math.sqrt(math.pi) * exp(-square) * (1.0 - lost)
    out[...] = np.where(square >= 745.0, 0.0, slope)
    return out
''',
    "erf": '''
try:
    from scipy.special import erf
except ImportError:

    def erf(x, out):
        out[...] = np.vectorize(math.erf, otypes=[float])(x)
        return out
''',
    "by_its_row": '''
def by_its_row(name, operand, *numbers, out):
    """An operation of ops.py, or its slope with respect to one operand, element by element."""
    row = operation(name)
    compute = row.forward if operand is None else lambda *numbers: row.local_grads(*numbers)[operand]
    out[...] = np.frompyfunc(compute, len(numbers), 1)(*numbers)
    return out
''',
    "require_rows": '''
def require_rows(index, n):
    """Raise if a lookup asks for a row that does not exist."""
    if index.min() < 0 or index.max() >= n:
        raise ValueError(f"lookup expected rows from 0 to {n - 1}, got {index.min()} to {index.max()}")
''',
}  # fmt: skip
