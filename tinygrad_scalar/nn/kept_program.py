"""The array programs that `fit` derives from a network, kept with it, so that the next training begins at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine import Value
from tinygrad_scalar.nn.mlp import KEPT, Module
from tinygrad_scalar.vectorize import vectorize
from tinygrad_scalar.vectorize.cached_property import cached_property

if TYPE_CHECKING:
    from tinygrad_scalar.engine.bulk import Array
    from tinygrad_scalar.nn.losses import LossFunction
    from tinygrad_scalar.vectorize.vectorized import Vectorized


class Programs:
    """The programs of one network, loss and list of parameters: `cost` for training, `outputs` for metrics.

    With `weighted`, cost takes a third argument, the weight of each example.
    """

    def __init__(self, net: Any, evaluate: LossFunction, parameters: Sequence[Value], weighted: bool) -> None:
        self._net, self._evaluate, self._parameters, self._weighted = net, evaluate, parameters, weighted

    @cached_property
    def cost(self) -> Vectorized:
        net, evaluate = self._net, self._evaluate
        if self._weighted:
            return vectorize(lambda x, y, weight: weight * evaluate(net(x), y), self._parameters)
        return vectorize(lambda x, y: evaluate(net(x), y), self._parameters)

    @cached_property
    def outputs(self) -> Vectorized:
        net = self._net
        return vectorize(lambda x: net(x), self._parameters)

    def are_of(self, net: Module, evaluate: LossFunction, parameters: Sequence[Value], weighted: bool) -> bool:
        """Whether these are the programs of all that, with the network's parts as they are now."""
        return (
            self._evaluate == evaluate
            and self._weighted == weighted
            and len(self._parameters) == len(parameters)
            and all(own is other for own, other in zip(self._parameters, parameters))
            and _parts(self._net) == _parts(net)
        )


def kept_programs(
    net: Any,
    evaluate: LossFunction,
    parameters: Sequence[Value],
    weighted: bool,
    first: Callable[[], list[Array]],
) -> Programs:
    """The programs kept with `net` if they are of this loss and these parameters, else new ones, which are kept.

    They are run once, on the arguments `first`, which raises a TraceError if there is no array program. What the
    programs read, such as the network's layers, they check themselves at every call.
    """
    if not isinstance(net, Module):  # what it is made of cannot be known
        programs = Programs(net, evaluate, list(parameters), weighted)
        programs.cost.value(*first())
        return programs
    kept = vars(net).get(KEPT)
    if not isinstance(kept, Programs) or not kept.are_of(net, evaluate, parameters, weighted):
        kept = Programs(_twin(net), evaluate, list(parameters), weighted)
    kept.cost.value(*first())
    vars(net)[KEPT] = kept
    return kept


def _twin(net: Module) -> Any:
    """A network of the same parts: the programs hold it in place of `net`, which holds them, lest there be a cycle."""
    twin = object.__new__(type(net))
    vars(twin).update((name, part) for name, part in vars(net).items() if name != KEPT)
    return twin


def _parts(net: Any) -> dict[str, int]:
    """The parts that a network is made of, by identity; not what its last call left behind."""
    return {name: id(part) for name, part in vars(net).items() if name not in (KEPT, "z", "a")}
