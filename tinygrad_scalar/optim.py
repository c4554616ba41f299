"""Optimizers: how the gradient changes the parameters (003 Eq. 3, and the methods that 002 and 003 only name).

`step()` reads every parameter's `.grad` and sets its `.data`; `zero_grad()` clears the gradients. In the formulas θ is
a parameter, g its gradient and α the `learning_rate`, which may be set anew between steps. The update rules, defaults
and the order of their operations are those of PyTorch, to which every step is equal to rounding.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable

from tinygrad_scalar.errors import shown
from tinygrad_scalar.value import Value, as_float


class Optimizer(ABC):
    """What all optimizers share: the parameters, the learning rate and `zero_grad()`."""

    def __init__(self, parameters: Iterable[Value], learning_rate: float) -> None:
        if isinstance(parameters, Value) or not isinstance(parameters, Iterable):
            raise TypeError(f"an optimizer takes the list of parameters, as net.parameters(), not {shown(parameters)}")
        self.parameters = list(dict.fromkeys(parameters))  # a weight used in two places is stepped once
        for parameter in self.parameters:
            if not isinstance(parameter, Value) or parameter.op:
                raise TypeError(f"a parameter is a Value that is a leaf, not {shown(parameter)}")
        if not self.parameters:
            raise ValueError("an optimizer takes at least one parameter")
        self.learning_rate = learning_rate

    @property
    def learning_rate(self) -> float:
        """α, a number ≥ 0."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: float) -> None:
        self._learning_rate = _at_least_zero("learning_rate", learning_rate)

    @abstractmethod
    def step(self) -> None:
        """Change every parameter once, by its gradient."""

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to 0."""
        for parameter in self.parameters:
            parameter.grad = 0.0


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

    def step(self) -> None:
        for theta in self.parameters:
            theta.data -= self.learning_rate * theta.grad


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
            raise ValueError("nesterov looks ahead along the momentum, so it takes a momentum above 0")
        self.nesterov = nesterov
        self._velocity: list[float] | None = None

    def step(self) -> None:
        gradients = [theta.grad + self.weight_decay * theta.data for theta in self.parameters]
        if self._velocity is None:
            self._velocity = list(gradients)
        else:
            self._velocity = [self.momentum * v + g for v, g in zip(self._velocity, gradients)]
        for theta, g, v in zip(self.parameters, gradients, self._velocity):
            theta.data -= self.learning_rate * (g + self.momentum * v if self.nesterov else v)


class RMSProp(Optimizer):
    """s ← ρs + (1 − ρ)g²;  θ ← θ − α g/(√s + ε) (Tieleman and Hinton 2012)."""

    def __init__(
        self, parameters: Iterable[Value], learning_rate: float = 1e-2, *, rho: float = 0.99, epsilon: float = 1e-8
    ) -> None:
        super().__init__(parameters, learning_rate)
        self.rho = _below_one("rho", rho)
        self.epsilon = _above_zero("epsilon", epsilon)
        self._square = [0.0] * len(self.parameters)

    def step(self) -> None:
        for i, theta in enumerate(self.parameters):
            g = theta.grad
            self._square[i] = s = self.rho * self._square[i] + (1.0 - self.rho) * g * g
            theta.data -= self.learning_rate * g / (math.sqrt(s) + self.epsilon)


class Adam(Optimizer):
    """m ← β₁m + (1 − β₁)g;  s ← β₂s + (1 − β₂)g²;  θ ← θ − α m̂/(√ŝ + ε) (Kingma and Ba 2015, algorithm 1).

    m̂ = m/(1 − β₁ᵗ) and ŝ = s/(1 − β₂ᵗ) undo the bias of having started from 0.

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
            raise ValueError(f"betas are two numbers, as (0.9, 0.999), not {shown(betas)}")
        self.betas = (_below_one("betas[0]", betas[0]), _below_one("betas[1]", betas[1]))
        self.epsilon = _above_zero("epsilon", epsilon)
        self._mean = [0.0] * len(self.parameters)
        self._square = [0.0] * len(self.parameters)
        self._steps = 0

    def step(self) -> None:
        self._steps += 1
        beta1, beta2 = self.betas
        step_size = self.learning_rate / (1.0 - beta1**self._steps)
        root = math.sqrt(1.0 - beta2**self._steps)
        for i, theta in enumerate(self.parameters):
            g = theta.grad
            self._mean[i] = m = beta1 * self._mean[i] + (1.0 - beta1) * g
            self._square[i] = s = beta2 * self._square[i] + (1.0 - beta2) * g * g
            theta.data -= step_size * m / (math.sqrt(s) / root + self.epsilon)


class AdamW(Adam):
    """Adam after θ ← θ − αλθ: weight decay λ apart from the gradient (Loshchilov and Hutter 2019)."""

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

    def step(self) -> None:
        for theta in self.parameters:
            theta.data *= 1.0 - self.learning_rate * self.weight_decay
        super().step()


OPTIMIZERS: dict[str, type[GradientDescent | SGD | RMSProp | Adam]] = {
    "gradient_descent": GradientDescent,
    "sgd": SGD,
    "rmsprop": RMSProp,
    "adam": Adam,
    "adamw": AdamW,
}


def _at_least_zero(name: str, number: float) -> float:
    value = as_float(number)
    if value is None or not 0.0 <= value < math.inf:
        raise ValueError(f"{name} is a number from 0, not {shown(number)}")
    return value


def _above_zero(name: str, number: float) -> float:
    if not _at_least_zero(name, number) > 0.0:
        raise ValueError(f"{name} is a number above 0, not {shown(number)}")
    return float(number)


def _below_one(name: str, number: float) -> float:
    if not _at_least_zero(name, number) < 1.0:
        raise ValueError(f"{name} is a number from 0 to below 1, not {shown(number)}")
    return float(number)
