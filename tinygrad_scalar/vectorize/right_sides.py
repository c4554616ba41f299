"""One statement of an array program as LaTeX: its right side, with what has no name written out in place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tinygrad_scalar.engine.ops import operation
from tinygrad_scalar.inspection import names
from tinygrad_scalar.inspection.brackets import PRODUCT, SINGLE, SUM, formula, with_brackets
from tinygrad_scalar.inspection.latex import filled as latex_of, number as latex_number
from tinygrad_scalar.inspection.notation import written as number_text
from tinygrad_scalar.vectorize.buffers import contiguous
from tinygrad_scalar.vectorize.cached_property import cached_property
from tinygrad_scalar.vectorize.naming import is_of_layer
from tinygrad_scalar.vectorize.program import (
    ONLY_OF_ARRAYS,
    Array,
    Distances,
    DistancesGradient,
    Elementwise,
    Fold,
    Gather,
    Lookup,
    LookupScatter,
    OverExamples,
    Product,
    Program,
    Scatter,
    Shares,
    Slope,
    Statement,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SUMS = (Fold, OverExamples, Distances, DistancesGradient)  # Σ, max and min: what follows would be read as part of them


def symbol(name: str) -> str:
    """A name of naming.py as LaTeX.

    >>> symbol("W1"), symbol("dA0"), symbol("delta2"), symbol("product12")
    ('W^{[1]}', 'dA^{[0]}', '\\\\delta^{[2]}', '\\\\mathrm{product}_{12}')
    """
    if name == "parameters":
        return r"\theta"
    layer = re.fullmatch(r"(d?)(W|b|Z|A|delta|slope)(\d+)", name)
    if layer:
        letter = {"delta": r"\delta", "slope": "g'"}.get(layer[2], layer[2])
        return f"{layer[1]}{letter}^{{[{layer[3]}]}}"
    argument = re.fullmatch(r"([A-Z]\d*)T", name)
    if argument:
        return argument[1]
    word, number = re.fullmatch(r"(.*?)_*(\d*)", name).groups()  # type: ignore[union-attr]
    d = ""
    while word.startswith("d_"):
        d, word = d + "d", word[2:]
    plain = r"\mathrm{" + word.replace("_", r"\ ") + "}"
    return d + plain + (f"_{{{number}}}" if number else "")


LETTERS = frozenset({"C", "m", "i", "d", "g", "z", r"\theta"})  # of the equations' own, beside those of arrays
LONGEST = 60  # names in a right side, or right sides within each other
COLUMNS = 3  # written of a matrix that a gather makes


class RightSides:
    """The right sides of a program's statements; `labels` are the parameters'."""

    def __init__(self, program: Program, labels: Sequence[str]) -> None:
        self.program, self.labels = program, labels
        self.made_by = {statement.out: statement for statement in (*program.forward, *program.backward)}
        self.absorbed = {
            s.operands[0]: s.out
            for s in program.forward
            if isinstance(s, Elementwise) and s.out.name == s.operands[0].name
        }  # WA, part of Z = WA + b
        self.uses: dict[Array, int] = {}
        for statement in self.made_by.values():
            for operand in statement.operands:
                self.uses[operand] = self.uses.get(operand, 0) + 1
        self._long = self._find_long()
        self._written: dict[tuple[Array, bool], str] = {}  # what has no name and was written

    def _find_long(self) -> set[Array]:
        """The arrays that get an equation only because what they are in would be too long otherwise."""
        self._long = set[Array]()
        length: dict[Array, int] = {}  # of each right side, in names
        depth: dict[Array, int] = {}  # how many right sides stand within each other there
        for out, statement in self.made_by.items():
            times = 1
            if isinstance(statement, Gather) and self._is_of_columns(statement):
                times = min(statement.index.shape[1], COLUMNS)
                if times * length.get(statement.source, 1) > LONGEST:
                    self._long.add(self._behind_gathers(statement.source))
            length[out] = times * sum(1 if self.named(x) else length.get(x, 1) for x in statement.operands)
            depth[out] = 1 + max((0 if self.named(x) else depth.get(x, 0) for x in statement.operands), default=0)
            too_long = max(length[out], depth[out]) > LONGEST
            if too_long and not isinstance(statement, Gather) and out not in self.absorbed:
                self._long.add(out)
        return self._long

    def _behind_gathers(self, array: Array) -> Array:
        while isinstance(made_by := self.made_by.get(array), Gather):
            array = made_by.source
        return array

    def named(self, array: Array) -> bool:
        """Whether an array has its own equation; else it is written out where it is used."""
        statement = self.made_by.get(array)
        if array in self._long:
            return True
        if array in self.absorbed:
            return False
        if array.values is not None or statement is None or is_of_layer(array.name.removeprefix("d")):
            return array.values is None
        if array.name.startswith("delta") or array is self.program.gradient:
            return True
        if isinstance(statement, (Gather, OverExamples)):
            return array.name.startswith("db")
        if isinstance(statement, Elementwise) and statement.op == "-" and all(map(self._is_short, statement.operands)):
            return False  # A − Y is as good as a name for it
        return self.uses.get(array, 0) > 1 or isinstance(
            statement, (Product, Distances, DistancesGradient, Scatter, Lookup, LookupScatter)
        )

    def _is_short(self, array: Array) -> bool:
        return array in self.program.arguments or is_of_layer(array.name)

    def written(self, array: Array, *, within: bool = False) -> str:
        """An array as part of an expression, in parentheses if it needs them as a factor (`within` a product)."""
        if array.values is not None:
            first = float(array.values.flat[0])
            same = (array.values == first).all()
            return latex_number(first) if same else r"\mathrm{constants}"
        if self.named(array):
            return symbol(array.name)
        if (array, within) not in self._written:
            made_by = self.made_by[array]
            self._written[array, within] = self.as_factor(made_by) if within else self.right_side(made_by)
        return self._written[array, within]

    def following(self, array: Array) -> str:
        """An array as a factor that is not the first one, or of which a sum is taken."""
        return guarded(self.written(array, within=True))

    def transposed(self, array: Array) -> str:
        written = self.written(array)
        return _transposed(written if self._array_binds(array) == SINGLE else rf"\left({written}\right)")

    def as_factor(self, statement: Statement, *, last: bool = False) -> str:
        """A statement's right side as a factor: a sum in parentheses, but not a Σ that is the `last` factor."""
        if isinstance(statement, Scatter) and len(statement.parts) == 1:
            return self.written(statement.parts[0][0], within=True)
        weak = self.binds(statement) == SUM and not (last and isinstance(statement, SUMS))
        return rf"\left({self.right_side(statement)}\right)" if weak else self.right_side(statement)

    def right_side(self, s: Statement) -> str:
        if isinstance(s, Product):
            if s.blocks > 1:  # b numbers them
                left, right = (f"{{{self.following(array)}}}_b" for array in (s.left, s.right))
                left, right = (
                    _transposed(left) if s.form == "TR" else left,
                    _transposed(right) if s.form == "RT" else right,
                )
                return f"{left} {right}"
            left = self.transposed(s.left) if s.form == "TR" else self.written(s.left, within=True)
            return f"{left} {self.transposed(s.right) if s.form == 'RT' else self.following(s.right)}"
        if isinstance(s, Distances):
            left, right = self._entries(s)
            return rf"\sum_t \left({left} - {right}\right)^2"
        if isinstance(s, DistancesGradient):
            left, right = self._entries(s.distances)
            over, one, other = ("j", left, right) if s.side == "left" else ("i", right, left)
            return rf"2 \sum_{over} {{{self.written(s.source, within=True)}}}_{{ij}} \left({one} - {other}\right)"
        if isinstance(s, Elementwise):
            return self._elementwise(s)
        if isinstance(s, Gather):
            if self._is_of_columns(s):
                return self._columns_of(s.source, s.index)
            rows = self.rows_of(s.source, s.index.ravel())
            is_row = not s.out.batched and s.index.ndim == 2 and s.index.shape[0] == 1 < s.index.shape[1]
            return _transposed(rows) if is_row else rows
        if isinstance(s, Fold):
            fold = {"+": r"\sum", "maximum": r"\max", "minimum": r"\min"}[s.op]
            made = self.made_by.get(s.source)
            if s.out.rows == 1 or (isinstance(made, Gather) and self._is_of_columns(made)):
                return f"{fold}_j {self.following(s.source)}"
            terms, n = self.written(s.source), s.source.rows // s.out.rows  # row i folds n rows, one after the other
            terms = rf"\left({terms}\right)" if " " in terms else terms
            return rf"{fold}_{{0 \leq j < {n}}} {{{terms}}}_{{{n} i + j}}"
        if isinstance(s, Shares):
            return rf"\left[{self.written(s.fold.source)} = {self.written(s.fold.out)}\right]"
        if isinstance(s, OverExamples):
            terms = self.written(s.source)
            if self.program.reduce == "each":  # of one example
                return terms
            terms = terms if self.named(s.source) or s.source.values is not None else rf"\left({terms}\right)"
            of_example = terms if s.source.values is not None else _raised(terms, "(i)")
            return rf"\sum_{{i=1}}^{{m}} {of_example}"
        if isinstance(s, Lookup):
            table = self.written(s.source)
            table = table if self.named(s.source) or s.source.values is not None else rf"\left({table}\right)"
            return rf"{table}\left[{symbol(s.argument.name)}\right]"
        if isinstance(s, LookupScatter):
            return rf"{self.written(s.source)}\ \mathrm{{added\ at}}\ {symbol(s.lookup.argument.name)}"
        assert isinstance(s, Scatter)
        together = " + " if all(index is None for _, index in s.parts) else r",\ "
        parts = [part for part in s.parts if not getattr(self.made_by.get(part[0]), "is_of_companion", False)]
        first, *others = [self._placed(part, index, s.out.rows) for part, index in parts] or ["0"]
        return together.join([first, *map(guarded, others)])

    def _entries(self, s: Distances) -> tuple[str, str]:
        """An entry of the left and one of the right operand of distances."""
        return f"{{{self.written(s.left)}}}_{{it}}", f"{{{self.written(s.right)}}}_{{tj}}"

    def _placed(self, part: Array, index: NDArray[np.int64] | None, rows: int) -> str:
        """A part of an array, and which of the array's rows it is added to, if not to all of them."""
        if index is None or (contiguous(index.ravel()) == 0 and index.size == rows):
            return self.written(part)
        return rf"{self.written(part)}\ \mathrm{{in\ rows}}\ {_listed(index.ravel())}"

    @staticmethod
    def _is_of_columns(s: Gather) -> bool:
        """Whether it is written as a matrix, column by column."""
        return s.out.batched and s.index.ndim == 2 and min(s.index.shape) > 1

    def _columns_of(self, array: Array, index: NDArray[np.int64]) -> str:
        """A matrix whose columns are windows of an array's rows, as a convolution reads them."""
        columns = r"\ ".join(self.rows_of(array, column) for column in index.T[:COLUMNS])
        more = r"\ \cdots" if index.shape[1] > COLUMNS else ""
        return rf"\left[{columns}{more}\right]"

    def rows_of(self, array: Array, rows: NDArray[np.int64]) -> str:
        """Some rows of an array: all, one by its label, a slice as in Python, or one by one."""
        if array is self.program.parameters and rows.size == 1 and (label := self._label_of(int(rows[0]))):
            return label
        start = contiguous(rows)
        if start == 0 and rows.size == array.rows:
            return self.written(array)
        whole = self.written(array) if self.named(array) else rf"\left({self.written(array)}\right)"
        return rf"{{{whole}}}_{{{_listed(rows)}}}"

    def _label_of(self, parameter: int) -> str:
        """A parameter's label; "" if it has none, or what looks the same stands for something else."""
        label = self.labels[parameter]
        found = names.symbol(label) if label and self._times_given[label] == 1 else None
        is_taken = found is None or found.latex in self._taken or re.fullmatch(r"[\d.]+", found.latex)
        return "" if found is None or is_taken else found.latex

    @cached_property
    def _times_given(self) -> Counter[str]:
        return Counter(self.labels)

    @cached_property
    def _taken(self) -> set[str]:
        return {*LETTERS, *(symbol(array.name) for array in (*self.program.arguments, *self.made_by) if array.name)}

    def _elementwise(self, s: Elementwise) -> str:
        if re.fullmatch(r"slope\d+", s.out.name):
            layer = s.out.name[len("slope") :]
            return rf"g'^{{[{layer}]}}\left({symbol(f'Z{layer}')}\right)"
        if s.op in ("+", "-", "minus fixed"):
            first, second = s.operands
            left = self.written(first, within=isinstance(self.made_by.get(first), SUMS))
            right = self.written(second, within=s.op != "+")
            return f"{left} {'+' if s.op == '+' else '-'} {guarded(right)}"
        if s.op == "1 at infinity":
            return self.written(s.operands[0])
        if s.op in ("*", "* on path"):
            first, second = s.operands
            if first.values is None and second.values is not None:
                first, second = second, first
            left, right = self.written(first, within=True), self.following(second)
            times = r" \odot " if first.values is None else r" \cdot " if right[0].isdigit() else r"\, "
            return f"{left}{times}{right}"
        text = text_of(s)
        if not isinstance(s.op, Slope):
            return self._filled(text, s.operands)
        operands: list[Array | None] = [None] * operation(s.op.op).arity
        for i, operand in zip(s.op.reads, s.operands):
            if i > 0:  # 0 is the result, which no text contains
                operands[i - 1] = operand
        if s.op.op in ("maximum", "minimum"):
            equal = self._filled("[{0} = {1}]", operands)
            return rf"\left({self._filled(text, operands)} + \frac{{1}}{{2}} {equal}\right)"
        if text:
            return self._filled(text, operands)
        by = operands[s.op.operand]
        below = rf"\partial {self.written(by, within=True)}" if by else r"\partial x"
        return rf"\frac{{\partial {self._filled(operation(s.op.op).text, operands)}}}{{{below}}}"

    def _filled(self, text: str, operands: Sequence[Array | None]) -> str:
        """A text of ops.py in LaTeX, with operands in parentheses where they need them."""
        plain = with_brackets(text, [SINGLE] * len(operands))
        places = [chr(0xF000 + i) for i in range(len(operands))]
        latex = latex_of(plain, places)
        for bracket in "()[]":
            latex = latex.replace(bracket, rf"\{'left' if bracket in '([' else 'right'}{bracket}")
        latex = re.sub(r"\|(.*?)\|", r"\\left|\1\\right|", latex)
        for i, (place, operand) in enumerate(zip(places, operands)):
            if operand is None:
                continue
            written = self.written(operand)
            latex = latex.replace(f"{{{place}}}", f"{{{written}}}")  # within \frac, \sqrt or an exponent
            binds = [SINGLE] * len(operands)
            binds[i] = self._array_binds(operand)
            if with_brackets(plain, binds) != plain:
                written = rf"\left({written}\right)"
            latex = latex.replace(f"{place}^", f"{{{written}}}^").replace(place, written)
        return latex

    def _array_binds(self, array: Array) -> int:
        """How tightly an array binds where it is written: SUM, PRODUCT or SINGLE."""
        statement = self.made_by.get(array)
        if array.values is not None:
            return formula(number_text(float(array.values.flat[0])), "").binds
        if statement is None or self.named(array):
            return SINGLE
        return SUM if self.written(array).startswith("-") else self.binds(statement)

    def binds(self, statement: Statement) -> int:
        """How tightly a statement's right side binds."""
        if isinstance(statement, Elementwise):
            is_slope_of_layer = re.fullmatch(r"slope\d+", statement.out.name)
            return SINGLE if is_slope_of_layer else formula(re.sub(r"\{\d+\}", "x", text_of(statement)), "").binds
        if isinstance(statement, Scatter) and len(statement.parts) == 1:
            return self._array_binds(statement.parts[0][0])
        if isinstance(statement, (Scatter, *SUMS)):
            return SUM
        return PRODUCT if isinstance(statement, Product) else SINGLE


def text_of(s: Elementwise) -> str:
    """The text of an operation or a slope as in ops.py, "" where there is none."""
    if isinstance(s.op, Slope):
        slopes = operation(s.op.op).slopes
        return slopes[s.op.operand] if slopes else ""
    return operation(s.op).text if s.row else ONLY_OF_ARRAYS[s.op]


def guarded(latex: str) -> str:
    """A factor that stands behind another one or a sign: in parentheses if it begins with a minus.

    >>> guarded(r"-2\\, x"), guarded(r"2\\, x")
    ('\\\\left(-2\\\\, x\\\\right)', '2\\\\, x')
    """
    return rf"\left({latex}\right)" if latex.startswith("-") else latex


def _listed(rows: NDArray[np.int64]) -> str:
    """Row numbers: a slice as in Python, or one by one."""
    start = contiguous(rows)
    if start is not None and rows.size > 1:
        return f"{start}:{start + rows.size}"
    which = [str(row) for row in rows[:6].tolist()]
    return ", ".join(which if rows.size <= 6 else [*which[:5], r"\ldots"])


def _transposed(latex: str) -> str:
    return _raised(latex, "T")


def _raised(latex: str, what: str) -> str:
    """An expression with the superscript `what`, after its layer if it has one."""
    return f"{latex[:-1]}{what}}}" if re.fullmatch(r"[^ ]*\^\{\[\d+\]\}", latex) else rf"{{{latex}}}^{{{what}}}"
