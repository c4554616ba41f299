"""A root as a function f of one leaf: its values, their rounding, and the limit of its difference quotients (001).

A difference quotient is extrapolated to h = 0 from a scan over h = 2⁻ᵏ, at the step with the smallest estimated error
(Ridders 1982, Adv. Eng. Softw. 4(2), 75-76). The rounding error of f(x) is bounded to first order by
Σₙ |∂f/∂n|·ulp(n) over the nodes n above the leaf (Linnainmaa 1976, BIT 16).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.graph import kept, swept
from tinygrad_scalar.inspection.lanes import Lanes
from tinygrad_scalar.inspection.named_graph import NamedGraph

if TYPE_CHECKING:
    from tinygrad_scalar.inspection.lanes import Array

SAFETY = 10.0  # a difference can be off by this many times its estimated error
COARSE = 1e-4  # the gap between neighbouring floats beyond 10¹²
EXTRAPOLATIONS = 4  # the last has an error of h¹⁰, and rounding is at most doubled
AT_ONCE = 12  # steps that a scan begins with; in most smooth functions they are enough
MOST_TOGETHER = 100_000  # numbers that nudges in one pass take, roughly, over the steps of a scan


class NudgedGraph(NamedGraph):
    """A graph whose root can be recomputed for other values of one leaf."""

    def __init__(self, root: Value, asked: str, names: Mapping[str, object]) -> None:
        super().__init__(root, asked, names)
        self._users: dict[Value, list[Value]] = {node: [] for node in self.nodes}
        for node in self.nodes:
            for operand in node.operands:
                self._users[operand].append(node)
        self.slopes: dict[tuple[Value, Value], Any] = {}  # see judgement.py
        self.after_each_pass: Callable[[], None] = lambda: None

    @cached_property
    def path_sums(self) -> dict[Value, float]:
        """Σ over paths |∏ local gradients|: the summed sizes of each gradient's terms.

        >>> x = Value(3.0)
        >>> graph = NudgedGraph(x * x - x * x, "nudge", {})
        >>> graph.gradients[x], graph.path_sums[x]
        (0.0, 12.0)
        """
        return swept(self.root, lambda node, local_grad: abs(local_grad))

    @cached_property
    def largest_path_sum(self) -> float:
        return max(self.path_sums[leaf] for leaf in self.leaves)

    def along(self, leaf: Value) -> Along:
        """The root as a function of `leaf`."""
        above: set[Value] = set()
        todo = [leaf]
        while todo:
            fresh = [user for user in self._users[todo.pop()] if user not in above]
            above.update(fresh)
            todo.extend(fresh)
        f = Along(leaf, sorted(above, key=self.index.__getitem__), self.after_each_pass)
        rounded = (node for node in f.above if node not in self._kept)
        total = sum(abs(d) * math.ulp(node.data) for node in rounded if (d := self.gradients[node]))
        f.roundings[f.a] = total if total == total else math.inf  # what `rounding` would find, without a sweep
        return f

    @cached_property
    def _kept(self) -> set[Value]:
        return kept(self.nodes)

    def along_each(self, leaves: Iterable[Value]) -> Iterator[Along]:
        """The same for many leaves. Those that share most of the nodes above them are nudged together."""
        group: list[Along] = []
        above: set[Value] = set()
        for leaf in leaves:
            f = self.along(leaf)
            joint = above.union(f.above)
            if group and (len(joint) > 2 * len(group[0]) + 64 or len(joint) * (len(group) + 1) > MOST_TOGETHER):
                yield from self._nudged_together(group, above)
                group, joint = [], set(f.above)
            group.append(f)
            above = joint
        yield from self._nudged_together(group, above)

    def _nudged_together(self, group: Sequence[Along], above: Iterable[Value]) -> Sequence[Along]:
        """Compute for all of them what `limit` asks for first."""
        import numpy as np

        if len(group) > 1:
            points = [f.points(1, 1, f.steps()[:AT_ONCE]) for f in group]
            width = max(map(len, points))
            nudged = [np.full(len(group) * width, f.a) for f in group]
            for k, (lane, of_this) in enumerate(zip(nudged, points)):
                lane[k * width : k * width + len(of_this)] = of_this
            found = Lanes([f.leaf for f in group], sorted(above, key=self.index.__getitem__)).root(nudged).tolist()
            for k, (f, of_this) in enumerate(zip(group, points)):
                f.known.update(zip(of_this, found[k * width :]))
            self.after_each_pass()
        return group


class Along:
    """The root as a function f of one leaf, at `a`: only the nodes above the leaf are computed."""

    def __init__(self, leaf: Value, above: Sequence[Value], after_each_pass: Callable[[], None] = lambda: None) -> None:
        self.leaf, self.a, self.above = leaf, leaf.data, above
        self._after_each_pass = after_each_pass
        self.known: dict[float, float] = {}
        self.roundings: dict[float, float] = {}

    def __len__(self) -> int:
        return len(self.above)

    @cached_property
    def _lanes(self) -> Lanes:
        return Lanes([self.leaf], self.above)

    def __call__(self, x: float) -> float:
        """f(x); nan where a user's own operation raises."""
        return self._found(self.known, self._lanes_root, [x])[0]

    def rounding(self, x: float) -> float:
        """Σₙ |∂f/∂n|·ulp(n) at x: how far f(x) can be off."""
        return self._found(self.roundings, self._lanes_rounding, [x])[0]

    def _lanes_root(self, points: Array) -> Array:
        return self._lanes.root([points])

    def _lanes_rounding(self, points: Array) -> Array:
        return self._lanes.rounding([points])

    def _found(
        self, known: dict[float, float], compute: Callable[[Array], Array], points: Sequence[float]
    ) -> list[float]:
        """What is known of f at `points`, after computing what is not, as many at once as memory allows."""
        if new := [x for x in dict.fromkeys(points) if x not in known]:
            import numpy as np

            together = max(1, 20 * MOST_TOGETHER // len(self))
            for k in range(0, len(new), together):
                some = np.array(new[k : k + together])
                known.update(zip(new[k : k + together], compute(some).tolist()))
                self._after_each_pass()
        return [known[x] for x in points]

    def points(self, left: int, right: int, steps: Sequence[float]) -> list[float]:
        """a and its neighbours at these steps: on the left, on the right, or on both sides."""
        lower, upper = ([self.a + side * h for h in steps] for side in (-left, right))
        return [self.a, *(lower if left else ()), *(upper if right else ())]

    def steps(self) -> list[float]:
        """Powers of two down from 1/32 of |a| or of 1; then, if |a| is tiny, a 0 and those down from 1/32 of |a|."""

        def down_from(size: float, n: int) -> list[float]:
            exponent = math.frexp(size)[1] - 5
            return [math.ldexp(1.0, exponent - k) for k in range(n)]

        tiny = [0.0, *down_from(self.a, 25)] if 0.0 < abs(self.a) < 1e-6 else []
        return down_from(max(abs(self.a), 1.0), 50) + tiny

    def limit(self, left: int, right: int, extrapolations: int = EXTRAPOLATIONS, *, thorough: bool = True) -> Limit:
        """The limit of (f(a + right·h) − f(a − left·h))/((left + right)·h): central for 1, 1; one-sided with a 0.

        The error of the quotient is a series in h² or in h, whose terms are removed one by one (Richardson). If not
        `thorough`, rounding is estimated at a alone, and nine digits are enough.
        """
        order = left + right
        best, coarser, bend_of_2h = Limit(math.nan, 0.0, math.inf), list[float](), math.inf
        steps = self.steps()
        self._found(self.known, self._lanes_root, self.points(left, right, steps[:AT_ONCE]))
        middle, at_a = self(self.a), self.rounding(self.a)
        for k, h in enumerate(steps):
            if k == AT_ONCE:
                self._found(self.known, self._lanes_root, self.points(left, right, steps))
            if thorough and k % AT_ONCE == 0:
                some = self.points(left, right, steps[k : k + AT_ONCE])
                self._found(self.roundings, self._lanes_rounding, some)
            low, high = self.a - left * h, self.a + right * h
            f_low, f_high = self(low) if left else middle, self(high) if right else middle
            quotient = (f_high - f_low) / (high - low) if high > low else math.nan
            if not math.isfinite(quotient):
                coarser, bend_of_2h = [], math.inf
                continue
            # The right slope minus the left one, f″(a)·h: where it does not fall with h, there is a kink at this scale.
            bend = abs((f_high - middle) - (middle - f_low)) / h if left and right else 0.0
            kink, bend_of_2h = (bend if bend > 0.75 * bend_of_2h else 0.0), bend
            row = [quotient]
            estimates = [(abs(quotient - coarser[0]), quotient)] if coarser else []
            for j, of_2h in enumerate(coarser[:extrapolations]):
                row.append(row[j] + (row[j] - of_2h) / (2.0 ** (order * (j + 1)) - 1.0))
                estimates.append((max(abs(row[-1] - row[j]), abs(row[-1] - of_2h)), row[-1]))
            coarser = row
            error, value = min(estimates, default=(math.inf, math.nan))
            error += kink + 2.0 * at_a / (high - low)
            if error < best.error or _contradicts(value, error, best):
                if thorough:
                    error += (self.rounding(low) + self.rounding(high)) / (high - low)
                if error < best.error or _contradicts(value, error, best):
                    best = Limit(value, h, error)
            if not thorough and best.error <= 1e-9 * abs(best.value):
                break
        return best

    @property
    def is_coarse(self) -> bool:
        """Whether floats around a are too far apart for a small nudge."""
        return math.ulp(self.a) > COARSE

    def jumps(self, side: int) -> bool:
        """Whether f(a + side·h) stays away from f(a) as h → 0: the gap does not shrink as h is divided by 1024."""
        if self.is_coarse:
            return False
        h = max(2.0**-60, 8.0 * math.ulp(self.a))
        x = self.a + side * h
        near, further = (abs(self(point) - self(self.a)) for point in (x, self.a + side * 1024.0 * h))
        return near > 0.5 * further and near > SAFETY * (self.rounding(x) + self.rounding(self.a))


class Limit(NamedTuple):
    """The value of a limit, the step at which it was found (0 for none), and its estimated error."""

    value: float
    h: float
    error: float


def _contradicts(value: float, error: float, coarser: Limit) -> bool:
    """Whether an estimate cannot be the same number as one from a larger h: then f is smooth only from here on."""
    return abs(value - coarser.value) > SAFETY * (error + coarser.error)
