"""The probabilities of classes that a network's outputs stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine.quiet import quiet

if TYPE_CHECKING:
    from numpy.typing import NDArray


def probabilities(outputs: NDArray[Any], activation: object) -> NDArray[Any]:
    """One row of probabilities an example, from outputs of shape (m, k) behind `activation`.

    >>> import numpy as np
    >>> probabilities(np.array([[0.0, 0.0, 800.0]]), "linear").round(3)
    array([[0., 0., 1.]])
    """
    import numpy as np

    k = outputs.shape[1]
    if activation == "linear" and k > 1:
        with quiet(over="ignore"):  # logits further apart than the largest float: e^(-inf) is 0
            grown: NDArray[Any] = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        shares: NDArray[Any] = grown / grown.sum(axis=1, keepdims=True)
        return shares
    if k > 1 or activation not in ("linear", "sigmoid"):
        several = f"{k} independent numbers" if k > 1 else "no probability"
        raise ValueError(
            f"predict_proba needs linear outputs, which are logits, or one sigmoid output; outputs of {activation} are "
            f"{several}: predict_outputs(X) gives them as they are"
        )
    second = outputs[:, 0]
    if activation == "linear":
        smaller = np.exp(-np.abs(second))  # nothing overflows, and both columns keep their digits
        ends = np.stack([smaller, np.ones_like(smaller)], axis=1) / (1.0 + smaller)[:, None]
        both: NDArray[Any] = np.where((second > 0.0)[:, None], ends, ends[:, ::-1])
        return both
    return np.stack([1.0 - second, second], axis=1)
