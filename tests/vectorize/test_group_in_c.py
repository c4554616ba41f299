"""The loops of group.py in C give what those in Python give, for every program."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.vectorize import frontier, group as group_module
from tinygrad_scalar.vectorize.group import Grouping, native
from tinygrad_scalar.vectorize.trace import trace

pytestmark = pytest.mark.skipif(native() is None, reason="the loops in C were not built")

OPERATIONS = {
    "+": lambda x, y, z: x + y,
    "-": lambda x, y, z: x - y,
    "*": lambda x, y, z: x * y,
    "/": lambda x, y, z: x / (y * y + 1.0),
    "+ constant": lambda x, y, z: x + 2.0,
    "+ large constant": lambda x, y, z: x + 2.0**40,
    "constant -": lambda x, y, z: 1.0 - x,
    "0 +": lambda x, y, z: 0.0 + x,
    "+ 0": lambda x, y, z: x + 0.0,
    "-0 constant": lambda x, y, z: x * -0.0,
    "tanh": lambda x, y, z: ts.tanh(x),
    "maximum": lambda x, y, z: ts.maximum(x, y),
    "minimum": lambda x, y, z: ts.minimum(x, y),
    "logaddexp": lambda x, y, z: ts.logaddexp(x, y),
    "where": lambda x, y, z: ts.where(ts.greater(x, y), y, z),
    "sum": lambda x, y, z: sum([x, y, z, x * y]),
    "cond": lambda x, y, z: ts.cond(ts.greater(x, y), lambda: x * z, lambda: ts.tanh(y)),
    "cond of one list": lambda x, y, z: sum(ts.cond(ts.greater(x, y), lambda: [y, z * x], lambda: [z * z, y])),
    "cond in cond": lambda x, y, z: ts.cond(
        ts.greater(x, y), lambda: ts.cond(ts.greater(z, 0.1), lambda: x * x, lambda: x + z), lambda: z * x
    ),
    "of constants": lambda x, y, z: x * (Value(2.0) + Value(3.0)),
}
STEP = st.tuples(st.sampled_from(sorted(OPERATIONS)), *[st.integers(0, 12)] * 3)


def traced(steps, with_lookups):
    params = [Value(0.1 * k) for k in range(1, 5)]

    def cost(x, i):
        nodes = [*params, *x]
        if with_lookups:
            table = [[params[0] * x[0], params[1]], [params[2], params[3] + 1.0], [x[1], x[2]]]
            nodes += ts.lookup(table, i[0]) + ts.lookup(table, i[1])
        for name, *operands in steps:
            nodes.append(OPERATIONS[name](*(nodes[-1 - k % len(nodes)] for k in operands)))
        return sum(nodes[7 : 7 + len(steps) % 5], nodes[-1])

    return trace(cost, params, [np.ones((1, 3)), np.zeros((1, 2), int)])


def everything(found, ragged):
    grouping = Grouping(found, 2, ragged=ragged)
    grouping.order()
    sums = grouping.sums
    arrays = [sums.terms, sums.signs, sums.starts, sums.absorbed, sums.fold, grouping.swapped, grouping.place]
    arrays += [grouping.in_branch, grouping.by_choice, grouping.colour, grouping.constants, *grouping.nodes]
    return grouping.n_colours, grouping.keys, grouping.batched, [array.tolist() for array in arrays]


@given(st.lists(STEP, max_size=40), st.booleans(), st.booleans())
def test_groups_in_c_are_those_in_python(steps, with_lookups, ragged):
    found = traced(steps, with_lookups)
    in_c = everything(found, ragged)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(group_module, "native", lambda: None)
        assert everything(found, ragged) == in_c


def test_thousands_of_colours_are_the_same_in_c_and_in_python():
    w = Value(0.5)

    def cost(x):
        nodes = [x * w]
        for k in range(3000):
            nodes.append(ts.tanh(nodes[-1]) + nodes[k // 2] * (k % 7 - 3.0))
        return nodes[-1]

    found = trace(cost, [w], [np.ones(1)])
    in_c = everything(found, ragged=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(group_module, "native", lambda: None)
        assert everything(found, ragged=False) == in_c
    assert in_c[0] > 3000


@given(st.lists(STEP, min_size=1, max_size=30), st.booleans())
def test_what_varies_with_the_example_is_the_same(steps, with_lookups):
    found = traced(steps, with_lookups)
    varies = [(found.argument >= 0) for _ in range(2)]
    for its in varies:
        its[list(found.lookups)] = True
    frontier._mark_dependents(found.tape.starts, found.tape.operands, varies[0].view(np.uint8))
    native().mark_dependents(found.tape.starts, found.tape.operands, varies[1].view(np.uint8))
    np.testing.assert_array_equal(*varies)
