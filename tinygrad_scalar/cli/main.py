"""The command line: the table of subcommands, the parser, and errors as one line.

Also as `python -m tinygrad_scalar`. A user's error is one line on stderr and exit code 2.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import NoReturn

from tinygrad_scalar.cli import check, demo, draw, explain, explore, notebooks, predict, step, train
from tinygrad_scalar.cli.command import DivergedError, add_expression
from tinygrad_scalar.cli.console import ended_by_signals, open_streams, stop_printing
from tinygrad_scalar.engine.errors import AnomalyError
from tinygrad_scalar.inspection.layout import fitted

PROGRAM = "tinygrad-scalar"
LONGEST = 800  # characters of an error: argparse and the system quote arguments in full
FILES = (draw, explore, step, explain, check, train, predict, demo, notebooks)
COMMANDS = {file.COMMAND.name: file.COMMAND for file in FILES}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1 for a wrong gradient or a training that diverged, 2 for a user's error."""
    unread = open_streams()
    code = None
    try:
        try:
            options = parsed(sys.argv[1:] if arguments is None else arguments)
            run: Callable[[argparse.Namespace], int | None] = options.run
            with ended_by_signals():
                code = run(options)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        stop_printing()
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except OSError as error:
        stop_printing()  # a full disk would fail again at the interpreter's end
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except DivergedError as error:
        return _fail(str(error), 1)
    except (ValueError, AnomalyError, RuntimeError) as error:
        return _fail(str(error))
    if unread is not None and unread.getvalue():
        return _fail("standard output is closed, so the output was lost")
    return code or 0


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line's options; an expression's numbers can come before or after the other options."""
    command = COMMANDS.get(arguments[0]) if arguments else None
    if command and command.takes_expression:  # -x*2 is not an option; argparse tells them apart by the space
        arguments = [f" {argument}" if re.match(r"-([^-oh]|h.)", argument) else argument for argument in arguments]
    parser = _parser()
    options, more = parser.parse_known_args(arguments)
    are_numbers = hasattr(options, "numbers") and all(re.match(r"[^\W\d]\w*=", text) for text in more)
    if more and not are_numbers:
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    if more:
        options.numbers += more
    return options


def _fail(message: str, code: int = 2) -> int:
    try:
        print(f"{PROGRAM}: {fitted(' '.join(message.split()), LONGEST)}", file=sys.stderr)
    except OSError:  # a full disk; the exit code still tells
        stop_printing("stderr")
    return code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(_fail(f"{fitted(' '.join(message.split()), LONGEST // 2)} (see {self.prog} --help)"))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=PROGRAM, description="Backpropagation one scalar at a time.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {version('tinygrad_scalar')}")
    parsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS.values():
        its_parser = parsers.add_parser(command.name, help=command.help)
        if command.takes_expression:
            add_expression(its_parser)
        command.add_arguments(its_parser)
        its_parser.set_defaults(run=command.run)
    return parser
