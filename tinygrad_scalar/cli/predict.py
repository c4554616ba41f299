"""`tinygrad-scalar predict`: a table with a trained network's prediction beside every row."""

from __future__ import annotations

import argparse
import csv
import io
import sys

from tinygrad_scalar.atomic_write import write_atomically
from tinygrad_scalar.cli.columns import NumberColumn
from tinygrad_scalar.cli.command import Command, require_output
from tinygrad_scalar.cli.console import warn
from tinygrad_scalar.cli.decimals import with_decimal_points
from tinygrad_scalar.cli.missing_cells import WAYS, missing_rows, missing_text
from tinygrad_scalar.cli.table_file import add_table, format_text, inputs_of, read_table
from tinygrad_scalar.cli.table_model import TableModel
from tinygrad_scalar.datasets import Table
from tinygrad_scalar.screen import counted, printable, quoted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a model written by train")
    add_table(parser, "with the columns that the model was trained on")
    parser.add_argument("-o", "--output", metavar="OUT.csv", help="file to write (default: standard output)")
    parser.add_argument("--proba", action="store_true", help="add the probability of each class")
    parser.add_argument(
        "--missing",
        choices=WAYS,
        help="a missing cell: drop leaves the prediction empty, mean and category as in train (default: as trained)",
    )
    parser.add_argument(
        "--unknown",
        choices=["error", "other"],
        default="error",
        help="a category that the model was not trained on: an error, or none of those it knows (default %(default)s)",
    )


def run(options: argparse.Namespace) -> None:
    if options.output is not None:
        require_output(options.output, options.model, *inputs_of(options))
    model = TableModel.load(options.model)
    table = read_table(options)
    columns = [f"predicted_{model.target}"]
    if options.proba and model.classes is not None:
        columns += [f"probability_{name}" for name in model.classes]
    for column in columns:
        if column in table.columns:
            raise ValueError(f"{table.name} already has a column {quoted(column)}; rename or remove it")
    numbers = [column.name for column in model.columns if isinstance(column, NumberColumn)]
    readable, point = with_decimal_points(table, numbers, options.decimal)
    if text := format_text(table, point):
        print(f"tinygrad-scalar: {text}", file=sys.stderr)
    rows = [
        [*row, *(_written(cell, point) for cell in predicted)]
        for row, predicted in zip(table.rows, predictions(model, readable, options, len(columns)))
    ]
    for_people = options.output is None and sys.stdout.isatty()
    content = io.StringIO()
    writer = csv.writer(content, delimiter=table.delimiter, lineterminator="\n")
    for row in [[*table.columns, *columns], *rows]:
        writer.writerow([printable(cell) for cell in row] if for_people else row)
    if options.output is None:
        if isinstance(sys.stdout, io.TextIOWrapper) and not for_people:
            sys.stdout.reconfigure(encoding="utf-8")  # as in a file: no character is replaced
        sys.stdout.write(content.getvalue())
    else:
        write_atomically(options.output, content.getvalue().encode())


def predictions(model: TableModel, table: Table, options: argparse.Namespace, width: int) -> list[list[str | float]]:
    """The cells to put beside each row: the prediction and, with --proba, the probabilities; empty where none can be.

    ValueError, naming the line, for a missing cell that the model has no way for.
    """
    way = options.missing or model.missing
    missing = missing_rows(table, model.features)
    if missing and way is None:
        row, name = min((rows[0], name) for name, rows in missing.items())
        raise ValueError(
            f"{table.name}, line {table.lines[row]}: the value of column {quoted(name)} is missing; the table has "
            f"{missing_text(missing)}: --missing mean takes the mean of the training rows (of text, its most "
            "frequent), drop leaves the predictions of such rows empty"
        )
    empty = set().union(*missing.values()) if missing and way == "drop" else set()
    if empty:
        warn(f"{missing_text(missing)}: {counted(len(empty), 'row')} without a prediction")
    answered = [row for row in range(len(table.rows)) if row not in empty]
    outputs = model.outputs(table.select(answered), missing=options.missing, unknown=options.unknown)
    found: list[list[str | float]] = [[answer] for answer in model.answers(outputs)]
    if options.proba:
        found = [[*cells, *shares] for cells, shares in zip(found, model.probabilities(outputs).tolist())]
    result: list[list[str | float]] = [[""] * width for _ in table.rows]
    for row, cells in zip(answered, found):
        result[row] = cells
    return result


def _written(cell: str | float, point: str) -> str:
    return cell if isinstance(cell, str) else repr(cell).replace(".", point)


COMMAND = Command("predict", "predict with a trained network", run, add_arguments)
