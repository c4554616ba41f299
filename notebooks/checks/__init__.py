"""The checks of the notebooks' exercises: a module for each notebook, so that no answer stands in a notebook's page."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import Any


def check(exercise: str, names: Mapping[str, Any]) -> None:
    """Judge the answer to an exercise and print the verdict.

    exercise  the notebook and the exercise's number in it, such as "01.2"
    names     the notebook's variables: globals()

    >>> check("01.1", {"slope": ...})
    Not answered yet: put your number in place of the dots, and run both cells again.
    """
    notebook, number = exercise.split(".")
    judge = getattr(import_module(f"{__name__}.check_{notebook}"), f"exercise_{number}")
    needed = inspect.signature(judge).parameters
    missing = [name for name in needed if name not in names]
    if missing:
        print(f"Not answered yet: run the cells above first, which define {', '.join(missing)}.")
        return
    judge(**{name: names[name] for name in needed})
