"""Functions of one example that differentiate: cases for vectorize_cases.py."""

import tinygrad_scalar as ts


def penalty_on_the_gradient_by_the_inputs(d):
    net = ts.MLP(2, [4, 3, 1], "tanh", "sigmoid", seed=0)

    def cost(x, y):
        a = net(x)
        loss = ts.binary_cross_entropy(a, y)
        return loss + 0.1 * sum(slope**2 for slope in ts.gradient(loss, x)) + ts.gradient(a, x[0])

    return cost, net.parameters(), [d.normal(6, 2), d.classes(2, 6)]


def penalty_on_the_gradient_by_the_parameters(d):
    net = ts.MLP(2, [3, 2, 1], "sigmoid", "linear", seed=0)

    def cost(x, y):
        loss = ts.logaddexp(net(x) * y, 0.3)
        return loss + 0.1 * sum(slope**2 for slope in ts.gradient(loss, net.parameters()))

    return cost, net.parameters(), [d.normal(6, 2), d.normal(6)]


def curvature_of_arcs_and_copies(d):
    w, b = d.values(2)
    arcs = lambda x: ts.asin(0.3 * ts.tanh(w * x)) + ts.atan(b * x) * ts.maximum(x, w) + abs(x - b)  # noqa: E731
    return lambda x: ts.grad(ts.grad(arcs))(x) ** 2 + ts.jvp(arcs, (x,), (w,))[1], [w, b], [d.normal(5)]


CASES = {
    make.__name__: make
    for make in (
        penalty_on_the_gradient_by_the_inputs,
        penalty_on_the_gradient_by_the_parameters,
        curvature_of_arcs_and_copies,
    )
}
