"""`hvp`: the Hessian times a vector, without the Hessian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_scalar.transforms.call import Call, is_compiled


def hvp(f: Callable[..., Any], x: Any, v: Any, *, has_aux: bool = False, compiled: bool = False) -> Any:
    """The Hessian of `f` at `x` times `v`: forward over reverse, at a small multiple of the cost of one gradient.

    The order is that of `jvp`: the function, where, along what. `f` takes the one argument x, of any kind that `grad`
    takes, and returns one Value; v and the result have the structure of x. With `has_aux`, `f` returns a pair
    (value, aux), and hvp (product, aux). `compiled` is that of `jvp`; the program is then reverse over reverse.

    TypeError or ValueError as of `grad` and `jvp`.

    >>> hvp(lambda x: x[0] ** 2 * x[1], [3.0, 2.0], [1.0, 0.0])
    [4.0, 6.0]
    """
    program = is_compiled("hvp", f, compiled)
    if program:
        from tinygrad_scalar.transforms.compiled import compiled_hvp

        return compiled_hvp(f, x, v, has_aux)
    call = Call("hvp", (x,), 0, has_aux)
    directions = call.structure.numbers_of(v, "hvp: v", "x")
    call.run(f)
    return call.with_aux(call.by_input(call.moved(call.slopes, directions)))
