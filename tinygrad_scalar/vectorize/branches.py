"""`ts.cond` in a traced function: both sides are recorded, and each example takes its own.

The results of the two sides meet in operations "cond", which choose as "where" does; but a gradient goes only through
the side that an example takes, so that nothing leaks from the other one, however steep it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinygrad_scalar.engine import Value, errors, record, tick
from tinygrad_scalar.engine.number import as_float
from tinygrad_scalar.vectorize.cached_property import cached_property
from tinygrad_scalar.vectorize.effects import MOST_ELEMENTS, Surroundings, UndoError
from tinygrad_scalar.vectorize.outputs import in_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.engine import Tape

ACCEPTED = (0.0, 1.0, 0.5, -1.0)  # numbers of which each guard accepts one: it stands in where a guard is not reached


# The number of a condition within a side, after where this side is; for a side its name follows.
Where: TypeAlias = tuple[int | str, ...]


class Side:
    """A side that runs, with those around it; `own` gives 1 where its own condition is met, and 0 elsewhere.

    start  the time before it
    """

    def __init__(self, outer: Side | None, own: Callable[[], Value]) -> None:
        self._outer, self._own, self.start = outer, own, tick()

    @cached_property
    def reached(self) -> Value:
        """1 in the examples that get there, 0 in the others; most sides have nothing to ask for it."""
        own = self._own()
        return own if self._outer is None else record("where", self._outer.reached, own, 0.0)


class Branches:
    """The conditions under which the code that is being traced runs.

    within  the side that runs; None outside of all
    apart   whether the sides run in the other order, and what one changes outside of it is undone (effects.py)
    keeps   which changes are not undone: "first" those of each thing, "taken" those of the side that an example takes:
            the one that `taken` has for the condition, or `then`
    undone  for each change the line and the side, and what was changed, in words
    changed  the sides that changed something
    met     whether there was a condition
    guards, lookups  what the tracer notes, in the order in which `then` runs before `otherwise`
    """

    met = False

    def __init__(self, *, apart: bool = False, keeps: str = "", taken: Mapping[Where, str] | None = None) -> None:
        self.within: Side | None = None
        self.apart, self.keeps, self._taken = apart, keeps, taken or {}
        self.changed: list[Where] = []
        self._where: Where = ()  # the side that runs
        self._met_there = 0
        self.undone: list[tuple[str, str]] = []
        self.guards: list[Any] = []
        self.lookups: dict[Value, Any] = {}
        self._watched = 0
        self._known: dict[Any, Surroundings] = {}  # by code: in a loop many sides have the same

    def joined(self, condition: Value, then: Any, otherwise: Any) -> Any:
        """What `cond` returns: both sides, joined by operations that choose."""
        if not self.met:
            self.met, self._one, self._zero = True, Value(1.0), Value(0.0)
        one, zero = self._one, self._zero
        holds = record("where", condition, one, zero)

        def fails() -> Value:
            return record("where", condition, zero, one)

        where = (*self._where, self._met_there)
        self._met_there += 1
        if self.apart and self._taken.get(where) != "otherwise":  # what is kept runs last
            n_guards, n_lookups = len(self.guards), len(self.lookups)
            second = self._side(fails, otherwise, (*where, "otherwise"))
            guards, lookups = self.guards[n_guards:], [*islice(reversed(self.lookups), len(self.lookups) - n_lookups)]
            first = self._side(lambda: holds, then, (*where, "then"))
            self.guards[n_guards:] = self.guards[n_guards + len(guards) :] + guards
            for looked_up in reversed(lookups):
                self.lookups[looked_up] = self.lookups.pop(looked_up)
            return _joined(holds, first, second)
        first = self._side(lambda: holds, then, (*where, "then"))
        return _joined(holds, first, self._side(fails, otherwise, (*where, "otherwise")))

    def _side(self, own: Callable[[], Value], side: Any, where: Where) -> Any:
        if not callable(side):
            return side
        name = str(where[-1])
        surroundings = self._surroundings(side, name) if self.apart and self._watched < MOST_ELEMENTS else None
        outer, outer_where = self.within, (self._where, self._met_there)
        self.within, self._where, self._met_there = Side(outer, own), where, 0
        try:
            found = side()
        except errors.TraceError:
            raise
        except Exception as error:
            if self.within.reached._data != 0.0:  # so it does without vectorize
                raise
            raise _error_in_a_side(name, error) from error
        finally:
            self.within, (self._where, self._met_there) = outer, outer_where
        if surroundings is not None:
            self._watched += surroundings.size()
            if not surroundings.are_as_before():
                self._undo(surroundings, where)
            if type(side) is FunctionType:
                self._known[side.__code__] = surroundings
        return found

    def _undo(self, surroundings: Surroundings, where: Where) -> None:
        name = where[-1]
        known = {what for _, what in self.undone} if self.keeps == "first" else None
        if self.keeps == "taken" and self._taken.get(where[:-1], "then") == name:
            known = set()
        try:
            undone = surroundings.undo(known)
        except UndoError as error:
            raise _iterator_in_a_side(f"`{name}` changed {error}") from None
        self.changed.append(where)
        self.undone += [(f"{errors.user_line()}: `{name}`", what) for what in undone]

    def _surroundings(self, side: Any, name: str) -> Surroundings:
        known = self._known.pop(side.__code__, None) if type(side) is FunctionType else None  # sides can be nested
        if known is not None and known.follow(side):
            return known
        found = Surroundings(side)
        if found.unknown:
            kind = type(found.unknown[0]).__name__
            raise _iterator_in_a_side(f"`{name}` can use a {kind}, of which nothing tells how far it is")
        return found

    def where_reached(self, value: Value, stand_in: float) -> Value:
        """The value, or another number in examples that do not get here."""
        return value if self.within is None else record("where", self.within.reached, value, stand_in)


def _iterator_in_a_side(found: str) -> errors.TraceError:
    return errors.TraceError(
        f"{errors.user_line()}: a side of ts.cond must not change anything outside of it that cannot be undone, such "
        "as how far an iterator is or a file is read, since vectorize runs both sides for all examples. Take what "
        f"comes next before the condition, as in k = next(numbers); s = ts.cond(c, lambda: k * s, lambda: s)\n  {found}"
    )


def _error_in_a_side(name: str, error: Exception) -> errors.TraceError:
    return errors.TraceError(
        f"{errors.user_line()}: the side `{name}` of ts.cond raised {type(error).__name__}: {error}. vectorize runs "
        "both sides, also for examples that take the other one, so neither can raise an error. Compute with Values "
        "there, which give nan or ∞ instead; or, if the condition is the same for all examples, use a plain `if`"
    )


def accepted_by(refused: Callable[[Any], Any]) -> float:
    """A number that a guard accepts."""
    return next(number for number in ACCEPTED if not refused(number))


def row_guard(rows: int) -> tuple[Callable[[Any], Any], Callable[[float], str]]:
    """The guard of an index into a table of that many rows."""
    return partial(_is_no_row, rows), partial(_no_row, rows)


def _is_no_row(rows: int, index: Any) -> Any:
    return (index < 0) | (index >= rows)


def _no_row(rows: int, index: float) -> str:
    return f"lookup expected a row from 0 to {rows - 1}, got {index:.0f}"


def _joined(holds: Value, first: Any, second: Any) -> Any:
    if _are_values(first, second):
        return first if first is second else record("cond", holds, first, second)
    if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
        return {key: _joined(holds, first[key], second[key]) for key in first}
    nested = [
        isinstance(side, (list, tuple, np.ndarray)) and getattr(side, "shape", None) != () for side in (first, second)
    ]
    if all(nested) and len(first) == len(second):
        both = [_joined(holds, x, y) for x, y in zip(first, second)]
        if isinstance(first, np.ndarray):
            return np.array(both, object)
        return type(first)(*both) if hasattr(first, "_fields") else type(first)(both)
    x, y = _value(first), _value(second)
    if x is None or y is None:
        raise errors.TraceError(
            f"{errors.user_line()}: both sides of ts.cond must return the same: a Value, or lists of equally many "
            f"Values; got {in_words(first)} and {in_words(second)}"
        )
    return x if x is y else record("cond", holds, x, y)


def _are_values(first: Any, second: Any) -> bool:
    return isinstance(first, Value) and isinstance(second, Value)


def _value(side: Any) -> Value | None:
    if isinstance(side, Value):
        return side
    number = None if isinstance(side, (list, tuple, dict, np.ndarray)) else as_float(side)
    return None if number is None else Value(number)


EVERYWHERE, UNKNOWN = 0, -1  # regions


def paths_with_branches(
    tape: Tape, cost: int, passes: Any, choices: Any, find: Callable[..., Any], find_both: Callable[..., Any]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """How a gradient reaches each operation: 0 in every example, 1 by choice, 2 not; and which only through "cond".

    `find` and `find_both` are `reached` in engine/graph_arrays.py and `reached_by_both_sides`, or the same in C.
    """
    outside = passes.copy()
    is_condition = tape.codes == tape.names.index("cond")
    conditions = tape.starts[:-1][is_condition]
    outside[conditions + 1] = outside[conditions + 2] = 0
    every, unbranched, always = (
        np.asarray(find(tape.starts, tape.operands, edges, cost, some)).astype(bool)
        for edges, some in ((passes, choices), (outside, choices), (outside, {}))
    )
    in_branch = every & ~unbranched
    by_both = find_both(
        tape.starts, tape.operands, passes, *(a.view(np.uint8) for a in (is_condition, always, in_branch))
    )
    always[by_both] = True
    in_branch[by_both] = False
    path = np.where(always, 0, np.where(every, 1, 2)).astype(np.uint8)
    path[tape.codes < 0] = 0
    return path, in_branch


def reached_by_both_sides(
    starts: Any, operands: Any, passes: Any, is_condition: Any, always: Any, in_branch: Any
) -> list[int]:
    """The nodes that a gradient reaches in every example, as either side of a condition computes with them.

    Each node has a region of the examples in which it is reached at least: all of them, where a side is taken, or none
    that is known. In C: the same in _group.pyx.
    """
    everywhere = always.tolist()
    sides: list[tuple[int, int, int]] = [(-1, -1, EVERYWHERE)]  # of each region: a condition, the side, within which
    known: dict[tuple[int, int, int], int] = {}
    region: dict[int, int] = {}
    for i in np.flatnonzero(in_branch | (is_condition & always))[::-1].tolist():
        mine = EVERYWHERE if everywhere[i] else region.get(i, UNKNOWN)
        first = int(starts[i])
        for e in range(first, int(starts[i + 1])):
            operand = int(operands[e])
            if everywhere[operand] or not passes[e]:
                continue
            its = mine
            if is_condition[i] and mine != UNKNOWN:
                side = (int(operands[first]), e - first, mine)
                its = known.setdefault(side, len(sides))
                sides += [side] if its == len(sides) else []
            region[operand] = _both(region[operand], its, sides) if operand in region else its
    return [i for i, its in region.items() if its == EVERYWHERE]


def _both(first: int, second: int, sides: Sequence[tuple[int, int, int]]) -> int:
    """A region of what is reached in one region and in another."""
    if first == second or EVERYWHERE in (first, second):
        return first if first == second else EVERYWHERE
    if UNKNOWN in (first, second):
        return max(first, second)
    (condition, side, within), (of_other, other, of_others) = sides[first], sides[second]
    return within if (condition, within) == (of_other, of_others) and side != other else first
