"""The chain rule one application at a time: forwards through the computation, then backwards through the gradients.

A step of the forward phase computes a value from its operands. A step of the backward phase takes a value whose
gradient is complete and adds to the gradient of each operand

    ∂C/∂operand += ∂value/∂operand · ∂C/∂value        local gradient × upstream gradient (000 Eq. 3, 7 and 8)

so that at the end every gradient is what backward() gives (000's sum over j is that of the contributions).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from tinygrad_scalar.engine import Value, now
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.graph import contribution, pass_order, require_fresh, shown_operands
from tinygrad_scalar.engine.number import required_integer
from tinygrad_scalar.inspection.layout import wrapped
from tinygrad_scalar.inspection.named_graph import NamedGraph
from tinygrad_scalar.inspection.names import caller_variables
from tinygrad_scalar.inspection.notation import written
from tinygrad_scalar.inspection.step import DONE, Contribution, Step
from tinygrad_scalar.inspection.structure import structure_of
from tinygrad_scalar.screen import for_stdout

if TYPE_CHECKING:
    from rich.text import Text


class Progress(NamedTuple):
    """How far along a value is: whether it is computed, and `done` of `of` contributions to its gradient.

    Before the backward phase these are 0 of 0.
    """

    computed: bool
    done: int
    of: int

    @property
    def complete(self) -> bool:
        return self.done == self.of


class Stepper:
    """The result of `step`: it stands after `.position` of `.total` steps, and prints where it is.

    next, back  go n steps forward or back, or as many as there are; the last step taken is `.current`
    next        also on to the next value with a name, "value", or through the next layer, "layer"
    to          go on to the next step that computes a value, passes back through it or adds to its gradient; or to the
                step of that number, forward or back
    reset       go back to the beginning and restore every gradient that the steps changed
    watch       values to print whenever the stepper prints
    progress    how far along a value and its gradient are
    nodes       the values of the graph in topological order; `notation` is how they are written

    The Values hold the gradients as the steps left them; those of leaves start from what they were, as in backward().
    Setting a leaf in between makes the graph stale. If anything else changes a gradient in between, the next step that
    needs it raises a ValueError.
    """

    _layer_stops: Sequence[int] | None = None  # found when it is asked for

    def __init__(self, root: Value, names: Mapping[str, object]) -> None:
        graph = NamedGraph(root, "step", names)
        self.root = root
        self._graph, self.notation, self._index = graph, graph.notation, graph.index
        self._forward = [node for node in graph.nodes if node.op]
        self._order = array("q", accumulate((bool(node.op) for node in graph.nodes), initial=0))  # operations before
        self._backward = pass_order(root)[::-1]
        self._uses = array("q", bytes(8 * len(graph.nodes)))
        for node in self._forward:
            for _, operand in shown_operands(node):
                self._uses[self._index[operand]] += 1
        self._left = array("q", self._uses)  # contributions still to come
        self._before = array("d")  # what each contribution so far was added to
        self._expected = array("d")  # the gradients as the steps left them
        self._kept = array("d")  # the gradients that the backward phase overwrites
        self._starts: list[float] = []  # the gradients that the leaves had before
        self._watched: tuple[Value, ...] = ()
        self._time = now()
        self.position = 0

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "_of" in state:  # its name in older pickles
            state["_graph"] = state.pop("_of")
        self.__dict__.update(state)

    @property
    def total(self) -> int:
        """The number of steps: one for each computed value, one for the root's gradient, one back through each."""
        return 2 * len(self._forward) + 1

    # --- moving ------------------------------------------------------------------------------------------------------

    def next(self, n: int | str = 1) -> Step | None:
        """Take n steps, or as many as are left; returns the last step taken, which says so if none was left.

        "value": to the next step that computes or passes back through a value with a name. "layer": until the next
        layer is computed, or passed back through. To the end if there is none.
        """
        if isinstance(n, str):
            stop = next((stop for stop in self._stops(n) if stop > self.position), self.total)
            n = max(stop - self.position, 1)
        n = required_integer(n, "the number of steps", least=0)
        left = self.total - self.position
        for _ in range(min(n, left)):
            self._advance()
        step = self.current
        if step and n and not left:
            step.again = True
        return step

    def back(self, n: int = 1) -> Step | None:
        """Undo the last n steps: every gradient is again what it was before them, bit for bit."""
        for _ in range(min(required_integer(n, "the number of steps", least=0), self.position)):
            self._retreat()
        return self.current

    def reset(self) -> None:
        """Go back to the beginning and restore every gradient that the steps changed."""
        self.back(self.position)

    def to(self, target: str | Value | int) -> Step | None:
        """Go on to the next step that computes the value, passes back through it, or adds to its gradient.

        `target` is a Value of the graph or its name. ValueError if no such step is left; then none is taken. An int is
        the number of a step, to which it goes forward or back.
        """
        if isinstance(target, int):
            ahead = required_integer(target, "the step", least=0) - self.position
            if target > self.total:
                raise ValueError(f"the steps are numbered from 0 to {self.total}, got {target}")
            return self.next(ahead) if ahead > 0 else self.back(-ahead)
        value = self._graph.find(target)
        for position in range(self.position, self.total):
            node = self._node(position)
            if node is value or (position > len(self._forward) and any(o is value for _, o in shown_operands(node))):
                return self.next(position + 1 - self.position)
        name = self.notation.name(value)
        raise ValueError(f"no remaining step involves {name}; reset() starts over")

    def watch(self, *values: str | Value) -> None:
        """Print these values whenever the stepper prints; without arguments, none."""
        self._watched = tuple(self._graph.find(value) for value in values)

    def __iter__(self) -> Iterator[Step]:
        """The steps from here on, each taken when it is requested."""
        while self.position < self.total:
            self._advance()
            yield self._step(self.position - 1)

    @property
    def nodes(self) -> Sequence[Value]:
        """The values of the graph in topological order."""
        return self._graph.nodes

    def progress(self, value: Value) -> Progress:
        """How far along a value of the graph is; ValueError if it is not in the graph."""
        i = self._index[self._graph.find(value)]
        if self.position > len(self._forward):
            return Progress(True, self._uses[i] - self._left[i], self._uses[i])
        return Progress(not value.op or self._order[i] < self.position, 0, 0)

    def _stops(self, of_each: str) -> Iterable[int]:
        """How many steps lead to the end of what concerns each named value, or each layer."""
        if of_each == "value":
            return (at + 1 for at in range(self.position, self.total) if self._node(at) in self.notation.called)
        if of_each != "layer":
            raise ValueError(
                f'the number of steps must be an integer ≥ 0, "value" or "layer", got {shown(of_each)}; '
                "to() takes a name"
            )
        if self._layer_stops is None:
            layers = [
                [node for i in part.members if (node := self.nodes[i]).op]
                for part in structure_of(self.nodes, self.notation.called).walk()
                if part.kind == "layer"
            ]
            if not layers:
                raise ValueError('no layers were found in this graph; next("value") goes on to the next named value')
            forth = {node: at + 1 for at, node in enumerate(self._forward)}
            back = {node: len(forth) + 2 + at for at, node in enumerate(self._backward)}
            self._layer_stops = sorted(max(map(way.__getitem__, layer)) for way in (forth, back) for layer in layers)
        return self._layer_stops

    def _node(self, position: int) -> Value:
        """The value that the step after `position` steps computes or passes through."""
        n = len(self._forward)
        if position < n:
            return self._forward[position]
        return self.root if position == n else self._backward[position - n - 1]

    def _advance(self) -> None:
        if now() != self._time:
            require_fresh(self._graph.nodes)
            self._time = now()
        n = len(self._forward)
        if self.position == n:
            self._kept = array("d", [node.grad for node in self._backward])
            for node in self._backward:
                node.grad = 0.0
            self.root.grad = 1.0
            self._expected = array("d", [node.grad for node in self.nodes])
            self._starts = [leaf.grad for leaf in self._graph.leaves]
        elif self.position > n:
            node = self._node(self.position)
            for value in (node, *node.operands):
                self._require_expected(value)
            for k, operand in shown_operands(node):
                i, local_grad = self._index[operand], node.local_grads[k]
                self._before.append(operand.grad)
                amount = self._amount(node, local_grad, node.grad)
                operand.grad = self._expected[i] = operand.grad + amount
                self._left[i] -= 1
        self.position += 1

    def _amount(self, node: Value, local_grad: float, upstream: float) -> float:
        return 0.0 if node in self._graph.cut_off else contribution(node.op, local_grad, upstream)

    def _require_expected(self, value: Value) -> None:
        """ValueError if anything but the steps has changed a gradient."""
        expected = self._expected[self._index[value]]
        if value.grad != expected and (value.grad == value.grad or expected == expected):
            raise ValueError(
                f"the gradient of {self.notation.name(value)} is {written(value.grad)}, but should be "
                f"{written(expected)} after the steps so far: backward(), zero_grad() or another stepper changed it; "
                "reset() starts over"
            )

    def _retreat(self) -> None:
        n = len(self._forward)
        self.position -= 1
        if self.position == n:
            for node, grad in zip(self._backward, self._kept):
                node.grad = grad
        elif self.position > n:
            for _, operand in reversed(shown_operands(self._node(self.position))):
                i = self._index[operand]
                operand.grad = self._expected[i] = self._before.pop()
                self._left[i] += 1

    # --- looking -----------------------------------------------------------------------------------------------------

    @property
    def current(self) -> Step | None:
        """The last step taken; None at the beginning."""
        return self._step(self.position - 1) if self.position else None

    def _step(self, position: int) -> Step:
        """The step after `position` steps, which must be the last one taken."""
        node = self._node(position)
        phase = "forward" if position < len(self._forward) else "backward"
        contributions: tuple[Contribution, ...] = ()
        if position > len(self._forward):
            contributions = self._contributions(node)
        return Step(phase, node, position + 1, contributions, self._graph)

    def _contributions(self, node: Value) -> tuple[Contribution, ...]:
        operands = shown_operands(node)
        before = self._before[len(self._before) - len(operands) :]
        upstream = node.grad
        found: list[Contribution] = []
        for k, ((place, operand), was) in enumerate(zip(operands, before)):
            i, local_grad = self._index[operand], node.local_grads[place]
            later = sum(other is operand for _, other in operands[k + 1 :])  # of this same step
            amount = self._amount(node, local_grad, upstream)
            done = self._uses[i] - self._left[i] - later
            found.append(Contribution(operand, upstream, local_grad, amount, was, was + amount, done, self._uses[i]))
        return tuple(found)

    def __str__(self) -> str:
        lines = str(self.current or "").splitlines() + [self._watched_line(value) for value in self._watched]
        text = [*wrapped(self._where), *(f"  {line}" for line in lines), *wrapped(self._upcoming)]
        return for_stdout("\n".join(text))

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        """The same for Jupyter, with the step as LaTeX."""
        current = self.current
        lines = current.sums if current else []
        lines += [self._watched_line(value) for value in self._watched]
        equation = [f"$${current.latex}$$"] if current else []
        return "\n\n".join([f"**{self._where}**", *equation, *(f"- `{line}`" for line in lines), f"`{self._upcoming}`"])

    @property
    def _where(self) -> str:
        n, at = len(self._forward), self.position
        if at == 0:
            values = f"{n} value{'s' if n > 1 else ''}"
            start = f"{self.notation.name(self.root)}: {values} to compute, then the chain rule backwards"
            older = sum(leaf.grad != 0.0 for leaf in self._graph.leaves)
            hold = "leaf already holds" if older == 1 else "leaves already hold"
            return f"{start}; {older} {hold} a gradient, to which this adds: zero_grad() clears it" if older else start
        return self._step(at - 1).where

    def __rich__(self) -> Text:
        """The same for rich: the position stands out, what comes next is dim."""
        from rich.text import Text

        text = Text(no_wrap=False)
        for i, line in enumerate(str(self).splitlines()):
            style = "bold" if i == 0 else "dim" if line.startswith("next:") else ""
            text.append(("\n" if i else "") + line, style=style)
        text.highlight_regex(r"complete$|done: .*", "green")
        text.highlight_regex(r"so far: .*|\d+ contributions? to come", "yellow")
        text.highlight_regex(r"∂[^ ]+ \+=|^  [^ ]+ = ", "cyan")
        return text

    @property
    def _upcoming(self) -> str:
        if self.position == self.total:
            older = sum(start != 0.0 for start in self._starts)
            on_top = f", on top of what {older} of the leaves held before" if older else ""
            return f"{DONE}{on_top}"
        n, notation, node = len(self._forward), self.notation, self._node(self.position)
        if self.position == n:
            return f"next: {notation.derivative(self.root, self.root).text} = 1, and backwards from there"
        name, made = notation.name(node), notation.made(node).text
        return f"next: {'' if self.position < n else 'back through '}{name if name == made else f'{name} = {made}'}"

    def _watched_line(self, value: Value) -> str:
        progress, started = self.progress(value), self.position > len(self._forward)
        if not progress.computed:
            return f"{self.notation.name(value)}: not computed yet"
        left = progress.of - progress.done
        state = f", {left} contribution{'s' if left > 1 else ''} to come" if left else ", complete" if started else ""
        return f"{self.notation.name(value)}: data {written(value.data)}, grad {written(value.grad)}{state}"


def step(root: Value, *, names: Mapping[str, object] | None = None) -> Stepper:
    """Go through a computation and its backward pass, one application of the chain rule at a time.

    names  names for values without a label, such as {"w": w}; None: the variables of the calling code

    Returns a Stepper at the beginning. TypeError or ValueError if `root` is not a computed Value, StaleGraphError if
    the graph is stale.

    >>> w, x = Value(2.0, "w"), Value(3.0, "x")
    >>> y = w * x
    >>> y.label = "y"
    >>> s = step(y)
    >>> s.next()
    forward 1 of 1 (step 1 of 3)
      y = w·x
        = 2·3 = 6
    >>> s.next(2)
    backward 1 of 1 (step 3 of 3)
      y = w·x
      ∂y/∂w += ∂y/∂w · ∂y/∂y
             = x · ∂y/∂y
             = 3 · 1 = 3
               w.grad: 0 + 3 = 3, complete
      ∂y/∂x += ∂y/∂x · ∂y/∂y
             = w · ∂y/∂y
             = 2 · 1 = 2
               x.grad: 0 + 2 = 2, complete
    done: every gradient is complete, as after backward()
    >>> w.grad, x.grad
    (3.0, 2.0)
    >>> s.reset()
    >>> w.grad, x.grad
    (0.0, 0.0)
    """
    return Stepper(root, caller_variables() if names is None else names)
