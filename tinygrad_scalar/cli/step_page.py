"""The screen of `tinygrad-scalar step`: the expression, the values so far, the step, and below them the keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tinygrad_scalar.engine import Value
from tinygrad_scalar.inspection.layout import aligned
from tinygrad_scalar.inspection.notation import written
from tinygrad_scalar.inspection.stepper import Stepper
from tinygrad_scalar.screen import for_stdout, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

KEYS = "n next · b back · v value · l layer · t to · w watch · ? keys · q quit"
HELP = """n, →, space, Enter   the next step
b, ←, backspace      one step back
v                    on to the next value with a name
l                    through the next layer
t                    to a name, or to the step of a number
r                    back to the beginning
w                    watch values: print them with every step
up, down             scroll, also by page up and page down
?                    these keys
q, Ctrl-D            quit"""
LEAST = 4  # lines of the table, its head included, or it is left out


class Page:
    """What is on the screen; the keys set its attributes.

    prompt    the verb of a move whose words are being typed, or ""
    scrolled  by how many lines the table, or a step that is too long, has been scrolled
    """

    def __init__(self, stepper: Stepper, expression: str) -> None:
        self.stepper, self.expression = stepper, expression
        self.message = self.prompt = self.typed = ""
        self.scrolled = 0
        self.is_help = False

    def drawn(self, console: Console) -> Text:
        """All of it, as high as the screen; what does not fit is cut, and an ellipsis says so."""
        from rich.text import Text

        def lines_of(text: Text) -> list[Text]:
            return list(text.wrap(console, console.width, no_wrap=False, overflow="fold"))

        below = lines_of(Text(f"{self.prompt}: {self.typed}▏") if self.prompt else Text(for_stdout(KEYS), style="dim"))
        if self.message:
            below = [*lines_of(Text(self.message)), *below]
        room = max(console.height - len(below), 1)
        if self.is_help:
            above = self._window(lines_of(Text(for_stdout(HELP))), room, 0)
        else:
            step = self.stepper.__rich__()
            step.append(f"\n\n{self.message}" if self.message else "")
            above = self._fitted(
                lines_of(Text(printable(self.expression), style="bold")), lines_of(step), console, room
            )
        above += [Text("")] * (room - len(above))
        return Text("\n").join([*above, *below])

    def _fitted(self, title: list[Text], step: list[Text], console: Console, room: int) -> list[Text]:
        """The three parts in `room` lines: the step before all, the title, and of the table what fits."""
        from rich.text import Text

        if len(step) > room:
            return self._window(step, room, 0)
        left = room - len(step) - len(title) - 1
        if left < 0:
            return step
        head, rows, at = self._table(console)
        if left < LEAST:
            return [*title, Text(""), *step]
        around = at - (left - 3) // 2  # of a long table, the rows around the step
        return [*title, Text(""), head, *self._window(rows, left - 2, around), Text(""), *step]

    def _window(self, lines: Sequence[Text], room: int, start: int) -> list[Text]:
        """`room` of the lines from `start` on, as far as they are scrolled from there."""
        from rich.text import Text

        last = max(len(lines) - room, 0)
        first = max(min(start, last), 0) + self.scrolled
        first = max(min(first, last), 0)
        self.scrolled = first - max(min(start, last), 0)
        shown = list(lines[first : first + room])
        if first > 0:
            shown[0] = Text("…")
        if first < last:
            shown[-1] = Text("…")
        return shown

    def _table(self, console: Console) -> tuple[Text, list[Text], int]:
        """The head, a row for each value so far, and the place of the step's row."""
        from rich.text import Text

        stepper, step = self.stepper, self.stepper.current
        touched = {step.node, *(c.operand for c in step.contributions)} if step else set()
        nodes = [node for node in stepper.nodes if self._is_shown(node)]
        cells = [["value", "data", "gradient", ""]]
        for node in nodes:
            progress = stepper.progress(node)
            state = "complete" if progress.complete else f"{progress.done} of {progress.of} contributions"
            started = stepper.position > stepper.total // 2
            grad = written(node.grad) if started or not node.op else ""
            cells.append([stepper.notation.name(node), written(node.data), grad, state if started else ""])
        head, *rows = aligned(cells)
        lines = [Text(row, style="bold cyan" if node in touched else "") for row, node in zip(rows, nodes)]
        for line in lines:
            line.truncate(console.width, overflow="ellipsis")
        places = [i for i, node in enumerate(nodes) if step and node is step.node]
        return Text(head, style="dim"), lines, places[0] if places else 0

    def _is_shown(self, node: Value) -> bool:
        """Whether the table has a row for it: a value that is computed, or a leaf with a name."""
        return self.stepper.progress(node).computed and bool(node.op or node in self.stepper.notation.called)
