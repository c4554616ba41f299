"""Functions of many numbers in C (_vector.pyx): how wrong they are at most, edges included, and that they repeat."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, strategies as st

from tinygrad_scalar.engine import accelerated
from tinygrad_scalar.engine.activations import DENSITY_AT_0, SCALE, SCALE_ALPHA

vector = pytest.importorskip("tinygrad_scalar.vectorize._vector", reason="the functions are in a compiled module")
pytestmark = pytest.mark.skipif(not accelerated, reason="only the executors of the compiled Value run them")


def evaluate(name, instruction_set, z, a, slope=None):
    addresses = [array.ctypes.data for array in (z, a)]
    return vector.evaluate(name, instruction_set, z.size, *addresses, 0 if slope is None else slope.ctypes.data)


INSTRUCTION_SETS = [name for name in ("portable", "avx2", "avx512") if evaluate("exp", name, np.zeros(0), np.zeros(0))]
PRECISE = mpmath.MPContext()
PRECISE.prec = 200
exp, log, one = PRECISE.exp, PRECISE.log, PRECISE.mpf(1)


def sigmoid(x):
    return one / (one + exp(-x))


def normal_cdf(x):
    return PRECISE.erfc(-x / PRECISE.sqrt(2)) / 2 if x > -1e9 else 0 * one


def density(x):
    return exp(-x * x / 2) / PRECISE.sqrt(2 * PRECISE.pi) if abs(x) < 1e9 else 0 * one


def tanh_of_softplus(x):
    if x > 1e9:
        return one
    square = (1 + exp(x)) ** 2 if x > -1e9 else one
    return exp(x) * (exp(x) + 2) / (square + 1) if x > -1e9 else 0 * one


def mish_slope(x):
    if abs(x) > 1e9:
        return one if x > 0 else 0 * one
    return tanh_of_softplus(x), x * 4 * exp(x) * (1 + exp(x)) / ((1 + exp(x)) ** 2 + 1) ** 2


def selu_slope(x):
    return SCALE * one if x > 0 else SCALE_ALPHA * exp(x)


EXACT = {  # the function and its slope; of a slope that changes its sign, its two terms
    "exp": (exp, exp),
    "expm1": (PRECISE.expm1, exp),
    "log": (log, lambda x: one / x),
    "log1p": (PRECISE.log1p, lambda x: one / (one + x)),
    "sigmoid": (sigmoid, lambda x: exp(-abs(x)) / (one + exp(-abs(x))) ** 2),
    "tanh": (PRECISE.tanh, lambda x: 4 * exp(-2 * abs(x)) / (one + exp(-2 * abs(x))) ** 2),
    "softplus": (lambda x: max(x, 0) + PRECISE.log1p(exp(-abs(x))), sigmoid),
    "normal cdf": (normal_cdf, density),
    "gelu": (lambda x: x * normal_cdf(x), lambda x: (normal_cdf(x), x * density(x))),
    "silu": (lambda x: x * sigmoid(x), lambda x: (sigmoid(x), x * sigmoid(x) * sigmoid(-x))),
    "mish": (lambda x: x * tanh_of_softplus(x), mish_slope),
    "elu": (lambda x: x if x > 0 else PRECISE.expm1(x), lambda x: one if x > 0 else exp(x)),
    "selu": (lambda x: SCALE * x if x > 0 else SCALE_ALPHA * PRECISE.expm1(x), selu_slope),
    "hardtanh": (lambda x: max(-one, min(one, x)), lambda x: one if abs(x) <= 1 else 0 * one),
    "softsign": (lambda x: x / (1 + abs(x)), lambda x: (1 + abs(x)) ** -2),
}
OVERFLOW, SUBNORMAL, ZERO = 709.782712893384, -708.3964185322641, -745.1332191019411  # of e^x
EDGES = [5e-324, 2.2250738585072014e-308, 1e-160, 2**-54, 2**-53, 2**-27, 0.5, 1.0, 2.0, 2.0**53, 1e18, 1e300, 1.79e308]
EDGES += [6.909810956206955, 7.6210970480491245, 14.503633953337122]  # where -mish, -silu and mish′ were more wrong
ODD = [np.inf, -np.inf, np.nan, 0.0, -0.0, -1.0]
LIMITS = {  # at ODD: the function and its slope
    "exp": ([np.inf, 0.0, np.nan, 1.0, 1.0], [np.inf, 0.0, np.nan, 1.0, 1.0]),
    "expm1": ([np.inf, -1.0, np.nan, 0.0, -0.0], [np.inf, 0.0, np.nan, 1.0, 1.0]),
    "log": ([np.inf, np.nan, np.nan, -np.inf, -np.inf, np.nan], [0.0, -0.0, np.nan, np.inf, -np.inf, -1.0]),
    "log1p": ([np.inf, np.nan, np.nan, 0.0, -0.0, -np.inf], [0.0, -0.0, np.nan, 1.0, 1.0, np.inf]),
    "sigmoid": ([1.0, 0.0, np.nan, 0.5, 0.5], [0.0, 0.0, np.nan, 0.25, 0.25]),
    "tanh": ([1.0, -1.0, np.nan, 0.0, -0.0], [0.0, 0.0, np.nan, 1.0, 1.0]),
    "softplus": ([np.inf, 0.0, np.nan, np.log(2.0), np.log(2.0)], [1.0, 0.0, np.nan, 0.5, 0.5]),
    "normal cdf": ([1.0, 0.0, np.nan, 0.5, 0.5], [0.0, 0.0, np.nan, DENSITY_AT_0, DENSITY_AT_0]),
    "gelu": ([np.inf, np.nan, np.nan, 0.0, -0.0], [np.nan, np.nan, np.nan, 0.5, 0.5]),
    "silu": ([np.inf, np.nan, np.nan, 0.0, -0.0], [np.nan, np.nan, np.nan, 0.5, 0.5]),
    "mish": ([np.inf, np.nan, np.nan, 0.0, -0.0], [np.nan, np.nan, np.nan, 0.6, 0.6]),
    "elu": ([np.inf, -1.0, np.nan, 0.0, -0.0], [1.0, 0.0, np.nan, 1.0, 1.0]),
    "selu": ([np.inf, -SCALE_ALPHA, np.nan, 0.0, -0.0], [SCALE, 0.0, np.nan, SCALE_ALPHA, SCALE_ALPHA]),
    "hardtanh": ([1.0, -1.0, np.nan, 0.0, -0.0, -1.0], [0.0, 0.0, 1.0, 1.0, 1.0, 1.0]),
    "softsign": ([np.nan, np.nan, np.nan, 0.0, -0.0, -0.5], [np.nan, np.nan, np.nan, 1.0, 1.0, 0.25]),
}
cases = pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
functions = pytest.mark.parametrize("name", EXACT)


def computed(name, instruction_set, z, with_slope=True):
    a, slope = np.full_like(z, 7.0), np.full_like(z, 7.0)
    assert evaluate(name, instruction_set, z, a, slope if with_slope else None)
    return a, slope


def points(name, n):
    """Numbers of every size, more of them where the function bends or leaves float64."""
    rng = np.random.default_rng(0)
    sizes = np.concatenate([10 ** rng.uniform(-323, 308, n), 10 ** rng.uniform(-17, 3, n), rng.uniform(0, 3, n), EDGES])
    near_1 = 1 + rng.normal(size=n) * 10 ** rng.uniform(-17, -1, n)
    if name == "log":
        z = [sizes, near_1]
    elif name == "log1p":
        z = [sizes, -sizes[sizes < 1], near_1 - 1, -near_1[near_1 < 1]]
    else:
        ends = np.array([OVERFLOW, -OVERFLOW, SUBNORMAL, ZERO, 700.0, -700.0])
        near_ends = np.concatenate([ends, np.nextafter(ends, np.inf), np.nextafter(ends, -np.inf)])
        z = [sizes, -sizes, rng.uniform(-750, 750, n), rng.uniform(-750, -700, n), near_ends, near_ends / 2]
        z.append(rng.integers(-1000, 1000, n) * (np.log(2) / 64))  # where ranges are reduced by another multiple
    z = np.concatenate(z)
    return z[np.isfinite(z)]


def units_in_the_last_place(ours, exact):
    """By how many of them each number is wrong; infinity and 0 must be where rounding puts them."""
    largest, smallest = PRECISE.mpf(2) ** 1024 - PRECISE.mpf(2) ** 970, PRECISE.mpf(2) ** -1074
    for number, right in zip(ours.tolist(), exact):
        size = max(map(abs, right)) if isinstance(right, tuple) else abs(right)
        right = sum(right) if isinstance(right, tuple) else right
        if abs(right) >= largest or not np.isfinite(number):
            yield (
                0.0 if number == (np.inf if right > 0 else -np.inf) and abs(right) >= largest * (1 - 2e-16) else np.inf
            )
        else:
            unit = PRECISE.mpf(2) ** (PRECISE.frexp(size)[1] - 53) if size else smallest
            yield float(abs(right - number) / max(unit, smallest))


@cases
@functions
def test_a_function_is_at_most_2_units_wrong_and_its_slope_5(name, instruction_set, thorough):
    z = points(name, 2000 if thorough else 100)
    a, slope = computed(name, instruction_set, z)
    for ours, exactly, most in zip((a, slope), EXACT[name], (2.0, 5.0)):
        wrong = list(units_in_the_last_place(ours, map(exactly, map(PRECISE.mpf, z.tolist()))))
        worst = int(np.argmax(wrong))
        assert wrong[worst] <= most, (z[worst], ours[worst])


@cases
@functions
def test_infinities_nan_and_signs_of_zero_are_the_limits(name, instruction_set):
    for ours, limits in zip(computed(name, instruction_set, np.array(ODD)), LIMITS[name]):
        ours, expected = ours[: len(limits)], np.array(limits)
        np.testing.assert_allclose(ours, expected, rtol=1e-15)
        np.testing.assert_array_equal(np.signbit(ours)[~np.isnan(expected)], np.signbit(expected)[~np.isnan(expected)])


@cases
@functions
@given(data=st.data())
def test_a_number_has_one_result_wherever_it_stands(name, instruction_set, data):
    z = np.array(data.draw(st.lists(st.floats(-800, 800) | st.floats(), min_size=1, max_size=70)))
    start, n = data.draw(st.integers(0, 9)), len(z)
    whole = computed(name, instruction_set, z)
    inside = np.zeros(n + start)
    inside[start:] = z
    moved, alone = (
        computed(name, instruction_set, inside),
        [computed(name, instruction_set, z[i : i + 1]) for i in range(n)],
    )
    for k in range(2):
        assert bits(whole[k]) == bits(moved[k][start:])
        assert bits(whole[k]) == bits(np.concatenate([one[k] for one in alone]))
    assert bits(computed(name, instruction_set, z, with_slope=False)[0]) == bits(whole[0])


def bits(numbers):
    """Without the sign of nan, which means nothing."""
    return np.where(np.isnan(numbers), np.nan, numbers).tobytes()


@cases
@functions
def test_a_result_may_take_the_place_of_its_argument(name, instruction_set):
    z = np.linspace(0.1, 3.0, 37)
    a, slope = computed(name, instruction_set, z)
    in_place, its_slope = z.copy(), np.zeros(37)
    evaluate(name, instruction_set, in_place, in_place, its_slope)
    assert (in_place.tobytes(), its_slope.tobytes()) == (a.tobytes(), slope.tobytes())


def test_an_unknown_instruction_set_is_not_had():
    assert not evaluate("exp", "mmx", np.zeros(1), np.zeros(1))
