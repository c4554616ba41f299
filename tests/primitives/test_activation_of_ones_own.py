"""A function as the activation of a network: computed, trained, vectorized, saved and loaded without running code."""

import copy
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from support.own_operations import angle, swish

import tinygrad_scalar as ts

RNG = np.random.default_rng(0)
X, Y = RNG.uniform(-1.0, 1.0, (20, 2)), RNG.uniform(-1.0, 1.0, (20, 1))


def composed(z):
    return z * ts.sigmoid(z)


def network(activation, **options):
    return ts.MLP(2, [3, 1], activation, **{"output_activation": "linear", "seed": 0} | options)


@pytest.mark.parametrize("activation", [swish, composed, lambda z: z * z.sigmoid()], ids=["primitive", "def", "lambda"])
def test_a_function_is_trained_as_the_engine_has_it(activation):
    nets = [network(activation) for _ in range(2)]
    costs = [
        ts.fit(net, X, Y, epochs=4, progress=False, vectorized=vectorized).cost
        for net, vectorized in zip(nets, (True, False))
    ]
    np.testing.assert_allclose(*costs, rtol=1e-12)
    assert costs[0][-1] < costs[0][0]
    nets[0](X[0])
    z = nets[0].z[1][0]
    assert nets[0].a[1][0].data == pytest.approx(z.data * ts.sigmoid(z.data), rel=1e-15)
    assert nets[0].a[1][0].label == "a(1)[0]"


def test_networks_print_the_functions_name():
    assert repr(network(swish)) == "MLP(2, [3, 1], swish, output_activation='linear')"
    assert repr(ts.Layer(2, 3, swish)) == "Layer(2, 3, swish)" and repr(ts.Neuron(2, composed)) == "Neuron(2, composed)"
    assert repr(ts.MLP(2, [1], ts.nn.Activation(swish))) == "MLP(2, [1], swish)"


@pytest.mark.parametrize("name", ["tanh", "relu", "sigmoid", "softplus", "leaky_relu"])
def test_a_function_of_the_table_is_the_table_s(name):
    for function in (getattr(ts, name), getattr(ts.Value, name), ts.nn.ACTIVATIONS[name]):
        net = ts.MLP(2, [3, 1], function, seed=0)
        assert net.activation == net.layers[0].neurons[0].activation == net.output_activation == name
        assert net([1.0, 2.0]).data == ts.MLP(2, [3, 1], name, seed=0)([1.0, 2.0]).data


@pytest.mark.parametrize("given", ["swish", 3.0, ["relu"], angle], ids=["unknown", "number", "list", "two operands"])
def test_what_cannot_be_an_activation_is_a_value_error(given):
    for make in (lambda: ts.MLP(2, [1], given), lambda: ts.Layer(2, 1, given), lambda: ts.Neuron(2, given)):
        with pytest.raises(ValueError, match="activation must"):
            make()
    with pytest.raises(ValueError, match="activation must"):
        ts.MLP(2, [1], output_activation=given)


def test_a_function_that_loses_the_value_is_a_type_error():
    with pytest.raises(TypeError, match=r"^the activation .*<lambda> must return a Value, got 1\.0 \(float\)$"):
        network(lambda z: 1.0)([0.5, 0.5])


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


@pytest.mark.parametrize("options", [{}, {"output_activation": swish}, {"output_activation": None}], ids=str)
def test_a_network_with_a_primitive_is_saved_and_loaded(path, options):
    net = network(swish, **options)
    ts.save(net, path)
    again = ts.load(path)
    assert again.activation is swish and again.output_activation == net.output_activation and repr(again) == repr(net)
    assert again([0.5, -1.0]).data == net([0.5, -1.0]).data


def test_a_plain_function_is_loaded_if_it_is_given(path):
    net = network(composed)
    ts.save(net, path)
    with pytest.raises(
        ValueError, match=r"uses the activation 'composed' of the module .*load\(path, activations=\[comp"
    ):
        ts.load(path)
    again, _ = ts.nn.load_with(path, activations=[swish, composed])
    assert again.activation is composed and again([0.5, -1.0]).data == net([0.5, -1.0]).data


def test_a_function_of_tinygrad_scalar_is_loaded_as_it_is(path):
    ts.save(network(ts.sin), path)
    assert ts.load(path).activation is ts.sin


def test_a_function_of_a_script_is_known_by_its_name_in_another(path):
    ts.save(network(swish), path)
    code = (
        "import tinygrad_scalar as ts\ndef swish(z): return z * ts.sigmoid(z)\n"
        f"try: ts.load({str(path)!r})\nexcept ValueError: print(ts.load({str(path)!r}, activations=[swish]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == repr(network(swish)), done.stderr


@pytest.mark.parametrize("local", [True, False])
def test_what_no_process_could_import_is_not_saved(path, local):
    def inner(z):
        return z.tanh()

    with pytest.raises(
        ValueError, match=r"^cannot save this MLP: its activation .* is not at the top level of a module"
    ):
        ts.save(network(inner if local else lambda z: z.tanh()), path)
    assert not path.exists()


@pytest.mark.parametrize(
    "place", ["os:abort", "builtins:exec", "antigravity:x", "sys:exit", "a:", ":a", ":", "x:y:z", "o.s:a\n"]
)
def test_a_file_runs_and_imports_nothing(path, place):
    ts.save(network(swish), path)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    about = json.loads(header["__metadata__"]["tinygrad_scalar"])
    about["network"]["activation"] = place
    header["__metadata__"]["tinygrad_scalar"] = json.dumps(about)
    changed = json.dumps(header).encode()
    changed += b" " * (-len(changed) % 8)
    path.write_bytes(len(changed).to_bytes(8, "little") + changed + content[8 + length :])
    before = set(sys.modules)
    with pytest.raises(ValueError, match="which this process does not know") as caught:
        ts.load(path)
    assert "\n" not in str(caught.value) and set(sys.modules) == before


@pytest.mark.parametrize("given", [swish, "swish", [None], 3])
def test_activations_must_be_a_list_of_functions(path, given):
    ts.save(network(swish), path)
    with pytest.raises(TypeError, match=r"^activations must be a list of functions, got "):
        ts.load(path, activations=given)


def test_networks_with_functions_are_copied_and_pickled():
    for net in (copy.deepcopy(network(swish)), pickle.loads(pickle.dumps(network(swish)))):
        assert net.activation is swish and net([0.5, -1.0]).data == network(swish)([0.5, -1.0]).data
