"""`save` and `load` of custom networks: what is loaded computes and learns like what was saved."""

import copy
import json
import math
import random

import numpy as np
import pytest
from support.mutants import mutants
from support.trainings import X, Y, data, fit

import tinygrad_scalar as ts
from tinygrad_scalar.nn import Module, load_with

KEY = "tinygrad_scalar_module"


def bent(z):
    return z * ts.sigmoid(z)


class Residual(Module):
    """A custom network: parts, shared parts, numbers, arrays, functions, strings."""

    def __init__(self, seed=0):
        self.first = ts.Layer(2, 3, "tanh", seed=seed)
        self.tower = {"middle": ts.MLP(3, [4, 3], bent, "linear", seed=seed), "last": ts.Layer(3, 2, "linear", seed=2)}
        self.again = self.first
        self.scale, self.pair = ts.Value(0.5, "scale"), (self.first.neurons[0].w[0], ts.Value(-0.0))
        self.mean, self.counts = np.array([[0.25, -0.5]]), np.array([1, 2])
        self.g, self.name, self.steps, self.rate, self.nothing, self.flag = bent, "π", 3, math.inf, None, True
        self.empty = []

    def parameters(self):
        parts = [self.first, *self.tower.values()]
        return [*(p for part in parts for p in part.parameters()), self.scale, self.pair[1]]

    def __call__(self, x):
        hidden = self.first([a - float(m) for a, m in zip(x, self.mean[0])])
        inner = self.tower["middle"]([self.g(a) for a in self.again(hidden[:2])])
        return self.tower["last"]([a + self.scale * b + self.pair[1] for a, b in zip(hidden, inner)])


class Plain(Module):
    def __init__(self, part=None):
        self.w, self.part = ts.Value(1.0, "w"), part

    def parameters(self):
        return [self.w]

    def __call__(self, x):
        return self.w * x


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


def outputs(net):
    return [[a.data.hex() for a in net(x)] for x in X]


def there_and_back(net, path, **known):
    ts.save(net, path)
    return ts.load(path, **known)


def test_a_network_of_ones_own_class_comes_back_with_everything_it_had(path):
    net = Residual()
    again = there_and_back(net, path, activations=[bent])
    assert type(again) is Residual
    assert outputs(again) == outputs(net)
    assert [(p.data.hex(), p.label) for p in again.parameters()] == [(p.data.hex(), p.label) for p in net.parameters()]
    assert again.again is again.first
    assert again.pair[0] is again.first.neurons[0].w[0]
    for name in ("name", "steps", "rate", "nothing", "flag", "empty", "g"):
        assert getattr(again, name) == getattr(net, name)
    assert again.counts.dtype == np.int64
    assert again.mean.tolist() == net.mean.tolist()


def test_it_learns_as_the_one_that_was_saved(path):
    net = Residual()
    fit(net, X, Y, epochs=2)
    again = there_and_back(net, path, activations=[bent])
    assert fit(again, X, Y, epochs=3, batch_size=2).cost == fit(net, X, Y, epochs=3, batch_size=2).cost
    assert data(again) == data(net)


@pytest.mark.parametrize("net", [ts.Neuron(2, "relu", seed=1), ts.Layer(2, 3, "tanh", seed=1)])
def test_layers_and_neurons_can_be_saved(net, path):
    again = there_and_back(net, path)
    assert repr(again) == repr(net)
    assert data(again) == data(net)


def test_metadata_come_back_and_the_same_network_has_the_same_bytes(path, tmp_path):
    metadata = {"classes": ["a", "b"], "scales": [[0.5, 2.0]], "nan": None}
    ts.save(Residual(), path, metadata)
    assert load_with(path, activations=[bent])[1] == metadata
    ts.save(Residual(), tmp_path / "other.safetensors", metadata)
    assert path.read_bytes() == (tmp_path / "other.safetensors").read_bytes()


def test_a_class_that_is_not_known_is_named_and_one_of_a_script_can_be_given(path):
    ts.save(Plain(), path)
    content = path.read_bytes().replace(__name__.encode(), b"m" * len(__name__))
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"uses the class 'Plain' of the module 'm+', .* load\(path, classes=\[Plain\]\)"
    ):
        ts.load(path)
    assert type(ts.load(path, classes=[Plain])) is Plain


class OwnState(Plain):
    def __getstate__(self):
        return {"w": self.w}


class Slotted(Plain):
    __slots__ = ("hidden",)


def local_class():
    class Local(Plain):
        pass

    return Local()


def with_cycle():
    net = Plain([])
    net.part.append(net.part)
    return net


REFUSED = {
    "a lambda": (lambda: Plain(lambda z: z), "<lambda>"),
    "a computed Value": (lambda: Plain(ts.Value(1.0) * 2), r"Plain.part is computed"),
    "a generator": (lambda: Plain(random.Random()), "Plain.part is .*which a file cannot hold"),
    "a set": (lambda: Plain([1, {2}]), r"Plain.part\[1\] is "),
    "numbers as keys": (lambda: Plain({1: 2}), "Plain.part is "),
    "float32": (lambda: Plain(np.zeros(2, np.float32)), "Plain.part is "),
    "a local class": (local_class, "class local_class.<locals>.Local is not at the top level"),
    "its own __getstate__": (OwnState, "has its own __getstate__"),
    "slots": (Slotted, "has __slots__"),
    "a list in itself": (with_cycle, "recursion"),
    "a label of two lines": (lambda: Plain(ts.Value(1.0, "a\nb")), "two lines"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_what_could_not_be_loaded_is_not_saved(make, message, path):
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match=f"^cannot save this .*{message}"):
        ts.save(make(), path)
    assert path.read_bytes() == b"old"


def test_a_network_in_a_cycle_comes_back_as_one(path):
    net = Plain()
    net.part = [net]
    again = there_and_back(net, path)
    assert again.part[0] is again


# --- hostile files ---------------------------------------------------------------------------------------------------

POOL = [
    None, True, 0, 1, -1, 10**30, 1.5, math.nan, "", "x", "os:system", "F8_E4M3", [], [[]], [0, 2], [0, 10**9], {},
    {"a": 1}, {"value": 0}, {"values": [0, 2]}, {"array": "array 0"}, {"again": 0}, {"function": "os:system"},
    {"tuple": 1}, {"object": "os:system", "state": {}}, {"object": f"{Module.__module__}:Neuron", "state": {}},
]  # fmt: skip


def test_any_other_description_is_refused_or_makes_a_module(path, thorough):
    net = Plain([ts.Layer(2, 1, "tanh", seed=0), np.zeros(2), (1,), {"a": bent}])
    ts.save(net, path)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header, arrays = json.loads(content[8 : 8 + length]), content[8 + length :]
    found = list(mutants(json.loads(header["__metadata__"][KEY]), POOL, "another name"))
    for mutant in found if thorough else random.Random(0).sample(found, 300):
        text = json.dumps({**header, "__metadata__": {KEY: json.dumps(mutant)}}).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + arrays)
        try:
            again = ts.load(path, activations=[bent])
        except ValueError as error:
            assert "\n" not in str(error)
        else:
            assert isinstance(again, Module)
    for end in range(0, len(content), 7):
        path.write_bytes(content[:end])
        with pytest.raises(ValueError, match="is not a network"):
            ts.load(path)


@pytest.mark.parametrize("attribute", ["parameters", "__call__", "__class__", "__dict__", "predict", "n_inputs"])
def test_a_file_sets_no_method_of_a_class(attribute, path):
    net = ts.Layer(2, 1, seed=0) if attribute != "n_inputs" else Plain(ts.MLP(1, [1], seed=0))
    ts.save(net, path)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    description = json.loads(header["__metadata__"][KEY])
    place = description["net"] if attribute != "n_inputs" else description["net"]["state"]["part"]
    place["state"][attribute] = 1
    text = json.dumps({**header, "__metadata__": {KEY: json.dumps(description)}}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    with pytest.raises(ValueError, match=f"sets '{attribute}'"):
        ts.load(path)


def test_many_uses_of_one_list_of_values_do_not_make_a_large_network(path):
    ts.save(Plain([ts.Value(1.0) for _ in range(1000)]), path)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    description = json.loads(header["__metadata__"][KEY])
    part = description["net"]["state"]["part"]
    description["net"]["state"]["part"] = [copy.copy(part) for _ in range(1000)]
    text = json.dumps({**header, "__metadata__": {KEY: json.dumps(description)}}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    with pytest.raises(ValueError, match="are not the next ones"):
        ts.load(path)
