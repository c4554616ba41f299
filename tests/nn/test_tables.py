"""A row is enough: an activation, a loss and an optimizer added to their tables are usable everywhere by name."""

import random

import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.cli.main import main
from tinygrad_scalar.nn.activations import ACTIVATIONS, Activation, he
from tinygrad_scalar.nn.losses import LOSSES, Loss
from tinygrad_scalar.nn.optim import OPTIMIZERS, Optimizer

XOR = [[0, 0], [0, 1], [1, 0], [1, 1]]


def swish(z):
    return z * z.sigmoid()


def log_cosh(a, y):
    a, y = (v if isinstance(v, (list, tuple)) else [v] for v in (a, y))
    return sum((ts.log(ts.cosh(a_j - y_j)) for a_j, y_j in zip(a, y)), Value(0.0))


class SignDescent(Optimizer):
    """θ ← θ − α sign(g)."""

    def __init__(self, parameters, learning_rate=0.01):
        super().__init__(parameters, learning_rate)

    def stepped(self, theta, g):
        return theta - self.learning_rate * ((g > 0.0) * 1.0 - (g < 0.0))


@pytest.fixture(autouse=True)
def rows(monkeypatch):
    monkeypatch.setitem(ACTIVATIONS, "swish", Activation(swish, he))
    monkeypatch.setitem(LOSSES, "log_cosh", Loss(log_cosh, "sigmoid", (0.0, 1.0), of_numbers=True))
    monkeypatch.setitem(OPTIMIZERS, "sign_descent", SignDescent)


def test_the_tables_are_names_of_ts_nn():
    assert (ts.nn.ACTIVATIONS, ts.nn.LOSSES, ts.nn.OPTIMIZERS) == (ACTIVATIONS, LOSSES, OPTIMIZERS)
    assert all(hasattr(ts.nn, name) for name in ts.nn.__all__)


@pytest.mark.parametrize("vectorized", [True, False])
def test_fit_takes_a_new_activation_loss_and_optimizer_by_name(vectorized):
    net = ts.MLP(2, [4, 1], "swish", "sigmoid", seed=0)
    history = ts.fit(
        net, XOR, [0, 1, 1, 0], loss="log_cosh", optimizer="sign_descent", epochs=30, progress=False,
        vectorized=vectorized,
    )  # fmt: skip
    assert history.cost[-1] < history.cost[0]
    assert net.a[1][0].op == "*"


def test_a_new_activation_has_the_initial_weights_of_its_row():
    largest = max(w.data for neuron in ts.Layer(24, 72, "swish", seed=0).neurons for w in neuron.w)
    assert largest == pytest.approx(0.5, rel=0.01)  # √(6/24), He et al. 2015


def test_a_network_with_a_new_activation_is_saved_and_loaded(tmp_path):
    ts.save(ts.MLP(2, [3, 1], "swish", seed=0), tmp_path / "net")
    assert repr(ts.load(tmp_path / "net")) == "MLP(2, [3, 1], 'swish')"


def test_cost_takes_a_new_loss_by_name():
    assert ts.cost("log_cosh", [Value(1.0)], [1.0]).data == 0.0


@pytest.mark.parametrize("target", ["kind", "height"])  # a class and a number
def test_the_command_line_offers_and_takes_what_is_new(target, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    draws = random.Random(0)
    rows = [f"{draws.gauss(i % 2, 0.5)},{draws.random()},{'ab'[i % 2]}\n" for i in range(12)]
    (tmp_path / "t.csv").write_text("width,height,kind\n" + "".join(rows))
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    offered = capsys.readouterr().out
    options = ["--activation", "swish", "--loss", "log_cosh", "--optimizer", "sign_descent", "--epochs", "2"]
    assert all(name in offered for name in options[1::2][:3])
    ignored = [] if target == "kind" else ["--ignore", "kind"]
    assert main(["train", "t.csv", "--target", target, *options, *ignored]) in (0, None)
    printed = capsys.readouterr().out
    assert "'swish'" in printed
    assert "loss log_cosh, SignDescent" in printed
    assert main(["predict", "model.safetensors", "t.csv"]) in (0, None)
