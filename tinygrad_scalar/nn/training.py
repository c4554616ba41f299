"""Training: the complete sequence of 003's last section. For every batch: feed forward, cost, backpropagate, step.

The gradient of a cost is the mean of its examples' gradients (001, average cost). `vectorize` gives it for a batch; or
each example's graph is built, differentiated with upstream gradient 1/m and dropped before the next.
"""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tinygrad_scalar.engine.bulk import clear_gradients, read_data, read_gradients, set_data
from tinygrad_scalar.engine.errors import AnomalyError, TraceError, shown
from tinygrad_scalar.engine.graph import topological_order
from tinygrad_scalar.engine.number import required_integer
from tinygrad_scalar.engine.value import Value
from tinygrad_scalar.nn.losses import LOSSES, find_loss
from tinygrad_scalar.nn.mlp import generator_of
from tinygrad_scalar.nn.optim import OPTIMIZERS, Optimizer
from tinygrad_scalar.vectorize import vectorize

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from tinygrad_scalar.engine.bulk import Array
    from tinygrad_scalar.nn.losses import LossFunction


class Network(Protocol):
    """What `fit` can train: a function of one example that has parameters. `MLP` is one."""

    def __call__(self, x: Any, /) -> Any: ...
    def parameters(self) -> list[Value]: ...


@dataclass
class History:
    """The course of a training: entry e of each list belongs to epoch e.

    cost             mean loss over the epoch's training examples, each as it was before its batch's step
    validation_cost  mean loss over the validation examples after the epoch; empty if there were none
    """

    cost: list[float] = field(default_factory=list)
    validation_cost: list[float] = field(default_factory=list)

    def __repr__(self) -> str:
        if not self.cost:
            return "History(no epochs)"
        return f"History({len(self.cost)} epochs, cost {self.cost[0]:.4g} → {self.cost[-1]:.4g})"


def fit(
    net: Network,
    X: ArrayLike,
    Y: ArrayLike,
    *,
    loss: str | LossFunction = "squared_error",
    optimizer: str | Optimizer = "adam",
    epochs: int = 100,
    batch_size: int | None = None,
    validation: tuple[ArrayLike, ArrayLike] | None = None,
    progress: bool = True,
    seed: int | None = 0,
    vectorized: bool = True,
) -> History:
    """Train `net` on m examples and return how the cost went.

    X, Y        arrays or lists with one example per row: X of shape (m, n) or (m,), Y of shape (m, k) or (m,);
                for cross_entropy Y holds class indices, whole numbers from 0, and has the shape (m,)
    loss        a loss (a, y) -> Value, or the name of one of ours
    optimizer   an optimizer over net.parameters(), or the name of one, which is then used as it comes
    batch_size  how many examples make one step; None: all of them. Batches are drawn in an order shuffled by `seed`
    validation  (X, Y) whose cost is measured after every epoch, without training on them
    progress    show a progress bar on stderr
    vectorized  run the matrix equations that `vectorize` derives from net and loss; False: the engine, scalar by
                scalar. The result is the same to rounding. What cannot be vectorized is warned about.

    Bad input is a ValueError or TypeError before anything has changed. AnomalyError if a loss or a gradient becomes
    nan or infinite; that batch's step is then not taken.

    >>> from tinygrad_scalar import MLP, GradientDescent
    >>> net = MLP(1, [1], "linear", seed=0)
    >>> descent = GradientDescent(net.parameters(), 0.1)
    >>> history = fit(net, [0, 1, 2], [1, 3, 5], optimizer=descent, epochs=300, progress=False)
    >>> round(net.parameters()[0].data, 3), round(net.parameters()[1].data, 3)  # y = 2x + 1
    (2.0, 1.0)
    """
    if not callable(net) or not callable(getattr(net, "parameters", None)):
        raise TypeError(
            f"fit trains what can be called with an example and has parameters(), as an MLP, not {shown(net)}"
        )
    examples = _examples(X, Y, "")
    if validation is not None and not (isinstance(validation, (tuple, list)) and len(validation) == 2):
        raise ValueError(f"validation is a pair (X, Y), not {shown(validation)}")
    held_out = None if validation is None else _examples(*validation, "validation ")
    evaluate = find_loss(loss)
    optimize = _optimizer(optimizer, net)
    required_integer(epochs, "epochs")
    required_integer(1 if batch_size is None else batch_size, "batch_size")
    generator = generator_of(seed)
    # What cannot be taken is to be an error now, not in mid-training.
    for part in filter(None, (examples, held_out)):
        outputs = net(part.x[0])
        _require_dependence(outputs, optimize)
        if evaluate in [row.function for row in LOSSES.values()]:
            for y in part.y:
                evaluate(outputs, y)
    trainer = _trainer(net, evaluate, optimize, examples, vectorized)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # in Jupyter, where ipywidgets are missing the bar is of text
        from tqdm.auto import trange

    history = History()
    try:
        with trange(epochs, desc="training", unit="epoch", disable=not progress) as bar:
            for epoch in bar:
                costs = [
                    (trainer.step(batch, epoch), len(batch)) for batch in _batches(len(examples), batch_size, generator)
                ]
                history.cost.append(math.fsum(cost * (n / len(examples)) for cost, n in costs))
                shown_costs = {"cost": f"{history.cost[-1]:.4g}"}
                if held_out is not None:
                    history.validation_cost.append(trainer.cost(held_out))
                    shown_costs["validation"] = f"{history.validation_cost[-1]:.4g}"
                bar.set_postfix(shown_costs, refresh=False)
    finally:
        trainer.close()
    return history


def _require_dependence(outputs: Any, optimizer: Optimizer) -> None:
    """Raise if a network's outputs were not computed from any of the parameters: nothing would be learnt."""
    values = [outputs] if isinstance(outputs, Value) else outputs
    if not isinstance(values, (list, tuple)) or not all(isinstance(value, Value) for value in values):
        raise TypeError(f"a network returns a Value or a list of Values, not {shown(outputs)}")
    parameters = set(optimizer.parameters)
    if not any(parameters.intersection(topological_order(value)) for value in values):
        raise ValueError(
            "the network's output does not depend on any of the optimizer's parameters, so there is nothing to learn: "
            "is its graph cut somewhere, by .data or by a new Value?"
        )


class _Examples:
    """m examples: `X` and `Y` as arrays, `x` and `y` as lists of one example each, integers staying integers."""

    def __init__(self, X: Array, Y: Array) -> None:
        self.X, self.Y = X, Y
        self.x: list[Any] = X.tolist()
        self.y: list[Any] = Y.tolist()

    def __len__(self) -> int:
        return len(self.x)


class _ScalarTrainer:
    """The steps of a training with the engine: an example's graph is built, differentiated and dropped."""

    def __init__(self, net: Network, evaluate: LossFunction, optimizer: Optimizer, examples: _Examples) -> None:
        self.net, self.evaluate, self.optimizer, self.examples = net, evaluate, optimizer, examples

    def step(self, batch: Sequence[int], epoch: int) -> float:
        """The mean loss of a batch, whose step is then taken."""
        losses = self.backpropagate(batch, epoch)
        _step(self.optimizer, epoch)
        return _mean(losses)

    def backpropagate(self, batch: Sequence[int], epoch: int) -> list[float]:
        losses = []
        clear_gradients([*self.net.parameters(), *self.optimizer.parameters])
        for i in batch:
            C = self.evaluate(self.net(self.examples.x[i]), self.examples.y[i])
            _require_value(C)
            if not math.isfinite(C.data):
                raise _not_finite(f"the loss of the example x = {shown(self.examples.x[i])}", C.data, epoch)
            C.backward(1.0 / len(batch))  # ∂C/∂w = 1/m Σₖ ∂Cₖ/∂w
            losses.append(C.data)
        return losses

    def cost(self, examples: _Examples) -> float:
        """The mean loss of examples."""
        return _mean([self.evaluate(self.net(x), y).data for x, y in zip(examples.x, examples.y)])

    def close(self) -> None:
        """Leave the parameters in the Values, and the gradients of the last step; others that gathered are cleared."""
        stepped = set(self.optimizer.parameters)
        clear_gradients(parameter for parameter in self.net.parameters() if parameter not in stepped)


class _VectorTrainer(_ScalarTrainer):
    """The same steps with the array program of net and loss (003 Eq. 1 and 11)."""

    def __init__(self, net: Network, evaluate: LossFunction, optimizer: Optimizer, examples: _Examples) -> None:
        super().__init__(net, evaluate, optimizer, examples)
        self.vectorized = vectorize(lambda x, y: evaluate(net(x), y), optimizer.parameters)
        self.gradient: Array | None = None
        self.vectorized.value(examples.X[:2], examples.Y[:2])  # a function that cannot be traced is to be an error now

    def step(self, batch: Sequence[int], epoch: int) -> float:
        import numpy as np

        theta, parameters = self.vectorized.parameters, self.optimizer.parameters
        cost: float
        cost, gradient = self._mean_over_pieces(self.examples, batch, self.vectorized)
        if not math.isfinite(cost):  # the engine says which example's loss it is, or only their sum
            self.vectorized.write_back()
            cost = _mean(self.backpropagate(batch, epoch))
            read_gradients(parameters, gradient)
        _require_finite(gradient, "the gradient of", parameters, epoch)
        with np.errstate(all="ignore"):  # as in the arithmetic of Values
            stepped = self.optimizer.stepped(theta, gradient)
        _require_finite(stepped, "the parameter", parameters, epoch)
        theta[:] = stepped
        self.gradient = gradient
        return cost

    def cost(self, examples: _Examples) -> float:
        everyone = range(len(examples))
        cost: float = self._mean_over_pieces(examples, everyone, lambda X, Y: (self.vectorized.value(X, Y), 0.0))[0]
        if math.isfinite(cost):
            return cost
        self.vectorized.write_back()
        return super().cost(examples)

    def close(self) -> None:
        super().close()
        self.vectorized.write_back()
        if self.gradient is not None:
            for parameter, grad in zip(self.optimizer.parameters, self.gradient.tolist()):
                parameter.grad = grad

    @staticmethod
    def _mean_over_pieces(examples: _Examples, batch: Sequence[int], of: Callable[[Array, Array], Any]) -> Any:
        """Mean cost and gradient, in pieces that keep the memory small however many examples there are."""
        whole = len(batch) == len(examples)
        cost, gradient = 0.0, 0.0
        for start in range(0, len(batch), PIECE):
            piece = slice(start, start + PIECE) if whole else batch[start : start + PIECE]
            X, Y = examples.X[piece], examples.Y[piece]
            its_cost, its_gradient = of(X, Y)
            if len(X) == len(batch):
                return its_cost, its_gradient
            cost += its_cost * (len(X) / len(batch))
            gradient = gradient + its_gradient * (len(X) / len(batch))
        return cost, gradient


PIECE = 1024


def _trainer(
    net: Network, evaluate: LossFunction, optimizer: Optimizer, examples: _Examples, vectorized: bool
) -> _ScalarTrainer:
    if not vectorized or type(optimizer).step is not Optimizer.step:
        return _ScalarTrainer(net, evaluate, optimizer, examples)
    try:
        return _VectorTrainer(net, evaluate, optimizer, examples)
    except TraceError as error:
        _require_value(evaluate(net(examples.x[0]), examples.y[0]))
        warnings.warn(
            f"fit goes on scalar by scalar, because the network or the loss cannot be vectorized: {error}. "
            "vectorized=False says that this is meant.",
            stacklevel=3,
        )
        return _ScalarTrainer(net, evaluate, optimizer, examples)


def _require_value(C: Any) -> None:
    if not isinstance(C, Value):
        raise TypeError(f"a loss returns one Value, not {shown(C)}")


def _step(optimizer: Optimizer, epoch: int) -> None:
    """A step that leaves every parameter finite, or AnomalyError and every parameter as it was."""
    import numpy as np

    parameters = optimizer.parameters
    before, numbers = np.empty(len(parameters)), np.empty(len(parameters))
    read_data(parameters, before)
    read_gradients(parameters, numbers)
    _require_finite(numbers, "the gradient of", parameters, epoch)
    optimizer.step()
    read_data(parameters, numbers)
    try:
        _require_finite(numbers, "the parameter", parameters, epoch)
    except AnomalyError:
        set_data(parameters, before)
        raise


def _mean(losses: Sequence[float]) -> float:
    return math.fsum(loss / len(losses) for loss in losses)


def _require_finite(numbers: Array, what: str, parameters: Sequence[Value], epoch: int) -> None:
    import numpy as np

    finite = np.isfinite(numbers)
    if not finite.all():
        i = int(finite.argmin())
        raise _not_finite(f"{what} {parameters[i].label or repr(parameters[i])}", float(numbers[i]), epoch)


def _not_finite(what: str, number: float, epoch: int) -> AnomalyError:
    return AnomalyError(
        f"in epoch {epoch + 1} of the training {what} became {number!r}: a smaller learning rate or standardised "
        "inputs often help; detect_anomaly() finds the operation"
    )


def _batches(m: int, batch_size: int | None, generator: random.Random) -> Iterator[Sequence[int]]:
    """The numbers of the examples of each batch."""
    if batch_size is None:
        yield range(m)
        return
    shuffled = generator.sample(range(m), m)
    for start in range(0, m, batch_size):
        yield shuffled[start : start + batch_size]


def _optimizer(optimizer: str | Optimizer, net: Network) -> Optimizer:
    parameters = net.parameters()
    if isinstance(optimizer, str):
        if optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer {optimizer!r} is not one of {', '.join(OPTIMIZERS)}, nor an optimizer itself")
        return OPTIMIZERS[optimizer](parameters)
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer is an optimizer over net.parameters() or the name of one, not {shown(optimizer)}")
    if not set(parameters) & set(optimizer.parameters):
        raise ValueError("the optimizer was made for other parameters: none of this network's are among them")
    return optimizer


def _examples(X: ArrayLike, Y: ArrayLike, kind: str) -> _Examples:
    rows, targets = _rows(X, f"{kind}X"), _rows(Y, f"{kind}Y")
    if len(rows) != len(targets):
        raise ValueError(f"{kind}X has {len(rows)} examples but {kind}Y has {len(targets)}")
    return _Examples(rows, targets)


def _rows(array: ArrayLike, name: str) -> Array:
    """A (m, n) or (m,) array of finite numbers."""
    import numpy as np

    try:
        numbers = np.asarray(array)
    except ValueError:  # rows of unequal length
        raise ValueError(f"the rows of {name} do not all have the same length") from None
    if numbers.dtype.kind not in "biuf":
        raise TypeError(f"{name} takes numbers, not {shown(array)}")
    if numbers.ndim not in (1, 2) or numbers.size == 0:
        raise ValueError(f"{name} has a row for each example, so its shape is (m, n) or (m,), not {numbers.shape}")
    if not np.isfinite(numbers).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(numbers))[0])
        raise ValueError(f"{name} has {numbers[place]} at {name}{list(place)}; examples are finite numbers")
    return numbers
