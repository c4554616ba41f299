"""A network for a table: its columns as inputs, how they are standardised, and the outputs as predictions.

Numbers are standardised, (x − mean)/deviation, with the mean and deviation of the training rows alone. A categorical
target becomes one output per class (an index for cross_entropy, on/off values for the other losses), and the class with
the largest output is predicted; a numeric target is standardised too and predicted in its own unit.
"""

from __future__ import annotations

import math
import os
import random
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields as fields_of
from itertools import pairwise
from typing import Any

from tinygrad_scalar.datasets import Table, is_number
from tinygrad_scalar.engine.errors import AnomalyError, shown
from tinygrad_scalar.nn.losses import LOSSES
from tinygrad_scalar.nn.mlp import MLP
from tinygrad_scalar.nn.saving import load_with, save
from tinygrad_scalar.screen import counted, quoted

MOST_PARAMETERS = 2_000_000  # of a network: to train them takes about 3 GB


@dataclass
class Scale:
    """x ↦ (x − mean)/deviation, and back."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Scale:
        """The scale that gives `numbers` mean 0 and deviation 1; equal numbers all become 0."""
        return cls(statistics.fmean(numbers), statistics.pstdev(numbers) or 1.0)

    @classmethod
    def of_fields(cls, fields: Any) -> Scale:
        """The scale with these fields; ValueError unless they are finite numbers and the deviation is positive."""
        if not isinstance(fields, dict) or sorted(fields) != ["deviation", "mean"]:
            raise ValueError(f"a scale must have a mean and a deviation, got {shown(fields)}")
        mean, deviation = fields["mean"], fields["deviation"]
        if not _is_finite(mean) or not _is_finite(deviation) or deviation <= 0.0:
            raise ValueError(f"a scale's mean must be a finite number and its deviation a positive one, got {fields}")
        return cls(mean, deviation)

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
        columns = [_standardised(table, name, scale) for name, scale in zip(self.features, self.scales)]
        return [list(row) for row in zip(*columns)]

    def targets(self, table: Table) -> list[Any]:
        """The target of every row, in the form that the loss takes."""
        if self.target_scale is not None:
            return _standardised(table, self.target, self.target_scale)
        assert self.classes is not None
        index = {name: i for i, name in enumerate(self.classes)}
        indices = [index[cell] for cell in table.column(self.target)]
        off_and_on = LOSSES[self.loss].off_and_on
        if off_and_on is None:
            return indices
        return [[off_and_on[j == index] for j in range(len(self.classes))] for index in indices]

    def predict(self, table: Table) -> list[str] | list[float]:
        """The class or the number predicted for every row; ValueError, naming the row, where there is none."""
        outputs = [self._outputs(x) for x in self.inputs(table)]
        if self.target_scale is not None:
            outputs = [[self.target_scale.undo(a)] for (a,) in outputs]
        for line, a in zip(table.lines, outputs):
            if not all(map(math.isfinite, a)):
                raise ValueError(f"{table.name}, line {line}: the network's output for this row is not finite: {a}")
        if self.classes is None:
            return [a for (a,) in outputs]
        return [self.classes[a.index(max(a))] for a in outputs]

    def _outputs(self, x: list[float]) -> list[float]:
        self.net(x)
        return [a.data for a in self.net.a[-1]]

    def require_finite(self) -> None:
        """AnomalyError unless every weight and bias is a finite number."""
        for parameter in self.net.parameters():
            if not math.isfinite(parameter.data):
                raise AnomalyError(f"the parameter {parameter.label} is {parameter.data!r}")

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
        try:
            model = cls._of_fields(net, metadata["table"])
            model.require_finite()
        except (ValueError, AnomalyError) as error:
            raise ValueError(f"{path} is not a model written by `train`: {error}") from None
        return model

    @classmethod
    def _of_fields(cls, net: MLP, fields: Any) -> TableModel:
        """The model of what `save` wrote beside the network; ValueError for the first field that does not fit."""
        expected = [field.name for field in fields_of(cls)][1:]  # all but net
        if not isinstance(fields, dict) or sorted(fields) != sorted(expected):
            raise ValueError(f"its table must have exactly {', '.join(expected)}, got {shown(fields)}")
        loss, target, features, classes = (fields[name] for name in ("loss", "target", "features", "classes"))
        outputs = net.layer_sizes[-1]
        if not isinstance(loss, str) or loss not in LOSSES:
            raise ValueError(f"its loss must be one of {', '.join(LOSSES)}, got {shown(loss)}")
        if not _are_names([target]):
            raise ValueError(f"its target must be the name of a column, got {shown(target)}")
        if not _are_names(features) or len(features) != net.n_inputs or target in features:
            raise ValueError(f"its features must name {counted(net.n_inputs, 'other column')}, got {shown(features)}")
        if classes is not None and (not _are_names(classes) or len(classes) != outputs or outputs < 2):
            raise ValueError(f"its classes must name {counted(outputs, 'output')}, got {shown(classes)}")
        if classes is None and (outputs != 1 or not LOSSES[loss].of_numbers):
            raise ValueError(f"it has no classes, but {counted(outputs, 'output')} and the loss {loss}")
        if not isinstance(fields["scales"], list) or len(fields["scales"]) != len(features):
            raise ValueError(f"its scales must be a list, one for each feature, got {shown(fields['scales'])}")
        scales = [Scale.of_fields(scale) for scale in fields["scales"]]
        if classes is not None and fields["target_scale"] is not None:
            raise ValueError(f"its target_scale must be null for classes, got {shown(fields['target_scale'])}")
        target_scale = None if classes is not None else Scale.of_fields(fields["target_scale"])
        return cls(net, loss, target, features, scales, classes, target_scale)


def _is_finite(number: Any) -> bool:
    return isinstance(number, float) and math.isfinite(number)


def _are_names(names: Any) -> bool:
    """Whether these are different texts in a list."""
    return (
        isinstance(names, list)
        and all(isinstance(name, str) and name for name in names)
        and len(set(names)) == len(names)
    )


def _standardised(table: Table, column: str, scale: Scale) -> list[float]:
    """The numbers of a column, standardised; ValueError, naming the line, where the result is beyond float64."""
    numbers = table.numbers(column)
    standardised = [scale.apply(number) for number in numbers]
    for line, number, result in zip(table.lines, numbers, standardised):
        if not math.isfinite(result):
            raise ValueError(
                f"{table.name}, line {line}: {number!r} in column {quoted(column)} is too far from the mean of the "
                f"training rows, {scale.mean:.4g} ± {scale.deviation:.4g}, to be standardised"
            )
    return standardised


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
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {quoted(loss)}")
    features = _features(table, target, ignore)
    distinct = set(table.column(target))
    if len(distinct) < 2:
        raise ValueError(
            f"every row of {table.name} has {quoted(distinct.pop())} as {quoted(target)}: there is nothing to learn"
        )
    of_numbers = numeric and LOSSES[loss].of_numbers
    sizes = [len(features), *layers, 1 if of_numbers else len(distinct)]
    if sum((n_inputs + 1) * n_outputs for n_inputs, n_outputs in pairwise(sizes)) > MOST_PARAMETERS:
        raise ValueError(
            f"a network of these layers, for {counted(sizes[0], 'column')} and {counted(sizes[-1], 'output')}, would "
            f"have more than {MOST_PARAMETERS:,} weights and biases, each of them a Value: use smaller --layers"
        )
    scales = [_scale(table, column, training_rows) for column in features]
    if of_numbers:
        net = MLP(sizes[0], sizes[1:], activation, "linear", seed=seed)
        return TableModel(net, loss, target, features, scales, None, _scale(table, target, training_rows))
    classes = sorted(distinct, key=float if numeric else str)
    net = MLP(sizes[0], sizes[1:], activation, LOSSES[loss].output_activation, seed=seed)
    return TableModel(net, loss, target, features, scales, classes, None)


def _scale(table: Table, column: str, training_rows: Sequence[int]) -> Scale:
    """The scale of the training rows' numbers in a column."""
    try:
        numbers = table.numbers(column)
    except ValueError as error:
        raise ValueError(f"{error} (--ignore leaves a column out)") from None
    try:
        return Scale.of([numbers[row] for row in training_rows])
    except OverflowError:
        raise ValueError(
            f"{table.name}: column {quoted(column)} has numbers as large as {max(map(abs, numbers))!r}, which cannot "
            "be standardised; rescale the column"
        ) from None


def _features(table: Table, target: str, ignore: Sequence[str]) -> list[str]:
    for column in ignore:
        table.position(column)
    left_out = {target, *ignore}
    features = [column for column in table.columns if column not in left_out]
    if not features:
        raise ValueError(f"{table.name} has no column left to predict {quoted(target)} from")
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
    if len(set(cells)) == len(cells) > 1 and list(groups) != [""]:
        raise ValueError(_nothing_repeats(table, target, test_fraction))
    if not held_out:
        raise ValueError(
            f"a test fraction of {test_fraction!r} holds out none of {table.name}'s {counted(len(cells), 'row')}: "
            "use a larger fraction or more rows (at least one row, or one of each class, stays for training)"
        )
    return sorted(training), sorted(held_out)


def _nothing_repeats(table: Table, target: str, test_fraction: float) -> str:
    """The error for a target of text that is different in every row."""
    cells = table.column(target)
    message = (
        f"a test fraction of {test_fraction!r} holds out none of {table.name}'s {len(cells):,} rows, because "
        f"{quoted(target)} is text that differs from row to row, and a class is learned from several rows: "
        "choose a target that repeats"
    )
    texts = [(line, cell) for line, cell in zip(table.lines, cells) if not is_number(cell)]
    if len(texts) > len(cells) / 2:
        return message
    line, cell = texts[0]
    return f"{message}, or, if it should hold numbers, correct line {line}: {quoted(cell)}"


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
    counts = Counter(zip(actual, predicted))
    return [[counts[i, j] for j in classes] for i in classes]


def r_squared(actual: Sequence[float], predicted: Sequence[float]) -> float:
    """R² = 1 − Σ(y − ŷ)²/Σ(y − ȳ)²: 1 is perfect, 0 no better than the mean; nan if all y are equal.

    >>> r_squared([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    1.0
    """
    if min(actual) == max(actual):
        return math.nan
    mean = math.fsum(y / len(actual) for y in actual)
    # the roots of the two sums: unlike their squares, they neither overflow nor underflow
    unexplained = math.dist(actual, predicted) / math.dist(actual, [mean] * len(actual))
    return 1.0 - unexplained * unexplained
