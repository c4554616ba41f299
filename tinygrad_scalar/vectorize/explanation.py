"""The text of `run.explain()`: which scalars became which array."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygrad_scalar.engine import Value
from tinygrad_scalar.inspection.brackets import SINGLE, with_brackets
from tinygrad_scalar.inspection.notation import written
from tinygrad_scalar.vectorize.buffers import contiguous
from tinygrad_scalar.vectorize.made_of import called_in_python
from tinygrad_scalar.vectorize.program import (
    ONLY_OF_ARRAYS,
    Array,
    Distances,
    DistancesGradient,
    Elementwise,
    Fold,
    Gather,
    Lookup,
    Product,
    Program,
    Statement,
)

COUNTED = {
    "+": "sum",
    "-": "difference",
    "minus fixed": "difference",
    "*": "product",
    "* on path": "product",
    "/": "quotient",
}


def explanation(n: int, captured: Sequence[Value], program: Program, labels: Sequence[str]) -> str:
    """A line for each array of the forward pass; n scalars were traced, and `labels` are the parameters'."""
    rows = _Texts(program, labels).rows()
    width = max((len(scalars) for scalars, _ in rows), default=0)
    lines = [f"{n:,} scalars of one example become {_counted(len(rows), 'array')}"]
    lines += [f"{scalars:>{width}} → {text}" for scalars, text in rows]
    lines += called_in_python(program)
    if captured:
        names = sorted({value.label for value in captured if value.label})
        shown = [*names[:8], *(["…"] if len(names) > 8 else [])] or [f"{len(captured)} without a label"]
        lines.append(f"constants, because they are not among the parameters: {', '.join(shown)}")
    return "\n".join(lines)


class _Texts:
    def __init__(self, program: Program, labels: Sequence[str]) -> None:
        self.program, self.labels = program, labels
        self._same: dict[Array, Array] = {}  # from an array to the one that it reshapes

    def rows(self) -> list[tuple[str, str]]:
        """For each array, the number and kind of its scalars and how it is made."""
        rows: dict[Array, tuple[str, str]] = {}
        for statement in self.program.forward:
            if isinstance(statement, Gather) and self._is_in_order(statement):
                self._same[statement.out] = self._one(statement.source)
                continue
            scalars, text = self.scalars(statement), f"{self.shaped(statement.out)} = {self.made(statement)}"
            first = statement.operands[0] if statement.operands else statement.out
            if first in rows and first.name == statement.out.name:  # Z = WA + b, in one line
                of_product, product = rows.pop(first)
                scalars, text = of_product, f"{product} + {self.shaped(statement.operands[1])}"
            rows[statement.out] = scalars, text
        return list(rows.values())

    def _is_in_order(self, s: Gather) -> bool:
        whole = s.index.size == s.source.rows and contiguous(s.index) == 0
        return whole and s.source is not self.program.parameters and s.source.batched == s.out.batched

    def _one(self, array: Array) -> Array:
        return self._same.get(array, array)

    def name(self, array: Array) -> str:
        array = self._one(array)
        if array.values is None:
            return array.name
        numbers = array.values.ravel()
        if numbers.size > 4 and (numbers != numbers[0]).any():
            return f"{numbers.size} constants"
        texts = [written(number) for number in numbers[:4].tolist()]
        return texts[0] if len(set(texts)) == 1 else f"[{', '.join(texts)}]"

    def shaped(self, array: Array, shape: str = "") -> str:
        """The name of an array with its shape (examples are columns); a constant's number."""
        array = self._one(array)
        name = self.name(array)
        return name if array.values is not None else f"{name} ({shape or _shape(array)})"

    def scalars(self, s: Statement) -> str:
        if isinstance(s, Product):
            return _counted(s.sizes[2] * (s.left.rows if s.there is None else int(s.there.sum())), "product")
        if isinstance(s, Gather) and s.source is self.program.parameters:
            return _counted(s.out.rows, "parameter")
        return _counted(s.out.rows, COUNTED.get(str(s.op), "value") if isinstance(s, Elementwise) else "value")

    def made(self, s: Statement) -> str:
        """How an array is made from others."""
        if isinstance(s, Product):
            _, k, columns = s.sizes
            m, blocks = "m" if s.right.batched else "", [s.blocks] if s.blocks > 1 else []
            left = "×".join(map(str, s.left.shape)) + ("×m" if s.left.batched else "")
            right = "×".join(map(str, [*blocks, k, f"{columns if columns > 1 or not m else ''}{m}"]))
            each = f", for each of {s.blocks} blocks" if blocks else ""
            each += " and each example" if s.left.batched and blocks else ", for each example" if s.left.batched else ""
            return f"{self.shaped(s.left, left)} @ {self.shaped(s.right, right)}{each}"
        if isinstance(s, Distances):
            p, k, q = s.sizes
            left, right = f"{self.shaped(s.left, f'{p}×{k}')}", self.shaped(s.right, f"{k}×{q if q > 1 else ''}m")
            return f"squared distances between the rows of {left} and the columns of {right}"
        if isinstance(s, DistancesGradient):
            d, left, right = map(self.name, s.operands)
            return f"2·Σ {d}·({right} − {left}), the gradient of squared distances by {right}"
        if isinstance(s, Elementwise):
            names = [self.name(operand) for operand in s.operands]
            fixed = ", the latter held fixed" if s.op == "minus fixed" else ""
            text = "{0} ⊙ {1}" if s.op in ("*", "* on path") else s.row.text if s.row else ONLY_OF_ARRAYS[str(s.op)]
            return with_brackets(text, [SINGLE] * len(names)).format(*names) + fixed
        if isinstance(s, Gather):
            return self._gathered(s)
        if isinstance(s, Fold):
            fold = "sum" if s.op == "+" else s.op
            every = "all" if s.out.rows == 1 else f"each {s.source.shape[-1]}"
            return f"{fold} of {every} of {self.name(s.source)}"
        if isinstance(s, Lookup):
            return f"rows of {self.name(s.source)} chosen by {s.argument.name.removesuffix('T')}"
        return f"[{', '.join(self.name(part) for part in s.operands)}]"  # put together from parts

    def _gathered(self, s: Gather) -> str:
        rows = s.index.ravel()
        start = contiguous(s.index)
        if s.source is self.program.parameters:
            first, last = self.labels[rows[0]], self.labels[rows[-1]]
            named = (f", {first}" if rows.size == 1 else f", {first} … {last}") if first and last else ""
        else:
            named = ""
        if start is not None:
            return f"{self.name(s.source)}[{start}:{start + rows.size}]{named}"
        repeated = ", some of them repeatedly" if np.unique(rows).size < rows.size else ""
        return f"rows of {self.name(s.source)}{named}{repeated}"


def _shape(array: Array) -> str:
    rows = array.shape[0] if len(array.shape) == 2 and not array.batched else array.rows
    return f"{rows}×{'m' if array.batched else array.rows // rows}"


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"
