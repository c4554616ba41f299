"""The names of a program's arrays: the notes' letters where they form a network's layers (003 Eq. 1 and 11).

W, b, Z and A are the weights, biases, pre-activations and activations of a layer, counted from 1; A0 is the first
argument if a layer reads it. The gradient with respect to Z is delta; that with respect to any other array is named d
followed by the array's name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from tinygrad_scalar.engine.ops import operation
from tinygrad_scalar.vectorize.program import (
    ONLY_OF_ARRAYS,
    Array,
    Distances,
    DistancesGradient,
    Elementwise,
    Fold,
    Gather,
    Lookup,
    LookupScatter,
    OverExamples,
    Product,
    Program,
    Scatter,
    Shares,
    Slope,
    Statement,
)

ARGUMENTS = "XYUVST"
MOST_ADDED = 8  # terms that are part of a layer's Z, in one equation

WORDS = {
    "+": "sum", "-": "difference", "minus fixed": "shifted", "*": "product", "* on path": "product",
    "1 at infinity": "total", "/": "quotient", "neg": "negative",
    "**": "power", "**n": "power", "**2": "square", "where": "chosen", "greater": "is_greater",
    "greater_equal": "is_at_least", "binary cross-entropy": "entropy",
}  # fmt: skip

BY_STATEMENT = {
    Product: "matrix", Distances: "distances", DistancesGradient: "pull",
    Fold: "total", OverExamples: "total", Scatter: "joined", Shares: "shares", Lookup: "looked_up",
    LookupScatter: "spread",
}  # fmt: skip


def argument_name(a: int) -> str:
    return ARGUMENTS[a] if a < len(ARGUMENTS) else f"X{a}"


def name_arrays(program: Program) -> None:
    """Name every array of the program."""
    for a, argument in enumerate(program.arguments):
        argument.name = f"{argument_name(a)}T"
    program.parameters.name = "parameters"
    _name_layers(program)
    count: Counter[str] = Counter()
    _name_others(program.forward, count)
    _name_gradients(program)
    _name_others(program.backward, count)


def name_steps(program: Program) -> None:
    """Name what primitives compute on the way to their results, once all other arrays have names."""
    taken = {statement.out.name for statement in (*program.forward, *program.backward)}
    count: Counter[str] = Counter()
    for statement in (*program.forward, *program.backward):
        while not statement.out.name:
            word = _word(statement)
            count[word] += 1
            if (name := f"{word}{count[word]}") not in taken:
                statement.out.name = name


def _name_layers(program: Program) -> None:
    made_by = {statement.out: statement for statement in program.forward}
    layers = 0
    for statement in program.forward:
        if not isinstance(statement, Product) or not statement.out.batched:
            continue
        if statement.blocks > 1:
            continue
        if _from_parameters(statement.left, made_by, program):
            layers += 1
            statement.left.name = statement.left.name or f"W{layers}"
            statement.out.name = f"Z{layers}"
            if layers == 1 and program.arguments and statement.right is program.arguments[0]:
                statement.right.name = "A0"
    added: Counter[str] = Counter()
    functions_of = Counter(statement.operands[0] for statement in program.forward if _is_function(statement))
    for statement in program.forward:
        if not isinstance(statement, Elementwise) or not statement.operands[0].name.startswith("Z"):
            continue
        first, *others = statement.operands
        if statement.op == "+" and statement.out.rows == first.rows:
            if added[first.name] == MOST_ADDED:
                continue
            added[first.name] += 1
            statement.out.name = first.name
            if _from_parameters(others[0], made_by, program):
                others[0].name = f"b{first.name[1:]}"
        elif _is_function(statement) and functions_of[first] == 1:  # of several, none is the activation
            statement.out.name = f"A{first.name[1:]}"


def _name_others(statements: Iterable[Statement], count: Counter[str]) -> None:
    """Name each array that has no name yet by its operation and a number."""
    for statement in statements:
        if not statement.out.name:
            word = _word(statement)
            count[word] += 1
            statement.out.name = f"{word}{count[word]}"


def _from_parameters(array: Array, made_by: dict[Array, Statement], program: Program) -> bool:
    if array is program.parameters:
        return True
    statement = made_by.get(array)
    return isinstance(statement, Gather) and statement.source is program.parameters


def _is_function(statement: Statement) -> bool:
    """Whether this is a function of one array, as an activation is, and no power."""
    if not isinstance(statement, Elementwise) or len(statement.operands) != 1:
        return False
    return statement.row is None or statement.row.family != "**n"


def _word(statement: Statement) -> str:
    if isinstance(statement, Elementwise):
        op = statement.op
        return f"slope_of_{_word_of(op.op)}" if isinstance(op, Slope) else _word_of(op)
    if isinstance(statement, Gather):
        return "rows"
    return BY_STATEMENT[type(statement)]


def _word_of(op: str) -> str:
    """The word for an operation's results, to which a number is added."""
    if op in WORDS:
        return WORDS[op]
    family = op if op in ONLY_OF_ARRAYS else operation(op).family or op
    word = re.sub(r"\W+", "_", family, flags=re.ASCII).strip("_")
    return WORDS.get(family) or (f"{word}_" if word.isidentifier() else "result")


def _name_gradients(program: Program) -> None:
    # if two arrays share a gradient, the layer's gives the name: dA3, not d_difference1
    for array, gradient in sorted(program.gradients.items(), key=lambda pair: not is_of_layer(pair[0].name)):
        if not gradient.name and gradient.values is None:
            z = array.name.startswith("Z") and is_of_layer(array.name)
            gradient.name = (
                f"delta{array.name[1:]}" if z else f"d{array.name}" if is_of_layer(array.name) else f"d_{array.name}"
            )
    made_by = {statement.out: statement for statement in program.backward}
    for statement in program.backward:
        is_product = isinstance(statement, Elementwise) and statement.op in ("*", "* on path")
        if is_product and statement.out.name.startswith("delta"):
            slope = made_by.get(statement.operands[1])
            if isinstance(slope, Elementwise) and not slope.out.name:
                slope.out.name = f"slope{statement.out.name[len('delta') :]}"


def is_of_layer(name: str) -> bool:
    """Whether this is the name of a layer's W, b, Z or A."""
    return name[:1] in ("W", "b", "Z", "A") and name[1:].isdecimal()


def comment_of(statement: Statement) -> str:
    """The number of a layer's statement in the notes, and the primitive whose result it computes, or ""."""
    parts = [equation_of(statement)]
    if isinstance(statement, Elementwise) and statement.of is not None:
        of = statement.of
        row = operation(of.op.op if isinstance(of.op, Slope) else of.op)
        name = row.primitive.__name__
        if isinstance(of.op, Slope):
            name += "'" if row.arity == 1 else f", the slope in {row.primitive.operands[of.op.operand]}"
        parts.append(name)
    return ": ".join(filter(None, parts))


def equation_of(statement: Statement) -> str:
    """The number of a layer's statement in the notes, or ""."""
    name = statement.out.name
    if isinstance(statement, Product) and statement.form == "LR" and is_of_layer(name):
        return "003 Eq. 1a"
    if isinstance(statement, Elementwise) and name.startswith("A") and is_of_layer(name):
        return "Eq. 1b"
    if isinstance(statement, Elementwise) and name.startswith("delta"):
        return "Eq. 11a"
    if isinstance(statement, Product) and statement.form == "RT" and name.startswith("dW"):
        return "Eq. 11b"
    if isinstance(statement, OverExamples) and name.startswith("db"):
        return "Eq. 11c"
    if isinstance(statement, Product) and statement.form == "TR" and name.startswith("dA"):
        return "Eq. 11d"
    return ""
