"""`primitive`: an operation of the user's own, one row in the table of operations (ops.py).

A row stays what it is for as long as the process lives, because nodes refer to it by its name: a function that is
defined anew, such as in a cell that is run again, gets a row of its own, and the graphs of the old one keep theirs.
"""

from __future__ import annotations

import keyword
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import update_wrapper
from itertools import count
from types import FunctionType
from typing import TYPE_CHECKING, Any, overload

from tinygrad_scalar.engine import Value, record
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.number import as_float
from tinygrad_scalar.engine.ops import OPERATIONS, Operation, operation
from tinygrad_scalar.primitives.derivative import Derivative, by_values, number_of, obstacle
from tinygrad_scalar.primitives.recipe import Recipe, recipe_of
from tinygrad_scalar.primitives.spelling import expression_by_position, operands_of, text_by_position
from tinygrad_scalar.primitives.trial import require_agreement, require_expression
from tinygrad_scalar.screen import counted

if TYPE_CHECKING:
    from tinygrad_scalar.engine.number import Number

# Names that vectorize gives to steps of its programs; a row of such a name would be taken for one.
TAKEN = {"add", "attach", "distances", "gather", "lookup", "put", "shares", "zero", "LR", "RT", "TR"}


class Primitive:
    """What `primitive` makes of a function: called with Values it records a node, with numbers it returns a number.

    op          the name of its row, and of its nodes: `Value.op`
    operands    what its operands are called
    function    the function that was decorated, and its derivative as it was given
    """

    def __init__(
        self,
        function: Callable[..., Any],
        derivative: Any,
        slopes: Derivative,
        name: str,
        operands: tuple[str, ...],
        place: tuple[str, str],
    ) -> None:
        update_wrapper(self, function)
        self.__name__ = self.op = name
        self.__module__, self.__qualname__ = place
        self.function, self.derivative, self.operands = function, derivative, operands
        self._slopes = slopes

    @overload
    def __call__(self, x: Value, /, *others: Value | Number) -> Value: ...
    @overload
    def __call__(self, x: Number, /) -> float: ...
    @overload
    def __call__(self, /, *operands: Any) -> Any: ...
    def __call__(self, /, *operands: Any, **keywords: Any) -> Any:
        if keywords:
            call = f"{self.__name__}({', '.join(self.operands)})"
            raise TypeError(f"{self.__name__} takes its operands by position, got {', '.join(keywords)}=: write {call}")
        if len(operands) != len(self.operands):
            raise TypeError(
                f"{self.__name__} takes {counted(len(self.operands), 'operand')} ({', '.join(self.operands)}), got "
                f"{len(operands)}"
            )
        for operand in operands:
            if not isinstance(operand, Value):
                return self._of_numbers(operands)
        return record(self.op, *operands)

    def _of_numbers(self, operands: Sequence[Any]) -> Any:
        """The function of operands that are not all Values."""
        numbers = []
        for operand in operands:
            number = None if isinstance(operand, Value) else as_float(operand)
            if number is None and not isinstance(operand, Value):
                return self._of_arrays(operands)
            numbers.append(number)
        return record(self.op, *operands) if None in numbers else OPERATIONS[self.op].forward(*numbers)

    def _of_arrays(self, operands: Sequence[Any]) -> Any:
        """The function of each element of NumPy arrays: an array of numbers, or of Values if any holds Values."""
        numpy = sys.modules.get("numpy")
        for operand in operands:
            is_array = numpy is not None and isinstance(operand, numpy.ndarray) and not hasattr(operand, "mask")
            if not is_array and not isinstance(operand, Value) and as_float(operand) is None:
                raise TypeError(f"{self.__name__} expected a Value, a number or an array of them, got {shown(operand)}")
        assert numpy is not None
        found = numpy.frompyfunc(self, len(operands), 1)(*operands)
        if any(isinstance(operand, Value) or getattr(operand, "dtype", None) == numpy.object_ for operand in operands):
            return found
        return found.astype(numpy.float64) if isinstance(found, numpy.ndarray) else numpy.float64(found)

    def recorded(self, *operands: Value) -> Value:
        """The function as the operations that it is made of; NotImplementedError if it takes only numbers."""
        if why := obstacle(lambda values: [self.function(*values)], self.operands):
            raise NotImplementedError(
                f"{self.__name__} cannot be replaced by the operations it is made of, because {why}"
            )
        result = self.function(*operands)
        return result if isinstance(result, Value) else Value(result)

    def recipe(self, operand: int | None = None) -> Recipe:
        """The operations that the function is made of, or its derivative in one operand.

        They are recorded anew each time, because they can depend on variables. NotImplementedError, which says why, if
        it must be called with numbers.
        """
        if operand is None:
            row = OPERATIONS[self.op]
            return recipe_of(lambda x: self.function(*x), lambda x: row.forward(*x), self.operands)
        slopes, i = self._slopes, operand
        return recipe_of(
            lambda x: slopes.of_operand(i, x), lambda x: slopes.number(slopes.of_operand(i, x)), self.operands
        )

    def __repr__(self) -> str:
        return f"<primitive {self.__name__}({', '.join(self.operands)})>"

    # --- copying and pickling: like a function's, by the name in its module ------------------------------------------

    def __copy__(self) -> Primitive:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Primitive:
        return self

    def __reduce__(self) -> str:
        if not is_importable(self):
            import pickle

            raise pickle.PicklingError(
                f"cannot pickle {self.__name__}: {self.__module__}.{self.__qualname__} is not this primitive. Define "
                "it at the top level of a module, and rebuild graphs that were built before it was defined anew"
            )
        return self.__qualname__


def is_importable(function: Any) -> bool:
    """Whether `function` is what its module has under its name, so that another process can import it."""
    found: Any = sys.modules.get(getattr(function, "__module__", None) or "")
    for name in getattr(function, "__qualname__", "<nameless>").split("."):
        found = getattr(found, name, None)
    return found is function


def primitive(
    function: Callable[..., Any] | None = None,
    /,
    *,
    derivative: Any = None,
    name: str = "",
    symbol: str = "",
    text: str = "",
    expression: str = "",
    check: bool = True,
) -> Any:
    """A decorator that makes a function of numbers an operation of Values.

    The function takes one or more numbers and returns one. The operation takes Values or numbers, or NumPy arrays of
    them, element by element. It is recorded as one node, and everything that reads graphs knows it: `backward`,
    `forward`, `draw`, `step`, `explain`, `check_gradients`, `vectorize`, pickle. It is an activation for `Layer` and
    `MLP` too. Parameters with a default are no operands and keep their default.

    `vectorize` runs a function of Values, such as `x * ts.sigmoid(x)`, as the operations that it is made of, at array
    speed, with the derivative given here. A function of floats alone, with `math.exp` or `if`, is called for each
    number, which `run.explain()` says. Where floats raise, as in 1/0, the result is that of Values, by IEEE 754: ∞.

    derivative  a function of the same operands that returns ∂result/∂operand, for several operands a tuple; or a tuple
                with a function for each operand, None for one that gets no gradient. It is called with numbers; by
                `ts.gradient`, which differentiates again, with Values. For that, write it with functions such as
                `ts.exp` and `ts.where` instead of `math.exp` and `if`; then there are derivatives of any order
    name        what it is called in messages, drawings and text expressions; else the function's name
    symbol      a short sign for drawings, such as "∠"
    text        how it prints, with the operands' names in braces, such as "‖({x}, {y})‖"; else as a call
    expression  the same in SymPy's syntax, such as "x*exp(-x)" (up to three operands); `explain` then has its
                derivative in symbols
    check       whether to compare the derivative with the nudge, at numbers where the function is finite. Pass False
                if they are meant to differ

    A TypeError or ValueError if the derivative is missing, takes or returns too few or too many, or disagrees with the
    nudge; if the function does not return a number; if another operation has the name, or it is no identifier. Nothing
    is registered then.

    >>> import tinygrad_scalar as ts
    >>> @ts.primitive(derivative=lambda x: ts.sigmoid(x) * (1 + x * ts.sigmoid(-x)))
    ... def swish(x):
    ...     return x * ts.sigmoid(x)
    >>> w = ts.Value(0.5, "w")
    >>> C = swish(2 * w)
    >>> C.backward()
    >>> round(C.data, 6), round(w.grad, 6), round(swish(1.0), 6)
    (0.731059, 1.855341, 0.731059)
    >>> ts.MLP(2, [8, 1], activation=swish)
    MLP(2, [8, 1], swish)

    A straight-through estimator (Bengio et al. 2013) rounds, and passes the gradient on as if it did not:

    >>> @ts.primitive(derivative=lambda x: 1.0, check=False)
    ... def rounded(x):
    ...     return round(x)
    >>> x = ts.Value(2.7)
    >>> rounded(x).backward()
    >>> rounded(x).data, x.grad
    (3.0, 1.0)
    """
    if function is not None and not callable(function):
        raise TypeError(f"primitive expected a function to decorate, got {shown(function)}")
    if derivative is None:
        raise TypeError(
            "primitive needs the derivative: @ts.primitive(derivative=lambda x: ...), or a tuple with one for each "
            "operand"
        )
    for what, given in (("name", name), ("symbol", symbol), ("text", text), ("expression", expression)):
        if not isinstance(given, str):
            raise TypeError(f"{what} must be a str, got {shown(given)}")
    if not isinstance(check, bool):
        raise TypeError(f"check must be True or False, got {shown(check)}")

    caller = sys._getframe(1).f_globals.get("__name__", "__main__")

    def decorated(function: Callable[..., Any]) -> Primitive:
        return _registered(function, caller, derivative, name, symbol, text, expression, check)

    return decorated if function is None else decorated(function)


def _registered(
    function: Callable[..., Any],
    caller: str,
    derivative: Any,
    name: str,
    symbol: str,
    text: str,
    expression: str,
    check: bool,
) -> Primitive:
    if not callable(function) or isinstance(function, Primitive):
        raise TypeError(f"primitive expected a function of numbers to decorate, got {shown(function)}")
    name = name or str(getattr(function, "__name__", ""))
    if not name.isidentifier() or keyword.iskeyword(name):
        hint = ": give it one with name=" if name == "<lambda>" or not name else ""
        raise ValueError(f"the name of a primitive must be an identifier, such as swish, got {shown(name)}{hint}")
    operands = operands_of(function, name)
    compute, slopes = _forward(function, name), Derivative(derivative, name, operands)
    made = Primitive(function, derivative, slopes, name, operands, _place(function, name, caller))
    call = f"{name}({', '.join(f'{{{i}}}' for i in range(len(operands)))})"
    row = Operation(
        _free(name), symbol or name, text_by_position(text, operands) if text else call,
        expression_by_position(expression, operands) if expression else "", compute, slopes.local_grads(),
        (f"{name}′({{0}})",) if len(operands) == 1 else (), piecewise=bool(slopes.detached), detached=slopes.detached,
        vjps=slopes.vjps(), primitive=made,
    )  # fmt: skip
    if (before := _same(row)) is not None:
        return before
    made.op = row.name
    OPERATIONS[row.name] = row
    try:
        if check:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # NumPy warns where a function is not finite
                tried = require_agreement(row, operands)
                if expression:
                    require_expression(row, tried)
    except BaseException:
        del OPERATIONS[row.name]
        raise
    return made


def _forward(function: Callable[..., Any], name: str) -> Callable[..., float]:
    """The function as a row has it: its result is a float."""

    def forward(*numbers: float) -> float:
        try:
            result = function(*numbers)
        except ArithmeticError as error:
            result = by_values(lambda values: [function(*values)], numbers, error)[0]
        if type(result) is float:
            return result
        if isinstance(result, complex):
            result = by_values(lambda values: [function(*values)], numbers, result)[0]
        number = number_of(result)
        if number is None:
            hint = "; a Value that it reads must be one of its operands" if isinstance(result, Value) else ""
            raise TypeError(f"{name} must return a number, got {shown(result)}{hint}")
        return number

    return forward


def _place(function: Any, name: str, caller: str) -> tuple[str, str]:
    """The module and the qualified name under which a primitive is found, if it is importable.

    For a lambda, and a function that keeps its own place, such as math.lgamma, it is the name in the calling module.
    """
    qualname = getattr(function, "__qualname__", "<lambda>")
    takes_its_place = isinstance(function, FunctionType) and qualname != "<lambda>" and not is_importable(function)
    return (function.__module__, qualname) if takes_its_place else (caller, name)


def _free(name: str) -> str:
    """The name of a new row: `name`, or where an earlier primitive has it name#2, name#3, …"""
    try:
        is_ours = operation(name).primitive is None
    except ValueError:  # there is none
        is_ours = name == "leaky_relu"
    if is_ours:
        raise ValueError(f"{name} is an operation of tinygrad_scalar: give the primitive another name with name=")
    names = (name if k == 1 else f"{name}#{k}" for k in count(1))
    return next(free for free in names if free not in OPERATIONS and free not in TAKEN)


def _same(row: Operation) -> Primitive | None:
    """The primitive that was defined by the same code in the same place, as when a cell is run again."""
    made = row.primitive
    for earlier in list(OPERATIONS.values()):
        found: Primitive | None = earlier.primitive
        if (
            found is not None
            and (found.__module__, found.__qualname__) == (made.__module__, made.__qualname__)
            and (earlier.symbol, earlier.text, earlier.expression) == (row.symbol, row.text, row.expression)
            and _same_code(found.function, made.function)
            and _same_code(found.derivative, made.derivative)
        ):
            return found
    return None


def _same_code(one: Any, other: Any) -> bool:
    """Whether two functions, or tuples of them, are the same code and read the same variables."""
    if isinstance(one, (tuple, list)):
        is_list = isinstance(other, (tuple, list)) and len(one) == len(other)
        return is_list and all(map(_same_code, one, other))
    if not isinstance(one, FunctionType) or not isinstance(other, FunctionType):
        return one is other
    defaults = zip(_constants(one), _constants(other))
    return (
        one.__code__ == other.__code__
        and one.__globals__ is other.__globals__
        and len(_constants(one)) == len(_constants(other))
        and all(a is b for a, b in defaults)
    )


def _constants(function: FunctionType) -> list[Any]:
    """Its defaults, and the cells of the variables that it takes from a function around it."""
    keywords = function.__kwdefaults__ or {}
    return [*(function.__defaults__ or ()), *keywords, *keywords.values(), *(function.__closure__ or ())]
