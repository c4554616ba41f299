"""Transformations with compiled=True: the eager ones' results, in the same structures and types, traced once a kind."""

from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from programs import LEAVES, PROGRAM, result_of

import tinygrad_scalar as ts
from tinygrad_scalar import TraceError, Value, grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

Pair = namedtuple("Pair", "left right")


def rosenbrock(x):
    return sum(100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2 for i in range(len(x) - 1))


def pulled(f, *primals, weights, **options):
    *value, pullback = vjp(f, *primals, **options)
    return [*value, pullback(weights), pullback(weights)]


def alike(ours, eager):
    """Equal to 1e-12, in the same structures and types."""
    assert type(ours) is type(eager)
    if isinstance(eager, dict):
        assert list(ours) == list(eager)
        ours, eager = list(ours.values()), list(eager.values())
    if isinstance(eager, (list, tuple)):
        assert len(ours) == len(eager)
        for one, other in zip(ours, eager):
            alike(one, other)
    elif isinstance(eager, np.ndarray):
        assert (ours.shape, ours.dtype) == (eager.shape, eager.dtype)
        np.testing.assert_allclose(ours.astype(float), eager.astype(float), rtol=1e-12, atol=1e-12)
    elif isinstance(eager, (str, type(None))):
        assert ours == eager
    else:
        assert ours == pytest.approx(eager, rel=1e-12, abs=1e-12)


# each takes a function of a list, a point, a direction, and options
TRANSFORMATIONS = {
    "grad": lambda f, x, v, **options: grad(f, **options)(x),
    "value_and_grad": lambda f, x, v, **options: value_and_grad(f, **options)(x),
    "jacobian": lambda f, x, v, **options: jacobian(f, **options)(x),
    "hessian": lambda f, x, v, **options: hessian(f, **options)(x),
    "jvp": lambda f, x, v, **options: jvp(f, (x,), (v,), **options),
    "hvp": lambda f, x, v, **options: hvp(f, x, v, **options),
    "vjp": lambda f, x, v, **options: pulled(f, x, weights=2.0, **options),
}


@pytest.mark.parametrize("name", TRANSFORMATIONS)
@settings(max_examples=12)
@given(PROGRAM, LEAVES, st.integers(0, 2**32 - 1))
def test_results_for_random_programs_are_those_of_the_eager_transformation(name, program, x, seed):
    def f(xs):
        return result_of(program, ts, xs)

    v = np.random.default_rng(seed).normal(size=len(x)).tolist()
    transformation = TRANSFORMATIONS[name]
    compiled = transformation(f, x, v, compiled=True)
    eager = transformation(f, x, v)
    scale = 1.0 + np.max(np.abs(np.array(hessian(f)(x)))) if name in ("hessian", "hvp") else 1.0
    np.testing.assert_allclose(_flat(compiled), _flat(eager), rtol=1e-11, atol=1e-11 * scale)
    assert type(compiled) is type(eager)


def _flat(tree):
    return [number for part in tree for number in _flat(part)] if isinstance(tree, (list, tuple)) else [tree]


def nested(x):
    return {"product": x["u"] * x["v"][0] ** 2, "rest": [x["v"], (ts.sin(x["w"].left), x["w"].right * x["u"])]}


NESTED = {"u": 2.0, "v": np.array([3.0, 4.0]), "w": Pair(0.5, [1.5][0])}
ARGUMENTS = {  # a function that returns one Value, its argument and a direction
    "float": (lambda x: ts.exp(x) * x, 0.5, 2),
    "list": (rosenbrock, [0.5, -1.0, 2.0], [1, 0.0, -2.5]),
    "tuple": (rosenbrock, (0.5, -1.0, 2.0), (1.0, 0.0, -2.5)),
    "array": (rosenbrock, np.array([0.5, -1.0, 2.0]), np.array([1.0, 0.0, -2.5])),
    "float32": (rosenbrock, np.array([0.5, -1.0, 2.0], "f4"), np.array([1.0, 0.0, -2.5])),
    "matrix": (lambda x: (x @ x).sum() * x[0, 1], np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1, 2], [3, 4]])),
    "view": (rosenbrock, np.arange(6.0)[::-2], np.arange(3.0)),
    "objects": (rosenbrock, np.array([1.0, 2.0], object), np.array([1.0, 2.0])),
    "numpy float": (lambda x: x * x, np.float64(3.0), 1.0),
    "dict": (lambda x: x["b"] * x["a"][0] ** 3, {"b": 2.0, "a": [3.0]}, {"a": [1.0], "b": -1.0}),
    "nested": (lambda x: nested(x)["product"], NESTED, {"u": 1.0, "v": np.array([1.0, 0.0]), "w": Pair(1.0, 1.0)}),
    "none": (lambda x: x[0] * x[0], [1.5, None, ()], [2.0, None, ()]),
}


@pytest.mark.parametrize("name", TRANSFORMATIONS)
@pytest.mark.parametrize("kind", ARGUMENTS)
def test_results_have_the_structure_and_types_of_the_eager_ones(name, kind):
    f, x, v = ARGUMENTS[kind]
    alike(TRANSFORMATIONS[name](f, x, v, compiled=True), TRANSFORMATIONS[name](f, x, v))


OUTPUTS = {
    "list": (lambda x: [x[0] * x[1], x[2], 3.0], [0.5, -1.0, 2.0], [1.0, 2.0, 3.0]),
    "array": (lambda x: x[1:] * x[0] ** 2, np.array([0.5, -1.0, 2.0]), np.array([1.0, 2.0])),
    "array of a dict": (lambda x: x["a"] * x["b"], {"a": np.ones((2, 2)), "b": 3.0}, np.eye(2)),
    "nested": (nested, NESTED, {"product": 1.0, "rest": [np.array([1.0, 2.0]), (3.0, 4.0)]}),
}


@pytest.mark.parametrize("has_aux", [False, True], ids=["alone", "aux"])
@pytest.mark.parametrize("kind", OUTPUTS)
def test_functions_of_several_outputs_have_the_eager_derivatives(kind, has_aux):
    f, x, weights = OUTPUTS[kind]

    def both(x):
        return (f(x), {"value": f(x), "text": "t", "one": 1, "float": 0.5, "none": None}) if has_aux else f(x)

    for transformation in (
        lambda **options: jacobian(both, **options)(x),
        lambda **options: hessian(both, **options)(x),
        lambda **options: jvp(both, (x,), (x,), **options),
    ):
        alike(transformation(has_aux=has_aux, compiled=True), transformation(has_aux=has_aux))
    ours, eager = (vjp(both, x, has_aux=has_aux, compiled=compiled) for compiled in (True, False))
    alike(ours[0], eager[0])
    alike(ours[1](weights), eager[1](weights))
    alike(ours[2:], eager[2:])


@pytest.mark.parametrize("transformation", [grad, value_and_grad, hessian])
def test_aux_comes_back_as_from_the_eager_transformation(transformation):
    def f(x):
        return x[0] ** 2 * x[1], {"half": [x[0] / 2], "text": "t", "n": len(x)}

    alike(transformation(f, has_aux=True, compiled=True)([3.0, 2.0]), transformation(f, has_aux=True)([3.0, 2.0]))
    alike(hvp(f, [3.0, 2.0], [1.0, 1.0], has_aux=True, compiled=True), hvp(f, [3.0, 2.0], [1.0, 1.0], has_aux=True))


@pytest.mark.parametrize("argnums", [0, -1, (1, 0), (0, 2), [2]], ids=str)
def test_arguments_are_chosen_as_in_the_eager_transformation(argnums):
    def f(a, b, c):
        return a * b[0] ** 2 + ts.sin(c["w"] * b[1])

    given = 2.0, [3.0, 4.0], {"w": 0.5}
    for transformation in (grad, value_and_grad, jacobian, hessian):
        alike(transformation(f, argnums, compiled=True)(*given), transformation(f, argnums)(*given))


def test_other_arguments_change_without_a_trace_if_they_are_floats_and_with_one_otherwise():
    traced = []

    def f(x, rate, n, *, data, kind):
        traced.append(None)
        return sum(rate * x**k for k in range(n)) * data[0] + (x if kind == "plus" else -x)

    slope = grad(f, compiled=True)
    eager = grad(f)
    calls = [(2.0, 0.5, 3, {"data": np.array([1.0, 2.0]), "kind": "plus"})]
    slope(*calls[0][:3], **calls[0][3])
    first = len(traced)
    for x, rate, data in ((2.0, 0.5, [1.0, 2.0]), (3.0, 0.7, [2.0, 5.0])):
        keywords = {"data": np.array(data), "kind": "plus"}
        found = slope(x, rate, 3, **keywords)
        assert len(traced) == first
        alike(found, grad(lambda x: f(x, rate, 3, **keywords))(x))  # noqa: B023
        first = len(traced)
    for n, kind in ((4, "plus"), (3, "minus"), (1, "minus")):
        alike(slope(2.0, 0.5, n, data=[1.0], kind=kind), eager(2.0, 0.5, n, data=[1.0], kind=kind))


def test_integers_and_booleans_that_are_equal_are_different_arguments():
    slope = grad(lambda x, n: x**n if n is not True else 10.0 * x, compiled=True)
    assert [slope(3.0, 1), slope(3.0, True), slope(3.0, 2), slope(3.0, 1)] == [1.0, 10.0, 6.0, 1.0]


def test_arrays_of_integers_are_read_as_they_are_in_each_call():
    places = np.array([0, 2])
    slope = grad(lambda x, places: sum(x[i] for i in places), compiled=True)
    assert slope([1.0, 2.0, 3.0], places) == [1.0, 0.0, 1.0]
    places[0] = 1
    assert slope([1.0, 2.0, 3.0], places) == [0.0, 1.0, 1.0]


def test_each_structure_and_shape_is_traced_once():
    traced = []

    def f(x):
        traced.append(None)
        return rosenbrock(x)

    slope = grad(f, compiled=True)
    points = [[1.0, 2.0], (1.0, 2.0), np.array([1.0, 2.0]), [1.0, 2.0, 3.0], {0: 1.0, 1: 2.0}]
    for x in points:
        before = len(traced)
        alike(slope(x), grad(rosenbrock)(x))
        assert len(traced) > before
    before = len(traced)
    for x in points:
        alike(slope(x), grad(rosenbrock)(x))
    assert len(traced) == before


@pytest.mark.parametrize(
    "transformation",
    [
        lambda f: jvp(f, (2.0,), (1.0,), compiled=True),
        lambda f: hvp(f, 2.0, 1.0, compiled=True),
        lambda f: vjp(f, 2.0, compiled=True)[1](1.0),
    ],
    ids=["jvp", "hvp", "vjp"],
)
def test_a_function_that_is_given_again_is_not_traced_again(transformation):
    traced = []

    class Cost:
        def at(self, x):
            traced.append(None)
            return x**3

    cost = Cost()
    first = transformation(cost.at)
    before = len(traced)
    assert transformation(cost.at) == first
    assert len(traced) == before
    transformation(Cost().at)
    assert len(traced) > before


def test_weights_of_a_network_that_are_set_count_in_the_next_call():
    net = ts.MLP(2, [3, 1], activation="tanh", seed=0)

    def f(x):
        return net(x) ** 2

    x = [0.5, -1.0]
    slope, second = grad(f, compiled=True), hessian(f, compiled=True)
    for _ in range(3):
        alike(slope(x), [ts.grad(f)(x)[i].data for i in range(2)])
        alike(second(x), [[entry.data for entry in row] for row in hessian(f)(x)])
        alike(hvp(f, x, [1.0, 2.0], compiled=True), [entry.data for entry in hvp(f, x, [1.0, 2.0])])
        for p in net.parameters():
            p.data = 0.9 * p.data + 0.05


def test_what_the_function_reads_from_outside_counts_when_it_is_replaced():
    rate, as_list = 2.0, False

    def f(x):
        return [rate * x**2] if as_list else {"a": rate * x**2}

    slope = jacobian(f, compiled=True)
    assert slope(3.0) == {"a": 12.0}
    rate = 3.0
    assert slope(3.0) == {"a": 18.0}
    as_list = True
    assert slope(3.0) == [18.0]


@pytest.mark.parametrize("transformation", [jacobian, hessian])
def test_sparse_matrices_are_the_eager_ones(transformation):
    pytest.importorskip("scipy")

    def f(x, scale):
        tail = scale * rosenbrock(x)
        return tail if transformation is hessian else x[1:] * x[:-1]

    x = np.linspace(-1.0, 1.0, 20)
    ours, eager = (transformation(f, sparse=True, compiled=compiled)(x, 2.0) for compiled in (True, False))
    assert type(ours) is type(eager) and ours.shape == eager.shape
    assert (ours.indices.tolist(), ours.indptr.tolist()) == (eager.indices.tolist(), eager.indptr.tolist())
    np.testing.assert_allclose(ours.data, eager.data, rtol=1e-12)


def test_a_compiled_transformation_differentiates_what_an_eager_one_returns():
    assert grad(grad(grad(lambda x: x**4)), compiled=True)(2.0) == 48.0
    assert jacobian(lambda x: [hvp(rosenbrock, x, [1.0, 0.0])[0]], compiled=True)([1.0, 2.0]) == [[2400.0, -400.0]]


def test_the_pullback_is_taken_where_vjp_was_called():
    x = np.array([2.0, 3.0])
    _, pullback = vjp(lambda x: x[0] * x[1], x, compiled=True)
    x[:] = 0.0
    assert pullback(1.0)[0].tolist() == [3.0, 2.0]


def test_results_are_the_callers_own():
    slope = grad(rosenbrock, compiled=True)
    first = slope(np.array([1.0, 2.0]))
    kept = first.copy()
    slope(np.array([3.0, 4.0]))[:] = 0.0
    assert first.tolist() == kept.tolist()


WRONG = {
    "Value": (lambda: grad(rosenbrock, compiled=True)([1.0, Value(2.0)]), TypeError, r"0\[1\] must be .* \.data"),
    "other Value": (
        lambda: grad(lambda x, w: x * w, compiled=True)(1.0, Value(2.0)),
        TypeError,
        "argument 1 must be .* with compiled=True",
    ),
    "inside": (lambda: grad(grad(lambda x: x**3, compiled=True))(2.0), TypeError, "leave out compiled"),
    "object": (
        lambda: grad(lambda x, n: x, compiled=True)(1.0, n=object()),
        TypeError,
        "argument n must be .* from outside",
    ),
    "integer": (lambda: grad(lambda x: x, compiled=True)(1), TypeError, "write 1.0"),
    "branch": (lambda: grad(lambda x: x if x > 0 else -x, compiled=True)(1.0), TraceError, r"ts\.where"),
    "several": (lambda: grad(lambda x: [x, x], compiled=True)(1.0), TypeError, "use jacobian"),
    "several, sparse": (
        lambda: hessian(lambda x: [x, x], sparse=True, compiled=True)(1.0),
        TypeError,
        "hessian expects a function that returns one Value, got a list of 2: leave out sparse",
    ),
    "lost": (lambda: grad(lambda x: 2.0, compiled=True)(1.0), TypeError, "was lost on the way"),
    "none": (lambda: hvp(lambda x: None, 1.0, 1.0, compiled=True), TypeError, "a return is missing"),
    "nothing": (lambda: grad(lambda x: Value(1.0), compiled=True)([]), ValueError, "needs a number"),
    "argnums": (lambda: grad(lambda x: x, 1, compiled=True)(1.0), ValueError, "argnums must name"),
    "no function": (lambda: grad(1.0, compiled=True), TypeError, "expects a function"),
    "compiled": (lambda: grad(rosenbrock, compiled="yes"), TypeError, "compiled must be True or False, got 'yes'"),
    "directions": (lambda: hvp(rosenbrock, [1.0, 2.0], [1.0], compiled=True), TypeError, "structure of x"),
    "direction of Values": (
        lambda: hvp(rosenbrock, [1.0, 2.0], [1.0, Value(2.0)], compiled=True),
        TypeError,
        "v must be numbers with compiled=True",
    ),
    "tangents": (lambda: jvp(lambda x: x, (1.0,), (), compiled=True), ValueError, "as many as primals"),
    "aux": (
        lambda: grad(lambda x: (x, object()), has_aux=True, compiled=True)(1.0),
        TypeError,
        "aux must be made of Values, numbers and texts",
    ),
    "no aux": (lambda: grad(lambda x: x, has_aux=True, compiled=True)(1.0), TypeError, "return a pair"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use_is_one_clear_line(case):
    wrong, kind, message = WRONG[case]
    with pytest.raises(kind, match=message) as raised:
        wrong()
    assert "\n" not in str(raised.value)
