"""What `to_jax` and `to_torch` are made of, in terms of NumPy: every statement and operation, and errors of use."""

import math
from contextlib import nullcontext

import numpy as np
import pytest
from programs import Draw
from support.branch_cases import CASES as BRANCHES
from support.operands import ORDINARY, ROWS
from support.vectorize_cases import CASES

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import record
from tinygrad_scalar.engine.ops import Operation
from tinygrad_scalar.vectorize.exported_operations import rule_of


class InNumpy:
    """NumPy as a `Library`: the values, without derivatives."""

    f = np
    erf = staticmethod(np.vectorize(math.erf, otypes=[float]))
    erfc = staticmethod(np.vectorize(math.erfc, otypes=[float]))
    without_gradient = nullcontext

    def operation(self, name):
        return lambda *operands: rule_of(name).forward(self, *operands)

    def number(self, number):
        return np.float64(number)

    def constant(self, values):
        return np.asarray(values, float)

    def indices(self, table):
        return table

    def fixed(self, x):
        return x

    def in_order(self, x):
        return x

    def added_up(self, n, index, rows):
        total = np.zeros((n, rows.shape[1]))
        np.add.at(total, index, rows)
        return total

    def if_nan(self, x, otherwise):
        return otherwise() if np.isnan(x).any() else x

    def numbers(self, x):
        return x


def value_of(run, arrays):
    exported = run._exported("")
    columns = [array.reshape(len(array), -1).T for array in arrays]
    with np.errstate(all="ignore"):
        return exported.run(InNumpy(), run.parameters, [c * 1.0 for c in columns], columns, len(arrays[0]))


@pytest.mark.parametrize("name", CASES)
def test_the_exported_program_has_the_values_of_run(name):
    cost, params, arrays = CASES[name](Draw())
    run = ts.vectorize(cost, params, reduce=None)
    values = run.values(*arrays)
    np.testing.assert_allclose(value_of(run, arrays), values, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", BRANCHES)
def test_numbers_of_sides_that_are_not_taken_do_not_show(name):
    function, params, arrays = BRANCHES[name]
    run = ts.vectorize(function, params, reduce=None)
    with np.errstate(all="ignore"):
        values = run.values(*arrays)
    np.testing.assert_allclose(value_of(run, arrays), values, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", sorted({*ROWS} - {"binary cross-entropy"}))  # of a = σ(z) alone
def test_every_operation_has_a_rule_whose_derivatives_are_the_rows(name):
    row, lib = ROWS[name], InNumpy()
    for point in ORDINARY[name]:
        operands = [np.float64(x) for x in (point if isinstance(point, tuple) else (point,))]
        rule, u = rule_of(name), np.float64(1.5)
        v = rule.forward(lib, *operands)
        assert v == pytest.approx(row.forward(*operands), rel=1e-14)
        for vjp, slope in zip(rule.vjps, row.local_grads(v, *operands)):
            if vjp is not None:
                assert vjp(lib, u, v, *operands) == pytest.approx(1.5 * slope, rel=1e-12, abs=1e-300)


def test_an_operation_that_is_not_in_the_table_is_computed_by_its_expression(monkeypatch):
    row = Operation("blend", "b", "blend({0}, {1}, {2})", "c*x + (1 - c)/exp(y)", lambda c, x, y: 0.0, lambda *_: ())
    monkeypatch.setitem(ts.engine.ops.OPERATIONS, "blend", row)
    values = rule_of("blend").forward(InNumpy(), np.array([0.25, 1.0]), np.array([4.0, 3.0]), np.array([0.0, 2.0]))
    np.testing.assert_allclose(values, [1.75, 3.0], rtol=1e-15)


def test_an_operation_without_expression_is_a_clear_error(monkeypatch):
    row = ROWS["tanh"]._replace(name="mystery", expression="", family="")
    monkeypatch.setitem(ts.engine.ops.OPERATIONS, "mystery", row)
    w = Value(0.5)
    run = ts.vectorize(lambda x: record("mystery", w * x), [w], check=False)
    run(np.ones(3))
    with pytest.raises(NotImplementedError, match=r"mystery.*expression"):
        value_of(run, [np.ones(3)])


@pytest.mark.parametrize(("method", "library"), [("to_jax", "jax"), ("to_torch", "torch")])
def test_without_the_library_there_is_a_clear_error(method, library, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, library, None)
    w = Value(1.0)
    run = ts.vectorize(lambda x: w * x, [w])
    with pytest.raises(ValueError, match="call run"):
        getattr(run, method)()
    run([1.0])
    with pytest.raises(ImportError, match=f"pip install {library}"):
        getattr(run, method)()


def test_a_constant_that_was_set_since_is_not_exported():
    w, c = Value(1.0), Value(2.0, "c")
    run = ts.vectorize(lambda x: w * x + c.data, [w])
    run([1.0])
    c.data = 3.0
    with pytest.raises(ValueError, match=r"call run\(X, …\) again"):
        run.to_jax()
