"""`tinygrad-scalar draw`: the graph of an expression as a picture, with every gradient."""

from __future__ import annotations

import argparse

from tinygrad_scalar.cli.command import Command, explain_not_finite, named_values
from tinygrad_scalar.screen import printable
from tinygrad_scalar.viz import drawing
from tinygrad_scalar.viz.view import LEVELS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", default="graph.svg", help=".svg, .png, .dot or .html (default %(default)s)")
    parser.add_argument(
        "--direction",
        choices=drawing.DIRECTIONS,
        default="LR",
        help="direction from the leaves to the root (default %(default)s)",
    )
    parser.add_argument(
        "--fold",
        choices=[name or "none" for name in ("auto", *LEVELS)],
        default="auto",
        help="what is one box: long sums, neurons too, layers too, nothing (default: as little as is readable)",
    )
    parser.add_argument("--around", metavar="NAME", help="only what is near this value")
    parser.add_argument("--depth", type=int, metavar="N", help="how many operations around it, or before the root")
    parser.add_argument("--wrt", metavar="NAME", help="only what depends on this value")
    parser.add_argument("--hide-constants", action="store_true", help="numbers stand in the box of their operation")


def run(options: argparse.Namespace) -> None:
    values = named_values(options)
    *_, root = values.values()
    root.backward()
    drawing.draw(
        root,
        direction=options.direction,
        names={},
        fold=None if options.fold == "none" else options.fold,
        around=options.around,
        depth=options.depth,
        wrt=options.wrt,
        hide_constants=options.hide_constants,
    ).save(options.output)
    for name, value in values.items():
        print(f"{name or 'result'} = {value.data:.6g}, grad {value.grad:.6g}")
    explain_not_finite(root)
    print(f"{printable(options.output)} shows the graph")


COMMAND = Command(
    "draw", "draw the graph of an expression, with every gradient", run, add_arguments, takes_expression=True
)
