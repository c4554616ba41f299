"""`hessian`: all second derivatives of a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_scalar.transforms.call import Call, is_compiled, required_argnums
from tinygrad_scalar.transforms.derived import derived
from tinygrad_scalar.transforms.jacobian import derivatives
from tinygrad_scalar.transforms.sparse import sparse_matrix
from tinygrad_scalar.transforms.structure import nested


def hessian(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    *,
    has_aux: bool = False,
    sparse: bool = False,
    compiled: bool = False,
) -> Callable[..., Any]:
    """The function that returns the Hessian of `f`: forward mode over the gradient that reverse mode recorded.

    In place of each number of the argument stands the structure of the argument; of an array, an array of shape
    argument.shape + argument.shape. If `f` returns several Values, there is a Hessian in place of each. `argnums`,
    `has_aux`, `sparse` and `compiled` are those of `jacobian`; for a sparse Hessian `f` must return one Value.

    Errors are those of `jacobian`.

    >>> hessian(lambda x: x[0] ** 2 * x[1])([3.0, 2.0])
    [[4.0, 6.0], [6.0, 0.0]]
    >>> hessian(lambda a, b: a * a * b, argnums=(0, 1))(3.0, 2.0)
    ((4.0, 6.0), (6.0, 0.0))
    """
    argnums = required_argnums("hessian", argnums)
    options = {"argnums": argnums, "has_aux": has_aux, "sparse": sparse, "compiled": compiled}
    if is_compiled("hessian", f, compiled):
        from tinygrad_scalar.transforms.compiled import matrix

        made = matrix("hessian", f, argnums, has_aux, second=True, sparse=sparse)
        return derived(hessian, f, made, **options)

    def of_all(*args: Any, **kwargs: Any) -> Any:
        call = Call("hessian", args, argnums, has_aux).run(f, kwargs)
        if sparse:
            return call.with_aux(sparse_matrix(call, call.slopes, symmetric=True))
        rows = [derivatives(call, call.slopes_of(output), forward=True) for output in call.outputs]

        def entries(ranges: tuple[range, ...]) -> list[Any]:
            outputs, first, second = ranges
            return [rows[i][j][k] for i in outputs for j in first for k in second]

        return call.with_aux(nested([call.returns, call.structure, call.structure], entries))

    return derived(hessian, f, of_all, **options)
