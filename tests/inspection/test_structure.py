"""`structure_of`: the layers, neurons, sums and named groups of a graph."""

from collections import Counter

import pytest
from hypothesis import given, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.inspection.names import names_of, topological_order
from tinygrad_scalar.inspection.structure import structure_of


def structure(root, variables=(), parameters=()):
    nodes = topological_order(root)
    return structure_of(nodes, names_of(nodes, dict(variables)), parameters)


def network(sizes=(3, 4, 2), **options):
    n, *layers = sizes
    net = ts.MLP(n, layers, seed=0, **options)
    return ts.squared_error(net([0.1 * k for k in range(n)]), [0.5] * sizes[-1] if sizes[-1] > 1 else 0.5)


def all_parts(found):
    todo = [*found.parts]
    for part in todo:
        todo += part.parts
    return todo


def of_kind(found, kind):
    return [part for part in all_parts(found) if part.kind == kind]


def test_a_network_has_its_layers_with_the_notes_names_and_shapes():
    layers = structure(network((3, 4, 2))).parts
    assert [(part.kind, part.name, part.shape) for part in layers] == [
        ("layer", "layer 1", (4, 3)),
        ("layer", "layer 2", (2, 4)),
    ]
    assert [part.name for part in layers[0].parts] == ["a⁽¹⁾₀", "a⁽¹⁾₁", "a⁽¹⁾₂", "a⁽¹⁾₃"]
    assert {(part.kind, part.shape) for part in layers[1].parts} == {("neuron", (4,))}
    assert [part.name for neuron in layers[1].parts for part in neuron.parts] == ["z⁽²⁾₀", "z⁽²⁾₁"]
    assert [part.shape for neuron in layers[1].parts for part in neuron.parts] == [(5,), (5,)]


def test_what_goes_into_a_layer_are_its_inputs_and_what_comes_out_its_activations():
    found = structure(network((3, 4, 2)))
    first, second = found.parts
    assert [found.nodes[i].label for i in first.inputs] == ["a(0)[0]", "a(0)[1]", "a(0)[2]"]
    assert [found.nodes[i].label for i in first.outputs] == [f"a(1)[{j}]" for j in range(4)]
    assert second.inputs == first.outputs
    assert [found.nodes[i].label for i in second.outputs] == ["a(2)[0]", "a(2)[1]"]
    neuron = second.parts[1]
    assert (neuron.inputs, neuron.outputs) == (first.outputs, [second.outputs[1]])


@pytest.mark.parametrize("activation", ["sigmoid", "leaky_relu", "linear", "gelu"])
def test_a_neuron_is_its_weights_products_sum_and_activation(activation):
    net = ts.MLP(3, [1], activation, seed=0)
    (layer,) = structure((net([1.0, 2.0, 3.0]) - 1) ** 2).parts
    (neuron,) = layer.parts
    n_sums, n_activations = 3, activation != "linear"
    assert neuron.size == 3 + 1 + 3 + n_sums + n_activations
    assert neuron.name == ("z⁽¹⁾₀" if activation == "linear" else "a⁽¹⁾₀")


def neuron_of_dot():
    w, x, b = [Value(0.1 * k, f"w[{k}]") for k in range(3)], [Value(1.0, f"x[{k}]") for k in range(3)], Value(0.0, "b")
    return (ts.dot(w, x) + b).tanh()


def neuron_of_sum():
    w, x, b = [Value(0.1 * k, f"w[{k}]") for k in range(3)], [Value(1.0, f"x[{k}]") for k in range(3)], Value(0.0, "b")
    return (ts.sum([p * q for p, q in zip(x, w)]) + b).tanh()


def neuron_by_variables():
    w, x = [Value(1.0) for _ in range(3)], [Value(1.0) for _ in range(3)]
    return sum((p * q for p, q in zip(w, x)), Value(0.0, "b")).relu()


@pytest.mark.parametrize("build", [neuron_of_dot, neuron_of_sum])
def test_neurons_made_of_list_operations_are_neurons(build):
    (neuron,) = structure(build()).parts
    assert (neuron.kind, neuron.shape) == ("neuron", (3,))


def test_weights_can_be_named_by_variables_or_given_as_parameters():
    w, x = [Value(1.0) for _ in range(3)], [Value(1.0) for _ in range(3)]
    root = sum((p * q for p, q in zip(w, x)), Value(0.0, "b")).relu()
    assert [part.kind for part in structure(root).parts] == ["sum"]
    for found in (structure(root, {"w": w, "x": x}), structure(root, {}, {*w})):
        assert [part.kind for part in found.parts] == ["neuron"]


def test_layers_of_the_same_inputs_are_told_apart_by_their_weights():
    x = [Value(0.5, f"x[{k}]") for k in range(2)]
    weights = {letter: [[Value(0.1, f"w{letter}[{j},{k}]") for k in range(2)] for j in range(3)] for letter in "qk"}
    q, k = ([ts.dot(row, x) for row in weights[letter]] for letter in "qk")
    layers = structure(ts.dot(q, k)).parts
    assert [(part.kind, part.name, part.shape) for part in layers] == [
        ("layer", "layer q", (3, 2)),
        ("layer", "layer k", (3, 2)),
    ]


XS = [[0.0, 1.0], [1.0, 0.0]]


def test_the_same_layer_on_several_examples_is_numbered_by_example():
    net = ts.MLP(2, [2, 1], seed=0)
    C = ts.cost(ts.squared_error, [net(x) for x in XS], [0, 1])
    assert sorted(part.name for part in structure(C).parts if part.kind == "layer") == [
        "layer 1⟨0⟩", "layer 1⟨1⟩", "layer 2⟨0⟩", "layer 2⟨1⟩",
    ]  # fmt: skip


def test_weights_of_several_examples_belong_to_no_layer():
    net = ts.MLP(2, [2, 1], seed=0)
    found = structure(ts.cost(ts.squared_error, [net(x) for x in XS], [0, 1]))
    homes = dict(zip(found.nodes, found.home))
    assert {homes[weight] for weight in net.parameters()} == {None}


SUMS = {
    "a staircase": (lambda x: x[0] + x[1] + x[2] + x[3], 4),
    "a tree": (lambda x: (x[0] + x[1]) + (x[2] + x[3]), 4),
    "a sum in a sum": (lambda x: ts.sum([x[0], x[1] + x[2], x[3]]), 4),
    "of two": (lambda x: x[0] + x[1], None),
    "a partial sum that is used": (lambda x: (t := x[0] + x[1]) + x[2] + t, 3),
}


@pytest.mark.parametrize(("build", "terms"), SUMS.values(), ids=SUMS)
def test_a_long_sum_whose_partial_sums_nothing_else_uses_is_one_part(build, terms):
    found = structure(build([Value(float(k), f"x[{k}]") for k in range(4)]).exp())
    assert [(part.kind, part.shape) for part in found.parts] == ([("sum", (terms,))] if terms else [])


def test_a_named_partial_sum_keeps_to_itself():
    x = [Value(float(k), f"x[{k}]") for k in range(4)]
    part = x[0] + x[1]
    part.label = "part"
    assert [p.shape for p in structure(part + x[2] + x[3]).parts] == [(3,)]


def test_named_groups_nest_and_hold_what_was_made_in_them():
    x, w = [Value(1.0, f"x[{k}]") for k in range(3)], [Value(1.0, f"w[{k}]") for k in range(3)]
    with ts.group("block"):
        with ts.group("scores"):
            s = ts.dot(w, x)
        e = s.exp()
    found = structure(e * 2)
    (block,) = found.parts
    (scores,) = block.parts
    assert [(p.kind, p.name) for p in (block, scores, *scores.parts)] == [
        ("named", "block"), ("named", "scores"), ("neuron", "neuron"),
    ]  # fmt: skip
    assert [found.nodes[i] for i in block.inputs] == x
    assert [found.nodes[i] for i in block.outputs] == [e]
    assert block.size == 5
    assert block.shape == (1, 3)


def test_a_block_that_runs_twice_is_two_parts():
    @ts.group("square")
    def square(x):
        return x * x

    root = square(square(Value(2.0, "x")))
    assert [part.name for part in structure(root).parts] == ["square⟨0⟩", "square⟨1⟩"]


def test_a_sum_does_not_reach_over_the_border_of_a_group():
    x = [Value(1.0, f"x[{k}]") for k in range(6)]
    with ts.group("g"):
        inner = x[0] + x[1] + x[2]
    found = structure(inner + x[3] + x[4] + x[5])
    assert [(part.kind, part.shape) for part in all_parts(found)] == [
        ("named", (1, 3)), ("sum", (4,)), ("sum", (3,)),
    ]  # fmt: skip


def graphs():
    """Graphs of networks, sums and groups: what is built is drawn from the numbers."""

    def build(numbers):
        values = [Value(0.1 * k, name) for k, name in enumerate(["x", "y", "w[0]", "w[1]", "b", ""])]
        for a, b, op in numbers:
            x, y = values[a % len(values)], values[b % len(values)]
            if op == 4:
                with ts.group("g"):
                    values.append((x * y).tanh() + x + y)
            else:
                values.append([x + y, x * y, x.sigmoid(), ts.sum([x, y, x])][op])
        return sum(values[6:], values[0])

    return st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 4)), max_size=25).map(build)


@given(graphs())
def test_parts_are_disjoint_and_say_truly_what_goes_in_and_out(root):
    found = structure(root)
    parts = all_parts(found)
    own = Counter(i for part in parts for i in part.own)
    assert own == {i: 1 for i, part in enumerate(found.home) if part}
    for part in parts:
        members = set(part.members)
        assert len(members) == part.size
        assert all(found.home[i] is part for i in part.own)
        assert all(inner.inside is part for inner in part.parts)
        used = {o for i in members for o in found.operands[i]} - members
        assert set(part.inputs) == used
        outside = {o for i, operands in enumerate(found.operands) if i not in members for o in operands}
        assert set(part.outputs) == members & (outside | {len(found.nodes) - 1})


def test_the_graph_stays_as_it_is():
    root = network()
    before = [(n.label, n.data, n.op) for n in topological_order(root)]
    structure(root)
    assert [(n.label, n.data, n.op) for n in topological_order(root)] == before
