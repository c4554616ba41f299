"""A change to anything that a traced function read counts: the next call traces anew."""

import copy
import pickle
import types
from collections import Counter

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import MLP, Value

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(300, 2)), rng.normal(size=300)
FEW, MANY = 3, 300  # examples: run by the shortcut in C, and by the array program


def of_engine(cost, m):
    return sum(cost(x, y).data for x, y in zip(X[:m].tolist(), Y[:m].tolist())) / m


A_GLOBAL, A_NETWORK = 2.0, None
config = types.ModuleType("config")
config.rate = 0.5


def a_closures_number():
    c, net = 2.0, MLP(2, [3, 1], "tanh", "linear", seed=0)

    def change():
        nonlocal c
        c = 3.0

    return lambda x, y: c * ts.squared_error(net(x), y), net, change


def a_closures_value():
    c, net = Value(2.0), MLP(2, [3, 1], "tanh", "linear", seed=0)

    def change():
        nonlocal c
        c = Value(3.0)

    return lambda x, y: c * ts.squared_error(net(x), y), net, change


def a_closures_list():
    c, net = [2.0], MLP(2, [3, 1], "tanh", "linear", seed=0)

    def change():
        nonlocal c
        c = [3.0]

    return lambda x, y: c[0] * ts.squared_error(net(x), y), net, change


def a_global_number():
    net = MLP(2, [3, 1], "tanh", "linear", seed=0)

    def change():
        global A_GLOBAL
        A_GLOBAL += 1.0

    return lambda x, y: A_GLOBAL * ts.squared_error(net(x), y), net, change


def a_modules_number():
    net = MLP(2, [3, 1], "tanh", "linear", seed=0)
    return lambda x, y: config.rate * ts.squared_error(net(x), y), net, lambda: setattr(config, "rate", config.rate + 1)


def another_network_for_a_global():
    global A_NETWORK
    used, other = MLP(2, [3, 1], "tanh", "linear", seed=1), MLP(2, [3, 1], "tanh", "linear", seed=7)
    A_NETWORK = used

    def change():
        global A_NETWORK
        A_NETWORK = other

    return lambda x, y: ts.squared_error(A_NETWORK(x), y), used, change


def a_value_in_rows():
    W = [[Value(0.1), Value(0.2)], [Value(-0.3), Value(0.4)]]
    model = types.SimpleNamespace(parameters=lambda: [w for row in W for w in row])

    def cost(x, y):
        return sum(ts.tanh(sum(w * x_k for w, x_k in zip(row, x))) for row in W) - y

    return cost, model, lambda: W[1].__setitem__(0, Value(5.0))


def a_dicts_number():
    settings, net = {"rate": 2.0, "depth": 3}, MLP(2, [3, 1], "tanh", "linear", seed=0)
    return lambda x, y: settings["rate"] * ts.squared_error(net(x), y), net, lambda: settings.update(rate=3.0)


def a_default():
    net = MLP(2, [3, 1], "tanh", "linear", seed=0)

    def cost(x, y, *, rate=2.0):
        return rate * ts.squared_error(net(x), y)

    return cost, net, lambda: cost.__kwdefaults__.update(rate=3.0)


class Slotted:
    __slots__ = ("rate",)


def a_slots_number():
    slotted, net = Slotted(), MLP(2, [3, 1], "tanh", "linear", seed=0)
    slotted.rate = 2.0
    return lambda x, y: slotted.rate * ts.squared_error(net(x), y), net, lambda: setattr(slotted, "rate", 3.0)


class Model:
    shared = 1.5

    def __init__(self, activation=ts.tanh):
        self.w, self.b = [Value(0.4), Value(-0.3)], Value(0.1)
        self.rate, self.mode = 0.5, "linear"
        self.named = {"w": Value(0.7)}
        self.activation = activation

    def parameters(self):
        return [*self.w, self.b]

    def cost(self, x, y):
        z = self.w[0] * x[0] + self.w[1] * x[1] + self.b * self.named["w"]
        a = self.activation(z) if self.mode == "curved" else z
        return self.rate * self.shared * self.factor() * (a - y) ** 2

    def factor(self):
        return 1.0


def a_closures_function():
    activation, net = ts.tanh, MLP(2, [3, 1], "tanh", "linear", seed=0)

    def change():
        nonlocal activation
        activation = ts.relu

    return lambda x, y: activation(ts.squared_error(net(x), y)), net, change


def a_derived_classes_number():
    class Derived(Model):
        pass

    model = Derived()
    return model.cost, model, lambda: setattr(Derived, "shared", 7.0)


def of_container(container, read, change):
    """A cost that reads a number from a container that is changed in place."""

    def build():
        net, held = MLP(2, [3, 1], "tanh", "linear", seed=0), copy.copy(container)
        return lambda x, y: read(held) * ts.squared_error(net(x), y), net, lambda: change(held)

    return build


def of_model(change):
    def build():
        model = Model()
        return model.cost, model, lambda: change(model)

    return build


def of_curved_model(change):
    model = Model()
    model.mode = "curved"
    return model.cost, model, lambda: change(model)


def of_deep_network(change):
    net = MLP(2, [2, 2, 2, 1], "tanh", "linear", seed=0)
    net.layers[1].neurons[0].b.data = 3.0
    return lambda x, y: ts.squared_error(net(x), y), net, lambda: change(net)


def of_network(change):
    def build():
        net = MLP(2, [3, 1], "tanh", "linear", seed=0)
        return lambda x, y: ts.squared_error(net(x), y), net, lambda: change(net)

    return build


def a_weight(net):
    net.layers[0].neurons[0].w[0] = Value(7.0)


def a_copied_weight(net):
    weight = copy.copy(net.layers[0].neurons[0].w[1])
    net.layers[0].neurons[0].w[0] = weight


def a_bias(net):
    net.layers[1].neurons[0].b = Value(3.0)


def a_neuron(net):
    net.layers[0].neurons[2] = MLP(2, [1], "tanh", seed=9).layers[0].neurons[0]


def a_layer(net):
    net.layers[0] = MLP(2, [3], "tanh", seed=9).layers[0]


def an_activation(net):
    for neuron in net.layers[0].neurons:
        neuron.activation = "relu"


def another_method(model):
    factor = model.factor() + 1.0
    Model.factor = lambda self: factor


class Attributes(dict):
    __getattr__, __setattr__ = dict.__getitem__, dict.__setitem__


REPLACED = {
    "a closure's number": a_closures_number,
    "a closure's Value": a_closures_value,
    "a closure's list": a_closures_list,
    "a global number": a_global_number,
    "a module's number": a_modules_number,
    "a global network": another_network_for_a_global,
    "self.rate": of_model(lambda model: setattr(model, "rate", 2.0)),
    "a mode that is a text": of_model(lambda model: setattr(model, "mode", "curved")),
    "a class's number": of_model(lambda model: setattr(Model, "shared", Model.shared + 1.0)),
    "a number of its own instead of the class's": of_model(lambda model: setattr(model, "shared", 9.0)),
    "a Value in a list": of_model(lambda model: model.w.__setitem__(0, Value(5.0))),
    "a dict's number": a_dicts_number,
    "a default": a_default,
    "a slot's number": a_slots_number,
    "a Value in rows": a_value_in_rows,
    "a Value in a dict": of_model(lambda model: model.named.__setitem__("w", Value(5.0))),
    "a Value as an attribute": of_model(lambda model: setattr(model, "b", Value(5.0))),
    "a weight of a network": of_network(a_weight),
    "a copied weight": of_network(a_copied_weight),
    "a bias of a network": of_network(a_bias),
    "a neuron of a network": of_network(a_neuron),
    "a layer of a network": of_network(a_layer),
    "a layer that was taken out": lambda: of_deep_network(lambda net: net.layers.pop(1)),
    "the order of layers": lambda: of_deep_network(lambda net: net.layers.insert(0, net.layers.pop(1))),
    "an activation of a network": of_network(an_activation),
    "a closure's function": a_closures_function,
    "a function as an attribute": lambda: of_curved_model(lambda model: setattr(model, "activation", ts.relu)),
    "a method": of_model(another_method),
    "a derived class's number": a_derived_classes_number,
    "an entry whose key is a number": of_container({0: 2.0}, lambda d: d[0], lambda d: d.update({0: 3.0})),
    "a new entry": of_container({"a": 2.0}, lambda d: sum(d.values()), lambda d: d.update(b=3.0)),
    "an entry that went": of_container({"a": 2.0, "b": 1.0}, lambda d: sum(d.values()), lambda d: d.pop("b")),
    "an entry of a Counter": of_container(Counter("ab"), lambda d: d["a"], lambda d: d.update("a")),
    "an entry of a dict's attribute": of_container(Attributes(k=2.0), lambda d: d.k, lambda d: setattr(d, "k", 3.0)),
    "a function of a list": of_container([ts.tanh], lambda f: f[0](0.5), lambda f: f.__setitem__(0, ts.exp)),
    "something new in a list": of_container([], lambda held: 1 + len(held), lambda held: held.append(None)),
    "something new in a set": of_container({"a"}, lambda held: 1 + ("b" in held), lambda held: held.add("b")),
}


@pytest.mark.parametrize("m", [FEW, MANY])
@pytest.mark.parametrize("build", REPLACED.values(), ids=REPLACED)
def test_what_is_replaced_counts_in_the_next_call(build, m):
    cost, model, change = build()
    run = ts.vectorize(cost, model.parameters())
    for _ in range(2):  # the second takes the shortcut
        assert run(X[:m], Y[:m])[0] == pytest.approx(of_engine(cost, m), rel=1e-12)
    before = run(X[:m], Y[:m])[0]
    change()
    after = run(X[:m], Y[:m])[0]
    assert after == pytest.approx(of_engine(cost, m), rel=1e-12)
    assert after != before
    assert run.value(X[:m], Y[:m]) == run(X[:m], Y[:m])[0] == after


def test_a_pickled_program_can_be_pickled_again():
    rate, w = 2.0, Value(3.0)
    run = ts.vectorize(lambda x: rate * w * x, [w])
    run([1.0])
    again = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(run))))
    assert again([2.0])[0] == 12.0


def test_a_program_that_gave_way_to_others_is_traced_anew_too():
    rate, w = 2.0, Value(3.0)
    run = ts.vectorize(lambda x: rate * w * sum(x), [w])
    for n in [*range(1, 20), 1]:
        assert run(np.ones((2, n)))[0] == rate * 3.0 * n
    rate = 5.0
    for n in [1, *range(1, 20)]:
        assert run(np.ones((2, n)))[0] == rate * 3.0 * n


def test_several_shapes_are_all_traced_anew():
    rate, w = 1.0, Value(2.0)
    run = ts.vectorize(lambda x: rate * w * x, [w])
    table = ts.vectorize(lambda x: rate * w * (x[0] if isinstance(x, list) else x), [w])
    assert (run([1.0]), table([1.0])[0], table([[1.0, 2.0]])[0]) == ((2.0, [1.0]), 2.0, 2.0)
    rate = 3.0
    assert (run([1.0])[0], table([1.0])[0], table([[1.0, 2.0]])[0]) == (6.0, 6.0, 6.0)


class Counted:
    """A function that counts how often it runs."""

    def __init__(self, function):
        self.function, self.runs = function, [0]

    def __call__(self, *arguments):
        self.runs[0] += 1
        return self.function(*arguments)


def test_nothing_is_traced_anew_while_everything_stands_where_it_did():
    rate, net, cache, trained = 0.5, MLP(2, [3, 1], "tanh", "linear", seed=0), {}, []

    def cost(x, y):
        cache.setdefault("made", rate)
        return cache["made"] * rate * ts.squared_error(net(x), y)

    counted = Counted(cost)
    run = ts.vectorize(lambda x, y: counted(x, y), net.parameters())
    run(X, Y)
    runs = counted.runs[0]
    for step in range(20):
        rate = (step + 1) * 0.5 / (step + 1)  # another object, the same number
        net.parameters()[0].data += 0.01
        Value(1.0)
        net(X[0].tolist())  # it keeps its last activations
        trained.append(run(X, Y)[0])
        run(X[:FEW], Y[:FEW])
    assert counted.runs[0] == runs
    assert len(set(trained)) == 20


def test_a_function_that_changes_what_it_reads_is_not_traced_for_ever():
    w, state = Value(2.0), types.SimpleNamespace(last=0.0)

    def cost(x):
        state.last += 1.0
        return w * x + 0.0 * min(state.last, 0.0)

    counted = Counted(cost)
    run = ts.vectorize(lambda x: counted(x), [w])
    assert run([1.0])[0] == 2.0
    runs = counted.runs[0]
    state.last = 100.0
    assert run([1.0])[0] == 2.0
    assert counted.runs[0] == runs


def test_in_training_a_network_is_followed_too():
    class Scaled:
        def __init__(self):
            self.net, self.scale = MLP(2, [3, 1], "tanh", "linear", seed=0), 1.0

        def parameters(self):
            return self.net.parameters()

        def __call__(self, x):
            return self.net(x) * self.scale

    nets = [Scaled(), Scaled()]
    for net, vectorized in zip(nets, (True, False)):

        class Growing(ts.GradientDescent):
            def stepped(self, theta, gradient, net=net):
                net.scale += 0.1
                return super().stepped(theta, gradient)

        optimizer = Growing(net.parameters(), 0.01)
        ts.fit(net, X, Y, epochs=5, optimizer=optimizer, progress=False, vectorized=vectorized)
    assert [p.data for p in nets[0].parameters()] == pytest.approx([p.data for p in nets[1].parameters()], rel=1e-9)


def test_a_function_that_holds_a_vectorized_one_is_not_traced_anew_in_each_call():
    w = Value(2.0)
    other = ts.vectorize(lambda x: w * x, [w])

    def cost(x):
        return w * x if callable(other.value) else other(x)

    counted = Counted(cost)
    run = ts.vectorize(lambda x: counted(x), [w])
    run([1.0])
    runs = counted.runs[0]
    for x in (3.0, 4.0, 5.0):
        assert other([x])[0] == run([x])[0] == 2.0 * x
    assert counted.runs[0] == runs
