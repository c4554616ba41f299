"""What the command line prints: a training with its progress, and how well the result does on held-out rows."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tinygrad_scalar.cli.table_model import TableModel, accuracy, confusion_matrix, r_squared
from tinygrad_scalar.datasets import Table
from tinygrad_scalar.nn.optim import Optimizer
from tinygrad_scalar.nn.training import History, fit

if TYPE_CHECKING:
    from rich.console import Console


def stop_printing() -> None:
    """What is still printed goes nowhere: the reader, as `head`, has seen enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def new_console() -> Console:
    """Standard output: styles where it is a terminal, no line wrapped, no text taken for markup."""
    from rich.console import Console

    class PlainConsole(Console):
        def on_broken_pipe(self) -> None:  # rich would end the program here, before the model is written
            stop_printing()

    return PlainConsole(highlight=False, soft_wrap=True, markup=False, emoji=False)


def report_model(console: Console, model: TableModel, optimizer: Optimizer, training: Table, held_out: Table) -> None:
    """Print what is going to be trained, and on what."""
    parameters = len(model.net.parameters())
    console.print(f"{model.net!r}: {parameters} parameters, loss {model.loss}, {type(optimizer).__name__}")
    kind = "a number" if model.classes is None else f"one of {len(model.classes)} classes"
    if model.classes is None and all(cell.isdecimal() for cell in training.column(model.target)):
        kind += " (--loss cross_entropy takes it for a class)"
    console.print(f"{model.target} is {kind}; {len(training.rows)} rows to train on, {len(held_out.rows)} held out")


def train(
    model: TableModel, training: Table, optimizer: Optimizer, *, epochs: int, batch_size: int | None, seed: int
) -> History:
    """Train `model` on the rows of `training`, with a progress bar where stderr is a terminal."""
    return fit(
        model.net,
        model.inputs(training),
        model.targets(training),
        loss=model.loss,
        optimizer=optimizer,
        epochs=epochs,
        batch_size=batch_size,
        progress=sys.stderr.isatty(),
        seed=seed,
    )


def report_result(console: Console, model: TableModel, history: History, held_out: Table) -> None:
    """Print how the cost went, and how well the model predicts the held-out rows."""
    console.print(f"cost {history.cost[0]:.4g} → {history.cost[-1]:.4g} in {len(history.cost)} epochs")
    predictions = model.predict(held_out)
    if model.classes is None:
        score = r_squared(held_out.numbers(model.target), [float(prediction) for prediction in predictions])
        console.print(f"held-out R²: {score:.4f}")
        return
    actual, predicted = held_out.column(model.target), [str(prediction) for prediction in predictions]
    share = accuracy(actual, predicted)
    console.print(f"held-out accuracy: {share:.1%} ({round(share * len(actual))} of {len(actual)})")
    counts = confusion_matrix(actual, predicted, model.classes)
    console.print("rows: actual, columns: predicted")
    first = max(map(len, (model.target, *model.classes)))
    rows: list[tuple[str, Sequence[object]]] = [(model.target, model.classes), *zip(model.classes, counts)]
    for heading, cells in rows:
        columns = "".join(f"  {cell:>{max(len(name), 4)}}" for cell, name in zip(cells, model.classes))
        console.print(f"  {heading:<{first}}{columns}")
