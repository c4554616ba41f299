"""From the scalar graph to the notes' matrix equations (003): trace, regroup, differentiate, print, run.

trace.py writes down the graph that a function makes of one example, grouping.py and regroup.py find the arrays in it
(program.py), reverse.py differentiates the array program, numpy_source.py and equations.py print it, vectorized.py runs
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinygrad_scalar.engine import Value
    from tinygrad_scalar.vectorize.vectorized import Vectorized


def vectorize(
    cost: Callable[..., Value],
    params: Iterable[Value],
    *,
    dtype: str = "float64",
    wrt_inputs: bool = False,
    check: bool = True,
) -> Vectorized:
    """Derive the array program of `cost`, a function of one example that returns one Value, and run it over many.

    params      the Values to differentiate with respect to, as net.parameters()
    dtype       "float64" or "float32"
    wrt_inputs  also give the gradient with respect to each argument (dA⁽⁰⁾)
    check       compare the first call of each shape with the engine, on two of its examples

    `step = vectorize(cost, params)`; then `value, gradient = step(X, Y, …)` takes arrays with the m examples on the
    first axis and gives the mean of their costs and its gradient, an array in the order of `params`. `cost(x, y, …)`
    gets an example of each: a Value where X has the shape (m,), a list of n Values for (m, n), lists of lists for
    (m, h, w). The equations are 003's 1 and 11, found in the graph that `cost` makes of the first example. Arrays of
    another shape are traced anew; any m will do.

    `step.parameters` is the array that the program works on, in the order of `params`: train by writing to it in place
    (`step.parameters -= 0.1 * gradient`), and `step.write_back()` puts it into the Values. A parameter's Value that is
    set in between counts from the next call on. Other Values that `cost` uses are constants, until they are set.

    TraceError if `cost` decides by a number that differs between examples, or if the check finds a difference.

    >>> from tinygrad_scalar import Value
    >>> w, b = Value(0.0, "w"), Value(0.0, "b")
    >>> step = vectorize(lambda x, y: (w * x + b - y) ** 2, [w, b])
    >>> value, gradient = step([0.0, 1.0, 2.0], [1.0, 3.0, 5.0])
    >>> round(value, 3), gradient.round(3).tolist()
    (11.667, [-8.667, -6.0])
    """
    from tinygrad_scalar.vectorize.vectorized import Vectorized

    return Vectorized(cost, params, dtype, wrt_inputs, check)
