"""micrograd 0.1.0 running on our Value: its README's numbers and its moons demo's loss curve."""

import gc
import random

import micrograd.engine
import micrograd.nn
import numpy as np
import pytest

from tinygrad_scalar import Value

THEIRS = micrograd.engine.Value


@pytest.fixture
def engine(monkeypatch):
    """Replaces micrograd's Value with a class."""

    def install(cls):
        monkeypatch.setattr(micrograd.engine, "Value", cls)
        monkeypatch.setattr(micrograd.nn, "Value", cls)

    gc.disable()
    yield install
    gc.enable()


@pytest.mark.parametrize("cls", [THEIRS, Value], ids=["theirs", "ours"])
def test_the_readme_example_gives_the_readmes_numbers(engine, cls):
    engine(cls)
    a = micrograd.engine.Value(-4.0)
    b = micrograd.engine.Value(2.0)
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    assert f"{g.data:.4f}" == "24.7041"
    g.backward()
    assert f"{a.grad:.4f} {b.grad:.4f}" == "138.8338 645.5773"


def _moons(examples=100, noise=0.1):
    """Two half circles, one upside down inside the other; labels −1 and 1."""
    rng = np.random.default_rng(1337)
    angle = np.linspace(0.0, np.pi, examples // 2)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    lower = np.column_stack([1.0 - np.cos(angle), 0.5 - np.sin(angle)])
    points = np.concatenate([upper, lower]) + rng.normal(scale=noise, size=(examples, 2))
    return points, np.repeat([-1, 1], examples // 2)


def _step(model, points, labels, learning_rate):
    """The loss and the accuracy before the step: hinge loss with L2."""
    scores = [model([micrograd.engine.Value(x) for x in point]) for point in points]
    hinges = [(1 + -yi * score).relu() for yi, score in zip(labels, scores)]
    data_loss = sum(hinges) * (1.0 / len(hinges))
    total = data_loss + 1e-4 * sum(p * p for p in model.parameters())
    model.zero_grad()
    total.backward()
    for p in model.parameters():
        p.data -= learning_rate * p.grad
    return total.data, np.mean([(yi > 0) == (score.data > 0) for yi, score in zip(labels, scores)])


def _train(steps):
    """The losses and accuracies of the first steps of micrograd's demo.ipynb: gradient descent on all 100 examples."""
    random.seed(1337)
    np.random.seed(1337)
    model = micrograd.nn.MLP(2, [16, 16, 1])
    points, labels = (array.tolist() for array in _moons())
    course = []
    for k in range(steps):
        course.append(_step(model, points, labels, 1.0 - 0.9 * k / 100))
        gc.collect(0)  # micrograd's graphs are reference cycles; collected at once, this is quick
    losses, accuracies = zip(*course)
    return losses, accuracies


def test_the_moons_demo_has_the_same_loss_curve(engine, thorough):
    steps = 30 if thorough else 3
    engine(THEIRS)
    their_losses, their_accuracies = _train(steps)
    engine(Value)
    losses, accuracies = _train(steps)
    assert losses == pytest.approx(their_losses, rel=1e-9)
    assert accuracies == their_accuracies
    assert losses[-1] < losses[0] / (2 if thorough else 1)
