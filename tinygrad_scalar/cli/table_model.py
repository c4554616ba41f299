"""A network for a table: its columns as inputs, and its outputs as predictions.

A categorical target becomes one output per class (an index for cross_entropy, on/off values for the other losses), and
the class with the largest output is predicted; a numeric target is standardised and predicted in its own unit.
`columns.py` makes the inputs.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.cli.columns import CategoryColumn, Column, NumberColumn, Scale, standardised
from tinygrad_scalar.cli.fitted_columns import column_of, holds_numbers, option, require_categories, scale_of
from tinygrad_scalar.cli.missing_cells import WAYS, require_complete
from tinygrad_scalar.datasets import Table, is_number
from tinygrad_scalar.engine.errors import AnomalyError, shown
from tinygrad_scalar.engine.quiet import quiet
from tinygrad_scalar.nn.class_names import codes
from tinygrad_scalar.nn.losses import LOSSES
from tinygrad_scalar.nn.mlp import MLP
from tinygrad_scalar.nn.probabilities import probabilities
from tinygrad_scalar.nn.saving import load_with, save
from tinygrad_scalar.screen import counted, quoted

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_PARAMETERS = 2_000_000  # of a network: to train them takes about 3 GB
MOST_INDICES = 10  # classes named 0, 1, … that are taken for classes without being told
FEWEST_OF_A_CLASS = 10  # rows on average, of a number that is to be a class


@dataclass
class TableModel:
    """A network that reads the rows of a table and names its predictions.

    `classes` name the outputs; for a numeric target they are None, and `target_scale` scales it. `missing` is what
    missing cells stand for: "mean", "category", "drop" (nothing: such rows were dropped), or None (there were none).
    """

    net: MLP
    loss: str
    target: str
    columns: list[Column]
    classes: list[str] | None
    target_scale: Scale | None
    missing: str | None = None

    @property
    def features(self) -> list[str]:
        """The names of the columns that are inputs."""
        return [column.name for column in self.columns]

    @property
    def scales(self) -> list[Scale | None]:
        """The scale of each feature that is a number; None for a category."""
        return [column.scale if isinstance(column, NumberColumn) else None for column in self.columns]

    def inputs(self, table: Table, *, missing: str | None = None, unknown: str = "error") -> list[list[float]]:
        """The inputs of every row, as lists; see `matrix`."""
        rows: list[list[float]] = self.matrix(table, missing=missing, unknown=unknown).tolist()
        return rows

    def matrix(self, table: Table, *, missing: str | None = None, unknown: str = "error") -> NDArray[Any]:
        """The inputs of every row, shape (m, net.n_inputs).

        missing  "mean" or "category" instead of the model's own way; "drop" is an error for a missing cell
        unknown  "error", or "other": no category

        ValueError for a missing column or cell, one that is not a number, or an unknown category.
        """
        import numpy as np

        way = missing or self.missing
        way = None if way == "drop" else way
        return np.concatenate([column.inputs(table, way, unknown) for column in self.columns], axis=1)

    def targets(self, table: Table) -> list[Any]:
        """The target of every row, in the form that the loss takes."""
        if self.target_scale is not None:
            return standardised(table, self.target, self.target_scale)
        assert self.classes is not None
        index = {name: i for i, name in enumerate(self.classes)}
        indices = [index[cell] for cell in table.column(self.target)]
        targets: list[Any] = codes(len(self.classes), LOSSES[self.loss].off_and_on)[indices].tolist()
        return targets

    def outputs(self, table: Table, *, missing: str | None = None, unknown: str = "error") -> NDArray[Any]:
        """The network's outputs for every row, shape (m, k), a number in its own unit; arguments as for `matrix`.

        ValueError, naming the row, for one that is not finite.
        """
        import numpy as np

        X = self.matrix(table, missing=missing, unknown=unknown)
        if len(X) == 0:
            return np.zeros((0, self.net.layer_sizes[-1]))
        with quiet(all="ignore"):  # what is not finite is an error below
            outputs: NDArray[Any] = self.net.predict_outputs(X).reshape(len(X), -1)
            if self.target_scale is not None:
                outputs = outputs * self.target_scale.deviation + self.target_scale.mean
        wrong = np.flatnonzero(~np.isfinite(outputs).all(axis=1))
        if len(wrong):
            row = int(wrong[0])
            raise ValueError(
                f"{table.name}, line {table.lines[row]}: the network's output for this row is not finite: "
                f"{outputs[row].tolist()}"
            )
        return outputs

    def predict(self, table: Table, *, missing: str | None = None, unknown: str = "error") -> list[str] | list[float]:
        """The class or the number predicted for every row; ValueError, naming the row, where there is none."""
        return self.answers(self.outputs(table, missing=missing, unknown=unknown))

    def answers(self, outputs: NDArray[Any]) -> list[str] | list[float]:
        """The class or the number that each row of outputs stands for."""
        if self.classes is None:
            numbers: list[float] = outputs[:, 0].tolist()
            return numbers
        return [self.classes[i] for i in outputs.argmax(axis=1)]

    def probabilities(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """The probability of each class, shape (m, k); ValueError if the model's outputs stand for none."""
        if self.classes is None:
            raise ValueError(f"{quoted(self.target)} is a number, and only classes have probabilities")
        if self.loss != "cross_entropy":
            raise ValueError(
                f"outputs that were trained with {self.loss} are no probabilities of classes: train with "
                "--loss cross_entropy"
            )
        return probabilities(outputs, "linear")

    def require_finite(self) -> None:
        """AnomalyError unless every weight and bias is a finite number."""
        for parameter in self.net.parameters():
            if not math.isfinite(parameter.data):
                raise AnomalyError(f"the parameter {parameter.label} is {parameter.data!r}")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to `path` atomically."""
        categories = {c.name: c.categories for c in self.columns if isinstance(c, CategoryColumn)}
        flagged = [c.name for c in self.columns if isinstance(c, NumberColumn) and c.flagged]
        optional = {"categories": categories, "flagged": flagged, "missing": self.missing}
        fields = {
            "loss": self.loss,
            "target": self.target,
            "features": self.features,
            "scales": [scale and asdict(scale) for scale in self.scales],
            "classes": self.classes,
            "target_scale": self.target_scale and asdict(self.target_scale),
            **{name: field for name, field in optional.items() if field},
        }
        save(self.net, path, {"table": fields})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TableModel:
        """The model that `save` wrote; ValueError if the file holds something else."""
        net, metadata = load_with(path)
        if not isinstance(net, MLP) or "table" not in metadata:
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
        expected = ["loss", "target", "features", "scales", "classes", "target_scale"]
        optional = {"categories", "flagged", "missing"}
        if not isinstance(fields, dict) or sorted(fields.keys() - optional) != sorted(expected):
            raise ValueError(f"its table must have exactly {', '.join(expected)}, got {shown(fields)}")
        loss, target, classes = (fields[name] for name in ("loss", "target", "classes"))
        outputs = net.layer_sizes[-1]
        if not isinstance(loss, str) or loss not in LOSSES:
            raise ValueError(f"its loss must be one of {', '.join(LOSSES)}, got {shown(loss)}")
        if not _are_names([target]):
            raise ValueError(f"its target must be the name of a column, got {shown(target)}")
        columns = _columns_of_fields(fields)
        if sum(column.width for column in columns) != net.n_inputs or target in fields["features"]:
            raise ValueError(
                f"its features must be other columns with {counted(net.n_inputs, 'input')}, got {shown(columns)}"
            )
        missing = fields.get("missing")
        if "missing" in fields and missing not in WAYS:
            raise ValueError(f"its missing must be one of {', '.join(WAYS)}, got {shown(missing)}")
        if classes is not None and (not _are_names(classes) or len(classes) != outputs or outputs < 2):
            raise ValueError(f"its classes must name {counted(outputs, 'output')}, got {shown(classes)}")
        if classes is None and (outputs != 1 or not LOSSES[loss].of_numbers):
            raise ValueError(f"it has no classes, but {counted(outputs, 'output')} and the loss {loss}")
        if classes is not None and fields["target_scale"] is not None:
            raise ValueError(f"its target_scale must be null for classes, got {shown(fields['target_scale'])}")
        target_scale = None if classes is not None else Scale.of_fields(fields["target_scale"])
        return cls(net, loss, target, columns, classes, target_scale, missing)


def _columns_of_fields(fields: dict[str, Any]) -> list[Column]:
    """The columns that a model's fields describe; ValueError for the first that does not fit."""
    features, scales, categories = fields["features"], fields["scales"], fields.get("categories", {})
    flagged = fields.get("flagged", [])
    if not _are_names(features) or not features:
        raise ValueError(f"its features must name columns, got {shown(features)}")
    if not isinstance(scales, list) or len(scales) != len(features):
        raise ValueError(f"its scales must be a list, one for each feature, got {shown(scales)}")
    if not isinstance(categories, dict) or not categories.keys() <= set(features):
        raise ValueError(f"its categories must be those of features, got {shown(categories)}")
    if not _are_names(flagged) or not set(flagged) <= set(features) - categories.keys():
        raise ValueError(f"its flagged columns must be features that are numbers, got {shown(flagged)}")
    columns: list[Column] = []
    for name, scale in zip(features, scales):
        if name not in categories:
            columns.append(NumberColumn(name, Scale.of_fields(scale), name in flagged))
            continue
        texts = categories[name]
        if scale is not None or not isinstance(texts, list) or not _are_names([text for text in texts if text != ""]):
            raise ValueError(f"the categories of {quoted(name)} must be different texts, got {shown(texts)}")
        if not any(texts) or texts.count("") > 1:
            raise ValueError(f'the categories of {quoted(name)} must have a text, and "" once, got {shown(texts)}')
        columns.append(CategoryColumn(name, texts))
    return columns


def _are_names(names: Any) -> bool:
    """Whether these are different texts in a list."""
    return (
        isinstance(names, list)
        and all(isinstance(name, str) and name for name in names)
        and len(set(names)) == len(names)
    )


def untrained_model(
    table: Table,
    training_rows: Sequence[int],
    *,
    target: str,
    layers: Sequence[int],
    loss: str | None = None,
    activation: str = "tanh",
    ignore: Sequence[str] = (),
    categorical: Sequence[str] = (),
    missing: str | None = None,
    seed: int = 0,
) -> TableModel:
    """A model for `table` with scales and categories from the `training_rows` (counted from 0) and weights from `seed`.

    The target is a class if it holds text, if it is `categorical`, if `loss` is for classes only, or if it is 0, 1, …
    of at most ten classes with ten rows each; otherwise it is a number. `loss` None means cross_entropy for a class,
    squared_error for a number. Inputs that are 0 in all training rows begin, and stay, without weight.

    ValueError for an unknown column or loss, a missing cell if `missing` is None, a column that is neither numbers nor
    categories, or a target that has no classes although `loss` is for classes.
    """
    features = features_of(table, target, ignore)
    for column in categorical:
        table.position(column)
    if missing not in ("mean", "category"):
        require_complete(table, [*features, target], target)
    if loss is not None and loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {quoted(loss)}")
    numeric = target not in categorical and holds_numbers(table, target)
    of_numbers = numeric and not is_class(table, target, loss)
    loss = loss or ("squared_error" if of_numbers else "cross_entropy")
    distinct = set(table.column(target))
    if len(distinct) < 2:
        raise ValueError(
            f"every row of {table.name} has {quoted(distinct.pop())} as {quoted(target)}: there is nothing to learn"
        )
    if not of_numbers:
        _require_classes(table, target, numeric)
    require_categories(table, [name for name in features if name not in categorical])
    columns = [
        column_of(table, name, training_rows, categorical=name in categorical, missing=missing) for name in features
    ]
    sizes = [sum(column.width for column in columns), *layers, 1 if of_numbers else len(distinct)]
    if sum((n_inputs + 1) * n_outputs for n_inputs, n_outputs in pairwise(sizes)) > MOST_PARAMETERS:
        raise ValueError(
            f"a network of these layers, for {_inputs_text(columns)} and {counted(sizes[-1], 'output')}, would "
            f"have more than {MOST_PARAMETERS:,} weights and biases, each of them a Value: use smaller --layers"
        )
    scale = scale_of(table, target, training_rows) if of_numbers else None
    net = MLP(sizes[0], sizes[1:], activation, "linear" if of_numbers else LOSSES[loss].output_activation, seed=seed)
    classes = None if of_numbers else sorted(distinct, key=float if all(map(is_number, distinct)) else str)
    model = TableModel(net, loss, target, columns, classes, scale, missing)
    heard: list[bool] = (model.matrix(table.select(training_rows)) != 0.0).max(axis=0).tolist()
    for neuron in net.layers[0].neurons:  # what training never sees must not count in predictions
        for w, is_heard in zip(neuron.w, heard):
            if not is_heard:
                w.data = 0.0
    return model


def _inputs_text(columns: Sequence[Column]) -> str:
    text = counted(len(columns), "column")
    width = sum(column.width for column in columns)
    return text if width == len(columns) else f"{text} ({counted(width, 'input')})"


def is_class(table: Table, target: str, loss: str | None) -> bool:
    """Whether a target of numbers is one of classes: by its loss, else if it is 0, 1, … up to nine, often enough."""
    if loss is not None:
        return not LOSSES[loss].of_numbers
    cells = table.column(target)
    distinct = set(cells)
    return (
        2 <= len(distinct) <= MOST_INDICES
        and distinct == set(map(str, range(len(distinct))))
        and len(cells) >= FEWEST_OF_A_CLASS * len(distinct)
    )


def may_be_classes(cells: Sequence[str]) -> bool:
    """Whether the different values are few, or repeat often enough, to be classes although they are numbers."""
    distinct = len(set(cells))
    return distinct <= MOST_INDICES or len(cells) >= FEWEST_OF_A_CLASS * distinct


def _require_classes(table: Table, target: str, numeric: bool) -> None:
    """ValueError if hardly any value of the target repeats, so that they are no classes."""
    cells = table.column(target)
    distinct = len(set(cells))
    if may_be_classes(cells):
        return
    if numeric:
        raise ValueError(
            f"{quoted(target)} holds {distinct:,} different numbers in {len(cells):,} rows, too many to be classes: "
            "leave --loss out, or --loss squared_error, to predict a number; or, if they are classes, "
            f"--categorical {option([target])}"
        )
    if distinct * 2 > len(cells):
        raise ValueError(
            f"{quoted(target)} holds {distinct:,} different texts in {len(cells):,} rows, and a class is learned from "
            "several rows: choose a --target that repeats"
        )


def features_of(table: Table, target: str, ignore: Sequence[str]) -> list[str]:
    """The columns to predict from; ValueError for an unknown column, or if none is left."""
    table.position(target)
    for column in ignore:
        table.position(column)
    left_out = {target, *ignore}
    features = [column for column in table.columns if column not in left_out]
    if not features:
        raise ValueError(f"{table.name} has no column left to predict {quoted(target)} from")
    return features
