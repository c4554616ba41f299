"""`grad` and `value_and_grad`: from a function to the function of its gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_scalar.transforms.call import Call, is_compiled, required_argnums
from tinygrad_scalar.transforms.derived import derived
from tinygrad_scalar.transforms.structure import filled


def grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, *, has_aux: bool = False, compiled: bool = False
) -> Callable[..., Any]:
    """The function that returns the gradient of `f`, which must return one Value.

    `f` is called with a Value for each number of the argument `argnums` (of several, if it is a sequence: the result is
    then a tuple). Such an argument is a float, a Value, an array of them, or a list, tuple or dict in any nesting; the
    gradient has its structure and types. It is made of floats where floats were given, and of Values, to be
    differentiated again, where Values were. Where the gradient depends on other Values, such as the weights of a
    network that `f` uses, it is made of Values too, so that nothing of their gradients is lost.

    The other arguments can be anything. With `has_aux`, `f` returns a pair (value, aux), and its gradient function
    (gradient, aux). No `.grad` changes.

    With `compiled`, `f` is traced by `vectorize` at the first call, and later calls run that program: the results are
    always made of floats. `f` gets Values in place of all floats and arrays of floats, those of other arguments too.
    Integers, texts and arrays of integers stay as they are; with others of them, or arguments nested otherwise or of
    other shapes, `f` is traced again. It must not branch on a traced number: `ts.where` chooses. What it reads from
    outside, such as a network's weights, it can read as in `vectorize`: when a Value is set, the next call sees it. Aux
    then consists of Values, numbers and texts. Arguments that are Values or anything else are a TypeError.

    TypeError if `f` returns several numbers (use `jacobian`) or a float, or if an argument holds an integer or anything
    else that has no derivative; ValueError if `argnums` names an argument that is not there.

    >>> grad(lambda x: x**3)(2.0)
    12.0
    >>> grad(grad(lambda x: x**3))(2.0)
    12.0
    >>> grad(lambda p, t: p["a"] * t + p["b"])({"a": 1.0, "b": 2.0}, 3)
    {'a': 3.0, 'b': 1.0}
    """
    argnums = required_argnums("grad", argnums)
    if is_compiled("grad", f, compiled):
        from tinygrad_scalar.transforms.compiled import slopes

        run = slopes("grad", f, argnums, has_aux)

        def by_program(*args: Any, **kwargs: Any) -> Any:
            program, _, found, aux = run(args, kwargs)
            return program.with_aux(aux, filled(program.structure, found))

        return derived(grad, f, by_program, argnums=argnums, has_aux=has_aux, compiled=True)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        call = Call("grad", args, argnums, has_aux).run(f, kwargs)
        return call.with_aux(_gradient(call))

    return derived(grad, f, gradient, argnums=argnums, has_aux=has_aux)


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, *, has_aux: bool = False, compiled: bool = False
) -> Callable[..., Any]:
    """The function that returns the value of `f` and its gradient: `grad` says which, and what `compiled` does.

    With `has_aux` it returns ((value, aux), gradient).

    >>> value_and_grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 3.0)
    (6.0, (3.0, 2.0))
    """
    argnums = required_argnums("value_and_grad", argnums)
    if is_compiled("value_and_grad", f, compiled):
        from tinygrad_scalar.transforms.compiled import slopes

        run = slopes("value_and_grad", f, argnums, has_aux)

        def by_program(*args: Any, **kwargs: Any) -> Any:
            program, value, found, aux = run(args, kwargs)
            return program.with_aux(aux, value), filled(program.structure, found)

        return derived(value_and_grad, f, by_program, argnums=argnums, has_aux=has_aux, compiled=True)

    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        call = Call("value_and_grad", args, argnums, has_aux).run(f, kwargs)
        gradient = _gradient(call)
        return call.with_aux(call.value), gradient

    return derived(value_and_grad, f, value_and_gradient, argnums=argnums, has_aux=has_aux)


def _gradient(call: Call) -> Any:
    output = call.output  # raises if there are several
    if call.closed:
        return call.structure.build(call.linear.pull([1.0]))
    return call.by_input(call.slopes_of(output))
