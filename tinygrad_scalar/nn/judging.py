"""Costs and metrics of many examples, which may come in batches."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.nn.kept_program import engine_outputs
from tinygrad_scalar.nn.metrics import METRICS, measured_all, required_number, rmse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.nn.examples import Source
    from tinygrad_scalar.nn.metrics import Metric
    from tinygrad_scalar.nn.trainers import Network, ScalarTrainer

_TRIED = 10  # examples on which a metric of the user's is tried


def mean_cost(costs: Iterable[tuple[float, int]]) -> float:
    """The mean over examples, given the mean of each batch and how many examples it has."""
    costs = list(costs)
    m = sum(size for _, size in costs)
    return math.fsum(cost * (size / m) for cost, size in costs)


def judge(
    trainer: ScalarTrainer, source: Source, with_cost: bool, metrics: Mapping[str, Metric], epoch: int
) -> tuple[float | None, dict[str, float]]:
    """The cost, if it is wanted, and the metrics of all examples, each read once, after an epoch, counted from 0."""
    if not with_cost and not metrics:
        return None, {}
    costs, outputs, targets = [], [], []
    for examples in source.everyone(epoch + 1):
        if with_cost:
            try:
                costs.append((trainer.cost(examples, epoch), len(examples)))
            except (ValueError, TypeError) as error:
                trainer.name_row(error, examples, range(len(examples)), epoch)
                raise
        if metrics:
            outputs.append(trainer.outputs(examples))
            targets.append(examples.Y if source.first is source else examples.Y.copy())  # batches may be refilled
    measured = measured_all(metrics, _joined(outputs), _joined(targets)) if metrics else {}
    return mean_cost(costs) if with_cost else None, measured


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """The rows of all; a single part is not copied."""
    import numpy as np

    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def require_measurable(metrics: Mapping[str, Metric], net: Network, source: Source) -> None:
    """Raise now, not in mid-training, if one of our metrics cannot compare outputs with such targets, or if one of the
    user's gives no number.

    The latter is tried on a few examples. What it raises of itself does not count yet: they may be of one class.
    """
    import numpy as np

    if not metrics:
        return
    Y, few = source.first.Y, min(_TRIED, len(source.first))
    outputs = engine_outputs(net, source.first.x[:few]).reshape(few, -1)
    for name, metric in metrics.items():
        if METRICS.get(name) is metric:
            checked = metric if source.first is source else rmse  # which refuses the same shapes, whatever the spread
            checked(np.zeros((len(Y), outputs.shape[1])), Y)
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                answer = metric(outputs, Y[:few])
        except Exception:
            continue
        required_number(name, answer)
