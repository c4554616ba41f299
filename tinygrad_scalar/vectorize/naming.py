"""What the arrays of a program are called: by the notes' letters where the shape is a network's (003 Eq. 1 and 11).

W, b, Z and A are the weights, biases, pre-activations and activations of a layer, counted from 1; A0 is the first
argument where a layer reads it. The gradient with respect to Z is delta, that with respect to another array has a d.
"""

from __future__ import annotations

from collections import Counter

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

ARGUMENTS = "XYUVST"

WORDS = {
    "+": "sum", "-": "difference", "minus fixed": "shifted", "*": "product", "/": "quotient", "**": "power",
    "**2": "square", "neg": "negative", "where": "chosen", "greater": "is_greater", "greater_equal": "is_at_least",
}  # fmt: skip

BY_STATEMENT = {
    Product: "matrix", Fold: "total", OverExamples: "total", Scatter: "joined", Lookup: "looked_up",
    LookupScatter: "spread",
}  # fmt: skip


def argument_name(a: int) -> str:
    return ARGUMENTS[a] if a < len(ARGUMENTS) else f"X{a}"


def name_arrays(program: Program) -> None:
    """Name every array of the program."""
    count: Counter[str] = Counter()

    def number(word: str) -> str:
        count[word] += 1
        return f"{word}{count[word]}"

    for a, argument in enumerate(program.arguments):
        argument.name = f"{argument_name(a)}T"
    program.parameters.name = "parameters"
    made_by = {statement.out: statement for statement in program.forward}
    layers = 0
    for statement in program.forward:
        if isinstance(statement, Product) and _from_parameters(statement.left, made_by, program):
            layers += 1
            statement.left.name = statement.left.name or f"W{layers}"
            statement.out.name = f"Z{layers}"
            if layers == 1 and program.arguments and statement.right is program.arguments[0]:
                statement.right.name = "A0"
    for statement in program.forward:
        out = statement.out
        if isinstance(statement, Elementwise):
            z = statement.of[0].name
            if statement.op == "+" and z.startswith("Z") and out.rows == statement.of[0].rows:
                out.name = z
                if _from_parameters(statement.of[1], made_by, program):
                    statement.of[1].name = f"b{z[1:]}"
            elif len(statement.of) == 1 and z.startswith("Z") and not statement.op.startswith("**"):
                out.name = f"A{z[1:]}"
    for statement in program.forward:
        out = statement.out
        if not out.name:
            out.name = number(_word(statement))
    _name_gradients(program)


def _from_parameters(array: Array, made_by: dict[Array, Statement], program: Program) -> bool:
    if array is program.parameters:
        return True
    statement = made_by.get(array)
    return isinstance(statement, Gather) and statement.source is program.parameters


def _word(statement: Statement) -> str:
    if isinstance(statement, Elementwise):
        op = statement.op
        return WORDS.get(op) or "".join(c if c.isalnum() else "_" for c in op.replace("**", "power")).strip("_") + "_"
    if isinstance(statement, Gather):
        return "rows"
    return BY_STATEMENT[type(statement)]


def _name_gradients(program: Program) -> None:
    for array, gradient in program.gradients.items():
        if not gradient.name and gradient.values is None:
            layer = array.name[1:]
            is_z = array.name.startswith("Z") and layer.isdecimal()
            gradient.name = f"delta{layer}" if is_z else f"d{array.name}"
    for statement in program.backward:
        out = statement.out
        out.name = out.name or _word(statement)
