"""Programs with the structure that people write in loops: mixtures, attention, convolutions, triangles, bands.

Each makes a function of one example, its parameters and arrays of examples from a random generator, like a case of
vectorize_cases.py.
"""

import math

import tinygrad_scalar as ts
from support.vectorize_cases import dot, flat, linear, softmax

STRUCTURES = {}


def structure(make):
    STRUCTURES[make.__name__] = make
    return make


@structure
def mixture_of_gaussians(d, n=4, k=3):
    weights, means, diagonals, triangles = d.values(k), d.values(k, n), d.values(k, n), d.values(k, n * (n - 1) // 2)

    def whitened(diagonal, triangle, c):
        z = []
        for i in range(n):
            total = ts.exp(diagonal[i]) * c[i]
            for j in range(i):
                total = total + triangle[i * (i - 1) // 2 + j] * c[j]
            z.append(total)
        return z

    def cost(x):
        terms = []
        for weight, mean, diagonal, triangle in zip(weights, means, diagonals, triangles):
            z = whitened(diagonal, triangle, [a - b for a, b in zip(x, mean)])
            terms.append(weight + sum(diagonal) - 0.5 * sum(z_i * z_i for z_i in z))
        largest = terms[0]
        for term in terms[1:]:
            largest = ts.maximum(largest, term)
        return largest + ts.log(sum(ts.exp(term - largest) for term in terms))

    return cost, flat([weights, means, diagonals, triangles]), [d.normal(5, n)]


@structure
def attention_with_two_heads(d, n=5, size=8):
    queries, keys, contents = (d.values(2, size // 2, size) for _ in range(3))
    out = d.values(size, size)

    def cost(X):
        mixed = [[] for _ in X]
        for head in range(2):
            Q, K, C = ([linear(W[head], x) for x in X] for W in (queries, keys, contents))
            for row, q in zip(mixed, Q):
                shares = softmax([dot(q, k) / math.sqrt(size // 2) for k in K])
                row += [dot(shares, column) for column in zip(*C)]
        return sum(y * y for row in mixed for y in linear(out, row))

    return cost, flat([queries, keys, contents, out]), [d.normal(3, n, size)]


def convolved(d, *, size, channels=1, kernels=2, stride=1, dilation=1, groups=1, pooled=False):
    """A convolution of 3 × 3 windows, tanh, perhaps the maximum of 2 × 2, and the sum of squares."""
    each = channels // groups
    W, b = d.values(kernels, each, 3, 3), d.values(kernels)

    def cost(X):
        X = X if channels > 1 else [X]
        total = 0.0
        for k in range(kernels):
            first = k // (kernels // groups) * each
            rows = []
            for i in range(0, size - 2 * dilation, stride):
                row = []
                for j in range(0, size - 2 * dilation, stride):
                    z = b[k]
                    for c in range(each):
                        for u in range(3):
                            for v in range(3):
                                z = z + W[k][c][u][v] * X[first + c][i + u * dilation][j + v * dilation]
                    row.append(ts.tanh(z))
                rows.append(row)
            if pooled:
                pairs = [list(zip(row[::2], row[1::2])) for row in rows]
                squares = [(*a, *b) for up, down in zip(pairs[::2], pairs[1::2]) for a, b in zip(up, down)]
                rows = [[ts.maximum(ts.maximum(a, b), ts.maximum(c, e)) for a, b, c, e in squares]]
            total = total + sum(a * a for row in rows for a in row)
        return total

    shape = (size, size) if channels == 1 else (channels, size, size)
    return cost, flat([W, b]), [d.normal(3, *shape)]


@structure
def convolution(d):
    return convolved(d, size=6)


@structure
def convolution_with_stride_2(d):
    return convolved(d, size=7, stride=2)


@structure
def dilated_convolution(d):
    return convolved(d, size=8, dilation=2)


@structure
def convolution_of_several_channels(d):
    return convolved(d, size=5, channels=3)


@structure
def grouped_convolution(d):
    return convolved(d, size=5, channels=4, kernels=4, groups=2)


@structure
def depthwise_convolution(d):
    return convolved(d, size=5, channels=3, kernels=3, groups=3)


@structure
def pooled_convolution(d):
    return convolved(d, size=6, pooled=True)


@structure
def lower_triangle_times_vector(d, n=6):
    rows = [d.values(i + 1) for i in range(n)]
    return lambda x: sum(ts.tanh(dot(row, x)) for row in rows), flat(rows), [d.normal(4, n)]


@structure
def upper_triangle_times_matrix(d, n=5):
    rows = [d.values(n - i) for i in range(n)]

    def cost(X):
        return sum(ts.tanh(dot(row, column[i:])) for i, row in enumerate(rows) for column in zip(*X))

    return cost, flat(rows), [d.normal(4, n, 3)]


@structure
def tridiagonal_energy(d, n=7):
    diagonal, beside = d.values(n), d.values(n - 1)

    def cost(x):
        energy = sum(a * x_i * x_i for a, x_i in zip(diagonal, x))
        return energy + sum(2.0 * b * x[i] * x[i + 1] for i, b in enumerate(beside))

    return cost, diagonal + beside, [d.normal(4, n)]


@structure
def heat_on_a_rod(d, n=6, steps=3):
    conductivity, start = d.values(1), d.values(n)

    def cost(x):
        u = [a + b for a, b in zip(start, x)]
        for _ in range(steps):
            beside = [u[0], *u, u[-1]]
            u = [u[i] + conductivity[0] * (beside[i] - 2.0 * u[i] + beside[i + 2]) for i in range(n)]
        return sum(a * a for a in u)

    return cost, conductivity + start, [d.normal(4, n)]


@structure
def neighbours_in_a_graph(d, n=7):
    edges = [(i, (i * i + 1) % n) for i in range(n) if i != (i * i + 1) % n] + [(0, 3), (2, 6), (4, 5)]
    weights, own = d.values(len(edges)), d.values(n)

    def cost(x):
        pulls = [own[i] * x[i] for i in range(n)]
        for (i, j), w in zip(edges, weights):
            pulls[i] = pulls[i] + w * (x[j] - x[i])
            pulls[j] = pulls[j] + w * (x[i] - x[j])
        return sum(ts.tanh(pull) for pull in pulls)

    return cost, weights + own, [d.normal(4, n)]


def nearest(d, squared, n=3, k=4):
    centroids = d.values(k, n)

    def cost(x):
        best = None
        for c in centroids:
            distance = sum(squared(c_j, x_j) for c_j, x_j in zip(c, x))
            best = distance if best is None else ts.minimum(best, distance)
        return best

    return cost, flat(centroids), [d.normal(6, n)]


@structure
def nearest_centroid(d):
    return nearest(d, lambda c, x: (x - c) ** 2)


@structure
def nearest_centroid_by_a_product(d):
    return nearest(d, lambda c, x: (c - x) * (c - x))


@structure
def curvature_of_the_nearest_centroid(d, n=3, k=4):
    """Its gradient is the diagonal of k-means' Hessian."""
    centroids = d.values(k, n)

    def cost(x):
        nearest = ts.min([ts.sum((c - x_j) ** 2 for c, x_j in zip(centroid, x)) for centroid in centroids])
        return ts.sum(ts.gradient(nearest, flat(centroids)))

    return cost, flat(centroids), [d.normal(5, n)]


@structure
def radial_basis_functions(d, n=3, k=5):
    centres, weights, widths = d.values(k, n), d.values(k), d.values(k)

    def cost(x, y):
        value = 0.0
        for centre, weight, width in zip(centres, weights, widths):
            value = value + weight * ts.exp(-ts.exp(width) * sum((x_j - c) ** 2 for x_j, c in zip(x, centre)))
        return (value - y) ** 2

    return cost, flat([centres, weights, widths]), [d.normal(4, n), d.normal(4)]
