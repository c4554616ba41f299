"""In IPython, Jupyter and marimo: a stepper shows its step and its picture; `%load_ext tinygrad_scalar` adds magics.

%step C           start stepping through C         %step         the next step        %step 3      three steps
%step next value  on to the next named value       %step to w    on to a name         %step reset  to the beginning
%step next layer  through the next layer           %step to 20   to a step            %step watch w b
%step back        one step back (back 3: three)    %explain C w(1)[0,1]               ∂C/∂w⁽¹⁾₀₁ by the chain rule
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tinygrad_scalar.cli.console import new_console
from tinygrad_scalar.inspection.explain import Explanation, explain
from tinygrad_scalar.inspection.moves import MOVES, move
from tinygrad_scalar.inspection.stepper import Stepper, step as begin
from tinygrad_scalar.viz.drawing import draw
from tinygrad_scalar.viz.step_widget import step_widget


def show_pictures() -> None:
    """Make the running shell, if any, show steppers: with a picture in a notebook, in colour in a terminal."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None:
        return
    if hasattr(shell, "kernel"):
        shell.display_formatter.ipython_display_formatter.for_type(Stepper, _show)
    else:
        shell.display_formatter.formatters["text/plain"].for_type(Stepper, _print)


def _show(stepper: Stepper) -> None:
    """The widget, which is updated in place; without anywidget the equations and the picture."""
    from IPython.display import display

    equations = {"text/markdown": stepper._repr_markdown_(), "text/plain": str(stepper)}
    try:
        data, _ = step_widget(stepper)._repr_mimebundle_()
    except ImportError:
        display(equations, raw=True)
        display(draw(stepper))
    else:
        display({**data, **equations}, raw=True)


def show_in_marimo() -> None:
    """Make marimo show steppers by their widget; it asks an object for `_display_`."""

    def shown(stepper: Stepper) -> object:
        try:
            return step_widget(stepper)
        except ImportError:
            return draw(stepper)

    Stepper._display_ = shown  # type: ignore[attr-defined]  # here, because pictures are a room above the stepper's


def _print(stepper: Stepper, printer: Any, cycle: bool) -> None:
    console = new_console()
    with console.capture() as captured:
        console.print(stepper)
    printer.text(captured.get().rstrip("\n"))


def add_magics(shell: Any) -> None:
    """Add %step and %explain to a shell of IPython."""
    show_pictures()
    magics = _Magics(shell)
    shell.register_magic_function(magics.step, "line", "step")
    shell.register_magic_function(magics.explain, "line", "explain")


class _Magics:
    """The two magics, and what they share: the shell and the current stepper."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._stepper: Stepper | None = None

    def step(self, line: str) -> Stepper:
        """%step C: start stepping through C, any expression whose value is a Value or a stepper. Then:

        %step, %step 3            the next step, the next three
        %step next value          on to the next value with a name
        %step next layer          through the next layer
        %step back, %step back 3  one step back, three
        %step to w(1)[0,1]        on to the next step that involves that name
        %step to 20               to the step of that number, forward or back
        %step watch w b           print these with every step
        %step reset               to the beginning

        Returns the stepper: s = %step C.
        """
        with _errors_in_one_line():
            word, _, words = line.strip().partition(" ")
            if not word or word.isdecimal():
                move(self._begun, "next", word)
            elif word in MOVES:
                move(self._begun, word, words.strip())
            else:
                root = self._shell.ev(line)
                self._stepper = root if isinstance(root, Stepper) else begin(root, names=self._shell.user_ns)
            return self._begun

    @property
    def _begun(self) -> Stepper:
        if self._stepper is None:
            raise ValueError("nothing to step through yet; start with %step C")
        return self._stepper

    def explain(self, line: str) -> Explanation:
        """%explain C w: ∂C/∂w by the chain rule; C is any expression whose value is a Value, w a name in its graph."""
        with _errors_in_one_line():
            root, _, name = line.strip().rpartition(" ")
            if not root:
                raise ValueError("expected a Value and a name in its graph, such as %explain C w")
            return explain(self._shell.ev(root), name, names=self._shell.user_ns)


@contextmanager
def _errors_in_one_line() -> Iterator[None]:
    from IPython.core.error import UsageError

    try:
        yield
    except (ValueError, TypeError, NameError, SyntaxError) as error:
        raise UsageError(str(error)) from None
