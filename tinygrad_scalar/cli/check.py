"""`tinygrad-scalar check`: every gradient of an expression against a nudge."""

from __future__ import annotations

import argparse

from tinygrad_scalar.cli.command import Command, explain_not_finite, labelled_root
from tinygrad_scalar.inspection.check import check_gradients


def run(options: argparse.Namespace) -> int:
    root = labelled_root(options)
    check = check_gradients(root, names={})
    print(check)
    explain_not_finite(root)
    return 0 if check.ok else 1


COMMAND = Command(
    "check",
    "check every gradient of an expression with a nudge; exit code 1 if one is wrong",
    run,
    takes_expression=True,
)
