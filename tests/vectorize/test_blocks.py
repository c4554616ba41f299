"""The native executor of array programs equals the NumPy source for every number of examples."""

import itertools
import math
import pickle
import signal
import threading

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from programs import LEAVES, NUMBER, PROGRAM, Draw, numbers_of
from support.structures import STRUCTURES
from support.vectorize_cases import CASES

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.vectorize.array_way import ArrayWay
from tinygrad_scalar.vectorize.block_program import BlockProgram, native_blocks

pytestmark = pytest.mark.skipif(native_blocks() is None, reason="the executor is not built")

SIZES = [1, 2, 3, 7, 8, 25, 100, 263, 265, 700]


def array_way(cost, params, arrays, **options):
    run = ts.vectorize(cost, params, check=False, **options)
    run(*arrays)
    program, rows = run._prepared(arrays)
    return program.write_arrays(), run.parameters, rows, program.guards


def assert_same(ours, theirs, scale=0.0):
    value, gradient, inputs = ours
    expected, expected_gradient, expected_inputs = theirs
    assert value == pytest.approx(expected, rel=1e-12, abs=1e-12, nan_ok=True)
    assert len(inputs) == len(expected_inputs)
    for array, same in zip([gradient, *inputs], [expected_gradient, *expected_inputs]):
        size = max(scale, float(np.abs(same).max(initial=0.0)))
        np.testing.assert_allclose(array, same, rtol=1e-11, atol=1e-12 * size)


def resized(arrays, m):
    return [np.resize(array, (m, *array.shape[1:])) for array in arrays]


@pytest.mark.parametrize("inputs", [False, True])
@pytest.mark.parametrize("name", [*CASES, *STRUCTURES])
def test_blocks_equal_the_numpy_source_for_every_number_of_examples(name, inputs):
    cost, params, arrays = {**CASES, **STRUCTURES}[name](Draw())
    try:
        run = ts.vectorize(cost, params, check=False, wrt_inputs=inputs)
        run(*arrays)
    except ts.TraceError:
        pytest.skip("not differentiable with respect to inputs")
    for m in SIZES:
        program, rows = run._prepared(resized(arrays, m))
        way, theta, guards = program.write_arrays(), run.parameters, program.guards
        assert way.blocks is not None
        assert_same(way.run(theta, rows, True, guards), way.run_source(theta, rows, True, guards))
        assert way.run(theta, rows, False, guards)[0] == way.run(theta, rows, True, guards)[0]


NETWORK = st.tuples(
    st.lists(st.integers(1, 12), min_size=2, max_size=5),
    st.sampled_from(["tanh", "sigmoid", "relu", "softplus", "leaky_relu"]),
    st.sampled_from([1, 2, 5, 9, 300, 530]),
    st.integers(0, 99),
)


@settings(deadline=None)
@given(NETWORK)
def test_blocks_equal_the_numpy_source_for_networks_of_every_shape(drawn):
    sizes, activation, m, seed = drawn
    net, d = ts.MLP(sizes[0], sizes[1:], activation, seed=seed), Draw(seed)
    arrays = [d.normal(m, sizes[0]), d.normal(m, sizes[-1])]
    way, theta, rows, guards = array_way(lambda x, y: ts.squared_error(net(x), y), net.parameters(), arrays)
    assert way.blocks is not None
    assert_same(way.run(theta, rows, True, guards), way.run_source(theta, rows, True, guards))


@settings(deadline=None)
@given(PROGRAM, LEAVES, st.lists(NUMBER, min_size=4, max_size=4), st.sampled_from([1, 2, 9, 300]))
def test_blocks_equal_the_numpy_source_for_random_programs_on_many_rows(program, leaves, numbers, m):
    params = [Value(number) for number in leaves]
    X = np.resize(np.array(numbers), (m, 4)) + 1e-3 * np.arange(m)[:, None] / m

    def cost(x):  # the same program on each pair of numbers, so that arrays have several rows
        return sum(sum(numbers_of(program, ts, [*params, u, v])[-3:]) for u, v in itertools.pairwise(x))

    way, theta, rows, guards = array_way(cost, params, [X])
    assert way.blocks is not None
    ours, theirs = way.run(theta, rows, True, guards), way.run_source(theta, rows, True, guards)
    assert_same(ours, theirs, scale=max(1.0, abs(theirs[0])))


def network(m=700, sizes=(3, 20, 20, 1)):
    net, d = ts.MLP(sizes[0], list(sizes[1:]), "tanh", seed=0), Draw()
    arrays = [d.normal(m, sizes[0]), d.normal(m, sizes[-1])]
    return array_way(lambda x, y: ts.squared_error(net(x), y), net.parameters(), arrays)


def test_results_repeat_to_the_bit():
    way, theta, rows, guards = network()
    value, gradient, _ = way.run(theta, rows, True, guards)
    for _ in range(5):
        again, same, _ = way.run(theta, rows, True, guards)
        assert again == value
        assert same.tobytes() == gradient.tobytes()


def test_threads_run_one_program_side_by_side():
    way, theta, rows, guards = network()
    halves = [[array[:n] for array in rows] for n in (1, 300, 700)]
    expected = [way.run(theta, half, True, guards) for half in halves]
    wrong = []

    def work(k):
        for _ in range(50):
            value, gradient, _ = way.run(theta, halves[k], True, guards)
            if value != expected[k][0] or (gradient != expected[k][1]).any():
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k % 3,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")
def test_a_signal_handler_may_run_the_program_that_it_interrupts():
    way, theta, rows, guards = network(m=20_000)
    few = [array[:5] for array in rows]
    expected, inside = way.run(theta, rows, True, guards), way.run(theta, few, True, guards)
    seen = []
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(way.run(theta, few, True, guards)))
    try:
        for _ in range(20):
            signal.setitimer(signal.ITIMER_REAL, 0.0005)
            value, gradient, _ = way.run(theta, rows, True, guards)
            assert value == expected[0]
            assert gradient.tobytes() == expected[1].tobytes()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    assert all(value == inside[0] and (gradient == inside[1]).all() for value, gradient, _ in seen)


def test_a_pickle_keeps_the_native_program_and_one_written_before_runs_its_source():
    way, theta, rows, guards = network(m=40)
    copy = pickle.loads(pickle.dumps(way))
    assert isinstance(copy.blocks, BlockProgram)
    value, gradient, _ = way.run(theta, rows, True, guards)
    again, same, _ = copy.run(theta, rows, True, guards)
    assert again == value
    assert same.tobytes() == gradient.tobytes()
    state = way.__getstate__()
    other = ArrayWay.__new__(ArrayWay)  # of a version whose instructions have other numbers
    other.__setstate__({**state, "blocks": (state["blocks"][0] + 1, state["blocks"][1])})
    assert other.blocks is None
    assert_same(other.run(theta, rows, True, guards), (value, gradient, ()))
    former = ArrayWay.__new__(ArrayWay)
    former.__setstate__({"source": way.__getstate__()["source"], "_costs": [(600.0, 0.4), (800.0, 20.0)]})
    assert_same(former.run(theta, rows, True, guards), (value, gradient, ()))


def test_a_function_without_arguments_has_a_native_program():
    w = [Value(0.5), Value(-1.5)]
    way, theta, rows, guards = array_way(lambda: w[0] * w[1], w, [], wrt_inputs=True)
    assert way.blocks is not None
    value, gradient, _ = way.run(theta, rows, True, guards)
    assert (value, gradient.tolist()) == (-0.75, [-1.5, 0.5])


def test_each_example_looks_up_in_its_own_numbers():
    w, m = Value(0.5), 700
    x, i = np.arange(3.0 * m).reshape(m, 3), np.arange(m) % 3
    values = ts.vectorize(lambda x, i: w * ts.lookup(x, i), [w], way="arrays").values(x, i)
    assert values.tolist() == (0.5 * x[np.arange(m), i]).tolist()


@pytest.mark.parametrize("way", ["auto", "arrays"])
@pytest.mark.parametrize("inputs", [False, True])
def test_what_is_returned_as_it_is_given_is_each_examples(way, inputs):
    w = [Value(1.0), Value(2.0)]
    x, y = np.arange(10.0).reshape(5, 2), np.arange(5.0)
    for cost, expected in [
        (lambda x, y: y, y),
        (lambda x, y: x[1], x[:, 1]),
        (lambda x, y: w[1], np.full(5, 2.0)),
        (lambda x, y: Value(3.0), np.full(5, 3.0)),
        (lambda x, y: [y, y, x[0], w[0], 4.0], np.column_stack([y, y, x[:, 0], np.ones(5), np.full(5, 4.0)])),
    ]:
        for reduce in ("mean", "sum", None):
            run = ts.vectorize(cost, w, way=way, reduce=reduce, wrt_inputs=inputs)
            value = run(x, y)[0]
            reduced = expected if reduce is None else expected.sum(axis=0) / (5.0 if reduce == "mean" else 1.0)
            assert np.array_equal(value, reduced)
            assert np.array_equal(run.values(x, y), expected)


def test_a_missing_row_of_a_lookup_is_an_error_in_every_block():
    table = [Value(float(k)) for k in range(3)]
    run = ts.vectorize(lambda i: ts.lookup(table, i), table, check=False)
    rows = np.arange(900) % 3
    run(rows)
    for bad in (3, -1):
        for place in (0, 500, 899):
            wrong = rows.copy()
            wrong[place] = bad
            with pytest.raises(ValueError, match=f"expected.* row.* from 0 to 2, got.*{bad}"):
                run(wrong)
    assert run(rows)[0] == pytest.approx(1.0)


def test_an_operation_without_a_native_form_is_left_to_the_numpy_source(monkeypatch):
    without = {name: number for name, number in native_blocks().OPERATIONS.items() if name != "tanh"}
    monkeypatch.setattr(native_blocks(), "OPERATIONS", without)
    way, theta, rows, guards = network(m=10)
    assert way.blocks is None
    assert_same(way.run(theta, rows, True, guards), way.run_source(theta, rows, True, guards))


@pytest.fixture(params=[(True, True), (False, True), (False, False)], ids=["tiles", "BLAS", "loops"])
def products(request):
    native_blocks().use_for_products(*request.param)
    yield
    native_blocks().use_for_products(True, True)


@pytest.mark.parametrize("m", [1, 2, 5, 64, 300])
@pytest.mark.parametrize("sizes", [(1, 200, 1), (30, 20, 10), (70, 65, 3), (3, 1, 3), (5, 5, 5), (90, 7, 6, 9)])
@pytest.mark.usefixtures("products")
def test_products_of_every_form_are_right(sizes, m):
    net, d = ts.MLP(sizes[0], list(sizes[1:]), "tanh", seed=0), Draw()
    arrays = [d.normal(m, sizes[0]), d.normal(m, sizes[-1])]
    run = ts.vectorize(lambda x, y: ts.squared_error(net(x), y), net.parameters(), check=False)
    run(*arrays)
    program, rows = run._prepared(arrays)
    value, gradient, _ = program.write_arrays().run(run.parameters, rows, True, [])
    A = arrays[0].T
    layers = [
        (np.array([[w.data for w in n.w] for n in layer.neurons]), np.array([[n.b.data] for n in layer.neurons]))
        for layer in net.layers
    ]
    for W, b in layers:
        A = np.tanh(W @ A + b)
    assert value == pytest.approx(((A - arrays[1].T) ** 2).sum() / m, rel=1e-12)
    source = program.arrays.run_source(run.parameters, rows, True, [])
    assert_same((value, gradient, ()), source)


@pytest.mark.parametrize("m", [1, 5, 8, 50, 300])
@pytest.mark.parametrize("sizes", [(2, 3, 2), (5, 7, 6), (4, 8, 9), (3, 2, 11)])
@pytest.mark.usefixtures("products")
def test_products_of_matrices_that_each_example_has_of_its_own_are_right(sizes, m):
    (p, k, q), d = sizes, Draw()

    def cost(x, y, weights):
        z = [ts.sum(x[i * k + t] * y[t * q + j] for t in range(k)) for i in range(p) for j in range(q)]
        return ts.sum(w * z_i**2 for w, z_i in zip(weights, z))

    X, Y, W = d.normal(m, p * k), d.normal(m, k * q), d.normal(m, p * q)
    way, theta, rows, guards = array_way(cost, [], [X, Y, W], wrt_inputs=True)
    assert way.blocks is not None
    value, _, (by_x, by_y, by_w) = way.run(theta, rows, True, guards)
    A, B = X.reshape(m, p, k), Y.reshape(m, k, q)
    Z = A @ B
    dZ = 2.0 * W.reshape(m, p, q) * Z / m
    assert value == pytest.approx((W * Z.reshape(m, -1) ** 2).sum() / m, rel=1e-11, abs=1e-12)
    expected = [dZ @ B.swapaxes(1, 2), A.swapaxes(1, 2) @ dZ, Z**2 / m]
    for array, same in zip((by_x, by_y, by_w), expected):
        np.testing.assert_allclose(array, same.reshape(m, -1), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("m", [40, 700])
@pytest.mark.usefixtures("products")
def test_tiny_gradients_are_multiplied_as_exactly_as_others(m):
    net, d = ts.MLP(20, [30, 20, 3], "tanh", seed=0), Draw()
    sizes = 10.0 ** np.resize([0.0, -160.0, -290.0, -308.0, -315.0, -400.0], m)  # of which the last is 0
    arrays = [d.normal(m, 20), d.normal(m, 3), sizes]

    def cost(x, y, size):
        return size * ts.squared_error(net(x), y)

    for examples in (range(m), range(1, m, 6), range(2, m, 6), range(3, m, 6)):
        some = [array[list(examples)] for array in arrays]
        way, theta, rows, guards = array_way(cost, net.parameters(), some, wrt_inputs=True)
        _, gradient, (by_x, *_) = way.run(theta, rows, True, guards)
        _, expected, (expected_by_x, *_) = way.run_source(theta, rows, True, guards)
        largest = np.abs(expected_by_x).max(axis=1, keepdims=True)  # sums that cancel have fewer digits
        assert (np.abs(by_x - expected_by_x) <= 1e-12 * largest + 1e-321).all()
        assert (np.abs(gradient - expected) <= 1e-12 * np.abs(expected).max() + 1e-321).all()


@given(data=st.data())
@settings(deadline=None, max_examples=15)
@pytest.mark.usefixtures("products")
def test_gradients_of_every_size_side_by_side_are_multiplied_exactly(data):
    """Each of the outputs of each example has a size of its own; some are subnormal, some change nothing."""
    m, outputs, heads = data.draw(st.sampled_from([30, 300])), data.draw(st.sampled_from([3, 17])), 4
    random = np.random.default_rng(data.draw(st.integers(0, 100)))
    exponents = data.draw(st.lists(st.integers(-324, 2), min_size=1, max_size=6))
    sizes = 10.0 ** random.choice(exponents, (m, heads * outputs)) * random.normal(size=(m, heads * outputs))
    weights = [[[Value(w) for w in row] for row in head] for head in random.normal(size=(heads, outputs, 20)).tolist()]

    def cost(x, size):
        a = [[ts.sin(x_i + h) for x_i in x] for h in range(heads)]
        z = [ts.sum(w * a_i for w, a_i in zip(row, a[h])) for h, head in enumerate(weights) for row in head]
        return ts.sum(z_i * size_i for z_i, size_i in zip(z, size))

    params = [w for head in weights for row in head for w in row]
    way, theta, rows, guards = array_way(cost, params, [random.normal(size=(m, 20)), sizes], wrt_inputs=True)
    assert way.blocks is not None
    _, gradient, (by_x, by_size) = way.run(theta, rows, True, guards)
    _, expected, (expected_by_x, expected_by_size) = way.run_source(theta, rows, True, guards)
    for numbers, same in [(gradient.reshape(-1, 20), expected.reshape(-1, 20)), (by_x, expected_by_x)]:
        largest = np.abs(same).max(axis=1, keepdims=True)
        assert (np.abs(numbers - same) <= 1e-12 * largest + 1e-321).all()
    np.testing.assert_allclose(by_size, expected_by_size, rtol=1e-11, atol=1e-13 / m)  # sums that cancel


@pytest.mark.parametrize("exponent", [-64, -17, -3, -2, 4, 5, 7, 16, 33, 64, 65, 4.5])
def test_powers_are_those_of_the_numpy_source_for_every_number(exponent):
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-310, -5e-324, 1e308, 1.0, -1.0]
    x = np.concatenate([special, np.random.default_rng(0).normal(size=91), 10.0 ** np.linspace(-300, 300, 99)])
    with np.errstate(all="ignore"):
        way, theta, _, guards = array_way(lambda x: x[0] ** exponent, [], [x[10:, None]], wrt_inputs=True, reduce="sum")
        _, _, (slopes,) = way.run(theta, [x[:, None]], True, guards)
        _, _, (expected,) = way.run_source(theta, [x[:, None]], True, guards)
        np.testing.assert_allclose(slopes, expected, rtol=1e-13, atol=1e-322)
        assert (np.signbit(slopes) == np.signbit(expected))[~np.isnan(expected)].all()
        values = [way.run(theta, [row[None, None]], False, guards)[0] for row in x]
        np.testing.assert_allclose(values, x**exponent, rtol=1e-13, atol=1e-322)


@pytest.mark.parametrize("n", [9, 1025, 40_000])
def test_a_sum_of_many_numbers_is_rounded_as_if_once(n):
    x = np.random.default_rng(0).random(n) * 10.0 ** np.random.default_rng(1).integers(-8, 2, n)
    params = [Value(number) for number in x.tolist()]
    for cost, numbers in [(lambda: ts.sum(params), x), (lambda: ts.sum(ts.sqrt(p) for p in params), np.sqrt(x))]:
        way, theta, rows, guards = array_way(cost, params, [])
        assert way.blocks is not None
        assert way.run(theta, rows, True, guards)[0] == pytest.approx(math.fsum(numbers), rel=2e-16)


def test_what_a_sum_lost_does_not_make_it_nan_where_it_is_infinite():
    params = [Value(1e308) for _ in range(3000)]
    way, theta, rows, guards = array_way(lambda: ts.sum(params), params, [])
    assert way.run(theta, rows, True, guards)[0] == np.inf


@pytest.mark.parametrize("tied", [[3], [3, 4], [0, 10, 49], list(range(50))])
@pytest.mark.parametrize("fold", [ts.max, ts.min])
def test_the_shares_of_one_fold_are_those_of_the_engine(fold, tied):
    x = np.random.default_rng(0).uniform(-1.0, 1.0, 50)
    x[tied] = 2.0 if fold is ts.max else -2.0
    params = [Value(number) for number in x.tolist()]
    way, theta, rows, guards = array_way(lambda: fold(params), params, [])
    assert way.blocks is not None
    _, gradient, _ = way.run(theta, rows, True, guards)
    fold(params).backward()
    assert gradient.tolist() == [p.grad for p in params]


def test_a_tiny_gradient_beside_an_infinite_number_is_still_nan():
    net, d = ts.MLP(20, [30, 20, 3], "relu", seed=0), Draw()
    arrays = [d.normal(60, 20), d.normal(60, 3), np.full(60, 1e-310)]
    arrays[0][7, 3] = np.inf
    way, theta, rows, guards = array_way(
        lambda x, y, size: size * ts.squared_error(net(x), y), net.parameters(), arrays, wrt_inputs=True
    )
    ours, theirs = way.run(theta, rows, True, guards), way.run_source(theta, rows, True, guards)
    for array, same in zip([ours[1], *ours[2]], [theirs[1], *theirs[2]]):
        assert (np.isnan(array) == np.isnan(same)).all()
