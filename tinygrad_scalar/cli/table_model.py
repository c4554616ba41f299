"""A network for a table: its columns as inputs, how they are standardised, and the outputs as predictions.

Numbers are standardised, (x − mean)/deviation, with the mean and deviation of the training rows alone. A categorical
target becomes one output per class (an index for cross_entropy, on/off values for the other losses), and the class with
the largest output is predicted; a numeric target is standardised too and predicted in its own unit.
"""

from __future__ import annotations

import os
import random
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tinygrad_scalar.datasets import Table, is_number
from tinygrad_scalar.nn.losses import LOSSES
from tinygrad_scalar.nn.mlp import MLP
from tinygrad_scalar.nn.saving import load_with, save


@dataclass
class Scale:
    """x ↦ (x − mean)/deviation, and back."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Scale:
        """The scale that gives `numbers` mean 0 and deviation 1; equal numbers all become 0."""
        return cls(statistics.fmean(numbers), statistics.pstdev(numbers) or 1.0)

    def apply(self, x: float) -> float:
        return (x - self.mean) / self.deviation

    def undo(self, x: float) -> float:
        return x * self.deviation + self.mean


@dataclass
class TableModel:
    """A network that reads the rows of a table and names its predictions.

    `classes` name the outputs; for a numeric target they are None, and `target_scale` scales it.
    """

    net: MLP
    loss: str
    target: str
    features: list[str]
    scales: list[Scale]
    classes: list[str] | None
    target_scale: Scale | None

    def inputs(self, table: Table) -> list[list[float]]:
        """The features of every row, standardised; ValueError for a missing column, or a cell that is not a number."""
        columns = [map(scale.apply, table.numbers(name)) for name, scale in zip(self.features, self.scales)]
        return [list(row) for row in zip(*columns)]

    def targets(self, table: Table) -> list[Any]:
        """The target of every row, in the form that the loss takes."""
        if self.target_scale is not None:
            return [self.target_scale.apply(number) for number in table.numbers(self.target)]
        assert self.classes is not None
        indices = [self.classes.index(cell) for cell in table.column(self.target)]
        off_and_on = LOSSES[self.loss].off_and_on
        if off_and_on is None:
            return indices
        return [[off_and_on[j == index] for j in range(len(self.classes))] for index in indices]

    def predict(self, table: Table) -> list[str] | list[float]:
        """The class or the number predicted for every row."""
        outputs = [self._outputs(x) for x in self.inputs(table)]
        if self.target_scale is not None:
            return [self.target_scale.undo(a) for (a,) in outputs]
        assert self.classes is not None
        return [self.classes[a.index(max(a))] for a in outputs]

    def _outputs(self, x: list[float]) -> list[float]:
        self.net(x)
        return [a.data for a in self.net.a[-1]]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to `path` atomically."""
        fields = {
            "loss": self.loss,
            "target": self.target,
            "features": self.features,
            "scales": [asdict(scale) for scale in self.scales],
            "classes": self.classes,
            "target_scale": self.target_scale and asdict(self.target_scale),
        }
        save(self.net, path, {"table": fields})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TableModel:
        """The model that `save` wrote; ValueError if the file holds something else."""
        net, metadata = load_with(path)
        if "table" not in metadata:
            raise ValueError(f"{path} holds only a network, not a model written by `train`")
        fields = metadata["table"]
        try:
            scales = [Scale(**scale) for scale in fields["scales"]]
            target_scale = fields["target_scale"] and Scale(**fields["target_scale"])
            return cls(**{**fields, "net": net, "scales": scales, "target_scale": target_scale})
        except (KeyError, TypeError) as error:
            reason = f"it has no {error}" if isinstance(error, KeyError) else error
            raise ValueError(f"{path} is not a model written by `train`: {reason}") from None


def untrained_model(
    table: Table,
    training_rows: Sequence[int],
    *,
    target: str,
    layers: Sequence[int],
    loss: str | None = None,
    activation: str = "tanh",
    ignore: Sequence[str] = (),
    seed: int = 0,
) -> TableModel:
    """A model for `table` with scales from the `training_rows` (counted from 0) and weights from `seed`.

    The target is a class if it holds text or if `loss` is for classes only; otherwise it is a number. `loss` None means
    cross_entropy for a class, squared_error for a number. ValueError for an unknown column or loss, or a cell that is
    missing or not a number.
    """
    numeric = all(map(is_number, table.column(target)))
    loss = loss or ("squared_error" if numeric else "cross_entropy")
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {loss!r}")
    features = _features(table, target, ignore)

    def scale(column: str) -> Scale:
        numbers = table.numbers(column)
        try:
            return Scale.of([numbers[row] for row in training_rows])
        except OverflowError:
            raise ValueError(
                f"{table.name}: column {column!r} has numbers as large as {max(map(abs, numbers))!r}, which cannot be "
                "standardised; rescale the column"
            ) from None

    scales = [scale(column) for column in features]
    distinct = set(table.column(target))
    if len(distinct) < 2:
        raise ValueError(f"every row of {table.name} has {distinct.pop()!r} as {target!r}: there is nothing to learn")
    if numeric and LOSSES[loss].of_numbers:
        net = MLP(len(features), [*layers, 1], activation, "linear", seed=seed)
        return TableModel(net, loss, target, features, scales, None, scale(target))
    classes = sorted(distinct, key=float if numeric else str)
    net = MLP(len(features), [*layers, len(classes)], activation, LOSSES[loss].output_activation, seed=seed)
    return TableModel(net, loss, target, features, scales, classes, None)


def _features(table: Table, target: str, ignore: Sequence[str]) -> list[str]:
    for column in ignore:
        table.position(column)
    features = [column for column in table.columns if column != target and column not in ignore]
    if not features:
        raise ValueError(f"{table.name} has no column left to predict {target!r} from")
    return features


def split(table: Table, target: str, test_fraction: float, seed: int = 0) -> tuple[list[int], list[int]]:
    """The rows (counted from 0) to train on and those to hold out, drawn by `seed`.

    Where the target is text, every class is split in the same proportion. ValueError unless both parts get a row.

    >>> from tinygrad_scalar.datasets import iris
    >>> training, held_out = split(iris(), "species", 1 / 3)
    >>> len(training), len(held_out)
    (100, 50)
    """
    if not 0.0 < test_fraction < 1.0:
        raise ValueError(f"the test fraction must be above 0 and below 1, got {test_fraction!r}")
    cells = table.column(target)
    groups: dict[str, list[int]] = {}
    for row, cell in enumerate(cells):
        groups.setdefault("" if is_number(cell) else cell, []).append(row)
    generator = random.Random(seed)
    training: list[int] = []
    held_out: list[int] = []
    rest = 0.0  # the rounding error carries over to the next class, so that the sizes of the parts come out right
    for rows in groups.values():
        generator.shuffle(rows)
        wanted = test_fraction * len(rows) + rest
        count = min(max(round(wanted), 0), len(rows) - 1)
        rest = max(-0.5, min(wanted - count, 0.5))
        held_out += rows[:count]
        training += rows[count:]
    if not held_out:
        raise ValueError(
            f"a test fraction of {test_fraction!r} holds out none of {table.name}'s {len(cells)} rows: "
            "use a larger fraction or more rows (at least one row, or one of each class, stays for training)"
        )
    return sorted(training), sorted(held_out)


def accuracy(actual: Sequence[str], predicted: Sequence[str]) -> float:
    """The share of correct predictions.

    >>> accuracy(["a", "b", "b", "a"], ["a", "b", "a", "a"])
    0.75
    """
    return sum(map(str.__eq__, actual, predicted)) / len(actual)


def confusion_matrix(actual: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> list[list[int]]:
    """How many rows of class i (down) were predicted as class j (across).

    >>> confusion_matrix(["a", "b", "b", "a"], ["a", "b", "a", "a"], ["a", "b"])
    [[2, 0], [1, 1]]
    """
    pairs = list(zip(actual, predicted))
    return [[pairs.count((i, j)) for j in classes] for i in classes]


def r_squared(actual: Sequence[float], predicted: Sequence[float]) -> float:
    """R² = 1 − Σ(y − ŷ)²/Σ(y − ȳ)²: 1 is perfect, 0 no better than the mean; nan if all y are equal.

    >>> r_squared([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    1.0
    """
    mean = statistics.fmean(actual)
    total = sum((y - mean) ** 2 for y in actual)
    missed = sum((y - y_hat) ** 2 for y, y_hat in zip(actual, predicted))
    return 1.0 - missed / total if total else float("nan")
