"""Tracing: never silently wrong, and an error names the line and the way out."""

import copy
import math
import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from programs import assert_equal_to_the_engine, by_the_engine

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import read_data, read_gradients, tracing
from tinygrad_scalar.engine.errors import TraceError
from tinygrad_scalar.vectorize.trace import trace

X = np.array([0.0, 1.0, 2.0])
w = Value(0.5, "w")


LOOKS = {
    "data": (lambda x: w * x.data, ".data was read"),
    "parameter": (lambda x: w.data * x, ".data was read"),
    "computed": (lambda x: Value((w * x).data) * w, ".data was read"),
    "less": (lambda x: w if x < 0.5 else x, "it was compared"),
    "other_side": (lambda x: w if x >= 0.5 else x, "it was compared"),
    "max": (lambda x: max(w, x), "it was compared"),
    "sorted": (lambda x: sorted([x, w])[0], "it was compared"),
    "bool": (lambda x: w if x else x, "a branch was taken"),
    "and": (lambda x: w * x and w, "a branch was taken"),
    "equal": (lambda x: w if x == 1 else x, "== asks"),
    "unequal": (lambda x: w if x != 1 else x, "== asks"),
    "float": (lambda x: w * float(x), "was made a float"),
    "text": (lambda x: w * float(f"{x:.2f}"), "it was shown as text"),
    "text of a parameter": (lambda x: x * float(format(w * 2.0, ".1f")), "it was shown as text"),
    "str": (lambda x: w * len(str(x)), "it was shown as text"),
    "repr in a list": (lambda x: w * len(repr([x])), "it was shown as text"),
    "percent": (lambda x: w * float("%f" % x), "was made a float"),  # noqa: UP031
    "float64": (lambda x: w * np.float64(x), "was made a float"),
    "asarray": (lambda x: w * np.asarray([x]).astype(float)[0], "was made a float"),
    "modf": (lambda x: w * math.modf(x)[0], "was made a float"),
    "complex": (lambda x: w * complex(x).real, "was made a float"),
    "pickle": (lambda x: pickle.loads(pickle.dumps(x)) * w, "it was copied"),
    "deepcopy": (lambda x: copy.deepcopy([x])[0] * w, "it was copied"),
    "optimizer": (lambda x: ts.GradientDescent([w], 0.1).step() or w * x, "was read"),
    "int": (lambda x: w * int(x), "was made an int"),
    "math": (lambda x: w * math.exp(x), "was made a float"),
    "round": (lambda x: w * round(x), "it was rounded"),
    "index": (lambda x: [w, w][x] * 1.0, "it was used as an index"),
    "range": (lambda x: sum(w for _ in range(x)), "it was used as an index"),
    "grad": (lambda x: w * x * w.grad, "its gradient was asked for"),
    "backward": (lambda x: (w * x).backward() or w, "its gradient was asked for"),
    "local_grads": (lambda x: w * (x * x).local_grads[0], "its gradient was asked for"),
    "set": (lambda x: setattr(w, "data", 2.0) or w * x, "was set"),
    "lookup": (lambda x: ts.lookup([w, w * 2], x), "array of integers"),
}


@pytest.mark.parametrize("name", LOOKS)
def test_looking_at_a_traced_number_is_an_error_that_names_the_line_and_the_way_out(name):
    cost, words = LOOKS[name]
    with pytest.raises(TraceError, match=words) as caught:
        ts.vectorize(cost, [w])(X)
    message = str(caught.value)
    assert ".py:" in message
    assert "\n" not in message
    assert w.data == 0.5


@pytest.mark.parametrize("read", [read_data, read_gradients])
def test_an_array_for_numbers_that_cannot_be_read_is_let_go(read):
    numbers = np.zeros(1)
    before = sys.getrefcount(numbers)
    with pytest.raises(TraceError):
        ts.vectorize(lambda x: read([w], numbers) or w * x, [w])(X)
    assert sys.getrefcount(numbers) == before


@pytest.mark.parametrize("function", [math.floor, math.ceil])
def test_pythons_floor_and_ceil_of_a_traced_number_are_recorded(function):
    value, (gradient,) = ts.vectorize(lambda x: w * function(x), [w])(np.array([-1.5, 0.25, 2.0]))
    expected = sum(map(function, (-1.5, 0.25, 2.0))) / 3
    assert (value, gradient) == (pytest.approx(0.5 * expected), pytest.approx(expected))


def test_after_an_error_values_can_be_read_again():
    with pytest.raises(TraceError):
        ts.vectorize(lambda x: w * x.data, [w])(X)
    assert (w * 2.0).data == 1.0
    assert w < 1.0


def test_reading_what_does_not_depend_on_the_example_is_allowed():
    captured = Value(3.0)
    value, _ = ts.vectorize(lambda x: w * x * (2.0 if captured > 1 else 1.0) * captured.data, [w])(X)
    assert value == pytest.approx(0.5 * 2.0 * 3.0)


READS = {  # of a captured Value k
    "data": lambda k: k.data,
    "of a computed value": lambda k: (k * 2.0).data,
    "comparison": lambda k: 2.0 if k > 5.0 else 3.0,
    "comparison of what was computed": lambda k: 2.0 if k * k > 25.0 else 3.0,
    "truth": lambda k: 2.0 if k - 4.0 else 3.0,
    "text": lambda k: float(f"{k:.1f}"),
    "repr": lambda k: float(len(repr(k))),
    "copy": lambda k: copy.copy(k),
    "index": lambda k: ts.lookup([5.0, 6.0, 7.0, 8.0, 9.0], k),
    "in another thread": lambda k: POOL.submit(lambda: k.data * 2.0).result(),
    "gradient of its own": lambda k: (k * k).backward() or k.data,
    "vectorized": lambda k: ts.vectorize(lambda x: k * x, [k])([1.0, 3.0])[0],
}
POOL = ThreadPoolExecutor(1)


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("check", [True, False])
def test_a_captured_value_that_the_function_reads_counts_when_it_is_set(read, check):
    k = Value(4.0)
    run = ts.vectorize(lambda x: w * x * READS[read](k), [w], check=check)
    for number in (4.0, 2.0, 1.0, 4.0):
        k.data = number
        expected, _, _ = by_the_engine(lambda x: w * x * READS[read](k), [w], [X])
        assert run(X)[0] == run.value(X) == pytest.approx(expected)


def test_a_value_that_the_first_call_makes_counts_when_it_is_set():
    made = []

    def cost(x):
        if not made:
            made.append(Value(2.0))
        return w * x * made[0]

    run = ts.vectorize(cost, [w])
    assert run([1.0])[0] == 1.0
    made[0].data = 6.0
    assert run([1.0])[0] == 3.0


def test_a_computed_value_that_is_recomputed_counts():
    t = Value(2.0)
    k = t * 3.0
    run = ts.vectorize(lambda x: w * x * k.data, [w])
    assert run([1.0])[0] == 3.0
    t.data = 4.0
    k.forward()
    assert run([1.0])[0] == 6.0


def test_a_function_that_sets_a_value_is_refused():
    count = Value(0.0, "count")

    def cost(x):
        count.data = count.data + 1.0
        return w * x * count

    with pytest.raises(TraceError, match=r"count was set while vectorize traces: .* set it before the call"):
        ts.vectorize(cost, [w], check=False)(X)


def test_an_argument_kept_from_an_earlier_call_is_a_constant():
    kept = []
    run = ts.vectorize(lambda x: kept.append(x) or w * x * kept[0], [w])
    assert run([3.0, 1.0])[0] == 0.5 * 3.0 * 2.0


HELPERS = {
    "data": lambda x: POOL.submit(lambda: x.data),
    "computed": lambda x: POOL.submit(lambda: (w * x).data),
    "parameter": lambda x: POOL.submit(lambda: w.data),
    "comparison": lambda x: POOL.submit(lambda: 1.0 if x < 1.0 else 2.0),
    "no code of the function": lambda x: POOL.submit(getattr, x, "data"),
    "text": lambda x: POOL.submit(str, x),
}


@pytest.mark.parametrize("helper", HELPERS)
def test_a_traced_number_cannot_be_read_in_a_helper_thread(helper):
    with pytest.raises(TraceError, match="is a placeholder for every example"):
        ts.vectorize(lambda x: w * x * len(str(HELPERS[helper](x).result())), [w])(X)


def test_a_helper_thread_can_compute():
    value, _ = ts.vectorize(lambda x: POOL.submit(lambda: w * x).result(), [w])(X)
    assert value == pytest.approx(0.5)


def test_a_function_that_vectorizes_another_cannot_give_it_its_placeholders():
    with pytest.raises(TraceError, match=r"x is a placeholder"):
        ts.vectorize(lambda x: w * ts.vectorize(lambda y: y * x, [Value(1.0)])([1.0])[0], [w])(X)
    with pytest.raises(TraceError, match=r"w is a placeholder"):
        ts.vectorize(lambda x: x * ts.vectorize(lambda y: w * y, [w])([1.0])[0], [w])(X)
    ready = ts.vectorize(lambda y: w * y, [w])
    ready([1.0])
    for read in (lambda: ready([1.0])[0], lambda: ready.value([1.0]), lambda: ready.parameters[0]):
        with pytest.raises(TraceError, match=r"w is a placeholder"):
            ts.vectorize(lambda x, read=read: x * read() + w, [w])(X)


@pytest.mark.parametrize("table", [[[w], [w, w]], [[w, w], [w]], [[w], w], [{"a": w}, {"b": w}], [{"a": w}, [w]]])
def test_rows_that_differ_in_shape_are_refused(table):
    with pytest.raises(TraceError, match="all rows of a table that an argument indexes must have the same"):
        ts.vectorize(lambda i: ts.lookup(table, i)[0] * 1.0, [w])([0, 1])


TABLES = {
    "numbers": [0.5, -1.0],
    "parameters": [w, w],
    "rows of numbers": [[0.5, 2.0], [1.0, 3.0]],
    "tuples": ((w, 2.0), (w, 3.0)),
    "an array": np.array([[w, Value(2.0)], [w, Value(3.0)]]),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_words_of_a_text_are_looked_up_in_the_same_entries(name):
    lookups = trace(
        lambda words: [ts.lookup(TABLES[name], word) for word in words], [w], [np.zeros((1, 9), int)]
    ).lookups
    columns = 1 if np.ndim(TABLES[name]) == 1 else 2
    assert len(lookups) == 9 * columns
    assert len({id(entries) for entries, _, _ in lookups.values()}) == columns


@pytest.mark.parametrize("by_row", [False, True])
@pytest.mark.parametrize("other", [Value(-2.0), 4.0, "argument"], ids=["Value", "number", "argument"])
@pytest.mark.parametrize("first", [Value(3.0), 0.5], ids=["Value", "number"])
def test_a_table_that_changes_between_two_lookups_is_read_again(first, other, by_row):
    def cost(i, x):
        table = [[first, w], [w, first]] if by_row else [first, w]
        rows = table if by_row else [table]
        before = ts.lookup(table, i)[0] if by_row else ts.lookup(table, i)
        rows[0][0] = x if other == "argument" else other
        after = ts.lookup(table, i)[0] if by_row else ts.lookup(table, i)
        return before + w * after

    assert_equal_to_the_engine(cost, [w], [np.array([0, 1, 0]), np.array([0.25, 0.5, 2.0])])


def test_a_row_that_is_not_there_is_refused():
    table = [Value(1.0), Value(2.0)]
    run = ts.vectorize(lambda i: ts.lookup(table, i) ** 2, table)
    assert run([0, 1])[0] == 2.5
    for bad in ([0, 2], [-1, 0]):
        with pytest.raises(ValueError, match=r"expected (a row|rows) from 0 to 1, got "):
            run(bad)


def test_what_a_loss_refuses_is_refused_in_every_example():
    run = ts.vectorize(lambda a, y: ts.binary_cross_entropy(w * a, y), [w])
    run([0.5, 1.0], [0, 1])
    with pytest.raises(ValueError, match=r"outputs must be from 0 to 1, got 1\.5; make the last layer with output"):
        run([0.5, 3.0], [0, 1])
    with pytest.raises(ValueError, match=r"targets must be from 0 to 1, got 2\.0"):
        run([0.5, 1.0], [0, 2])
    run = ts.vectorize(lambda a, y: ts.hinge(w * a, y), [w])
    run([0.5, 1.0], [-1, 1])
    with pytest.raises(ValueError, match=r"hinge targets must be −1 or \+1, got 0\.0"):
        run([0.5, 1.0], [-1, 0])


def test_a_function_that_returns_no_value_is_an_error():
    with pytest.raises(TypeError, match="must return one Value, the cost of an example, or a list of Values, got 'w'"):
        ts.vectorize(lambda x: "w", [w])(X)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exceptions have no notes")
def test_an_error_in_the_function_says_what_it_was_called_with():
    w = Value(2.0)
    with pytest.raises(TypeError) as caught:
        ts.vectorize(lambda x, y: (w * x[0][0] - y) ** 2, [w])(np.ones((4, 2, 3)), np.ones((4, 1)))
    assert caught.value.__notes__ == [
        "vectorize called the function with a list of 2 lists of 3 Values, a list of 1 Value"
    ]


def test_threads_can_trace_at_the_same_time_as_others_read_their_values():
    stop = threading.Event()
    w = Value(0.5)
    wrong = []

    def read():
        while not stop.is_set():
            try:
                assert w.data == 0.5
            except Exception as error:
                wrong.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(20):
            ts.vectorize(lambda x: sum(w * x for _ in range(50)), [w])(X)
    finally:
        stop.set()
        reader.join()
    assert wrong == []


def test_threads_can_trace_at_the_same_time():
    interval = sys.getswitchinterval()
    wrong = []

    def trace_many():
        try:
            for _ in range(30):
                table = [Value(float(k)) for k in range(4)]
                run = ts.vectorize(
                    lambda i, table=table: sum(ts.lookup(table, i) for _ in range(20)), table, check=False
                )
                assert run([0, 1, 3])[0] == pytest.approx(20 * 4 / 3)
        except BaseException as error:
            wrong.append(error)

    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=trace_many) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []
    assert not tracing.active


def test_errors_name_the_numbers_of_long_arguments_too():
    with pytest.raises(TraceError, match=r": x\[600\]\[1\] is a placeholder"):
        ts.vectorize(lambda x: w * float(x[600][1]), [w])(np.ones((2, 700, 2)))
