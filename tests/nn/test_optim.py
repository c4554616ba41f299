"""Optimizers: many steps equal the update rules of PyTorch's documentation, written out here in NumPy."""

import math

import autograd
import autograd.numpy as anp
import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import SGD, Adam, AdamW, GradientDescent, RMSProp, StaleGraphError, Value
from tinygrad_scalar.nn.optim import OPTIMIZERS

START = [3.0, -2.0, 2.5, 4.0]
POINTS = [([1.0, 0.5, -0.5, 0.25], 0.5), ([-0.5, 1.0, 0.25, 0.5], -1.0), ([0.25, -0.5, 1.0, 0.5], 1.5),
          ([0.5, 0.25, 0.5, -1.0], 2.0), ([1.0, 1.0, 1.0, 1.0], 1.0)]  # fmt: skip


def _cost(f, w):
    """The mean of 2·cosh(error/4): not quadratic, but convex, so that rounding does not grow; `f` is the library."""
    errors = [sum(w_j * x_j for w_j, x_j in zip(w, x)) - y for x, y in POINTS]
    return sum(f.exp(error / 4.0) + f.exp(error / -4.0) for error in errors) / len(POINTS)


_gradient = autograd.grad(lambda w: _cost(anp, w))


# --- PyTorch's documentation in NumPy: θ after each step, `rates` being the learning rate of each ---------------------


def _gradient_descent(theta, rates):  # 003 Eq. 3
    for alpha in rates:
        theta = theta - alpha * _gradient(theta)
        yield theta


def _sgd(theta, rates, momentum=0.0, nesterov=False, weight_decay=0.0):
    b = None
    for gamma in rates:
        g = _gradient(theta)
        if weight_decay != 0:
            g = g + weight_decay * theta
        if momentum != 0:
            b = g if b is None else momentum * b + g
            g = g + momentum * b if nesterov else b
        theta = theta - gamma * g
        yield theta


def _rmsprop(theta, rates, rho=0.99, epsilon=1e-8):
    v = np.zeros_like(theta)
    for gamma in rates:
        g = _gradient(theta)
        v = rho * v + (1 - rho) * g**2
        theta = theta - gamma * g / (np.sqrt(v) + epsilon)
        yield theta


def _adamw(theta, rates, betas=(0.9, 0.999), epsilon=1e-8, weight_decay=1e-2):
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    for t, gamma in enumerate(rates, start=1):
        g = _gradient(theta)
        theta = theta - gamma * weight_decay * theta
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
        theta = theta - gamma * m_hat / (np.sqrt(v_hat) + epsilon)
        yield theta


def _adam(theta, rates, **betas_and_epsilon):
    return _adamw(theta, rates, weight_decay=0.0, **betas_and_epsilon)


RULES = {GradientDescent: _gradient_descent, SGD: _sgd, RMSProp: _rmsprop, Adam: _adam, AdamW: _adamw}
DEFAULT_RATES = {GradientDescent: 0.1, SGD: 1e-3, RMSProp: 1e-2, Adam: 1e-3, AdamW: 1e-3}
RUNS = [
    *[(optimizer, None, {}) for optimizer in RULES],  # the defaults
    (GradientDescent, 0.5, {}),
    *[
        (SGD, 0.2, {"momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay})
        for momentum in (0.0, 0.5, 0.9)
        for nesterov in (False, True)
        for weight_decay in (0.0, 0.1)
        if momentum or not nesterov
    ],
    (RMSProp, 0.05, {"rho": 0.9}),
    (RMSProp, 0.05, {"rho": 0.0, "epsilon": 0.1}),
    (RMSProp, 0.02, {"epsilon": 1e-3}),
    (Adam, 0.1, {}),
    (Adam, 0.1, {"betas": (0.5, 0.9)}),
    (Adam, 0.1, {"betas": (0.0, 0.99), "epsilon": 0.1}),
    (Adam, 0.1, {"betas": (0.9, 0.0), "epsilon": 0.1}),
    (AdamW, 0.1, {}),
    (AdamW, 0.1, {"weight_decay": 0.3}),
    (AdamW, 0.1, {"weight_decay": 0.0}),
    (AdamW, 0.1, {"betas": (0.8, 0.95), "epsilon": 1e-4, "weight_decay": 0.1}),
]


def _named(run):
    optimizer, rate, options = run
    return f"{optimizer.__name__}({', '.join([str(rate), *(f'{k}={v}' for k, v in options.items())])})"


@pytest.fixture
def steps(thorough):
    return 50 if thorough else 10


def _course(optimizer, parameters, steps, rates=None):
    """θ after each step of an optimizer on the cost; `rates` has a learning rate for each step."""
    course = []
    for t in range(steps):
        if rates is not None:
            optimizer.learning_rate = rates[t]
        optimizer.zero_grad()
        _cost(ts, parameters).backward()
        optimizer.step()
        course.append([parameter.data for parameter in parameters])
    return np.array(course)


def _parameters():
    return [Value(number, f"w{i}") for i, number in enumerate(START)]


@pytest.mark.parametrize("run", RUNS, ids=_named)
def test_the_steps_are_the_published_rule(run, steps):
    optimizer, rate, options = run
    parameters = _parameters()
    course = _course(optimizer(parameters, *([] if rate is None else [rate]), **options), parameters, steps)
    rates = [DEFAULT_RATES[optimizer] if rate is None else rate] * steps
    published = np.array(list(RULES[optimizer](np.array(START), rates, **options)))
    np.testing.assert_allclose(course, published, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("run", RUNS, ids=_named)
def test_a_learning_rate_set_between_steps_holds_from_the_next_on(run, steps):
    optimizer, _, options = run
    parameters, rates = _parameters(), [0.04 / (1 + t) for t in range(steps)]
    course = _course(optimizer(parameters, 1.0, **options), parameters, steps, rates)
    published = np.array(list(RULES[optimizer](np.array(START), rates, **options)))
    np.testing.assert_allclose(course, published, rtol=1e-12, atol=1e-13)


PYTORCH = {  # our names -> PyTorch's
    GradientDescent: "SGD", SGD: "SGD", RMSProp: "RMSprop", Adam: "Adam", AdamW: "AdamW",
    "rho": "alpha", "epsilon": "eps",
}  # fmt: skip


@pytest.mark.peers
@pytest.mark.parametrize("run", RUNS, ids=_named)
def test_the_steps_are_pytorchs(run, steps):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    optimizer, rate, options = run
    parameters = _parameters()
    course = _course(optimizer(parameters, *([] if rate is None else [rate]), **options), parameters, steps)

    theta = [torch.tensor(number, dtype=torch.float64, requires_grad=True) for number in START]
    rate = {"lr": 0.1} if optimizer is GradientDescent and rate is None else {} if rate is None else {"lr": rate}
    options = {PYTORCH.get(name, name): number for name, number in options.items()}
    theirs = getattr(torch.optim, PYTORCH[optimizer])(theta, **rate, **options)
    their_course = []
    for _ in range(steps):
        theirs.zero_grad()
        _cost(torch, theta).backward()
        theirs.step()
        their_course.append([float(parameter.detach()) for parameter in theta])
    np.testing.assert_allclose(course, their_course, rtol=1e-12, atol=1e-13)


# --- one step --------------------------------------------------------------------------------------------------------


def test_gradient_descent_takes_the_learning_rate_times_the_gradient_from_each_parameter():
    w, b = Value(3.0), Value(-1.0)
    w.grad, b.grad = 2.0, -8.0
    GradientDescent([w, b], learning_rate=0.25).step()
    assert (w.data, b.data) == (3.0 - 0.25 * 2.0, -1.0 + 0.25 * 8.0)


def test_an_optimizer_prints_its_size_and_learning_rate():
    assert repr(ts.Adam([Value(1.0), Value(2.0)], learning_rate=0.03)) == "Adam(2 parameters, learning_rate=0.03)"


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_is_against_the_gradient_and_leaves_it_as_it_is(name):
    w, b = Value(3.0), Value(-1.0)
    w.grad, b.grad = 2.0, -8.0
    OPTIMIZERS[name]([w, b], 1e-3).step()
    assert w.data < 3.0 and b.data > -1.0
    assert (w.grad, b.grad) == (2.0, -8.0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_zero_grad_clears_the_gradients_and_changes_no_data(name):
    parameters = _parameters()
    optimizer = OPTIMIZERS[name](parameters)
    _cost(ts, parameters).backward()
    assert all(parameter.grad for parameter in parameters)
    optimizer.zero_grad()
    assert [parameter.grad for parameter in parameters] == [0.0] * len(parameters)
    assert [parameter.data for parameter in parameters] == START


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_only_the_parameters_it_was_given_are_changed(name):
    parameters = _parameters()
    optimizer = OPTIMIZERS[name](parameters[:2], 0.1)
    _cost(ts, parameters).backward()
    optimizer.step()
    optimizer.zero_grad()
    assert [p.data == start for p, start in zip(parameters, START)] == [False, False, True, True]
    assert [p.grad == 0.0 for p in parameters] == [True, True, False, False]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_parameters_can_come_from_a_generator(name):
    parameters = _parameters()
    optimizer = OPTIMIZERS[name](parameter for parameter in parameters)
    assert optimizer.parameters == parameters


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_makes_graphs_built_before_it_stale_until_forward(name):
    parameters = _parameters()
    cost = _cost(ts, parameters)
    cost.backward()
    OPTIMIZERS[name](parameters, 0.1).step()
    with pytest.raises(StaleGraphError):
        cost.backward()
    cost.forward()
    cost.backward()
    assert cost.data == _cost(ts, parameters).data


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_learning_rate_of_0_changes_nothing(name):
    parameters = _parameters()
    _course(OPTIMIZERS[name](parameters, 0.0), parameters, steps=3)
    assert [parameter.data for parameter in parameters] == START


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_gradient_of_0_from_the_start_leaves_a_parameter_where_it_is(name):
    parameter = Value(2.0)
    optimizer = OPTIMIZERS[name]([parameter], 0.1, **({"weight_decay": 0.0} if name == "adamw" else {}))
    for _ in range(3):
        optimizer.step()
    assert parameter.data == 2.0


# --- what they refuse ------------------------------------------------------------------------------------------------

BAD_PARAMETERS = [
    (lambda: Value(1.0), TypeError, "list of parameters such as net.parameters\\(\\), got "),
    (lambda: ts.MLP(1, [1]), TypeError, "list of parameters such as net.parameters\\(\\), got "),
    (lambda: 1.0, TypeError, "list of parameters such as net.parameters\\(\\), got 1.0"),
    (lambda: None, TypeError, "list of parameters such as net.parameters\\(\\), got None"),
    (list, ValueError, "at least one parameter"),
    (lambda: [Value(1.0), 2.0], TypeError, "a parameter must be a leaf Value, got 2.0"),
    (lambda: ["w"], TypeError, "a parameter must be a leaf Value, got 'w'"),
    (lambda: [Value(1.0) * 2.0], TypeError, "a parameter must be a leaf Value, got "),
    (lambda: [Value(1.0), Value(1.0).tanh()], TypeError, "a parameter must be a leaf Value, got "),
]


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(("parameters", "error", "words"), BAD_PARAMETERS, ids=range(len(BAD_PARAMETERS)))
def test_only_a_list_of_leaves_can_be_optimized(name, parameters, error, words):
    with pytest.raises(error, match=words) as caught:
        OPTIMIZERS[name](parameters())
    assert "\n" not in str(caught.value)


BAD_NUMBERS = [-0.1, math.nan, math.inf, -math.inf, "0.1", None, [0.1], 1j, Value(0.1)]
BAD_OPTIONS = [
    *[(optimizer, "learning_rate", number) for optimizer in RULES for number in BAD_NUMBERS],
    *[(SGD, "momentum", number) for number in BAD_NUMBERS],
    *[(SGD, "weight_decay", number) for number in BAD_NUMBERS],
    *[(AdamW, "weight_decay", number) for number in BAD_NUMBERS],
    *[(RMSProp, "rho", number) for number in [*BAD_NUMBERS, 1.0, 2.0]],
    *[(optimizer, "epsilon", number) for optimizer in (RMSProp, Adam, AdamW) for number in [*BAD_NUMBERS, 0.0]],
]


@pytest.mark.parametrize(("optimizer", "option", "number"), BAD_OPTIONS)
def test_an_option_out_of_its_range_is_one_line_that_names_it(optimizer, option, number):
    with pytest.raises(ValueError, match=f"{option} must be a finite number ") as caught:
        optimizer(_parameters(), **{option: number})
    assert "\n" not in str(caught.value)


BAD_BETAS = [
    (1.0, 0.999),
    (0.9, 1.0),
    (-0.1, 0.9),
    (0.9, math.nan),
    ("0.9", 0.9),
    (0.9, None),
    0.9,
    (0.9,),
    (0.9, 0.99, 0.999),
]


@pytest.mark.parametrize("optimizer", [Adam, AdamW])
@pytest.mark.parametrize("betas", BAD_BETAS, ids=str)
def test_betas_are_two_numbers_from_0_to_below_1(optimizer, betas):
    with pytest.raises((ValueError, TypeError), match="betas") as caught:
        optimizer(_parameters(), betas=betas)
    assert "\n" not in str(caught.value)


def test_nesterov_without_momentum_is_refused():
    with pytest.raises(ValueError, match="momentum must be > 0"):
        SGD(_parameters(), nesterov=True)


@pytest.mark.parametrize("number", BAD_NUMBERS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_setting_a_learning_rate_that_is_none_is_refused_and_the_old_one_stays(name, number):
    optimizer = OPTIMIZERS[name](_parameters(), 0.25)
    with pytest.raises(ValueError, match="learning_rate must be a finite number ≥ 0"):
        optimizer.learning_rate = number
    assert optimizer.learning_rate == 0.25


@pytest.mark.parametrize("number", [1, np.float32(0.5), np.int64(0)], ids=repr)
def test_a_learning_rate_can_be_any_number_from_0(number):
    optimizer = GradientDescent(_parameters(), number)
    assert optimizer.learning_rate == float(number)
