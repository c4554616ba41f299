"""`tinygrad-scalar explain`: one gradient of an expression, by the chain rule."""

from __future__ import annotations

import argparse

from tinygrad_scalar.cli.command import Command, explain_not_finite, labelled_root
from tinygrad_scalar.inspection.explain import explain


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wrt", required=True, metavar="NAME", help="the value to differentiate with respect to")


def run(options: argparse.Namespace) -> None:
    root = labelled_root(options)
    print(explain(root, options.wrt, names={}))
    explain_not_finite(root)


COMMAND = Command(
    "explain",
    "explain a gradient by the chain rule, in the expression's names",
    run,
    add_arguments,
    takes_expression=True,
)
