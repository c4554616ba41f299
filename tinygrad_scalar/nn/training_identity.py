"""What a training is, in words and checksums: two that agree in all of it give the same bits."""

from __future__ import annotations

import math
import operator
import random
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.nn.callbacks import EarlyStopping
from tinygrad_scalar.nn.checkpoint_file import checksum
from tinygrad_scalar.nn.losses import row_of
from tinygrad_scalar.nn.schedules import Schedule, rate_at

if TYPE_CHECKING:
    from tinygrad_scalar.engine.bulk import Array
    from tinygrad_scalar.nn.examples import Source
    from tinygrad_scalar.nn.gradient_rule import GradientRule
    from tinygrad_scalar.nn.losses import LossFunction
    from tinygrad_scalar.nn.mlp import Seed
    from tinygrad_scalar.nn.optim import Optimizer
    from tinygrad_scalar.nn.trainers import Network

_LONGEST = 200  # characters of a network's description
_PIECE = 1 << 16  # examples that are summed up at a time
_SAMPLES = 16  # of a schedule


def identity_of(
    net: Network,
    optimizer: Optimizer,
    evaluate: LossFunction,
    source: Source,
    held_out: Source | None,
    weights: Array | None,
    rule: GradientRule | None,
    rate_of: tuple[Schedule, int] | None,
    early_stopping: EarlyStopping | None,
    *,
    class_names: Sequence[str],
    batch_size: int | None,
    metrics: Sequence[str],
    seed: Seed,
    vectorized: bool,
) -> dict[str, Any]:
    """{name: what JSON can hold}, in the order in which it is worth telling what differs."""
    parameters, ours = [*optimizer.parameters, *net.parameters()], row_of(evaluate)
    identity: dict[str, Any] = {
        "network": re.sub(r" at 0x\w+", "", repr(net))[:_LONGEST],
        "number of parameters": len(optimizer.parameters),
        "names of the parameters (checksum)": checksum(f"{value.label}\n".encode() for value in parameters),
        "optimizer": type(optimizer).__qualname__,
        "loss": _name(evaluate) if ours is None else ours[0],
        "batch_size": batch_size,
        "metrics": list(metrics),
        "vectorized": bool(vectorized),
        "seed": None if seed is None or isinstance(seed, random.Random) else _short(operator.index(seed)),
    }
    for kind, part in (("", source), ("validation ", held_out)):
        first = None if part is None else part.first  # of batches, what is known beforehand
        for name in ("X", "Y"):
            identity.update(_of_array(kind + name, None if first is None else getattr(first, name)))
            if name == "Y" and first is not None and first.labels is not None:
                identity[kind + name] += f", the classes {list(class_names)}"
            if first is not part:
                identity[kind + name] = f"batches, the first {identity[kind + name]}"
        if part is source:
            identity["rows of the partitions"] = [end - begin for begin, end in pairwise(source.first.cuts)]
    identity.update(_of_array("weights of the examples", weights))
    l1, l2, clip = (0.0, 0.0, math.inf) if rule is None else rule[:3]
    identity.update(l1=l1, l2=l2, clip_norm=clip)
    of_schedule: tuple[Any, ...] = (None, None, None, None)
    if rate_of is not None:
        schedule, epochs = rate_of
        factors = [rate_at(schedule, 1.0, epochs * i / _SAMPLES, epochs) for i in range(_SAMPLES)]
        of_schedule = _name(schedule), epochs, optimizer.learning_rate, checksum([repr(factors).encode()])
    names = (
        "schedule",
        "epochs of the schedule",
        "learning rate of the schedule",
        "factors of the schedule (checksum)",
    )
    identity.update(zip(names, of_schedule))
    for name in ("patience", "min_delta", "restore"):
        identity[f"{name} of early stopping"] = None if early_stopping is None else getattr(early_stopping, name)
    return identity


def _of_array(name: str, array: Array | None) -> dict[str, Any]:
    import numpy as np

    if array is None:
        return {name: None, f"numbers of {name} (checksum)": None}
    pieces = (np.ascontiguousarray(array[start : start + _PIECE]).data for start in range(0, len(array), _PIECE))
    what = f"{array.dtype} of shape {array.shape}"
    return {name: what, f"numbers of {name} (checksum)": checksum(pieces)}


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def _short(number: int) -> int | str:
    return number if abs(number) < 1 << 63 else hex(number)
