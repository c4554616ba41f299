"""Metrics: numbers beside the cost by which a network is judged, computed from all outputs and targets at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.number import as_float
from tinygrad_scalar.nn.losses import row_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.nn.losses import LossFunction

    Floats = NDArray[Any]
    Metric = Callable[[Floats, Floats], float]


def rmse(outputs: Floats, Y: Floats) -> float:
    """√ of the mean of (output − target)², in the target's units."""
    return math.sqrt(((outputs - _like(Y, outputs)) ** 2).mean())


def mae(outputs: Floats, Y: Floats) -> float:
    """The mean of |output − target|, in the target's units."""
    return float(abs(outputs - _like(Y, outputs)).mean())


def r2(outputs: Floats, Y: Floats) -> float:
    """R², 1 − Σ(output − target)²/Σ(target − mean target)²; the mean over several outputs."""
    Y = _like(Y, outputs)
    spread = ((Y - Y.mean(axis=0)) ** 2).sum(axis=0)
    if not spread.all():
        raise ValueError("r2 compares with the spread of the targets, and all targets of an output are equal")
    return float((1.0 - ((outputs - Y) ** 2).sum(axis=0) / spread).mean())


OTHER_COLUMNS = ("epoch", "cost", "validation_cost")  # of a history
METRICS: dict[str, Metric] = {"rmse": rmse, "mae": mae, "r2": r2}  # and "accuracy", which depends on the loss


def find_metrics(metrics: Iterable[str | Metric] | str, evaluate: LossFunction) -> dict[str, Metric]:
    """The metrics by their names; a function has its own name."""
    if isinstance(metrics, str) or not isinstance(metrics, Iterable):
        raise TypeError(f'metrics must be a list such as ["accuracy"], got {shown(metrics)}')
    found: dict[str, Metric] = {}
    for metric in metrics:
        if isinstance(metric, str) and metric in ("accuracy", *METRICS):
            name, function = metric, _accuracy(evaluate) if metric == "accuracy" else METRICS[metric]
        elif callable(metric):
            name, function = getattr(metric, "__name__", type(metric).__name__), metric
        else:
            names = ", ".join(["accuracy", *METRICS])
            raise ValueError(
                f"a metric must be one of {names}, or a function (outputs, Y) -> number; got {shown(metric)}"
            )
        if name in found or name in OTHER_COLUMNS:
            raise ValueError(
                f"the history has one column {name!r}, and a metric needs its own: give the function another __name__"
            )
        found[name] = function
    return found


def measured_all(metrics: Mapping[str, Metric], outputs: Floats, Y: Floats) -> dict[str, float]:
    """The metrics' numbers; TypeError if one gives none."""
    return {name: required_number(name, metric(outputs, Y)) for name, metric in metrics.items()}


def required_number(name: str, answer: object) -> float:
    """A metric's answer as a float; TypeError if it is none."""
    number = as_float(answer)
    if number is None:
        raise TypeError(f"the metric {name} must return a number, got {shown(answer)}")
    return number


def _accuracy(evaluate: LossFunction) -> Metric:
    """The share of examples whose class is the network's answer: its largest output, or the side of its only one."""
    found = row_of(evaluate)
    if found is None:
        raise ValueError(
            'metrics=["accuracy"] needs one of our losses, which say what an output means; with a loss of your own '
            "pass a function (outputs, Y) -> number"
        )
    row = found[1]
    off, on = row.off_and_on or (0.0, 1.0)
    boundary = (off + on) / 2 if row.output_activation == "sigmoid" else 0.0

    def accuracy(outputs: Floats, Y: Floats) -> float:
        if outputs.shape[1] == 1:
            return float(((outputs[:, 0] > boundary) == (Y.reshape(len(Y)) > (off + on) / 2)).mean())
        classes = Y if Y.ndim == 1 else Y.argmax(axis=1)
        return float((outputs.argmax(axis=1) == classes).mean())

    return accuracy


def _like(Y: Floats, outputs: Floats) -> Floats:
    if Y.size != outputs.size:
        raise ValueError(
            f"the metrics {', '.join(METRICS)} compare each output with a target of its own, but there are "
            f"{outputs.shape[1]} outputs an example and Y has the shape {Y.shape}"
        )
    targets: Floats = Y.reshape(outputs.shape)
    return targets
