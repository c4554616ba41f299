"""Which nodes of a trace are parameters and numbers of arguments: arrays of these nodes alone, as most are neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Indices = NDArray[np.int32]


class Leaves(NamedTuple):
    """Of each of these `nodes`, which ascend, the argument, or −1 for a parameter, and its place there.

    >>> leaves = Leaves.of(np.array([1, -1, -1, 0]), np.array([-1, 0, -1, -1]), np.array([-1, 5, -1, -1]))
    >>> leaves.nodes.tolist(), leaves.argument.tolist(), leaves.place.tolist()
    ([0, 1, 3], [-1, 0, -1], [1, 5, 0])
    >>> leaves.parameter(4).tolist(), leaves.arguments(4).tolist(), leaves.places(4).tolist()
    ([1, -1, -1, 0], [-1, 0, -1, -1], [-1, 5, -1, -1])
    """

    nodes: Indices
    argument: Indices
    place: Indices

    @staticmethod
    def of(parameter: NDArray[Any], argument: NDArray[Any], place: NDArray[Any]) -> Leaves:
        """The leaves, given for every node its index among the parameters, its argument and its place there, or −1."""
        nodes = np.flatnonzero((parameter >= 0) | (argument >= 0))
        its = argument[nodes]
        places = np.where(its < 0, parameter[nodes], place[nodes])
        return Leaves(nodes.astype(np.int32), its.astype(np.int32), places.astype(np.int32))

    def parameter(self, n: int) -> Indices:
        """For each of n nodes its index among the parameters, or −1."""
        return self._spread(n, self.argument < 0, self.place)

    def arguments(self, n: int) -> Indices:
        return self._spread(n, self.argument >= 0, self.argument)

    def places(self, n: int) -> Indices:
        return self._spread(n, self.argument >= 0, self.place)

    def _spread(self, n: int, some: NDArray[np.bool_], numbers: Indices) -> Indices:
        found = np.full(n, -1, np.int32)
        found[self.nodes[some]] = numbers[some]
        return found


def leaves_of(parameters: Indices, arguments: Sequence[Indices]) -> Leaves:
    """The leaves, given each parameter's node and for each argument its numbers' nodes, −1 for those that have none."""
    all_nodes = np.concatenate([parameters, *arguments])
    argument = np.repeat(np.arange(-1, len(arguments), dtype=np.int32), [len(parameters), *map(len, arguments)])
    place = np.concatenate([np.arange(len(nodes), dtype=np.int32) for nodes in (parameters, *arguments)])
    there = np.flatnonzero(all_nodes >= 0)
    order = there[np.argsort(all_nodes[there], kind="stable")]
    return Leaves(all_nodes[order], argument[order], place[order])
