"""Training: the complete sequence of 003's last section. For every batch: feed forward, cost, backpropagate, step.

The gradient of a cost is the mean of its examples' gradients (001, average cost), so each example's graph is built,
differentiated with upstream gradient 1/m and dropped before the next: memory is that of one example.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tinygrad_scalar.bulk import clear_gradients, read_data, read_gradients, set_data
from tinygrad_scalar.errors import AnomalyError, shown
from tinygrad_scalar.losses import LOSSES, find_loss
from tinygrad_scalar.nn import generator_of
from tinygrad_scalar.optim import OPTIMIZERS, Optimizer
from tinygrad_scalar.value import Value
from tinygrad_scalar.walk import topological_order

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from tinygrad_scalar.bulk import Array
    from tinygrad_scalar.losses import Loss


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
    loss: str | Loss = "squared_error",
    optimizer: str | Optimizer = "adam",
    epochs: int = 100,
    batch_size: int | None = None,
    validation: tuple[ArrayLike, ArrayLike] | None = None,
    progress: bool = True,
    seed: int | None = 0,
) -> History:
    """Train `net` on m examples and return how the cost went.

    X, Y        arrays or lists with one example per row: X of shape (m, n) or (m,), Y of shape (m, k) or (m,);
                for cross_entropy Y holds class indices, whole numbers from 0, and has the shape (m,)
    loss        a loss (a, y) -> Value, or the name of one of ours
    optimizer   an optimizer over net.parameters(), or the name of one, which is then used as it comes
    batch_size  how many examples make one step; None: all of them. Batches are drawn in an order shuffled by `seed`
    validation  (X, Y) whose cost is measured after every epoch, without training on them
    progress    show a progress bar on stderr

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
    held_out = [] if validation is None else _examples(*validation, "validation ")
    evaluate = find_loss(loss)
    optimize = _optimizer(optimizer, net)
    for name, count in (("epochs", epochs), ("batch_size", 1 if batch_size is None else batch_size)):
        if isinstance(count, bool) or not hasattr(count, "__index__") or count < 1:
            raise ValueError(f"{name} is a whole number from 1, not {shown(count)}")
    generator = generator_of(seed)
    # What cannot be taken is to be an error now, not in mid-training.
    for part in filter(None, (examples, held_out)):
        outputs = net(part[0][0])
        _require_dependence(outputs, optimize)
        if evaluate in LOSSES.values():
            for _, y in part:
                evaluate(outputs, y)
    from tqdm.auto import trange

    history = History()
    with trange(epochs, desc="training", unit="epoch", disable=not progress) as bar:
        for epoch in bar:
            history.cost.append(_train_epoch(net, examples, evaluate, optimize, batch_size, generator, epoch))
            shown_costs = {"cost": f"{history.cost[-1]:.4g}"}
            if held_out:
                history.validation_cost.append(_mean([evaluate(net(x), y).data for x, y in held_out]))
                shown_costs["validation"] = f"{history.validation_cost[-1]:.4g}"
            bar.set_postfix(shown_costs, refresh=False)
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


def _train_epoch(
    net: Network,
    examples: list[tuple[Any, Any]],
    evaluate: Loss,
    optimizer: Optimizer,
    batch_size: int | None,
    generator: random.Random,
    epoch: int,
) -> float:
    losses = []
    for batch in _batches(examples, batch_size, generator):
        clear_gradients([*net.parameters(), *optimizer.parameters])
        for x, y in batch:
            C = evaluate(net(x), y)
            if not isinstance(C, Value):
                raise TypeError(f"a loss returns one Value, not {shown(C)}")
            if not math.isfinite(C.data):
                raise _not_finite(f"the loss of the example x = {shown(x)}", C.data, epoch)
            C.backward(1.0 / len(batch))  # ∂C/∂w = 1/m Σₖ ∂Cₖ/∂w
            losses.append(C.data)
        _step(optimizer, epoch)
    return _mean(losses)


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


def _batches(
    examples: list[tuple[Any, Any]], batch_size: int | None, generator: random.Random
) -> Iterator[Sequence[tuple[Any, Any]]]:
    if batch_size is None:
        yield examples
        return
    shuffled = generator.sample(examples, len(examples))
    for start in range(0, len(shuffled), batch_size):
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


def _examples(X: ArrayLike, Y: ArrayLike, kind: str) -> list[tuple[Any, Any]]:
    rows, targets = _rows(X, f"{kind}X"), _rows(Y, f"{kind}Y")
    if len(rows) != len(targets):
        raise ValueError(f"{kind}X has {len(rows)} examples but {kind}Y has {len(targets)}")
    return list(zip(rows, targets))


def _rows(array: ArrayLike, name: str) -> list[Any]:
    """The rows of a (m, n) or (m,) array as Python numbers, integers staying integers."""
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
    rows: list[Any] = numbers.tolist()
    return rows
