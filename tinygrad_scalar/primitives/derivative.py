"""The derivative of a primitive, as its author wrote it: one function, or a tuple with one for each operand.

`backward()` calls it with numbers. A derivative that is itself recorded (`ts.gradient`) calls it with Values; what it
computes then becomes part of the graph, and must hold for other numbers too. So it must not look at any, as a function
that `vectorize` traces must not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

from tinygrad_scalar.engine import Value, recorded, tracing
from tinygrad_scalar.engine.errors import WAYS_OUT, shown
from tinygrad_scalar.engine.graph import leaves
from tinygrad_scalar.engine.number import as_float
from tinygrad_scalar.primitives.points import points
from tinygrad_scalar.screen import counted

Function = Callable[..., Any]
WRITE_IT = "Write it with functions of Values, such as ts.exp"


class Derivative:
    """The derivative `given` for the operation `name`, whose operands are called `operands`.

    Raises TypeError or ValueError if it is no function, or a tuple of too few or too many.
    """

    def __init__(self, given: Any, name: str, operands: Sequence[str]) -> None:
        self.name, self._operands = name, tuple(operands)
        n = len(operands)
        functions = tuple(given) if isinstance(given, (tuple, list)) else (given,)
        if isinstance(given, (tuple, list)) and len(given) != n:
            raise ValueError(
                f"{name} takes {counted(n, 'operand')} ({', '.join(operands)}), but got "
                f"{counted(len(given), 'derivative')}: give one for each, or None for an operand that gets no gradient"
            )
        self.detached = tuple(i for i, function in enumerate(functions) if function is None)
        if given is None or not all(map(callable, (function for function in functions if function is not None))):
            raise TypeError(
                f"the derivative of {name} must be a function, or a tuple with one for each operand (None for an "
                f"operand that gets no gradient), got {shown(given)}"
            )
        for function in functions:
            if function is not None and (taken := _other_operands(function, n)):
                raise TypeError(
                    f"the derivative of {name} must take the same {counted(n, 'operand')} ({', '.join(operands)}), got "
                    f"{getattr(function, '__name__', 'a function')}{taken}"
                )
        self._functions: tuple[Function | None, ...] | None = None
        if isinstance(given, (tuple, list)):
            self._functions = functions
        else:
            self._together: Function = given

    def local_grads(self) -> Callable[..., tuple[float, ...]]:
        """∂v/∂operand for each operand, of v and the operands, as a row of the table has them."""
        if self._functions is not None or len(self._operands) > 1:
            return lambda _, *numbers: tuple(
                [slope if type(slope) is float else self.number(slope) for slope in self._of_numbers(numbers)]
            )
        function = self._together

        def slope_of_one(_: float, x: float) -> tuple[float]:
            try:
                slope = function(x)
            except ArithmeticError as error:
                slope = by_values(self._slopes, [x], error)[0]
            if isinstance(slope, complex):
                slope = by_values(self._slopes, [x], slope)[0]
            return (slope if type(slope) is float else self.number(self._checked(slope)[0]),)

        return slope_of_one

    def vjps(self) -> tuple[Function | None, ...]:
        """The same as functions of Values, as a row of the table has them."""
        return tuple(
            None if i in self.detached else lambda u, _, *operands, i=i: self._recorded(u, i, operands)
            for i in range(len(self._operands))
        )

    def of_operand(self, i: int, operands: Sequence[Any]) -> Any:
        """∂v/∂(operand i), of numbers or of Values."""
        return self._functions[i](*operands) if self._functions is not None else self._slopes(operands)[i]  # type: ignore[misc]

    def _of_numbers(self, numbers: Sequence[float]) -> Sequence[Any]:
        try:
            slopes = self._slopes(numbers)
        except ArithmeticError as error:
            answer: Sequence[Any] = by_values(self._slopes, numbers, error)
            return answer
        return by_values(self._slopes, numbers, slopes) if complex in map(type, slopes) else slopes

    def _slopes(self, operands: Sequence[Any]) -> Sequence[Any]:
        if self._functions is not None:
            return [0.0 if function is None else function(*operands) for function in self._functions]
        return self._checked(self._together(*operands))

    def _checked(self, found: Any) -> Sequence[Any]:
        """What the one function returned, as one slope for each operand."""
        n = len(self._operands)
        if n == 1 and not isinstance(found, (tuple, list)):
            return (found,)
        slopes = None if isinstance(found, (str, bytes, Value)) or not hasattr(found, "__len__") else list(found)
        if slopes is None or len(slopes) != n:
            got = shown(found) if slopes is None else str(len(slopes))
            raise TypeError(
                f"the derivative of {self.name} must return {counted(n, 'number')}, one for each operand "
                f"({', '.join(self._operands)}), got {got}"
            )
        return slopes

    def number(self, slope: Any) -> float:
        number = number_of(slope)
        if number is None:
            raise TypeError(f"the derivative of {self.name} must return a number, got {shown(slope)}")
        return number

    def _recorded(self, u: Any, i: int, operands: Sequence[Any]) -> Any:
        """u·∂v/∂operand as a Value."""
        if self.looks:
            raise NotImplementedError(
                f"the derivative of {self.name} cannot be recorded, to be differentiated again, because "
                f"{self.looks}; backward() gives the gradient as a number"
            )
        slope = self.of_operand(i, operands)
        if not isinstance(slope, Value):
            slope = self.number(slope)
            return 0.0 if slope == 0.0 and self.detached else u * slope
        # Such a row is piecewise: a slope of 0 passes nothing on, not even an infinite u.
        return recorded.where(slope, u * slope, 0.0) if self.detached else u * slope

    @cached_property
    def looks(self) -> str:
        """Why the derivative cannot be recorded; "" if it can."""
        return obstacle(self._slopes, self._operands)


def obstacle(
    compute: Callable[[Sequence[Value]], Sequence[Any]], operands: Sequence[str], *, refusing: bool = False
) -> str:
    """Why the numbers that `compute` makes of operands cannot be recorded with Values instead; "" if they can.

    With `refusing`, that it refuses some numbers is a reason too.
    """
    for point in points(len(operands)):
        values = [Value(number, name) for number, name in zip(point, operands)]
        try:
            with tracing.followed_by(Watch(values, refusing=refusing)):
                found = compute(values)
            others = [result for result in found if not isinstance(result, Value) and number_of(result) is None]
            return f"it returned {shown(others[0])} for Values" if others else ""
        except _LookedError as looked:
            return f"it looks at the number of an operand: {looked}"
        except ArithmeticError:  # a point outside of its domain
            continue
        except Exception as error:
            return f"it works with numbers only: with Values it raised {type(error).__name__}: {error}. {WRITE_IT}"
    return ""


def by_values(
    compute: Callable[[Sequence[Value]], Sequence[Any]], numbers: Sequence[float], found: Any
) -> Sequence[Any]:
    """What `compute` makes of Values, by IEEE 754, where floats raised an error or became complex: `found`.

    If it is not made for Values, the error is raised, or what was found is returned.
    """
    try:
        results = compute([Value(number) for number in numbers])
        return [result.data if isinstance(result, Value) else result for result in results]
    except Exception:
        if isinstance(found, Exception):
            raise found from None
        return found if isinstance(found, (list, tuple)) else [found]


def number_of(result: Any) -> float | None:
    """What a user's function returned as a float; None if it is no number. np.where gives arrays without axes."""
    return as_float(result[()] if getattr(result, "shape", None) == () and hasattr(result, "dtype") else result)


class _LookedError(Exception):
    """A number was looked at; not an error that the derivative itself would handle."""


class Watch:
    """A tracer that lets nobody look at a number that depends on `operands`, nor refuse some if it is `refusing`."""

    def __init__(self, operands: Iterable[Value], *, refusing: bool = False) -> None:
        self._operands, self._refusing = set(operands), refusing

    def traces(self, value: Any) -> bool:
        return not self._operands.isdisjoint(leaves(value))

    def forbid(self, value: Any, use: str) -> None:
        if self.traces(value):
            raise _LookedError(WAYS_OUT[use])

    def lookup(self, table: Any, index: Any) -> Any:
        raise _LookedError("it chose a row of a table with ts.lookup")

    def cond(self, condition: Any, then: Any, otherwise: Any) -> Any:
        raise _LookedError("ts.cond decided on it once and for all: use ts.where")

    def guard(self, value: Any, refused: Callable[[Any], Any], message: Callable[[float], str]) -> None:
        if self._refusing:
            raise _LookedError("it refuses some numbers")  # otherwise it chooses nothing by them


def _other_operands(function: Function, n: int) -> str:
    """The signature of a function that cannot be called with n operands; "" if it can, or if that cannot be known."""
    import inspect

    try:
        signature = inspect.signature(function)
    except ValueError:  # a function in C that has no signature
        return ""
    try:
        signature.bind(*range(n))
    except TypeError:
        return str(signature)
    return ""
