"""`jacobian`: the derivative of each output by each number of an argument."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_scalar.engine import Value, tangents
from tinygrad_scalar.transforms.call import Call, is_compiled, required_argnums
from tinygrad_scalar.transforms.derived import derived
from tinygrad_scalar.transforms.sparse import sparse_matrix
from tinygrad_scalar.transforms.structure import nested


def jacobian(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    *,
    has_aux: bool = False,
    sparse: bool = False,
    compiled: bool = False,
) -> Callable[..., Any]:
    """The function that returns the Jacobian of `f`, which returns a Value or any nesting of Values.

    In place of each output stands the structure of the argument `argnums`, as `grad` would return it for that output;
    of arrays, an array of shape output.shape + argument.shape. It takes forward mode, a pass for each input, if there
    are at least as many outputs as inputs, and else reverse mode, a pass for each output. `argnums`, `has_aux` and
    `compiled` are those of `grad`, as are the kinds of arguments, and when the result is made of floats.

    With `sparse` the result is a sparse matrix of floats, a SciPy `csr_array`, with a row for each output and a column
    for each input, in the order in which they stand. Which entries it has is read from the graph: one that can be other
    than 0 is there, even if it happens to be 0. Columns that share no row are computed in one pass, and long rows by
    themselves. Values from outside of `f` are then a TypeError, because a matrix of floats would lose their gradients.

    Other errors are those of `grad`, and ImportError if `sparse` finds no SciPy.

    >>> jacobian(lambda x: [x[0] * x[1], x[0] + x[1]])([2.0, 3.0])
    [[3.0, 2.0], [1.0, 1.0]]
    >>> import numpy as np
    >>> jacobian(lambda x: x[1:] - x[:-1], sparse=True)(np.array([1.0, 4.0, 9.0])).toarray().tolist()
    [[-1.0, 1.0, 0.0], [0.0, -1.0, 1.0]]
    """
    argnums = required_argnums("jacobian", argnums)
    options = {"argnums": argnums, "has_aux": has_aux, "sparse": sparse, "compiled": compiled}
    if is_compiled("jacobian", f, compiled):
        from tinygrad_scalar.transforms.compiled import matrix

        made = matrix("jacobian", f, argnums, has_aux, second=False, sparse=sparse)
        return derived(jacobian, f, made, **options)

    def of_all(*args: Any, **kwargs: Any) -> Any:
        call = Call("jacobian", args, argnums, has_aux).run(f, kwargs)
        if sparse:
            return call.with_aux(sparse_matrix(call, call.outputs))
        rows = derivatives(call, call.outputs)

        def entries(ranges: tuple[range, ...]) -> list[Any]:
            outputs, inputs = ranges
            return [rows[i][j] for i in outputs for j in inputs]

        return call.with_aux(nested([call.returns, call.structure], entries))

    return derived(jacobian, f, of_all, **options)


def derivatives(call: Call, outputs: Sequence[Any], *, forward: bool = False) -> list[list[Any]]:
    """∂output/∂input, settled, for each output and each input of the call; in forward mode if asked or cheaper."""
    inputs = call.inputs
    n, m = len(inputs), len(outputs)
    forward = forward or m >= n
    if call.closed:
        linear = call.linear_of(outputs)
        if forward:
            columns = [linear.push(_only(j, n)) for j in range(n)]
            return [list(row) for row in zip(*columns)] if columns else [[] for _ in outputs]
        return [linear.pull(_only(i, m)) for i in range(m)]
    roots = [output for output in outputs if isinstance(output, Value)]
    if forward:
        moved = [iter(tangents(roots, [x], [1.0])) for x in inputs]
        rows = [[next(column) if isinstance(output, Value) else 0.0 for column in moved] for output in outputs]
    else:
        rows = [call.slopes_of(output) for output in outputs]
    as_values = [isinstance(x, Value) for x in call.given] * len(outputs)
    settled = iter(call.settled([number for row in rows for number in row], as_values))
    return [[next(settled) for _ in inputs] for _ in outputs]


def _only(place: int, size: int) -> list[float | None]:
    return [1.0 if i == place else None for i in range(size)]
