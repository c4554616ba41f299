"""The command line: `tinygrad-scalar draw|step|explain|check|train|predict|demo|notebooks`.

Also as `python -m tinygrad_scalar`. A user's error is one line on stderr and exit code 2.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from tinygrad_scalar.atomic_write import require_writable, write_atomically
from tinygrad_scalar.cli import demo
from tinygrad_scalar.cli import notebooks as tutorial
from tinygrad_scalar.cli import step as terminal
from tinygrad_scalar.cli.expression import parse
from tinygrad_scalar.cli.table_model import TableModel, split, untrained_model
from tinygrad_scalar.cli.train import new_console, report_model, report_result, stop_printing, train
from tinygrad_scalar.datasets import is_number, read_csv
from tinygrad_scalar.engine.errors import AnomalyError
from tinygrad_scalar.engine.value import Value
from tinygrad_scalar.inspection.check import check_gradients
from tinygrad_scalar.inspection.explain import explain
from tinygrad_scalar.inspection.stepper import step
from tinygrad_scalar.nn.activations import ACTIVATIONS
from tinygrad_scalar.nn.losses import LOSSES
from tinygrad_scalar.nn.optim import OPTIMIZERS
from tinygrad_scalar.viz.drawing import DIRECTIONS, draw
from tinygrad_scalar.viz.plots import plot_cost

PROGRAM = "tinygrad-scalar"
OF_EXPRESSIONS = ("draw", "step", "explain", "check")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1 if `check` finds a gradient that is wrong, or 2 for a user's error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show ∂ shows ? and goes on
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] and given[0] in OF_EXPRESSIONS:  # -x*2 is no option; argparse tells by the space
        given = [f" {argument}" if re.match(r"-[^-oh]", argument) else argument for argument in given]
    code = None
    try:
        try:
            options = parsed(given)
            run: Callable[[argparse.Namespace], int | None] = options.run
            code = run(options)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        stop_printing()
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except (ValueError, AnomalyError, RuntimeError) as error:
        return _fail(str(error))
    return code or 0


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line's options; numbers with a name may stand before and after the options."""
    parser = _parser()
    options, more = parser.parse_known_args(arguments)
    are_numbers = hasattr(options, "numbers") and all(re.match(r"[^\W\d]\w*=", text) for text in more)
    if more and not are_numbers:
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    if more:
        options.numbers += more
    return options


def _fail(message: str, code: int = 2) -> int:
    print(f"{PROGRAM}: {' '.join(message.split())}", file=sys.stderr)
    return code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(_fail(f"{message} (see {self.prog} --help)"))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=PROGRAM, description="Backpropagation one scalar at a time.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {version('tinygrad_scalar')}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    command = commands.add_parser("draw", help="draw the graph of an expression, with every gradient")
    _take_expression(command)
    command.add_argument("-o", "--output", default="graph.svg", help=".svg, .png, .dot or .html (default %(default)s)")
    command.add_argument("--direction", choices=DIRECTIONS, default="LR", help="from the leaves to the root")
    command.set_defaults(run=_draw)

    command = commands.add_parser("step", help="go through the computation of an expression and its backward pass")
    _take_expression(command)
    command.add_argument("--all", action="store_true", help="print every step, without asking for keys")
    command.set_defaults(run=_step)

    command = commands.add_parser("explain", help="a gradient by the chain rule, in the names of the expression")
    _take_expression(command)
    command.add_argument("--wrt", required=True, metavar="NAME", help="the derivative with respect to this")
    command.set_defaults(run=_explain)

    command = commands.add_parser(
        "check", help="compare every gradient of an expression with a nudge; exit code 1 if one is wrong"
    )
    _take_expression(command)
    command.set_defaults(run=_check)

    command = commands.add_parser("train", help="train a network on a CSV file")
    command.add_argument("file", metavar="FILE.csv", help="a header line, numeric columns, and the target")
    command.add_argument("--target", required=True, metavar="COLUMN", help="the column to predict")
    command.add_argument("--layers", type=_sizes, default=[8, 8], metavar="N,N", help="hidden layers (default 8,8)")
    command.add_argument("--activation", choices=ACTIVATIONS, default="tanh", help="of the hidden layers")
    command.add_argument("--loss", choices=LOSSES, help="default: cross_entropy for classes, squared_error for numbers")
    command.add_argument("--optimizer", choices=OPTIMIZERS, default="adam", help="(default %(default)s)")
    command.add_argument("--learning-rate", type=float, default=0.03, metavar="α", help="(default %(default)s)")
    command.add_argument("--epochs", type=_count, default=100, metavar="N", help="(default %(default)s)")
    command.add_argument("--batch-size", type=_count, metavar="N", help="examples in a step (default: all)")
    command.add_argument("--test-fraction", type=float, default=0.25, metavar="F", help="(default %(default)s)")
    command.add_argument("--ignore", type=_names, default=[], metavar="COLUMN,COLUMN", help="columns to leave out")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of split, weights and order (default 0)")
    command.add_argument("-o", "--output", default="model.safetensors", metavar="MODEL", help="(default %(default)s)")
    command.set_defaults(run=_train)

    command = commands.add_parser("predict", help="predict with a trained network")
    command.add_argument("model", metavar="MODEL", help="what train wrote")
    command.add_argument("file", metavar="FILE.csv", help="a CSV file with the columns that the network was trained on")
    command.add_argument("-o", "--output", metavar="OUT.csv", help="(default: standard output)")
    command.set_defaults(run=_predict)

    command = commands.add_parser("demo", help="one node by the chain rule, then a network that learns")
    command.add_argument("-o", "--output", default=".", metavar="FOLDER", help="for the pictures (default: here)")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="(default %(default)s)")
    command.set_defaults(run=_demo)

    command = commands.add_parser("notebooks", help="copy the tutorial notebooks to a folder and open them")
    command.add_argument("folder", nargs="?", default="tinygrad-scalar-notebooks", metavar="DIR", help="(%(default)s)")
    command.set_defaults(run=_notebooks)
    return parser


def _take_expression(command: argparse.ArgumentParser) -> None:
    command.add_argument("expression", metavar="EXPR", help='such as "z = w*a + b; C = (sigmoid(z) - y)**2"')
    command.add_argument("numbers", nargs="*", metavar="NAME=NUMBER", help="such as w=0.6")


def _sizes(text: str) -> list[int]:
    sizes = [int(part) if part.strip().isdecimal() else 0 for part in text.split(",")]
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of layer sizes such as 8,8")
    return sizes


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, got {text!r}")
    return int(text)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _values(options: argparse.Namespace) -> dict[str, Value]:
    """The named Values of the expression; the last is the root."""
    numbers = {}
    for given in options.numbers:
        name, equals, number = given.partition("=")
        if not equals or not is_number(number):
            raise ValueError(f"{given!r} is not a finite number with a name, such as w=0.6")
        if name in numbers:
            raise ValueError(f"{name} is given two numbers")
        numbers[name] = float(number)
    return parse(options.expression, numbers)


def _step(options: argparse.Namespace) -> None:
    values = _values(options)
    terminal.run(new_console(), step(_labelled_root(values), names={}), everything=options.all)


def _explain(options: argparse.Namespace) -> None:
    values = _values(options)
    print(explain(_labelled_root(values), options.wrt, names={}))


def _check(options: argparse.Namespace) -> int:
    values = _values(options)
    check = check_gradients(_labelled_root(values), names={})
    print(check)
    return 0 if check.ok else 1


def _labelled_root(values: dict[str, Value]) -> Value:
    root = list(values.values())[-1]
    if not root.label:
        root.label = "result"
    return root


def _draw(options: argparse.Namespace) -> None:
    values = _values(options)
    root = list(values.values())[-1]
    root.backward()
    draw(root, direction=options.direction, names={}).save(options.output)
    for name, value in values.items():
        print(f"{name or 'result'} = {value.data:.6g}, grad {value.grad:.6g}")
    print(f"{options.output} shows the graph")


def _train(options: argparse.Namespace) -> None:
    plot_path = f"{options.output}.svg"
    for path in (options.output, plot_path):
        _require_output(path, options.file)
    if options.target in options.ignore:
        raise ValueError(f"{options.target!r} is the target and cannot be ignored")
    table = read_csv(options.file)
    training_rows, held_out_rows = split(table, options.target, options.test_fraction, options.seed)
    model = untrained_model(
        table,
        training_rows,
        target=options.target,
        layers=options.layers,
        loss=options.loss,
        activation=options.activation,
        ignore=options.ignore,
        seed=options.seed,
    )
    optimizer = OPTIMIZERS[options.optimizer](model.net.parameters(), options.learning_rate)
    training, held_out = table.select(training_rows), table.select(held_out_rows)
    console = new_console()
    report_model(console, model, optimizer, training, held_out)
    history = train(model, training, optimizer, epochs=options.epochs, batch_size=options.batch_size, seed=options.seed)
    model.save(options.output)
    plot_cost(history, f"{options.target}: mean {model.loss} of the training rows").save(plot_path)
    report_result(console, model, history, held_out)
    console.print(f"{options.output} holds the model, {plot_path} shows its loss curve")


def _predict(options: argparse.Namespace) -> None:
    if options.output is not None:
        _require_output(options.output, options.model, options.file)
    model = TableModel.load(options.model)
    table = read_csv(options.file)
    column = f"predicted_{model.target}"
    if column in table.columns:
        raise ValueError(f"{options.file} has a column {column!r} already")
    predictions = model.predict(table)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*table.columns, column])
    writer.writerows([*row, prediction] for row, prediction in zip(table.rows, predictions))
    if options.output is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # as in a file: no name may be lost
        sys.stdout.write(text.getvalue())
    else:
        write_atomically(options.output, text.getvalue().encode())


def _require_output(path: str, *inputs: str) -> None:
    require_writable(path)
    for given in inputs:
        if os.path.exists(path) and os.path.exists(given) and os.path.samefile(path, given):
            raise ValueError(f"the output {path} is the input {given}; give another name")


def _demo(options: argparse.Namespace) -> None:
    folder = Path(options.output)
    require_writable(folder / "one-node.svg")
    demo.run(folder, options.seed)


def _notebooks(options: argparse.Namespace) -> None:
    copied, kept = tutorial.copy_notebooks(options.folder)
    print(f"{options.folder}: {len(copied)} files copied" + (f", {len(kept)} that were there are kept" if kept else ""))
    if not tutorial.has_jupyterlab():
        print('to open them: pip install "tinygrad_scalar[notebooks]", then this command again')
        return
    sys.stdout.flush()
    if code := tutorial.open_jupyterlab(options.folder, copied):
        raise SystemExit(code)  # it has said why
