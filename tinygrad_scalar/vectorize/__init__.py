"""From the scalar graph to the notes' matrix equations (003): trace, group, assemble, differentiate, print, run.

How vectorize finds the matrices:
1. Trace the function on one example (trace.py), and merge each chain of additions and subtractions whose partial sums
   are used nowhere else into one sum of many terms (group.py).
2. Colour the nodes from the leaves up: all parameters share a colour; so do all numbers of one argument, and all
   constants. Any other node's colour is its operation and its operands' colours; for a sum, how many terms it has of
   each colour. The nodes of one colour become the rows of one array: a layer's z, its activations, its products.
3. Order the rows of each array from the cost down, by first use. A layer's products then come out as a grid of
   n_out × n_in; the weights have that shape; each row is multiplied by the same activations.
4. Sums of products are a matrix product if their factors form such a grid: number the distinct rows of left factors,
   and likewise of right factors; if every pair occurs exactly once, the sums are L @ R; or they are several such
   products, or triangles (products.py). Anything else becomes an element-wise operation, a gather or a sum over an axis
   (assemble.py). These statements are the array program (program.py).
5. Differentiate the array program, not the scalar graph: a layer's reverse rules are 003's equations 11a to 11d
   (reverse.py).
6. Print it as NumPy that reuses its buffers, with a column for each example (numpy_source.py, with naming.py,
   buffers.py, variables.py, numpy_calls.py and product_calls.py), and as LaTeX (equations.py).

A graph with little repetition, or with few examples, runs as a scalar program in C (scalar_program.py, _tape.pyx);
compiled.py chooses and runs it, and vectorized.py is the object that the user calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinygrad_scalar.engine import Value
    from tinygrad_scalar.vectorize.vectorized import Vectorized


def vectorize(
    cost: Callable[..., Any],
    params: Iterable[Value],
    *,
    reduce: str | None = "mean",
    dtype: str = "float64",
    wrt_inputs: bool = False,
    jacobian: str = "dense",
    way: str = "auto",
    check: bool = True,
) -> Vectorized:
    """Derive the array program of `cost`, a function of one example that returns a Value or a list, to run over many.

    params      the Values to differentiate with respect to, such as net.parameters(); [] if only inputs are wanted
    reduce      "mean" or "sum" of the examples, or None for each example by itself
    dtype       "float64" or "float32"
    wrt_inputs  whether to give the gradient with respect to each argument too (dA⁽⁰⁾)
    jacobian    "dense" arrays or "sparse" matrices, which need SciPy, for a function of several outputs
    way         "arrays" or "scalar" to run always that program; "auto" runs the one that takes less time, as estimated
                from what each does, so that the same shapes and number of examples choose alike in every run
    check       whether to run `cost` again at the first call of each shape: it must do the same each time, and agree
                with the engine on two examples, on up to eight where it branches (ts.cond). Without it, Values that
                `cost` makes in its first call are constants

    `run = ts.vectorize(cost, params)`; then `value, gradient = run(X, Y, …)` takes arrays with the m examples on the
    first axis and returns the mean of their costs and its gradient, an array in the order of `params`. `cost(x, y, …)`
    gets one example of each: a Value where X has the shape (m,), a list of n Values for (m, n), lists of lists for
    (m, h, w). The equations are 003's 1 and 11, found in the graph that `cost` makes of the first example. Arrays of
    another shape are traced again; m is free.

    With reduce=None the values have the shape (m,) and the gradients (m, n), for n parameters. `run.values(X, Y, …)`
    gives each example's value without derivatives, whatever `reduce` is, `run.value(X, Y, …)` the mean or the sum.

    A function can also return a list of k outputs, or nested lists; numbers among them are constants. With reduce=None
    the values then have the shape (m, k), the Jacobian (m, k, n), and with wrt_inputs those with respect to an argument
    (m, k, …), where … is the shape of one example of it; otherwise the first two are reduced to (k,) and (k, n). With
    jacobian="sparse" each Jacobian is a SciPy csr_array of all values, in order, by all parameters or all numbers of
    the argument: (m·k, n) or (m·k, X.size). It stores what an output reads and no more: of a table, the rows that are
    looked up. A function without arguments is one example: call run().

    >>> from tinygrad_scalar import Value
    >>> w, b = Value(2.0), Value(1.0)
    >>> run = vectorize(lambda x: [w * x + b, w * w], [w, b], reduce=None)
    >>> values, jacobian = run([0.5, 1.0, 2.0])
    >>> values.shape, jacobian.shape, jacobian[0].tolist()
    ((3, 2), (3, 2, 2), [[0.5, 1.0], [4.0, 0.0]])

    `run.parameters` is the array that the program works on, in the order of `params`: train by writing to it in place
    (`run.parameters -= 0.1 * gradient`); `run.write_back()` puts it into the Values. If a parameter's Value is set
    between calls, the next call uses its new number. What else `cost` reads is constant until it changes: the next
    call then traces anew, which takes milliseconds. That is so for a Value that is set; for a variable, global or
    attribute to which something else is assigned, such as another number, function or Value; and for a list, set, dict
    or array of at most 128 elements of which something is replaced, added or removed. The numbers in larger ones are
    fixed for good, even if they change: pass them as an argument. So is all else: what `cost` finds without naming it
    (by a computed name, through a weak reference, in os.environ), a name or attribute that is made later, other kinds
    of containers. If Values only change places in a list of Values, that counts once a Value is made or set. With
    check=False only set Values are followed.

    A copy of `run` or its pickle has the programs and the parameters' numbers, without `cost` and the Values: it takes
    examples of the shapes that it knows, and is trained through its own `parameters`.

    A large call runs on as many cores as the process and NumPy's BLAS may use (OMP_NUM_THREADS=1 in the environment:
    one). The result is the same on any number of them, bit for bit.

    TraceError if `cost` looks at a number that differs between examples, if the check finds a difference, or if
    `cost` draws random numbers, counts its calls or reads a clock, other than to print or log how long something took:
    `check` runs it several times to see that. It does not see what `cost` draws in another process, or from generators
    that are not Python's or NumPy's; and an iterator that gives the same number in all these runs is taken to give it
    for ever. docs/vectorize.md lists all that is not seen. Random numbers are an argument too, made anew for each call,
    such as a mask for dropout:

    >>> import numpy as np
    >>> from tinygrad_scalar import Value
    >>> v = [Value(0.5), Value(-1.0)]
    >>> run = vectorize(lambda x, mask: (v[0] * x * mask[0] + v[1] * x * mask[1] - 1) ** 2, v)
    >>> mask = (np.random.default_rng(0).random((3, 2)) > 0.5) / 0.5  # p = 0.5: 0 or 2, for each example and unit
    >>> value, gradient = run([1.0, 2.0, 3.0], mask)

    Without dropout the mask is 1 everywhere.

    >>> from tinygrad_scalar import Value
    >>> w, b = Value(0.0, "w"), Value(0.0, "b")
    >>> run = vectorize(lambda x, y: (w * x + b - y) ** 2, [w, b])
    >>> value, gradient = run([0.0, 1.0, 2.0], [1.0, 3.0, 5.0])
    >>> round(value, 3), gradient.round(3).tolist()
    (11.667, [-8.667, -6.0])
    """
    from tinygrad_scalar.vectorize.vectorized import Vectorized

    return Vectorized(cost, params, dtype, wrt_inputs, check, reduce, jacobian, way)
