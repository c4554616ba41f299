"""`vjp`, reverse mode: the value of a function, and the function that pulls gradients back through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_scalar.engine import Value, gradients
from tinygrad_scalar.transforms.call import Call, is_compiled


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False, compiled: bool = False) -> Any:
    """(f(*primals), pullback): `pullback(weights)` is the tuple of the gradients of Σ weight · output.

    The primals are of the kinds that `grad` takes; `f` returns a Value or any nesting of Values. `weights` has the
    structure of what `f` returned; the pullback returns a gradient for each primal, with its structure and types, and
    can be called any number of times. With `has_aux`, `f` returns a pair (value, aux), and vjp (value, pullback, aux).
    `compiled` is that of `jvp`; the pullback then reads what `f` reads from outside, such as weights, when it runs.

    TypeError or ValueError if the weights have another structure, and as of `grad`.

    >>> value, pullback = vjp(lambda x, y: [x * y, x + y], 3.0, 2.0)
    >>> value, pullback([1.0, 10.0])
    ([6.0, 5.0], (12.0, 13.0))
    """
    program = is_compiled("vjp", f, compiled)
    if program:
        from tinygrad_scalar.transforms.compiled import compiled_vjp

        return compiled_vjp(f, primals, has_aux)
    call = Call("vjp", primals, tuple(range(len(primals))), has_aux).run(f)
    linear = call.linear if call.closed else None  # read now: what the caller changes later does not matter

    def pullback(weights: Any) -> Any:
        numbers = call.returns.numbers_of(weights, "pullback: the weights", "what the function returned")
        if linear and not any(isinstance(number, Value) for number in numbers):
            return call.structure.build(linear.pull(numbers))
        terms = [weight * output for weight, output in zip(numbers, call.outputs) if isinstance(output, Value)]
        total = terms[0] if terms else Value(0.0)
        for term in terms[1:]:
            total = total + term
        return call.by_input(gradients(total, call.inputs))

    return call.with_aux(call.value, pullback)
