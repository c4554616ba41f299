"""`tinygrad-scalar draw`: the graph of an expression as a picture, with every gradient."""

from __future__ import annotations

import argparse

from tinygrad_scalar.cli.command import Command, explain_not_finite, named_values
from tinygrad_scalar.screen import printable
from tinygrad_scalar.viz import drawing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", default="graph.svg", help=".svg, .png, .dot or .html (default %(default)s)")
    parser.add_argument(
        "--direction",
        choices=drawing.DIRECTIONS,
        default="LR",
        help="direction from the leaves to the root (default %(default)s)",
    )


def run(options: argparse.Namespace) -> None:
    values = named_values(options)
    *_, root = values.values()
    root.backward()
    drawing.draw(root, direction=options.direction, names={}).save(options.output)
    for name, value in values.items():
        print(f"{name or 'result'} = {value.data:.6g}, grad {value.grad:.6g}")
    explain_not_finite(root)
    print(f"{printable(options.output)} shows the graph")


COMMAND = Command(
    "draw", "draw the graph of an expression, with every gradient", run, add_arguments, takes_expression=True
)
