"""A function that only prints or logs how long it took is taken; one whose result can depend on a clock is refused."""

import collections
import datetime
import functools
import logging
import time
from contextlib import contextmanager
from time import perf_counter

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine.errors import TraceError

X = np.array([0.5, 1.0, 2.0])
w = Value(0.5, "w")
logger = logging.getLogger(__name__)
kept, table = [], {}


def plain(x):
    return w * x


def rarely(number):
    return 0.0 if number % 1.0 < 1e-3 else 1.0


# --- taken -----------------------------------------------------------------------------------------------------------


def printing(f):
    @functools.wraps(f)
    def wrapper(*args, **kwargs):
        start = time.perf_counter()
        result = f(*args, **kwargs)
        elapsed = time.perf_counter() - start
        print(f"{f.__name__} took {elapsed * 1e3:.3f} ms")
        return result

    return wrapper


def printing_at_once(f):
    def wrapper(*args):
        start = perf_counter()
        result = f(*args)
        print(f"took {perf_counter() - start:.3f} s", flush=True)
        return result

    return wrapper


def logging_it(f):
    def wrapper(*args):
        start = time.monotonic_ns()
        result = f(*args)
        seconds = (time.monotonic_ns() - start) / 1e9
        logger.info("%s took %.3f s", f.__name__, seconds)
        logging.debug("took %s", round(seconds, 3))
        return result

    return wrapper


def at_last(f):
    def wrapper(*args):
        start = time.process_time()
        try:
            return f(*args)
        finally:
            print("took {:.3f} s".format(time.process_time() - start))  # noqa: UP032

    return wrapper


def if_slow(f):
    def wrapper(*args):
        start: float = time.time()
        result = f(*args)
        elapsed = time.time() - start
        word = "slow" if elapsed > 0.1 else "fast"
        if elapsed > 0.001:
            logger.warning("slow: %s %s", elapsed, word)
        else:
            print("fast: %.3f" % elapsed, word)  # noqa: UP031
        return result

    return wrapper


def with_the_date(f):
    def wrapper(*args):
        print(datetime.datetime.now(), f.__name__)
        return f(*args)

    return wrapper


@contextmanager
def timer():
    start = clock()
    yield
    print("took", clock() - start)


clock = time.perf_counter  # a name that tells nothing


def in_a_block(f):
    def wrapper(*args):
        with timer():
            return f(*args)

    return wrapper


times, times_of, total_of = [], collections.defaultdict(list), collections.Counter()


def kept_in_a_list(f):
    def wrapper(*args):
        start = time.perf_counter()
        result = f(*args)
        times.append(time.perf_counter() - start)
        return result

    return wrapper


def kept_in_dicts(f):
    def wrapper(*args):
        start = time.perf_counter()
        result = f(*args)
        elapsed = time.perf_counter() - start
        times_of["it"].append(elapsed)
        total_of["it"] += elapsed
        return result

    return wrapper


TAKEN = [printing, printing_at_once, logging_it, at_last, if_slow, with_the_date, in_a_block, kept_in_a_list]


@pytest.mark.parametrize("decorator", TAKEN)
def test_a_function_that_only_prints_or_logs_its_time_is_taken(decorator, capsys):
    value, gradient = ts.vectorize(decorator(plain), [w])(X)
    assert value == pytest.approx(0.5 * X.mean()) and gradient == pytest.approx(X.mean())
    ts.vectorize(decorator(decorator(plain)), [w])(X)


def test_times_that_are_kept_stay_numbers():
    ts.vectorize(kept_in_dicts(plain), [w])(X)
    assert set(map(type, [*times_of["it"], total_of["it"]])) == {float}


# --- refused ---------------------------------------------------------------------------------------------------------


def returned(x):
    start = time.perf_counter()
    return w * x * rarely(start)


def returned_by_other_names(x):
    start = clock()
    other = start * 2.0
    third = other
    return w * x * rarely(third)


def chosen(x):
    start = time.perf_counter()
    if start % 1.0 < 1e-3:
        return w
    return w * x


def assigned_in_a_branch(x):
    factor = 1.0
    if time.perf_counter() % 1.0 < 1e-3:
        factor = 0.0
    return w * x * factor


def through_text(x):
    text = f"{time.perf_counter()}"
    return w * x * rarely(float(text))


def in_the_argument(x):
    x = [x, rarely(time.perf_counter())]
    return w * x[0] * x[1]


def in_a_local_list(x):
    factors = []
    factors.append(rarely(time.perf_counter()))
    return w * x * factors[0]


def in_a_list(x):
    start = time.perf_counter()
    kept.append(start)
    return w * x * rarely(kept[-1])


def in_an_attribute(x):
    in_an_attribute.start = time.perf_counter()
    return w * x * rarely(in_an_attribute.start)


def in_a_dict(x):
    table["start"] = time.perf_counter()
    return w * x * rarely(table["start"])


def in_a_global(x):
    global found
    found = time.perf_counter()
    return w * x * rarely(found)


def in_an_inner_function(x):
    start = time.perf_counter()

    def factor():
        return rarely(start)

    return w * x * factor()


def by_a_walrus(x):
    print(start := time.perf_counter())
    return w * x * rarely(start)


def by_an_exception(x):
    try:
        print(1.0 / (time.perf_counter() % 1.0 > 1e-3))
    except ZeroDivisionError:
        return w
    return w * x


def by_a_print_of_its_own(x):
    print = kept.append
    print(time.perf_counter())
    return w * x * rarely(kept[-1])


def by_an_argument_of_print(x):
    print(kept.append(time.perf_counter()))
    return w * x * rarely(kept[-1])


def in_an_argument_of_print(x):
    print(f"{kept.append(time.perf_counter())}")
    return w * x * rarely(kept[-1])


def by_its_variables(x):
    start = time.perf_counter()
    print(start)
    return w * x * rarely(locals()["start"])


def by_a_file(x):
    print(time.perf_counter(), file=Kept())
    return w * x * rarely(float(kept[-2]))


class Kept:
    def write(self, text):
        kept.append(text)


class Operand:
    def __add__(self, start):
        kept.append(start)
        return 0.0


def by_an_operator(x):
    operand = Operand()
    total = operand + time.perf_counter()
    print(total)
    return w * x * rarely(kept[-1])


def in_place(x):
    factors = alias = [1.0]
    factors += [rarely(time.perf_counter())]
    return w * x * alias[1]


def as_a_loop(x):
    while time.perf_counter() % 1.0 < 1e-3:
        return w
    return w * x


def by_a_call_in_a_branch(x):
    if time.perf_counter() % 1.0 < 1e-3:
        print(kept.append(0.0))
    return w * x * len(kept)


def by_a_call_in_an_expression(x):
    print(kept.append(0.0) if time.perf_counter() % 1.0 < 1e-3 else "")
    return w * x * len(kept)


shared, also_shared, own = [], {"shared": []}, []
also_shared["it"] = shared


def in_a_list_of_two_names(x):
    shared.append(time.perf_counter())
    return w * x * rarely(also_shared["it"][-1])


def last_of_own():
    return own[-1]


def in_a_list_read_by_another_function(x):
    own.append(time.perf_counter())
    return w * x * rarely(last_of_own())


def in_a_list_read_by_a_computed_name(x):
    times.append(time.perf_counter())
    return w * x * rarely(globals()["times"][-1])


class Row:
    row = own


def in_a_list_that_is_an_attribute_too(x):
    own.append(time.perf_counter())
    return w * x * rarely(Row.row[-1])


def by_a_print_from_outside(print):  # noqa: A002
    def cost(x):
        print(time.perf_counter())
        return w * x * rarely(kept[-1])

    return cost


REFUSED = [
    *(returned, returned_by_other_names, chosen, assigned_in_a_branch, through_text, in_the_argument, in_a_local_list),
    *(in_a_list, in_an_attribute, in_a_dict, in_a_global, in_an_inner_function, by_a_walrus, by_an_exception),
    *(by_a_print_of_its_own, by_an_argument_of_print, in_an_argument_of_print, by_its_variables, by_a_file),
    *(by_an_operator, in_place, as_a_loop, by_a_call_in_a_branch, by_a_call_in_an_expression),
    *(in_a_list_of_two_names, in_a_list_read_by_another_function, in_a_list_read_by_a_computed_name),
    *(in_a_list_that_is_an_attribute_too, by_a_print_from_outside(kept.append)),
]


@pytest.mark.parametrize("cost", REFUSED)
def test_a_function_whose_result_can_depend_on_a_clock_is_refused_however_rarely_it_matters(cost, thorough):
    for _ in range(5 if thorough else 2):
        with pytest.raises(TraceError, match=r"the function called .* read the clock outside it, or only"):
            ts.vectorize(cost, [w])(X)


def test_a_function_without_source_is_refused():
    names = {"w": w, "time": time}
    exec("def cost(x):\n    print(time.time(), end='')\n    return w * x", names)
    with pytest.raises(TraceError, match=r"called time\.time"):
        ts.vectorize(names["cost"], [w])(X)
