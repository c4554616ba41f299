"""Text to Values: "z = w*a + b; C = (sigmoid(z) - y)**2" becomes a graph whose nodes carry these names.

Python's parser reads the text; the nodes of its syntax tree are checked against a list of what is allowed and turned
into Values. Nothing is ever evaluated, so a text can do nothing but arithmetic.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import math
import unicodedata
import warnings
from collections.abc import Callable, Mapping
from functools import partial, reduce
from typing import TYPE_CHECKING, Any

from tinygrad_scalar import functions, lists
from tinygrad_scalar.cli.slips import CONSTANTS, PASTED, RAISED, corrections
from tinygrad_scalar.engine import Value, record
from tinygrad_scalar.engine.ops import OPERATIONS
from tinygrad_scalar.inspection.layout import fitted

if TYPE_CHECKING:
    from tinygrad_scalar.engine.number import Number


class ExpressionError(ValueError):
    """A text that is not an expression of this small language; a hint gives way to a corrected text."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.without_hint = message


_BINARY: dict[type[ast.operator], Callable[[Value, Value], Value]] = {
    ast.Add: lambda x, y: x + y,
    ast.Sub: lambda x, y: x - y,
    ast.Mult: lambda x, y: x * y,
    ast.Div: lambda x, y: x / y,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Gt: functions.greater,
    ast.GtE: functions.greater_equal,
    ast.Lt: functions.less,
    ast.LtE: functions.less_equal,
}
_OF_A_LIST = ("sum", "mean", "norm", "max", "min", "logsumexp")  # functions of any number of arguments
_ALIASES = {"ln": "log"}
_WITHIN = ("neg", "cosine", "copy")  # operations that other functions are made of
# Syntax that the language lacks, and what to write instead.
_INSTEAD: dict[type[ast.AST], str] = {
    ast.BitXor: "write a power with **, as in w**2",
    ast.MatMult: "write a product with *, as in 2*w",
    ast.And: "multiply conditions, as in (x > 0)*(x < 1)",
    ast.Or: "take the maximum of conditions, as in maximum(x < 0, x > 1)",
    ast.Not: "compare the other way round: x <= 0 for not x > 0",
    ast.Eq: "computed numbers are rarely equal; ask for a small distance, as in abs(x - y) < 1e-9",
    ast.NotEq: "computed numbers are rarely equal; ask for a distance, as in abs(x - y) >= 1e-9",
    ast.IfExp: "choose with where(condition, x, y)",
}
_REASONS = {"invalid decimal literal": "a product needs its *, as in 2*w"}  # in place of the parser's own
LONGEST = 38  # characters of a text that an error quotes


def parse(text: str, numbers: Mapping[str, Number]) -> dict[str, Value]:
    """The named Values of `text`, in order: first the `numbers`, then the assigned names.

    text     statements `name = expression`, separated by ";" or line ends; the last can be a bare expression and
             is then called "". Expressions have + - * / **, comparisons (1 where they hold, else 0; chains as well,
             0 < x < 1), parentheses, numbers, names, the functions of `ts.functions` and of the table of operations,
             ln, and sum, mean, norm, max, min and logsumexp of any number of arguments
    numbers  the number of every name that is used before it is assigned; pi, π, e and tau have theirs unless it is
             given or assigned here

    The last entry is the root. Raises ExpressionError (a ValueError), which says where and what was expected.

    >>> names = parse("z = w*a + b; C = (sigmoid(z) - y)**2", {"w": 0.6, "a": 1, "b": -0.6, "y": 0})
    >>> names["C"].data
    0.25
    >>> names["C"].backward()
    >>> names["b"].grad
    0.25
    """
    text = text.translate(PASTED)
    try:
        return _parsed(text, numbers)
    except ExpressionError as error:
        for meant in corrections(text.strip(), [name.translate(PASTED) for name in numbers], _function_names()):
            if meant.split() == text.split():
                continue  # the text can be read; only its numbers are wrong
            try:
                _parsed(meant, numbers, all_used=False)
            except ValueError:
                continue
            if meant == text.strip():
                break
            raise ExpressionError(f"{error.without_hint}; did you mean '{' '.join(meant.split())}'?") from None
        raise


def _parsed(text: str, numbers: Mapping[str, Number], all_used: bool = True) -> dict[str, Value]:
    values = _given(numbers)
    given_names = list(values)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    text = "\n".join(line.strip(" \t") for line in lines).strip("\n")
    builder = _Builder(text, values)
    statements = _statements(text)
    for i, statement in enumerate(statements):
        if isinstance(statement, ast.Assign):
            builder.assign(statement)
        elif isinstance(statement, ast.Expr) and i == len(statements) - 1:
            values[""] = builder.build(statement.value)
        elif isinstance(statement, ast.Expr):
            raise builder.error(statement, "only the last statement can go without a name; write name = …")
        else:
            raise builder.error(statement, "expected `name = expression`")
    unused = [name for name in given_names if name not in builder.used]
    if unused and all_used:
        raise ExpressionError(
            f"got a number for {fitted(', '.join(unused), LONGEST)}, which {_quoted(text)} does not use"
        )
    return values


def _given(numbers: Mapping[str, Number]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for given, number in numbers.items():
        name = unicodedata.normalize("NFKC", given)  # as Python reads the names in the text
        if not name.isidentifier() or set(given) & set(RAISED):  # w² is not w2
            raise ExpressionError(
                f"{_quoted(given)} is not a name; expected letters, digits and _, not starting with a digit, such as w1"
            )
        if name in values:
            raise ExpressionError(f"{fitted(name, LONGEST)} was given two numbers")
        values[name] = Value(number, name)
    return values


def _statements(text: str) -> list[ast.stmt]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Python only warns about texts such as 1or 2
            statements = ast.parse(text).body
    except SyntaxError as error:
        reason = error.msg.split(". ")[0]  # Python goes on: "Maybe you meant '=='", which is not in this language
        reason = _REASONS.get(reason, reason)
        place = f" at column {error.offset}" if error.offset else ""
        lines = text.split("\n")
        if len(lines) > 1 and error.lineno is not None and 0 < error.lineno <= len(lines):
            text, place = lines[error.lineno - 1], place.replace(" at column", f" in line {error.lineno}, column")
        raise ExpressionError(f"cannot read {_quoted(text)}{place}: {reason}") from None
    except (RecursionError, MemoryError):
        raise ExpressionError("the expression is too long or too deeply nested for Python's parser") from None
    except ValueError as error:  # a null byte, a number with thousands of digits
        raise ExpressionError(f"cannot read the expression: {error}") from None
    if not statements:
        raise ExpressionError("the expression is empty; write something like 'z = w*a + b'")
    return statements


class _Builder:
    """Builds Values from parsed expressions, without recursion."""

    def __init__(self, text: str, values: dict[str, Value]) -> None:
        self.text = text
        self.values = values
        self.used: set[str] = set()

    def error(self, node: ast.stmt | ast.expr, message: str, hint: str = "") -> ExpressionError:
        line = self.text.split("\n")[node.lineno - 1]
        column = len(line.encode()[: node.col_offset].decode()) + 1
        place = f"line {node.lineno}, column {column}" if "\n" in self.text else f"column {column}"
        found = ast.get_source_segment(self.text, node) or line
        if message.startswith(f"{fitted(found, LONGEST)} "):  # it need not be quoted too
            return ExpressionError(f"{place}: {message}", hint)
        return ExpressionError(f"{_quoted(found)} ({place}): {message}", hint)

    def assign(self, statement: ast.Assign) -> None:
        target = statement.targets[0]
        if len(statement.targets) != 1 or not isinstance(target, ast.Name):
            raise self.error(statement, "expected one name on the left, such as z = …")
        if target.id in self.values:
            raise self.error(statement, f"{fitted(target.id, LONGEST)} already has a value; use another name")
        if target.id in self.used:
            raise self.error(
                statement, f"{target.id} stood for {CONSTANTS[target.id]:.6g} before this; assign it first or rename it"
            )
        value = self.build(statement.value)
        if value.label:  # z = w gives the same number a second name: a node of its own keeps both
            value = value + 0.0
        value.label = target.id
        self.values[target.id] = value

    def build(self, expression: ast.expr) -> Value:
        """The Value of an expression, taken apart on one stack and put together on another."""
        todo: list[tuple[ast.expr, bool]] = [(expression, False)]
        done: list[Value] = []
        while todo:
            node, parts_done = todo.pop()
            parts, combine = self.take_apart(node)
            if parts and not parts_done:
                todo.append((node, True))
                todo.extend((part, False) for part in reversed(parts))
                continue
            operands = done[len(done) - len(parts) :]
            del done[len(done) - len(parts) :]
            done.append(combine(*operands))
        return done[0]

    def take_apart(self, node: ast.expr) -> tuple[list[ast.expr], Callable[..., Value]]:
        """The parts of an expression, and the function that makes its Value from theirs."""
        if isinstance(node, ast.Constant):
            return [], lambda: self.constant(node)
        if isinstance(node, ast.Name):
            return [], lambda: self.named(node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            exponent = _plain_number(node.right)
            if exponent is None:
                return [node.left, node.right], lambda x, y: x**y
            return [node.left], lambda x: x**exponent
        if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            return [node.left, node.right], _BINARY[type(node.op)]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            number = _plain_number(node)
            return ([node.operand], lambda x: -x) if number is None else ([], lambda: _bare(number))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd):
            return [node.operand], lambda x: x
        if isinstance(node, ast.Compare) and all(type(sign) in _COMPARISONS for sign in node.ops):
            return [node.left, *node.comparators], partial(_compared, [_COMPARISONS[type(sign)] for sign in node.ops])
        if isinstance(node, ast.Call):
            return node.args, self.function(node)
        instead = next((_INSTEAD[kind] for kind in _kinds(node) if kind in _INSTEAD), "")
        raise self.error(
            node, instead or "not arithmetic; use + - * / **, comparisons (> >= < <=), numbers, names and functions"
        )

    def constant(self, node: ast.Constant) -> Value:
        number = _plain_number(node)
        if number is None:
            raise self.error(node, "not a number")
        try:
            finite = math.isfinite(number)
        except OverflowError:
            finite = False
        if not finite:
            raise self.error(node, "larger than the largest float64, about 1.8e308")
        return _bare(number)

    def named(self, node: ast.Name) -> Value:
        self.used.add(node.id)
        value = self.values.get(node.id)
        if value is None and node.id in CONSTANTS:
            return _bare(CONSTANTS[node.id])
        if value is None:
            if node.id in _function_names():
                raise self.error(node, f"{node.id} is a function; give it arguments in parentheses")
            raise self.error(node, f"{fitted(node.id, LONGEST)} has no number; give {fitted(node.id, LONGEST)}=…")
        return value

    def function(self, node: ast.Call) -> Callable[..., Value]:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        known = _function_names()
        if name not in known:
            import numpy

            taken = hasattr(math, name) or hasattr(numpy, name)  # log2 is no slip of log
            near = [] if taken else difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the functions are {fitted(', '.join(known), 200)}"
            raise self.error(node, "no such function", hint)
        if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
            raise self.error(node, f"{name} takes its arguments by position, without name= or *")
        function, arity = _function(name)
        if arity is None and not node.args:
            raise self.error(node, f"{name} takes at least 1 argument, got 0")
        if arity is not None and len(node.args) != arity:
            raise self.error(node, f"{name} takes {arity} argument{'s' * (arity > 1)}, got {len(node.args)}")
        return function


def _function_names() -> list[str]:
    """The callable functions: those of ts.functions except `lookup`, which takes lists, and the named operations."""
    operations = (name for name in OPERATIONS if name.isidentifier() and name not in _WITHIN)
    known = dict.fromkeys((*functions.__all__, *operations, *_OF_A_LIST, *_ALIASES))
    return [name for name in known if name != "lookup"]


def _function(name: str) -> tuple[Callable[..., Value], int | None]:
    """The function of this name, and its number of arguments; None for any number from 1."""
    name = _ALIASES.get(name, name)
    if name in _OF_A_LIST:
        of_a_list: Callable[..., Value] = getattr(lists, name)
        return lambda *values: of_a_list(values), None
    if name not in functions.__all__:
        return partial(record, name), OPERATIONS[name].arity
    function: Callable[..., Value] = getattr(functions, name)
    parameters = inspect.signature(function).parameters.values()
    return function, sum(parameter.default is parameter.empty for parameter in parameters)


def _plain_number(node: ast.expr) -> float | None:
    """The number of a literal with its sign, or None for anything else."""
    sign = 1
    while isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        sign = -sign if isinstance(node.op, ast.USub) else sign
        node = node.operand
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return sign * node.value
    return None


def _bare(number: float) -> Value:
    """A number of a formula, as the engine makes one of the 2 in 2 * x; a Value that is made has a name."""
    return (Value(0.0) + number).operands[1]


def _compared(signs: list[Callable[[Value, Value], Value]], *values: Value) -> Value:
    """1 if every comparison of a chain such as 0 < x < 1 holds, else 0."""
    holds = [sign(x, y) for sign, x, y in zip(signs, values, values[1:])]
    return reduce(_BINARY[ast.Mult], holds)


def _kinds(node: ast.expr) -> list[type[ast.AST]]:
    """What the node is, by its operators first."""
    operators = [getattr(node, "op", None), *getattr(node, "ops", [])]
    return [*map(type, operators), type(node)]


def _quoted(text: str) -> str:
    """A text as an error quotes it, on one line and shortened."""
    shortened = fitted(text, LONGEST)
    return f'"{shortened}"' if "'" in shortened else f"'{shortened}'"
