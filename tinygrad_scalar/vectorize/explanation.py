"""What `step.explain()` prints: which scalars became which array."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinygrad_scalar.vectorize.program import Elementwise, Fold, Gather, Lookup, Product, Scatter

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.program import Array, Program, Statement
    from tinygrad_scalar.vectorize.trace import Trace


def explanation(trace: Trace, program: Program) -> str:
    """A line for each array of the forward pass."""
    rows = [
        (what, _told(statement)) for statement in program.forward if (what := _scalars(statement, program)) is not None
    ]
    width = max((len(what) for what, _ in rows), default=0)
    lines = [f"{len(trace.tape.nodes):,} scalars of one example, {len(program.forward)} arrays"]
    lines += [f"{what:>{width}} → {told}" for what, told in rows]
    if trace.constants:
        names = ", ".join(sorted(set(trace.constants))[:8])
        lines.append(f"constants, because they are not among the parameters: {names}")
    return "\n".join(lines)


def _shape(array: Array) -> str:
    return "×".join(str(n) for n in (array.shape if len(array.shape) > 1 else (array.rows, 1)))


def _scalars(statement: Statement, program: Program) -> str | None:
    if isinstance(statement, Product):
        k = statement.left.shape[1]
        return _counted(statement.out.rows * k, "product")
    if isinstance(statement, Gather):
        if statement.source is program.parameters:
            return _counted(statement.out.rows, "parameter")
        return _counted(statement.out.rows, "value")
    return _counted(statement.out.rows, "value")


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _name(array: Array) -> str:
    if array.values is not None:
        return repr(float(array.values.flat[0])) if array.rows == 1 else "constants"
    return array.name


def _told(statement: Statement) -> str:
    out = statement.out.name
    if isinstance(statement, Product):
        left, right = statement.left, statement.right
        return (
            f"{out} = {_name(left)} ({_shape(left)}) @ {_name(right)} ({right.rows // left.shape[1] * left.shape[1]}×m)"
        )
    if isinstance(statement, Elementwise):
        return f"{out} = {statement.op}({', '.join(_name(a) for a in statement.of)})"
    if isinstance(statement, Gather):
        return f"{out}, rows of {_name(statement.source)}"
    if isinstance(statement, Fold):
        fold = "sum" if statement.op == "+" else statement.op
        return f"{out} = {fold} of each {statement.of.shape[-1]} of {_name(statement.of)}"
    if isinstance(statement, Lookup):
        return f"{out}, looked up in {_name(statement.source)}"
    assert isinstance(statement, Scatter)
    return f"{out}, put together from {', '.join(_name(part) for part, _ in statement.parts)}"
