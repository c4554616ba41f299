"""`tinygrad-scalar explore`: the graph of an expression as a page that one can touch."""

from __future__ import annotations

import argparse

from tinygrad_scalar.cli.command import Command, explain_not_finite, labelled_root, require_output
from tinygrad_scalar.screen import printable
from tinygrad_scalar.viz.explore import explore


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", default="graph.html", help="an .html file (default %(default)s)")


def run(options: argparse.Namespace) -> None:
    root = labelled_root(options)
    require_output(options.output)
    explore(root, names={}).save(options.output)
    explain_not_finite(root)
    print(f"{printable(options.output)} is the page; open it in a browser")


COMMAND = Command(
    "explore", "the graph of an expression as a page to play, edit and be asked about", run, add_arguments,
    takes_expression=True,
)  # fmt: skip
