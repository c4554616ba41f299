"""What every reader of a graph begins with: the nodes under a root, their names, and ∂root/∂ each of them.

`step`, `explain`, `sensitivity`, `diagnose` and `nudge` read a graph through this file.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from functools import cached_property

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.graph import require_fresh, swept, topological_order
from tinygrad_scalar.inspection.names import distinct, names_of
from tinygrad_scalar.inspection.notation import Notation

MOST_LOOKED_THROUGH = 10_000  # values


class NamedGraph:
    """The graph of `root`, for the function called `asked`.

    nodes     in topological order; `index` is the place of each
    names     the labels of nodes, or the variables that hold them; several may have the same
    notation  how nodes, derivatives and numbers are written; there each name is one node's

    TypeError if `root` is no Value, ValueError if it is a leaf, StaleGraphError if a leaf was set since.

    >>> w, x = Value(2.0), Value(3.0)
    >>> of = NamedGraph(w * x, "explain", {"w": w, "x": x})
    >>> [of.notation.name(node) for node in of.nodes]
    ['w', 'x', 'w·x']
    """

    def __init__(self, root: Value, asked: str, names: Mapping[str, object]) -> None:
        if not isinstance(root, Value):
            raise TypeError(f"{asked} takes the Value at the root of a graph, not {shown(root)}")
        if not root.operands:
            what = root.label or repr(root)
            raise ValueError(f"{what} is a leaf, computed from nothing: {asked} takes a Value that was computed")
        self.root, self._asked = root, asked
        self.nodes = topological_order(root)
        require_fresh(self.nodes)
        self.names = names_of(self.nodes, names)
        self.notation = Notation(self.nodes, distinct(self.names))

    @cached_property
    def index(self) -> dict[Value, int]:
        return {node: i for i, node in enumerate(self.nodes)}

    @property
    def leaves(self) -> list[Value]:
        return [node for node in self.nodes if not node.operands]

    @property
    def named_leaves(self) -> list[Value]:
        """The leaves with a name, or, where none has one, all leaves."""
        return [leaf for leaf in self.leaves if leaf in self.notation.called] or self.leaves

    def find(self, target: str | Value) -> Value:
        """The Value that is meant: itself, or by its name, as it is given or printed.

        TypeError or ValueError; near names are listed.
        """
        if isinstance(target, Value):
            if target not in self.index:
                what = "what is computed anew is another Value"
                raise ValueError(f"{target!r} is not in the graph of {self.root!r}: {what}")
            return target
        if not isinstance(target, str):
            raise TypeError(f"a value of the graph is meant by itself or by its name, not by {shown(target)}")
        called, printed = self.notation.called, self.notation.name
        found = [value for value, name in called.items() if name == target] or [
            node for node in self.nodes if (node.op or node in called) and printed(node) == target
        ]
        alike = [called[value] for value, name in self.names.items() if name == target]
        if len(alike) > 1:
            raise ValueError(
                f"{len(alike)} values are called {target!r}: give the Value itself, or one of {alike[0]} to {alike[-1]}"
            )
        if len(found) > 1:
            raise ValueError(f"{len(found)} values are written {target!r}: give the Value itself, or a label to one")
        if not found:
            near = difflib.get_close_matches(target, set(called.values()), n=3, cutoff=0.4)
            known = ", ".join(sorted(set(called.values()))[:8])
            hint = (
                f"did you mean {' or '.join(near)}?" if near else f"there are {known}" if known else "none has a name"
            )
            raise ValueError(f"no value of this graph is called {target!r}; {hint}")
        return found[0]

    def is_only_way(self, operand: Value, node: Value) -> bool:
        """Whether `operand`, which is one of `node`, reaches it in no other way: not twice, nor through another.

        False where too much would have to be looked through.
        """
        if node.operands.count(operand) > 1:
            return False
        lowest = self.index[operand]
        todo = [other for other in node.operands if self.index[other] > lowest]
        seen = set(todo)
        while todo and len(seen) < MOST_LOOKED_THROUGH:
            for below in todo.pop().operands:
                if below is operand:
                    return False
                if self.index[below] > lowest and below not in seen:
                    seen.add(below)
                    todo.append(below)
        return not todo

    def leaf(self, target: str | Value) -> Value:
        """The leaf that is meant: itself, or by its name."""
        node = self.find(target)
        if node.operands:
            what = self.notation.called.get(node) or repr(node)
            raise ValueError(f"{what} was computed ({node.op!r}), and {self._asked} is for leaves")
        return node

    def chosen(self, leaves: Sequence[str | Value]) -> list[Value]:
        """The leaves that are meant, each once; [] for none. TypeError for a list of them in one."""
        if any(isinstance(leaf, (list, tuple)) for leaf in leaves):
            raise TypeError(f"leaves are given one by one, as {self._asked}(C, w, b), and not as a list")
        return list(dict.fromkeys(map(self.leaf, leaves)))

    @cached_property
    def gradients(self) -> dict[Value, float]:
        """∂root/∂n for every node n, on the side: to the bit what backward() adds to n.grad (000 Eq. 3).

        >>> x = Value(3.0)
        >>> NamedGraph(x * x, "explain", {}).gradients[x], x.grad
        (6.0, 0.0)
        """
        return swept(self.root)

    @property
    def leaves_told(self) -> str:
        """How many leaves `named_leaves` are, and of how many: as "2 named leaves (of 3)"."""
        named, all_leaves = len(self.named_leaves), len(self.leaves)
        if named == all_leaves:
            return "one leaf" if named == 1 else f"{named:,} leaves"
        return f"{'one named leaf' if named == 1 else f'{named:,} named leaves'} (of {all_leaves:,})"
