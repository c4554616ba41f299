"""The function that `vectorize` returns: what it takes and refuses, its parameters, pickles."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from programs import by_the_engine

import tinygrad_scalar as ts
from tinygrad_scalar import Value

X, Y = np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0])


def line(label_w="w", label_b="b"):
    w, b = Value(0.5, label_w), Value(-0.25, label_b)
    return lambda x, y: (w * x + b - y) ** 2, [w, b]


def test_any_number_of_examples_runs_without_tracing_again():
    calls = []
    cost, params = line()
    run = ts.vectorize(lambda x, y: calls.append(1) or cost(x, y), params)
    run(X, Y)
    traced = len(calls)
    for m in (1, 2, 3, 17, 3):
        value, gradient = run(np.resize(X, m), np.resize(Y, m))
        expected, by_engine, _ = by_the_engine(cost, params, [np.resize(X, m), np.resize(Y, m)])
        assert value == pytest.approx(expected, rel=1e-14)
        assert gradient == pytest.approx(by_engine, rel=1e-14)
    assert len(calls) == traced


def test_other_shapes_are_traced_once_each():
    calls = []
    w = Value(0.5)
    run = ts.vectorize(lambda x: calls.append(1) or sum((w * v for v in x), Value(0.0)) ** 2, [w], check=False)
    for n in (2, 3, 2, 3):
        value, _ = run(np.ones((4, n)))
        assert value == pytest.approx((0.5 * n) ** 2)
    assert len(calls) == 2


def test_lists_and_integers_are_as_good_as_arrays():
    cost, params = line()
    a = ts.vectorize(cost, params)([0, 1, 2], [1, 3, 5])
    b = ts.vectorize(cost, params)(X, Y)
    assert a[0] == b[0]
    assert (a[1] == b[1]).all()


def test_small_integers_do_not_overflow():
    w = Value(1.0)
    value, _ = ts.vectorize(lambda x: w * x * x, [w])(np.array([100, 120], np.int8))
    assert value == (100.0**2 + 120.0**2) / 2


def test_the_program_works_on_its_parameters_and_write_back_puts_them_into_the_values():
    cost, params = line()
    run = ts.vectorize(cost, params)
    run(X, Y)
    run.parameters[:] = [2.0, 1.0]
    assert run.value(X, Y) == 0.0
    assert [p.data for p in params] == [0.5, -0.25]
    run.write_back()
    assert [p.data for p in params] == [2.0, 1.0]


def test_a_replaced_parameters_array_is_the_one_that_counts():
    cost, params = line()
    run = ts.vectorize(cost, params)
    run(X, Y)
    run.parameters = np.array([2.0, 1.0])
    assert run(X, Y)[0] == 0.0


def test_each_call_returns_a_gradient_of_its_own():
    cost, params = line()
    run = ts.vectorize(cost, params)
    first = run(X, Y)[1]
    kept = first.copy()
    run.parameters[:] = 0.0
    run(X, Y)
    assert (first == kept).all()


def test_calling_changes_no_value_and_no_gradient():
    captured = Value(3.0)
    w = Value(2.0)
    w.grad, captured.grad = 5.0, 7.0
    ts.vectorize(lambda x: w * x * captured, [w])(X)
    assert (w.data, w.grad, captured.data, captured.grad) == (2.0, 5.0, 3.0, 7.0)


def test_a_pickled_run_runs_in_another_process(tmp_path):
    net = ts.MLP(2, [3, 1], "tanh", "sigmoid", seed=0)
    run = ts.vectorize(lambda x, y: ts.binary_cross_entropy(net(x), y), net.parameters())
    examples = np.array([[0.5, -1.0], [2.0, 0.25]]), np.array([0.0, 1.0])
    value, gradient = run(*examples)
    (tmp_path / "run").write_bytes(pickle.dumps((run, examples)))
    program = (
        f"import pickle\nrun, examples = pickle.load(open({str(tmp_path / 'run')!r}, 'rb'))\n"
        "value, gradient = run(*examples)\nprint(value.hex(), gradient.tobytes().hex())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [value.hex(), gradient.tobytes().hex()]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda run: pickle.loads(pickle.dumps(run))])
def test_a_copy_is_trained_through_its_own_parameters(copied):
    w = Value(0.5)
    run = ts.vectorize(lambda x: w * w * x, [w])
    before = run(X)
    other = copied(run)
    other.parameters -= 0.25
    assert other(X)[0] == before[0] / 4
    assert run(X) == before and run.parameters == [0.5]


def test_a_pickled_run_has_no_function_and_says_so():
    cost, params = line()
    run = ts.vectorize(cost, params)
    run(X, Y)
    loaded = pickle.loads(pickle.dumps(run))
    with pytest.raises(ValueError, match="without the function"):
        loaded(np.ones((2, 2)), Y[:2])
    with pytest.raises(ValueError, match="without Values"):
        loaded.write_back()


w = Value(0.5, "w")


def test_integers_beyond_int64_are_refused():
    with pytest.raises(ValueError, match="beyond 9223372036854775807"):
        ts.vectorize(lambda x: w * x, [w])(np.array([2**63 + 5, 3], np.uint64))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((3.0, [w]), TypeError, r"a function of one example, got 3\.0"),
        ((lambda x: x, w), TypeError, "a list of Values"),
        ((lambda x: x, [1.0]), TypeError, r"must be leaves, .*; got 1\.0"),
        ((lambda x: x, [w * 2]), TypeError, "must be leaves"),
        ((lambda x: x, []), ValueError, "at least one Value unless wrt_inputs=True, got none"),
        ((lambda x: x, [w, w]), ValueError, "different Values, got the same one twice"),
    ],
)
def test_what_vectorize_cannot_take_is_one_line_that_shows_it(arguments, error, words):
    with pytest.raises(error, match=words):
        ts.vectorize(*arguments)


def test_an_unknown_dtype_is_an_error():
    with pytest.raises(ValueError, match="float64, float32, got 'int8'"):
        ts.vectorize(lambda x: w * x, [w], dtype="int8")


@pytest.mark.parametrize(
    ("arrays", "error", "words"),
    [
        ((), TypeError, "missing 2 required positional arguments"),
        (([1.0, 2.0], [1.0]), ValueError, "same number of examples: argument 0 has 2, but argument 1 has 1"),
        ((1.0, 2.0), ValueError, "must have one or more examples, on axis 0"),
        (([], []), ValueError, "must have one or more examples, on axis 0"),
        ((["a"], ["b"]), TypeError, "argument 0 must hold numbers"),
        (([[1.0], [1.0, 2.0]], [1.0, 2.0]), ValueError, "rows of argument 0 must all have the same length"),
    ],
)
def test_what_a_run_cannot_take_is_one_line_that_shows_it(arrays, error, words):
    cost, params = line()
    with pytest.raises(error, match=words):
        ts.vectorize(cost, params)(*arrays)


def test_reading_the_program_before_there_is_one_is_an_error():
    cost, params = line()
    with pytest.raises(ValueError, match="before the first call"):
        _ = ts.vectorize(cost, params).source


def test_a_value_that_is_set_counts_from_the_next_call_on():
    w = Value(2.0, "w")
    run = ts.vectorize(lambda x: w * x, [w])
    assert run([1.0])[0] == 2.0
    w.data = 5.0
    assert run([1.0])[0] == run.value([1.0]) == 5.0
    w.data = 6.0
    assert run.parameters.tolist() == [6.0]
    w.data = 7.0
    run.write_back()
    assert w.data == 7.0


def test_an_optimizer_of_values_and_a_run_go_together():
    w = Value(1.0)
    run = ts.vectorize(lambda x, y: (w * x - y) ** 2, [w])
    descent = ts.GradientDescent([w], 0.1)
    for _ in range(50):
        _, gradient = run([1.0, 2.0], [3.0, 6.0])
        w.grad = float(gradient[0])
        descent.step()
    assert w.data == pytest.approx(3.0)


def test_a_number_that_was_changed_on_both_sides_is_an_error_with_two_ways_out():
    def torn():
        w = Value(2.0, "w")
        run = ts.vectorize(lambda x: w * x, [w])
        run([1.0])
        run.parameters[0], w.data = 3.0, 4.0
        with pytest.raises(ValueError, match=r"w was set to 4\.0, but run\.parameters\[0\] to 3\.0: call"):
            run([1.0])
        return w, run

    w, run = torn()
    run.write_back()
    assert run([1.0])[0] == w.data == 3.0
    w, run = torn()
    run.parameters = [w.data]
    assert run([1.0])[0] == w.data == 4.0


def test_only_one_side_need_change_for_each_parameter():
    w, b = Value(2.0, "w"), Value(1.0, "b")
    run = ts.vectorize(lambda x: w * x + b, [w, b], dtype="float32")
    run([1.0])
    run.parameters[0], b.data = 3.0, 10.0
    assert run([1.0])[0] == 13.0


def test_a_captured_value_that_is_set_is_traced_anew():
    w, k = Value(2.0), Value(3.0)
    calls = []

    def cost(x):
        calls.append(x)
        return w * x * (k * 2.0)

    run = ts.vectorize(cost, [w], check=False)
    assert run([1.0])[0] == 12.0
    Value(5.0).data = 6.0  # of no interest
    assert run([1.0])[0] == 12.0
    assert len(calls) == 1
    k.data = 10.0
    assert run([1.0])[0] == 40.0
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        (np.ma.masked_array([1.0, 2.0], [False, True]), TypeError, "masked"),
        (np.array([1.0, 2.0], object), TypeError, "astype"),
        (np.zeros((3, 0)), ValueError, "must hold at least one number"),
    ],
)
def test_arrays_whose_numbers_would_be_guessed_are_refused(array, error, words):
    w = Value(2.0)
    with pytest.raises(error, match=words):
        ts.vectorize(lambda x: w * x, [w])(array)


@pytest.mark.parametrize("check", [True, False])
def test_arrays_that_are_not_aligned_are_read_all_the_same(check):
    records = np.zeros(3, [("f", "i1"), ("x", "<f8")])
    records["x"] = [1.0, 2.0, 3.0]
    w = Value(2.0)
    run = ts.vectorize(lambda x: w * x, [w], check=check)
    for _ in range(2):
        assert run(records["x"])[0] == run.value(records["x"]) == 4.0


def test_write_back_keeps_what_another_value_was_set_to():
    w, b = Value(2.0, "w"), Value(1.0, "b")
    run = ts.vectorize(lambda x: w * x + b, [w, b])
    run.parameters[0], b.data = 3.0, 10.0
    run.write_back()
    assert (w.data, b.data, run.parameters.tolist()) == (3.0, 10.0, [3.0, 10.0])


@pytest.mark.skipif(not ts.accelerated, reason="C would read beyond their end; what NumPy does is up to it")
@pytest.mark.parametrize("reduce", ["mean", None])
@pytest.mark.parametrize("outputs", [lambda z: z, lambda z: [z, z * z]], ids=["one", "several"])
def test_parameters_that_somebody_resized_are_an_error(reduce, outputs):
    w = [Value(0.5) for _ in range(6)]
    run = ts.vectorize(lambda x: outputs(w[0] * x + w[5]), w, reduce=reduce)
    X = np.array([1.0, 2.0])
    run(X), run(X)
    run.parameters.resize(2, refcheck=False)
    with pytest.raises((IndexError, ValueError)):
        run(X)
