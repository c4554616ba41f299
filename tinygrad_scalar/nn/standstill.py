"""A training whose cost never moved, or that has died, although the cost could be lower: `fit` says so, and why.

A cost that stands still at last has mostly converged. The training has died if every example's gradient has vanished
(saturated sigmoids), or if the examples no longer matter (all hidden units dead, and only the output's bias trained).
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine import Value, read_data, read_gradients
from tinygrad_scalar.nn.examples import Batch, Examples
from tinygrad_scalar.nn.optim import Optimizer
from tinygrad_scalar.nn.trainers import ScalarTrainer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.nn.losses import LossFunction
    from tinygrad_scalar.nn.trainers import Network

_FEWEST_EPOCHS = 10
_LOOKED_AT = 500  # examples, spread over all of them
_EPS = sys.float_info.epsilon
_CANCELLED = 1e-6  # of the examples' gradients, where their mean is that of an optimum
_NEARLY_ZERO = 1e-7  # a step of descent along it changes the cost by its square, which rounding hides
_LOW = 1e-9  # of the highest cost: low enough to have converged


def warn_of_standstill(
    costs: Sequence[float], net: Network, evaluate: LossFunction, optimizer: Optimizer, examples: Examples
) -> None:
    """Warn if the cost can be lower, but never moved beyond rounding, or the gradients have died.

    Most healthy trainings are known by their last costs, which differ, and by two examples' outputs, which differ too.
    """
    rate = getattr(optimizer, "learning_rate", None)
    if len(costs) < _FEWEST_EPOCHS or rate == 0:
        return
    still, ignores_input = _still(costs), _ignores_its_input(net, examples)
    never_moved = still == len(costs)
    if not never_moved and not ignores_input:
        if still < _FEWEST_EPOCHS or abs(costs[-1]) <= _LOW * max(map(abs, costs)):
            return
        if (abs(_gradients(net, evaluate, optimizer, examples, range(1))) > _vanishing(costs[-1])).any():
            return
    if not _can_be_lower(net, evaluate, examples):
        return
    G = _gradients(net, evaluate, optimizer, examples, _some(examples))
    why = _death(G, costs[-1], ignores_input) or (never_moved and _small_steps(G, rate, costs[-1], optimizer))
    if why:
        warnings.warn(
            f"{_told(costs, still)}: {why}. "
            "ts.diagnose(loss(net(x), y)) of one example shows where the gradient is lost.",
            stacklevel=3,
        )


def _told(costs: Sequence[float], still: int) -> str:
    if still < _FEWEST_EPOCHS:
        return f"the training has come to a dead end, at a cost of {costs[-1]:.4g}"
    how_long = f"for {still} epochs" if still == len(costs) else f"in the last {still} of {len(costs)} epochs"
    return f"the cost has not moved from {costs[-1]:.4g} {how_long}"


def _still(costs: Sequence[float]) -> int:
    """The number of last epochs with one cost, up to rounding."""
    if not costs:
        return 0
    low = high = costs[-1]
    for i, cost in enumerate(reversed(costs)):
        low, high = min(low, cost), max(high, cost)
        if high - low > 4 * _EPS * max(abs(low), abs(high)):
            return i
    return len(costs)


def _can_be_lower(net: Network, evaluate: LossFunction, examples: Examples) -> bool:
    """Whether a small change of one output lowers an example's loss: at a perfect fit none does."""
    for i in _some(examples):
        x, y = examples.x[i], examples.y[i]
        outputs = net(x)
        loss = evaluate(outputs, y).data
        for nudged in _nudged(outputs):
            try:
                if evaluate(nudged, y).data < loss:
                    return True
            except ValueError:  # an output that the loss refuses, such as a probability below 0
                continue
    return False


def _nudged(outputs: Any) -> Iterator[Any]:
    values = [outputs] if isinstance(outputs, Value) else list(outputs)
    numbers = [value.data for value in values]
    for j, number in enumerate(numbers):
        for h in (1e-4, -1e-4):
            changed = [Value(n) for n in numbers]
            changed[j] = Value(number + h * max(1.0, abs(number)))
            yield changed[0] if isinstance(outputs, Value) else changed


def _vanishing(cost: float) -> float:
    return _NEARLY_ZERO * max(1.0, abs(cost))


def _ignores_its_input(net: Network, examples: Examples) -> bool:
    """Whether all examples have the same outputs, bit for bit, though their inputs differ, and their targets too."""
    outputs = (_numbers(net(examples.x[i])) for i in _some(examples))
    first = next(outputs)
    if not all(others == first for others in outputs):
        return False
    return all(any(rows[i] != rows[0] for i in _some(examples)) for rows in (examples.x, examples.y))


def _numbers(outputs: Any) -> list[float]:
    return [value.data for value in ([outputs] if isinstance(outputs, Value) else outputs)]


def _death(G: NDArray[Any], cost: float, ignores_input: bool) -> str:
    """How the gradients, one row an example, are lost for every example; empty if they are not."""
    import numpy as np

    mean, typical = np.abs(G.mean(axis=0)), np.abs(G).mean(axis=0)
    if not typical.any():
        return "the gradient of every parameter is 0 for every example, so no step changes anything"
    if typical.max() <= _vanishing(cost) and mean.max() > _CANCELLED * typical.max():
        return f"the gradients are nearly 0 (the largest is {mean.max():.1g}), so the steps are lost in rounding"
    dead = int((typical <= _EPS * typical.max()).sum())
    if dead and ignores_input:
        return (
            f"the gradients of {dead:,} of {len(typical):,} parameters are lost for every example (0 or nearly), and "
            "the network gives the same output for all of them"
        )
    return ""


def _small_steps(G: NDArray[Any], rate: Any, cost: float, optimizer: Optimizer) -> str:
    """Why nothing moved though gradients live; empty at an optimum, where they cancel, and where steps are taken."""
    import numpy as np

    largest = np.abs(G.mean(axis=0)).max()
    if largest <= _CANCELLED * np.abs(G).mean(axis=0).max():
        return ""
    if largest <= _vanishing(cost):
        return f"the gradients are nearly 0 (the largest is {largest:.1g}), so the steps are lost in rounding"
    numbers = np.empty(len(optimizer.parameters))
    read_data(optimizer.parameters, numbers)
    if isinstance(rate, float) and rate * max(1.0, largest) <= 8 * _EPS * np.abs(numbers).max():
        return f"the steps are too small for float64 (learning rate {rate:.4g}), so the parameters keep their numbers"
    return ""


def _gradients(
    net: Network, evaluate: LossFunction, optimizer: Optimizer, examples: Examples, some: range
) -> NDArray[Any]:
    """One row of gradients an example; the parameters' .grad is afterwards as before."""
    import numpy as np

    parameters = optimizer.parameters
    engine = ScalarTrainer(net, evaluate, optimizer, examples)
    before = [parameter.grad for parameter in parameters]
    G: NDArray[Any] = np.empty((len(some), len(parameters)))
    for row, i in zip(G, some):
        engine.backpropagate(Batch(examples, [i]), 0)
        read_gradients(parameters, row)
    engine.close()
    for parameter, grad in zip(parameters, before):
        parameter.grad = grad
    return G


def _some(examples: Examples) -> range:
    return range(0, len(examples), -(-len(examples) // _LOOKED_AT))
