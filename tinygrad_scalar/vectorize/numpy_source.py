"""The array program as NumPy source that a person could have written: buffers made once and reused through `out=`.

The source defines `prepare(m, parameters)`, which makes the buffers for m examples and returns two functions:
`forward(X, Y, …)` gives the mean cost, and `backward(X, Y, …)`, after it, the gradient. Arguments have a row for each
example.

An array of n rows is stored as (n, m), one that is the same for all examples as (n, 1).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.vectorize.naming import argument_name, name_arrays
from tinygrad_scalar.vectorize.program import (
    Array,
    Elementwise,
    Fold,
    Gather,
    Lookup,
    LookupScatter,
    OverExamples,
    Product,
    Program,
    Scatter,
    Statement,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

# --- element-wise operations: the lines that compute them into {out} from {0}, {1}, {2} ------------------------------
# Where there are several lines, {out} may be {0}, but no later operand; a * in front says that it may not even be that.

LINES: dict[str, str] = {
    "+": "add({0}, {1}, out={out})",
    "-": "subtract({0}, {1}, out={out})",
    "minus fixed": "subtract({0}, {1}, out={out})",
    "*": "multiply({0}, {1}, out={out})",
    "/": "divide({0}, {1}, out={out})",
    "**": "power({0}, {1}, out={out})",
    "neg": "negative({0}, out={out})",
    "abs": "absolute({0}, out={out})",
    **{name: f"{name}({{0}}, out={{out}})" for name in ("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan")},
    **{name: f"{name}({{0}}, out={{out}})" for name in ("sinh", "cosh", "tanh")},
    **{name: f"arc{name[1:]}({{0}}, out={{out}})" for name in ("asin", "acos", "atan", "asinh", "acosh", "atanh")},
    "sigmoid": "negative({0}, out={out}); exp({out}, out={out}); add({out}, 1.0, out={out}); "
    "reciprocal({out}, out={out})",
    "relu": "maximum({0}, 0.0, out={out})",
    "softplus": "logaddexp({0}, 0.0, out={out})",
    "erf": "erf({0}, out={out})",
    "maximum": "maximum({0}, {1}, out={out})",
    "minimum": "minimum({0}, {1}, out={out})",
    "logaddexp": "logaddexp({0}, {1}, out={out})",
    "greater": "greater({0}, {1}, out={out})",
    "greater_equal": "greater_equal({0}, {1}, out={out})",
    "where": "*copyto({out}, {2}); copyto({out}, {1}, where={0} != 0.0)",
    # slopes
    "positive": "greater({0}, 0.0, out={out})",
    "share": "*share({0}, {1}, out={out})",
    "share of logaddexp": "*share_of_logaddexp({0}, {1}, out={out})",
    "slope of abs": "greater_equal({0}, 0.0, out={out}); multiply({out}, 2.0, out={out}); "
    "subtract({out}, 1.0, out={out})",
    "slope of tanh": "*slope_of_tanh({0}, {1}, out={out})",
    "slope of sigmoid": "*exp({1}, out={out}); add({out}, 1.0, out={out}); divide({0}, {out}, out={out})",
    "slope of ** by x": "*slope_of_power({0}, {1}, {2}, out={out})",
    "slope of ** by y": "*slope_of_exponent({0}, {1}, out={out})",
    "slope of asin": "*multiply(1.0 - {0}, 1.0 + {0}, out={out}); sqrt({out}, out={out}); reciprocal({out}, out={out})",
    "slope of atan": "*multiply({0}, {0}, out={out}); add({out}, 1.0, out={out}); reciprocal({out}, out={out})",
    "slope of asinh": "hypot({0}, 1.0, out={out}); reciprocal({out}, out={out})",
    "slope of acosh": "*multiply(sqrt({0} - 1.0), sqrt({0} + 1.0), out={out}); reciprocal({out}, out={out})",
    "slope of atanh": "*multiply(1.0 - {0}, 1.0 + {0}, out={out}); reciprocal({out}, out={out})",
    "slope of erf": "*slope_of_erf({0}, out={out})",
}

HELPERS = {
    "slope_of_tanh": '''
def slope_of_tanh(a, z, out):
    """1 - a**2, and where that has lost digits 1/cosh(z)**2."""
    multiply(a, a, out=out)
    subtract(1.0, out, out=out)
    if minimum.reduce(out, axis=None) < 5e-4:
        saturated = np.flatnonzero(out < 5e-4)
        c = cosh(z.take(saturated))
        out.put(saturated, 1.0 / (c * c))
''',
    "require_rows": '''
def require_rows(index, n):
    """Raise if a row is looked up that is not there."""
    if index.min() < 0 or index.max() >= n:
        raise ValueError(f"rows {index.min()} to {index.max()} are looked up in a table of {n} rows, 0 to {n - 1}")
''',
    "share": '''
def share(x, y, out):
    """How much of maximum(x, y) is x: all, none, or half in a tie."""
    add(greater(x, y), greater_equal(x, y), out=out, dtype=out.dtype)
    multiply(out, 0.5, out=out)
''',
    "share_of_logaddexp": '''
def share_of_logaddexp(x, y, out):
    """exp(x)/(exp(x) + exp(y))."""
    subtract(y, x, out=out)
    exp(out, out=out)
    add(out, 1.0, out=out)
    reciprocal(out, out=out)
''',
    "slope_of_power": '''
def slope_of_power(v, x, y, out):
    """y x**(y - 1), by way of v = x**y where rounding y - 1 would be felt."""
    direct = (y - 1.0 + 1.0 == y) | (x == 0.0) | ~np.isfinite(x)
    out[...] = np.where(direct, y * power(x, y - 1.0), y * (v / x))
''',
    "slope_of_exponent": '''
def slope_of_exponent(v, x, out):
    """v log(x), which is v log(1) at x = 0."""
    multiply(v, log(np.where(x == 0.0, 1.0, x)), out=out)
''',
    "slope_of_erf": '''
def slope_of_erf(x, out):
    """2/sqrt(pi) exp(-x**2), with what x**2 lost in rounding."""
    square = x * x
    high = 134217729.0 * x
    high = high - (high - x)
    low = x - high
    lost = ((high * high - square) + 2.0 * high * low) + low * low
    out[...] = np.where(square < 745.0, 2.0 / math.sqrt(math.pi) * exp(-square) * (1.0 - lost), x * 0.0)
''',
    "erf": '''
try:
    from scipy.special import erf
except ImportError:

    def erf(x, out):
        out[...] = np.vectorize(math.erf, otypes=[float])(x)
''',
}  # fmt: skip

UFUNCS = (
    "absolute", "add", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "copyto", "cos", "cosh", "divide",
    "exp", "expm1", "greater", "greater_equal", "hypot", "log", "log1p", "logaddexp", "matmul", "maximum", "minimum",
    "multiply", "negative", "power", "reciprocal", "sin", "sinh", "sqrt", "subtract", "take", "tan", "tanh",
    "vdot",
)  # fmt: skip


def lines_of(op: str) -> tuple[str, bool]:
    """The template of an element-wise operation, and whether its first operand's memory may be the result's."""
    if op.startswith("**") and op != "**":
        n = float(op[2:])
        if n == 2.0:
            return "multiply({0}, {0}, out={out})", True
        if n == -1.0:
            return "reciprocal({0}, out={out})", True
        return f"power({{0}}, {n!r}, out={{out}})", True
    if op.startswith("leaky_relu("):
        slope = op[len("leaky_relu(") : -1]
        larger = "maximum" if float(slope) <= 1.0 else "minimum"
        return f"multiply({{0}}, {slope}, out={{out}}); {larger}({{0}}, {{out}}, out={{out}})", False
    if op.startswith("slope of leaky_relu("):
        slope = op[len("slope of leaky_relu(") : -1]
        return (
            f"greater_equal({{0}}, 0.0, out={{out}}); multiply({{out}}, 1.0 - {slope}, out={{out}}); "
            f"add({{out}}, {slope}, out={{out}})"
        ), True
    template = LINES[op]
    return template.lstrip("*"), not template.startswith("*")


# --- where an array's numbers are ------------------------------------------------------------------------------------


class _Memory:
    """A block of rows, from the first statement that writes it to the last that reads it."""

    def __init__(self, rows: int, batched: bool, name: str) -> None:
        self.rows, self.batched, self.name = rows, batched, name
        self.first, self.last = 1 << 60, -1
        self.block = -1  # memories that live at different times may share a block

    def used(self, time: int) -> None:
        self.first, self.last = min(self.first, time), max(self.last, time)


def affine(index: NDArray[np.int64]) -> tuple[int, int, int] | None:
    """(a, s, t) where index[i, j] = a + s·i + t·j, s and t above 0; for one axis t is 0. None if it is not so."""
    if index.ndim == 1:
        step = int(index[1] - index[0]) if len(index) > 1 else 1
        fits = step > 0 and (index == index[0] + step * np.arange(len(index))).all()
        return (int(index[0]), step, 0) if fits else None
    p, k = index.shape
    a = int(index[0, 0])
    t = int(index[0, 1]) - a if k > 1 else 1
    s = int(index[1, 0]) - a if p > 1 else k * t
    fits = s > 0 and t > 0 and (index == a + s * np.arange(p)[:, None] + t * np.arange(k)).all()
    return (a, s, t) if fits else None


def contiguous(index: NDArray[np.int64]) -> int | None:
    """Where the rows begin if `index` is a run of them in order."""
    flat = index.ravel()
    start = int(flat[0])
    return start if (flat == np.arange(start, start + flat.size)).all() else None


class NumpySource:
    """The source of a program; `text` is all of it, `names` what the arrays are called in it."""

    def __init__(self, program: Program, integer: Sequence[bool]) -> None:
        self.program, self.integer = program, integer
        name_arrays(program)
        self.statements = [*program.forward, *program.backward]
        self.readers: dict[Array, list[Statement]] = {}
        for statement in self.statements:
            for operand in dict.fromkeys(statement.operands):
                self.readers.setdefault(operand, []).append(statement)
        self.made_by = {statement.out: statement for statement in self.statements}
        self._find_what_is_summed()
        self.home: dict[Array, tuple[_Memory, int | None]] = {}  # the memory of an array, and where in it it begins
        self.views: dict[Array, Gather] = {}  # arrays that are rows of their source, without a copy
        self.inside: dict[Array, tuple[Array, NDArray[np.int64] | None]] = {}  # parts written where they are summed up
        self.variables: dict[tuple[str, str], str] = {}
        self.taken = {argument.name for argument in program.arguments} | set(UFUNCS)
        self.prepared: list[str] = []
        self.helpers: set[str] = set()
        self.tables: list[str] = []
        self._find_views()
        self._find_parts_in_place()
        self._give_memory()
        self._write()

    # --- planning ----------------------------------------------------------------------------------------------------

    def _find_what_is_summed(self) -> None:
        """The array whose numbers all add up to the costs, or whose squares do: sums before the mean are not needed."""
        self.summed, self.squared = self.program.cost, False
        while self.summed.batched and not self.readers.get(self.summed) and not self.squared:
            made_by = self.made_by.get(self.summed)
            self.squared = isinstance(made_by, Elementwise) and made_by.op == "**2"
            if not self.squared and not (isinstance(made_by, Fold) and made_by.op == "+" and made_by.of.batched):
                break
            assert made_by is not None
            self.statements.remove(made_by)
            self.summed = made_by.operands[0]
            self.readers[self.summed].remove(made_by)

    def _find_views(self) -> None:
        program = self.program
        self.copied = set()  # arguments that are copied into an array of their own
        for a, argument in enumerate(program.arguments):
            gathers = [s for s in self.readers.get(argument, []) if isinstance(s, Gather)]
            others = [s for s in self.readers.get(argument, []) if not isinstance(s, (Gather, Lookup))]
            if (self.integer[a] and (gathers or others)) or any(
                s.index.ndim > 1 or contiguous(s.index) is None for s in gathers
            ):
                self.copied.add(argument)
        for statement in self.statements:
            if not isinstance(statement, Gather) or statement.source.values is not None:
                continue
            if contiguous(statement.index) is not None or (
                statement.source is program.parameters
                and statement.index.ndim == 2
                and self._strided(statement.index)
                and all(isinstance(s, Product) for s in self.readers.get(statement.out, []))
            ):
                self.views[statement.out] = statement

    def _strided(self, index: NDArray[np.int64]) -> tuple[int, int, int, int] | None:
        """(a, s, p, k) where the matrix is parameters[a : a + p*s].reshape(p, s)[:, :k]."""
        found = affine(index)
        if found is None:
            return None
        a, s, t = found
        p, k = index.shape
        fits = t == 1 and k <= s and a + p * s <= self.program.parameters.rows
        return (a, s, p, k) if fits else None

    def _find_parts_in_place(self) -> None:
        for scatter in self.statements:
            if not isinstance(scatter, Scatter):
                continue
            free = np.ones(scatter.out.rows, bool)
            for part, index in scatter.parts:
                made_by = self.made_by.get(part)
                if (
                    made_by is None
                    or isinstance(made_by, Gather)
                    or part in self.inside
                    or part.batched != scatter.out.batched
                    or self.readers[part] != [scatter]
                    or part in (self.summed, *self.program.guarded)
                    or [other for other, _ in scatter.parts].count(part) > 1
                ):
                    continue
                if index is None:
                    if (
                        part.rows == scatter.out.rows
                        and free.all()
                        and not isinstance(made_by, (Scatter, LookupScatter))
                    ):
                        self.inside[part] = (scatter.out, None)
                        free[:] = False
                    continue
                rows = index.ravel()
                if part.rows != rows.size or not free[rows].all():
                    continue
                shaped = rows.reshape(part.shape)
                strided = (
                    isinstance(made_by, Product)
                    and not part.batched
                    and scatter.out is self.program.gradient
                    and shaped.ndim == 2
                    and self._strided(shaped) is not None
                )
                if contiguous(rows) is not None or strided:
                    self.inside[part] = (scatter.out, shaped)
                    free[rows] = False

    def _owner(self, array: Array) -> Array:
        """The array whose memory this one lives in."""
        while True:
            if array in self.views:
                array = self.views[array].source
            elif array in self.inside:
                array = self.inside[array][0]
            else:
                return array

    def _give_memory(self) -> None:
        program = self.program
        given = {program.parameters, *program.arguments}
        end = len(self.statements)
        last: dict[Array, int] = {}
        for time, statement in enumerate(self.statements):
            for operand in statement.operands:
                last[self._owner(operand)] = time
        for array in (self.summed, *program.guarded, program.gradient, *program.input_gradients):
            if array is not None:
                last[self._owner(array)] = end
        self.memory: dict[Array, _Memory] = {}
        for time, statement in enumerate(self.statements):
            owner = self._owner(statement.out)
            if owner in given or owner.values is not None:
                continue
            if owner not in self.memory:
                taken_over = self._taken_over(statement, time, last) if owner is statement.out else None
                if taken_over is not None:
                    self.memory[owner] = taken_over
                else:
                    self.memory[owner] = _Memory(owner.rows, owner.batched, self._free_name(owner.name))
            self.memory[owner].used(time)
            self.memory[owner].used(last.get(owner, time))
        for argument in self.copied:
            memory = self.memory[argument] = _Memory(argument.rows, True, self._free_name(argument.name))
            memory.used(-1)
            memory.used(end)
        self._share_blocks()

    def _taken_over(self, statement: Statement, time: int, last: dict[Array, int]) -> _Memory | None:
        """The memory of an operand that nobody reads afterwards, if the result may be written over it."""
        if not isinstance(statement, Elementwise) or statement.out is self.program.gradient:
            return None
        template, in_place = lines_of(statement.op)
        several = ";" in template
        for position, operand in enumerate(statement.of):
            owner = self._owner(operand)
            memory = self.memory.get(owner)
            if (
                memory is not None
                and operand is owner
                and operand not in self.copied
                and (in_place if position == 0 else in_place and not several)
                and (operand.rows, operand.batched) == (statement.out.rows, statement.out.batched)
                and last[owner] == time
                and memory.last == time
                and owner is not self.program.gradient
            ):
                return memory
        return None

    def _share_blocks(self) -> None:
        gradient = None if self.program.gradient is None else self.memory[self._owner(self.program.gradient)]
        free: dict[tuple[int, bool], list[tuple[int, int]]] = {}  # (the time it was last read, block)
        self.blocks: list[list[_Memory]] = []
        for memory in sorted(dict.fromkeys(self.memory.values()), key=lambda memory: memory.first):
            if memory is gradient:
                continue
            waiting = free.setdefault((memory.rows, memory.batched), [])
            for i, (until, block) in enumerate(waiting):
                if until < memory.first:
                    memory.block = block
                    waiting.pop(i)
                    break
            else:
                memory.block = len(self.blocks)
                self.blocks.append([])
            self.blocks[memory.block].append(memory)
            waiting.append((memory.last, memory.block))

    # --- naming the places -------------------------------------------------------------------------------------------

    def _variable(self, wanted: str, expression: str, *, where: list[str] | None = None) -> str:
        """A variable that holds an expression, made once."""
        known = self.variables.get(("", expression))
        if known is None:
            name = self._free_name(wanted)
            (self.prepared if where is None else where).append(f"{name} = {expression}")
            known = self.variables["", expression] = name
        return known

    def _table(self, values: NDArray[Any], wanted: str = "index") -> str:
        text = np.array2string(
            values, separator=", ", threshold=values.size + 1, max_line_width=110, floatmode="unique"
        ).replace("\n", "\n    ")
        text = re.sub(r"\binf\b", "np.inf", re.sub(r"\bnan\b", "np.nan", text))
        return self._variable(wanted, f"np.array({text})", where=self.tables)

    def _constant(self, array: Array) -> str:
        values = array.values
        assert values is not None
        distinct = np.unique(values)
        if distinct.size == 1 and np.isfinite(distinct[0]):
            return repr(float(distinct[0]))
        table = self._table(values.ravel(), "constants")
        return self._variable("c", f"{table}.astype(dtype).reshape(-1, 1)")

    def flat(self, array: Array) -> str:
        """The expression for an array as (rows, m), or (rows, 1) where it is not batched."""
        if array.values is not None:
            return self._constant(array)
        program = self.program
        if array is program.parameters:
            return self._variable("theta", "parameters.reshape(-1, 1)")
        if array in program.arguments and array not in self.copied:
            return array.name
        if array in self.views:
            gather = self.views[array]
            start = contiguous(gather.index)
            assert start is not None, "a strided view is read as a matrix only"
            return self._rows(self.flat(gather.source), gather.source, start, array)
        if array in self.inside:
            whole, index = self.inside[array]
            if index is None:
                return self.flat(whole)
            start = contiguous(index)
            assert start is not None, "a strided view is written as a matrix only"
            return self._rows(self.flat(whole), whole, start, array)
        if array is program.gradient:
            return self._variable("dtheta", "gradient.reshape(-1, 1)")
        name = self.memory[array].name
        return name if array.name == re.sub(r"_\d+$", "", name) else self._variable(array.name, name)

    def _free_name(self, wanted: str) -> str:
        name, i = wanted, 1
        while name in self.taken:
            i += 1
            name = f"{wanted}_{i}"
        self.taken.add(name)
        return name

    def _rows(self, source: str, of: Array, start: int, array: Array) -> str:
        if start == 0 and array.rows == of.rows:
            return source
        expression = f"{source}[{start}:{start + array.rows}]"
        if of in self.program.arguments and of not in self.copied:
            return expression
        if of is self.program.parameters or of is self.program.gradient:
            vector = "parameters" if of is self.program.parameters else "gradient"
            expression = f"{vector}[{start}:{start + array.rows}].reshape(-1, 1)"
        return self._variable(array.name, expression)

    def matrix(self, array: Array, shape: tuple[int, int]) -> str:
        """The expression for an array as a matrix of `shape`; what is batched has its columns side by side."""
        program = self.program
        for known, vector in ((self.views.get(array), "parameters"), (self.inside.get(array), "gradient")):
            if known is None:
                continue
            whole, index = (known.source, known.index) if isinstance(known, Gather) else known
            if whole is not (program.parameters if vector == "parameters" else program.gradient) or index is None:
                continue
            start = contiguous(index)
            if start is not None:
                return self._variable(array.name, f"{vector}[{start}:{start + array.rows}].reshape{shape}")
            a, s, p, k = self._strided(index.reshape(shape)) or (0, 0, 0, 0)
            return self._variable(array.name, f"{vector}[{a}:{a + p * s}].reshape({p}, {s})[:, :{k}]")
        if array.values is not None:
            table = self._table(np.broadcast_to(array.values.reshape(-1), (math.prod(shape),)).reshape(shape), "matrix")
            return self._variable("M", f"{table}.astype(dtype)")
        if array is program.parameters:
            return self._variable("matrix", f"parameters.reshape{shape}")
        flat = self.flat(array)
        if array.batched:
            return flat if shape[1] == 1 else self._variable(f"{array.name}_m", f"{flat}.reshape({shape[0]}, -1)")
        return self._variable(f"{array.name}_m", f"{flat}.reshape{shape}")

    # --- writing -----------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        program = self.program
        names = [argument_name(a) for a in range(len(program.arguments))]
        kept = set(map(id, self.statements))
        forward, backward = (
            self._lines(s for s in statements if id(s) in kept) for statements in (program.forward, program.backward)
        )
        copies = [
            f"copyto({self.memory[a].name}, {names[i]}.T)" for i, a in enumerate(program.arguments) if a in self.copied
        ]
        forward = [*copies, *self._local(forward, names), *forward]
        backward = [*self._local(backward, names), *backward]
        value = self._mean()
        guarded = "".join(f", {self.flat(array)}" for array in program.guarded)
        forward.append(f"return {value}{guarded}")
        results = ["gradient", *(f"{self.flat(d)}.T" for d in program.input_gradients)]
        scale = " / m" if program.cost.batched else " * 1.0"
        backward.append(f"return {', '.join(result + scale for result in results)}")
        buffers = []
        for block in self.blocks:
            memory = block[0]
            shared = " = ".join(dict.fromkeys(memory.name for memory in block))
            buffers.append(f"{shared} = np.empty(({memory.rows}, {'m' if memory.batched else 1}), dtype)")
        arguments = ", ".join(names)
        body = [
            "def prepare(m, parameters):",
            '    """The two passes over m examples; every array has a column for each."""',
            "    dtype = parameters.dtype",
            f"    gradient = np.zeros({program.parameters.rows}, dtype)",
            *(f"    {line}" for line in [*buffers, *self.prepared]),
            "",
            f"    def forward({arguments}):",
            *(f"        {line}" for line in forward),
            "",
            f"    def backward({arguments}):",
            *(f"        {line}" for line in backward),
            "",
            "    return forward, backward",
        ]
        used = set(re.findall(r"\w+", "\n".join(body)))
        helpers = "".join(HELPERS[name] for name in HELPERS if name in used)
        used |= set(re.findall(r"\w+", helpers))
        imported = ", ".join(name for name in UFUNCS if name in used)
        head = ["import math\n"] if "math" in used else []
        head += ["import numpy as np", f"from numpy import {imported}" if imported else ""]
        tables = "".join(f"{line}\n" for line in self.tables)
        self.text = "\n".join([*head, helpers, tables, "", *body, ""])

    def _mean(self) -> str:
        """The expression for the mean of the costs."""
        cost, summed = self.program.cost, self.flat(self.summed)
        if not cost.batched:
            return f"float({summed}[0, 0])" if cost.values is None else summed
        return f"vdot({summed}, {summed}) / m" if self.squared else f"add.reduce({summed}, axis=None) / m"

    def _local(self, lines: list[str], names: Sequence[str]) -> list[str]:
        """The lines that turn the arguments that `lines` read into columns."""
        local = []
        for i, argument in enumerate(self.program.arguments):
            if argument not in self.copied and any(re.search(rf"\b{argument.name}\b", line) for line in lines):
                local.append(f"{argument.name} = {names[i]}.T")
        return local

    def _lines(self, statements: Iterable[Statement]) -> list[str]:
        lines: list[str] = []
        for statement in statements:
            if statement.out in self.views:
                continue
            lines.extend(getattr(self, f"_{type(statement).__name__.lower()}")(statement))
        return lines

    def _gather(self, s: Gather) -> list[str]:
        if s.source.values is not None:
            return [f"{self.flat(s.out)}[...] = {self.flat(s.source)}"]
        index = self._table(s.index.ravel())
        return [f'take({self.flat(s.source)}, {index}, axis=0, out={self.flat(s.out)}, mode="clip")']

    def _elementwise(self, s: Elementwise) -> list[str]:
        template, _ = lines_of(s.op)
        operands = [self.flat(operand) for operand in s.of]
        return template.format(*operands, out=self.flat(s.out)).split("; ")

    def _product(self, s: Product) -> list[str]:
        if s.form == "LR":
            p, k = s.left.shape
            q = s.out.rows // p
            left, right, out = self.matrix(s.left, (p, k)), self.matrix(s.right, (k, q)), self.matrix(s.out, (p, q))
            return [f"matmul({left}, {right}, out={out})"]
        if s.form == "TR":
            p, k = s.left.shape
            q = s.right.rows // p
            left, right, out = self.matrix(s.left, (p, k)), self.matrix(s.right, (p, q)), self.matrix(s.out, (k, q))
            return [f"matmul({left}.T, {right}, out={out})"]
        p, k = s.out.shape
        q = s.left.rows // p
        left, right, out = self.matrix(s.left, (p, q)), self.matrix(s.right, (k, q)), self.matrix(s.out, (p, k))
        return [f"matmul({left}, {right}.T, out={out})"]

    def _fold(self, s: Fold) -> list[str]:
        n, k = s.of.shape if len(s.of.shape) == 2 else (1, s.of.rows)
        ufunc = {"+": "add"}.get(s.op, s.op)
        of, out = self.flat(s.of), self.flat(s.out)
        if n == 1:
            return [f"{ufunc}.reduce({of}, axis=0, keepdims=True, out={out})"]
        if s.of in self.program.arguments and s.of not in self.copied:
            return [f"{ufunc}.reduce({of}.reshape({n}, {k}, -1), axis=1, out={out})"]
        cube = self._variable(f"{s.of.name}_rows", f"{of}.reshape({n}, {k}, -1)")
        return [f"{ufunc}.reduce({cube}, axis=1, out={out})"]

    def _overexamples(self, s: OverExamples) -> list[str]:
        out = self.flat(s.out)
        if not s.of.batched or s.of.values is not None:
            return [f"multiply({self.flat(s.of)}, m, out={out})"]
        return [f"add.reduce({self.flat(s.of)}, axis=1, keepdims=True, out={out})"]

    def _scatter(self, s: Scatter) -> list[str]:
        lines: list[str] = []
        if s.out is self.program.gradient and not s.parts:
            return lines
        out = self.flat(s.out)
        free = np.ones(s.out.rows, bool)
        later = []
        for part, index in s.parts:
            if part in self.inside and self.inside[part][0] is s.out:
                free[slice(None) if index is None else index.ravel()] = False
            else:
                later.append((part, None if index is None else index.ravel()))
        for part, index in later:
            value = self.flat(part)
            if index is None:
                if free.all():
                    lines.append(f"{out}[...] = {value}")
                else:
                    lines.extend(self._zeros(out, free))
                    lines.append(f"add({out}, {value}, out={out})")
                free[:] = False
                continue
            unique = np.unique(index).size == index.size
            start = contiguous(index)
            target = f"{out}[{start}:{start + index.size}]" if start is not None else f"{out}[{self._table(index)}]"
            if unique and free[index].all():
                lines.append(f"{target} = {value}")
            else:
                wanted = np.zeros_like(free)
                wanted[index] = True
                lines.extend(self._zeros(out, free & wanted))
                if unique:
                    lines.append(f"{target} += {value}")
                else:
                    lines.append(f"np.add.at({out}, {self._table(index)}, {value})")
            free[index] = False
        lines.extend(self._zeros(out, free))
        return lines

    def _zeros(self, out: str, rows: NDArray[np.bool_]) -> list[str]:
        if not rows.any():
            return []
        index = np.flatnonzero(rows)
        if rows.all():
            return [f"{out}.fill(0.0)"]
        start = contiguous(index)
        if start is not None:
            return [f"{out}[{start}:{start + index.size}] = 0.0"]
        return [f"{out}[{self._table(index)}] = 0.0"]

    # --- lookups -----------------------------------------------------------------------------------------------------

    def _chosen(self, s: Lookup) -> tuple[str, list[str]]:
        """The variable of the rows that a lookup chooses, and the line that computes them."""
        a = self.program.arguments.index(s.argument)
        rows = self._variable(f"{s.out.name}_rows", f"np.empty(({s.out.rows}, m), np.intp)  # of {s.out.name}")
        name = argument_name(a)
        start = contiguous(s.places)
        whole = start == 0 and s.places.size == s.argument.rows
        rows_of = f"{start}:{start + s.places.size}" if start is not None else self._table(s.places)
        chosen = f"{name}.T" if whole else f"{name}.T[{rows_of}]"
        n, choices = s.table.shape
        check = f"require_rows({chosen}, {choices})"
        first = s.table[:, :1]
        if choices > 1:
            step = s.table[:, 1:2] - first
            if (s.table == first + step * np.arange(choices)).all() and (step == step[0]).all():
                base = repr(int(first[0, 0])) if (first == first[0]).all() else f"{self._table(first)}"
                return rows, [check, f"add({chosen} * {int(step[0, 0])}, {base}, out={rows})"]
        return rows, [check, f"{rows}[...] = {self._table(s.table)}[np.arange({n})[:, None], {chosen}]"]

    def _lookup(self, s: Lookup) -> list[str]:
        rows, lines = self._chosen(s)
        source, out = self.flat(s.source), self.flat(s.out)
        if s.source.batched:
            return [*lines, f"{out}[...] = np.take_along_axis({source}, {rows}, axis=0)"]
        return [*lines, f'take({source}, {rows}, out={out}, mode="clip")']

    def _lookupscatter(self, s: LookupScatter) -> list[str]:
        rows, _ = self._chosen(s.lookup)
        value, out = self.flat(s.of), self.flat(s.out)
        if s.of.rows == 1 or not s.of.batched or s.of.values is not None:
            value = f"np.broadcast_to({value}, {rows}.shape)"
        if s.out.batched:
            return [f"{out}.fill(0.0)", f"np.add.at({out}, ({rows}, np.arange(m)), {value})"]
        return [f"{out}[:, 0] = np.bincount({rows}.ravel(), {value}.ravel(), {s.out.rows})"]
