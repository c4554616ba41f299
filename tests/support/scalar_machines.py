"""The native executor of scalar programs beside the engine, example by example."""

import numpy as np

from tinygrad_scalar.vectorize.scalar_program import executor, scalar_program
from tinygrad_scalar.vectorize.trace import example_arguments, flat, trace

native = executor()


def machine_of(cost, params, arrays):
    traced = trace(cost, params, arrays)
    sizes = [int(np.prod(array.shape[1:])) for array in arrays]
    return native.Machine(*scalar_program(traced, len(params), sizes, native.CODES))


def run(machine, params, arrays, with_inputs=True, alarms=None):
    rows = tuple(np.ascontiguousarray(array, float).reshape(len(array), -1) for array in arrays)
    gradient, inputs = np.empty(len(params)), tuple(map(np.empty_like, rows))
    theta = np.array([p.data for p in params])
    value = machine.run(theta, rows, gradient, inputs if with_inputs else None, alarms=alarms)
    return value, gradient, inputs


def by_the_engine(cost, params, arrays):
    """The mean cost, its gradient and the gradients with respect to the arguments."""
    m = len(arrays[0])
    total, gradient, inputs = 0.0, np.zeros(len(params)), [np.zeros((m, array[0].size)) for array in arrays]
    for i in range(m):
        arguments = example_arguments(arrays, i)
        for p in params:
            p.grad = 0.0
        C = cost(*arguments)
        C.backward()
        total += C.data
        gradient += [p.grad for p in params]
        for its, argument in zip(inputs, arguments):
            its[i] = [x.grad for x in flat(argument)]
    return total / m, gradient / m, [its / m for its in inputs]


def require_the_engines(cost, params, arrays):
    machine = machine_of(cost, params, arrays)
    value, gradient, inputs = run(machine, params, arrays)
    expected, by_engine, wrt_inputs = by_the_engine(cost, params, arrays)
    size = max(1.0, *(float(np.abs(g).max()) for g in (by_engine, *wrt_inputs)))
    np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(gradient, by_engine, rtol=1e-12, atol=1e-12 * size)
    for ours, theirs, array in zip(inputs, wrt_inputs, arrays):
        if array.dtype.kind == "f":
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12 * size)
    alone = run(machine, params, arrays, with_inputs=False)
    assert (alone[0], alone[1].tobytes()) == (value, gradient.tobytes())
    return machine
