"""Iterators, bytes and context variables count, too: in a side of ts.cond, and in what a function reads."""

import array
import csv
import gc
import io
import itertools
import re
import sys
import threading
from collections import OrderedDict, defaultdict, deque
from contextvars import ContextVar

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import TraceError, Value
from tinygrad_scalar.vectorize.reach import Reach
from tinygrad_scalar.vectorize.readings import Readings

w = Value(1.5, "w")
RARE = np.array([*range(1, 40)] * 3, float)  # no example of the check takes the side below 0
NUMBERS = [2.0, 2.0, 2.0, 3.0]
KIND = ContextVar("kind")


def of_a_list():
    for number in NUMBERS:  # noqa: UP028
        yield number


def of_its_own():
    left = [*NUMBERS]
    while left:
        yield left.pop()


class Counter:
    count = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.count += 1
        return float(self.count)


ITERATORS = {
    "list": lambda: iter(NUMBERS),
    "tuple": lambda: iter((2.0, 2.0, 2.0)),
    "set": lambda: iter({2.0, 3.0, 4.0}),
    "dict": lambda: iter({2.0: 1, 3.0: 1}),
    "items": lambda: iter({2.0: 1, 3.0: 1}.items()),
    "range": lambda: iter(range(3)),
    "text": lambda: iter("aaaa"),
    "bytes": lambda: iter(b"aaaa"),
    "array": lambda: iter(array.array("d", NUMBERS)),
    "reversed": lambda: reversed(NUMBERS),
    "enumerate": lambda: enumerate(NUMBERS),
    "zip": lambda: zip(NUMBERS, NUMBERS),
    "map": lambda: map(abs, NUMBERS),
    "filter": lambda: filter(None, NUMBERS),
    "count": lambda: itertools.count(3),
    "count of floats": lambda: itertools.count(3.0, 0.5),
    "cycle": lambda: itertools.cycle([2.0, 2.0]),
    "chain": lambda: itertools.chain(NUMBERS, NUMBERS),
    "chain.from_iterable": lambda: itertools.chain.from_iterable([NUMBERS, NUMBERS]),
    "islice": lambda: itertools.islice(NUMBERS, 3),
    "accumulate": lambda: itertools.accumulate(NUMBERS),
    "product": lambda: itertools.product(NUMBERS, NUMBERS),
    "permutations": lambda: itertools.permutations(NUMBERS),
    "combinations": lambda: itertools.combinations(NUMBERS, 2),
    "tee": lambda: itertools.tee(NUMBERS)[0],
    "groupby": lambda: itertools.groupby([1.0, 2.0, 3.0]),
    "pairwise": lambda: itertools.pairwise(NUMBERS),
    "repeat": lambda: itertools.repeat(2.0, 3),
    "zip_longest": lambda: itertools.zip_longest(NUMBERS, NUMBERS[:1]),
    "starmap": lambda: itertools.starmap(pow, [(2.0, 1.0)] * 3),
    "takewhile": lambda: itertools.takewhile(bool, NUMBERS),
    "compress": lambda: itertools.compress(NUMBERS, NUMBERS),
    "generator": of_a_list,
    "generator with a list": of_its_own,
    "generator expression": lambda: (number for number in NUMBERS),
    "csv.reader": lambda: csv.reader(io.StringIO("2\n2\n2")),
    "csv.DictReader": lambda: csv.DictReader(io.StringIO("a\n2\n2\n2")),
    "StringIO": lambda: io.StringIO("2\n2\n2"),
}
UNTELLING = {"function": lambda: iter(lambda: 2.0, 0.0), "re": lambda: re.finditer("2", "222")}


@pytest.mark.parametrize("name", ITERATORS)
def test_how_far_an_iterator_is_is_noticed_and_seeing_it_does_not_advance_it(name):
    iterator, same = ITERATORS[name](), ITERATORS[name]()
    for _ in range(2):
        reach = Reach(lambda: next(iterator))
        assert reach.unchanged() or reach.unknown
        first, other = next(iterator), next(same)
        assert name in ("groupby", "tee") or first == other
        assert not reach.unchanged() or reach.unknown
    for _ in range(4):
        next(iterator, None)
    reach = Reach(lambda: next(iterator))
    assert reach.unchanged()
    gc.collect()


@pytest.mark.parametrize("name", [*ITERATORS, *UNTELLING])
def test_a_side_that_advances_an_iterator_from_outside_is_refused(name):
    def function(x):
        numbers = (ITERATORS | UNTELLING)[name]()
        y = ts.cond(ts.less(x, 0), lambda: w * x + (next(numbers) is None), lambda: w * x)
        after = next(numbers)
        return y * (after if name.startswith("count") else 1.0) * len([*itertools.islice(numbers, 3)])

    with pytest.raises(TraceError, match=r"must not change anything outside of it(.|\n)*`then` (changed|can use)"):
        ts.vectorize(function, [w])(RARE)


@pytest.mark.parametrize("name", ITERATORS)
def test_a_side_may_reach_an_iterator_that_it_leaves_as_it_is(name):
    def function(x, used=0):
        numbers = ITERATORS[name]()
        for _ in range(used):
            next(numbers, None)
        return ts.cond(ts.less(x, 0), lambda: w * x if numbers else w, lambda: 2.0 * w * x)

    X = np.array([-3.0, 1.0, 2.0, -1.0])
    for used in (0, 30):
        value, _ = ts.vectorize(lambda x, used=used: function(x, used), [w], reduce=None)(X)
        np.testing.assert_allclose(value, np.where(X < 0, 1.5 * X, 3.0 * X), rtol=1e-12)


def test_an_iterator_is_found_behind_its_bound_method_and_in_a_class():
    class Layer:
        number = itertools.count(1.0)

    def bound(x):
        after = itertools.count(1.0).__next__
        return ts.cond(ts.less(x, 0), lambda: w * after(), lambda: w * x) * after()

    def of_a_class(x):
        Layer.number = itertools.count(1.0)
        layer = Layer()
        return ts.cond(ts.less(x, 0), lambda: w * next(layer.number), lambda: w * x) * next(layer.number)

    for function in (bound, of_a_class):
        with pytest.raises(TraceError, match=r"`then` changed"):
            ts.vectorize(function, [w])(RARE)


def test_the_error_says_to_take_what_comes_next_before_the_condition():
    def function(x):
        numbers = iter(NUMBERS)
        return ts.cond(ts.less(x, 0), lambda: w * next(numbers), lambda: w * x)

    with pytest.raises(
        TraceError, match=r"test_states.py:\d+: .*before the condition(.|\n)*`then` changed the list_iterator num"
    ):
        ts.vectorize(lambda x: function(x) * 0.0, [w])(RARE)


@pytest.mark.parametrize("mode", ["r", "rb"])
def test_a_side_that_reads_a_file_is_refused_and_one_that_prints_is_not(mode):
    with open(__file__, mode) as file:

        def reads(x):
            file.seek(0)
            y = ts.cond(ts.less(x, 0), lambda: w * x if next(file) else x, lambda: w * x)
            return y * len(next(file))

        with pytest.raises(TraceError, match=r"must not change anything outside of it(.|\n)*`then` (changed|can use)"):
            ts.vectorize(reads, [w])(RARE)

    def prints(x):
        return ts.cond(ts.less(x, 0), lambda: w * x if print("rare", file=sys.stderr) is None else x, lambda: w * x)

    assert ts.vectorize(prints, [w])([2.0])[0] == 3.0


def an_iterator_of_the_users(x):
    numbers = Counter()
    y = ts.cond(ts.less(x, 0), lambda: w * x if next(numbers) else x, lambda: w * x)
    return y, next(numbers)


def a_bytearray(x):
    found = bytearray(b"\x01\x02")
    y = ts.cond(ts.less(x, 0), lambda: found.append(7) or w * x, lambda: w * x)
    return y, len(found)


def an_element_of_a_bytearray(x):
    found = bytearray(b"\x01\x02")
    view = memoryview(found)
    y = ts.cond(ts.less(x, 0), lambda: view.__setitem__(0, 7) or w * x, lambda: w * x)
    return y, found[0]


def an_array(x):
    found = array.array("d", [1.0, 2.0])
    y = ts.cond(ts.less(x, 0), lambda: found.append(7.0) or w * x, lambda: w * x)
    return y, sum(found)


def a_context_variable(x):
    KIND.set(1.0)
    y = ts.cond(ts.less(x, 0), lambda: w * x if KIND.set(2.0) else x, lambda: w * x)
    return y, KIND.get()


def a_local_of_the_thread(x):
    found = threading.local()
    found.kind = 1.0

    def rare():
        found.kind, found.other = 2.0, 1.0
        return w * x

    return ts.cond(ts.less(x, 0), rare, lambda: w * x), found.kind + getattr(found, "other", 0.0)


class Plain:
    pass


def a_new_attribute_of_a_class(x):
    thing = Plain()
    if hasattr(Plain, "shared"):
        del Plain.shared

    def rare():
        type(thing).shared = 2.0
        return w * x

    return ts.cond(ts.less(x, 0), rare, lambda: w * x), getattr(thing, "shared", 1.0)


def a_new_attribute_by_a_computed_name(x):
    thing = Plain()
    if hasattr(Plain, "shared"):
        del Plain.shared

    def rare():
        setattr(type(thing), "sha" + "red", 2.0)
        return w * x

    return ts.cond(ts.less(x, 0), rare, lambda: w * x), getattr(thing, "shared", 1.0)


def an_ordered_dict(x):
    found = OrderedDict(a=1.0)
    y = ts.cond(ts.less(x, 0), lambda: w * x if found.setdefault("b", 2.0) else x, lambda: w * x)
    return y * (1.0 if [*found.items()] else 2.0), len(found)


def a_number_for_each_new_key(x):
    numbers = defaultdict(itertools.count(1).__next__)
    y = ts.cond(ts.less(x, 0), lambda: w * x if numbers["a"] else x, lambda: w * x)
    return y, numbers["b"]


def a_global_by_its_name(x):
    globals()["by_name"] = 1.0

    def rare():
        globals()["by_name"] = 2.0
        return w * x

    return ts.cond(ts.less(x, 0), rare, lambda: w * x), by_name  # noqa: F821


def a_label(x):
    square = x * x
    values = [square, (w,)]

    def rare():
        values[0].label = "rare"
        return w * x

    return ts.cond(ts.less(x, 0), rare, lambda: w * x), 2.0 if square.label == "rare" else 1.0


def a_label_in_a_loop(x):
    squares = [x * x for _ in range(4)]
    for k, square in enumerate(squares):
        ts.cond(ts.less(x, 0), lambda square=square, k=k: named(square, k), lambda: 0.0)
    return w * x, 2.0 if squares[3].label else 1.0


def named(value, k):
    setattr(value, "label", "last" if k == 3 else "")  # noqa: B010
    return 1.0


def a_deque_that_both_sides_change(x):
    found = deque([w, 2.0 * w, 3.0 * w, 4.0 * w], maxlen=4)
    last = found[3]
    y = ts.cond(ts.less(x, 0), lambda: found.rotate(1) or w * x, lambda: found.append(last) or w * x)
    return y, found[3]


def a_list_that_both_sides_turn(x):
    found = [w, 2.0]
    y = ts.cond(ts.less(x, 0), lambda: found.reverse() or w * x, lambda: found.reverse() or w * x)
    return y, found[0]


def a_number_that_both_sides_add_to(x):
    count = 0.0

    def adds(number):
        nonlocal count
        count += number
        return w * x

    return ts.cond(ts.less(x, 0), lambda: adds(1.0), lambda: adds(-1.0)), 2.0 + count


PUT_BACK = [an_iterator_of_the_users, a_bytearray, an_element_of_a_bytearray, an_array, a_context_variable]
PUT_BACK += [a_local_of_the_thread, a_new_attribute_of_a_class, a_new_attribute_by_a_computed_name]
PUT_BACK += [a_label, a_label_in_a_loop, a_deque_that_both_sides_change, a_list_that_both_sides_turn]
PUT_BACK += [a_number_that_both_sides_add_to, an_ordered_dict, a_number_for_each_new_key, a_global_by_its_name]


@pytest.mark.parametrize("function", PUT_BACK)
def test_a_side_may_change_what_can_be_put_back_unless_it_is_read_outside(function):
    with pytest.raises(TraceError, match=r"must not change anything outside of it(.|\n)*`(then|otherwise)` changed"):
        ts.vectorize(lambda x: function(x)[0] * function(x)[1], [w])(RARE)
    value, _ = ts.vectorize(lambda x: function(x)[0], [w], reduce=None)([-2.0, 3.0])
    np.testing.assert_allclose(value, [-3.0, 4.5], rtol=1e-12)


def test_a_context_variable_that_is_set_counts_in_the_next_call():
    kind = ContextVar("kind", default=2.0)
    run = ts.vectorize(lambda x: w * x * kind.get(), [w])
    assert run([1.0])[0] == 3.0
    token = kind.set(4.0)
    assert run([1.0])[0] == 6.0
    kind.reset(token)
    assert run([1.0])[0] == 3.0


def test_what_a_local_of_the_thread_holds_counts_in_the_next_call():
    kind = threading.local()
    kind.factor = 2.0
    run = ts.vectorize(lambda x: w * x * kind.factor, [w])
    assert run([1.0])[0] == 3.0
    kind.factor = 4.0
    assert run([1.0])[0] == 6.0


@pytest.mark.parametrize("kind", [bytearray, lambda numbers: array.array("d", numbers), list])
@pytest.mark.parametrize("n", [2, 1000])
def test_few_numbers_count_in_every_call_and_many_where_they_are_asked_for(kind, n):
    numbers = kind([1, 2] * (n // 2))
    read = Readings(Reach(lambda x: w * x * numbers[1]).places)
    assert read.numbers_held()
    assert read.quick_held()
    numbers[1] = 4
    assert read.numbers_held() == (n == 2)
    assert read.quick_held() == (n > 2)
