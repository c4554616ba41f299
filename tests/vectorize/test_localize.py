"""All that the examples look up in one table of parameters is found in one step."""

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import compute_gradients


@pytest.mark.parametrize("reduce", [None, "mean"])
def test_lookups_in_one_table_are_made_in_one_step(reduce):
    """A text of 40 words: 40 lookups in each of the table's three columns, more than there are examples."""
    rng = np.random.default_rng(0)
    table = [[Value(number) for number in row] for row in rng.normal(size=(7, 3)).tolist()]
    params, texts, X = [value for row in table for value in row], rng.integers(0, 7, (5, 40)), rng.normal(size=5)

    def outputs(words, x):
        rows = [ts.lookup(table, k) for k in words]
        return [ts.sum([row[0] * row[1] for row in rows]) * x, ts.tanh(ts.sum([row[2] for row in rows]))]

    values, jacobian, of_inputs = np.empty((5, 2)), np.empty((5, 2, 21)), np.empty((5, 2))
    for i, words in enumerate(texts.tolist()):
        x = Value(X[i])
        for j, output in enumerate(outputs(words, x)):
            values[i, j] = output.data
            gradient = np.empty(22)
            compute_gradients(output, [*params, x], gradient)
            jacobian[i, j], of_inputs[i, j] = gradient[:-1], gradient[-1]
    run = ts.vectorize(outputs, params, reduce=reduce, wrt_inputs=True)
    (found, its, (_, inputs)), m = run(texts, X), len(X) if reduce else 1
    np.testing.assert_allclose(found, values.mean(0) if reduce else values, rtol=1e-12)
    np.testing.assert_allclose(its, jacobian.mean(0) if reduce else jacobian, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(inputs, of_inputs / m, rtol=1e-12, atol=1e-14)
    (program,) = run._programs.values()
    assert len(program.local.gathered) == 3
