"""The array program by its definition: each statement of vectorize/program.py computed as its docstring says.

Slow and plain, it knows nothing of buffers, NumPy source or rules: the reference for the tests of vectorize.
"""

import numpy as np

from tinygrad_scalar.engine import ops
from tinygrad_scalar.vectorize import program as p
from tinygrad_scalar.vectorize.assemble import assemble
from tinygrad_scalar.vectorize.group import group
from tinygrad_scalar.vectorize.trace import trace


def assembled(cost, params, arrays):
    """The array program of a function of one example."""
    arrays = [np.asarray(array) for array in arrays]
    sizes = [int(np.prod(array.shape[1:])) for array in arrays]
    return assemble(group(trace(cost, params, arrays), len(arrays)), len(params), sizes)


def run(program, theta, arrays=()):
    """The numbers of every array, each with a column for each example."""
    m = len(arrays[0]) if arrays else 1
    numbers = {program.parameters: np.repeat(np.asarray(theta, float)[:, None], m, axis=1)}
    for argument, array in zip(program.arguments, arrays):
        numbers[argument] = np.asarray(array, float).reshape(m, -1).T
    for statement in [*program.forward, *program.backward]:
        operands = [_numbers_of(operand, numbers, m) for operand in statement.operands]
        numbers[statement.out] = computed(statement, operands, numbers, m)
    return numbers


def _numbers_of(array, numbers, m):
    if array.values is None:
        return numbers[array]
    return np.broadcast_to(np.reshape(array.values, (-1, 1)), (array.rows, m))


def computed(statement, operands, numbers, m):
    out = np.zeros((statement.out.rows, m))
    match statement:
        case p.Gather(index=index):
            return operands[0][index.ravel()]
        case p.Elementwise(op=op):
            columns = [np.broadcast_to(operand, out.shape).ravel().tolist() for operand in operands]
            return np.array([function_of(op)(*x) for x in zip(*columns)]).reshape(out.shape)
        case p.Product():
            return product(statement, *operands, m)
        case p.Distances():
            return (differences(statement, *operands, m) ** 2).sum(axis=1).reshape(out.shape)
        case p.DistancesGradient(side=side, distances=distances):
            size, _, q = distances.sizes
            pulls = 2.0 * operands[0].reshape(size, 1, q, m) * differences(distances, *operands[1:], m)
            if side == "right":
                return -pulls.sum(axis=0).reshape(out.shape)
            return np.repeat(pulls.sum(axis=(2, 3)).reshape(-1, 1), m, axis=1)
        case p.Fold(op=op):
            n, k = statement.source.shape
            fold = {"+": np.sum, "maximum": np.max, "minimum": np.min}[op]
            return fold(operands[0].reshape(n, k, m), axis=1)
        case p.Shares(fold=fold):
            columns = operands[0].reshape(*fold.source.shape, m)
            if fold.even:
                ties = columns == operands[1].reshape(-1, 1, m)
                return (ties / np.maximum(ties.sum(axis=1, keepdims=True), 1)).reshape(out.shape)
            return np.apply_along_axis(shares, 1, columns, fold.op).reshape(out.shape)
        case p.OverExamples():
            return np.repeat(operands[0].sum(axis=1, keepdims=True), m, axis=1)
        case p.Scatter(parts=parts):
            for (_, index), part in zip(parts, operands):
                rows = np.arange(len(out)) if index is None else index.ravel()
                np.add.at(out, rows, np.broadcast_to(part, (len(rows), m)))
            return out
        case p.Lookup(tables=tables, which=which, argument=argument, places=places):
            chosen, table = numbers[argument][places].astype(int), tables[which]
            return np.array([[operands[0][table[i, chosen[i, e]], e] for e in range(m)] for i in range(len(out))])
        case p.LookupScatter(lookup=lookup):
            chosen, table = numbers[lookup.argument][lookup.places].astype(int), lookup.tables[lookup.which]
            for i in range(len(table)):
                for e in range(m):
                    out[table[i, chosen[i, e]], e] += operands[0][i % len(operands[0]), e]
            return out if statement.out.batched else np.repeat(out.sum(axis=1, keepdims=True), m, axis=1)
    raise NotImplementedError(type(statement).__name__)


def shares(terms, op):
    """The slope of terms that are folded from left to right, two by two."""
    row = ops.operation(op)
    folded, slopes = terms[0], [1.0]
    for x in terms[1:]:
        of_folded, of_x = row.local_grads(row.forward(folded, x), folded, x)
        slopes = [*(of_folded * slope for slope in slopes), of_x]
        folded = row.forward(folded, x)
    return np.array(slopes)


def product(s, x, y, *chosen_and_m):
    """Products of sums written out; a left factor that is not there, or a gradient not chosen, takes no part."""
    *chosen, m = chosen_and_m
    p, k, q = s.sizes
    there = np.ones((s.blocks, p, k), bool) if s.there is None else s.there.reshape(s.blocks, p, k)
    inner = {"LR": ("pk", "kq", "pq"), "TR": ("pk", "pq", "kq"), "RT": ("pq", "kq", "pk")}[s.form]
    length = {"p": p, "k": k, "q": q}
    left, right = (number.reshape(s.blocks, *(length[axis] for axis in axes), m) for number, axes in zip((x, y), inner))
    out = np.zeros((s.blocks, *(length[axis] for axis in inner[2]), m))
    for b, *at in np.ndindex(s.blocks, p, k, q):
        i = dict(zip("pkq", at))
        of_left, of_right, of_out = ((b, *(i[axis] for axis in axes)) for axes in inner)
        if s.form == "RT" or there[b, i["p"], i["k"]]:
            term = left[of_left] * right[of_right]
            out[of_out] += (
                np.where(chosen[0].reshape(s.blocks, p, q, m)[b, i["p"], i["q"]], term, 0.0) if chosen else term
            )
    out = out.reshape(-1, m)
    if s.form == "RT" and not s.out.batched and (s.left.batched or s.right.batched):  # summed over the examples
        out = np.repeat(out.sum(axis=1, keepdims=True), m, axis=1)
    return out


def differences(s, x, y, m):
    """left[i, t] − right[t, j] for each example, as [i, t, j, example]."""
    p, k, q = s.sizes
    return x.reshape(p, k, 1, m) - y.reshape(1, k, q, m)


def function_of(op):
    """An operation, or a slope of one, as a function of its operands."""
    if isinstance(op, p.Slope):
        row = ops.operation(op.op)

        def slope(*numbers):
            given = dict(zip(op.reads, numbers))
            x = [given.get(i, np.nan) for i in range(1, row.arity + 1)]
            return row.local_grads(given.get(0, np.nan), *x)[op.operand]

        return slope
    if op == "minus fixed":
        return lambda x, y: min(x, 0.0) if x == y and np.isinf(x) else x - y
    if op == "1 at infinity":
        return lambda x, y: 1.0 if np.isinf(y) else x
    if op == "* on path":
        return lambda d, slope: 0.0 if slope == 0.0 else d * slope
    return ops.operation(op).forward
