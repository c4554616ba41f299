"""A training whose cost never moved although it could be lower: `fit` says so, and why."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine import Value, read_data, read_gradients
from tinygrad_scalar.nn.examples import Examples
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


def warn_of_standstill(
    costs: Sequence[float], net: Network, evaluate: LossFunction, optimizer: Optimizer, examples: Examples
) -> None:
    """Warn if no epoch moved the cost beyond rounding, though other outputs would have a lower one."""
    if len(costs) < _FEWEST_EPOCHS or max(costs) - min(costs) > 4 * _EPS * max(map(abs, costs)):
        return
    rate = getattr(optimizer, "learning_rate", None)
    if rate == 0 or not _can_be_lower(net, evaluate, examples):
        return
    why = _reason(rate, costs[-1], net, evaluate, optimizer, examples)
    if why:
        warnings.warn(
            f"the cost has not moved from {costs[-1]:.4g} for {len(costs)} epochs: {why}. "
            "ts.diagnose(loss(net(x), y)) of one example shows where the gradient is lost.",
            stacklevel=3,
        )


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


def _reason(
    rate: Any, cost: float, net: Network, evaluate: LossFunction, optimizer: Optimizer, examples: Examples
) -> str:
    """Why nothing moved; empty at an optimum, where the examples' gradients cancel, and where steps are taken."""
    import numpy as np

    parameters = optimizer.parameters
    G = _gradients(net, evaluate, optimizer, examples)
    mean, typical = np.abs(G.mean(axis=0)), np.abs(G).mean(axis=0)
    largest = mean.max()
    if not typical.any():
        return "the gradient of every parameter is 0 for every example, so no step changes anything"
    if largest <= _CANCELLED * typical.max():
        return ""
    if largest <= _NEARLY_ZERO * max(1.0, abs(cost)):
        return f"the gradients are nearly 0 (the largest is {largest:.1g}), so the steps are lost in rounding"
    numbers = np.empty(len(parameters))
    read_data(parameters, numbers)
    if isinstance(rate, float) and rate * max(1.0, largest) <= 8 * _EPS * np.abs(numbers).max():
        return f"the steps are too small for float64 (learning rate {rate:.4g}), so the parameters keep their numbers"
    return ""


def _gradients(net: Network, evaluate: LossFunction, optimizer: Optimizer, examples: Examples) -> NDArray[Any]:
    """One row of gradients an example; the parameters' .grad is afterwards as before."""
    import numpy as np

    parameters = optimizer.parameters
    engine = ScalarTrainer(net, evaluate, optimizer, examples)
    before = [parameter.grad for parameter in parameters]
    G: NDArray[Any] = np.empty((len(_some(examples)), len(parameters)))
    for row, i in zip(G, _some(examples)):
        engine.backpropagate([i], 0)
        read_gradients(parameters, row)
    engine.close()
    for parameter, grad in zip(parameters, before):
        parameter.grad = grad
    return G


def _some(examples: Examples) -> range:
    return range(0, len(examples), -(-len(examples) // _LOOKED_AT))
