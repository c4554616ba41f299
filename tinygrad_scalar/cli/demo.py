"""`tinygrad-scalar demo`: one node by the chain rule, then a 4-8-3 network that learns to tell three irises apart."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tinygrad_scalar.atomic_write import require_writable, required_path
from tinygrad_scalar.cli.command import Command
from tinygrad_scalar.cli.console import new_console
from tinygrad_scalar.cli.split import split
from tinygrad_scalar.cli.table_model import untrained_model
from tinygrad_scalar.cli.training_report import report_model, report_result
from tinygrad_scalar.datasets import iris
from tinygrad_scalar.engine import Value
from tinygrad_scalar.inspection.notation import unicode_of
from tinygrad_scalar.nn.losses import LOSSES
from tinygrad_scalar.nn.optim import Adam
from tinygrad_scalar.nn.training import fit
from tinygrad_scalar.screen import printable
from tinygrad_scalar.viz.drawing import draw


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", default=".", metavar="DIR", help="where to put the pictures (default: here)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default %(default)s)")


def run(options: argparse.Namespace) -> None:
    """Print the demonstration and write one-node.svg, loss.svg and iris-cost.svg."""
    folder = required_path(options.output, "folder")
    require_writable(folder / "one-node.svg")
    one_node(folder / "one-node.svg")
    learn_iris(folder / "loss.svg", folder / "iris-cost.svg", options.seed)
    console = new_console()
    console.print("\nWritten", style="bold")
    for name, what in (
        ("one-node.svg", "the graph of the one-node network, with every gradient"),
        ("loss.svg", "the cost over the epochs"),
        ("iris-cost.svg", "the graph of the Iris network's cost for one flower"),
    ):
        console.print(f"  {printable(str(folder / name))}: {what}")
    console.print("\nNext: change a number, or write your own cost", style="bold")
    console.print('  tinygrad-scalar draw "z = w*a + b; C = (sigmoid(z) - y)**2" w=0.6 a=0.8 b=0.1 y=1 -o cost.svg')


def one_node(path: Path) -> None:
    """The notes' one-node network (000 Eq. 1 and 2) and its three derivatives (000 Eq. 3, 7 and 8)."""
    w, b = Value(0.6, "w(1)"), Value(0.1, "b(1)")
    a0, y = Value(0.8, "a(0)"), Value(0.0, "y")
    z = w * a0 + b
    a = z.sigmoid()
    C = (a - y) ** 2
    z.label, a.label, C.label = "z(1)", "a(1)", "C"

    console = new_console()
    console.print("One node", style="bold")
    console.print("  z⁽¹⁾ = w⁽¹⁾·a⁽⁰⁾ + b⁽¹⁾,  a⁽¹⁾ = σ(z⁽¹⁾),  C = (a⁽¹⁾ − y)²")
    console.print("\nForward", style="bold")
    for value in (w, a0, b, z, a, y, C):
        console.print(f"  {unicode_of(value.label):<4} = {value.data:.4f}")
    console.print("\nBackward, by the chain rule", style="bold")
    factors = [("σ′(z⁽¹⁾)", derivative(a, z)), ("2(a⁽¹⁾ − y)", derivative(C, a))]
    for leaf, first, equation in ((w, "a⁽⁰⁾", 3), (b, "1", 7), (a0, "w⁽¹⁾", 8)):
        product = [(first, derivative(z, leaf)), *factors]
        name = unicode_of(leaf.label)
        left = f"∂C/∂{name}"
        console.print(f"  {left:<8} = ∂z⁽¹⁾/∂{name} · ∂a⁽¹⁾/∂z⁽¹⁾ · ∂C/∂a⁽¹⁾    (000 Eq. {equation})")
        console.print(f"           = {' · '.join(text for text, _ in product)}")
        numbers = " · ".join(f"{number:.4f}" for _, number in product)
        console.print(f"           = {numbers} = {derivative(C, leaf):.4f}")
    C.zero_grad()
    C.backward()
    gradients = ", ".join(f"{unicode_of(leaf.label)}: {leaf.grad:.4f}" for leaf in (w, b, a0))
    console.print(f"  C.backward() puts the same into every .grad: {gradients}")
    draw(C).save(path)


def derivative(result: Value, wrt: Value) -> float:
    """∂result/∂wrt, by a separate backward pass."""
    result.zero_grad()
    result.backward()
    return wrt.grad


def learn_iris(loss_path: Path, cost_path: Path, seed: int) -> None:
    """Train a 4-8-3 network on two thirds of Fisher's irises; draw its cost by epoch and the graph of one cost."""
    table = iris()
    training_rows, held_out_rows = split(table, "species", 1 / 3, seed)
    model = untrained_model(table, training_rows, target="species", layers=[8], seed=seed)
    training, held_out = table.select(training_rows), table.select(held_out_rows)
    console = new_console()
    console.print("\nIris: which of three species a flower is, from four measurements", style="bold")
    optimizer = Adam(model.net.parameters(), learning_rate=0.03)
    report_model(console, model, optimizer, training, held_out)
    history = fit(
        model.net,
        model.inputs(training),
        model.targets(training),
        loss=model.loss,
        optimizer=optimizer,
        progress=sys.stderr.isatty(),
        seed=seed,
    )
    report_result(console, model, history, held_out)
    history.plot(title="Iris: mean cross-entropy of the training rows").save(loss_path)

    model.net.zero_grad()
    C = LOSSES[model.loss](model.net(model.inputs(held_out)[0]), model.targets(held_out)[0])
    C.label = "C"
    C.backward()
    draw(C).save(cost_path)


COMMAND = Command("demo", "one node by the chain rule, then a network that learns", run, add_arguments)
