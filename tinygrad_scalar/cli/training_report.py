"""What `train` prints: the network and its rows before, the cost and the held-out score after."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tinygrad_scalar.cli.columns import CategoryColumn, NumberColumn, cells_of
from tinygrad_scalar.cli.scores import accuracy, confusion_matrix, r_squared, rmse
from tinygrad_scalar.cli.table_model import TableModel, may_be_classes
from tinygrad_scalar.datasets import Table, is_missing, is_number
from tinygrad_scalar.nn.history import History
from tinygrad_scalar.nn.optim import Optimizer
from tinygrad_scalar.screen import counted, for_stdout, left, printable, quoted, right, width

if TYPE_CHECKING:
    from rich.console import Console

MOST_CLASSES = 10  # of a confusion matrix
_MOST_NAMES = 5  # columns in a line


def report_model(
    console: Console, model: TableModel, optimizer: Optimizer, training: Table, held_out: Table, validation: int = 0
) -> None:
    """Print the network, its optimizer, its columns and the number of rows."""
    parameters = len(model.net.parameters())
    console.print(f"{model.net!r}: {counted(parameters, 'parameter')}, loss {model.loss}, {type(optimizer).__name__}")
    kind = "a number" if model.classes is None else f"one of {len(model.classes)} classes"
    cells = training.column(model.target)
    numeric = all(map(is_number, cells))
    if model.classes is None and all(cell.isdecimal() for cell in cells) and may_be_classes(cells):
        kind += " (--loss cross_entropy treats it as a class)"
    elif model.classes is not None and numeric:
        kind += " (--loss squared_error treats it as a number)"
    rows = f"{counted(len(training.rows), 'row')} to train on, {len(held_out.rows)} held out"
    rows += f", {validation} to stop early by" * bool(validation)
    console.print(f"{printable(model.target)} is {kind}; {rows}")
    categories = [c for c in model.columns if isinstance(c, CategoryColumn)]
    if categories:
        texts = [f"{printable(c.name)} ({c.width})" for c in categories]
        console.print(f"columns of categories: {_some(texts)}; of numbers: {len(model.columns) - len(texts)}")
    constant = [printable(c.name) for c in model.columns if _is_constant(training, c.name)]
    if constant:
        console.print(f"the same in all rows to train on, so without weight: {_some(constant)}")


def _is_constant(table: Table, name: str) -> bool:
    return len(set(cells_of(table, name))) == 1


def _some(texts: Sequence[str]) -> str:
    return ", ".join(texts[:_MOST_NAMES]) + f" and {len(texts) - _MOST_NAMES} more" * (len(texts) > _MOST_NAMES)


def report_result(console: Console, model: TableModel, history: History, held_out: Table) -> None:
    """Print how the cost fell, and how well the model predicts the held-out rows, loudly if it does not."""
    console.print(f"cost {history.cost[0]:.4g} → {history.cost[-1]:.4g} in {len(history.cost)} epochs")
    if history.best_epoch is not None:
        console.print(f"early stopping: the model is that of epoch {history.best_epoch}")
    predictions = model.predict(held_out, unknown="other")
    if model.classes is None:
        _report_numbers(console, model, held_out, [float(prediction) for prediction in predictions])
        return
    actual, predicted = held_out.column(model.target), [str(prediction) for prediction in predictions]
    share = accuracy(actual, predicted)
    console.print(f"held-out accuracy: {share:.1%} ({round(share * len(actual))} of {len(actual)})")
    _print_confusion(console, model.target, model.classes, actual, predicted)
    most_frequent, count = Counter(actual).most_common(1)[0]
    if share * len(actual) < count or (share * len(actual) == count and len(set(predicted)) == 1):
        _warn_of(
            console,
            f"the model is no better than always answering {quoted(most_frequent)}, which is right for {count} of "
            f"{len(actual)} held-out rows",
        )


def _report_numbers(console: Console, model: TableModel, held_out: Table, predicted: list[float]) -> None:
    actual = held_out.numbers(model.target)
    score, error = r_squared(actual, predicted), rmse(actual, predicted)
    if math.isnan(score):
        console.print(f"held-out R²: undefined, all targets are equal; RMSE {error:.4g}")
        return
    score_text = f"{score:.4f}" if abs(score) < 1e6 else f"{score:.4g}"
    of_mean = rmse(actual, [math.fsum(y / len(actual) for y in actual)] * len(actual))
    console.print(
        f"held-out R²: {score_text}; RMSE {error:.4g} in the unit of {printable(model.target)} "
        f"({of_mean:.4g} if the mean were predicted)"
    )
    if not score > 0.0:
        _warn_of(console, "the model is no better on the held-out rows than their mean")


def _warn_of(console: Console, what: str) -> None:
    advice = "try more --epochs, another --learning-rate, or columns that say more"
    console.print(f"WARNING: {what}; {advice}", style="bold red")


def _print_confusion(
    console: Console, target: str, names: Sequence[str], actual: Sequence[str], predicted: Sequence[str]
) -> None:
    """The confusion matrix of the ten most frequent classes; what else was predicted stands in one column."""
    counts = confusion_matrix(actual, predicted, names)
    often = sorted(range(len(names)), key=lambda i: -sum(counts[i]))[:MOST_CLASSES]
    shown, few = sorted(often), len(names) > MOST_CLASSES
    title = "rows: actual, columns: predicted"
    console.print(f"{title}; the {MOST_CLASSES} most frequent of {len(names)} classes" if few else title)
    first_heading = for_stdout(printable(target))
    headings = [for_stdout(printable(names[i])) for i in shown]
    columns = [*headings, "(others)"] if few else headings
    first = max(map(width, (first_heading, *headings)))
    rows: list[tuple[str, Sequence[object]]] = [(first_heading, columns)]
    for i, heading in zip(shown, headings):
        cells = [counts[i][j] for j in shown]
        rows.append((heading, [*cells, sum(counts[i]) - sum(cells)] if few else cells))
    for heading, row in rows:
        text = "".join(f"  {right(str(cell), max(width(name), 4))}" for cell, name in zip(row, columns))
        console.print(f"  {left(heading, first)}{text}")


def unknown_text(model: TableModel, table: Table) -> str | None:
    """How many cells hold a category that the training rows do not have."""
    counts = {
        column.name: sum(
            cell not in known and not is_missing(cell)
            for known in [set(column.categories)]
            for cell in cells_of(table, column.name)
        )
        for column in model.columns
        if not isinstance(column, NumberColumn)
    }
    texts = [f"{count} in {quoted(name)}" for name, count in counts.items() if count]
    return f"categories that the rows to train on do not have: {_some(texts)}" if texts else None
