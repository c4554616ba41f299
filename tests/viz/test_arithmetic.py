"""The page's arithmetic, viz/explorer/arithmetic.js, in Node: within 4 ulp of the table of operations, row by row."""

import itertools
import json
import math
import random
import shutil
import subprocess
from math import inf, nan
from pathlib import Path

import pytest
from support.operands import EDGES, ORDINARY, POWERS, SLOPES

from tinygrad_scalar.engine import activations, elementary, lists, ops
from tinygrad_scalar.viz import drawing

MODULE = Path(drawing.__file__).parent / "explorer" / "arithmetic.js"
ULPS = 4.0
SIZES = (1, 2, 3, 8)
SOME_SIZES = {"dot": [n for n in SIZES if n % 2 == 0], **dict.fromkeys(("sumexp_below", "logsumexp_below"), SIZES[1:])}
ROWS = {
    row.name: row
    for row in [
        *ops.OPERATIONS.values(),
        ops.COND,
        *map(ops.constant_power, (*POWERS, 1e-3, 2.0**60, -101.0, inf, -inf)),
        *map(ops.leaky_relu, (*SLOPES, 1e300, inf)),
        *(lists.of_list(family, n) for family in lists.OF_LISTS for n in SIZES if n in SOME_SIZES.get(family, SIZES)),
    ]
}
EXTREMES = [0.0, -0.0, 1.0, -1.0, inf, -inf, nan, 5e-324, 1.7976931348623157e308]
KINKS = [-1.0, -0.5, -0.35, 0.5, 1.0, 2.0, -2.0, 1e9, -39.0, 40.0, 354.0, 700.0, -700.0, 745.0, 709.782712893384, 800.0]
NUMBERS = [
    0.0, -0.0, inf, -inf, nan, 5e-324, -5e-324, 2.5e-310, 2.2250738585072014e-308, -2.2250738585072014e-308, 1e-300,
    1.7976931348623157e308, -1.7976931348623157e308, 1e155, -1e155, 1e-155, 1e300, 1e16, 1e22, -1e5, 3.0, 4.0, 1e-8,
    math.pi, math.pi / 2, math.log(2.0), 1 / 3, 709.0, -746.0, 1e-10, -1e-10,
    *KINKS, *(math.nextafter(x, inf) for x in KINKS), *(math.nextafter(x, -inf) for x in KINKS),
]  # fmt: skip
PROGRAM = """
const { OPERATIONS } = await import(process.argv[1]);
let text = "";
for await (const part of process.stdin) text += part;
const shown = (x) => (Object.is(x, -0) ? "-0" : String(x));
const answers = {
  names: () => Object.keys(OPERATIONS),
  evaluated: ([name, constant, points]) => points.map((point) => {
    const operands = point.map(Number), value = OPERATIONS[name].forward(operands, Number(constant));
    return [value, ...OPERATIONS[name].local(operands, value, Number(constant))].map(shown);
  }),
};
console.log(JSON.stringify(JSON.parse(text).map(([what, asked]) => answers[what](asked))));
"""
WRITTEN = {inf: "Infinity", -inf: "-Infinity"}


@pytest.fixture(scope="module")
def node():
    """Answers to questions, each with the name of one of the program's answers and what that is given."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("Node is not installed")

    def answered(*questions):
        command = [program, "--input-type=module", "--eval", PROGRAM, MODULE.as_uri()]
        run = subprocess.run(
            command, input=json.dumps(questions), capture_output=True, text=True, encoding="utf-8", check=False
        )
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)

    return answered


def written(x):
    return WRITTEN.get(x, "NaN" if x != x else repr(x))


def test_every_operation_of_the_table_is_there_and_no_other(node):
    [names] = node(["names", None])
    assert set(names) == {row.family or name for name, row in ROWS.items()}


def points(name, n):
    """The row's operands of the other tests, the numbers at which something changes, and random ones."""
    rng, row = random.Random(name), ROWS[name]
    arity = int(row.constant) if name in LISTS else row.arity
    own = [operands for other, operands, *_ in EDGES if other == name] + ORDINARY.get(name, [])
    yield from (operands if isinstance(operands, tuple) else (operands,) for operands in own)
    if arity == 1:
        yield from ((x,) for x in NUMBERS)
    else:
        if arity == 2:  # whatever convention a row has for a pair of edges
            yield from itertools.product(EXTREMES, repeat=2)
        yield from ([rng.choice(NUMBERS) for _ in range(arity)] for _ in range(n))
    draws = [
        lambda: rng.uniform(-3.0, 3.0), lambda: rng.uniform(-50.0, 50.0), lambda: rng.uniform(-750.0, 750.0),
        lambda: rng.choice([1.0, -1.0]) * 10.0 ** rng.uniform(-320.0, 308.0),
        lambda: rng.choice([1.0, -1.0]) + rng.choice([1.0, -1.0]) * 10.0 ** rng.uniform(-17.0, 0.0),
        lambda: float(rng.randint(-3, 3)),
    ]  # fmt: skip
    for _ in range(n):
        draw = rng.choice(draws)
        yield [draw() for _ in range(arity)]
    for _ in range(n // 4 if arity > 1 else 0):
        yield [rng.choice(draws)() for _ in range(arity)]


LISTS = {name for name in ROWS if lists.named(name)}


@pytest.fixture(scope="module")
def swept(node, thorough):
    """For each row its points, and at each the value and the slopes in JavaScript."""
    looked_at = {name: [list(point) for point in points(name, 5_000 if thorough else 200)] for name in ROWS}
    questions = [
        [
            "evaluated",
            [ROWS[name].family or name, written(ROWS[name].constant or 0.0), [[*map(written, p)] for p in ps]],
        ]
        for name, ps in looked_at.items()
    ]
    return {name: (ps, answer) for (name, ps), answer in zip(looked_at.items(), node(*questions))}


@pytest.mark.parametrize("name", ROWS)
def test_values_and_slopes_are_pythons_within_4_ulp(swept, name):
    row = ROWS[name]
    for point, found in zip(*swept[name]):
        value = row.forward(*point)
        expected = [value, *row.local_grads(value, *point)]
        terms = TERMS.get(row.family or name, lambda *x: {})(*point)
        assert len(found) == len(expected)
        for i, (number, exact) in enumerate(zip(map(float, found), expected)):
            assert is_near(number, exact, terms.get(i, ())), (point, i, number, exact)


def is_near(found, exact, terms):
    """Within 4 ulp, and a zero with the same sign; where terms cancel, 4 ulp of the largest."""
    if not math.isfinite(exact) or found == exact == 0.0:
        return written(found) == written(exact)
    return abs(found - exact) <= ULPS * max(math.ulp(term) for term in (exact, *terms) if math.isfinite(term))


# The terms of a value (0) or a slope (1, 2, …) in which they cancel, so that one ulp of theirs is many of the sum's.
TERMS = {
    "logaddexp": lambda x, y: {0: (max(x, y),)},
    "logsumexp(n)": lambda *x: {0: (max(x),)},
    "logsumexp_below(n)": lambda *x: {0: (max(x[:-1]) - x[-1],)},
    "gelu": lambda x: {1: (activations.normal_cdf(x), x * activations.density(x))},
    "silu": lambda x: {1: (elementary.sigmoid(x), x * elementary.sigmoid_slope(x))},
    "mish": lambda x: {
        1: (math.tanh(s := elementary.softplus(x)), x * elementary.tanh_slope(s) * elementary.sigmoid(x))
    },
    "share": lambda x, y, total: {  # where the power has few digits
        i: (elementary.divide(2.0**-1022 / total if i == 3 and total else 2.0**-1022, total),) for i in range(4)
    },
    "binary cross-entropy": lambda a, z, y: {
        0: (y * elementary.log(a), (1.0 - y) * elementary.log1p(-a)),
        3: (elementary.log(a), elementary.log1p(-a)),
    },
}
