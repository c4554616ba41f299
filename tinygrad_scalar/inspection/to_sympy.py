"""`to_sympy`: the graph of a Value as a SymPy expression, operation by operation, with nothing simplified."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.graph import topological_order
from tinygrad_scalar.engine.ops import Operation, operation
from tinygrad_scalar.inspection.names import caller_variables, distinct, names_of
from tinygrad_scalar.inspection.symbolic import MOST_PIECES, expression, parsed, pieces, without_pieces

LARGEST_INTEGER = 2.0**53


def to_sympy(root: Value, *, names: Mapping[str, object] | None = None) -> Any:
    """The value as a SymPy expression of its leaves.

    names  names for leaves without a label, such as {"w": w}; None: the variables of the calling code

    A leaf with a name is the symbol of that name (several leaves of one name are w⟨0⟩, w⟨1⟩), any other leaf its
    number. Symbols have no assumptions, so that `sympy.Symbol("w")` is the same one. Nothing is simplified or
    evaluated, and a value that is used several times is one object: graphs whose written form would be exponentially
    long take no more memory than the graph. SymPy's own functions go through such an expression part by part, and
    recursively; `sympy.cse` gives its parts names. It cannot differentiate pieces whose conditions fall into many
    pieces themselves, such as abs five deep; `to_sympy` of `ts.gradient` does not ask it to. An operation without an
    expression in the table of operations is an undefined function of its name. `from_sympy` is the way back.

    >>> w, x = Value(2.0, "w"), Value(3.0, "x")
    >>> C = (w * x - 1.0) ** 2
    >>> to_sympy(C), to_sympy(C).diff("w")
    ((w*x - 1)**2, 2*x*(w*x - 1))
    """
    import sympy

    if not isinstance(root, Value):
        raise TypeError(f"to_sympy expected a Value, got {shown(root)}")
    nodes = topological_order(root)
    variables = caller_variables() if names is None else names
    called = distinct({leaf: name for leaf, name in names_of(nodes, variables).items() if not leaf.operands})
    return expression_of(nodes, {leaf: sympy.Symbol(name) for leaf, name in called.items()})


def expression_of(nodes: Sequence[Value], symbols: Mapping[Value, Any]) -> Any:
    """The last of `nodes`, which are in topological order, as an expression of those that have symbols."""
    makes = _Expressions()
    found: dict[Value, Any] = dict(symbols)
    for node in nodes:
        if node in found:
            continue
        if node.operands:
            found[node] = makes.operation(operation(node.op), [found[operand] for operand in node.operands])
        else:
            found[node] = _number(node.data)
    return found[nodes[-1]]


class _Expressions:
    """Makes SymPy expressions without evaluating them; equal ones are one object."""

    def __init__(self) -> None:
        self._made: dict[tuple[Any, ...], Any] = {}
        self._pieces: dict[int, int] = {}  # by the id of the expression; else there is one

    def operation(self, row: Operation, operands: Sequence[Any]) -> Any:
        found: list[Any] = []
        for function, what in _template(row):
            if function is None:
                found.append(operands[what] if isinstance(what, int) else what)
            else:
                found.append(self._make(function, [found[i] for i in what]))
        return found[-1]

    def _make(self, function: Any, operands: list[Any]) -> Any:
        from sympy.functions.elementary.piecewise import ExprCondPair

        key = (function, *map(id, operands))
        made = self._made.get(key)
        if made is None:
            below = [self._pieces.get(id(operand), 1) for operand in operands]
            if issubclass(function, ExprCondPair) and 1 < below[1] <= MOST_PIECES:
                operands, below = [operands[0], without_pieces(operands[1])], below[:1]
            made = self._made[key] = _unevaluated(function, operands)
            if (n := pieces(function, below)) > 1:
                self._pieces[id(made)] = n
            hash(made)  # is kept; later it would have to go through the whole expression, recursively
        return made


def _unevaluated(function: Any, operands: list[Any]) -> Any:
    import sympy
    from sympy.functions.elementary.piecewise import ExprCondPair

    if issubclass(function, (sympy.Max, sympy.Min)):  # which would sort its operands, by going through all of them
        made: Any = sympy.Expr.__new__(function, *operands)
        made._argset = frozenset(operands)
        return made
    if issubclass(function, (sympy.Piecewise, ExprCondPair)):  # which would take conditions apart, however many pieces
        return sympy.Basic.__new__(function, *operands)
    if function is sympy.Mul and operands[0] == -1 and operands[-1].is_Number:
        return -operands[-1]  # x − 1, not x − 1·1
    return function(*operands, evaluate=False)


@lru_cache(maxsize=1024)
def _template(row: Operation) -> list[tuple[Any, Any]]:
    """The steps that make an operation's expression: a function and the places of its operands among the steps.

    Without a function it is an operand, by its number, or a SymPy number.
    """
    import sympy

    symbols = sympy.symbols(f"operand:{row.arity}")
    place = {symbol: i for i, symbol in enumerate(symbols)}
    steps: list[tuple[Any, Any]] = []
    number: dict[Any, int] = {}
    for part in sympy.postorder_traversal(_expression(row, symbols)):
        if part in number:
            continue
        number[part] = len(steps)
        if part in place:
            steps.append((None, place[part]))
        elif not part.args:
            steps.append((None, part))
        else:
            steps.append((part.func, [number[operand] for operand in part.args]))
    return steps


def _expression(row: Operation, symbols: Sequence[Any]) -> Any:
    """The expression of a row for these symbols as operands."""
    import sympy

    if row.family == "**n":
        assert row.constant is not None
        return sympy.Pow(symbols[0], _number(row.constant), evaluate=False)
    if row.expression:  # SymPy differentiates Abs(x) only if it knows that x is real
        return parsed(row, symbols).replace(sympy.Abs, lambda x: sympy.Piecewise((x, x >= 0), (-x, True)))
    made = expression(row.name, symbols)  # of a list
    is_private = isinstance(made, sympy.Function) and not hasattr(sympy, made.func.__name__)
    return sympy.Function(row.name)(*symbols) if is_private else made


def _number(number: float) -> Any:
    import sympy

    is_whole = math.isfinite(number) and number.is_integer() and abs(number) <= LARGEST_INTEGER
    return sympy.Integer(int(number)) if is_whole else sympy.Float(number, precision=53)
