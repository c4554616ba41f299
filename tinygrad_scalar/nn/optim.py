"""Optimizers: how the gradient changes the parameters (003 Eq. 3, and the methods that 002 and 003 only name).

`step()` reads every parameter's `.grad` and sets its `.data`; `zero_grad()` clears the gradients. In the formulas θ is
a parameter, g its gradient and α the `learning_rate`, which can be set between steps. Update rules, defaults and the
order of operations are PyTorch's, and every step equals PyTorch's to rounding. The rules work on arrays of all
parameters and all gradients.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tinygrad_scalar.engine import Value, clear_gradients, read_data, read_gradients, set_data
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.number import as_float
from tinygrad_scalar.engine.quiet import quiet

if TYPE_CHECKING:
    from tinygrad_scalar.engine.bulk import Array


class Optimizer(ABC):
    """Every optimizer's parameters, learning rate, `step()` and `zero_grad()`; a subclass defines `stepped`."""

    def __init__(self, parameters: Iterable[Value], learning_rate: float) -> None:
        if isinstance(parameters, Value) or not isinstance(parameters, Iterable):
            raise TypeError(
                f"an optimizer needs a list of parameters such as net.parameters(), got {shown(parameters)}"
            )
        self.parameters = list(dict.fromkeys(parameters))  # a weight listed twice is stepped once
        for parameter in self.parameters:
            if not isinstance(parameter, Value) or parameter.op:
                raise TypeError(f"a parameter must be a leaf Value, got {shown(parameter)}")
        if not self.parameters:
            raise ValueError("an optimizer needs at least one parameter")
        self.learning_rate = learning_rate

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.parameters)} parameters, learning_rate={self.learning_rate!r})"

    @property
    def learning_rate(self) -> float:
        """α, a number ≥ 0."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: float) -> None:
        self._learning_rate = _at_least_zero("learning_rate", learning_rate)

    def step(self) -> None:
        """Update every parameter once, from its gradient."""
        import numpy as np

        theta, g = np.empty(len(self.parameters)), np.empty(len(self.parameters))
        read_data(self.parameters, theta)
        read_gradients(self.parameters, g)
        with quiet(all="ignore"):  # as in the arithmetic of Values
            set_data(self.parameters, self.stepped(theta, g))

    @abstractmethod
    def stepped(self, theta: Array, g: Array) -> Array:
        """The parameters after a step, from those before it and their gradients; for `step()` and `fit`."""

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to 0."""
        clear_gradients(self.parameters)


class GradientDescent(Optimizer):
    """θ ← θ − α g (003 Eq. 3).

    >>> w = Value(3.0)
    >>> descent = GradientDescent([w], learning_rate=0.1)
    >>> (w * w).backward()
    >>> descent.step()
    >>> round(w.data, 12)
    2.4
    """

    def __init__(self, parameters: Iterable[Value], learning_rate: float = 0.1) -> None:
        super().__init__(parameters, learning_rate)

    def stepped(self, theta: Array, g: Array) -> Array:
        return theta - self.learning_rate * g


class SGD(Optimizer):
    """Gradient descent with momentum μ and weight decay λ: g ← g + λθ;  v ← μv + g;  θ ← θ − αv,
    or with `nesterov` θ ← θ − α(g + μv) (Sutskever et al. 2013). In the first step v is g."""

    def __init__(
        self,
        parameters: Iterable[Value],
        learning_rate: float = 1e-3,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, learning_rate)
        self.momentum = _at_least_zero("momentum", momentum)
        self.weight_decay = _at_least_zero("weight_decay", weight_decay)
        if nesterov and not momentum:
            raise ValueError("nesterov looks ahead along the momentum, so momentum must be > 0, got 0")
        self.nesterov = nesterov
        self._velocity: Array | None = None

    def stepped(self, theta: Array, g: Array) -> Array:
        g = g + self.weight_decay * theta
        self._velocity = v = g if self._velocity is None else self.momentum * self._velocity + g
        return theta - self.learning_rate * (g + self.momentum * v if self.nesterov else v)


class RMSProp(Optimizer):
    """s ← ρs + (1 − ρ)g²;  θ ← θ − α g/(√s + ε) (Tieleman and Hinton 2012)."""

    def __init__(
        self, parameters: Iterable[Value], learning_rate: float = 1e-2, *, rho: float = 0.99, epsilon: float = 1e-8
    ) -> None:
        super().__init__(parameters, learning_rate)
        self.rho = _below_one("rho", rho)
        self.epsilon = _above_zero("epsilon", epsilon)
        self._square: Array | float = 0.0

    def stepped(self, theta: Array, g: Array) -> Array:
        self._square = s = self.rho * self._square + (1.0 - self.rho) * g * g
        return theta - self.learning_rate * g / (s**0.5 + self.epsilon)


class Adam(Optimizer):
    """m ← β₁m + (1 − β₁)g;  s ← β₂s + (1 − β₂)g²;  θ ← θ − α m̂/(√ŝ + ε) (Kingma and Ba 2015, algorithm 1).

    m̂ = m/(1 − β₁ᵗ) and ŝ = s/(1 − β₂ᵗ) correct the bias from starting at 0; t counts the steps.

    >>> w = Value(3.0)
    >>> adam = Adam([w], learning_rate=0.1)
    >>> (w * w).backward()
    >>> adam.step()
    >>> round(w.data, 6)
    2.9
    """

    def __init__(
        self,
        parameters: Iterable[Value],
        learning_rate: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__(parameters, learning_rate)
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ValueError(f"betas must be two numbers such as (0.9, 0.999), got {shown(betas)}")
        self.betas = (_below_one("betas[0]", betas[0]), _below_one("betas[1]", betas[1]))
        self.epsilon = _above_zero("epsilon", epsilon)
        self._mean: Array | float = 0.0
        self._square: Array | float = 0.0
        self._steps = 0

    def stepped(self, theta: Array, g: Array) -> Array:
        self._steps += 1
        beta1, beta2 = self.betas
        step_size = self.learning_rate / (1.0 - beta1**self._steps)
        root = math.sqrt(1.0 - beta2**self._steps)
        self._mean = m = beta1 * self._mean + (1.0 - beta1) * g
        self._square = s = beta2 * self._square + (1.0 - beta2) * g * g
        return theta - step_size * m / (s**0.5 / root + self.epsilon)


class AdamW(Adam):
    """θ ← θ − αλθ, then Adam: weight decay λ, decoupled from the gradient (Loshchilov and Hutter 2019)."""

    def __init__(
        self,
        parameters: Iterable[Value],
        learning_rate: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(parameters, learning_rate, betas=betas, epsilon=epsilon)
        self.weight_decay = _at_least_zero("weight_decay", weight_decay)

    def stepped(self, theta: Array, g: Array) -> Array:
        return super().stepped(theta * (1.0 - self.learning_rate * self.weight_decay), g)


# A new optimizer is a class and its row here.
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "gradient_descent": GradientDescent,
    "sgd": SGD,
    "rmsprop": RMSProp,
    "adam": Adam,
    "adamw": AdamW,
}


def _at_least_zero(name: str, number: float) -> float:
    return _checked(name, number, "≥ 0", lambda value: value >= 0.0)


def _above_zero(name: str, number: float) -> float:
    return _checked(name, number, "> 0", lambda value: value > 0.0)


def _below_one(name: str, number: float) -> float:
    return _checked(name, number, "≥ 0 and < 1", lambda value: 0.0 <= value < 1.0)


def _checked(name: str, number: float, wanted: str, holds: Callable[[float], bool]) -> float:
    value = as_float(number)
    if value is None or not math.isfinite(value) or not holds(value):
        raise ValueError(f"{name} must be a finite number {wanted}, got {shown(number)}")
    return value
