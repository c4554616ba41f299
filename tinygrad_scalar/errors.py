"""The errors that this package raises by name, and how they point at the user's own source line."""

from __future__ import annotations

import linecache
import os
import reprlib
import sys
from pathlib import Path
from typing import NamedTuple

_PACKAGE = str(Path(__file__).parent) + os.sep


class StaleGraphError(ValueError):
    """A leaf was set after the graph above it was computed, so that graph's numbers are old."""


class AnomalyError(FloatingPointError):
    """A nan or an infinity appeared where `detect_anomaly` (or training) watches for one."""


class SourceLine(NamedTuple):
    """A line of the user's program; `text` is "" where the source is not at hand (a plain REPL)."""

    filename: str
    number: int
    text: str

    def __str__(self) -> str:
        place = f"{self.filename}:{self.number}"
        return f"{place}: {self.text}" if self.text else place


def user_line() -> SourceLine:
    """The innermost line being executed that is not part of this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    filename, number = frame.f_code.co_filename, frame.f_lineno
    return SourceLine(filename, number, linecache.getline(filename, number, frame.f_globals).strip())


def shown(thing: object) -> str:
    """A thing as an error shows it: shortened, with its type."""
    return f"{reprlib.repr(thing)} ({type(thing).__name__})"
