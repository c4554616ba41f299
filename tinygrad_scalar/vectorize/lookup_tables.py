"""The tables of lookups. Those that look up the same entries share one: a list that is one object in the trace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

Entry = TypeVar("Entry")
Table = list[int]  # of nodes


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
