"""A clock that a function reads only to print or to log how long something took, as a timing decorator does.

That is proved from the source of the function that reads the clock: the reading goes into local variables, arithmetic
and text, and from there into nothing but `print`, a logger, an `if` with only those inside, or a global list or dict of
numbers that nothing else reads. It is not proved where a reading is returned, kept in an attribute, passed to another
function or decides what is computed.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from types import CodeType
from typing import Any, TypeGuard, cast

from tinygrad_scalar.vectorize.code_names import names_in
from tinygrad_scalar.vectorize.held_places import Elements, Entry, Place, Slot
from tinygrad_scalar.vectorize.reach import Reach

HARMLESS = {"abs", "float", "format", "int", "repr", "round", "str"}  # they keep nothing
LISTS = (list, dict, Counter, defaultdict, deque)
LEVELS = {"critical", "debug", "error", "exception", "info", "log", "warning"}
TELL_VARIABLES = {"eval", "exec", "locals", "vars"}
STREAMS = ("sys.stdout", "sys.stderr")
APART = (ast.Lambda, ast.comprehension, ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)


def is_only_shown(code: CodeType, lines: set[int], variables: dict[str, Any], reach: Reach) -> bool:
    """Whether what `code` reads from clocks in those lines is only printed, logged or put into lists that nobody reads.

    `variables` are its globals; `reach` is what the whole function can read.
    """
    function = _definition(code)
    if function is None or not TELL_VARIABLES.isdisjoint(code.co_names):
        return False
    reading = _Reading(code, lines, variables)
    if not lines.issubset(line for call in _calls(function) for line in _lines(call)):
        return False  # it is read in another way than by a call
    known = -1
    while known != (known := len(reading.names)):  # until no other variable gets it
        if not all(reading.stays_within(statement) for statement in function.body):
            return False
    return all(
        reading.uses_only_to_keep(name, function) and _is_read_by_no_other(code, name, variables, reach)
        for name in reading.lists
    )


def _is_read_by_no_other(code: CodeType, name: str, variables: dict[str, Any], reach: Reach) -> bool:
    """Whether only `code` can read the global list, and it holds nothing that could pass on a number."""
    kept: Any = variables.get(name)
    if type(kept) not in LISTS or not reach.is_complete:
        return False
    elements = [*kept.values()] if isinstance(kept, dict) else [*kept]
    if not {int, float, list}.issuperset(map(type, elements)):
        return False
    others = [names_in(other) for other in reach.codes if other is not code]
    if any(name in other.variables or name in other.attributes for other in others):
        return False
    alone = [kept, *(element for element in elements if type(element) is list)]
    return all(len({where for place in reach.places for where in _where(place, part)}) == 1 for part in alone)


def _where(place: Place, kept: object) -> list[tuple[int, str]]:
    """The place, if it holds the list; functions with the same globals have the same place."""
    if isinstance(place, Elements):
        return [(id(place.container), "")] * any(element is kept for element in place.held)
    if isinstance(place, (Entry, Slot)) and place.held is kept:
        return [(id(place[0]), place.name)]
    return []


def _definition(code: CodeType) -> ast.FunctionDef | None:
    """The `def` of a function's code, with the file's line numbers."""
    try:
        lines, first = inspect.getsourcelines(code)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError, IndentationError):
        return None
    ast.increment_lineno(tree, first - 1)
    for text in ast.walk(tree):
        if isinstance(text, ast.JoinedStr):  # before Python 3.12, what is in it has other lines
            for part in ast.walk(text):
                if isinstance(part, ast.expr):
                    part.lineno, part.end_lineno = text.lineno, text.end_lineno
    function = tree.body[0] if tree.body else None
    return function if isinstance(function, ast.FunctionDef) and function.name == code.co_name else None


class _Reading:
    """What certain lines read, and the local variables to which it spreads."""

    def __init__(self, code: CodeType, lines: set[int], variables: dict[str, Any]) -> None:
        self.names: set[str] = set()
        self.lists: set[str] = set()  # global ones into which a reading is put
        self._lines, self._variables = lines, variables
        self._locals = set(code.co_varnames) - set(code.co_cellvars)
        self._not_global = {*code.co_varnames, *code.co_cellvars, *code.co_freevars}

    def stays_within(self, statement: ast.stmt, is_watched: bool = False) -> bool:
        """Whether the statement lets no reading out; `is_watched` if an exception in it changes what is computed."""
        if not self.is_in(statement):
            return True
        if isinstance(statement, ast.Try):
            parts = [*statement.body, *statement.orelse, *statement.finalbody]
            parts += [part for handler in statement.handlers for part in handler.body]
            return all(self.stays_within(part, is_watched or bool(statement.handlers)) for part in parts)
        if isinstance(statement, ast.If):
            parts = [*statement.body, *statement.orelse]
            if not self.is_in(statement.test):
                return all(self.stays_within(part, is_watched) for part in parts)
            return self._is_plain(statement.test) and all(map(self._is_shown, parts)) and not self._call_others(parts)
        if isinstance(statement, (ast.With, ast.For, ast.While)):
            header = [part for part in ast.iter_child_nodes(statement) if not isinstance(part, ast.stmt)]
            parts = [*statement.body, *getattr(statement, "orelse", [])]
            return not any(map(self.is_in, header)) and all(self.stays_within(part, True) for part in parts)
        if is_watched:
            return False
        if isinstance(statement, (ast.Expr, ast.Assign, ast.AugAssign)) and (name := self._list_of(statement)):
            self.lists.add(name)
            return self._is_put_there(statement)
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
            return self._is_kept_in_variables(statement, statement.value)
        return self._is_shown(statement)

    def is_in(self, node: ast.AST) -> bool:
        """Whether the node reads the clock, or a variable with a reading."""
        return any(
            (isinstance(part, ast.Name) and part.id in self.names)
            or (isinstance(part, ast.Call) and not self._lines.isdisjoint(_lines(part)))
            for part in ast.walk(node)
        )

    def _is_kept_in_variables(self, statement: ast.Assign | ast.AnnAssign, value: ast.expr) -> bool:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        if len(names) < len(targets) or not self._locals.issuperset(names):
            return False
        self.names.update(names)
        return self._is_plain(value)

    def _is_shown(self, statement: ast.stmt) -> bool:
        """Whether it only prints or logs."""
        if isinstance(statement, ast.Pass):
            return True
        if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
            return False
        call = statement.value
        if not self._prints(call) and not self._logs(call):
            return False
        return all(self._is_plain(part) for part in (*call.args, *(keyword.value for keyword in call.keywords)))

    def _list_of(self, statement: ast.AST) -> str:
        """The global list or dict for `times.append(…)`, `times[k] = …`, `times[k] += …`, or `times[k].append(…)`."""
        into: ast.AST | None = None
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            method = statement.value.func
            into = method.value if isinstance(method, ast.Attribute) and method.attr == "append" else None
        elif isinstance(statement, (ast.Assign, ast.AugAssign)):
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            into = target if isinstance(target, ast.Subscript) else None
        if isinstance(into, ast.Subscript):
            into = into.value
        return into.id if isinstance(into, ast.expr) and self._is_global(into) else ""

    def _is_put_there(self, statement: ast.Expr | ast.Assign | ast.AugAssign) -> bool:
        """Whether it puts a reading into one place, which the reading does not choose."""
        if isinstance(statement, ast.Expr):
            call = cast(ast.Call, statement.value)
            place, given = call.func, call.args
        else:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            place, given = targets[0], [statement.value]
            if len(targets) > 1:
                return False
        return not self.is_in(place) and not _calls(place) and all(map(self._is_plain, given))

    def uses_only_to_keep(self, name: str, function: ast.FunctionDef) -> bool:
        """Whether the function does nothing else with the list."""
        uses = sum(isinstance(part, ast.Name) and part.id == name for part in ast.walk(function))
        return uses == sum(self._list_of(part) == name for part in ast.walk(function))

    def _prints(self, call: ast.Call) -> bool:
        streams = [ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg in ("file", None)]
        return self._is_builtin(call.func, {"print"}) and set(streams).issubset(STREAMS)

    def _logs(self, call: ast.Call) -> bool:
        if not isinstance(call.func, ast.Attribute) or call.func.attr not in LEVELS:
            return False
        import logging  # the user's code has done so, if it logs

        owner = call.func.value
        held = self._variables.get(owner.id) if self._is_global(owner) else None
        return held is logging or type(held) in (logging.Logger, logging.RootLogger)

    def _is_global(self, node: ast.expr) -> TypeGuard[ast.Name]:
        return isinstance(node, ast.Name) and node.id not in self._not_global

    def _is_builtin(self, node: ast.expr, names: set[str]) -> bool:
        if not self._is_global(node) or node.id not in names:
            return False
        return self._variables.get(node.id) is None or self._variables[node.id] is getattr(builtins, node.id)

    def _is_plain(self, value: ast.expr) -> bool:
        """Whether the expression gives a reading to nobody but built-in operations that keep nothing."""
        return all(map(self._gives_it_to_nobody, ast.walk(value)))

    def _gives_it_to_nobody(self, part: ast.AST) -> bool:
        if isinstance(part, APART):
            return False
        if isinstance(part, (ast.BinOp, ast.Compare)) and self.is_in(part):
            operands = [operand for operand in ast.iter_child_nodes(part) if isinstance(operand, ast.expr)]
            return all(isinstance(operand, ast.Constant) or self.is_in(operand) for operand in operands)
        if isinstance(part, (ast.IfExp, ast.BoolOp)) and self.is_in(part):
            return not self._call_others([part])
        if not isinstance(part, ast.Call) or self._is_harmless(part):
            return True
        given = [*part.args, *(keyword.value for keyword in part.keywords)]
        return not any(map(self.is_in, given)) and not any(map(_calls, given))

    def _call_others(self, nodes: Sequence[ast.AST]) -> bool:
        """Whether they call something that can change what is computed."""
        return not all(
            self._is_harmless(call) or self._prints(call) or self._logs(call) or not (call.args or call.keywords)
            for node in nodes
            for call in _calls(node)
        )

    def _is_harmless(self, call: ast.Call) -> bool:
        of_text = isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Constant)
        return of_text or self._is_builtin(call.func, HARMLESS)


def _lines(call: ast.Call) -> range:
    return range(call.lineno, (call.end_lineno or call.lineno) + 1)


def _calls(node: ast.AST) -> list[ast.Call]:
    return [part for part in ast.walk(node) if isinstance(part, ast.Call)]
