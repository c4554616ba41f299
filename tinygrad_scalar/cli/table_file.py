"""The table that train and predict read: a file or standard input, its encoding and its decimal sign."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tinygrad_scalar.datasets import Table, parse_csv, read_csv
from tinygrad_scalar.screen import printable

STDIN = "-"
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def add_table(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the arguments of a table: its file, --encoding and --decimal."""
    parser.add_argument("file", metavar="FILE.csv", help=f"a CSV file {what}; - reads standard input")
    parser.add_argument("--encoding", metavar="NAME", help="of the file, such as cp1250 (default: found out)")
    parser.add_argument("--decimal", choices=[".", ","], metavar="SIGN", help=". or , (default: found out)")


def read_table(options: argparse.Namespace) -> Table:
    """The table that the arguments name; raises as `read_csv`."""
    if options.file != STDIN:
        return read_csv(options.file, encoding=options.encoding)
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise ValueError("standard input is closed, so there is no table to read")
    return parse_csv(stream.read(), "standard input", encoding=options.encoding)


def format_text(table: Table, point: str) -> str | None:
    """How the file was read, for its user to check; None for UTF-8, points, and anything between the cells."""
    if table.encoding == "UTF-8" and point == ".":
        return None
    sign = ", decimal commas" if point == "," else ""
    return f"{printable(table.name)} is read as {table.encoding}, {_DELIMITERS[table.delimiter]} between cells{sign}"


def inputs_of(options: argparse.Namespace) -> Sequence[str]:
    """The files that a command must not write over."""
    return [] if options.file == STDIN else [options.file]
