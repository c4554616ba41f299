"""The networks of the notes as labelled graphs, for the tests of explain."""

import tinygrad_scalar as ts
from tinygrad_scalar import Value, topological_order


def chain(L):
    """The notes' network with one node in each of L layers (000, 001) and its cost."""
    a = Value(0.8, "a(0)")
    y = Value(0.0, "y")
    for layer in range(1, L + 1):
        w, b = Value(0.6 - 0.1 * layer, f"w({layer})"), Value(0.1 * layer, f"b({layer})")
        z = w * a + b
        a = z.sigmoid()
        z.label, a.label = f"z({layer})", f"a({layer})"
    C = (a - y) ** 2
    C.label = "C"
    return C


def network(*sizes):
    """A network of the notes with several nodes a layer, and C = Σⱼ(aⱼ − yⱼ)²."""
    net = ts.MLP(sizes[0], list(sizes[1:]), "sigmoid", seed=1)
    a = net([0.3 * (k + 1) for k in range(sizes[0])])
    a = a if isinstance(a, list) else [a]
    C = sum((a_j - Value(0.5 * j, f"y[{j}]")) ** 2 for j, a_j in enumerate(a))
    C.label = "C"
    return C


def named(root, name):
    return next(node for node in topological_order(root) if node.label == name)


def gradient(root, wrt):
    root.zero_grad()
    root.backward()
    return wrt.grad
