"""Training steps over partitions: each gives its share of the batch, in this process or on the workers of a cluster."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine import anomaly
from tinygrad_scalar.engine.errors import TraceError
from tinygrad_scalar.nn.examples import Batch, Examples
from tinygrad_scalar.nn.kept_program import PIECE
from tinygrad_scalar.nn.optim import Optimizer
from tinygrad_scalar.nn.partitions import ADVICE, PartitionedExamples, Program, itself, outputs, share, sum_of
from tinygrad_scalar.nn.trainers import VectorTrainer
from tinygrad_scalar.nn.wrong_rows import not_finite

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.engine.bulk import Array
    from tinygrad_scalar.nn.gradient_rule import GradientRule
    from tinygrad_scalar.nn.losses import LossFunction
    from tinygrad_scalar.nn.trainers import Network
    from tinygrad_scalar.vectorize.vectorized import Vectorized


@dataclass(eq=False)
class PartitionTrainer(VectorTrainer):
    """The steps of a VectorTrainer, with the parameters in this process and the examples in partitions."""

    def __post_init__(self) -> None:
        import numpy as np

        if anomaly.watching:
            raise ValueError("detect_anomaly() cannot watch partitions: train on arrays, without client, within it")
        examples = self.examples
        assert isinstance(examples, PartitionedExamples)
        super().__post_init__()
        self._place, self._cuts = examples.place, np.array(examples.cuts)
        largest = min(PIECE, int(np.diff(self._cuts).max()))
        self.vectorized.value(*[np.resize(array, (largest, *array.shape[1:])) for array in self._first_two()])
        self._program = self._sent(_packed(self.vectorized))
        self._outputs: Any = None
        self._parts = list(zip(examples.blocks, examples.targets(self.weights)))
        try:
            self._mean_gradient(Batch(examples, range(1)))  # fail now, not in mid-training
        except (ValueError, AttributeError, ImportError) as error:
            why = str(error).partition(";")[0]
            raise ValueError(f"a worker cannot run the program of the network and the loss: {why}. {ADVICE}") from None

    def _mean_gradient(self, batch: Batch) -> tuple[float, Array]:
        import numpy as np

        place, m = self._place, len(batch)
        theta = place.call(itself, self.vectorized.parameters.copy())
        if m == len(self.examples):
            chosen = [(part, None) for part in self._parts]
        else:
            indices = np.asarray(batch.rows)
            its_part = np.searchsorted(self._cuts, indices, side="right") - 1
            chosen = [(self._parts[p], indices[its_part == p] - self._cuts[p]) for p in sorted(set(its_part.tolist()))]
        shares = [place.call(share, self._program, theta, *part, rows, m) for part, rows in chosen]
        (total,) = place.results([sum_of(shares, place)])
        return float(total[-1]), total[:-1].copy()  # of its own: a worker's result cannot be written to

    def _explained(self, cost: float, gradient: Array, batch: Batch, epoch: int) -> float:
        raise not_finite("the mean loss of a batch", cost, epoch)

    def name_row(self, error: Exception, examples: Examples, rows: Sequence[int], epoch: int) -> None:
        if examples is not self.examples:  # those would have to be fetched, one by one
            super().name_row(error, examples, rows, epoch)

    def outputs(self, examples: Examples) -> NDArray[Any]:
        import numpy as np

        if examples is not self.examples:
            return super().outputs(examples)
        if self._outputs is None:
            self.publish()
            self.programs.outputs.values(examples.X[:2])
            self._outputs = self._sent(_packed(self.programs.outputs))
        theta = self._place.call(itself, self.vectorized.parameters.copy())
        found = [self._place.call(outputs, self._outputs, theta, block) for block, _ in self._parts]
        return np.concatenate(self._place.results(found)).reshape(len(examples), -1)

    def _sent(self, program: Program) -> Any:
        return self._place.kept([self._place.call(itself, program)])[0]


def partition_trainer(
    net: Network,
    evaluate: LossFunction,
    optimizer: Optimizer,
    examples: PartitionedExamples,
    vectorized: bool,
    rule: GradientRule | None,
    weights: Array | None,
) -> PartitionTrainer:
    """The trainer; a ValueError or TypeError for what only the engine can train, which runs in one process."""
    if not vectorized:
        raise ValueError("vectorized=False trains scalar by scalar in this process: leave out client, and give arrays")
    if type(optimizer).step is not Optimizer.step:
        raise ValueError(
            f"{type(optimizer).__name__} has a step() of its own, which partitions cannot be trained by: define "
            "stepped(theta, gradient) instead, or leave out client, and give arrays"
        )
    try:
        return PartitionTrainer(net, evaluate, optimizer, examples, rule, weights)
    except TraceError as error:
        raise TraceError(
            f"the network or the loss cannot be vectorized, which training over partitions needs: {error}"
        ) from None


def _packed(program: Vectorized) -> Program:
    try:
        return Program(program)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ValueError(
            f"the program of the network and the loss cannot be sent to workers, as it cannot be pickled: {error}. "
            + ADVICE
        ) from None
