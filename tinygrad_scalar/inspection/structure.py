"""`structure_of`: the parts that a graph is made of: its layers, neurons, long sums and named groups.

They are found in the graph itself: a sum is a staircase of + (or of max, min or log Σ exp) whose partial sums are used
nowhere else; a neuron is
Σₖ wₖaₖ + b and the activation after it (000 Eq. 1 and 2); a layer is the neurons that share their inputs (003 Eq. 1).
Named groups are those of `ts.group`. All of this in a time proportional to the size of the graph.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tinygrad_scalar.engine import Value, group_of, ops
from tinygrad_scalar.engine.groups import Group
from tinygrad_scalar.inspection.kinds import kinds, letter_of
from tinygrad_scalar.inspection.names import distinct, symbol
from tinygrad_scalar.inspection.notation import unicode_of

MANY = 3  # terms of a sum that is a part
_STAIRS = {  # operations of which a staircase is one part, with those that can stand in it
    **dict.fromkeys(("+", "sum(n)"), ("+", "sum(n)")),
    **dict.fromkeys(("logaddexp", "logsumexp(n)"), ("logaddexp", "logsumexp(n)")),
    **dict.fromkeys(("maximum", "max(n)"), ("maximum", "max(n)")),
    **dict.fromkeys(("minimum", "min(n)"), ("minimum", "min(n)")),
}
_WEIGHTED = ("+", "sum(n)", "dot(n)")
_ACTIVATIONS = (
    "sigmoid", "tanh", "relu", "leaky_relu", "gelu", "silu", "elu", "selu", "mish", "hardtanh", "softsign", "softplus",
)  # fmt: skip


@dataclass(eq=False)
class Part:
    """A part of a graph. Values are given by their places in the graph's topological order.

    kind     "layer", "neuron", "sum" or "named"
    name     such as layer 1, a⁽¹⁾₂ (what a neuron puts out), or the name of the group
    shape    of a layer and a named group (outputs, inputs), of a neuron (inputs,), of a sum (terms,)
    inside   the part it is a part of, or None
    parts    the parts within it, which have no values in common
    own      its values that are in none of `parts`
    inputs   the values outside that it is computed from
    outputs  its values that are used outside, or are the root
    size     how many values it stands for, with those of `parts`
    """

    kind: str
    name: str = ""
    shape: tuple[int, ...] = ()
    inside: Part | None = field(default=None, repr=False)
    parts: list[Part] = field(default_factory=list, repr=False)
    own: list[int] = field(default_factory=list, repr=False)
    inputs: list[int] = field(default_factory=list, repr=False)
    outputs: list[int] = field(default_factory=list, repr=False)
    size: int = 0

    @property
    def members(self) -> list[int]:
        """All its values."""
        found: list[int] = []
        todo = [self]
        while todo:
            part = todo.pop()
            found += part.own
            todo += part.parts
        return sorted(found)


@dataclass(eq=False)
class Structure:
    """A graph and its parts.

    nodes     in topological order; other fields give nodes by their places in it
    operands  of each node
    kinds     of each node, see `kinds`
    parts     those that are in no other
    home      of each node the innermost part it belongs to, or None
    """

    nodes: Sequence[Value]
    operands: list[tuple[int, ...]]
    kinds: list[str]
    parts: list[Part]
    home: list[Part | None]

    def walk(self) -> Iterator[Part]:
        """All parts, each before those within it."""
        todo = self.parts[::-1]
        while todo:
            part = todo.pop()
            yield part
            todo += reversed(part.parts)


def structure_of(nodes: Sequence[Value], called: Mapping[Value, str], parameters: Collection[Value] = ()) -> Structure:
    """The structure of a graph, given as its nodes in topological order and the names they are called.

    Weights are the leaves that the notes' letters tell are parameters (see `kinds`), and `parameters`. Leaves that only
    one part uses belong to it, unless they are inputs.

    >>> from tinygrad_scalar import MLP
    >>> from tinygrad_scalar.inspection.names import names_of, topological_order
    >>> C = (MLP(2, [3, 1], seed=0)([0.5, -1.0]) - 1) ** 2
    >>> nodes = topological_order(C)
    >>> for layer in structure_of(nodes, names_of(nodes, {})).parts:
    ...     print(layer.name, layer.shape, layer.size, [neuron.name for neuron in layer.parts])
    layer 1 (3, 2) 24 ['a⁽¹⁾₀', 'a⁽¹⁾₁', 'a⁽¹⁾₂']
    layer 2 (1, 3) 11 ['a⁽²⁾₀']
    """
    return _Search(without_parts(nodes, called, parameters), called).result()


def without_parts(nodes: Sequence[Value], called: Mapping[Value, str], parameters: Collection[Value] = ()) -> Structure:
    """The same without any search for parts."""
    place = {node: i for i, node in enumerate(nodes)}
    operands = [tuple([place[operand] for operand in node.operands]) if node.op else () for node in nodes]
    found = kinds(nodes, called)
    of_each = ["parameter" if node in parameters else found[node] for node in nodes]
    return Structure(nodes, operands, of_each, [], [None] * len(nodes))


class _Neuron(NamedTuple):
    """A neuron that was found, its weights and what they weigh."""

    part: Part
    weights: list[int]
    inputs: list[int]


class _Search:
    def __init__(self, graph: Structure, called: Mapping[Value, str]) -> None:
        self.graph, self.called, self.distinct = graph, called, distinct(called)
        self.nodes, self.operands, self.kinds = graph.nodes, graph.operands, graph.kinds
        self.parts, self.home = graph.parts, graph.home
        self.uses = [0] * len(self.nodes)
        self.consumer = [-1] * len(self.nodes)  # of a node that is used once
        for i, operands in enumerate(self.operands):
            for operand in operands:
                self.uses[operand] += 1
                self.consumer[operand] = i
        family = {op: ops.operation(op).family or op for op in {node.op for node in self.nodes} if op}
        self.ops = [family.get(node.op, "") for node in self.nodes]
        self.named = [node in called for node in self.nodes]
        self.has_parameters = "parameter" in self.kinds
        self.ordinals: dict[int, int] = {}  # of layers without a number, by their first weight
        self.seen: set[int] = set()  # leaves

    def result(self) -> Structure:
        self.named_groups()
        neurons = self.sums_and_neurons()
        self.layers(neurons)
        self.leaves({weight for neuron in neurons for weight in neuron.weights})
        self.finish()
        return self.graph

    def put(self, part: Part, inside: Part | None) -> Part:
        part.inside = inside
        (inside.parts if inside else self.parts).append(part)
        return part

    # --- what `ts.group` says --------------------------------------------------------------------------------------

    def named_groups(self) -> None:
        made: dict[Group | None, Part | None] = {None: None}
        for i, node in enumerate(self.nodes):
            group = group_of(node)
            around = []
            while group not in made:
                around.append(group)
                group = group.outer  # type: ignore[union-attr]  # None is in `made`
            for new in reversed(around):
                made[new] = self.put(Part("named", new.name), made[new.outer])  # type: ignore[union-attr]
            self.home[i] = made[around[0] if around else group]
        self.number([(part, part.name) for part in made.values() if part])

    # --- sums and neurons --------------------------------------------------------------------------------------------

    def within(self, i: int, top: int) -> bool:
        """Whether a node has no other meaning than to be a part of what `top` is."""
        return self.uses[i] == 1 and not self.named[i] and self.home[i] is self.home[top]

    def sums_and_neurons(self) -> list[_Neuron]:
        """Put sums where they belong; the neurons, in topological order, are still to be put into their layers."""
        neurons = []
        taken = [False] * len(self.nodes)
        for top in range(len(self.nodes) - 1, -1, -1):
            if taken[top] or not (self.ops[top] in _STAIRS or self.ops[top] == "dot(n)"):
                continue
            chain, terms = self.terms_of(top)
            pairs = self.pairs_in(terms, top) if self.ops[top] in _WEIGHTED else []
            if pairs:
                neurons.append(self.neuron(top, chain, terms, pairs))
            elif len(terms) >= MANY:
                self.sum(chain, terms, self.home[top])
            for i in (*chain, *(terms if pairs else ())):
                taken[i] = True
        return neurons[::-1]

    def terms_of(self, top: int) -> tuple[list[int], list[int]]:
        """The additions of the sum that `top` is, and its terms from left to right."""
        if self.ops[top] not in _STAIRS:
            return [], [top]
        stairs = _STAIRS[self.ops[top]]
        chain, terms, todo = [top], [], [*reversed(self.operands[top])]
        while todo:
            i = todo.pop()
            if self.ops[i] in stairs and self.within(i, top):
                chain.append(i)
                todo.extend(reversed(self.operands[i]))
            else:
                terms.append(i)
        return chain, terms

    def pairs_in(self, terms: list[int], top: int) -> list[tuple[int, int]]:
        """The pairs (wₖ, aₖ) if the terms are their products, and perhaps a bias; otherwise none."""
        found: list[tuple[int, int]] = []
        biases = 0
        for term in terms:
            operands = self.operands[term]
            if not operands and self.kinds[term] != "input":
                biases += 1
            elif self.ops[term] in ("*", "dot(n)") and (term == top or self.within(term, top)):
                half = len(operands) // 2
                found.extend(map(self.weight_first, operands[:half], operands[half:]))
            else:
                return []
        return [] if biases > 1 or any(w < 0 for w, _ in found) else found

    def weight_first(self, left: int, right: int) -> tuple[int, int]:
        left_is, right_is = self.is_weight(left, right), self.is_weight(right, left)
        return (-1, -1) if left_is is right_is else (left, right) if left_is else (right, left)

    def is_weight(self, i: int, other: int) -> bool:
        """Whether leaf i is a weight, and `other` what it weighs."""
        if self.operands[i] or self.kinds[i] not in ("parameter", "leaf"):
            return False
        if self.kinds[i] == "parameter" or (self.has_parameters and self.kinds[other] != "leaf"):
            return True
        return self.initial(i) == "w" != self.initial(other)  # such as wq beside t

    def initial(self, i: int) -> str:
        return self.name_of(i).lower()[:1]

    def sum(self, chain: list[int], terms: list[int], inside: Part | None) -> None:
        part = self.put(Part("sum", self.shown_name(chain[0]), (len(terms),)), inside)
        for i in chain:
            self.home[i] = part

    def neuron(self, top: int, chain: list[int], terms: list[int], pairs: list[tuple[int, int]]) -> _Neuron:
        output, after = top, self.consumer[top]
        if self.uses[top] == 1 and self.is_activation(after) and self.home[after] is self.home[top]:
            output = after
        name = self.shown_name(output) or self.shown_name(top)
        part = Part("neuron", name, (len(pairs),), self.home[top])
        if chain and len(terms) >= MANY:
            self.sum(chain, terms, part)
        else:
            for i in chain:
                self.home[i] = part
        for i in terms:
            if self.operands[i]:
                self.home[i] = part
        if output != top:
            self.home[output] = part
        return _Neuron(part, [w for w, _ in pairs], [a for _, a in pairs])

    def is_activation(self, i: int) -> bool:
        return len(self.operands[i]) == 1 and (self.ops[i] in _ACTIVATIONS or letter_of(self.name_of(i)) == "a")

    def name_of(self, i: int) -> str:
        return self.called.get(self.nodes[i], "")

    def shown_name(self, i: int) -> str:
        return unicode_of(self.distinct.get(self.nodes[i], ""))

    # --- layers ------------------------------------------------------------------------------------------------------

    def layers(self, neurons: list[_Neuron]) -> None:
        """Put together the neurons that have the same inputs, and weights that are called alike."""
        of_layer: dict[object, list[_Neuron]] = {}
        for neuron in neurons:
            stem = self.name_of(neuron.weights[0]).split("[")[0]
            of_layer.setdefault((neuron.part.inside, stem, tuple(sorted({*neuron.inputs}))), []).append(neuron)
        names = []
        for found in of_layer.values():
            weight, inside = found[0].weights[0], found[0].part.inside
            parts = symbol(self.name_of(weight))
            if len(found) == 1 and not (parts and parts.layer):
                found[0].part.name = found[0].part.name or "neuron"
                self.put(found[0].part, inside)
                continue
            layer = self.put(Part("layer", "", (len(found), len({*found[0].inputs}))), inside)
            names.append((layer, f"layer {self.number_of(weight)}"))
            for j, neuron in enumerate(found):
                neuron.part.name = neuron.part.name or f"neuron {j}"
                self.put(neuron.part, layer)
        self.number(names)

    def number_of(self, weight: int) -> str:
        """The number or the letters of the layer with this first weight: 1 for w(1)[0,0] and w1[0][0], q for wq."""
        stem = re.split(r"[\[⟨.]", self.name_of(weight))[0].lower()
        letters = re.sub(r"^w(eights?)?_?|[()]", "", stem)
        return letters or str(self.ordinals.setdefault(weight, len(self.ordinals) + 1))

    def number(self, names: list[tuple[Part, str]]) -> None:
        """Name the parts; those that would have the same name get a number too, as in layer 1⟨0⟩."""
        counts, places = Counter(name for _, name in names), Counter[str]()
        for part, name in names:
            part.name = f"{name}⟨{places[name]}⟩" if counts[name] > 1 else name
            places[name] += 1

    # --- leaves, and what goes in and out ----------------------------------------------------------------------------

    def leaves(self, weights: set[int]) -> None:
        """Give each leaf, unless it is an input, to the innermost part that has all of its uses."""
        for i, operands in enumerate(self.operands):
            for leaf in operands:
                if not self.operands[leaf] and (self.kinds[leaf] in ("parameter", "constant") or leaf in weights):
                    part = self.home[i]
                    if part and part.kind == "sum":
                        part = part.inside  # a term is not the sum's own
                    self.home[leaf] = self.common(self.home[leaf], part) if leaf in self.seen else part
                    self.seen.add(leaf)

    def common(self, one: Part | None, other: Part | None) -> Part | None:
        """The innermost part that both are in."""
        around = set()
        while one:
            around.add(one)
            one = one.inside
        while other and other not in around:
            other = other.inside
        return other

    def finish(self) -> None:
        """What each part has, where it begins and where it ends."""
        inputs: dict[Part, dict[int, None]] = {}
        outputs: dict[Part, dict[int, None]] = {}
        for i, part in enumerate(self.home):
            if part:
                part.own.append(i)
            for operand in self.operands[i]:
                below = self.home[operand]
                if below is not part:
                    both = self.common(below, part)
                    _add(inputs, part, both, operand)
                    _add(outputs, below, both, operand)
        _add(outputs, self.home[-1], None, len(self.nodes) - 1)
        todo = [*self.parts]
        for part in todo:  # which grows
            todo += part.parts
        for part in reversed(todo):
            part.parts.sort(key=lambda inner: inner.outputs[-1] if inner.outputs else -1)
            part.inputs, part.outputs = [*inputs.get(part, ())], sorted(outputs.get(part, ()))
            part.size = len(part.own) + sum(inner.size for inner in part.parts)
            part.shape = part.shape or (len(part.outputs), len(part.inputs))
        self.parts.sort(key=lambda part: part.outputs[-1] if part.outputs else -1)


def _add(found: dict[Part, dict[int, None]], part: Part | None, until: Part | None, node: int) -> None:
    """Add `node` to what was found for `part` and those it is in, up to `until`."""
    while part and part is not until:
        found.setdefault(part, {})[node] = None
        part = part.inside
