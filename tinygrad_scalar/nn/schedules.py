"""Schedules: how the learning rate changes while `fit` trains, as factors of the optimizer's learning rate.

A schedule is a function (t, epochs) -> factor ≥ 0, where t is the number of epochs done, a fraction in mid-epoch. `fit`
asks it before each step.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.number import as_float, required_integer

Schedule = Callable[[float, int], float]


def constant(t: float, epochs: int) -> float:
    """The optimizer's learning rate throughout."""
    return 1.0


def step_decay(every: int = 30, factor: float = 0.1) -> Schedule:
    """The learning rate times `factor` after each `every` epochs.

    >>> [step_decay(2, 0.5)(t, 6) for t in range(6)]
    [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    """
    every = required_integer(every, "every")
    number = as_float(factor)
    if number is None or not 0.0 <= number < math.inf:
        raise ValueError(f"factor must be a finite number ≥ 0, got {shown(factor)}")
    return lambda t, epochs: number ** int(t // every)


def cosine_decay(t: float, epochs: int) -> float:
    """½ (1 + cos(π t/epochs)): from 1 down to 0, slowly at both ends (Loshchilov and Hutter 2017).

    >>> [round(cosine_decay(t, 4), 3) for t in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """
    return 0.5 * (1.0 + math.cos(math.pi * t / epochs))


def warm_up(warm_epochs: float = 5, then: str | Schedule = "constant") -> Schedule:
    """A linear rise from 0 during the first `warm_epochs` epochs, then another schedule for those that remain.

    >>> [warm_up(2, "cosine")(t, 4) for t in (0, 1, 2, 3)]
    [0.0, 0.5, 1.0, 0.5]
    """
    warm, after = as_float(warm_epochs), find_schedule(then)
    if warm is None or not 0.0 < warm < math.inf:
        raise ValueError(f"warm_epochs must be a finite number > 0, got {shown(warm_epochs)}")
    return lambda t, epochs: t / warm if t < warm else after(t - warm, max(1, math.ceil(epochs - warm)))


def find_schedule(schedule: str | Schedule | None) -> Schedule:
    """The schedule itself, or the one of that name; None is constant."""
    if schedule is None:
        return constant
    if callable(schedule):
        return schedule
    if not isinstance(schedule, str) or schedule not in SCHEDULES:
        names = ", ".join(SCHEDULES)
        raise ValueError(f"schedule must be one of {names}, or a function (t, epochs) -> factor; got {shown(schedule)}")
    return SCHEDULES[schedule]


def rate_at(schedule: Schedule, base: float, t: float, epochs: int) -> float:
    """The learning rate after t of the epochs; ValueError if the schedule gives no number ≥ 0."""
    factor = as_float(schedule(t, epochs))
    if factor is None or not 0.0 <= factor < math.inf:
        raise ValueError(f"a schedule must return a finite number ≥ 0, got {shown(schedule(t, epochs))} at t = {t:g}")
    return base * factor


# A new schedule is a function and its row here.
SCHEDULES: dict[str, Schedule] = {
    "constant": constant,
    "step": step_decay(),
    "cosine": cosine_decay,
    "warm_up": warm_up(then=constant),
}
