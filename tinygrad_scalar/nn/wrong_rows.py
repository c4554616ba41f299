"""Errors that come in the middle of a training name the example that they are about: its row, batch and epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine.errors import AnomalyError, TraceError, shown

if TYPE_CHECKING:
    from tinygrad_scalar.nn.examples import Examples
    from tinygrad_scalar.nn.losses import LossFunction

_ADVICE = "a smaller learning rate or standardised inputs often help; detect_anomaly() finds the operation"


def not_finite(what: str, number: float, epoch: int) -> AnomalyError:
    """The error for a number that became nan or infinite in an epoch, counted from 0."""
    return AnomalyError(f"{what} became {number!r} in epoch {epoch + 1}: {_ADVICE}")


def loss_not_finite(examples: Examples, i: int, number: float, epoch: int) -> AnomalyError:
    """The same for the loss of example i; if the example itself is not finite any more, that is what it says."""
    place = _place(i, examples)
    for name, numbers in (("X", examples.x[i]), ("Y", examples.y[i])):
        if not all(map(math.isfinite, numbers if isinstance(numbers, list) else [numbers])):
            return AnomalyError(
                f"{examples.kind}{name} must hold finite numbers, and did when fit began, but in epoch {epoch + 1} it "
                f"holds {shown(numbers)} ({place}): something wrote into the array or its file"
            )
    return not_finite(f"the loss of the {examples.kind}example x = {shown(examples.x[i])} ({place})", number, epoch)


def name_row(
    error: Exception, net: Any, evaluate: LossFunction, examples: Examples, rows: Sequence[int], epoch: int
) -> None:
    """Raise the error of the first row that network or loss refuse, with its place, in place of `error`.

    Nothing is raised if they refuse none, or if `error` is of a kind of the user's own.
    """
    if type(error) not in (ValueError, TypeError, TraceError):
        return
    for i in rows:
        try:
            evaluate(net(examples.x[i]), examples.y[i])
        except (ValueError, TypeError) as found:
            raise placed(found, examples, i, f", in epoch {epoch + 1}") from None


def placed(error: Exception, examples: Examples, i: int, in_epoch: str = "") -> Exception:
    """The error of example i, with its row."""
    kind = TypeError if isinstance(error, TypeError) else ValueError
    return kind(f"{error} ({_place(i, examples)}{in_epoch})")


def _place(i: int, examples: Examples) -> str:
    return f"row {i} of {examples.kind}{examples.where.removeprefix(' of ') or 'X and Y'}, counted from 0"
