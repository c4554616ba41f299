"""The engine's values and derivatives of each example, with which those of programs are compared."""

import numpy as np

import tinygrad_scalar as ts
from tinygrad_scalar.engine import compute_gradients
from tinygrad_scalar.vectorize.outputs import outputs_of
from tinygrad_scalar.vectorize.trace import example_arguments, flat


def engine(function, params, arrays):
    """The outputs (m, k) of each example, their derivatives (m, k, n) and, for each argument, (m, k, its size)."""
    values, jacobians, inputs = [], [], [[] for _ in arrays]
    for i in range(len(arrays[0]) if arrays else 1):
        arguments = example_arguments(arrays, i)
        outputs = outputs_of(function(*arguments)).values
        values.append([C.data for C in outputs])
        for rows, leaves in zip([jacobians, *inputs], [params, *(list(flat(argument)) for argument in arguments)]):
            block = np.empty((len(outputs), len(leaves)))
            for C, row in zip(outputs, block):
                compute_gradients(C, leaves, row)
            rows.append(block)
    return np.array(values), np.array(jacobians), [np.array(rows) for rows in inputs]


def close(ours, theirs):
    """Equal to 1e-12 of the largest number: terms cancel in some cases."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    scale = np.abs(theirs).max(initial=1.0)
    np.testing.assert_allclose(ours.reshape(theirs.shape), theirs, rtol=1e-11, atol=1e-13 * scale)


def require_engines(function, params, arrays, reduce, **options):
    run = ts.vectorize(function, params, reduce=reduce, wrt_inputs=True, **options)
    got = run(*arrays)
    values, jacobian, inputs = engine(function, params, arrays)
    if reduce:
        over = len(values) if reduce == "mean" else 1
        values, jacobian, inputs = values.sum(axis=0) / over, jacobian.sum(axis=0) / over, [d / over for d in inputs]
    close(got[0], values)
    close(got[1], jacobian)
    for ours, theirs in zip(got[2], inputs):
        if ours is not None:
            close(ours, theirs)
    return run
