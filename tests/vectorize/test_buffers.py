"""Where arrays live: views instead of copies, parts in place, buffers shared by arrays that live at different times."""

import numpy as np
import pytest
from support.array_program import assembled

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.vectorize.buffers import Buffers, affine, contiguous
from tinygrad_scalar.vectorize.program import Array, Elementwise, Gather
from tinygrad_scalar.vectorize.reverse import differentiate


def planned(cost, params, arrays):
    arrays = [np.asarray(array) for array in arrays]
    program = assembled(cost, params, arrays)
    differentiate(program)
    return program, Buffers(program, [array.dtype.kind != "f" for array in arrays])


@pytest.mark.parametrize(
    ("index", "start"),
    [([3, 4, 5], 3), ([0], 0), ([[1, 2], [3, 4]], 1), ([3, 5], None), ([1, 0], None), ([2, 2], None)],
)
def test_a_run_of_rows_begins_somewhere(index, start):
    assert contiguous(np.array(index)) == start


@pytest.mark.parametrize(
    ("index", "found"),
    [
        ([2, 5, 8], (2, 3, 0)),
        ([4], (4, 1, 0)),
        ([2, 5, 9], None),
        ([5, 2], None),
        ([[0, 1], [3, 4]], (0, 3, 1)),
        ([[1, 3], [2, 4]], (1, 1, 2)),
        ([[0, 1], [3, 5]], None),
        ([[7]], (7, 1, 1)),
    ],
)
def test_an_affine_index_has_a_start_and_steps(index, found):
    assert affine(np.array(index)) == found


def test_weights_and_biases_in_order_are_views_of_the_parameters():
    net = ts.MLP(3, [4, 2], "tanh", seed=0)
    program, buffers = planned(lambda x: sum(net(x)), net.parameters(), [np.ones((5, 3))])
    gathers = [s for s in program.forward if isinstance(s, Gather) and s.source is program.parameters]
    assert len(gathers) == 4
    assert all(gather.out in buffers.views for gather in gathers)


def test_weights_with_their_bias_beside_them_are_a_strided_view():
    rows = [[Value(0.1 * (4 * j + k)) for k in range(4)] for j in range(3)]
    program, buffers = planned(
        lambda x: sum((sum(w * u for w, u in zip(row, x)) + row[3]).tanh() for row in rows),
        [w for row in rows for w in row],
        [np.ones((5, 3))],
    )
    matrix = next(s for s in program.forward if isinstance(s, Gather) and s.index.shape == (3, 3))
    assert matrix.out in buffers.views
    assert buffers.strided(matrix.index) == (0, 4, 3, 3)


def test_the_gradients_of_weights_are_written_into_the_gradient():
    net = ts.MLP(3, [4, 2], "tanh", seed=0)
    program, buffers = planned(lambda x: sum(net(x)), net.parameters(), [np.ones((5, 3))])
    places = [index for whole, index in buffers.inside.values() if whole is program.gradient]
    assert sorted(row for index in places for row in index.ravel()) == list(range(len(net.parameters())))


def test_a_chain_of_operations_runs_in_one_buffer():
    w = Value(0.5)

    def cost(x):
        for _ in range(4):
            x = (x * 1.5 - 0.5) / 2.0
        return x * w

    program, buffers = planned(cost, [w], [np.ones(5)])
    chain = [s.out for s in program.forward if isinstance(s, Elementwise)][:-1]
    assert len(chain) > 8
    assert len({id(buffers.buffer_of[array]) for array in chain}) == 1


def test_an_array_that_is_read_later_is_not_written_over():
    w = Value(0.5)
    program, buffers = planned(lambda x: (x * w).exp() * x.sin(), [w], [np.ones(5)])
    exp = next(s for s in program.forward if isinstance(s, Elementwise) and s.op == "exp")
    product = next(s for s in program.forward if isinstance(s, Elementwise) and s.op == "*" and exp.out in s.operands)
    assert buffers.buffer_of[exp.out] is not buffers.buffer_of[product.out]  # the backward pass reads exp


def test_buffers_that_share_rows_never_live_at_the_same_time():
    net = ts.MLP(4, [4, 4, 4, 4], "tanh", seed=0)
    _, buffers = planned(lambda x, y: ts.squared_error(net(x), y), net.parameters(), [np.ones((3, 4))] * 2)
    statements = buffers.statements
    last_read = {}
    for time, statement in enumerate(statements):
        for operand in statement.operands:
            last_read[operand] = time
    owner_of = {}
    for time, statement in enumerate(statements):
        buffer = buffers.buffer_of.get(statement.out)
        if buffer is None:
            continue
        before = owner_of.get(id(buffer))
        assert before is None or last_read.get(before, 0) <= time
        owner_of[id(buffer)] = statement.out


def test_the_sum_before_the_mean_over_the_examples_is_not_computed():
    net = ts.MLP(3, [2], "tanh", seed=0)
    program, buffers = planned(
        lambda x, y: ts.squared_error(net(x), y), net.parameters(), [np.ones((4, 3)), np.ones((4, 2))]
    )
    assert buffers.squared
    difference = next(s.out for s in program.forward if isinstance(s, Elementwise) and s.op == "-")
    assert buffers.summed is difference
    assert len(buffers.statements) < len(program.forward) + len(program.backward)


def test_arguments_of_integers_that_are_computed_with_are_copied():
    w = Value(0.5)
    program, buffers = planned(lambda x, i: w * x * i, [w], [np.ones(4), np.ones(4, int)])
    assert buffers.copied == {program.arguments[1]}


def test_an_argument_that_is_read_as_it_is_has_no_buffer():
    net = ts.MLP(3, [2], "tanh", seed=0)
    program, buffers = planned(lambda x: sum(net(x)), net.parameters(), [np.ones((4, 3))])
    assert isinstance(program.arguments[0], Array)
    assert program.arguments[0] not in buffers.buffer_of
