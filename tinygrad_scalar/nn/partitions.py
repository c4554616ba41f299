"""Examples in partitions: blocks of rows, each of which gives its share of a batch's mean gradient (001, average cost).

∇C = Σₚ (nₚ/m) ∇Cₚ, where partition p has nₚ of the batch's m examples and ∇Cₚ is their mean gradient. The shares are
added in pairs, in a tree that depends on the number of partitions alone. `Here` computes all of it in this process, and
`Cluster` (cluster.py) gives the same functions to Dask, so the bits are the same.
"""

from __future__ import annotations

import importlib
import pickle
import platform
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tinygrad_scalar.engine import accelerated
from tinygrad_scalar.nn.examples import Examples, Rows, rows_of
from tinygrad_scalar.nn.trainers import mean_over_pieces
from tinygrad_scalar.vectorize.blas import one_blas_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.engine.bulk import Array
    from tinygrad_scalar.vectorize.vectorized import Vectorized

PARTITIONS = 16  # of arrays that come without any
ADVICE = "Functions in it, such as primitives, must be defined in a module that the workers can import"


class Place(Protocol):
    """Where functions run: `call` gives a handle of the result, which can be an argument of other calls."""

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any: ...
    def kept(self, handles: Sequence[Any]) -> list[Any]:
        """Handles of the same results, which are computed now and stay where they are."""
        ...

    def results(self, handles: Sequence[Any]) -> list[Any]: ...
    def blocks(self, array: Any) -> list[Any]:
        """Handles of the blocks of a Dask array."""
        ...


class Here:
    """This process, where a handle is the result itself."""

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)

    def kept(self, handles: Sequence[Any]) -> list[Any]:
        return list(handles)

    def results(self, handles: Sequence[Any]) -> list[Any]:
        return list(handles)

    def blocks(self, array: Any) -> list[Any]:
        return [block.compute(scheduler="synchronous") for block in array.to_delayed().ravel()]


class PartitionedExamples(Examples):
    """Examples whose rows from cuts[p] up to cuts[p + 1] are `blocks[p]`, a handle at `place`; Y is in this process."""

    def __init__(self, X: Any, Y: Array, place: Place, blocks: Sequence[Any], cuts: Sequence[int]) -> None:
        self.X, self.Y, self.place, self.blocks, self.cuts = X, Y, place, blocks, cuts
        self.x, self.y = Rows(X), Rows(Y)

    def targets(self, weights: Array | None) -> list[Any]:
        """For each partition, a handle of its rows of Y and of the weights, kept where its block is."""
        arrays = [self.Y] if weights is None else [self.Y, weights]
        return self.place.kept(
            [
                self.place.call(_beside, block, *[array[begin:end] for array in arrays])
                for block, begin, end in zip(self.blocks, self.cuts, self.cuts[1:])
            ]
        )


class BlockRows:
    """An array of which only those rows come into this process that are read."""

    def __init__(self, place: Place, blocks: Sequence[Any], cuts: Sequence[int], shape: tuple[int, ...], dtype: Any):
        self._place, self._blocks, self._cuts = place, blocks, cuts
        self.shape, self.dtype = shape, dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice) -> Any:
        import numpy as np

        if not isinstance(rows, slice):
            return self[rows : rows + 1][0]
        begin, end, _ = rows.indices(len(self))
        found = [
            self._place.call(_cut, block, max(begin - first, 0), end - first)
            for block, first, last in zip(self._blocks, self._cuts, self._cuts[1:])
            if first < end and begin < last
        ]
        return np.concatenate(self._place.results(found))


def in_blocks(examples: Examples, place: Place) -> PartitionedExamples:
    """The examples in PARTITIONS blocks of equal length, the last ones shorter or left out."""
    X, m = examples.X, len(examples)
    length = -(-m // PARTITIONS)
    cuts = [*range(0, m, length), m]
    blocks = place.kept([place.call(itself, X[begin : begin + length]) for begin in cuts[:-1]])
    found = PartitionedExamples(X, examples.Y, place, blocks, cuts)
    found.columns, found.labels = examples.columns, examples.labels
    return found


def checked_blocks(X: Any, place: Place, name: str) -> list[Any]:
    """The blocks of a Dask array, whose rows are examples, as arrays of finite numbers; empty ones are left out."""
    filled = [(f"{name}.blocks[{p}]", block, n) for p, (block, n) in enumerate(zip(place.blocks(X), X.chunks[0])) if n]
    blocks = place.kept([place.call(_rows, block, expression, X.dtype) for expression, block, _ in filled])
    shapes = place.results([place.call(_shape, block) for block in blocks])
    for (expression, _, n), found in zip(filled, shapes):
        if found != (n, *X.shape[1:]):
            raise ValueError(f"{expression} must have the shape {(n, *X.shape[1:])} as its chunks say, got {found}")
    return blocks


def _rows(block: Any, name: str, dtype: Any) -> Array:
    """The rows of a block, integers as floats where its Dask array has floats: all blocks go through one program."""
    rows = rows_of(block, name)
    if rows.dtype.kind == "f" and dtype.kind in "iu":
        raise ValueError(f"{name} must hold integers as its array's dtype, {dtype}, says, got {rows.dtype}")
    return rows.astype(float) if rows.dtype.kind != "f" and dtype.kind == "f" else rows


def _shape(block: Array) -> tuple[int, ...]:
    return block.shape


def itself(sent: Any) -> Any:
    return sent


def _beside(_: Array, *arrays: Array) -> tuple[Array, ...]:
    return arrays


def _cut(block: Array, begin: int, end: int) -> Array:
    return block[begin:end]


# --- the share of a partition ----------------------------------------------------------------------------------------


def versions() -> dict[str, str]:
    """What must be the same in all processes for them to give the same bits."""
    import numpy as np

    version = importlib.import_module("tinygrad_scalar").__version__
    return {
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "tinygrad_scalar": f"{version}{'' if accelerated else ' without its compiled modules'}",
        "NumPy": np.__version__,
    }


class Program:
    """A program of `vectorize` that travels as its pickle, for any number of threads in any process."""

    def __init__(self, program: Vectorized) -> None:
        self._bytes, self._versions = pickle.dumps(program), versions()
        self._idle: list[Vectorized] = []

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_idle": []}

    def taken(self, theta: Array) -> Vectorized:
        """A program with these parameters, for the caller alone until it is given back."""
        try:
            run = self._idle.pop()
        except IndexError:
            require_same_versions(self._versions, versions(), "a worker")
            run = pickle.loads(self._bytes)
        run.parameters[:] = theta
        return run

    def give_back(self, run: Vectorized) -> None:
        self._idle.append(run)


def require_same_versions(ours: dict[str, str], theirs: dict[str, str], who: str) -> None:
    for name, version in ours.items():
        if theirs.get(name) != version:
            raise RuntimeError(
                f"{who} has {name} {theirs.get(name)}, but the client {version}: install the same version on all, "
                "so that they compute the same bits"
            )


def share(
    program: Program, theta: Array, X: Array, targets: tuple[Array, ...], rows: NDArray[Any] | None, m: int
) -> Array:
    """The gradient of some rows of a partition, all if None, and their cost behind it, as a share of m examples."""
    import numpy as np

    chosen = (X, *targets) if rows is None else tuple(array[rows] for array in (X, *targets))
    n = len(chosen[0])
    run = program.taken(theta)
    with one_blas_thread():
        cost, gradient = mean_over_pieces(chosen, range(n), run)
    program.give_back(run)
    return np.append(gradient, cost) * (n / m)


def outputs(program: Program, theta: Array, X: Array) -> NDArray[Any]:
    """The network's outputs for the examples of a partition."""
    from tinygrad_scalar.nn.kept_program import in_pieces

    run = program.taken(theta)
    with one_blas_thread():
        values = in_pieces(run, X)
    program.give_back(run)
    return values


def added(one: Array, other: Array) -> Array:
    return one + other


def sum_of(handles: Sequence[Any], place: Place) -> Any:
    """Their sum, in a tree: pairs of neighbours, pairs of pairs, and so on."""
    level = list(handles)
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [place.call(added, *pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0]
