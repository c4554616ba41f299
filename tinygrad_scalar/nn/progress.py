"""The progress bar of `fit`, in a terminal or a notebook: costs, metrics, examples per second, time left."""

from __future__ import annotations

import sys
import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinygrad_scalar.nn.history import History


def progress_bar(epochs: range, progress: bool | None) -> AbstractContextManager[Any]:
    """The epochs left, with a bar of tqdm if wanted: tqdm has locks, which a forked child could wait for in vain."""
    if not (_is_watched() if progress is None else progress):
        return nullcontext(epochs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # in Jupyter without ipywidgets the bar is text
        from tqdm.auto import tqdm

    bar: AbstractContextManager[Any] = tqdm(
        epochs, desc="training", unit="epoch", initial=epochs.start, total=epochs.stop
    )
    return bar


def show_costs(bar: Any, history: History, m: int) -> None:
    """Show an epoch's numbers beside the bar, if there is one; m is the number of examples in an epoch."""
    if isinstance(bar, range):
        return
    last = {name: course[-1] for name, course in history.columns.items() if name != "epoch"}
    shown = {name.replace("_cost", ""): f"{number:.4g}" for name, number in last.items()}
    seconds = bar.format_dict["elapsed"]
    if seconds > 0.0:
        shown["examples/s"] = f"{m * (len(history.cost) - bar.initial) / seconds:,.0f}"
    bar.set_postfix(shown, refresh=False)


def _is_watched() -> bool:
    """Whether somebody looks at stderr: a terminal, or a notebook's output."""
    stream = sys.stderr
    return stream is not None and (stream.isatty() or type(stream).__module__.startswith("ipykernel"))
