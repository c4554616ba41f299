"""Classes with names: the targets that text labels stand for, and the names that a network's outputs stand for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.nn.dask_batches import computed
from tinygrad_scalar.nn.kept_program import Keeping
from tinygrad_scalar.nn.tables import OF_CLASSES, is_table, texts_of_column
from tinygrad_scalar.screen import quoted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.engine.bulk import Array

_PIECE = 1 << 16  # labels that become Python's strings at a time
_MOST = 5  # classes that errors name
_BOUNDARIES = {"sigmoid": 0.5, "linear": 0.0, "tanh": 0.0}  # between the two classes of one output


class Row(Protocol):
    """What a row of LOSSES says about classes."""

    @property
    def output_activation(self) -> str: ...
    @property
    def off_and_on(self) -> tuple[float, float] | None: ...
    @property
    def of_numbers(self) -> bool: ...
    @property
    def in_one_output(self) -> bool: ...


class Classes:
    """The classes of one training: `names`, once they are known, in the order of the outputs; those of `net` if it has.

    `loss` is the name of the loss and `row` what it says about classes, None if it says nothing.
    """

    def __init__(self, net: Any, loss: str, row: Row | None) -> None:
        self.names: tuple[str, ...] | None = getattr(net, "class_names", None)
        self._net, self._loss, self._row = net, loss, row
        self._codes: NDArray[Any] | None = None
        self._used = False

    def learn(self, parts: Iterable[tuple[Any, str]]) -> None:
        """Unless there are classes, take those of all labels, sorted; each part comes with its name for errors."""
        if self.names is not None:
            return
        found: set[str] = set()
        for labels, name in parts:
            texts = texts_of(labels, name)
            if texts is not None:
                self._require_possible(name)
                found.update(*(_strings(texts, start, name) for start in _starts(texts)))
        if len(found) == 1:
            raise ValueError(f"every label is {quoted(found.pop())}: there is nothing to tell apart")
        if found:
            self.names = tuple(sorted(map(str, found)))  # also of NumPy's

    def indices_of(self, labels: Any, name: str) -> NDArray[Any] | None:
        """The index of each label's class; None for anything but text."""
        texts = texts_of(labels, name)
        if texts is None:
            return None
        self._require_possible(name)
        if self.names is None:
            raise ValueError(
                f"{name} holds text, but which classes there are is not known beforehand: give all of them, in the "
                "order of the outputs, as in net.class_names = ['cat', 'dog']"
            )
        indices = indices_among(texts, self.names, name)
        self._used = True
        return indices

    def targets(self, indices: NDArray[Any], name: str, x: Sequence[Any]) -> Array:
        """The targets that the loss takes for such classes; examples `x`, for the number of the network's outputs."""
        if self._codes is None:
            self._codes = self._codes_for(_number_of(self._net(x[0])), name)
        coded: Array = self._codes[indices]
        return coded

    def keep(self) -> None:
        """Let the network have the names, if there were labels."""
        if self._used:
            self._net.class_names = self.names

    def _require_possible(self, name: str) -> None:
        """TypeError unless the loss has targets for classes, and the network can keep their names."""
        if self._row is None or self._row.of_numbers:
            how = OF_CLASSES if self._row is None else "for classes give their loss, such as loss='cross_entropy'"
            raise TypeError(f"{name} must hold numbers, got text: {self._loss} has no classes; {how}")
        if not isinstance(self._net, Keeping):
            raise TypeError(
                f"{name} holds text, but {shown(self._net)} is no ts.nn.Module, which would keep the names of the "
                f"classes: {OF_CLASSES}"
            )

    def _codes_for(self, n_outputs: int, name: str) -> NDArray[Any]:
        """The target of each class, for the loss and so many outputs."""
        import numpy as np

        assert self._row is not None and self.names is not None
        k, row = len(self.names), self._row
        if n_outputs == 1 and k == 2 and row.in_one_output:
            needed = _BOUNDARIES[row.output_activation]
            if boundary_of(activation_of(self._net)) != needed:
                raise ValueError(
                    f"one output that tells two classes apart by {self._loss} must be {row.output_activation}, got "
                    f"{activation_of(self._net)}: make the last layer with output_activation={row.output_activation!r}"
                )
            return np.array(row.off_and_on)
        if n_outputs != k:
            or_one = ", or with one" if k == 2 and row.in_one_output else ""
            raise ValueError(
                f"{name} has {_several(self.names)}, but the network has {n_outputs} output{'s' * (n_outputs != 1)}: "
                f"make its last layer with {k} neurons{or_one}"
            )
        return codes(k, row.off_and_on)


def codes(k: int, off_and_on: tuple[float, float] | None) -> NDArray[Any]:
    """The target of each of k classes, for k outputs: its index, or a row with one output on.

    >>> codes(2, (-1.0, 1.0))
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    import numpy as np

    if off_and_on is None:
        return np.arange(k)
    off, on = off_and_on
    return np.where(np.eye(k, dtype=bool), on, off)


def indices_among(texts: Any, names: tuple[str, ...], name: str) -> NDArray[Any]:
    """The place of each text among the names; ValueError for another, with its row."""
    import numpy as np

    index = {label: i for i, label in enumerate(names)}
    indices: NDArray[Any] = np.empty(len(texts), np.int64)
    for start in _starts(texts):
        strings = _strings(texts, start, name)
        try:
            indices[start : start + len(strings)] = [index[label] for label in strings]
        except KeyError:
            row, label = next((start + i, label) for i, label in enumerate(strings) if label not in index)
            raise ValueError(
                f"{name} has the label {quoted(label)} in row {row} (counted from 0), which is none of the "
                f"network's {_several(names)}; net.class_names = None lets them go"
            ) from None
    return indices


def texts_of(labels: Any, name: str) -> Any:
    """The labels as a list or an array of shape (m,) if they are text; None if they are anything else.

    TypeError for bytes, ValueError for a missing label or more than one an example.
    """
    import numpy as np

    from tinygrad_scalar.vectorize.real_array import require_unmasked

    if is_table(labels):
        labels = texts_of_column(labels, name)
    if hasattr(labels, "__array__") and getattr(getattr(labels, "dtype", None), "kind", "") in tuple("OSTU"):
        labels = computed(labels)
        require_unmasked(labels, name, "label")
        labels = np.asarray(labels)  # of xarray and others
    elif isinstance(labels, (list, tuple)) and any(isinstance(_unwrapped(label), str) for label in labels):
        require_unmasked(labels, name, "label")
        labels = np.array(labels, dtype=object)
    if not isinstance(labels, np.ndarray):
        return None
    if labels.dtype.kind == "S":
        raise TypeError(f"{name} holds bytes: labels.astype(str) makes text of them")
    if labels.dtype.kind not in "UT" and not any(isinstance(label, str) for label in _objects(labels)):
        return None
    if labels.ndim == 2 and labels.shape[1] == 1:
        return labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(f"{name} must have one label for each example, the shape (m,), got {labels.shape}")
    return labels


def required_names(names: Any) -> tuple[str, ...] | None:
    """The names of classes as a tuple, or None; TypeError or ValueError if they are not two or more different texts."""
    if names is None:
        return None
    ordered = isinstance(names, Sequence) or getattr(names, "ndim", 0) == 1
    listed = [] if isinstance(names, str) or not ordered else list(names)
    if not listed or not all(isinstance(name, str) for name in listed):
        raise TypeError(f"class_names must be a list of texts such as ['cat', 'dog'], or None; got {shown(names)}")
    if len(listed) < 2 or len(set(listed)) < len(listed):
        raise ValueError(f"class_names must be two or more different texts, got {shown(names)}")
    return tuple(map(str, listed))


def class_names_of_file(names: Any) -> tuple[str, ...]:
    """The names that a file holds; ValueError if no network could have them."""
    if not isinstance(names, (list, tuple)):
        raise ValueError(f"its class_names must be a list of texts, got {shown(names)}")
    try:
        found = required_names(names)
    except TypeError as error:
        raise ValueError(str(error)) from None
    assert found is not None
    return found


def named_classes(outputs: NDArray[Any], names: tuple[str, ...], activation: object) -> NDArray[Any]:
    """The class of each row of outputs, shape (m, k): that of the largest, or the side on which the only one lies.

    >>> import numpy as np
    >>> named_classes(np.array([[0.5, 0.25], [-1.0, 2.0]]), ("cat", "dog"), "linear")
    array(['cat', 'dog'], dtype='<U3')
    """
    import numpy as np

    k = outputs.shape[1]
    if len(names) != (2 if k == 1 else k):
        raise ValueError(f"the network has {k} output{'s' * (k != 1)}, but {_several(names)} in class_names")
    wrong = np.flatnonzero(np.isnan(outputs).any(axis=1))
    if len(wrong):
        raise ValueError(f"the network's outputs for row {wrong[0]} are of no class: {outputs[wrong[0]].tolist()}")
    index = outputs.argmax(axis=1) if k > 1 else (outputs[:, 0] > boundary_of(activation)).astype(np.int64)
    chosen: NDArray[Any] = np.array(names)[index]
    return chosen


def boundary_of(activation: object) -> float:
    """Where one output passes from the first class to the second; ValueError if its activation does not say."""
    if not isinstance(activation, str) or activation not in _BOUNDARIES:
        raise ValueError(
            f"one output tells two classes apart if it is {', '.join(_BOUNDARIES)}, got {activation}; a class of your "
            "own says so by its attribute output_activation"
        )
    return _BOUNDARIES[activation]


def activation_of(net: Any) -> object:
    """The activation behind the outputs of a network."""
    return net._outputs_activation()


def _number_of(outputs: Any) -> int:
    return len(outputs) if isinstance(outputs, (list, tuple)) else 1


def _objects(labels: NDArray[Any]) -> Iterable[Any]:
    return labels.flat if labels.dtype.kind == "O" else ()


def _unwrapped(label: Any) -> Any:
    return label[0] if isinstance(label, (list, tuple)) and len(label) == 1 else label


def _starts(texts: Any) -> range:
    return range(0, len(texts), _PIECE)


def _strings(texts: Any, start: int, name: str) -> list[str]:
    """A piece of the labels as Python's strings; ValueError for what is missing, TypeError for what is no text."""
    piece = texts[start : start + _PIECE]
    strings: list[Any] = piece if isinstance(piece, list) else piece.tolist()
    for i, label in enumerate(strings):
        if not isinstance(label, str):
            if _is_missing(label):
                raise ValueError(
                    f"{name} has a missing label in row {start + i} (counted from 0): fill it or drop the row"
                )
            raise TypeError(
                f"{name} must hold text only, or numbers only, got {shown(label)} in row {start + i} (counted from 0)"
            )
    return strings


def _is_missing(label: Any) -> bool:
    nan = isinstance(label, float) and label != label
    return nan or label is None or type(label).__name__ in ("NAType", "NaTType")  # the latter are of pandas


def _several(names: Sequence[str]) -> str:
    listed = ", ".join(map(quoted, names[:_MOST])) + ", …" * (len(names) > _MOST)
    return f"{len(names)} classes ({listed})"
