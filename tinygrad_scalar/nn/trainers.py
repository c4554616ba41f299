"""One training step, in two ways that agree to rounding: with the engine, scalar by scalar, or with the array program
that `vectorize` derives.

The gradient of a cost is the mean of its examples' gradients (001, average cost). The array program gives it for a
batch; the engine builds each example's graph, differentiates it with upstream gradient 1/m, and drops it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tinygrad_scalar.engine import Value, clear_gradients, read_data, read_gradients, set_data
from tinygrad_scalar.engine.errors import AnomalyError, label_of, shown
from tinygrad_scalar.engine.quiet import quiet
from tinygrad_scalar.nn.examples import Batch, Examples
from tinygrad_scalar.nn.gradient_rule import GradientRule
from tinygrad_scalar.nn.kept_program import PIECE, engine_outputs, in_pieces, kept_programs
from tinygrad_scalar.nn.optim import Optimizer
from tinygrad_scalar.nn.wrong_rows import loss_not_finite, name_row, not_finite

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.engine.bulk import Array
    from tinygrad_scalar.nn.losses import LossFunction


class Network(Protocol):
    """A function of one example that has parameters, such as an MLP: all that `fit` can train."""

    def __call__(self, x: Any, /) -> Any: ...
    def parameters(self) -> list[Value]: ...


@dataclass(eq=False)
class ScalarTrainer:
    """Training steps with the engine: each example's graph is built, differentiated and dropped.

    `examples` are all, or some to trace the network with. `rule` changes the gradient before the optimizer gets it;
    `weights` says how much each example counts, mean 1.
    """

    net: Network
    evaluate: LossFunction
    optimizer: Optimizer
    examples: Examples
    rule: GradientRule | None = None
    weights: Array | None = None

    def step(self, batch: Batch, epoch: int) -> float:
        """Take one step on a batch; returns its mean loss before the step."""
        losses = self.backpropagate(batch, epoch)
        self._step_if_finite(epoch)
        return _mean(losses)

    def backpropagate(self, batch: Batch, epoch: int) -> list[float]:
        """The losses of a batch; its mean gradient is left in the parameters' .grad."""
        losses = []
        clear_gradients([*self.net.parameters(), *self.optimizer.parameters])
        examples, rows, weights = batch
        for i in rows:
            C = self.evaluate(self.net(examples.x[i]), examples.y[i])
            require_value(C)
            if not math.isfinite(C.data):
                raise loss_not_finite(examples, i, C.data, epoch)
            weight = 1.0 if weights is None else float(weights[i])
            C.backward(weight / len(rows))  # ∂C/∂w = 1/m Σₖ ∂Cₖ/∂w
            losses.append(weight * C.data)
        return losses

    def _step_if_finite(self, epoch: int) -> None:
        """Take a step that leaves every parameter finite; else AnomalyError, with every parameter unchanged."""
        import numpy as np

        parameters = self.optimizer.parameters
        before, numbers = np.empty(len(parameters)), np.empty(len(parameters))
        read_data(parameters, before)
        read_gradients(parameters, numbers)
        _require_finite(numbers, "the gradient of", parameters, epoch)
        if self.rule is not None:
            for parameter, grad in zip(parameters, self.rule(before, numbers).tolist()):
                parameter.grad = grad
        self.optimizer.step()
        read_data(parameters, numbers)
        try:
            _require_finite(numbers, "the parameter", parameters, epoch)
        except AnomalyError:
            set_data(parameters, before)
            raise

    def cost(self, examples: Examples, epoch: int) -> float:
        """The mean loss of `examples`; AnomalyError if that of one is nan, ValueError if one is refused."""
        losses = []
        for i, (x, y) in enumerate(zip(examples.x, examples.y)):
            loss = self.evaluate(self.net(x), y).data
            if math.isnan(loss):
                raise loss_not_finite(examples, i, loss, epoch)
            losses.append(loss)
        return _mean(losses)

    def name_row(self, error: Exception, examples: Examples, rows: Sequence[int], epoch: int) -> None:
        """Raise the error of a step or a cost with the row that it is about, if one can be found."""
        self.publish_parameters()
        name_row(error, self.net, self.evaluate, examples, rows, epoch)

    def outputs(self, examples: Examples) -> NDArray[Any]:
        """The network's outputs for each example, shape (m, k)."""
        return engine_outputs(self.net, examples.x).reshape(len(examples), -1)

    @property
    def parameters(self) -> Array:
        """A copy of the optimizer's parameters as they are now; setting it sets them."""
        import numpy as np

        numbers = np.empty(len(self.optimizer.parameters))
        read_data(self.optimizer.parameters, numbers)
        return numbers

    @parameters.setter
    def parameters(self, numbers: Array) -> None:
        set_data(self.optimizer.parameters, numbers)

    def publish_parameters(self) -> None:
        """Put the parameters into the Values, where what makes the next batch may look, and change them."""

    def publish(self) -> None:
        """Put the parameters, and the gradients of the last step, into the Values, where others look and may change."""

    def close(self) -> None:
        """Leave the parameters, and the gradients of the last step, in the Values; clear all other gradients."""
        stepped = set(self.optimizer.parameters)
        clear_gradients(parameter for parameter in self.net.parameters() if parameter not in stepped)


@dataclass(eq=False)
class VectorTrainer(ScalarTrainer):
    """The same steps with the array program of net and loss (003 Eq. 1 and 11); TraceError if there is none."""

    def __post_init__(self) -> None:
        # raises a TraceError now, not in mid-training
        weighted = self.weights is not None
        self.programs = kept_programs(self.net, self.evaluate, self.optimizer.parameters, weighted, self._first_two)
        self.vectorized = self.programs.cost
        self.gradient: Array | None = None

    def _first_two(self) -> list[Array]:
        """The arguments of the cost's program for two examples."""
        return [array[:2] for array in _arrays(self.examples, self.weights)]

    def step(self, batch: Batch, epoch: int) -> float:
        theta, parameters = self.vectorized.parameters, self.optimizer.parameters
        cost: float
        cost, gradient = self._mean_gradient(batch)
        if not math.isfinite(cost):
            cost = self._explained(cost, gradient, batch, epoch)
        _require_finite(gradient, "the gradient of", parameters, epoch)
        with quiet(all="ignore"):  # as in the arithmetic of Values
            gradient = gradient if self.rule is None else self.rule(theta, gradient)
            stepped = self.optimizer.stepped(theta.copy(), gradient)  # which it may keep, or write to
        _require_finite(stepped, "the parameter", parameters, epoch)
        theta[:] = stepped
        self.gradient = gradient
        return cost

    def _mean_gradient(self, batch: Batch) -> tuple[float, Array]:
        """The mean cost of a batch and its gradient."""
        mean: tuple[float, Array] = mean_over_pieces(
            _arrays(batch.examples, batch.weights), batch.rows, self.vectorized
        )
        return mean

    def _explained(self, cost: float, gradient: Array, batch: Batch, epoch: int) -> float:
        """The engine names the example whose loss is not finite, unless only the sum is."""
        self.vectorized.write_back()
        cost = _mean(self.backpropagate(batch, epoch))
        read_gradients(self.optimizer.parameters, gradient)
        return cost

    def cost(self, examples: Examples, epoch: int) -> float:
        import numpy as np

        everyone = range(len(examples))
        arrays = _arrays(examples, None if self.weights is None else np.ones(len(examples)))
        cost: float = mean_over_pieces(arrays, everyone, lambda *XY: (self.vectorized.value(*XY), 0.0))[0]
        if math.isfinite(cost):
            return cost
        self.vectorized.write_back()
        return super().cost(examples, epoch)

    def outputs(self, examples: Examples) -> NDArray[Any]:
        self.publish()  # the program of the outputs reads the Values
        return in_pieces(self.programs.outputs, examples.X).reshape(len(examples), -1)

    @property
    def parameters(self) -> Array:
        numbers: Array = self.vectorized.parameters.copy()
        return numbers

    @parameters.setter
    def parameters(self, numbers: Array) -> None:
        self.vectorized.parameters = numbers

    def publish_parameters(self) -> None:
        self.vectorized.write_back()

    def publish(self) -> None:
        self.publish_parameters()
        if self.gradient is not None:
            for parameter, grad in zip(self.optimizer.parameters, self.gradient.tolist()):
                parameter.grad = grad

    def close(self) -> None:
        super().close()
        if self.programs.net is not self.net:
            self.programs.forget_last_call()
        self.publish()


def trainer_for(
    net: Network,
    evaluate: LossFunction,
    optimizer: Optimizer,
    examples: Examples,
    vectorized: bool,
    rule: GradientRule | None = None,
    weights: Array | None = None,
) -> ScalarTrainer:
    """The array program's trainer if `vectorized` and there is such a program, else the engine's.

    An optimizer with a step() of its own is stepped by the engine: the array program knows only `stepped`.
    """
    if not vectorized or type(optimizer).step is not Optimizer.step:
        return ScalarTrainer(net, evaluate, optimizer, examples, rule, weights)
    try:
        return VectorTrainer(net, evaluate, optimizer, examples, rule, weights)
    except TypeError as error:  # a TraceError, or an operation that numbers have and Values do not
        require_value(evaluate(net(examples.x[0]), examples.y[0]))
        warnings.warn(
            f"fit trains scalar by scalar, because the network or the loss cannot be vectorized: {error}. "
            "Pass vectorized=False to silence this warning.",
            stacklevel=3,
        )
        return ScalarTrainer(net, evaluate, optimizer, examples, rule, weights)


def _arrays(examples: Examples, weights: Array | None) -> list[Array]:
    """The arguments of the cost's program."""
    return [examples.X, examples.Y] if weights is None else [examples.X, examples.Y, weights]


def mean_over_pieces(arrays: Sequence[Array], batch: Sequence[int], run: Callable[..., Any]) -> Any:
    """The mean cost and gradient of a batch of the arrays' rows, run in pieces of at most PIECE examples."""
    m = len(batch)
    cost, gradient = 0.0, 0.0
    for start in range(0, m, PIECE):
        piece = slice(start, start + PIECE) if m == len(arrays[0]) else batch[start : start + PIECE]
        its_cost, its_gradient = run(*[array[piece] for array in arrays])
        share = min(PIECE, m - start) / m
        if share == 1.0:
            return its_cost, its_gradient
        cost += its_cost * share
        gradient = gradient + its_gradient * share
    return cost, gradient


def _mean(losses: Sequence[float]) -> float:
    return math.fsum(loss / len(losses) for loss in losses)


def require_value(C: Any) -> None:
    if not isinstance(C, Value):
        raise TypeError(f"a loss must return one Value, got {shown(C)}")


def _require_finite(numbers: Array, what: str, parameters: Sequence[Value], epoch: int) -> None:
    import numpy as np

    finite = np.isfinite(numbers)
    if not finite.all():
        i = int(finite.argmin())
        raise not_finite(f"{what} {label_of(parameters[i])}", float(numbers[i]), epoch)
