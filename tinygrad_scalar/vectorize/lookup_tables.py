"""The tables of lookups. Those that look up the same entries share one: a list that is one object in the trace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np

from tinygrad_scalar.engine import Value, errors
from tinygrad_scalar.vectorize.executor import executor

Entry = TypeVar("Entry")
Table = list[int]  # of nodes
Entries: TypeAlias = tuple[Value, ...]
Row: TypeAlias = Callable[[Callable[[Entries], Value]], Any]  # makes a row of what was chosen from each column


class Tables:
    """The tables that a traced function looks rows up in: a text of many words asks for the same one each time."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, Any, Row]] = {}
        self._entries: dict[Entries, Entries] = {}  # one for all that look up the same

    def row_of(self, table: Any) -> Row:
        """How a row of a table is made of the entries of its columns, once while the table stays as it is."""
        now = table.tolist() if isinstance(table, np.ndarray) else table
        known = self._known.get(id(table))
        if known is not None and _is_still(now, known[1]):
            return known[2]
        row = self._row(list(table))
        before = _copied(now)
        if before is not None:
            self._known[id(table)] = table, before, row
        return row

    def _row(self, rows: list[Any]) -> Row:
        first = rows[0]
        if isinstance(first, dict):
            if any(not isinstance(row, dict) or row.keys() != first.keys() for row in rows):
                raise _unlike("must have the same keys")
            of_keys = {key: self._row([row[key] for row in rows]) for key in first}
            return lambda choose: {key: part(choose) for key, part in of_keys.items()}
        if isinstance(first, (list, tuple, np.ndarray)):
            if any(not hasattr(row, "__len__") or len(row) != len(first) for row in rows):
                raise _unlike("must have the same length")
            parts = [self._row([row[k] for row in rows]) for k in range(len(first))]
            container: Any = _object_array if isinstance(first, np.ndarray) else type(first)
            return lambda choose: container([part(choose) for part in parts])
        entries = tuple(entry if isinstance(entry, Value) else Value(entry) for entry in rows)
        entries = self._entries.setdefault(entries, entries)
        return lambda choose: choose(entries)


def _object_array(values: list[Any]) -> Any:
    return np.array(values, object)


def _unlike(rows: str) -> errors.TraceError:
    return errors.TraceError(f"{errors.user_line()}: all rows of a table that an argument indexes {rows}")


def _copied(table: Any) -> Any:
    """A copy of a list of numbers, or of lists of them, in which changes show; None for what holds anything else."""
    if type(table) not in (list, tuple):
        return None
    if any(type(row) in (list, tuple) for row in table):
        rows = [row[:] if type(row) in (list, tuple) else None for row in table]
        known = all(row is not None and all(type(entry) in (Value, float, int) for entry in row) for row in rows)
        return type(table)(rows) if known else None
    return table[:] if all(type(entry) in (Value, float, int) for entry in table) else None


def _is_still(table: Any, before: Any) -> bool:
    native = executor()
    if native is not None and type(table) is type(before) is list and table:  # objects alone: a fraction of the time
        in_rows = type(before[0]) in (list, tuple)
        if native.same_objects_in_rows(table, before) if in_rows else native.same_objects(table, before):
            return True
    try:
        return bool(table == before)  # in C: what is the same object is equal
    except (errors.TraceError, ValueError):  # a number became an argument, or an array
        return False


def distinct_tables(tables: Iterable[Sequence[Entry]]) -> tuple[list[Sequence[Entry]], list[int]]:
    """The different objects among tables, in the order in which they come first, and for each table which it is.

    >>> rows, columns = [1, 2], [1, 2]
    >>> distinct_tables([rows, columns, rows])
    ([[1, 2], [1, 2]], [0, 1, 0])
    """
    found: dict[int, tuple[int, Sequence[Entry]]] = {}
    which = [found.setdefault(id(table), (len(found), table))[0] for table in tables]
    return [table for _, table in found.values()], which


def shared(change: Callable[[Table], Table]) -> Callable[[Table], Table]:
    """A function of tables that gives one object for one object."""
    known: dict[int, tuple[Table, Table]] = {}

    def changed(table: Table) -> Table:
        if id(table) not in known:
            known[id(table)] = table, change(table)
        return known[id(table)][1]

    return changed
