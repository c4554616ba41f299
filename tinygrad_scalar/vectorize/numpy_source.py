"""The array program as NumPy source that a person could have written: buffers made once and reused through `out=`.

The source defines `prepare(m, parameters)`, which makes the buffers for m examples and returns two functions:
`forward(X, Y, …)` gives the mean cost, and `backward(X, Y, …)`, after it, the gradient. Arguments have a row for each
example.
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.vectorize.buffers import Buffers, contiguous
from tinygrad_scalar.vectorize.made_of import lowered
from tinygrad_scalar.vectorize.naming import argument_name, comment_of, name_arrays, name_steps
from tinygrad_scalar.vectorize.numpy_calls import HELPERS as OF_ELEMENTS, NUMPY, call_of
from tinygrad_scalar.vectorize.product_calls import (
    HELPERS as OF_PRODUCTS,
    distances_call,
    distances_gradient_call,
    product_call,
)
from tinygrad_scalar.vectorize.program import (
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
    Statement,
)
from tinygrad_scalar.vectorize.variables import WIDTH, Variables, definition

if TYPE_CHECKING:
    from numpy.typing import NDArray


HELPERS = {**OF_ELEMENTS, **OF_PRODUCTS}


class NumpySource:
    """The source of a program; integer[a] says whether argument a holds integers.

    text     a program that a person can run, with its tables of numbers
    named    the program with names, in which primitives are operations, as texts have them
    """

    def __init__(self, program: Program, integer: Sequence[bool]) -> None:
        name_arrays(program)
        name_steps(runs := lowered(program))
        self.named, self.program, program = program, runs, runs
        self.buffers = Buffers(program, integer)
        self.variables = Variables(program, self.buffers, {*NUMPY, *HELPERS})
        self._head, self._body = self._written()

    @property
    def text(self) -> str:
        tables = [definition(name, values) for name, values in self.variables.tables.items()]
        return "\n\n\n".join(["\n".join([*self._head, *([""] if tables else []), *tables]), *self._body]) + "\n"

    def prepare(self, filename: str) -> Callable[..., Any]:
        """The function `prepare` of the source, made without printing the tables."""
        text = "\n\n\n".join(["\n".join(self._head), *self._body]) + "\n"
        names: dict[str, Any] = {}
        exec(compile(text, filename, "exec"), names)
        names.update(self.variables.tables)
        linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
        prepare: Callable[..., Any] = names["prepare"]
        return prepare

    # --- writing -----------------------------------------------------------------------------------------------------

    def _written(self) -> tuple[list[str], list[str]]:
        """The imports, and the functions that follow the tables of numbers."""
        program, buffers = self.program, self.buffers
        arguments = [argument_name(a) for a in range(len(program.arguments))]
        forward, backward = self._lines(program.forward), self._lines(program.backward)
        copies = [
            f"copyto({self.variables.names[a]}, {arguments[i]}.T)"
            for i, a in enumerate(program.arguments)
            if a in buffers.copied
        ]
        forward.append(f"return {', '.join([self._reduced(), *map(self.variables.flat, program.guarded)])}")
        results = ["gradient", *(f"{self.variables.flat(d)}.T" for d in program.input_gradients)]
        # the division makes each result a new array
        scale = {("mean", True): " / m", ("sum", False): " * m"}.get((program.reduce, program.cost.batched), " * 1.0")
        backward.append(f"return {', '.join(result + scale for result in results)}")
        forward = [*copies, *self._columns(forward, arguments), *forward]
        backward = [*self._columns(backward, arguments), *backward]
        passes = "\n".join([*forward, *backward])
        self.variables.leave_out_unread(passes)
        given = ", ".join(f"{name} (m, {a.rows})" for name, a in zip(arguments, program.arguments))
        body = [
            "def prepare(m, parameters):",
            f'    """The passes over m examples, given as rows: {given}. Inside, each is a column."""',
            "    dtype = parameters.dtype",
            *(f"    {line}" for line in [*self._buffers(passes), *self._view_lines()]),
            "",
            f"    def forward({', '.join(arguments)}):",
            *(f"        {line}" for line in forward),
            "",
            f"    def backward({', '.join(arguments)}):",
            *(f"        {line}" for line in backward),
            "",
            "    return forward, backward",
        ]
        used, helpers = _names_in(body), list[str]()
        for _ in range(4):  # a helper can use another one
            helpers = [HELPERS[name].strip("\n") for name in HELPERS if name in used]
            used |= _names_in(re.sub(r'""".*?"""', "", helper, flags=re.DOTALL) for helper in helpers)
        head = [*(["import math\n"] if "math" in used else []), "import numpy as np"]
        head += _wrapped("from numpy import ", [name for name in NUMPY if name in used])
        head += ["from tinygrad_scalar.engine.ops import operation"] if "operation" in used else []
        return head, [*helpers, "\n".join(body)]

    def _buffers(self, passes: str) -> list[str]:
        """The lines that make the buffers, those of one shape together."""
        used = _names_in([passes, *(expression for _, expression in self.variables.views)])
        owners: dict[str, list[str]] = {}
        shared: dict[str, list[tuple[str, str]]] = {}
        for buffer in self.buffers.all:
            names = [
                name for name in dict.fromkeys(self.variables.names[array] for array in buffer.arrays) if name in used
            ]
            made = f"np.empty(({buffer.rows}, {'m' if buffer.batched else 1}), dtype)"
            if names:
                owners.setdefault(made, []).append(names[0])
                shared.setdefault(made, []).extend((name, names[0]) for name in names[1:])
        lines = [f"gradient = np.zeros({self.program.parameters.rows}, dtype)"]
        for made, names in owners.items():
            for some in _in_lines(names, WIDTH - len(made) - 25):
                many = f"({made} for _ in range({len(some)}))"
                lines.append(f"{', '.join(some)} = {made if len(some) == 1 else many}")
            for pairs in _in_lines(shared[made], WIDTH - 20):
                lines.append(" = ".join(", ".join(names) for names in zip(*pairs)) + "  # the same memory")
        return lines

    def _view_lines(self) -> list[str]:
        """The lines that make views; those of a layer's W and b stand together."""
        lines: list[str] = []
        of_layer: dict[tuple[str, str], int] = {}
        for name, expression in self.variables.views:
            layer = re.fullmatch(r"(d?)[Wb](\d+)", name)
            key = (layer[1], layer[2]) if layer else ("", name)
            if layer and key in of_layer:
                names, _, expressions = lines[of_layer[key]].partition(" = ")
                together = f"{names}, {name} = {expressions}, {expression}"
                if len(together) <= WIDTH:
                    lines[of_layer[key]] = together
                    continue
            of_layer[key] = len(lines)
            lines.append(f"{name} = {expression}")
        return lines

    def _reduced(self) -> str:
        """The expression for the mean of the costs, for their sum, or for all of them."""
        program, summed = self.program, self.variables.flat(self.buffers.summed)
        if program.reduce == "each":
            return f"{summed}[0] * 1.0" if program.cost.batched else f"np.full((1, m), {summed}, dtype)[0]"
        if not program.cost.batched:
            cost = f"float({summed}[0, 0])" if program.cost.values is None else summed
            return cost if program.reduce == "mean" else f"{cost} * m"
        total = f"vdot({summed}, {summed})" if self.buffers.squared else f"add.reduce({summed}, axis=None)"
        return f"{total} / m" if program.reduce == "mean" else total

    def _columns(self, lines: list[str], names: Sequence[str]) -> list[str]:
        """The line that makes columns of the arguments used in `lines`."""
        read = _names_in(lines)
        bare = [
            (argument.name, f"{names[i]}.T")
            for i, argument in enumerate(self.program.arguments)
            if argument not in self.buffers.copied and argument.name in read
        ]
        return [f"{', '.join(name for name, _ in bare)} = {', '.join(columns for _, columns in bare)}"] if bare else []

    def _lines(self, statements: Iterable[Statement]) -> list[str]:
        run = set(map(id, self.buffers.statements))
        lines: list[tuple[str, str]] = []  # each with its equation in the notes
        before: Statement | None = None  # the statement of the last line, if that line can be nested in the next one
        for statement in statements:
            if statement.out in self.buffers.views or id(statement) not in run:
                continue
            its_lines: list[str] = getattr(self, f"_{type(statement).__name__.lower()}")(statement)
            equation = comment_of(statement)
            if before is not None and isinstance(statement, Elementwise) and self._is_read_only_by(statement, before):
                call, its_equation = lines[-1]
                if statement.op == "* on path" and call.startswith("greater("):
                    call = f"{call.rpartition(', out=')[0]})"  # of booleans: to convert them to floats takes longer
                nested = _with_operand(its_lines[0], self.variables.flat(before.out), call)
                if len(nested) + len(equation or its_equation) <= WIDTH - 8:
                    lines.pop()
                    its_lines, equation = [nested], equation or its_equation
                    before = None
            # a call can be nested if its result has the shape in which elements are computed
            alone = isinstance(statement, Elementwise) or (isinstance(statement, Product) and statement.form == "LR")
            before = (
                statement if alone and its_lines[0].endswith(f"out={self.variables.flat(statement.out)})") else None
            )
            lines += [(line, equation if k == 0 else "") for k, line in enumerate(its_lines)]
        return [f"{line}  # {equation}" if equation else line for line, equation in lines]

    def _is_read_only_by(self, reader: Elementwise, statement: Statement) -> bool:
        """Whether a statement's result is read once, by `reader`, and nowhere else."""
        return (
            self.buffers.readers.get(statement.out) == [reader]
            and reader.operands.count(statement.out) == 1
            and [self.variables.flat(operand) for operand in reader.operands].count(self.variables.flat(statement.out))
            == 1
            and statement.out not in self.program.guarded
        )

    def _gather(self, s: Gather) -> list[str]:
        if s.source.values is not None:
            return [f"{self.variables.flat(s.out)}[...] = {self.variables.flat(s.source)}"]
        index = self.variables.table(s.index.ravel())
        if s.source.batched != s.out.batched:  # the same in every example
            return [f"{self.variables.flat(s.out)}[...] = {self.variables.flat(s.source)}[{index}]"]
        return [
            f'take({self.variables.flat(s.source)}, {index}, axis=0, out={self.variables.flat(s.out)}, mode="clip")'
        ]

    def _elementwise(self, s: Elementwise) -> list[str]:
        return [call_of(s.op, [self.variables.flat(operand) for operand in s.operands], self.variables.flat(s.out))]

    def _product(self, s: Product) -> list[str]:
        return [product_call(s, self.program, self.variables)]

    def _distances(self, s: Distances) -> list[str]:
        return [distances_call(s, self.variables)]

    def _distancesgradient(self, s: DistancesGradient) -> list[str]:
        return [distances_gradient_call(s, self.variables)]

    def _fold(self, s: Fold) -> list[str]:
        n, k = s.source.shape if len(s.source.shape) == 2 else (1, s.source.rows)
        ufunc = {"+": "add"}.get(s.op, s.op)
        source, out = self.variables.flat(s.source), self.variables.flat(s.out)
        if n == 1:
            return [f"{ufunc}.reduce({source}, axis=0, keepdims=True, out={out})"]
        cube = self.variables.reshaped(s.source, f"{s.source.name}_rows", (n, k))
        return [f"{ufunc}.reduce({cube}, axis=1, out={out})"]

    def _shares(self, s: Shares) -> list[str]:
        n, k = s.out.shape
        x, folded, out = (self.variables.flat(array) for array in (*s.operands, s.out))
        shaped = f"{x}.reshape({n}, {k}, -1), {folded}.reshape({n}, 1, -1), {out}.reshape({n}, {k}, -1)"
        return [f"shares({shaped}, even={s.fold.even})"]

    def _overexamples(self, s: OverExamples) -> list[str]:
        out = self.variables.flat(s.out)
        if not s.source.batched or s.source.values is not None:
            return [f"multiply({self.variables.flat(s.source)}, m, out={out})"]
        return [f"add.reduce({self.variables.flat(s.source)}, axis=1, keepdims=True, out={out})"]

    def _scatter(self, s: Scatter) -> list[str]:
        inside = [part for part, _ in s.parts if self.buffers.inside.get(part, (None, None))[0] is s.out]
        if len(inside) == len(s.parts) and self._is_covered(s):
            return []
        out, lines = self.variables.flat(s.out), []
        free = np.ones(s.out.rows, bool)  # rows not written to yet
        for part, index in s.parts:
            if part in inside:
                free[slice(None) if index is None else index.ravel()] = False
        for part, index in s.parts:
            if part in inside:
                continue
            if index is None:
                rows, target, value = np.arange(s.out.rows), f"{out}[...]", self.variables.flat(part)
            else:
                rows, value = self._added_up(part, index.ravel())
                start = contiguous(rows)
                target = f"{out}[{self.variables.table(rows) if start is None else f'{start}:{start + rows.size}'}]"
            if free[rows].all():
                lines.append(f"{target} = {value}")
            else:
                lines.extend(self._zeros(s, np.unique(rows[free[rows]])))
                lines.append(f"add({out}, {value}, out={out})" if index is None else f"{target} += {value}")
            free[rows] = False
        return [*lines, *self._zeros(s, np.flatnonzero(free))]

    def _added_up(self, part: Array, index: NDArray[np.int64]) -> tuple[NDArray[np.int64], str]:
        """The rows that a part is added to, each once, and its expression; terms of one row are summed in order."""
        value = self.variables.flat(part)
        rows = np.unique(index)
        if rows.size == index.size:
            return index, value
        order = np.argsort(index, kind="stable")
        starts = np.searchsorted(index[order], rows)
        if part.rows == 1 or part.values is not None:
            value = f"np.broadcast_to({value}, ({index.size}, {'m' if part.batched else 1}))"
        return rows, f"add.reduceat({value}[{self.variables.table(order)}], {self.variables.table(starts)}, axis=0)"

    def _is_covered(self, s: Scatter) -> bool:
        """Whether the parts fill every row; the rest of the gradient is 0 from the start."""
        covered = sum(part.rows for part, _ in s.parts)
        return covered == s.out.rows or s.out is self.program.gradient

    def _zeros(self, s: Scatter, index: NDArray[np.int64]) -> list[str]:
        out = self.variables.flat(s.out)
        if index.size == 0:
            return []
        if index.size == s.out.rows:
            return [f"{out}.fill(0.0)"]
        start = contiguous(index)
        if start is not None:
            return [f"{out}[{start}:{start + index.size}] = 0.0"]
        return [f"{out}[{self.variables.table(index)}] = 0.0"]

    # --- lookups -----------------------------------------------------------------------------------------------------

    def _chosen(self, s: Lookup) -> tuple[str, list[str]]:
        """The variable of the rows that a lookup chooses, and the lines that compute them."""
        a = self.program.arguments.index(s.argument)
        rows = self.variables.variable(f"{s.out.name}_rows", f"np.empty(({s.out.rows}, m), np.intp)  # of {s.out.name}")
        name = argument_name(a)
        start = contiguous(s.places)
        whole = start == 0 and s.places.size == s.argument.rows
        rows_of = f"{start}:{start + s.places.size}" if start is not None else self.variables.table(s.places)
        chosen = f"{name}.T" if whole else f"{name}.T[{rows_of}]"
        n, choices = s.which.size, s.tables.shape[1]
        checks = [f"require_rows({chosen}, {choices})"]
        if s.in_branch is not None:  # a guard looks after them
            always = np.delete(s.places, s.in_branch)
            checks = [f"require_rows({name}.T[{self.variables.table(always)}], {choices})"] if always.size else []
            chosen = f"np.clip({chosen}, 0, {choices - 1})"
        first = s.tables[:, :1]
        if choices > 1:
            step = s.tables[:, 1:2] - first
            if (s.tables == first + step * np.arange(choices)).all() and (step == step[0]).all():
                base = repr(int(first[0, 0])) if (first == first[0]).all() else self.variables.table(first[s.which])
                return rows, [*checks, f"add({chosen} * {int(step[0, 0])}, {base}, out={rows})"]
        each = f"np.arange({n})" if (s.which == np.arange(n)).all() else self.variables.table(s.which)
        return rows, [*checks, f"{rows}[...] = {self.variables.table(s.tables)}[{each}[:, None], {chosen}]"]

    def _lookup(self, s: Lookup) -> list[str]:
        rows, lines = self._chosen(s)
        source, out = self.variables.flat(s.source), self.variables.flat(s.out)
        if s.source.batched:
            return [*lines, f"{out}[...] = np.take_along_axis({source}, {rows}, axis=0)"]
        return [*lines, f'take({source}, {rows}, out={out}, mode="clip")']

    def _lookupscatter(self, s: LookupScatter) -> list[str]:
        rows, _ = self._chosen(s.lookup)
        value, out = self.variables.flat(s.source), self.variables.flat(s.out)
        if s.source.rows == 1 or not s.source.batched or s.source.values is not None:
            value = f"np.broadcast_to({value}, {rows}.shape)"
        if s.out.batched:
            return [f"{out}.fill(0.0)", f"np.add.at({out}, ({rows}, np.arange(m)), {value})"]
        return [f"{out}[:, 0] = np.bincount({rows}.ravel(), {value}.ravel(), {s.out.rows})"]


def _with_operand(call: str, operand: str, replacement: str) -> str:
    """A call with another expression for one of its operands, where that stands first."""
    start = call.find(operand)
    while start >= 0:
        end = start + len(operand)
        if call[end : end + 1] in (",", ")") and not re.match(r"[\w.]", call[start - 1 : start]):
            return call[:start] + replacement + call[end:]
        start = call.find(operand, start + 1)
    return call


def _in_lines(things: Iterable[Any], width: int) -> list[list[Any]]:
    """Names, or tuples of names, in groups that fit on a line."""
    lines: list[list[Any]] = []
    room = 0
    for thing in things:
        length = sum(len(name) + 2 for name in (thing if isinstance(thing, tuple) else (thing,)))
        if length > room:
            lines.append([])
            room = width
        lines[-1].append(thing)
        room -= length
    return lines


def _wrapped(start: str, names: list[str]) -> list[str]:
    """An import of names, in parentheses if the line would be too long."""
    line = start + ", ".join(names)
    if not names:
        return []
    if len(line) <= WIDTH:
        return [line]
    return [f"{start}(", *(f"    {name}," for name in names), ")"]


def _names_in(texts: Iterable[str]) -> set[str]:
    """The names in source texts that are not attributes."""
    return set(re.findall(r"(?<![\w.])[A-Za-z]\w*", "\n".join(texts)))
