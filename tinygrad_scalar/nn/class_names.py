"""Classes with names: the targets that text labels stand for, and the names that a network's outputs stand for."""

from __future__ import annotations

import warnings
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
_LONGEST = 256  # characters of a name: NumPy gives each row of predictions room for the longest
_BOUNDARIES = {"sigmoid": 0.5, "linear": 0.0, "tanh": 0.0}  # between the two classes of one output
_NAME_ALL = "name all before fit, in the order of the outputs, as in net.class_names = ['cat', 'dog']"


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
        self.names: tuple[str, ...] | None = getattr(net, "class_names", None) if isinstance(net, Keeping) else None
        self._net: Any = net
        self._loss, self._row = loss, row
        self._set_before = self.names
        self._codes: NDArray[Any] | None = None

    def learn(self, parts: Iterable[tuple[Any, str]]) -> None:
        """Unless there are classes, take those of all labels, sorted; each part comes with its name for errors.

        TypeError if one part holds text and another does not.
        """
        found: set[str] = set()
        of_text: dict[bool, str] = {}
        for labels, name in parts:
            texts = texts_of(labels, name)
            of_text.setdefault(texts is not None, name)
            if len(of_text) == 2:
                raise mixed(of_text[True], of_text[False])
            if texts is not None and self.names is None:
                self._require_possible(name)
                found.update(*(_strings(texts, start, name) for start in _starts(texts)))
        if len(found) == 1:
            raise ValueError(f"every label is {quoted(found.pop())}: there is nothing to tell apart")
        if found:
            self.names = tuple(sorted(required_name(label, "the label") for label in found))

    def indices_of(self, labels: Any, name: str) -> NDArray[Any] | None:
        """The index of each label's class; None for anything but text."""
        texts = texts_of(labels, name)
        if texts is None:
            return None
        self._require_possible(name)
        if self.names is None:
            raise ValueError(f"{name} holds text, but which classes there are is not known beforehand: {_NAME_ALL}")
        if self._set_before is not None:
            return indices_among(texts, self.names, name)
        advice = f"if it is one of the classes, {_NAME_ALL}, and give the network an output for each"
        return indices_among(texts, self.names, name, "the", advice)

    def targets(self, indices: NDArray[Any], name: str, x: Sequence[Any]) -> Array:
        """The targets that the loss takes for such classes; examples `x`, for the number of the network's outputs."""
        if self._codes is None:
            self._codes = self._codes_for(_number_of(self._net(x[0])), name)
        coded: Array = self._codes[indices]
        return coded

    def require_fitting(self, x: Sequence[Any], Y: Array, of_text: bool) -> None:
        """ValueError if the network's names do not fit its outputs, or if it would draw the line between the two
        classes of one output elsewhere than the loss does. If the targets are numbers and no classes, let go the names.
        """
        if self._set_before is None:
            return
        n_outputs = _number_of(self._net(x[0]))
        require_a_name_each(self._set_before, n_outputs)
        if self._row is None or of_text:
            return
        if self._row.of_numbers and not _are_codes(Y, self._row.off_and_on or (0.0, 1.0)):
            self.names = None
        elif n_outputs == 1:
            self._require_boundary(self._row, "; or net.class_names = None predicts the outputs")

    def keep(self) -> None:
        """Let the network have the names that there are now."""
        if self._set_before is not None and self.names is None:
            warnings.warn(
                f"Y holds numbers that are no classes: the network's {_several(self._set_before)} are let go, and "
                "net.predict gives numbers",
                stacklevel=3,
            )
        if self.names != self._set_before:
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
            self._require_boundary(row, "")
            return np.array(row.off_and_on)
        if n_outputs != k:
            if self._set_before is not None:
                require_a_name_each(self.names, n_outputs)
            or_one = ", or with one" if k == 2 and row.in_one_output else ""
            or_more = f"; or, if {name} lacks some classes, {_NAME_ALL}" if n_outputs > k else ""
            raise ValueError(
                f"{name} has {_several(self.names)}, but the network has {_outputs(n_outputs)}: "
                f"make its last layer with {k} neurons{or_one}{or_more}"
            )
        return codes(k, row.off_and_on)

    def _require_boundary(self, row: Row, otherwise: str) -> None:
        """ValueError unless the network passes from one class to the other where the loss does."""
        activation = activation_of(self._net)
        if boundary_of(activation) != _BOUNDARIES[row.output_activation]:
            raise ValueError(
                f"one output that tells two classes apart by {self._loss} must be {row.output_activation}, got "
                f"{activation}: make the last layer with output_activation={row.output_activation!r}{otherwise}"
            )


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


def _are_codes(Y: Array, off_and_on: tuple[float, float]) -> bool:
    """Whether each target is that of a class: off or on, and of several exactly one on."""
    import numpy as np

    off, on = off_and_on
    rows = Y.reshape(len(Y), -1)
    is_on = rows == on
    return bool(np.all(is_on | (rows == off)) and (rows.shape[1] == 1 or np.all(is_on.sum(axis=1) == 1)))


def indices_among(
    texts: Any,
    names: tuple[str, ...],
    name: str,
    among: str = "the network's",
    advice: str = "net.class_names = None lets them go",
) -> NDArray[Any]:
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
                f"{name} has the label {quoted(label)} in row {row} (counted from 0), which is none of "
                f"{among} {_several(names)}; {advice}"
            ) from None
    return indices


def texts_of(labels: Any, name: str) -> Any:
    """The labels as a list or an array of shape (m,) if they are text; None if they are anything else.

    TypeError for bytes and for what a mask hides, ValueError for a missing label or more than one an example.
    """
    import numpy as np

    from tinygrad_scalar.vectorize.real_array import require_unmasked

    if is_table(labels):
        labels = texts_of_column(labels, name)
    if hasattr(labels, "__array__") and getattr(getattr(labels, "dtype", None), "kind", "") in tuple("OSTU"):
        labels = computed(labels)
        require_unmasked(labels, name, "label")
        labels = np.asarray(labels)  # of xarray and others
    elif isinstance(labels, (list, tuple)) and any(isinstance(_unwrapped(label), (str, bytes)) for label in labels):
        require_unmasked(labels, name, "label")
        labels = np.array(labels, dtype=object)
    if not isinstance(labels, np.ndarray):
        return None
    kinds = (type(label) for label in _objects(labels) if isinstance(label, (str, bytes)))
    kind = {"S": bytes, "U": str, "T": str}.get(labels.dtype.kind) or next(kinds, None)
    if kind is None:
        return None
    if issubclass(kind, bytes):
        array = "labels" if labels.dtype.kind == "S" else "np.array(labels, 'S')"
        raise TypeError(f"{name} holds bytes: np.char.decode({array}, 'utf-8') makes text of them")
    if labels.ndim == 2 and labels.shape[1] == 1:
        return labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(f"{name} must have one label for each example, the shape (m,), got {labels.shape}")
    return labels


def required_names(names: Any) -> tuple[str, ...] | None:
    """The names of classes as a tuple, or None; TypeError or ValueError if they are not two or more different texts."""
    if names is None:
        return None
    given = texts_of_column(names, "class_names") if is_table(names) else names
    ordered = isinstance(given, Sequence) or getattr(given, "ndim", 0) == 1
    listed: list[Any] = [] if isinstance(given, str) or given is None or not ordered else list(given)
    if not listed or not all(isinstance(name, str) for name in listed):
        raise TypeError(f"class_names must be a list of texts such as ['cat', 'dog'], or None; got {shown(names)}")
    found = tuple(required_name(name, "in class_names,") for name in listed)
    if len(found) < 2 or len(set(found)) < len(found):
        raise ValueError(f"class_names must be two or more different texts, got {shown(names)}")
    return found


def required_name(text: str, where: str) -> str:
    """The name of a class as a plain str; ValueError if NumPy's arrays of text could not hold it, or not many of it."""
    name = plain(text)
    if name.endswith("\0"):
        raise ValueError(
            f"{where} {quoted(name)} ends in NUL, which NumPy drops at the end of a text: label.rstrip('\\0') does too"
        )
    if len(name) > _LONGEST:
        raise ValueError(
            f"{where} {quoted(name)} has {len(name):,} characters, and the name of a class at most {_LONGEST}: give "
            "the classes short names, or another column"
        )
    return name


def plain(text: str) -> str:
    """A str of no subclass: the value of an enum's member, say."""
    return text if type(text) is str else str.__str__(text)


def mixed(text: str, numbers: str) -> TypeError:
    return TypeError(f"{text} holds text, but {numbers} does not: give all batches labels, or all of them numbers")


def require_a_name_each(names: tuple[str, ...], n_outputs: int) -> None:
    """ValueError unless there are as many names as outputs, or two for one."""
    if len(names) != (2 if n_outputs == 1 else n_outputs):
        names_needed = "two names" if n_outputs == 1 else "a name for each output"
        raise ValueError(
            f"the network has {_outputs(n_outputs)}, but {_several(names)} in class_names: set net.class_names to "
            f"{names_needed}, or to None"
        )


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
    require_a_name_each(names, k)
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
        if type(label) is str:
            continue
        if _is_missing(label):
            raise ValueError(f"{name} has a missing label in row {start + i} (counted from 0): fill it or drop the row")
        if not isinstance(label, str):
            raise TypeError(
                f"{name} must hold text only, or numbers only, got {shown(label)} in row {start + i} (counted from 0)"
            )
        strings[i] = plain(label)
    return strings


def _outputs(k: int) -> str:
    return f"{k} output{'s' * (k != 1)}"


def _is_missing(label: Any) -> bool:
    nan = isinstance(label, float) and label != label
    return nan or label is None or type(label).__name__ in ("NAType", "NaTType")  # the latter are of pandas


def _several(names: Sequence[str]) -> str:
    listed = ", ".join(map(quoted, names[:_MOST])) + ", …" * (len(names) > _MOST)
    return f"{len(names)} classes ({listed})"
