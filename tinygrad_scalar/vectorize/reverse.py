"""The backward pass of an array program: each statement's reverse rule, in one place (003 Eq. 10 and 11).

A rule takes d, the gradient with respect to what the statement made, and gives that with respect to its operands. The
rules of element-wise operations are written in the same statements, so that the backward pass is an array program too.
What is not an operation of ops.py is a slope: the derivative of one, as accurate as there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_scalar.vectorize.program import (
    Array,
    Elementwise,
    Fold,
    Gather,
    Lookup,
    LookupScatter,
    OverExamples,
    Product,
    Program,
    Scatter,
    Statement,
)

ONES = {batched: Array((1,), batched, values=np.ones(1)) for batched in (False, True)}  # ∂C/∂C, in each example


def _constant(number: float) -> Array:
    return Array((1,), False, values=np.array([number]))


# --- element-wise operations: (write, d, result, *operands) -> the contribution to each operand, or None ------------

Write = Callable[..., Array]


def _times_slope(op: str, *, of_result: bool = False) -> Callable[..., tuple[Array, ...]]:
    """d·f′, f′ being the element-wise operation `op` of the operand, or of the result."""

    def rule(write: Write, d: Array, v: Array, x: Array) -> tuple[Array, ...]:
        return (write("*", d, write(op, v if of_result else x)),)

    return rule


def _power_rule(write: Write, d: Array, v: Array, x: Array, y: Array) -> tuple[Array, ...]:
    return write("*", d, write("slope of ** by x", v, x, y)), write("*", d, write("slope of ** by y", v, x))


def _constant_power_rule(n: float) -> Callable[..., tuple[Array | None, ...]]:
    def rule(write: Write, d: Array, v: Array, x: Array) -> tuple[Array | None, ...]:
        if n == 0.0:
            return (None,)
        if n == 2.0:
            return (write("*", d, write("*", _constant(2.0), x)),)
        return (write("*", d, write("slope of ** by x", v, x, _constant(n))),)

    return rule


def _shares(op: str) -> Callable[..., tuple[Array, ...]]:
    def rule(write: Write, d: Array, v: Array, x: Array, y: Array) -> tuple[Array, ...]:
        first, second = (x, y) if op != "minimum" else (y, x)
        share = "share of logaddexp" if op == "logaddexp" else "share"
        return write("*", d, write(share, first, second)), write("*", d, write(share, second, first))

    return rule


RULES: dict[str, Callable[..., Sequence[Array | None]]] = {
    "+": lambda write, d, v, x, y: (d, d),
    "-": lambda write, d, v, x, y: (d, write("neg", d)),
    "minus fixed": lambda write, d, v, x, y: (d, None),
    "*": lambda write, d, v, x, y: (write("*", d, y), write("*", d, x)),
    "/": lambda write, d, v, x, y: ((t := write("/", d, y)), write("neg", write("*", t, v))),
    "**": _power_rule,
    "neg": lambda write, d, v, x: (write("neg", d),),
    "abs": _times_slope("slope of abs"),
    "exp": lambda write, d, v, x: (write("*", d, v),),
    "expm1": _times_slope("exp"),
    "log": lambda write, d, v, x: (write("/", d, x),),
    "log1p": lambda write, d, v, x: (write("/", d, write("+", _constant(1.0), x)),),
    "sqrt": lambda write, d, v, x: (write("/", write("*", _constant(0.5), d), v),),
    "sin": _times_slope("cos"),
    "cos": lambda write, d, v, x: (write("neg", write("*", d, write("sin", x))),),
    "tan": lambda write, d, v, x: (write("*", d, write("+", _constant(1.0), write("*", v, v))),),
    "asin": _times_slope("slope of asin"),
    "acos": lambda write, d, v, x: (write("neg", write("*", d, write("slope of asin", x))),),
    "atan": _times_slope("slope of atan"),
    "sinh": _times_slope("cosh"),
    "cosh": _times_slope("sinh"),
    "tanh": lambda write, d, v, x: (write("*", d, write("slope of tanh", v, x)),),
    "asinh": _times_slope("slope of asinh"),
    "acosh": _times_slope("slope of acosh"),
    "atanh": _times_slope("slope of atanh"),
    "sigmoid": lambda write, d, v, x: (write("*", d, write("slope of sigmoid", v, x)),),
    "relu": _times_slope("positive"),
    "softplus": _times_slope("sigmoid"),
    "erf": _times_slope("slope of erf"),
    "maximum": _shares("maximum"),
    "minimum": _shares("minimum"),
    "logaddexp": _shares("logaddexp"),
    "finite": lambda write, d, v, x: (None,),
    "greater": lambda write, d, v, x, y: (None, None),
    "greater_equal": lambda write, d, v, x, y: (None, None),
    "where": lambda write, d, v, c, x, y: (
        None,
        write("where", c, d, _constant(0.0)),
        write("where", c, _constant(0.0), d),
    ),
}


def rule_of(op: str) -> Callable[..., Sequence[Array | None]]:
    """The reverse rule of an element-wise operation."""
    if op.startswith("**") and op != "**":
        return _constant_power_rule(float(op[2:]))
    if op.startswith("leaky_relu("):
        return _times_slope(f"slope of {op}")
    return RULES[op]


# --- the pass --------------------------------------------------------------------------------------------------------


class _Backward:
    def __init__(self, program: Program, wanted: Sequence[Array]) -> None:
        self.program = program
        self.statements: list[Statement] = []
        self.parts: dict[Array, list[tuple[Array, Any]]] = defaultdict(list)
        self.counts = set(wanted)  # arrays that a wanted one reaches
        for statement in program.forward:
            if any(operand in self.counts for operand in statement.operands):
                self.counts.add(statement.out)

    def add(self, statement: Statement) -> Array:
        self.statements.append(statement)
        return statement.out

    def write(self, op: str, *operands: Array) -> Array:
        """An element-wise statement; a factor 1 is not multiplied by."""
        if op == "*" and operands[0] in ONES.values():
            return operands[1]
        rows = max(operand.rows for operand in operands)
        return self.add(Elementwise(Array((rows,), any(o.batched for o in operands)), op, operands))

    def contribute(self, to: Array, amount: Array | None, index: Any = None) -> None:
        """Add to the gradient of an array; `amount` has its rows or, with an index, adds its row i to row index[i]."""
        if amount is None or to not in self.counts:
            return
        if index is None and to.rows == 1 and amount.rows > 1:
            folded = Array((1,), amount.batched)
            amount = self.add(Fold(folded, "+", self._reshaped(amount, (1, amount.rows))))
        if index is not None and len(index) == to.rows:
            every = np.zeros(to.rows, bool)
            every[index] = True
            if (index == np.arange(to.rows)).all() or (amount.rows == 1 and every.all()):
                index = None
        if amount.batched and not to.batched:
            amount = self.add(OverExamples(Array(amount.shape, False), amount))
        self.parts[to].append((amount, index))

    def _reshaped(self, array: Array, shape: tuple[int, ...]) -> Array:
        if array.shape == shape:
            return array
        return self.add(Gather(Array(shape, array.batched), array, np.arange(array.rows).reshape(shape)))

    def gradient_of(self, array: Array) -> Array | None:
        parts = self.parts.get(array)
        if parts and len(parts) == 1 and parts[0][1] is None:
            return parts[0][0]
        return self.total_of(array) if parts else None

    def total_of(self, array: Array) -> Array:
        """The gradient with respect to an array in an array of its own, of zeros where nothing contributes."""
        return self.add(Scatter(Array(array.shape, array.batched), tuple(self.parts.get(array, ()))))

    def reverse(self, statement: Statement, d: Array) -> None:
        contribute = self.contribute
        if isinstance(statement, Gather):
            contribute(statement.source, d, statement.index.ravel())
        elif isinstance(statement, Elementwise):
            if not any(operand in self.counts for operand in statement.of):
                return
            contributions = rule_of(statement.op)(self.write, d, statement.out, *statement.of)
            for operand, amount in zip(statement.of, contributions):
                if amount is not None and operand.rows == amount.rows == 1 < statement.out.rows:
                    amount = self.write("*", _constant(statement.out.rows), amount)  # it stands for every row
                if amount is not None and statement.out.batched and not (operand.batched or amount.batched):
                    amount = self.add(OverExamples(Array(amount.shape, False), amount))  # and for every example
                contribute(operand, amount)
        elif isinstance(statement, Product):
            left, right = statement.left, statement.right
            d = self._full(d, statement.out)
            if left in self.counts:
                contribute(left, self.add(Product(Array(left.shape, False), "RT", d, right)))
            if right in self.counts:
                contribute(right, self.add(Product(Array(right.shape, right.batched), "TR", left, d)))
        elif isinstance(statement, Fold):
            n, k = statement.of.shape
            contribute(statement.of, self._repeated(d, n, k) if statement.op == "+" else None)
        elif isinstance(statement, Scatter):
            for part, index in statement.parts:
                contribute(part, d if index is None else self._rows(d, index))
        elif isinstance(statement, Lookup):
            if statement.source in self.counts:
                source = statement.source
                out = Array(source.shape, source.batched)
                scattered = self.add(LookupScatter(out, d, statement))
                self.parts[source].append((scattered, None))
        else:
            raise NotImplementedError(type(statement).__name__)

    def _full(self, d: Array, out: Array) -> Array:
        """d with all its rows and examples, where one constant has stood for them."""
        if d.rows == out.rows and d.batched == out.batched and d.values is None:
            return d
        index = np.arange(out.rows) if d.rows == out.rows else np.zeros(out.rows, np.int64)
        return self.add(Gather(Array(out.shape, out.batched), d, index))

    def _repeated(self, d: Array, n: int, k: int) -> Array:
        return self._rows(d, np.repeat(np.arange(n), k))

    def _rows(self, d: Array, index: Any) -> Array:
        if d.rows == 1:  # it stands for every row
            return d
        if d.rows == len(index) and (index == np.arange(d.rows)).all():
            return d
        return self.add(Gather(Array((len(index),), d.batched), d, index))


def differentiate(program: Program, *, wrt_inputs: bool = False) -> None:
    """Write the backward statements of a program: its gradient, summed over the examples, and the arguments' ones."""
    wanted = [program.parameters, *(program.arguments if wrt_inputs else [])]
    backward = _Backward(program, wanted)
    if program.cost in backward.counts:
        backward.parts[program.cost].append((ONES[program.cost.batched], None))
    for statement in reversed(program.forward):
        if statement.out in backward.counts:
            d = backward.gradient_of(statement.out)
            if d is not None:
                program.gradients[statement.out] = d
                backward.reverse(statement, d)
    for array, parts in backward.parts.items():
        if array not in program.gradients and len(parts) == 1 and parts[0][1] is None:
            program.gradients[array] = parts[0][0]
    program.gradient = backward.total_of(program.parameters)
    if wrt_inputs:
        program.input_gradients = [backward.total_of(argument) for argument in program.arguments]
    program.backward = _alive(backward.statements, [program.gradient, *program.input_gradients])


def _alive(statements: list[Statement], results: Sequence[Array]) -> list[Statement]:
    """Without the statements that nobody reads."""
    read = set(results)
    alive = []
    for statement in reversed(statements):
        if statement.out in read:
            read.update(statement.operands)
            alive.append(statement)
    return alive[::-1]
