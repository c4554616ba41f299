"""What `fit` tells its callbacks after each epoch, and the callback that stops a training which no longer improves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.number import as_float, required_flag, required_integer

if TYPE_CHECKING:
    from tinygrad_scalar.engine.bulk import Array
    from tinygrad_scalar.nn.history import History
    from tinygrad_scalar.nn.optim import Optimizer


@dataclass
class Epoch:
    """An epoch that has just been trained, for callbacks.

    number           of the epoch, from 1; `epochs` is how many there are to be
    cost             the mean loss of the training examples during the epoch
    validation_cost  that of the validation examples after it; None without them
    metrics          {name: number}
    history          of all epochs so far
    parameters       the numbers after the epoch, a copy, in the order of optimizer.parameters
    net, optimizer   as given to `fit`, with the numbers and the gradients of the last step. What a callback changes in
                     them counts; only the learning rate is set anew before each step if there is a schedule
    """

    number: int
    epochs: int
    cost: float
    validation_cost: float | None
    metrics: dict[str, float]
    history: History
    net: Any
    optimizer: Optimizer
    _parameters: Callable[[], Array] = field(repr=False)

    @property
    def parameters(self) -> Array:
        return self._parameters()


Callback = Callable[[Epoch], object]


@dataclass
class EarlyStopping:
    """Stop when the cost has not fallen below its lowest by more than `min_delta` for `patience` epochs.

    The cost is that of the validation examples if there are some. With `restore` the network gets back its parameters
    of the best epoch, also if training ends for another reason.
    """

    patience: int = 10
    min_delta: float = 0.0
    restore: bool = True

    def __post_init__(self) -> None:
        self.patience = required_integer(self.patience, "patience")
        number = as_float(self.min_delta)
        if number is None or not 0.0 <= number < math.inf:
            raise ValueError(f"min_delta must be a finite number ≥ 0, got {shown(self.min_delta)}")
        self.min_delta, self.restore = number, required_flag(self.restore, "restore")


class Watch:
    """The course of one training for an EarlyStopping: its best epoch, and the parameters then."""

    def __init__(self, rule: EarlyStopping) -> None:
        self.rule = rule
        self.lowest = math.inf
        self.best: int | None = None
        self.parameters: Array | None = None

    def __call__(self, epoch: Epoch) -> bool:
        cost = epoch.cost if epoch.validation_cost is None else epoch.validation_cost
        if self.best is None or cost < self.lowest - self.rule.min_delta:
            self.lowest = cost if math.isfinite(cost) else math.inf
            self.best = epoch.number
            self.parameters = epoch.parameters if self.rule.restore else None
        return epoch.number - self.best >= self.rule.patience


def watch_for(early_stopping: EarlyStopping | int | None) -> Watch | None:
    """A Watch for the argument of `fit`: a rule, or its patience."""
    if early_stopping is None:
        return None
    if isinstance(early_stopping, EarlyStopping):
        return Watch(early_stopping)
    if isinstance(early_stopping, bool) or as_float(early_stopping) is None:
        raise TypeError(
            f"early_stopping must be a number of epochs, an EarlyStopping, or None; got {shown(early_stopping)}"
        )
    return Watch(EarlyStopping(required_integer(early_stopping, "early_stopping")))


def is_true(answer: object) -> bool:
    """Whether a callback returned True: not 1, nor an array."""
    import numpy as np

    return isinstance(answer, (bool, np.bool_)) and bool(answer)


def checked_callbacks(callbacks: Callback | Iterable[Callback]) -> list[Callback]:
    """The callbacks as a list; TypeError if one cannot be called."""
    given = [callbacks] if callable(callbacks) else list(callbacks) if isinstance(callbacks, Iterable) else None
    wrong = [callbacks] if given is None else [callback for callback in given if not callable(callback)]
    if given is None or wrong:
        raise TypeError(f"callbacks must be functions of an Epoch, got {shown(wrong[0])}")
    return given
