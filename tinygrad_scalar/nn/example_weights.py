"""How much each example counts in `fit`: sample weights and class weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.number import as_float
from tinygrad_scalar.nn.class_names import plain
from tinygrad_scalar.nn.dask_batches import computed
from tinygrad_scalar.nn.examples import Examples
from tinygrad_scalar.screen import quoted

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from tinygrad_scalar.engine.bulk import Array
    from tinygrad_scalar.nn.examples import Source


def weights_of(
    source: Source,
    sample_weight: ArrayLike | None,
    class_weight: Mapping[Any, float] | str | None,
    class_names: Sequence[str],
) -> Array | None:
    """The weight of each example, their mean 1; None if all count alike.

    `class_weight` maps a target, or its label if Y was text, to a weight, or is "balanced": each class then counts
    alike, however many examples it has. An example's weight is the product of both.
    """
    import numpy as np

    from tinygrad_scalar.vectorize.real_array import real_array

    if sample_weight is None and class_weight is None:
        return None
    if not isinstance(source, Examples):
        raise ValueError(
            "sample_weight and class_weight need all examples at once, not batches: "
            + (
                "give X and Y, as memory maps if they are large"
                if source.first.labels is not None
                else "let the loss multiply by the weight, given as one more target"
            )
        )
    m = len(source)
    weights: Array = np.ones(m)
    if sample_weight is not None:
        given = real_array(computed(sample_weight), "sample_weight")
        if given.shape != (m,):
            raise ValueError(f"sample_weight must have the shape ({m},), got {given.shape}")
        _require_weights(given, "sample_weight")
        weights = given.astype(np.float64)
    if class_weight is not None:
        weights = weights * _by_class(source, class_weight, class_names)
    mean = float((weights / len(weights)).sum())
    if not mean > 0.0:
        raise ValueError("all examples have the weight 0: there is nothing to learn from")
    return weights / mean


def _by_class(source: Examples, class_weight: Mapping[Any, float] | str, names: Sequence[str]) -> Array:
    import numpy as np

    Y = source.Y if source.labels is None else source.labels
    if Y.size != len(Y):
        raise ValueError(f"class_weight needs one target an example, of shape (m,), got Y of shape {Y.shape}")
    classes, which, counts = np.unique(Y.reshape(len(Y)), return_inverse=True, return_counts=True)
    if class_weight == "balanced":
        balanced: Array = (len(Y) / (len(classes) * counts))[which]
        return balanced
    if not isinstance(class_weight, Mapping):
        raise TypeError(f'class_weight must be a dict {{class: weight}} or "balanced", got {shown(class_weight)}')
    keys = classes.tolist() if source.labels is None else [names[i] for i in classes]
    by_key = {plain(key) if isinstance(key, str) else key: weight for key, weight in class_weight.items()}
    missing = [key for key in keys if key not in by_key]
    if missing:
        by_label = source.labels is None and any(isinstance(key, str) for key in by_key)
        advice = ": Y holds numbers, so the keys must be its numbers, not labels" * by_label
        raise ValueError(f"class_weight has no weight for the class {quoted(missing[0])} of Y{advice}")
    numbers = [as_float(by_key[key]) for key in keys]
    if None in numbers:
        raise TypeError(f"class_weight must map classes to numbers, got {shown(class_weight)}")
    weights = np.array(numbers, dtype=np.float64)
    _require_weights(weights, "class_weight")
    chosen: Array = weights[which]
    return chosen


def _require_weights(weights: Array, name: str) -> None:
    import numpy as np

    wrong = weights[~((weights >= 0.0) & np.isfinite(weights))]
    if wrong.size:
        raise ValueError(f"{name} must hold finite numbers ≥ 0, got {wrong[0]:g}")
