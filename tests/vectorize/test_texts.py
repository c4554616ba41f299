"""The texts for people about a function with several outputs, and about each example by itself."""

import pickle
import re

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value

X = np.random.default_rng(0).normal(size=6)
MACHINERY = re.compile(r"spread|looked|joined|\bU\b|\bY\b|added\\ at")
w, b = Value(0.5, "w"), Value(-1.0, "b")


def outputs(x):
    h = ts.tanh(w * x + b)
    return [h * b, w**2 * x]


def equations_of(function, params, arrays, **options):
    run = ts.vectorize(function, params, **options)
    run(*arrays)
    return [f"{latex}  {shape}" for latex, shape, _ in run.equations.each]


def test_each_output_has_its_mean_and_its_gradient():
    lines = equations_of(outputs, [w, b], [X])
    assert not any(map(MACHINERY.search, lines))
    first, second = lines.index(r"\text{output } [0]  "), lines.index(r"\text{output } [1]  ")
    assert r"C_{0} = \frac{1}{m} \sum_{i=1}^{m} b \odot \mathrm{tanh}_{1}  1 \times 1" in lines[first:second]
    assert lines[second + 1 :] == [
        r"C_{1} = \frac{1}{m} \sum_{i=1}^{m} {w}^{2} \odot X  1 \times 1",
        r"dw = \frac{1}{m} \left(\sum_{i=1}^{m} {X}^{(i)}\right) \odot 2\, w  1 \times 1",
    ]


@pytest.mark.parametrize("reduce", ["mean", "sum", None])
def test_the_value_says_how_it_is_reduced(reduce):
    [line] = [line for line in equations_of(outputs, [w, b], [X], reduce=reduce) if line.startswith("C_{1}")]
    by = {"mean": r"\frac{1}{m} \sum_{i=1}^{m} ", "sum": r"\sum_{i=1}^{m} ", None: ""}[reduce]
    assert line == rf"C_{{1}} = {by}{{w}}^{{2}} \odot X  1 \times 1"


def test_each_example_by_itself_has_the_equations_of_one():
    lines = equations_of(lambda x: (w * x - b) ** 2, [w, b], [X], reduce=None, wrt_inputs=True)
    d = r"\mathrm{difference}_{1}"
    assert lines == [
        rf"{d} = w \odot X - b  1 \times 1",
        rf"C = {{{d}}}^{{2}}  1 \times 1",
        rf"d{d} = 2\, {d}  1 \times 1",
        rf"db = -d{d}  1 \times 1",
        rf"dw = d{d} \odot X  1 \times 1",
        rf"\frac{{\partial C}}{{\partial X}} = d{d} \odot w  1 \times 1",
    ]


def test_a_network_of_several_outputs_has_the_equations_of_the_notes():
    net = ts.MLP(2, [3, 2], "tanh", seed=0)
    lines = equations_of(net, net.parameters(), [X.reshape(3, 2)], reduce=None)
    assert r"Z^{[1]} = W^{[1]} A^{[0]} + b^{[1]}  3 \times 1" in lines
    assert not any(map(MACHINERY.search, lines))


@pytest.mark.parametrize("reduce", ["mean", None])
def test_explain_shows_the_outputs_and_no_choice_among_them(reduce):
    run = ts.vectorize(outputs, [w, b], reduce=reduce)
    run(X)
    assert "parameters[0:1], w" in run.explain()
    assert "looked_up" not in run.explain() and "YT" not in run.explain()
    assert "6 examples: the " in run.explain()


@pytest.mark.parametrize(
    "function", [lambda x: [x, w, 2.0], lambda x: [[w * x, b], [x, 0.0]], lambda x: (ts.max([w, x, b]), x * x)]
)
@pytest.mark.parametrize("reduce", ["mean", "sum", None])
def test_outputs_that_are_arguments_parameters_and_numbers_have_texts(function, reduce):
    run = ts.vectorize(function, [w, b], reduce=reduce, wrt_inputs=True)
    run(X)
    assert run.explain() and run.equations.each and run.source


def test_many_outputs_are_counted():
    lines = equations_of(lambda x: [w * x**k for k in range(200)], [w], [X])
    assert lines[-1] == r"\text{and 190 more outputs}  "


def test_a_tie_of_maxima_is_said_to_share_the_gradient():
    lines = equations_of(lambda x: ts.maximum(w * x, b), [w, b], [X])
    assert any(r"\left[b > " in line and r"+ \frac{1}{2} \left[" in line for line in lines)
    for fold in (ts.max, ts.min):
        lines = equations_of(lambda x, fold=fold: fold([w * v for v in x]), [w], [X.reshape(2, 3)])
        assert lines[-1].startswith(r"\text{in a tie of } k \text{, each takes } \frac{1}{k}")
    assert not any("tie" in line for line in equations_of(outputs, [w, b], [X]))


@pytest.mark.parametrize("function", [outputs, lambda x: ts.tanh(w * x + b)])
def test_a_pickle_says_what_it_lacks_and_keeps_what_was_read(function):
    run = ts.vectorize(function, [w, b], way="scalar" if ts.accelerated else "auto")
    run(X)
    if run._last.arrays is None:
        for text in ("source", "equations"):
            with pytest.raises(
                ValueError, match=r"only if they were read before: read run\.source, .* before pickling"
            ):
                getattr(pickle.loads(pickle.dumps(run)), text)
    equations, explained = run.equations, run.explain()
    again = pickle.loads(pickle.dumps(run))
    assert again.equations == equations and again.explain() == explained
