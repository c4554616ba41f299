"""`Tape`: the graphs of any number of roots as arrays, for `vectorize`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from sys import float_info
from typing import TYPE_CHECKING, Any, NamedTuple

from tinygrad_scalar.engine import ops
from tinygrad_scalar.engine.bulk import read_data
from tinygrad_scalar.engine.graph import topological_order
from tinygrad_scalar.engine.node import Node

if TYPE_CHECKING:
    import numpy as np

    Integers = np.ndarray[tuple[int], np.dtype[np.int32]]
    Floats = np.ndarray[tuple[int], np.dtype[np.float64]]


class Tape(NamedTuple):
    """Graphs as arrays: node i applies operation `names[codes[i]]` to the nodes `operands[starts[i]:starts[i+1]]`.

    Operands come before the nodes computed from them; a leaf has the code −1 and no operands.

    data   each node's number
    found  for each Value that was looked for its node, or −1
    older  the other leaves that were made or last set before a given time
    """

    names: list[str]
    codes: Integers
    starts: Integers
    operands: Integers
    data: Floats
    found: Integers
    older: list[Any]


def without_copies(tape: Tape) -> Tape:
    """The same graphs in which what is computed from a copy is computed from what was copied."""
    import numpy as np

    if "copy" not in tape.names:
        return tape
    copies = tape.codes == tape.names.index("copy")
    copied = np.arange(len(tape.codes))
    for i in np.flatnonzero(copies):
        copied[i] = copied[tape.operands[tape.starts[i]]]
    place = (np.cumsum(~copies) - 1)[copied].astype(np.int32)  # each node's among those that are left
    n_operands = np.diff(tape.starts)
    return tape._replace(
        codes=tape.codes[~copies],
        starts=np.concatenate([[0], np.cumsum(n_operands[~copies])]).astype(np.int32),
        operands=place[tape.operands[np.repeat(~copies, n_operands)]],
        data=tape.data[~copies],
        found=np.where(tape.found < 0, tape.found, place[tape.found]),
    )


def may_cut_off(tape: Tape) -> bool:
    """Whether the graphs have detached operands, so that there can be nodes that no gradient reaches."""
    return any(ops.operation(name).detached for name in tape.names)


def cut_off(tape: Tape, root: int) -> set[int]:
    """The operations that no gradient from `root` reaches, as in graph.py."""
    import numpy as np

    if not may_cut_off(tape):
        return set()
    found = reached(tape.starts, tape.operands, passing(tape), root, {})
    return set(np.flatnonzero(~found & (tape.codes >= 0)).tolist())


def passing(tape: Tape) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """For each edge whether it passes a gradient on: not to a detached operand."""
    import numpy as np

    passes = np.ones(len(tape.operands), bool)
    for code, name in enumerate(tape.names):
        for place in ops.operation(name).detached:
            passes[tape.starts[:-1][tape.codes == code] + place] = False
    return passes


def reached(
    starts: Integers, operands: Integers, passes: Any, root: int, choices: Mapping[int, Sequence[int]]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """The nodes that a gradient from `root` reaches along the edges that pass it on.

    `choices` are the nodes among which a leaf chooses, which passes its gradient on to them.
    """
    import numpy as np

    first, below, passes = starts.tolist(), operands.tolist(), passes.tolist()
    found = [False] * (len(first) - 1)
    found[root] = True
    tables = set[int]()  # that were found already
    for i in range(len(found) - 1, -1, -1):  # every node after all that are computed from it
        if found[i]:
            for edge in range(first[i], first[i + 1]):
                if passes[edge]:
                    found[below[edge]] = True
            entries = choices.get(i, ())
            for entry in entries if id(entries) not in tables else ():
                found[entry] = True
            tables.add(id(entries))
    return np.array(found, bool)


def read_graph(roots: Sequence[Node], sought: Sequence[Node] = (), before: int = 0) -> Tape:
    """The graphs of all `roots` in one tape, the graph of each in topological order.

    What is made of other operations, such as a sum of a list, comes as these: see MADE_OF.

    `sought` are Values to look for among the nodes, and `before` is the time for `Tape.older`.

    >>> from tinygrad_scalar import Value
    >>> x = Value(2.0)
    >>> tape = read_graph([x * x + x], [x])
    >>> tape.names, tape.codes.tolist(), tape.starts.tolist(), tape.operands.tolist(), tape.found.tolist()
    (['*', '+'], [-1, 0, 1], [0, 0, 2, 4], [0, 0, 1, 0], [0])
    """
    import numpy as np

    order: dict[Any, int] = {}
    for root in roots:
        if root not in order:
            order.update(dict.fromkeys(topological_order(root), -1))
    numbers = np.empty(len(order))
    read_data([*order], numbers)
    written = _Written()
    for node, number in zip(order, numbers.tolist()):
        operands = [order[operand] for operand in node.operands]
        made_of = MADE_OF.get(ops.operation(node.op).family or node.op) if operands else None
        order[node] = made_of(written, operands) if made_of else written.add(node.op, operands, number)
    looked_for = set(sought)
    return Tape(
        list(written.names)[1:],
        np.array(written.codes, np.int32),
        np.array(written.starts, np.int32),
        np.array(written.operands, np.int32),
        np.array(written.data),
        np.array([order.get(node, -1) for node in sought], np.int32),
        [node for node in order if not node.op and 0 <= node._time < before and node not in looked_for],
    )


class _Written:
    """A tape while it is written."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {"": -1}
        self.codes: list[int] = []
        self.starts = [0]
        self.operands: list[int] = []
        self.data: list[float] = []
        self.powers: dict[tuple[int, int], int] = {}

    def add(self, op: str, operands: Sequence[int], number: float) -> int:
        """The index of a new node."""
        self.codes.append(self.names.setdefault(op, len(self.names) - 1))
        self.operands.extend(operands)
        self.starts.append(len(self.operands))
        self.data.append(number)
        return len(self.codes) - 1

    def constant(self, number: float) -> int:
        return self.add("", (), number)

    def node(self, op: str, *operands: int) -> int:
        return self.add(op, operands, ops.operation(op).forward(*[self.data[i] for i in operands]))

    def chain(self, op: str, operands: Sequence[int]) -> int:
        found = operands[0]
        for operand in operands[1:]:
            found = self.node(op, found, operand)
        return found

    def extreme(self, family: str, operands: Sequence[int]) -> int:
        """The largest or smallest: of two that is `maximum`, as ties share equally there; of more, STEPS in ops.py."""
        if len(operands) < 3:
            return self.chain(f"{family}imum", operands)
        found = self.node(f"{family} of first", *operands[:2])
        for operand in operands[2:]:
            found = self.node(f"{family} of next", found, operand)
        return found

    def power(self, x: int, y: int) -> int:
        """exp(x − y): a softmax has it in a share and in the total, a program once."""
        if (x, y) not in self.powers:
            self.powers[x, y] = self.node("exp", self.node("-", x, y))
        return self.powers[x, y]

    def dot(self, operands: Sequence[int]) -> int:
        half = len(operands) // 2
        found = self.node("*", operands[0], operands[half])
        for a, b in zip(operands[1:half], operands[half + 1 :]):
            found = self.node("+", found, self.node("*", a, b))
        return found

    def norm(self, operands: Sequence[int]) -> int:
        """√Σ(xᵢ/s)²·s, where s is the largest |xᵢ|, or 1 if that is 0 or not finite; 1/s must be finite too."""
        first, *others = operands
        most = self.node("abs", first)
        for x in others:
            most = self.node("maximum", most, self.node("abs", x))
        one = self.constant(1.0)
        s = self.node("where", self.node("greater", self.constant(inf), most), most, one)
        s = self.node("maximum", s, self.constant(float_info.min))
        s = self.node("where", self.node("greater", most, self.constant(0.0)), s, one)
        part = self.node("/", first, s)
        found = self.node("*", part, part)
        for x in others:
            part = self.node("/", x, s)
            found = self.node("+", found, self.node("*", part, part))
        return self.node("*", s, self.node("sqrt", found))


# Operations that are read as others, which vectorize finds folds, products and log-sum-exps in: in C in _bulk.pxi.
MADE_OF: dict[str, Callable[[_Written, list[int]], int]] = {
    "sum(n)": lambda tape, x: tape.chain("+", x),
    "mean(n)": lambda tape, x: tape.node("/", tape.chain("+", x), tape.constant(float(len(x)))),
    "dot(n)": _Written.dot,
    "norm(n)": _Written.norm,
    "max(n)": lambda tape, x: tape.extreme("max", x),
    "min(n)": lambda tape, x: tape.extreme("min", x),
    "logsumexp(n)": lambda tape, x: tape.chain("logsumexp of next" if len(x) > 2 else "logaddexp", x),
    "largest(n)": lambda tape, x: tape.chain("largest of two", x),
    "logsumexp_below(n)": lambda tape, x: tape.chain("logaddexp", [tape.node("-", x_i, x[-1]) for x_i in x[:-1]]),
    "sumexp_below(n)": lambda tape, x: tape.chain("+", [tape.power(x_i, x[-1]) for x_i in x[:-1]]),
    "share": lambda tape, x: tape.node("/", tape.power(x[0], x[1]), x[2]),
    "exp of difference": lambda tape, x: tape.power(*x),
}
