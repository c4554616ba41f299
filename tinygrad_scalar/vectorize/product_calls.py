"""The NumPy calls of matrix products and distances, with helpers for those that are more than one call of matmul."""

from __future__ import annotations

from tinygrad_scalar.vectorize.naming import argument_name
from tinygrad_scalar.vectorize.program import Array, Distances, DistancesGradient, Product, Program
from tinygrad_scalar.vectorize.variables import Variables

SLOPES = {"**2": 2.0, "*": 1.0}  # of a square in each operand, times x

HELPERS = {
    "matmul_where": '''
def matmul_where(there, left, right, out):
    """left @ right where left has entries that are not `there`: 0, even times inf."""
    matmul(left, right, out=out)
    if np.isnan(vdot(out, out)):
        total = np.zeros_like(out)
        for k in range(left.shape[-1]):
            total += np.where(there[..., k : k + 1], left[..., k : k + 1] * right[..., k : k + 1, :], 0.0)
        copyto(out, total, where=np.isnan(out))
    return out
''',
    "matmul_each": '''
def matmul_each(left, right, out):
    """left @ right for each example, the last axis of all three."""
    examples = [np.ascontiguousarray(np.moveaxis(x, -1, 0)) for x in (left, right)]
    copyto(np.moveaxis(out, -1, 0), matmul(*examples))
    return out
''',
    "squared_distances": '''
def squared_distances(left, right, out):
    """out[i, j] = sum of (left[i, k] - right[k, j])**2 over k."""
    for i, j, apart in differences(left, right):
        multiply(apart, apart, out=apart)
        add.reduce(apart, axis=1, out=out[i, j])
    return out
''',
    "pull_left": '''
def pull_left(d, left, right, slope, out):
    """The gradient of sum(d * squared_distances(left, right)) with respect to left.

    A square is x**2, whose slope is 2 times x, or x*x, whose slope is 1 times x for each x.
    """
    out.fill(0.0)
    for i, j, apart in differences(left, right):
        multiply(apart, slope, out=apart)
        out[i] += matmul(apart, d[i, j, np.newaxis])[:, :, 0]
    return multiply(out, 2.0 / slope, out=out)
''',
    "pull_right": '''
def pull_right(d, left, right, slope, out):
    """The gradient of sum(d * squared_distances(left, right)) with respect to right, as in pull_left."""
    out.fill(0.0)
    for i, j, apart in differences(left, right):
        multiply(apart, slope, out=apart)
        multiply(apart, d[i, np.newaxis, j], out=apart)
        out[:, j] -= add.reduce(apart, axis=0)
    return multiply(out, 2.0 / slope, out=out)
''',
    "differences": '''
def differences(left, right):
    """left[i, k] - right[k, j] for all k and as many i and j as fit into the cache, with the slices i and j."""
    (p, k), n = left.shape, right.shape[1]
    width = max(1, min(n, 16384 // k))
    height = max(1, min(p, 32768 // (k * width)))
    apart = np.empty((height, k, width), right.dtype)
    for start in range(0, n, width):
        j = slice(start, min(start + width, n))
        for top in range(0, p, height):
            i = slice(top, min(top + height, p))
            yield i, j, subtract(left[i, :, np.newaxis], right[:, j], out=apart[: i.stop - top, :, : j.stop - start])
''',
}


def product_call(s: Product, program: Program, variables: Variables) -> str:
    """The call that computes a product."""
    p, k, q = s.sizes
    shapes = {"LR": ((p, k), (k, q), (p, q)), "TR": ((p, k), (p, q), (k, q)), "RT": ((p, q), (k, q), (p, k))}[s.form]
    blocks = (s.blocks,) if s.blocks > 1 else ()

    def written(array: Array, shape: tuple[int, int]) -> str:
        if s.of_each_example:
            return variables.reshaped(array, f"{array.name}_m", (*blocks, *shape))
        return variables.matrix(array, (*blocks, *shape))

    left, right, out = (written(array, shape) for array, shape in zip((s.left, s.right, s.out), shapes))
    bare = variables.is_bare(s.right) and q == 1 and not blocks and not s.of_each_example
    if s.form == "RT" and bare and s.chosen is None:
        return f"matmul({left}, {argument_name(program.arguments.index(s.right))}, out={out})"
    first = len(blocks)
    transposed = f".swapaxes({first}, {first + 1})" if blocks or s.of_each_example else ".T"
    left += transposed if s.form == "TR" else ""
    right += transposed if s.form == "RT" else ""
    if s.of_each_example:
        return f"matmul_each({left}, {right}, out={out})"
    if s.chosen is not None:  # of the gradient's entries, which are d on the left, or, transposed, on the right
        chosen = variables.matrix(s.chosen, (*blocks, p, q))
        if s.form == "TR":
            chosen, left, right, out = f"{chosen}.T", f"{right}.T", left.removesuffix(".T"), f"{out}.T"
        return f"matmul_where({chosen}, {left}, {right}, out={out})"
    if s.there is None:
        return f"matmul({left}, {right}, out={out})"
    there = variables.table(s.there, "there") + (transposed if s.form == "TR" else "")
    return f"matmul_where({there}, {left}, {right}, out={out})"


def distances_call(s: Distances, variables: Variables) -> str:
    """The call that computes squared distances."""
    p, k, q = s.sizes
    left, right, out = (
        variables.matrix(array, shape) for array, shape in zip((s.left, s.right, s.out), ((p, k), (k, q), (p, q)))
    )
    return f"squared_distances({left}, {right}, out={out})"


def distances_gradient_call(s: DistancesGradient, variables: Variables) -> str:
    """The call that computes the gradient of squared distances with respect to one of their operands."""
    p, k, q = s.distances.sizes
    d, left, right = (variables.matrix(array, shape) for array, shape in zip(s.operands, ((p, q), (p, k), (k, q))))
    out = variables.matrix(s.out, (p, k) if s.side == "left" else (k, q))
    return f"pull_{s.side}({d}, {left}, {right}, {SLOPES[s.distances.square]}, out={out})"
