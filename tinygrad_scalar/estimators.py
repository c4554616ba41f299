"""Networks as scikit-learn estimators, for its pipelines, searches and cross-validation; needs scikit-learn.

`python -m pip install "tinygrad_scalar[sklearn]"` installs it. The networks are `MLP`s, trained by `fit`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.model_selection import train_test_split
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d, validate_data
except ImportError as error:
    raise ImportError(
        f"tinygrad_scalar.estimators needs scikit-learn 1.6 or later ({error}): "
        'python -m pip install "tinygrad_scalar[sklearn]"'
    ) from error

from tinygrad_scalar.engine.number import as_float, required_integer
from tinygrad_scalar.nn.mlp import MLP
from tinygrad_scalar.nn.optim import OPTIMIZERS
from tinygrad_scalar.nn.probabilities import probabilities
from tinygrad_scalar.nn.training import fit
from tinygrad_scalar.vectorize.real_array import require_unmasked

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from tinygrad_scalar.nn.activations import Named
    from tinygrad_scalar.nn.callbacks import EarlyStopping
    from tinygrad_scalar.nn.schedules import Schedule

    Floats = NDArray[Any]

LARGEST_BATCH = 200  # of batch_size="auto", as in scikit-learn's own


def validated(estimator: Any, *arrays: Any, **options: Any) -> Any:
    """X, or X and y, as scikit-learn checks them; it would read what a mask hides."""
    for name, array in zip("Xy", arrays):
        require_unmasked(array, name)
    check: Any = validate_data  # type checkers take its types from its default arguments
    return check(estimator, *arrays, **options)


class _NetworkEstimator(BaseEstimator):  # type: ignore[misc]
    """What classifier and regressor share: their parameters, which are those of `MLP` and `fit`, and their training."""

    def __init__(
        self,
        hidden_layers: Sequence[int] = (32,),
        *,
        activation: Named = "tanh",
        optimizer: str = "adam",
        learning_rate: float = 0.01,
        epochs: int = 200,
        batch_size: int | str | None = "auto",
        l1: float = 0.0,
        l2: float = 0.0,
        clip_norm: float | None = None,
        schedule: str | Schedule | None = None,
        early_stopping: EarlyStopping | int | None = None,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        progress: bool = False,
        random_state: Any = None,
    ) -> None:
        self.hidden_layers = hidden_layers
        self.activation = activation
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.l1 = l1
        self.l2 = l2
        self.clip_norm = clip_norm
        self.schedule = schedule
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.progress = progress
        self.random_state = random_state

    n_features_in_: int

    def _network(self, n_outputs: int, output_activation: str, seed: int) -> MLP:
        hidden = self.hidden_layers
        if isinstance(hidden, str) or not isinstance(hidden, Iterable):
            raise ValueError(f"hidden_layers must be a list of sizes such as (32, 16), got {hidden!r}")
        sizes = [required_integer(size, "a size in hidden_layers") for size in hidden]
        return MLP(self.n_features_in_, [*sizes, n_outputs], self.activation, output_activation, seed=seed)

    def _train(
        self,
        X: Floats,
        Y: Floats,
        loss: str,
        n_outputs: int,
        output_activation: str,
        sample_weight: Floats | None,
        *,
        go_on: bool,
        epochs: int,
        stratify: Floats | None = None,
    ) -> None:
        """Train network_, or with `go_on` train it further; history_ is that of this training."""
        generator = check_random_state(self.random_state)
        network = self._network(n_outputs, output_activation, int(generator.randint(np.iinfo(np.int32).max)))
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {self.optimizer!r}")
        optimizer = OPTIMIZERS[self.optimizer](network.parameters(), self.learning_rate)
        if isinstance(self.batch_size, str) and self.batch_size != "auto":
            raise ValueError(f'batch_size must be a number, None for all examples, or "auto", got {self.batch_size!r}')
        validation = None
        if self.early_stopping is not None and epochs > 1:
            weights = [] if sample_weight is None else [sample_weight]
            kept: list[Any] = train_test_split(
                X, Y, *weights, test_size=self.validation_fraction, random_state=generator, stratify=stratify
            )
            X, held_out, Y, targets = kept[:4]
            validation = (held_out, targets)
            sample_weight = kept[4] if weights else None
        size = min(LARGEST_BATCH, len(X)) if isinstance(self.batch_size, str) else self.batch_size
        if not go_on:
            self.network_, self.optimizer_ = network, optimizer
        elif repr(network) != repr(self.network_):
            raise ValueError(
                f"training goes on with the same network, {self.network_!r}, but the parameters say {network!r}"
            )
        elif type(optimizer) is type(self.optimizer_):  # with what it remembers
            self.optimizer_.learning_rate = self.learning_rate
        else:
            self.optimizer_ = type(optimizer)(self.network_.parameters(), self.learning_rate)
        self.history_ = fit(
            self.network_,
            X,
            Y,
            loss=loss,
            optimizer=self.optimizer_,
            epochs=epochs,
            batch_size=None if size is None or size >= len(X) else size,
            validation=validation,
            early_stopping=self.early_stopping if validation else None,
            schedule=self.schedule,
            clip_norm=self.clip_norm,
            l1=self.l1,
            l2=self.l2,
            sample_weight=sample_weight,
            progress=self.progress,
            seed=int(generator.randint(np.iinfo(np.int32).max)),
        )

    def _outputs(self, X: ArrayLike) -> Floats:
        """The network's outputs, shape (m, k)."""
        check_is_fitted(self)
        rows = validated(self, X, dtype=np.float64, reset=False)
        return self.network_.predict_outputs(rows).reshape(len(rows), -1)

    def _weights(self, sample_weight: ArrayLike | None, X: Floats) -> Floats | None:
        if sample_weight is None:
            return None
        weights: Floats = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        return weights


def _class_weight(name: Any, weight: Any) -> float:
    number = as_float(weight)
    if number is None or not 0.0 <= number < math.inf:
        raise ValueError(f"class_weight must map classes to finite numbers ≥ 0, got {weight!r} for {name!r}")
    return number


class NetworkClassifier(ClassifierMixin, _NetworkEstimator):  # type: ignore[misc]
    """A network that tells classes apart: two by one output in sigmoid, more by logits and cross-entropy.

    hidden_layers        the sizes of the layers between inputs and outputs
    activation           of the hidden layers; see Neuron
    optimizer, learning_rate, epochs, batch_size, l1, l2, clip_norm, schedule   as in `fit`; batch_size "auto" is 200
    early_stopping       as in `fit`, on `validation_fraction` of the examples, which are then not trained on
    class_weight         {class: weight} or "balanced"; a class without a weight has 1
    warm_start           fit goes on from where the last one ended, with the learning rate as it is then
    random_state         seeds the initial weights and the order of the examples

    After fit: `network_` (an MLP), `classes_`, `history_` (a History), `optimizer_`, `n_features_in_`.

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X, y = load_iris(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), NetworkClassifier((8,), random_state=0)).fit(X, y)
    >>> float(model.score(X, y)) > 0.95
    True
    """

    def __init__(
        self,
        hidden_layers: Sequence[int] = (32,),
        *,
        activation: Named = "tanh",
        optimizer: str = "adam",
        learning_rate: float = 0.01,
        epochs: int = 200,
        batch_size: int | str | None = "auto",
        l1: float = 0.0,
        l2: float = 0.0,
        clip_norm: float | None = None,
        schedule: str | Schedule | None = None,
        early_stopping: EarlyStopping | int | None = None,
        validation_fraction: float = 0.1,
        class_weight: Mapping[Any, float] | str | None = None,
        warm_start: bool = False,
        progress: bool = False,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            hidden_layers,
            activation=activation,
            optimizer=optimizer,
            learning_rate=learning_rate,
            epochs=epochs,
            batch_size=batch_size,
            l1=l1,
            l2=l2,
            clip_norm=clip_norm,
            schedule=schedule,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            warm_start=warm_start,
            progress=progress,
            random_state=random_state,
        )
        self.class_weight = class_weight

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> NetworkClassifier:
        """Train on X of shape (m, n) and the classes y of shape (m,)."""
        known = getattr(self, "classes_", None) if self.warm_start else None
        rows, labels = self._checked(X, y, known is None)
        classes = np.unique(labels) if known is None else known
        self._learn(rows, labels, classes, sample_weight, known is not None, self.epochs)
        return self

    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> NetworkClassifier:
        """Train one epoch further; the first call needs all `classes`, unless y has them."""
        known = getattr(self, "classes_", None)
        rows, labels = self._checked(X, y, known is None)
        if known is not None and classes is not None and not np.array_equal(np.unique(classes), known):
            given = np.asarray(classes).tolist()
            raise ValueError(f"classes must be those of the first call, {known.tolist()}, got {given}")
        first = np.unique(labels if classes is None else classes)
        self._learn(rows, labels, first if known is None else known, sample_weight, known is not None, 1)
        return self

    def _checked(self, X: ArrayLike, y: ArrayLike, reset: bool) -> tuple[Floats, Floats]:
        rows, labels = validated(self, X, y, dtype=np.float64, reset=reset)
        check_classification_targets(labels)
        return rows, labels

    def _learn(
        self, X: Floats, y: Floats, classes: Floats, sample_weight: ArrayLike | None, go_on: bool, epochs: int
    ) -> None:
        if len(classes) < 2:
            raise ValueError(f"a classifier needs at least two classes, y has one class: {classes.tolist()}")
        unknown = np.setdiff1d(y, classes)
        if unknown.size:
            raise ValueError(f"y holds {unknown.tolist()[0]!r}, which is none of the classes {classes.tolist()}")
        self.classes_ = classes
        index = np.searchsorted(classes, y)
        weights = self._class_weights(index, self._weights(sample_weight, X))
        two = len(classes) == 2
        loss, n_outputs = ("binary_cross_entropy", 1) if two else ("cross_entropy", len(classes))
        targets = index.astype(np.float64) if two else index
        activation = "sigmoid" if two else "linear"
        self._train(X, targets, loss, n_outputs, activation, weights, go_on=go_on, epochs=epochs, stratify=index)

    def _class_weights(self, index: Floats, weights: Floats | None) -> Floats | None:
        if self.class_weight is None:
            return weights
        one = np.ones(len(index)) if weights is None else weights
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            totals = np.bincount(index, weights=one, minlength=len(self.classes_))
            factors = one.sum() / (len(self.classes_) * np.where(totals > 0.0, totals, 1.0))
        elif isinstance(self.class_weight, Mapping):
            classes = self.classes_.tolist()
            unknown = [name for name in self.class_weight if name not in classes]
            if unknown and not set(classes) <= set(self.class_weight):  # no slip: a fold can lack a class
                raise ValueError(f"class_weight has {unknown[0]!r}, which is none of the classes {classes}")
            factors = np.array([_class_weight(name, self.class_weight.get(name, 1.0)) for name in classes])
        else:
            raise ValueError(f'class_weight must be a dict {{class: weight}} or "balanced", got {self.class_weight!r}')
        weighted: Floats = one * factors[index]
        return weighted

    def predict_proba(self, X: ArrayLike) -> Floats:
        """The probability of each class, in the order of classes_, shape (m, number of classes)."""
        outputs = self._outputs(X)
        return probabilities(outputs, self.network_.output_activation)

    def predict(self, X: ArrayLike) -> Floats:
        """The most probable class of each row."""
        most_probable = self.predict_proba(X).argmax(axis=1)
        chosen: Floats = self.classes_[most_probable]
        return chosen


class NetworkRegressor(RegressorMixin, _NetworkEstimator):  # type: ignore[misc]
    """A network with linear outputs for numbers, trained on squared errors; several targets are several outputs.

    The parameters are those of NetworkClassifier, without class_weight. Targets far from 0, or of very different sizes,
    are learnt faster if they are standardised: `sklearn.compose.TransformedTargetRegressor` does that.

    After fit: `network_` (an MLP), `history_` (a History), `optimizer_`, `n_features_in_`.

    >>> import numpy as np
    >>> X = np.linspace(-1.0, 1.0, 50)[:, None]
    >>> model = NetworkRegressor((8,), epochs=500, learning_rate=0.05, random_state=0).fit(X, X[:, 0] ** 2)
    >>> float(model.score(X, X[:, 0] ** 2)) > 0.99
    True
    """

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> NetworkRegressor:
        """Train on X of shape (m, n) and targets y of shape (m,) or (m, k)."""
        return self._learn(X, y, sample_weight, self.warm_start and hasattr(self, "network_"), self.epochs)

    def partial_fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> NetworkRegressor:
        """Train one epoch further."""
        return self._learn(X, y, sample_weight, hasattr(self, "network_"), 1)

    def _learn(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None, go_on: bool, epochs: int
    ) -> NetworkRegressor:
        rows, numbers = validated(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True, reset=not go_on)
        if numbers.ndim == 2 and numbers.shape[1] == 1:
            numbers = column_or_1d(numbers, warn=True)
        self._one_dimensional = numbers.ndim == 1
        targets = np.asarray(numbers, dtype=np.float64).reshape(len(numbers), -1)
        n_outputs = targets.shape[1]
        if go_on and n_outputs != self.network_.layer_sizes[-1]:
            raise ValueError(f"y must have {self.network_.layer_sizes[-1]} targets as before, got {n_outputs}")
        weights = self._weights(sample_weight, rows)
        self._train(rows, targets, "squared_error", n_outputs, "linear", weights, go_on=go_on, epochs=epochs)
        return self

    def predict(self, X: ArrayLike) -> Floats:
        """The targets of each row, in the shape of y."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._one_dimensional else outputs
