"""Checkpoints of `fit`: files from which an interrupted training continues, bit for bit.

It holds what changes while `fit` trains: the parameters, what the optimizer remembers, the state of the random
generator, the history, and what early stopping has seen; and what must be the same in the training that goes on.
"""

from __future__ import annotations

import math
import os
import random
import time
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

from tinygrad_scalar.atomic_write import remove_partial_files, require_writable, write_atomically
from tinygrad_scalar.engine import Value, read_data, set_data
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.nn import checkpoint_file
from tinygrad_scalar.nn.array_file import Kind, opened, require_keys
from tinygrad_scalar.nn.checkpoint_file import Description
from tinygrad_scalar.nn.examples import Examples
from tinygrad_scalar.nn.optim import OPTIMIZERS
from tinygrad_scalar.nn.optimizer_state import ARRAY, require_step, restored, state_of
from tinygrad_scalar.nn.trainers import require_value

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tinygrad_scalar.engine.bulk import Array
    from tinygrad_scalar.nn.callbacks import Watch
    from tinygrad_scalar.nn.history import History
    from tinygrad_scalar.nn.losses import LossFunction
    from tinygrad_scalar.nn.optim import Optimizer
    from tinygrad_scalar.nn.trainers import Network, ScalarTrainer

SHARE = 0.05  # of the time of training that is spent on writing, at most
_LONGEST = 220  # characters of what differs
_RANDOM_VERSION, _RANDOM_NUMBERS = 3, 625  # of random.Random's states
_STATE = ("epoch", "stopped", "began", "optimizer", "gauss", "best", "lowest", "first_loss")


class Course(NamedTuple):
    """A training, and all that changes in it."""

    net: Network
    evaluate: LossFunction
    examples: Examples
    epochs: int
    optimizer: Optimizer
    generator: random.Random
    history: History
    watch: Watch | None


class Checkpoint:
    """The file of one training: read once at its beginning if it is to go on, then written after its epochs.

    training  what the file's training must have in common with this one, by name; what differs is named in a ValueError
    resume    go on from the file if there is one. Without, a FileExistsError if there is one

    Nothing has changed when an error is raised. `stopped` says why the file's training ended, if it did.
    """

    def __init__(self, path: str | os.PathLike[str], resume: bool, course: Course, training: dict[str, Any]) -> None:
        self._path, self._course, self._training = path, course, training
        stepped = set(course.optimizer.parameters)
        self._others = [value for value in course.net.parameters() if value not in stepped and not value.op]
        self._first = Examples(course.examples.X[:1], course.examples.Y[:1])
        self._next_write = 0.0
        self.stopped = ""
        target = require_writable(path)
        if target.exists() and not target.is_file():
            raise ValueError(f"{target} is a pipe or a device, not the file of a checkpoint")
        if target.exists() and not resume:
            raise FileExistsError(
                f"there is a checkpoint at {path}: resume=True goes on from it; to begin anew, delete it"
            )
        self._began = state_of(course.optimizer)[0]
        _random_state(course.generator)
        self._draws = repr(self._first_loss()) != repr(self._first_loss())  # nan is no draw
        if self._draws:
            warnings.warn(
                "the network or the loss draws random numbers of its own, whose generator is in no checkpoint: a "
                "training that goes on draws others than one that was not interrupted",
                stacklevel=4,
            )
        remove_partial_files(target)
        if target.exists():
            try:
                self._read(target)
            except ValueError as error:
                raise ValueError(f"cannot go on from the checkpoint {path}: {error}") from None

    # --- writing -----------------------------------------------------------------------------------------------------

    def write(self, trainer: ScalarTrainer, stopped: str) -> None:
        """Write what is so after an epoch, unless writing would take more than SHARE of the time; the last always."""
        course = self._course
        begun = time.monotonic()
        if begun < self._next_write and len(course.history.cost) < course.epochs and not stopped:
            return
        write_atomically(self._path, self._content(trainer, stopped))
        done = time.monotonic()
        self._next_write = done + (done - begun) / SHARE

    def _content(self, trainer: ScalarTrainer, stopped: str) -> bytes:
        import numpy as np

        course, history, watch = self._course, self._course.history, self._course.watch
        numbers, gauss = _random_state(course.generator)
        texts, of_optimizer = state_of(course.optimizer)
        first_loss = None if self._draws else trainer.cost(self._first, len(history.cost) - 1)
        state = {
            "epoch": len(history.cost),
            "stopped": stopped,
            "began": self._began,
            "optimizer": texts,
            "gauss": gauss,
            "best": None if watch is None else watch.best,
            "lowest": None if watch is None else watch.lowest,
            "first_loss": first_loss,
        }
        arrays = {
            "parameters": trainer.parameters,
            "others": _data(self._others),
            "random": np.array(numbers, np.int64),
            "cost": np.array(history.cost),
            "validation_cost": np.array(history.validation_cost, np.float64),
            **{f"metric {i}": np.array(course_of) for i, course_of in enumerate(history.metrics.values())},
            **{f"optimizer {name}": array for name, array in of_optimizer.items()},
        }
        if watch is not None and watch.parameters is not None:
            arrays["best"] = watch.parameters
        return checkpoint_file.to_bytes(self._training, state, arrays)

    # --- reading -----------------------------------------------------------------------------------------------------

    def _read(self, path: Path) -> None:
        """Go back to what the file holds."""
        with opened(path, "checkpoint") as (_, file):
            description, header = checkpoint_file.read_description(file)
            self._require_same(description)
            self._require_arrays(description)
            arrays = checkpoint_file.read_arrays(file, description, header)
        course, state = self._course, description.state
        of_optimizer = restored(
            course.optimizer,
            state["optimizer"],
            {name: arrays[f"optimizer {name}"] for name, part in state["optimizer"].items() if _is_array(part)},
        )
        _require_finite(arrays, "parameters", "best")
        require_step(course.optimizer, of_optimizer, arrays["parameters"])
        generator_state = _checked_random_state(arrays["random"], state["gauss"])
        self._require_same_loss(arrays, state["first_loss"])

        set_data(course.optimizer.parameters, arrays["parameters"])
        set_data(self._others, arrays["others"])
        vars(course.optimizer).update(of_optimizer)
        course.generator.setstate(generator_state)
        course.history.cost += arrays["cost"].tolist()
        course.history.validation_cost += arrays["validation_cost"].tolist()
        for i, name in enumerate(self._training["metrics"]):
            course.history.metrics[name] = arrays[f"metric {i}"].tolist()
        if course.watch is not None:
            course.watch.best, course.watch.lowest = state["best"], state["lowest"]
            course.watch.parameters = arrays["best"].copy() if "best" in arrays else None
        self.stopped = state["stopped"]

    def _require_same(self, description: Description) -> None:
        """ValueError unless the file's training is this one, and its state is what `write` writes."""
        require_keys(description.training, self._training, "its training")
        for name, here in self._training.items():
            _require_equal(name, here, description.training[name])
        state, epochs = description.state, self._course.epochs
        require_keys(state, _STATE, "its state")
        for name in ("began", "optimizer"):
            if not isinstance(state[name], dict):
                raise ValueError(f"its {name} must be a JSON object, got {shown(state[name])}")
        if type(state["epoch"]) is not int or state["epoch"] < 1:
            raise ValueError(f"its epoch must be a positive integer, got {shown(state['epoch'])}")
        if state["epoch"] > epochs:
            raise ValueError(f"it has {state['epoch']} epochs, more than epochs={epochs}")
        if state["stopped"] not in ("", "early"):
            raise ValueError(f"its stopped must be '' or 'early', got {shown(state['stopped'])}")
        for name in ("lowest", "first_loss", "gauss"):
            if type(state[name]) not in (float, int, type(None)):
                raise ValueError(f"its {name} must be a number or null, got {shown(state[name])}")
        watched = self._course.watch is not None
        best = state["best"]
        if (best is None) == watched or (watched and (type(best) is not int or not 1 <= best <= state["epoch"])):
            raise ValueError(f"its best must be an epoch with early stopping, else null, got {shown(best)}")
        if (state["lowest"] is None) == watched:
            raise ValueError(f"its lowest must be a cost with early stopping, else null, got {shown(state['lowest'])}")
        for name, began in state["began"].items():  # what training does not change
            if name in state["optimizer"] and _same(began, state["optimizer"][name]) and not _is_array(began):
                _require_equal(f"the optimizer's {name.lstrip('_')}", self._began.get(name), began)

    def _require_arrays(self, description: Description) -> None:
        """ValueError unless these are the arrays of such a training."""
        state, n = description.state, len(self._course.optimizer.parameters)
        per_epoch = Kind("F64", [state["epoch"]])
        of_optimizer = {f"optimizer {name}" for name, part in state["optimizer"].items() if _is_array(part)}
        expected = {
            "parameters": Kind("F64", [n]),
            "others": Kind("F64", [len(self._others)]),
            "random": Kind("I64", [_RANDOM_NUMBERS]),
            "cost": per_epoch,
            "validation_cost": per_epoch if self._training["validation X"] else Kind("F64", [0]),
            **{f"metric {i}": per_epoch for i in range(len(self._training["metrics"]))},
        }
        if self._course.watch is not None and self._course.watch.rule.restore:
            expected["best"] = Kind("F64", [n])
        require_keys(description.arrays, {*expected, *of_optimizer}, "its description of arrays")
        ours = type(self._course.optimizer) in OPTIMIZERS.values()
        if ours:
            require_keys(state["optimizer"], self._began, "its optimizer")
        for name, kind in description.arrays.items():
            if name in expected or ours:
                wanted = expected.get(name, Kind("F64", [n]))
                if kind != wanted:
                    raise ValueError(f"its {name} must be {wanted.dtype} of shape {wanted.shape}, got {shown(kind)}")

    def _require_same_loss(self, arrays: dict[str, NDArray[Any]], there: float | None) -> None:
        """ValueError unless network and loss compute what they did when the file was written."""
        import numpy as np

        parameters = [*self._course.optimizer.parameters, *self._others]
        before = _data(parameters)
        set_data(parameters, np.concatenate([arrays["parameters"], arrays["others"]]))
        try:
            here = self._first_loss()
        finally:
            set_data(parameters, before)
        if not self._draws and (there is None or not math.isclose(here, there, rel_tol=1e-6, abs_tol=1e-9)):
            _require_equal("the loss of the first example", here, there)

    def _first_loss(self) -> float:
        C = self._course.evaluate(self._course.net(self._first.x[0]), self._first.y[0])
        require_value(C)
        return C.data


def _require_equal(name: str, here: Any, there: Any) -> None:
    if not _same(here, there):
        raise ValueError(f"it belongs to another training: {name}: {_said(here)} here, {_said(there)} in the file")


def _said(part: Any) -> str:
    text = repr(part)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _same(a: Any, b: Any) -> bool:
    """Whether two things of JSON are equal, and of the same types."""
    return repr(a) == repr(b)


def _is_array(part: Any) -> bool:
    return isinstance(part, dict) and list(part) == [ARRAY]


def _require_finite(arrays: dict[str, NDArray[Any]], *names: str) -> None:
    import numpy as np

    for name in names:
        if name in arrays and not np.isfinite(arrays[name]).all():
            raise ValueError(f"its {name} must be finite numbers")


def _data(values: list[Value]) -> Array:
    import numpy as np

    numbers = np.empty(len(values))
    read_data(values, numbers)
    return numbers


def _random_state(generator: random.Random) -> tuple[tuple[int, ...], float | None]:
    """The generator's state; TypeError if it is of another kind than random.Random's."""
    try:
        version, numbers, gauss = generator.getstate()
    except NotImplementedError:
        version, numbers, gauss = 0, (), None
    if version != _RANDOM_VERSION or len(numbers) != _RANDOM_NUMBERS:
        raise TypeError(f"a checkpoint needs a generator with the state of a random.Random, got {shown(generator)}")
    return numbers, gauss


def _checked_random_state(numbers: NDArray[Any], gauss: float | None) -> tuple[Any, ...]:
    state = _RANDOM_VERSION, tuple(numbers.tolist()), gauss
    try:
        random.Random().setstate(state)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"its random state is none: {error}") from None
    return state
