"""`tinygrad-scalar train`: a network trained on a CSV file, and how well it predicts held-out rows."""

from __future__ import annotations

import argparse
import math
import reprlib
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tinygrad_scalar.atomic_write import required_path
from tinygrad_scalar.cli.command import Command, DivergedError, require_output
from tinygrad_scalar.cli.console import new_console, warn
from tinygrad_scalar.cli.decimals import with_decimal_points
from tinygrad_scalar.cli.fitted_columns import column_names
from tinygrad_scalar.cli.missing_cells import WAYS, missing_rows, missing_text, require_complete, without_missing
from tinygrad_scalar.cli.split import split
from tinygrad_scalar.cli.table_file import add_table, format_text, inputs_of, read_table
from tinygrad_scalar.cli.table_model import TableModel, features_of, untrained_model
from tinygrad_scalar.cli.training_report import report_model, report_result, unknown_text
from tinygrad_scalar.engine.errors import AnomalyError
from tinygrad_scalar.nn.activations import ACTIVATIONS
from tinygrad_scalar.nn.cluster import connected
from tinygrad_scalar.nn.losses import LOSSES
from tinygrad_scalar.nn.optim import OPTIMIZERS
from tinygrad_scalar.nn.training import fit
from tinygrad_scalar.screen import counted, printable, quoted

if TYPE_CHECKING:
    from distributed import Client
    from rich.console import Console

    from tinygrad_scalar.datasets import Table
    from tinygrad_scalar.nn.history import History
    from tinygrad_scalar.nn.optim import Optimizer

MISSING_HELP = "drop their rows, take the column's mean (of text, its most frequent), or make them a category"
STATE = "training.safetensors"  # in the folder of a checkpoint
DIVERGED = 100.0  # times the cost of outputs that say nothing
MOST_JUDGED = 200  # rows that show it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    default = "(default %(default)s)"
    add = parser.add_argument
    add_table(parser, "with a header line: numbers, categories, and the target")
    add("--target", required=True, metavar="COLUMN", help="the column to predict")
    add("--layers", type=_sizes, default="8,8", metavar="N,N", help=f"sizes of the hidden layers {default}")
    add("--activation", choices=ACTIVATIONS, default="tanh", help=f"activation of the hidden layers {default}")
    add("--loss", choices=LOSSES, help="(default cross_entropy for classes, squared_error for numbers)")
    add("--optimizer", choices=OPTIMIZERS, default="adam", help=default)
    add("--learning-rate", type=float, default=0.03, metavar="α", help=default)
    add("--epochs", type=_count, default=100, metavar="N", help=default)
    add("--batch-size", type=_count, metavar="N", help="examples per step (default all)")
    add("--test-fraction", type=float, default=0.25, metavar="F", help=f"share of the rows to hold out {default}")
    add("--ignore", type=column_names, default=[], metavar="COLUMN,COLUMN", help="columns to leave out")
    add(
        "--categorical",
        type=column_names,
        default=[],
        metavar="COLUMN,COLUMN",
        help="columns that are categories",
    )
    add("--missing", choices=WAYS, help=f"missing cells: {MISSING_HELP}")
    add("--early-stopping", type=_count, metavar="N", help="stop when the cost has not fallen for N epochs")
    add(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help=f"random seed of the split, weights and order of the rows {default}",
    )
    add("--checkpoint", metavar="DIR", help="folder for the state of the training, from which --resume goes on")
    add("--scheduler", metavar="ADDRESS", help="Dask scheduler whose workers compute the gradients: tcp://HOST:PORT")
    add("--resume", action="store_true", help="go on from the checkpoint if there is one, to the same model")
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


def run(options: argparse.Namespace) -> None:
    plot_path = f"{options.output}.svg"
    for path in (options.output, plot_path):
        require_output(path, *inputs_of(options))
    if options.target in options.ignore:
        raise ValueError(f"{quoted(options.target)} is the target and cannot be ignored")
    state = _state_file(options)
    console = new_console()
    table = prepared(console, options)
    training_rows, held_out_rows = split(table, options.target, options.test_fraction, options.seed)
    held_out, validation = table.select(held_out_rows), None
    if options.early_stopping is not None:  # the held-out rows must not decide when to stop
        kept, rest = split(table.select(training_rows), options.target, options.test_fraction, options.seed)
        validation = table.select([training_rows[i] for i in rest])
        training_rows = [training_rows[i] for i in kept]
    training = table.select(training_rows)
    model = untrained_model(
        table,
        training_rows,
        target=options.target,
        layers=options.layers,
        loss=options.loss,
        activation=options.activation,
        ignore=options.ignore,
        categorical=options.categorical,
        missing=options.missing,
        seed=options.seed,
    )
    optimizer = OPTIMIZERS[options.optimizer](model.net.parameters(), options.learning_rate)
    report_model(console, model, optimizer, training, held_out, len(validation.rows) if validation else 0)
    if strange := unknown_text(model, held_out):
        console.print(strange)
    if state is not None:
        state.parent.mkdir(exist_ok=True)
    if state is not None and state.exists():
        console.print(f"going on from {printable(str(state))}")
    with _client(options.scheduler) as client:
        history = trained(model, training, validation or held_out, optimizer, options, state, client)
    report_result(console, model, history, held_out)
    plot = history.plot(title=f"{options.target}: mean {model.loss}")
    model.save(options.output)
    plot.save(plot_path)
    console.print(f"{printable(options.output)} holds the model, {printable(plot_path)} shows its loss curve")


@contextmanager
def _client(address: str | None) -> Iterator[Client | None]:
    """A Client of the scheduler, or None without an address; a ValueError without Dask."""
    try:
        with connected(address) as client:
            yield client
    except ModuleNotFoundError as error:
        raise ValueError(str(error)) from None


def _state_file(options: argparse.Namespace) -> Path | None:
    """The file of the checkpoint; an error if there is one that is not wanted."""
    if options.checkpoint is None:
        if options.resume:
            raise ValueError("--resume needs the folder of a checkpoint: --checkpoint DIR --resume")
        return None
    folder = required_path(options.checkpoint, "folder")
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; --checkpoint takes a folder")
    state = folder / STATE
    if state.exists() and not options.resume:
        raise FileExistsError(f"there is a checkpoint at {state}: --resume goes on from it; to begin anew, delete it")
    return state


def prepared(console: Console, options: argparse.Namespace) -> Table:
    """The table with the numbers as Python writes them and without the rows that cannot be trained on; says so."""
    table = read_table(options)
    used = [*features_of(table, options.target, options.ignore), options.target]
    table, point = with_decimal_points(
        table, [name for name in used if name not in options.categorical], options.decimal
    )
    if text := format_text(table, point):
        console.print(text)
    if options.missing is None:
        require_complete(table, used, options.target)
    elif missing := missing_rows(table, used):
        complete = without_missing(table, used if options.missing == "drop" else [options.target])
        dropped = len(table.rows) - len(complete.rows)
        rows = f", {counted(dropped, 'row')} dropped" * (dropped > 0)
        console.print(f"{missing_text(missing)}: --missing {options.missing}{rows}")
        table = complete
    return table


def trained(
    model: TableModel,
    training: Table,
    validation: Table,
    optimizer: Optimizer,
    options: argparse.Namespace,
    state: Path | None,
    client: Client | None,
) -> History:
    """Train the model; DivergedError if it ends with numbers that are not finite, or far worse than saying nothing."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            history = fit(
                model.net,
                model.matrix(training),
                model.targets(training),
                loss=model.loss,
                optimizer=optimizer,
                epochs=options.epochs,
                batch_size=options.batch_size,
                validation=(model.matrix(validation, unknown="other"), model.targets(validation)),
                early_stopping=options.early_stopping,
                checkpoint=state,
                resume=options.resume,
                progress=sys.stderr.isatty(),
                seed=options.seed,
                client=client,
            )
        if history.stopped == "interrupted":
            if state is not None and state.exists():
                warn(f"interrupted: --resume goes on from {state}")
            raise KeyboardInterrupt
        model.require_finite()
        require_sane(model, training)
    except AnomalyError as error:
        cause = str(error).partition(":")[0]  # the rest is advice for Python
        raise DivergedError(
            f"the training diverged, and nothing was saved: {cause}; try a smaller learning rate (--learning-rate)"
        ) from None
    except ConnectionError as error:
        advice = f"--resume goes on from {state}" if state is not None and state.exists() else "nothing was saved"
        raise ConnectionError(f"{str(error).partition(': connect')[0]}: {advice}") from None
    for warning in caught:
        warn(str(warning.message))
    return history


def require_sane(model: TableModel, training: Table) -> None:
    """AnomalyError if a sample of the training rows has a cost far above that of outputs that say nothing.

    Those are 0 if linear, ½ if sigmoid; for a number, the mean, whose squared error is 1 in standardised units.
    """
    some = training.select(range(0, len(training.rows), 1 + len(training.rows) // MOST_JUDGED))
    loss, k = LOSSES[model.loss], model.net.layer_sizes[-1]
    targets = model.targets(some)
    silent = loss([0.5 if model.net.output_activation == "sigmoid" else 0.0] * k, targets[0] if model.classes else 1.0)
    losses = [loss(model.net(x), y).data for x, y in zip(model.inputs(some), targets)]
    cost = math.fsum(losses) / len(losses) if all(map(math.isfinite, losses)) else math.inf
    if cost > DIVERGED * silent.data:
        raise AnomalyError(
            f"the cost ended at {cost:.4g}, while answering the same for all rows costs {silent.data:.4g}"
        )


COMMAND = Command("train", "train a network on a CSV file", run, add_arguments)
