"""Tracing: never silently wrong, and an error names the line and the way out."""

import math
import sys
import threading

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import tracing
from tinygrad_scalar.engine.errors import TraceError

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
    assert "test_trace.py:" in message
    assert "\n" not in message
    assert w.data == 0.5


def test_after_an_error_values_can_be_read_again():
    with pytest.raises(TraceError):
        ts.vectorize(lambda x: w * x.data, [w])(X)
    assert (w * 2.0).data == 1.0
    assert w < 1.0


def test_reading_what_does_not_depend_on_the_example_is_allowed():
    captured = Value(3.0)
    value, _ = ts.vectorize(lambda x: w * x * (2.0 if captured > 1 else 1.0) * captured.data, [w])(X)
    assert value == pytest.approx(0.5 * 2.0 * 3.0)


def test_a_function_that_does_not_repeat_itself_is_refused():
    numbers = iter(range(100))
    with pytest.raises(TraceError, match=r"gives the cost .* for example 2, but the function itself"):
        ts.vectorize(lambda x: w * x + next(numbers), [w])(X)
    ts.vectorize(lambda x: w * x + next(numbers), [w], check=False)(X)


@pytest.mark.parametrize("table", [[[w], [w, w]], [[w, w], [w]], [[w], w], [{"a": w}, {"b": w}], [{"a": w}, [w]]])
def test_rows_that_differ_in_shape_are_refused(table):
    with pytest.raises(TraceError, match="all rows of a table that an argument indexes must have the same"):
        ts.vectorize(lambda i: ts.lookup(table, i)[0] * 1.0, [w])([0, 1])


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
    with pytest.raises(TypeError, match="must return one Value, the cost of an example, got"):
        ts.vectorize(lambda x: [w * x], [w])(X)


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
    assert tracing.active is None
