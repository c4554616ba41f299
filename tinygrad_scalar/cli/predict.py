"""`tinygrad-scalar predict`: a table with a trained network's prediction beside every row."""

from __future__ import annotations

import argparse
import csv
import io
import sys

from tinygrad_scalar.atomic_write import write_atomically
from tinygrad_scalar.cli.command import Command, require_output
from tinygrad_scalar.cli.table_model import TableModel
from tinygrad_scalar.datasets import read_csv
from tinygrad_scalar.screen import printable, quoted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a model written by train")
    parser.add_argument("file", metavar="FILE.csv", help="a CSV file with the columns that the model was trained on")
    parser.add_argument("-o", "--output", metavar="OUT.csv", help="file to write (default: standard output)")


def run(options: argparse.Namespace) -> None:
    if options.output is not None:
        require_output(options.output, options.model, options.file)
    model = TableModel.load(options.model)
    table = read_csv(options.file)
    column = f"predicted_{model.target}"
    if column in table.columns:
        raise ValueError(f"{options.file} already has a column {quoted(column)}; rename or remove it")
    predictions = model.predict(table)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rows: list[list[object]] = [
        [*table.columns, column],
        *([*row, prediction] for row, prediction in zip(table.rows, predictions)),
    ]
    for_people = options.output is None and sys.stdout.isatty()
    writer.writerows([[printable(str(cell)) for cell in row] for row in rows] if for_people else rows)
    if options.output is None:
        if isinstance(sys.stdout, io.TextIOWrapper) and not for_people:
            sys.stdout.reconfigure(encoding="utf-8")  # as in a file: no character is replaced
        sys.stdout.write(text.getvalue())
    else:
        write_atomically(options.output, text.getvalue().encode())


COMMAND = Command("predict", "predict with a trained network", run, add_arguments)
