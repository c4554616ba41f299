"""A subcommand of `tinygrad-scalar`, and the arguments that several of them take."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable
from typing import NamedTuple

from tinygrad_scalar.atomic_write import require_writable
from tinygrad_scalar.cli.expression import parse
from tinygrad_scalar.datasets import is_number
from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.graph import topological_order
from tinygrad_scalar.inspection.notation import Notation, written
from tinygrad_scalar.screen import quoted


class DivergedError(RuntimeError):
    """A training that came to nothing: no mistake in the command, so exit code 1."""


class Command(NamedTuple):
    """A subcommand: a file of this folder holds one, and `main.COMMANDS` lists it.

    name               the word on the command line
    help               its line in `tinygrad-scalar --help`
    run                its handler: takes the options, returns the exit code (None for 0)
    add_arguments      adds its arguments to its parser
    takes_expression   whether its first arguments are an expression and its numbers
    """

    name: str
    help: str
    run: Callable[[argparse.Namespace], int | None]
    add_arguments: Callable[[argparse.ArgumentParser], object] = lambda parser: None
    takes_expression: bool = False


def add_expression(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of an expression: its text and the numbers of its names."""
    parser.add_argument(
        "expression", metavar="EXPR", help='such as "z = w*a + b; C = (sigmoid(z) - y)**2"; pi, e and tau are known'
    )
    parser.add_argument("numbers", nargs="*", metavar="NAME=NUMBER", help="such as w=0.6; e=2 in place of 2.71828")


def named_values(options: argparse.Namespace) -> dict[str, Value]:
    """The named Values of the expression; the last is the root."""
    numbers = {}
    for given in options.numbers:
        name, equals, number = given.partition("=")
        if not equals or not is_number(number):
            raise ValueError(f"expected a name and a finite number, such as w=0.6, got {quoted(given)}")
        if name in numbers:
            raise ValueError(f"{name} was given two numbers")
        numbers[name] = float(number)
    return parse(options.expression, numbers)


def labelled_root(options: argparse.Namespace) -> Value:
    """The root of the expression, labelled "result" if the text gives it no name."""
    *_, root = named_values(options).values()
    root.label = root.label or "result"
    return root


def explain_not_finite(root: Value) -> None:
    """Say on stderr which operation, at which numbers, makes the first value or slope that is nan or infinite."""
    nodes = topological_order(root)
    for node in nodes:
        if not all(math.isfinite(operand.data) for operand in node.operands):
            continue
        made = Notation(nodes, {}).numbers(node).text if node.op else ""
        if not math.isfinite(node.data):
            what = f"{made} is {written(node.data)}"
        elif slopes := [slope for slope in node.local_grads if not math.isfinite(slope)]:
            what = f"the slope of {made} is {written(slopes[0])}"
        else:
            continue
        print(f"tinygrad-scalar: not finite: {what}", file=sys.stderr)
        return


def require_output(path: str, *inputs: str) -> None:
    """Raise an OSError or ValueError if `path` cannot be written or is one of the command's inputs."""
    require_writable(path)
    for given in inputs:
        if os.path.exists(path) and os.path.exists(given) and os.path.samefile(path, given):
            raise ValueError(f"the output {path} is the input {given}; choose another name")
