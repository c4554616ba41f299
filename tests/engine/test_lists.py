"""Functions of a list are one node each, with the value and the gradient of what they stand for."""

import copy
import functools
import math
import operator
import pickle
import random

import mpmath
import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine.graph import topological_order

ANY = st.sampled_from([0.0, -0.0, 1.0, 1.0, -2.0, 3.5, 1e308, math.inf, -math.inf, math.nan])
ORDINARY = st.floats(-3.0, 3.0)


def chained(function, x):
    return functools.reduce(function, x)


def total(x):
    return chained(operator.add, x)


def product(x):
    return total([a * b for a, b in zip(x, x[::-1])])


# what each is, of a list x, as a chain of operations of one or two operands
CHAINS = {
    "sum": (ts.sum, total),
    "mean": (ts.mean, lambda x: total(x) / len(x)),
    "dot": (lambda x: ts.dot(x, x[::-1]), product),
    "norm": (ts.norm, lambda x: total([a * a for a in x]).sqrt()),
    "max": (ts.max, lambda x: chained(ts.maximum, x)),
    "min": (ts.min, lambda x: chained(ts.minimum, x)),
    "logsumexp": (ts.logsumexp, lambda x: chained(ts.logaddexp, x)),
}
LISTS = [ts.softmax, ts.log_softmax]
ONE_LIST = [ts.sum, ts.mean, ts.norm, ts.max, ts.min, ts.logsumexp, *LISTS]
BY_NAME = {"ids": lambda function: function.__name__}


def same(x, y):
    return np.array_equal(np.array(x).view(np.int64)[~np.isnan(x)], np.array(y).view(np.int64)[~np.isnan(y)])


def with_gradient(function, numbers, upstream=1.0):
    values = [Value(number) for number in numbers]
    root = function(values)
    root.backward(upstream)
    return [root.data, *(value.grad for value in values)]


@pytest.mark.parametrize("name", CHAINS)
def test_it_is_one_node_of_its_operands(name):
    function, _ = CHAINS[name]
    values = [Value(1.0), Value(2.0), Value(0.5)]
    expected = [*values, *values[::-1]] if name == "dot" else values
    assert list(function(values).operands) == expected
    assert function(values[:1]).op


@pytest.mark.parametrize("name", ["sum", "mean", "dot"])
@given(numbers=st.lists(ANY | ORDINARY, min_size=1, max_size=9), upstream=ANY)
def test_value_and_gradient_are_those_of_a_chain_bit_for_bit(name, numbers, upstream):
    ours, theirs = (with_gradient(function, numbers, upstream) for function in CHAINS[name])
    zero = 0.0  # 1·−0 and −0·1·1 may differ in the sign of a gradient of 0
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    assert same(ours[:1], theirs[:1])
    for our, their in zip(ours[1:], theirs[1:]):
        assert our == their or (math.isnan(our) and math.isnan(their)) or our == their + zero
    assert CHAINS[name][0](numbers) == ours[0] or math.isnan(ours[0])


@pytest.mark.parametrize("name", ["max", "min"])
@given(numbers=st.lists(ANY | ORDINARY, min_size=1, max_size=9))
def test_each_of_k_ties_gets_the_kth_part_of_the_gradient(name, numbers):
    function, chain = CHAINS[name]
    extreme, *gradient = with_gradient(function, numbers)
    assert same([extreme], [with_gradient(chain, numbers)[0]])
    ties = [number == extreme for number in numbers]
    single = len(numbers) == 1
    assert gradient == [1.0 if single else 1.0 / sum(ties) if is_tie else 0.0 for is_tie in ties]
    values = [Value(number) for number in numbers]
    assert [slope.data for slope in ts.gradient(function(values), values)] == gradient
    assert function(numbers) == extreme or math.isnan(extreme)


def test_a_gradient_that_is_recorded_is_shared_among_ties_too():
    x = [Value(number, f"x{i}") for i, number in enumerate([2.0, -1.0, 2.0, 2.0])]
    squares = ts.gradient(ts.max(x) ** 2, x)
    assert [slope.data for slope in squares] == pytest.approx([4 / 3, 0.0, 4 / 3, 4 / 3], rel=1e-15)
    curvatures = [slope.data for slope in ts.gradient(squares[0], x)]
    assert curvatures == pytest.approx([2 / 9, 0.0, 2 / 9, 2 / 9], rel=1e-15)


@given(numbers=st.lists(st.sampled_from([0.0, 1.0, -2.0, 700.0, -700.0, math.inf, -math.inf, math.nan]), min_size=1))
def test_the_gradient_of_logsumexp_is_that_of_a_chain_of_logaddexp_also_where_it_is_infinite(numbers):
    ours, theirs = (with_gradient(function, numbers) for function in CHAINS["logsumexp"])
    np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-300)


def exact_powers(x):
    return [mpmath.exp(mpmath.mpf(number)) for number in x]


def exact_total(x):
    return mpmath.fsum(exact_powers(x))


EXACT = {
    ts.norm: lambda x: [mpmath.sqrt(mpmath.fsum([mpmath.mpf(number) ** 2 for number in x]))],
    ts.logsumexp: lambda x: [mpmath.log(exact_total(x))],
    ts.softmax: lambda x: [power / exact_total(x) for power in exact_powers(x)],
    ts.log_softmax: lambda x: [mpmath.mpf(number) - mpmath.log(exact_total(x)) for number in x],
}


ULPS = {ts.norm: 1.0, ts.logsumexp: 1.0, ts.softmax: 2.0, ts.log_softmax: 2.0}


def ulps(number, exact):
    return abs(number - exact) / math.ulp(float(exact))


@pytest.mark.parametrize("function", EXACT, **BY_NAME)
@given(numbers=st.lists(st.floats(0.5, 4.0) | st.floats(300.0, 700.0), min_size=1, max_size=12), far=st.booleans())
def test_the_digits_are_right(function, numbers, far):
    numbers = [1000.0 - number if far else number for number in numbers]
    found = function(numbers)
    with mpmath.workdps(60):
        for number, exact in zip(found if isinstance(found, list) else [found], EXACT[function](numbers)):
            if abs(exact) > 1e-40:  # less is what 60 digits leave of 0
                assert ulps(number, exact) <= ULPS[function]


LN2 = math.log(2.0)


def total_just_above_one(rng):
    """Also the power of the second number is just above a power of two: where an ulp is largest beside the number."""
    j = rng.randint(8, 40)
    x = [0.0, -j * LN2 + 2.0**-j * rng.random()]
    return x + [-j * LN2 * rng.uniform(1.0, 2.0) for _ in range(rng.randint(0, 1))]


def equal_powers_rounded_the_same_way(rng):
    """Just above a power of two, and of many choices the one that exp rounds most; the total is near another one."""
    j, k = rng.choice([(j, k) for j in range(1, 5) for k in range(1, 5) if (2**k - 1) * 2**j < 50])
    choices = [-j * LN2 + rng.randint(-2, 200) * math.ulp(j * LN2) for _ in range(20)]
    above = [x for x in choices if math.exp(x) >= 2.0**-j] or choices
    x = max(above, key=lambda x: abs(mpmath.exp(x) - math.exp(x)))
    below = (k - rng.randint(k + 1, 30)) * LN2 - rng.randint(0, 50) * 2.0**-50
    return [0.0, *[x] * ((2**k - 1) * 2**j), below]


@pytest.mark.parametrize("directed", [total_just_above_one, equal_powers_rounded_the_same_way], **BY_NAME)
def test_a_softmax_is_within_2_ulp_where_roundings_add_up(directed, thorough):
    rng = random.Random(0)
    for _ in range(20_000 if thorough else 1_500):
        numbers = directed(rng)
        found = ts.softmax(numbers)
        assert [p.data for p in ts.softmax(list(map(Value, numbers)))] == found
        with mpmath.workdps(50):
            powers = {number: mpmath.exp(number) for number in numbers}
            exact = {number: powers[number] / mpmath.fsum(powers[x] for x in numbers) for number in powers}
            assert max(ulps(p, exact[number]) for number, p in {*zip(numbers, found)}) <= 2.0


NEAR_ONE = {  # logarithms of numbers whose sum is near 1
    "halves": [-0.6931471805599453, -0.6931471805599453],
    "thirds": [-1.0986122886681098] * 3,
    "mostly one": [-1e-9, -20.723265837],
    "one but for a little": [-0.001, -7.0, -9.0],
    "a tenth off": [-0.6, -0.6],
    "next to nothing": [0.0, -600.0],
    "far ones too": [-0.7, -0.69, -745.0, -1e300, -math.inf],
}


@pytest.mark.parametrize("numbers", NEAR_ONE.values(), ids=NEAR_ONE)
def test_the_logarithm_of_a_sum_near_one_has_its_digits(numbers):
    with mpmath.workdps(400):
        exact = mpmath.log(exact_total(numbers))
        assert ulps(ts.logsumexp(numbers), exact) <= 1.0
        assert ulps(ts.logsumexp(list(map(Value, numbers))).data, exact) <= 1.0


@given(numbers=st.lists(st.floats(1e-3, 1.0), min_size=2, max_size=9), shift=st.sampled_from([0.0, 1e-9, -1e-4, 0.05]))
def test_logarithms_of_probabilities_add_up_with_all_digits(numbers, shift):
    numbers = [math.log(number / sum(numbers)) + shift for number in numbers]
    with mpmath.workdps(120):
        assert ulps(ts.logsumexp(numbers), mpmath.log(exact_total(numbers))) <= 1.0


def test_no_gradient_goes_to_what_a_softmax_subtracts():
    x = [Value(number, name) for number, name in zip([0.5, 2.0, 1.0], "abc")]
    p, q = ts.softmax(x)[0], ts.log_softmax(x)[0]
    assert "Heaviside" not in str(ts.explain(q, "a").sympy)  # nothing goes through max(a, b, c)
    for root in (p, q):
        [largest] = [node for node in topological_order(root) if node.op.startswith("largest")]
        root.backward()
        assert largest.data == 2.0
        assert abs(largest.grad) < 1e-15
        assert largest.local_grads == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1.0, 1e200, 4e307])
def test_a_norm_neither_overflows_nor_underflows_on_the_way(scale):
    assert with_gradient(ts.norm, [3.0 * scale, -4.0 * scale]) == pytest.approx([5.0 * scale, 0.6, -0.8], rel=1e-3)


def test_the_norm_of_the_zero_vector_has_no_gradient():
    value, *gradient = with_gradient(ts.norm, [0.0, 0.0])
    assert value == 0.0
    assert np.isnan(gradient).all()


def test_softmax_and_log_softmax_have_the_gradient_of_their_formulas():
    numbers, weights = [0.3, -1.2, 2.0, 0.3], [1.0, -2.0, 0.5, 3.0]
    p = ts.softmax(numbers)
    mean = sum(w * q for w, q in zip(weights, p))
    _, *found = with_gradient(lambda x: ts.dot(ts.softmax(x), weights), numbers)
    assert found == pytest.approx([q * (w - mean) for w, q in zip(weights, p)], rel=1e-13)
    _, *found = with_gradient(lambda x: ts.dot(ts.log_softmax(x), weights), numbers)
    assert found == pytest.approx([w - sum(weights) * q for w, q in zip(weights, p)], rel=1e-13)


@pytest.mark.parametrize("function", LISTS, **BY_NAME)
def test_softmaxes_do_not_overflow(function):
    assert np.isfinite([v.data for v in function([Value(1e300), -1e300, 1e300])][::2]).all()
    assert sum(ts.softmax([-1000.0, -1001.0, -math.inf])) == pytest.approx(1.0, rel=1e-15)


@pytest.mark.parametrize("function", ONE_LIST, **BY_NAME)
def test_plain_numbers_give_floats_and_arrays_of_values_work(function):
    numbers = [1, np.float64(2.5), -0.5]
    results = [function(given) for given in (numbers, tuple(numbers), np.array(numbers, float), iter(numbers))]
    results = [found if isinstance(found, list) else [found] for found in results]
    assert all(type(number) is float for found in results for number in found)
    made = function(np.array([Value(1.0), 2.5, Value(-0.5)], object))
    made = made if isinstance(made, list) else [made]
    assert results == [[value.data for value in made]] * 4


@pytest.mark.parametrize("name", CHAINS)
def test_forward_copies_and_pickles_keep_it(name):
    function, _ = CHAINS[name]
    values = [Value(1.0, "a"), Value(2.0, "b"), Value(0.5, "c")]
    root = function(values) * 1.0
    values[2].data = 3.0
    root.forward()
    fresh = function([1.0, 2.0, 3.0])
    for again in (root, copy.deepcopy(root), pickle.loads(pickle.dumps(root)), copy.copy(root)):
        node = again.operands[0]
        assert (again.data, node.op, node.data) == (fresh, root.operands[0].op, fresh)
        assert node.local_grads == function([Value(1.0), Value(2.0), Value(3.0)]).local_grads
        assert [operand.label for operand in node.operands[:3]] == ["a", "b", "c"]


@pytest.mark.parametrize("function", ONE_LIST[1:], **BY_NAME)
def test_an_empty_list_is_an_error_but_for_the_sum(function):
    name = function.__name__
    with pytest.raises(ValueError, match=f"^{name} expected at least one Value or number, got an empty list$"):
        function([])
    assert ts.sum([]) == 0.0


@pytest.mark.parametrize("function", ONE_LIST, **BY_NAME)
@pytest.mark.parametrize("wrong", [Value(1.0), 1.0, [Value(1.0), "a"], [[1.0]], None, np.array(1.0)], ids=repr)
def test_anything_but_a_list_of_numbers_is_refused(function, wrong):
    with pytest.raises(TypeError, match=f"^{function.__name__} expected a list of Values or numbers, got "):
        function(wrong)


def test_dot_takes_two_lists_of_one_length():
    with pytest.raises(ValueError, match=r"^dot expected two lists of equal length, got 2 and 3 numbers$"):
        ts.dot([Value(1.0), 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"^dot expected at least one Value or number, got an empty list$"):
        ts.dot([], [])


@pytest.mark.parametrize("function", [ts.sum, ts.max, ts.logsumexp], **BY_NAME)
def test_a_long_list_of_computed_values_is_one_node(function):
    n = 20_000 if ts.accelerated else 3_000
    values = [Value(float(i % 97)) for i in range(n)]
    root = function([value * 1.0 for value in values])
    root.backward()
    assert sum(value.grad for value in values) == pytest.approx(n if function is ts.sum else 1.0)
    root.zero_grad()
    assert copy.deepcopy(root).data == root.data


@pytest.mark.parametrize("name", CHAINS)
@given(numbers=st.lists(st.sampled_from([0.5, 1.0, -1.0, 1.5]), min_size=1, max_size=5))
def test_recorded_derivatives_are_those_of_a_chain(name, numbers):
    if name in ("max", "min"):
        numbers = list(dict.fromkeys(numbers))  # a chain shares ties in another way
    derivatives = []
    for function in CHAINS[name]:
        values = [Value(number) for number in numbers]
        root = (1.0 * function([x * x * 0.5 + x for x in values])).sin()
        first = ts.gradient(root, values)
        again = total([(i + 1.0) * slope for i, slope in enumerate(first)])
        root.backward()
        assert [slope.data for slope in first] == pytest.approx([x.grad for x in values], rel=1e-12, abs=1e-14)
        derivatives.append([x.data for x in [*first, *ts.gradient(again, values)]])
        moved, expected = [0.7 + i for i in range(len(values))], derivatives[0]
        values[-1].data = numbers[-1]  # what is recorded is decided anew
        again.forward()
        [direct] = ts.engine.tangents([root.forward()], values, moved)
        assert direct.data == pytest.approx(sum(a * b for a, b in zip(moved, expected)), rel=1e-11, abs=1e-11)
    assert derivatives[0] == pytest.approx(derivatives[1], rel=1e-10, abs=1e-11)


def test_the_recorded_gradient_of_a_maximum_is_decided_anew():
    a, b = Value(1.0), Value(2.0)
    slopes = ts.gradient(ts.max([a, b, 0.5]), [a, b])
    a.data = 3.0
    assert [slope.forward().data for slope in slopes] == [1.0, 0.0]


def test_an_anomaly_names_a_few_of_many_operands():
    values = [Value(float(i), f"x{i}") for i in range(100)]
    with pytest.raises(ts.AnomalyError, match=r"x0 \+ x1 \+ … \+ x100 = inf, where"), ts.detect_anomaly():
        ts.sum([*values, Value(math.inf, "x100")])


def test_an_operation_of_ones_own_can_have_the_same_name(monkeypatch):
    row = ts.engine.ops.Operation("norm", "n", "n({0}, {1})", "", lambda x, y: x - y, lambda v, x, y: (1.0, -1.0))
    monkeypatch.setitem(ts.engine.ops.OPERATIONS, "norm", row)
    assert ts.engine.record("norm", 5.0, 3.0).data == 2.0
    assert ts.norm([Value(3.0), 4.0]).data == 5.0


def test_what_vectorize_reads_of_a_graph_is_the_same_in_both(implementations):
    tapes = []
    for package in implementations.values():
        x = [package.Value(1.0), package.Value(-2.0), package.Value(0.5)]
        functions = (package.sum, package.mean, package.norm, package.max, package.min, package.logsumexp)
        roots = [package.dot(x, x), *package.softmax(x)]
        roots += [function(given) for function in functions for given in (x, x[:1], x[:2])]
        tape = package.engine.read_graph(roots, roots)
        tapes.append([tape.names, *(array.tolist() for array in tape[1:6])])
    assert tapes[0] == tapes[1]


@pytest.mark.parametrize("name", ["sum", "mean", "norm", "max", "min", "logsumexp", "softmax", "log_softmax"])
@pytest.mark.parametrize("numbers", [(Value(1.0), Value(2.0)), (1.0, 2.0, 3.0), ([1.0], [2.0])])
def test_numbers_that_are_not_in_a_list_are_a_type_error(name, numbers):
    expected = rf"^ts\.{name} takes one list, got {len(numbers)} arguments: write ts\.{name}\(\[a, b\]\)$"
    with pytest.raises(TypeError, match=expected):
        getattr(ts, name)(*numbers)
