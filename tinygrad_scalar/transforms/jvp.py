"""`jvp`, forward mode: the derivative along a direction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.transforms.call import Call, is_compiled


def jvp(
    f: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    has_aux: bool = False,
    compiled: bool = False,
) -> Any:
    """(f(*primals), its derivative along `tangents`): the Jacobian times a vector, in one forward pass.

    `primals` are the arguments of `f`, of the kinds that `grad` takes, and `tangents` as many, each with the structure
    of its primal. `f` returns a Value or any nesting of Values, and both results have its structure. They are made of
    floats if floats were given, else of Values. With `has_aux`, `f` returns a pair (value, aux), and jvp
    (value, derivative, aux). `compiled` is that of `grad`; programs are kept for the functions given last, 16 of jvp,
    vjp and hvp together, so that a function defined anew for each call is traced anew too.

    TypeError or ValueError if the tangents have another structure than the primals, and as of `grad`.

    >>> jvp(lambda x, y: [x * y, x + y], (3.0, 2.0), (1.0, 10.0))
    ([6.0, 5.0], [32.0, 11.0])
    """
    program = is_compiled("jvp", f, compiled)
    for name, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, (list, tuple)):
            raise TypeError(f"jvp: {name} must be a tuple with one entry for each argument of f, got {shown(given)}")
    if len(primals) != len(tangents):
        raise ValueError(f"jvp: tangents must be as many as primals, {len(primals)}, got {len(tangents)}")
    if program:
        from tinygrad_scalar.transforms.compiled import compiled_jvp

        return compiled_jvp(f, primals, tangents, has_aux)
    call = Call("jvp", primals, tuple(range(len(primals))), has_aux)
    directions = call.structure.numbers_of(tuple(tangents), "jvp: tangents", "primals")
    call.run(f)
    return call.with_aux(call.value, call.by_output(call.moved(call.outputs, directions)))
