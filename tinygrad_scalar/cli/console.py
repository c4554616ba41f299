"""Standard output of the commands: a rich console, and how to stop when the reader has gone."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def stop_printing() -> None:
    """Discard all further output: the reader, such as `head`, has closed the pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def new_console() -> Console:
    """Standard output, with styles in a terminal; lines are not wrapped, text is not read as markup."""
    from rich.console import Console

    class PlainConsole(Console):
        def on_broken_pipe(self) -> None:  # rich would end the program here, before the model is written
            stop_printing()

    return PlainConsole(highlight=False, soft_wrap=True, markup=False, emoji=False)
