"""The reverse rule of every statement: its gradients are the engine's, and finite differences'."""

import numpy as np
import pytest
from programs import Draw, by_the_engine
from support.array_program import assembled, run
from support.vectorize_cases import CASES

from tinygrad_scalar.engine import ops
from tinygrad_scalar.vectorize.program import (
    Array,
    Elementwise,
    Fold,
    Gather,
    Lookup,
    Product,
    Program,
    Scatter,
    Slope,
)
from tinygrad_scalar.vectorize.reverse import ONES, differentiate
from tinygrad_scalar.vectorize.rules import rule_of

POINTS = [-2.5, -1.0, -0.3, 0.0, 0.3, 0.9, 1.0, 1.7, 3.0]


def program_of(n_parameters, make, sizes=(2,)):
    """A program whose cost is the sum of the array that `make` writes; `make` gets the parameters and the arguments."""
    parameters = Array((n_parameters,), False)
    arguments = [Array((size,), True) for size in sizes]
    statements = []

    def add(statement):
        statements.append(statement)
        return statement.out

    last = make(add, parameters, arguments)
    flat = add(Gather(Array((1, last.rows), last.batched), last, np.arange(last.rows).reshape(1, -1)))
    cost = add(Fold(Array((1,), last.batched), "+", flat))
    program = Program(parameters, arguments, cost, statements)
    differentiate(program, wrt_inputs=True)
    return program


def assert_the_gradient_is_that_of_finite_differences(make, n_parameters, sizes=(2,), m=3):
    program = program_of(n_parameters, make, sizes)
    rng = np.random.default_rng(0)
    theta, arrays = rng.uniform(0.5, 1.5, n_parameters), [rng.uniform(0.5, 1.5, (m, size)) for size in sizes]

    def total(theta, arrays):
        costs = run(program, theta, arrays)[program.cost][0]
        return costs.sum() if program.cost.batched else costs[0]

    numbers, h = run(program, theta, arrays), 1e-6
    for k in range(n_parameters):
        there = np.eye(n_parameters)[k] * h
        slope = (total(theta + there, arrays) - total(theta - there, arrays)) / (2 * h)
        assert numbers[program.gradient][k, 0] == pytest.approx(slope, rel=1e-6, abs=1e-8)
    for a, gradient in enumerate(program.input_gradients):
        for place in np.ndindex(arrays[a].shape):
            up, down = ([array.copy() for array in arrays] for _ in range(2))
            up[a][place] += h
            down[a][place] -= h
            slope = (total(theta, up) - total(theta, down)) / (2 * h)
            assert numbers[gradient].T[place] == pytest.approx(slope, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("name", [*ops.OPERATIONS, "**3", "**2", "**-1", "**0.5", "**1", "**0", "leaky_relu(0.1)"])
def test_the_rule_of_every_operation_gives_the_slopes_of_its_row(name):
    row = ops.operation(name)

    def make(add, parameters, arguments):
        operands = [add(Gather(Array((1,), False), parameters, np.array([i]))) for i in range(row.arity)]
        return add(Elementwise(Array((1,), False), name, tuple(operands)))

    program = program_of(row.arity, make)
    for x in np.ndindex((len(POINTS),) * row.arity):
        theta = [POINTS[i] for i in x]
        found = run(program, theta, [np.ones((1, 2))])[program.gradient][:, 0]
        expected = row.local_grads(row.forward(*theta), *theta)
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(found, expected, rtol=1e-14, err_msg=str(theta))


def test_a_rule_of_slopes_reads_no_more_than_it_says():
    written = []

    def write(op, *operands):
        written.append((op, operands))
        return op

    rule_of("asin")(write, "d", "v", "x")
    assert written[0] == (Slope("asin", 0, (1,)), ("x",))


@pytest.mark.parametrize(
    ("form", "left", "right", "out"),
    [("LR", (2, 3), (3, 2), (2, 2)), ("LR", (2, 3), (3,), (2,)), ("LR", (1, 4), (4, 2), (1, 2))],
)
@pytest.mark.parametrize("batched", [False, True])
def test_a_product_gives_its_factors_the_products_of_11b_and_11d(form, left, right, out, batched):
    p, q = int(np.prod(left)), int(np.prod(right))

    def make(add, parameters, arguments):
        w = add(Gather(Array(left, False), parameters, np.arange(p).reshape(left)))
        source = arguments[0] if batched else parameters
        x = add(Gather(Array(right, batched), source, (0 if batched else p) + np.arange(q).reshape(right)))
        return add(Product(Array(out, batched), form, w, x))

    assert_the_gradient_is_that_of_finite_differences(make, p + q, (q,))
    forms = [s.form for s in program_of(p + q, make, (q,)).backward if isinstance(s, Product)]
    assert forms == ["RT", "TR"]


def test_rows_that_are_gathered_repeatedly_add_up():
    def make(add, parameters, arguments):
        rows = add(Gather(Array((4,), False), parameters, np.array([0, 2, 0, 0])))
        return add(Elementwise(Array((4,), False), "exp", (rows,)))

    assert_the_gradient_is_that_of_finite_differences(make, 3)


def test_an_operand_of_one_row_gets_what_all_rows_contribute():
    def make(add, parameters, arguments):
        one = add(Gather(Array((1,), False), parameters, np.array([2])))
        return add(Elementwise(Array((2,), True), "*", (arguments[0], one)))

    assert_the_gradient_is_that_of_finite_differences(make, 3)


def test_an_array_that_is_added_in_every_row_and_example_counts_each_time():
    def make(add, parameters, arguments):
        one = add(Gather(Array((1,), False), parameters, np.array([0])))
        return add(Elementwise(Array((2,), True), "+", (arguments[0], one)))

    assert_the_gradient_is_that_of_finite_differences(make, 1)


def test_a_fold_gives_its_gradient_to_each_term():
    def make(add, parameters, arguments):
        terms = add(Gather(Array((2, 3), False), parameters, np.arange(6).reshape(2, 3)))
        total = add(Fold(Array((2,), False), "+", terms))
        return add(Elementwise(Array((2,), True), "*", (total, arguments[0])))

    assert_the_gradient_is_that_of_finite_differences(make, 6)


def test_each_part_of_a_scatter_gets_its_rows():
    def make(add, parameters, arguments):
        first = add(Gather(Array((2,), False), parameters, np.array([0, 1])))
        second = add(Gather(Array((3,), False), parameters, np.array([2, 3, 4])))
        parts = ((first, np.array([2, 0])), (second, np.array([1, 2, 3])), (arguments[0], np.array([0, 3])))
        joined = add(Scatter(Array((4,), True), parts))
        return add(Elementwise(Array((4,), True), "exp", (joined,)))

    assert_the_gradient_is_that_of_finite_differences(make, 5)


def test_a_lookup_adds_to_the_row_that_was_chosen():
    def make(add, parameters, arguments):
        table = np.array([[0, 1, 2], [3, 4, 5]])
        chosen = add(Lookup(Array((2,), True), parameters, table, np.arange(2), arguments[0], np.arange(2)))
        return add(Elementwise(Array((2,), True), "exp", (chosen,)))

    program = program_of(6, make)
    theta, rows = np.linspace(0.0, 1.0, 6), np.array([[0, 2], [0, 1]])
    found = run(program, theta, [rows])[program.gradient][:, 0]
    np.testing.assert_allclose(found, np.exp(theta) * [2, 0, 0, 0, 1, 1], rtol=1e-14)


def test_what_the_cost_does_not_depend_on_has_a_gradient_of_0():
    program = program_of(2, lambda add, parameters, arguments: arguments[0])
    numbers = run(program, [1.0, 2.0], [np.ones((3, 2))])
    assert (numbers[program.gradient] == 0.0).all()
    assert (numbers[program.input_gradients[0]] == 1.0).all()


def test_nothing_is_computed_that_nobody_reads():
    def make(add, parameters, arguments):
        w = add(Gather(Array((2,), False), parameters, np.array([0, 1])))
        slope_is_not_needed = add(Elementwise(Array((2,), True), "tanh", (arguments[0],)))
        return add(Elementwise(Array((2,), True), "*", (w, slope_is_not_needed)))

    program = program_of(2, make)
    differentiate(program)  # without the gradients of the inputs
    assert not any(isinstance(getattr(s, "op", None), Slope) for s in program.backward)


def test_the_gradient_of_the_cost_itself_is_never_multiplied_by():
    program = program_of(2, lambda add, parameters, arguments: parameters)
    assert not any(one in s.operands for s in program.backward for one in ONES.values() if isinstance(s, Elementwise))


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_of_every_case_is_the_engines(name):
    cost, params, arrays = CASES[name](Draw())
    program = assembled(cost, params, arrays)
    differentiate(program)
    m = len(arrays[0])
    found = run(program, [p.data for p in params], arrays)[program.gradient][:, 0] / (m if program.cost.batched else 1)
    _, expected, sizes = by_the_engine(cost, params, arrays)
    assert (np.abs(found - expected) <= 1e-12 * np.maximum(sizes, np.abs(expected)) + 1e-320).all()
