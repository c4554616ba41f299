"""How a primitive is written: the names of its operands, and its text and expression as the table has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_scalar.engine.errors import shown

LETTERS = "x", "y"  # operands of a function that does not tell their names
OF_A_ROW = {1: "x", 2: "xy", 3: "cxy"}  # what `Operation.expression` calls them


def operands_of(function: Callable[..., Any], name: str) -> tuple[str, ...]:
    """The parameters that a call must give, by position; TypeError if there are none, or their number is not fixed."""
    import inspect

    n = getattr(function, "nin", None)  # a ufunc of NumPy or SciPy
    if isinstance(n, int):
        return LETTERS[:n] if n <= len(LETTERS) else tuple(f"x{i}" for i in range(n))
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        raise TypeError(
            f"{name} does not tell how many operands it takes: wrap it in a function that does, such as "
            f"lambda x: {name}(x)"
        ) from None
    operands = []
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"a primitive must take a fixed number of operands, but {name} takes {parameter}")
        if parameter.default is parameter.empty:
            if parameter.kind is parameter.KEYWORD_ONLY:
                raise TypeError(
                    f"operands of a primitive are given by position, but {name} must be given {parameter.name}=: give "
                    "it a default, or make it an operand"
                )
            operands.append(parameter.name)
    if not operands:
        raise TypeError(f"a primitive must take at least one operand, but {name} takes none without a default")
    return tuple(operands)


def text_by_position(text: str, operands: Sequence[str]) -> str:
    """A text with {0} for the name of the first operand in braces, and so on.

    >>> text_by_position("‖({x}, {y})‖", ["x", "y"])
    '‖({0}, {1})‖'
    """
    import string

    try:
        places = {field for _, field, _, _ in string.Formatter().parse(text) if field is not None}
        by_position = text.format(**{operand: f"{{{i}}}" for i, operand in enumerate(operands)})
    except (ValueError, LookupError, AttributeError):
        places, by_position = set(), ""
    if places != set(operands) or "{{" in text or "}}" in text:
        named = ", ".join(f"{{{operand}}}" for operand in operands)
        raise ValueError(f"text must name each operand in braces ({named}) and have no other braces, got {shown(text)}")
    return by_position


def expression_by_position(expression: str, operands: Sequence[str]) -> str:
    """An expression for SymPy, its operands called as in the table of operations.

    >>> expression_by_position("t*a + (1 - t)*b", ["t", "a", "b"])
    'c * x + (1 - c) * y'
    """
    import ast

    import sympy

    if len(operands) not in OF_A_ROW:
        raise ValueError(f"an expression can have up to three operands, got {len(operands)}")
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError):
        raise ValueError(
            f"expression must be in SymPy's syntax, such as 'x*exp(-x)', got {shown(expression)}"
        ) from None
    called = dict(zip(operands, OF_A_ROW[len(operands)]))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            if node.id not in called and not hasattr(sympy, node.id):
                raise ValueError(
                    f"expression can name the operands ({', '.join(operands)}) and what SymPy has, got {shown(node.id)}"
                )
            node.id = called.get(node.id, node.id)
    return ast.unparse(tree)
