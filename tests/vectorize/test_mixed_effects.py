"""Several sides of ts.cond that change the same things, and others what these say: what is accepted is the engine's."""

import itertools
import random
from collections import OrderedDict

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import TraceError, Value

w, b = Value(0.5, "w"), Value(0.1, "b")


def program(seed):
    """A function whose sides do to a list and an OrderedDict what is drawn, and how many arguments it has."""
    draw = random.Random(seed)
    k = draw.randint(1, 5)

    def drawn():
        return [
            [draw.randrange(8), draw.randrange(2), draw.randrange(2), draw.randint(0, 3)]
            for _ in range(draw.randint(0, 2))
        ]

    steps, question, answer = [(drawn(), drawn()) for _ in range(k)], draw.randrange(4), draw.randint(-1, 4)

    def function(*x):
        state, order = [0, 0], OrderedDict(a=0, b=1)

        def side(steps, result):
            def run():
                for step, i, j, number in steps:
                    if step < 2:
                        state[i] += (1, -1)[step]
                    elif step < 5:
                        state[i] = (number, state[j], 1 - state[i])[step - 2]
                    elif step == 5:
                        state.reverse()
                    elif step == 6:
                        order.move_to_end("ab"[j], last=i == 0)
                    elif state[i] > 0:
                        state[j] += number
                return result

            return run

        total = 0.0
        for number, (then, otherwise) in zip(x, steps):
            total = total + ts.cond(ts.greater(number, 0.0), side(then, w * number), side(otherwise, b * number))
        first, second = state
        found = (first == answer, first > second, first + second == answer, next(iter(order)) == "b")[question]
        return total * 2.0 if found else total

    return function, k


@pytest.mark.parametrize("seeds", [range(60), pytest.param(range(60, 2000), marks=pytest.mark.thorough)])
def test_sides_that_change_the_same_are_refused_or_right_on_each_way_through_them(seeds):
    accepted = 0
    for seed in seeds:
        function, k = program(seed)
        ways = np.array([*itertools.product([-1.0, 1.0], repeat=k)])
        run = ts.vectorize(function, [w, b], reduce=None)
        try:
            run(*ways[-1:].repeat(4, axis=0).T)  # the check sees one way
            found, _ = run(*ways.T)
        except TraceError:
            continue
        accepted += 1
        costs = [function(*map(Value, way)).data for way in ways.tolist()]
        np.testing.assert_allclose(found, costs, rtol=1e-12, err_msg=str(seed))
    assert accepted > len(seeds) / 4  # changes that nobody reads are no harm


def test_a_change_is_found_that_only_some_ways_through_many_conditions_show():
    """Those through the first and the second side, and not through the last one."""

    def function(*x):
        steps, others = [0], []

        def doing(change, k):
            return lambda: change() or w * x[k]

        def set_to(number):
            steps[0] = number

        changes = [lambda: set_to(1), lambda: set_to(2 * steps[0]), *[lambda: others.append(1)] * 4, lambda: set_to(0)]
        total = 0.0
        for k, change in enumerate(changes):
            total = total + ts.cond(ts.greater(x[k], 0.0), doing(change, k), b * x[k])
        return total * 2.0 if steps[0] == 2 else total

    with pytest.raises(TraceError, match=r"must not change anything outside(.|\n)*changed the list steps"):
        ts.vectorize(function, [w, b])(*np.ones((7, 3)))
