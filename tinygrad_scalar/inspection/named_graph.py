"""The starting point of readers about derivatives: the nodes under a root, their names, and ∂root/∂ each of them.

`step`, `explain`, `nudge`, `check_gradients`, `sensitivity` and `diagnose` read a graph through this file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import label_of, shown
from tinygrad_scalar.engine.graph import cut_off, is_bare_number, pass_order, require_fresh, swept, topological_order
from tinygrad_scalar.inspection.layout import fitted
from tinygrad_scalar.inspection.names import distinct, names_of
from tinygrad_scalar.inspection.notation import Notation
from tinygrad_scalar.screen import quoted

MOST_VISITED = 10_000  # values
LONGEST = 60  # characters of a name in an error


class NamedGraph:
    """The graph of `root`, for the public function called `asked`.

    nodes     in topological order; `index` is the place of each
    names     the nodes' labels, or the variables that hold them; several nodes can share one
    notation  how nodes, derivatives and numbers are written; there each name belongs to one node

    TypeError if `root` is not a Value, ValueError if it is a leaf, StaleGraphError if the graph is stale.

    >>> w, x = Value(2.0), Value(3.0)
    >>> graph = NamedGraph(w * x, "explain", {"w": w, "x": x})
    >>> [graph.notation.name(node) for node in graph.nodes]
    ['w', 'x', 'w·x']
    """

    def __init__(self, root: Value, asked: str, names: Mapping[str, object]) -> None:
        if not isinstance(root, Value):
            raise TypeError(f"{asked} expected the Value at the root of a graph, got {shown(root)}")
        if not root.operands:
            name = label_of(root)
            raise ValueError(f"{asked} expected a computed Value, but {name} is a leaf")
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
    def variables(self) -> list[Value]:
        """The leaves that somebody made: not the bare numbers of a formula, such as the 2 of 2.0 * x."""
        return [leaf for leaf in self.leaves if leaf in self.names or not is_bare_number(leaf)]

    @property
    def named_leaves(self) -> list[Value]:
        """The leaves to which somebody gave a name; if there are none, the leaves that somebody made."""
        return [leaf for leaf in self.leaves if leaf in self.names] or self.variables or self.leaves

    def find(self, target: str | Value) -> Value:
        """The node that `target` is or names, as given or as printed.

        TypeError or ValueError, with similar names, if there is none.
        """
        if isinstance(target, Value):
            if target not in self.index:
                hint = "recomputing an expression makes new Values"
                raise ValueError(f"{label_of(target)} is not in the graph of {label_of(self.root)}; {hint}")
            return target
        if not isinstance(target, str):
            raise TypeError(f"expected a Value of this graph or its name, got {shown(target)}")
        called, printed = self.notation.called, self.notation.name
        found = [value for value, name in called.items() if name == target] or [
            node for node in self.nodes if (node.op or node in called) and printed(node) == target
        ]
        alike = [fitted(called[value], LONGEST) for value, name in self.names.items() if name == target]
        if len(alike) > 1:
            raise ValueError(
                f"{len(alike)} values are called {quoted(target)}: pass the Value itself, or one of {alike[0]} to "
                f"{alike[-1]}"
            )
        if len(found) > 1:
            raise ValueError(
                f"{len(found)} values print as {quoted(target)}: pass the Value itself, or label one of them"
            )
        if not found:
            import difflib

            near = difflib.get_close_matches(target, set(called.values()), n=3, cutoff=0.4)
            known = ", ".join(fitted(name, LONGEST) for name in sorted(set(called.values()))[:8])
            hint = (
                f"did you mean {' or '.join(fitted(name, LONGEST) for name in near)}?"
                if near
                else f"known names: {known}"
                if known
                else "no value has a name"
            )
            raise ValueError(f"no value of this graph is called {quoted(target)}; {hint}")
        return found[0]

    def is_only_way(self, operand: Value, node: Value) -> bool:
        """Whether `operand`, one of node's, is used nowhere else below `node`: neither twice nor by another operand.

        False if the search would be too long.
        """
        if node.operands.count(operand) > 1:
            return False
        lowest = self.index[operand]
        todo = [other for other in node.operands if self.index[other] > lowest]
        seen = set(todo)
        while todo and len(seen) < MOST_VISITED:
            for below in todo.pop().operands:
                if below is operand:
                    return False
                if self.index[below] > lowest and below not in seen:
                    seen.add(below)
                    todo.append(below)
        return not todo

    def asked_for(self, target: str | Value) -> Value:
        """The same, for a reader that prints a derivative by this value: a bare number gets a name."""
        node = self.find(target)
        if not node.operands:
            self.notation.name_number(node)
        return node

    def leaf(self, target: str | Value) -> Value:
        """The leaf that `target` is or names."""
        node = self.asked_for(target)
        if node.operands:
            name = fitted(self.notation.called.get(node, ""), LONGEST) or repr(node)
            raise ValueError(f"{self._asked} expected a leaf, but {name} was computed by {node.op!r}")
        return node

    def chosen(self, leaves: Sequence[str | Value]) -> list[Value]:
        """The leaves that `leaves` are or name, each once. TypeError if given a list."""
        if any(isinstance(leaf, (list, tuple)) for leaf in leaves):
            raise TypeError(f"leaves must be separate arguments, such as {self._asked}(C, w, b), not a list")
        return list(dict.fromkeys(map(self.leaf, leaves)))

    @cached_property
    def gradients(self) -> dict[Value, float]:
        """∂root/∂n for every node n, bit for bit what backward() adds to n.grad (000 Eq. 3); no .grad changes.

        >>> x = Value(3.0)
        >>> NamedGraph(x * x, "explain", {}).gradients[x], x.grad
        (6.0, 0.0)
        """
        return swept(self.root)

    @cached_property
    def cut_off(self) -> set[Value]:
        """The computed nodes that pass no gradient on, because they only decide: a condition and what it is made of."""
        return cut_off(pass_order(self.root))

    @property
    def leaves_counted(self) -> str:
        """The number of `named_leaves`, and of all leaves, such as "2 named leaves (of 3)"."""
        named, all_leaves = len(self.named_leaves), len(self.leaves)
        kind = "named " if named < all_leaves and self.names.keys() & self.named_leaves else ""
        of = f" (of {all_leaves:,})" if named < all_leaves else ""
        return f"one {kind}leaf{of}" if named == 1 else f"{named:,} {kind}leaves{of}"
