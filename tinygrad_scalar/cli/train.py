"""`tinygrad-scalar train`: a network trained on a CSV file, and how well it predicts held-out rows."""

from __future__ import annotations

import argparse
import math
import reprlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tinygrad_scalar.cli.command import Command, require_output
from tinygrad_scalar.cli.console import new_console
from tinygrad_scalar.cli.table_model import TableModel, accuracy, confusion_matrix, r_squared, split, untrained_model
from tinygrad_scalar.datasets import Table, read_csv
from tinygrad_scalar.engine.errors import AnomalyError
from tinygrad_scalar.nn.activations import ACTIVATIONS
from tinygrad_scalar.nn.history import History
from tinygrad_scalar.nn.losses import LOSSES
from tinygrad_scalar.nn.optim import OPTIMIZERS, Optimizer
from tinygrad_scalar.nn.training import fit
from tinygrad_scalar.screen import counted, for_stdout, left, printable, quoted, right, width

if TYPE_CHECKING:
    from rich.console import Console


MOST_CLASSES = 100  # of a confusion matrix that is printed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    default = "(default %(default)s)"
    add = parser.add_argument
    add("file", metavar="FILE.csv", help="a CSV file with a header line, numeric columns and the target")
    add("--target", required=True, metavar="COLUMN", help="the column to predict")
    add("--layers", type=_sizes, default="8,8", metavar="N,N", help=f"sizes of the hidden layers {default}")
    add("--activation", choices=ACTIVATIONS, default="tanh", help=f"activation of the hidden layers {default}")
    add("--loss", choices=LOSSES, help="(default cross_entropy for classes, squared_error for numbers)")
    add("--optimizer", choices=OPTIMIZERS, default="adam", help=default)
    add("--learning-rate", type=float, default=0.03, metavar="α", help=default)
    add("--epochs", type=_count, default=100, metavar="N", help=default)
    add("--batch-size", type=_count, metavar="N", help="examples per step (default all)")
    add("--test-fraction", type=float, default=0.25, metavar="F", help=f"share of the rows to hold out {default}")
    add("--ignore", type=_names, default=[], metavar="COLUMN,COLUMN", help="columns to leave out")
    add(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help=f"random seed of the split, weights and order of the rows {default}",
    )
    add("-o", "--output", default="model.safetensors", metavar="MODEL", help=f"file to write {default}")


def _sizes(text: str) -> list[int]:
    sizes = [_positive(part.strip()) for part in text.split(",")]
    if None in sizes:
        raise argparse.ArgumentTypeError(f"must be positive layer sizes such as 8,8; got {reprlib.repr(text)}")
    return [size for size in sizes if size]


def _count(text: str) -> int:
    count = _positive(text)
    if count is None:
        raise argparse.ArgumentTypeError(f"must be a positive integer, got {reprlib.repr(text)}")
    return count


def _positive(text: str) -> int | None:
    """The positive integer of at most 100 digits; None for any other text."""
    return (int(text) or None) if text.isdecimal() and len(text) <= 100 else None


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def run(options: argparse.Namespace) -> None:
    plot_path = f"{options.output}.svg"
    for path in (options.output, plot_path):
        require_output(path, options.file)
    if options.target in options.ignore:
        raise ValueError(f"{quoted(options.target)} is the target and cannot be ignored")
    table = read_csv(options.file)
    training_rows, held_out_rows = split(table, options.target, options.test_fraction, options.seed)
    model = untrained_model(
        table,
        training_rows,
        target=options.target,
        layers=options.layers,
        loss=options.loss,
        activation=options.activation,
        ignore=options.ignore,
        seed=options.seed,
    )
    optimizer = OPTIMIZERS[options.optimizer](model.net.parameters(), options.learning_rate)
    training, held_out = table.select(training_rows), table.select(held_out_rows)
    console = new_console()
    report_model(console, model, optimizer, training, held_out)
    inputs, targets = model.inputs(training), model.targets(training)
    try:
        history = fit(
            model.net,
            inputs,
            targets,
            loss=model.loss,
            optimizer=optimizer,
            epochs=options.epochs,
            batch_size=options.batch_size,
            progress=sys.stderr.isatty(),
            seed=options.seed,
        )
        if history.stopped == "interrupted":
            raise KeyboardInterrupt
        model.require_finite()
    except AnomalyError as error:
        cause = str(error).partition(":")[0]  # the rest is advice for Python
        raise ValueError(
            f"the training diverged, and nothing was saved: {cause}; try a smaller learning rate (--learning-rate)"
        ) from None
    report_result(console, model, history, held_out)
    plot = history.plot(title=f"{options.target}: mean {model.loss} of the training rows")
    model.save(options.output)
    plot.save(plot_path)
    console.print(f"{printable(options.output)} holds the model, {printable(plot_path)} shows its loss curve")


def report_model(console: Console, model: TableModel, optimizer: Optimizer, training: Table, held_out: Table) -> None:
    """Print the network, its optimizer and the number of rows."""
    parameters = len(model.net.parameters())
    console.print(f"{model.net!r}: {counted(parameters, 'parameter')}, loss {model.loss}, {type(optimizer).__name__}")
    kind = "a number" if model.classes is None else f"one of {len(model.classes)} classes"
    if model.classes is None and all(cell.isdecimal() for cell in training.column(model.target)):
        kind += " (--loss cross_entropy treats it as a class)"
    rows = f"{counted(len(training.rows), 'row')} to train on, {len(held_out.rows)} held out"
    console.print(f"{printable(model.target)} is {kind}; {rows}")


def report_result(console: Console, model: TableModel, history: History, held_out: Table) -> None:
    """Print how the cost fell, and how well the model predicts the held-out rows."""
    console.print(f"cost {history.cost[0]:.4g} → {history.cost[-1]:.4g} in {len(history.cost)} epochs")
    predictions = model.predict(held_out)
    if model.classes is None:
        score = r_squared(held_out.numbers(model.target), [float(prediction) for prediction in predictions])
        console.print(f"held-out R²: {'undefined, all targets are equal' if math.isnan(score) else f'{score:.4f}'}")
        return
    actual, predicted = held_out.column(model.target), [str(prediction) for prediction in predictions]
    share = accuracy(actual, predicted)
    console.print(f"held-out accuracy: {share:.1%} ({round(share * len(actual))} of {len(actual)})")
    if len(model.classes) > MOST_CLASSES:
        console.print(f"no confusion matrix for more than {MOST_CLASSES} classes")
        return
    counts = confusion_matrix(actual, predicted, model.classes)
    console.print("rows: actual, columns: predicted")
    target, *classes = (for_stdout(printable(name)) for name in (model.target, *model.classes))
    first = max(map(width, (target, *classes)))
    rows: list[tuple[str, Sequence[object]]] = [(target, classes), *zip(classes, counts)]
    for heading, cells in rows:
        columns = "".join(f"  {right(str(cell), max(width(name), 4))}" for cell, name in zip(cells, classes))
        console.print(f"  {left(heading, first)}{columns}")


COMMAND = Command("train", "train a network on a CSV file", run, add_arguments)
