"""grad and value_and_grad: the numbers are HIPS autograd's; what comes back has the argument's structure and types."""

import copy
import inspect
import pickle
import threading
from collections import OrderedDict, defaultdict, namedtuple

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value

Line = namedtuple("Line", ["a", "b"])


def energy(exp, sin, x, y):
    return exp(-x * x) * sin(3.0 * y) + x * y**3 + sin(x) ** 2 / (1.0 + y * y)


@given(st.floats(-2, 2), st.floats(-2, 2))
def test_gradients_of_any_order_are_those_of_autograd(x, y):
    ours, theirs = lambda x, y: energy(ts.exp, ts.sin, x, y), lambda x, y: energy(anp.exp, anp.sin, x, y)
    expected = [float(slope) for slope in autograd.grad(theirs, (0, 1))(x, y)]
    assert ts.grad(ours, argnums=(0, 1))(x, y) == pytest.approx(tuple(expected), 1e-12, 1e-13)
    for places in ([0, 0], [0, 1], [1, 0], [1, 1, 0], [0, 0, 0]):
        mine, other = ours, theirs
        for place in places:
            mine, other = ts.grad(mine, place), autograd.grad(other, place)
        assert mine(x, y) == pytest.approx(float(other(x, y)), rel=1e-11, abs=1e-11)


def test_the_value_and_its_gradient_come_together():
    assert ts.value_and_grad(lambda x, y: x * y, argnums=1)(2.0, 3.0) == (6.0, 2.0)


# --- structure -------------------------------------------------------------------------------------------------------

STRUCTURES = {
    "float": 2.0,
    "NumPy float": np.float64(2.0),
    "NumPy float of 32 bits": np.float32(2.0),
    "list": [1.0, 2.0],
    "tuple": (1.0, 2.0),
    "namedtuple": Line(1.0, 2.0),
    "dict": {"b": 1.0, "a": 2.0},
    "ordered dict": OrderedDict(b=1.0, a=2.0),
    "dict with a default": defaultdict(list, b=1.0, a=2.0),
    "array": np.array([[1.0, 2.0], [3.0, 4.0]]),
    "array of 32 bits": np.array([1.0, 2.0], np.float32),
    "array without axes": np.array(2.0),
    "empty array": np.zeros((0, 3)),
    "array by columns": np.asfortranarray([[1.0, 2.0], [3.0, 4.0]])[:, ::-1],
    "array of objects": np.array([1.0, 2.0], object),
    "nested": {"w": [np.ones((2, 3)), (Line(3.0, [4.0]), None)], 7: ({}, [])},
}


def numbers(tree):
    if isinstance(tree, np.ndarray):
        return list(tree.ravel())
    if isinstance(tree, dict):
        return [number for part in tree.values() for number in numbers(part)]
    if isinstance(tree, (list, tuple)):
        return [number for part in tree for number in numbers(part)]
    return [] if tree is None else [tree]


def assert_alike(tree, model):
    assert type(tree) is type(model)
    if isinstance(model, np.ndarray):
        assert tree.shape == model.shape
        assert tree.dtype == model.dtype
    elif isinstance(model, dict):
        assert list(tree) == list(model)
        for key, part in model.items():
            assert_alike(tree[key], part)
    elif isinstance(model, (list, tuple)):
        assert len(tree) == len(model)
        for a, b in zip(tree, model):
            assert_alike(a, b)


def sum_of_cubes(tree):
    return ts.sum([x**3 for x in numbers(tree)]) + Value(0.0)


@pytest.mark.parametrize("given", STRUCTURES.values(), ids=STRUCTURES)
def test_a_gradient_has_the_structure_and_the_types_of_the_argument(given):
    value, gradient = ts.value_and_grad(sum_of_cubes)(given)
    assert type(value) is float
    assert_alike(gradient, given)
    assert numbers(gradient) == [3 * x**2 for x in numbers(given)]
    assert_alike(ts.hvp(sum_of_cubes, given, given), given)


@pytest.mark.parametrize("given", STRUCTURES.values(), ids=STRUCTURES)
def test_the_function_gets_the_structure_of_the_argument_with_values_in_it(given):
    seen = []
    ts.grad(lambda tree: (seen.append(tree), sum_of_cubes(tree))[1])(given)
    assert all(isinstance(x, Value) for x in numbers(seen[0]))
    assert [x.data for x in numbers(seen[0])] == [float(x) for x in numbers(given)]
    if not isinstance(given, (float, np.floating)):
        assert type(seen[0]) is type(given)


def test_a_dict_with_a_default_keeps_it():
    assert ts.grad(lambda d: d["a"] ** 2)(defaultdict(list, a=1.0)).default_factory is list


def test_the_arguments_are_not_changed():
    x = [1.0, 2.0]

    def f(x):
        x.append(x.pop() * x[0])
        return x[0] * x[1]

    assert ts.grad(f)(x) == [4.0, 1.0]
    assert x == [1.0, 2.0]


def test_a_number_that_the_function_does_not_use_has_the_gradient_0():
    assert ts.grad(lambda x: x["a"] * 2.0)({"a": 1.0, "b": [3.0]}) == {"a": 2.0, "b": [0.0]}
    assert ts.grad(lambda x: Value(1.0))(2.0) == 0.0


def test_nesting_can_be_deeper_than_the_stack():
    deep = 2.0
    for _ in range(20_000):
        deep = [deep]

    def f(x):
        while isinstance(x, list):
            (x,) = x
        return x * x

    gradient = ts.grad(f)(deep)
    for _ in range(20_000):
        (gradient,) = gradient
        (deep,) = deep
    assert gradient == 4.0


# --- Values and floats -----------------------------------------------------------------------------------------------


def test_values_in_values_out_and_part_of_the_outer_graph():
    x, y = Value(2.0), Value(3.0)
    value, gradient = ts.value_and_grad(lambda p: p["x"] ** 2 * p["y"])({"x": x, "y": y})
    (value + gradient["x"] * gradient["y"]).backward()  # x²y + 2xy·x²
    assert (value.data, gradient["x"].data, gradient["y"].data) == (12.0, 12.0, 4.0)
    assert (x.grad, y.grad) == (2 * 2 * 3 + 6 * 4 * 3, 4 + 2 * 8)


def test_an_array_of_values_gives_one():
    x = np.array([[Value(1.0), Value(2.0)]])
    gradient = ts.grad(lambda x: (x * x).sum())(x)
    assert gradient.shape == (1, 2)
    assert gradient.dtype == object
    assert [g.data for g in gradient[0]] == [2.0, 4.0]


def test_a_gradient_that_does_not_depend_on_the_values_is_a_value_all_the_same():
    gradient = ts.grad(lambda x: 2.0 * x)(Value(5.0))
    assert isinstance(gradient, Value)
    assert gradient.data == 2.0


def test_values_from_outside_keep_their_gradients():
    w = Value(5.0, "w")
    slope = ts.grad(lambda x: w * x * x)(3.0)
    slope.backward()
    assert (slope.data, w.grad) == (30.0, 6.0)
    assert ts.grad(lambda x: w + x * x)(3.0) == 6.0  # which does not depend on w
    array = ts.grad(lambda x: w * x[0] * x[1] + x[2])(np.array([1.0, 2.0, 3.0]))
    assert array.dtype == object
    assert [slope.data for slope in array] == [10.0, 5.0, 1.0]
    value, slope = ts.value_and_grad(lambda x: w + x * x)(3.0)
    assert isinstance(value, Value)
    assert slope == 6.0


def test_a_float_beside_a_value_has_a_gradient_that_depends_on_it():
    x = Value(3.0)
    by_value, by_float = ts.grad(lambda p: p[0] * p[1])([x, 2.0])
    assert (by_value.data, by_float.data) == (2.0, 3.0)
    by_float.backward()
    assert x.grad == 1.0


def test_one_value_in_two_places_has_a_gradient_in_each():
    x = Value(3.0)
    first, second = ts.grad(lambda p: p[0] * p[0] * p[1])([x, x])
    assert (first.data, second.data) == (18.0, 9.0)


def test_no_grad_changes():
    x, w = Value(3.0), Value(2.0)
    x.grad, w.grad = 7.0, 8.0
    f = lambda x: w * x * x  # noqa: E731
    for derive in (ts.grad(f), ts.value_and_grad(f), ts.hessian(f), lambda x: ts.hvp(f, x, 1.0)):
        derive(x)
        derive(3.0)
    assert (x.grad, w.grad) == (7.0, 8.0)


def test_a_leaf_set_since_makes_the_graph_stale():
    w = Value(2.0)
    y = w * w
    w.data = 3.0
    for x in (1.0, Value(1.0)):
        for derive in (ts.grad, ts.jacobian, ts.hessian):
            with pytest.raises(ts.StaleGraphError):
                derive(lambda x: y * x * x)(x)

    def sets_a_constant(x):
        c = Value(1.0)
        y = c * x * x
        c.data = 2.0
        return y

    for derive in (ts.grad, ts.jacobian, ts.hessian, lambda f: lambda x: ts.jvp(f, (x,), (1.0,))):
        with pytest.raises(ts.StaleGraphError):
            derive(sets_a_constant)(1.0)


def test_a_function_that_calls_backward_itself_has_the_same_gradient():
    def f(x):
        y = x * x
        y.backward()
        return y * x

    assert ts.grad(f)(2.0) == 12.0


# --- argnums and has_aux ---------------------------------------------------------------------------------------------


def volume(a, b, c=1.0, *, scale=1.0):
    return a * b * c * scale


def test_argnums_chooses_the_arguments():
    assert ts.grad(volume)(2.0, 3.0, 4.0) == 12.0
    assert ts.grad(volume, 1)(2.0, 3.0, 4.0) == 8.0
    assert ts.grad(volume, -1)(2.0, 3.0, 4.0) == 6.0
    assert ts.grad(volume, argnums=(2, 0))(2.0, 3.0, 4.0) == (6.0, 12.0)
    assert ts.grad(volume, argnums=[1])(2.0, 3.0, 4.0, scale=10) == (80.0,)
    assert ts.grad(volume, argnums=np.int64(1))(2.0, 3.0) == 2.0


def test_other_arguments_can_be_anything():
    def f(x, power, *, name):
        return x**power if name == "power" else x

    assert ts.grad(f)(3.0, 2, name="power") == 6.0


def test_what_is_returned_beside_the_value_comes_back_with_floats_in_it():
    def f(x):
        y = x * x
        return y, {"y": y, "all": np.array([x, y]), "name": "square", "n": 3, "by": Line(x, None)}

    gradient, aux = ts.grad(f, has_aux=True)(3.0)
    assert gradient == 6.0
    assert aux.pop("all").tolist() == [3.0, 9.0]
    assert aux == {"y": 9.0, "name": "square", "n": 3, "by": Line(3.0, None)}
    mixed = ts.grad(lambda x: (x * x, np.array([x, 1.0], dtype=object)), has_aux=True)(3.0)[1]
    assert mixed.tolist() == [3.0, 1.0] and mixed.dtype == float
    assert ts.value_and_grad(lambda x: (x * x, "aux"), has_aux=True)(3.0) == ((9.0, "aux"), 6.0)
    (value, aux), gradient = ts.value_and_grad(lambda x: (x * x, [x]), has_aux=True)(Value(3.0))
    assert [value.data, aux[0].data, gradient.data] == [9.0, 3.0, 6.0]


def test_the_derived_function_has_a_name():
    assert ts.grad(volume).__name__ == "grad(volume)"
    assert ts.hessian(volume).__doc__.startswith("hessian of volume")


def test_threads_do_not_see_each_other():
    found = []

    def work(x):
        found.append(all(ts.grad(ts.grad(lambda y: y**3 * x))(2.0) == 12.0 * x for _ in range(200)))

    threads = [threading.Thread(target=work, args=(float(k),)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4


MADE = [
    (ts.grad, {}),
    (ts.grad, {"argnums": 1}),
    (ts.value_and_grad, {"argnums": (0, 1)}),
    (ts.jacobian, {"compiled": True}),
    (ts.hessian, {"argnums": (0, 1)}),
]


@pytest.mark.parametrize(("transformation", "options"), MADE)
def test_what_is_made_of_a_function_of_a_module_is_copied_and_pickled(transformation, options):
    made = transformation(volume, **options)
    again = pickle.loads(pickle.dumps(made))
    assert again(2.0, 3.0) == made(2.0, 3.0) and repr(again) == repr(made)
    assert copy.deepcopy(made) is made and copy.copy(made) is made
    both = pickle.loads(pickle.dumps(ts.grad(ts.grad(volume))))
    assert both(2.0, 3.0) == ts.grad(ts.grad(volume))(2.0, 3.0)


def test_what_is_made_says_how_and_has_the_signature_of_its_function():
    assert repr(ts.grad(volume)) == "<function grad(volume)>"
    assert repr(ts.hessian(volume, (0, 1))) == "<function hessian(volume), argnums=(0, 1)>"
    assert repr(ts.grad(ts.grad(volume), compiled=True)) == "<function grad(grad(volume)), compiled=True>"
    assert inspect.signature(ts.jacobian(volume)) == inspect.signature(volume)
    assert ts.grad(volume).__module__ == volume.__module__


def test_what_is_made_is_bound_to_an_instance_as_functions_are():
    class Scaled:
        factor = 3.0

        def f(self, x):
            return self.factor * x * x

        slope = ts.grad(f, argnums=1)

    assert Scaled().slope(2.0) == 12.0
