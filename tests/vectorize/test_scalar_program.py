"""The native executor of scalar programs: what it computes, and what it refuses."""

import numpy as np
import pytest
from programs import by_the_engine

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import ops, record
from tinygrad_scalar.vectorize.scalar_program import executor, scalar_program
from tinygrad_scalar.vectorize.trace import trace

native = executor()
pytestmark = pytest.mark.skipif(native is None, reason="the native executor belongs to the compiled Value")

SIZES = [1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 100]
POINTS = np.array([-2.5, -1.0, -0.3, 0.0, 0.3, 0.9, 1.0, 1.7, 3.0, 40.0])


def tape_of(cost, params, arrays):
    traced = trace(cost, params, arrays)
    sizes = [int(np.prod(array.shape[1:])) for array in arrays]
    return native.Machine(*scalar_program(traced, len(params), sizes, native.CODES))


def run(tape, params, arrays, **wanted):
    theta = np.array([p.data for p in params])
    gradient = np.empty(len(params))
    rows = tuple(np.ascontiguousarray(array, float).reshape(len(array), -1) for array in arrays)
    return tape.run(theta, rows, gradient, **wanted), gradient


NAMES = [*ops.OPERATIONS, "**3", "**2", "**-1", "**0.5", "**0", "leaky_relu(0.1)"]
IN_C = [name for name in NAMES if native is None or (ops.operation(name).family or name) in native.CODES]


@pytest.mark.parametrize("name", IN_C)
def test_every_operation_in_c_and_its_slopes_are_the_engines(name):
    n = ops.operation(name).arity
    for x in [[x, y, 0.5 * y][:n] for x in POINTS for y in (POINTS if n > 1 else [0.0])]:
        params = [Value(float(number)) for number in x]

        def cost(scale, params=params):
            return record(name, *params) * scale

        for m in (1, 5):  # one by one, and in a block
            arrays = [np.linspace(0.5, 1.5, m)]
            value, gradient = run(tape_of(cost, params, arrays), params, arrays)
            expected, by_engine, _ = by_the_engine(cost, params, arrays)
            np.testing.assert_allclose(value, expected, rtol=1e-13, atol=1e-300)
            np.testing.assert_allclose(gradient, by_engine, rtol=1e-13, atol=1e-300)


@pytest.mark.parametrize("m", SIZES)
def test_any_number_of_examples_has_the_engines_mean(m):
    rng = np.random.default_rng(m)
    net = ts.MLP(3, [4, 2], "tanh", seed=0)
    arrays = [rng.normal(size=(m, 3)), rng.normal(size=(m, 2))]

    def cost(x, y):
        return ts.squared_error(net(x), y)

    tape = tape_of(cost, net.parameters(), arrays)
    expected, by_engine, _ = by_the_engine(cost, net.parameters(), arrays)
    for _ in range(3):  # nothing is left over from the call before
        value, gradient = run(tape, net.parameters(), arrays)
        assert value == pytest.approx(expected, rel=1e-13)
        np.testing.assert_allclose(gradient, by_engine, rtol=1e-12, atol=1e-15)


def test_calls_with_few_and_many_examples_can_alternate():
    w = [Value(0.5), Value(-1.5)]
    tape = tape_of(lambda x: ts.sin(w[0] * x) * w[1], w, [np.ones(1)])
    few, many = [np.array([0.3])], [np.linspace(-1, 1, 50)]
    first = [run(tape, w, arrays) for arrays in (few, many)]
    again = [run(tape, w, arrays) for arrays in (few, many)]
    for (value, gradient), (value_again, gradient_again) in zip(first, again):
        assert value == value_again
        assert (gradient == gradient_again).all()


def test_one_example_is_the_engines():
    rng = np.random.default_rng(0)
    net = ts.MLP(4, [8, 8, 1], "sigmoid", seed=0)
    arrays = [rng.normal(size=(1, 4))]
    value, gradient = run(tape_of(net, net.parameters(), arrays), net.parameters(), arrays)
    C = net([Value(float(x)) for x in arrays[0][0]])
    for p in net.parameters():
        p.grad = 0.0
    C.backward()
    assert value == pytest.approx(C.data, rel=1e-15)
    np.testing.assert_allclose(gradient, [p.grad for p in net.parameters()], rtol=1e-14)


@pytest.mark.parametrize("m", [1, 40])
@pytest.mark.parametrize("bad", [-1, 3, 10**9])
def test_a_row_that_is_not_there_is_an_error_and_reads_nothing(m, bad):
    table = [Value(1.0), Value(2.0), Value(3.0)]
    tape = tape_of(lambda i: ts.lookup(table, i) ** 2, table, [np.zeros(1, int)])
    index = np.ones(m)
    assert run(tape, table, [index])[0] == 4.0
    index[-1] = bad
    with pytest.raises(ValueError, match=rf"expected a row from 0 to 2, got {bad}"):
        run(tape, table, [index])
    index[-1] = 1
    value, gradient = run(tape, table, [index])
    assert (value, gradient.tolist()) == (4.0, [0.0, 4.0, 0.0])


def test_arrays_of_another_size_or_kind_are_refused():
    w = [Value(0.5), Value(1.5)]
    tape = tape_of(lambda x: w[0] * x[0] + w[1] * x[1], w, [np.ones((1, 2))])
    good, theta = np.ones((3, 2)), np.ones(2)
    assert tape.run(theta, (good,), np.empty(2)) == 2.0
    for bad in (
        (np.ones(3), (good,), np.empty(2)),
        (theta, (np.ones((3, 3)),), np.empty(2)),
        (theta, (good, good), np.empty(2)),
        (theta, (good,), np.empty(3)),
        (theta.astype("f"), (good,), np.empty(2)),
        (theta, (good.astype(int),), np.empty(2)),
        (theta, (np.asfortranarray(good),), np.empty(2)),
        (theta, (good,) * 20, np.empty(2)),
    ):
        with pytest.raises((ValueError, BufferError)):
            tape.run(*bad)
    assert tape.run(theta, (good,), np.empty(2)) == 2.0


@pytest.mark.parametrize("places", [[], [0], [3], [0, 0, 2, 3]])
def test_steps_are_inserted_before_their_places(places):
    table, numbers = np.arange(15, dtype=np.int32).reshape(3, 5).copy(), np.array([1.0, -0.0, np.nan])
    added = -np.arange(5 * len(places), dtype=np.int32).reshape(-1, 5) - 1
    expected = np.insert(table, places, added, axis=0), np.insert(numbers, places, 0.0)
    native.insert_steps(table, numbers, np.array(places, np.int64), added)
    np.testing.assert_array_equal(table, expected[0])
    np.testing.assert_array_equal(numbers.view(np.int64), expected[1].view(np.int64))


@pytest.mark.parametrize(("places", "steps"), [([-1], 1), ([4], 1), ([2, 1], 2), ([1], 2)])
def test_steps_for_places_that_are_not_in_the_table_are_refused_before_it_grows(places, steps):
    table, numbers = np.ones((3, 5), np.int32), np.ones(3)
    with pytest.raises(ValueError, match="expected"):
        native.insert_steps(table, numbers, np.array(places, np.int64), np.ones((steps, 5), np.int32))
    assert (table.shape, numbers.shape) == ((3, 5), (3,))


def test_quick_answers_only_where_the_arguments_fit():
    w = [Value(0.5), Value(1.5)]
    tape = tape_of(lambda x, y: w[0] * x[0] + w[1] * x[1] * y, w, [np.ones((1, 2)), np.ones(1)])
    theta, shapes = np.array([0.5, 1.5]), ((2,), ())
    X, Y = np.ones((3, 2)), np.ones(3)
    answer = native.Quick(tape, theta, shapes, 3).answer
    value, gradient = answer((X, Y))
    assert (value, gradient.tolist()) == (2.0, [1.0, 1.0])
    for arrays in (
        (X,), (X, Y, Y), (X, Y[:2]), (X.tolist(), Y), (X.astype(int), Y), (X.astype("f"), Y), (X[:, ::-1], Y),
        (np.ones((3, 3)), Y), (X, X), (np.ones((4, 2)), np.ones(4)), (X[:0], Y[:0]), (np.float64(1.0), Y), (None, None),
    ):  # fmt: skip
        assert answer(arrays) is None
    for parameters in (np.ones(3), np.ones(2, "f"), np.ones((2, 1)), np.ones(4)[::2], [0.5, 1.5], None):
        assert native.Quick(tape, parameters, shapes, 3).answer((X, Y)) is None


W = Value(1.5)
TABLE = [Value(0.5), Value(-1.0), Value(2.0)]
FLOATS, MATRICES, INTEGERS = np.array([0.25, -1.5]), np.arange(12.0).reshape(2, 2, 3), np.array([2, 0])
CALLS = {
    "no arguments": (lambda: W * W + 3.0, [W], []),
    "inputs alone": (lambda x: x * x, [], [FLOATS]),
    "inputs and parameters": (lambda x, y: W * x * y[1][2] + y[0][0] * x, [W], [FLOATS, MATRICES]),
    "integers too": (lambda i, x: ts.lookup(TABLE, i) * x, TABLE, [INTEGERS, FLOATS]),
    "integers alone": (lambda i: ts.lookup(TABLE, i) * W, [W, *TABLE], [INTEGERS]),
}


@pytest.mark.parametrize(
    ("kind", "wrt_inputs"), [*((kind, True) for kind in CALLS), *((kind, False) for kind in CALLS if CALLS[kind][1])]
)
def test_calls_without_arguments_and_with_gradients_of_inputs_take_the_short_way_to_the_same_bits(kind, wrt_inputs):
    function, params, arrays = CALLS[kind]
    run = ts.vectorize(function, params, wrt_inputs=wrt_inputs)
    slowly = run(*arrays)
    quickly, again = run._quick(tuple(arrays)), run(*arrays)
    assert len(quickly) == len(slowly) == len(again) == 2 + wrt_inputs
    for found in (quickly, again):
        assert found[0] == slowly[0] and found[1].tolist() == slowly[1].tolist()
        for one, other in zip(*found[2:], *slowly[2:], strict=True) if wrt_inputs else ():
            assert (one is None) == (other is None)
            assert one is None or (one.shape, one.tolist()) == (other.shape, other.tolist())
    assert quickly[1] is not again[1]


def test_a_function_without_arguments_follows_what_it_reads_on_the_short_way():
    w, scale = Value(3.0), 2.0
    run = ts.vectorize(lambda: w * scale, [w])
    assert [run()[0], run()[0]] == [6.0, 6.0]
    scale = 5.0
    assert run()[0] == 15.0
    w.data = 4.0
    assert (run()[0], run()[1].tolist()) == (20.0, [5.0])


def test_a_function_without_arguments_takes_none_on_the_short_way_either():
    run = ts.vectorize(lambda: W * W, [W])
    run()
    for arrays in ([np.empty((1, 0))], [np.empty((3, 0))], [np.ones(1)]):
        with pytest.raises((ValueError, TypeError)):
            run(*arrays)
