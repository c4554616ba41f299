"""Each wrong use is one line that says what to do."""

import math
import re

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value

square = lambda x: x * x  # noqa: E731
total = lambda x: ts.sum(x)  # noqa: E731
cycle = [1.0]
cycle.append(cycle)

CASES = {
    "several outputs": (
        lambda: ts.grad(lambda x: [x, x])(1.0),
        TypeError,
        "grad expects a function that returns one Value, got a list of 2: use jacobian",
    ),
    "an array of one": (lambda: ts.grad(lambda x: x)(np.ones(1)), TypeError, "got an array of shape (1,)"),
    "a pair without has_aux": (
        lambda: ts.value_and_grad(lambda x: (x, 1.0))(1.0),
        TypeError,
        "or has_aux=True for the first of a pair",
    ),
    "hvp of several outputs": (
        lambda: ts.hvp(lambda x: [x, x], 1.0, 1.0),
        TypeError,
        "hvp expects a function that returns one Value, got a list of 2: use jvp of jacobian(f)",
    ),
    "a sparse Hessian of several outputs": (
        lambda: ts.hessian(lambda x: [x, x], sparse=True)(1.0),
        TypeError,
        "hessian expects a function that returns one Value, got a list of 2: leave out sparse",
    ),
    "gradient by a dict": (
        lambda: ts.gradient(Value(1.0), {"w": Value(1.0)}),
        TypeError,
        "(dict): use list(….values()), or grad",
    ),
    "gradient by a nested list": (
        lambda: ts.gradient(Value(1.0), [[Value(1.0)]]),
        TypeError,
        "(list): make it one flat list",
    ),
    "argnums an array": (
        lambda: ts.grad(square, argnums=np.array([0])),
        TypeError,
        "argnums must be an integer or a sequence of integers, got array([0]) (ndarray)",
    ),
    "lost by .data": (
        lambda: ts.grad(lambda x: x.data * 2.0)(3.0),
        TypeError,
        "grad: the function returned 6.0 (float), which does not depend on its argument: it was lost on the "
        "way, through .data, float(), or a function of math where ts.exp or x.exp() would keep it",
    ),
    "lost in a list": (
        lambda: ts.jacobian(lambda x: [x.data, 1.0])(3.0),
        TypeError,
        "the function returned a list of 2, which",
    ),
    "lost by math": (lambda: ts.grad(lambda x: math.exp(x))(3.0), TypeError, "to keep the gradient, use v.exp()"),
    "nothing returned": (lambda: ts.grad(lambda x: None)(3.0), TypeError, "grad: the function returned None: a return"),
    "text returned": (
        lambda: ts.jacobian(lambda x: {"a": [x, "b"]})(3.0),
        TypeError,
        "jacobian: what the function returned['a'][1] must be a Value, an array of Values, or a list, tuple "
        "or dict of them, got 'b' (str)",
    ),
    "an int": (
        lambda: ts.grad(square)(3),
        TypeError,
        "grad: argument 0 must be a float to be differentiated by, got 3 (int): write 3.0, or choose other "
        "arguments with argnums",
    ),
    "an int inside": (lambda: ts.jacobian(total)({"w": [1.0, 2]}), TypeError, "argument 0['w'][1] must be a float"),
    "a bool": (lambda: ts.grad(square)(True), TypeError, "must be a float to be differentiated by, got True (bool)"),
    "a NumPy integer": (lambda: ts.grad(square)(np.int32(3)), TypeError, "(int32)"),
    "an array of integers": (
        lambda: ts.grad(square, 1)(1.0, np.arange(3)),
        TypeError,
        "grad: argument 1 must be an array of floats to be differentiated by, got dtype int64: use "
        ".astype(float), or choose other arguments with argnums",
    ),
    "an int among objects": (
        lambda: ts.grad(square)(np.array([[Value(1.0), 2]], object)),
        TypeError,
        "argument 0[(0, 1)] must be",
    ),
    "complex": (
        lambda: ts.grad(square)(1j),
        TypeError,
        "argument 0 must be a float, a Value, an array of these, or a list",
    ),
    "a complex array": (lambda: ts.grad(square)(np.array([1j])), TypeError, "dtype complex128"),
    "text": (lambda: ts.grad(total)([1.0, "relu"]), TypeError, "argument 0[1] must be a float, a Value"),
    "a masked array": (
        lambda: ts.grad(total)(np.ma.array([1.0])),
        TypeError,
        "must be a plain array, got a MaskedArray",
    ),
    "a list in itself": (lambda: ts.grad(total)(cycle), ValueError, "argument 0[1] contains itself"),
    "no such argument": (
        lambda: ts.grad(square, argnums=2)(1.0, 2.0),
        ValueError,
        "grad: argnums must name an argument given by position, got 2 with 2 of them",
    ),
    "no such argument from the end": (lambda: ts.hessian(square, -2)(1.0), ValueError, "got -2 with 1 of them"),
    "given by name": (
        lambda: ts.grad(square)(x=1.0),
        ValueError,
        "argnums must name an argument given by position, got 0 with none",
    ),
    "argnums of a wrong kind": (
        lambda: ts.grad(square, argnums="x"),
        TypeError,
        "argnums must be an integer or a sequence of integers",
    ),
    "argnums twice": (lambda: ts.grad(square, argnums=(0, 0)), ValueError, "and each once, got (0, 0)"),
    "argnums twice from the end": (
        lambda: ts.grad(square, argnums=(0, -1))(1.0),
        ValueError,
        "each argument once, got (0, -1)",
    ),
    "no argnums": (lambda: ts.jacobian(square, argnums=()), ValueError, "at least one argument"),
    "not a function": (
        lambda: ts.grad(Value(3.0) ** 2),
        TypeError,
        "grad expects a function, got Value(data=9.0, grad=0.0) (Value): give it the function, not what it returned",
    ),
    "not a function, at once": (lambda: ts.hvp(3.0, 1.0, 1.0), TypeError, "hvp expects a function, got 3.0 (float)"),
    "has_aux without a pair": (
        lambda: ts.grad(square, has_aux=True)(1.0),
        TypeError,
        "grad with has_aux=True expects the function to return a pair, (value, aux), got Value(",
    ),
    "has_aux with three": (lambda: ts.vjp(lambda x: (x, 1, 2), 1.0, has_aux=True), TypeError, "got a tuple of 3"),
    "primals that are no tuple": (
        lambda: ts.jvp(square, 1.0, (1.0,)),
        TypeError,
        "jvp: primals must be a tuple with one entry for each argument of f, got 1.0 (float)",
    ),
    "fewer tangents": (
        lambda: ts.jvp(square, (1.0, 2.0), (1.0,)),
        ValueError,
        "tangents must be as many as primals, 2, got 1",
    ),
    "tangents of another structure": (
        lambda: ts.jvp(total, ([1.0, 2.0],), ([1.0],)),
        TypeError,
        "jvp: tangents must have the structure of primals: expected a list of 2 at [0], got a list of 1",
    ),
    "a tuple for a list": (lambda: ts.jvp(total, ([1.0],), ((1.0,),)), TypeError, "expected a list of 1"),
    "a list for a number": (lambda: ts.jvp(square, (1.0,), ([1.0],)), TypeError, "expected a number at"),
    "other keys": (lambda: ts.hvp(square, {"a": 1.0}, {"b": 1.0}), TypeError, "expected a dict with the keys 'a', got"),
    "another shape": (
        lambda: ts.hvp(square, np.ones(2), np.ones(3)),
        TypeError,
        "expected an array of shape (2,), got an array of shape (3,)",
    ),
    "text as a tangent": (
        lambda: ts.jvp(square, (1.0,), ("1",)),
        TypeError,
        "must be a float or a Value, got '1' (str)",
    ),
    "weights of another structure": (
        lambda: ts.vjp(lambda x: [x, x], 1.0)[1](1.0),
        TypeError,
        "the weights must have the structure of what the function returned",
    ),
    "an int to vjp": (
        lambda: ts.vjp(square, 3),
        TypeError,
        "vjp: argument 0 must be a float to be differentiated by, got 3 (int)",
    ),
    "a sparse Hessian of several": (
        lambda: ts.hessian(lambda x: [x, x], sparse=True)(1.0),
        TypeError,
        "hessian expects a function that returns one",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), CASES.values(), ids=CASES)
def test_a_wrong_use_is_one_clear_line(call, error, message):
    with pytest.raises(error, match=re.escape(message)) as raised:
        call()
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400


def test_a_deep_place_is_shortened():
    deep = 3
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(TypeError, match=r"got 3 \(int\)") as raised:
        ts.grad(total)(deep)
    assert len(str(raised.value)) < 400
