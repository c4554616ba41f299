"""The file of a network: a damaged or hostile one is one ValueError, and what `save` accepts, `load` gives back."""

import copy
import json
import math
import os
import re
import reprlib
import sys

import numpy as np
import pytest
from hypothesis import given, strategies as st
from support.mutants import mutants

import tinygrad_scalar as ts
from tinygrad_scalar.nn.saving import load_with, save

NET = ts.MLP(2, [2, 1], "tanh", "linear", seed=0)
REFUSAL = r"net\.safetensors is not a network that tinygrad_scalar saved: \S.*"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("networks") / "net.safetensors"


def written(path, metadata=None):
    save(NET, path, {"epochs": 3, "nested": {"names": ["a"]}} if metadata is None else metadata)
    return path.read_bytes()


def parts(content):
    """The header, the text in it that describes the network, and the bytes of the arrays."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    return header, json.loads(header["__metadata__"]["tinygrad_scalar"]), content[8 + length :]


def packed(header, data):
    """The bytes of a file; `header` is a dict or the text itself."""
    text = (header if isinstance(header, str) else json.dumps(header)).encode(errors="surrogatepass")
    return len(text).to_bytes(8, "little") + text + data


def described(header, description):
    """The header with another description of the network, a dict or the text itself."""
    text = description if isinstance(description, str) else json.dumps(description)
    return {**header, "__metadata__": {"tinygrad_scalar": text}}


def same(net, other):
    return repr(net) == repr(other) and [p.data.hex() for p in net.parameters()] == [
        p.data.hex() for p in other.parameters()
    ]


def loaded_or_refused(path, content):
    """The network and metadata in `content`, or None after a ValueError of one line that names the file."""
    path.write_bytes(content)
    try:
        return load_with(path)
    except ValueError as error:
        assert type(error) is ValueError
        assert "is not a network that tinygrad_scalar saved: " in str(error)
        assert "\n" not in str(error)
        assert len(str(error)) < 1000
        return None


def refused(path, content):
    return loaded_or_refused(path, content) is None


# --- damage ----------------------------------------------------------------------------------------------------------


def test_a_file_cut_off_at_any_byte_or_with_more_at_its_end_is_refused(path):
    content = written(path)
    assert loaded_or_refused(path, content) is not None
    assert all(refused(path, content[:n]) for n in range(len(content)))
    assert refused(path, content + b"\0")


def test_a_file_with_any_bit_flipped_is_refused_or_holds_a_network_that_can_be_saved(path, thorough):
    content = written(path)
    for i in range(0, 8 * len(content), 1 if thorough else 11):  # 11, so that it is each bit of some byte
        flipped = bytearray(content)
        flipped[i // 8] ^= 1 << i % 8
        found = loaded_or_refused(path, bytes(flipped))
        if found is not None:
            save(found[0], path, found[1])
            assert same(load_with(path)[0], found[0])


@given(st.binary(max_size=200), st.integers(0, 300))
def test_bytes_at_random_are_refused(path, content, length):
    assert refused(path, content)
    assert refused(path, length.to_bytes(8, "little") + content)


# --- other contents --------------------------------------------------------------------------------------------------

# what stands in a header instead of what belongs there
POOL = [
    None, True, False, 0, 1, 2, -1, 10**30, -(10**400), 1.0, 1.5, -0.0, math.nan, math.inf, -math.inf, "", "x", "tanh",
    "F32", "\ud800", "nul\0", "a" * 1000, [], [[]], [1], [2, 2], [0, 16], [None], [1.0, 2.0], {}, {"a": 1}, [{}],
]  # fmt: skip


def test_a_header_with_anything_else_in_it_is_refused(path):
    header, _, data = parts(written(path))
    tried = 0
    for mutant in mutants(header, POOL, "another name"):
        tried += 1
        if mutant != header or repr(mutant) != repr(header):
            assert refused(path, packed(mutant, data)), mutant
    assert tried > 700


def test_a_description_with_anything_else_in_it_is_refused_unless_it_is_another_activation_or_metadata(path):
    header, description, data = parts(written(path))
    for mutant in mutants(description, POOL, "another name"):
        found = loaded_or_refused(path, packed(described(header, mutant), data))
        if found is None:
            assert repr(mutant) != repr(description)
        else:
            net, metadata = found
            network = {
                **description["network"],
                "activation": net.activation,
                "output_activation": net.output_activation,
            }
            assert repr(mutant) == repr({"format": 1, "network": network, "metadata": metadata})
            assert [p.data for p in net.parameters()] == [p.data for p in NET.parameters()]


@given(st.recursive(st.sampled_from(POOL), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_json_for_a_header_or_a_description_is_refused(path, anything):
    header, _, data = parts(written(path))
    assert refused(path, packed(json.dumps(anything), data))
    assert refused(path, packed(described(header, json.dumps(anything)), data))


DEEP = 100_000
HEADER = '{"__metadata__": {"tinygrad_scalar": %s}, "b(1)": %s}'
ARRAY = '{"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}'
HEADERS = {
    "deep lists": "[" * DEEP + "]" * DEEP,
    "deep dicts": '{"a":' * DEEP + "1" + "}" * DEEP,
    "a deep description": HEADER % (json.dumps("[" * DEEP + "]" * DEEP), ARRAY),
    "deep metadata": HEADER
    % (json.dumps('{"format":1,"network":{},"metadata":' + "[" * DEEP + "]" * DEEP + "}"), ARRAY),
    "a deep shape": HEADER % ('"{}"', '{"dtype":"F64","shape":' + "[" * DEEP + "]" * DEEP + ',"data_offsets":[0,16]}'),
    "a number of many digits": HEADER % ('"{}"', "1" * DEEP),
    "two keys that are the same": HEADER % ('"{}", "tinygrad_scalar": "{}"', ARRAY),
    "nothing": "",
    "spaces": "   ",
    "a byte order mark": "\ufeff{}",
    "no JSON": "{'a': 1}",
    "half a surrogate": "\ud800",
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_hostile_header_is_refused(header, path):
    assert refused(path, packed(header, bytes(72)))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1", "utf-8-sig"])
def test_a_header_in_another_encoding_is_refused(encoding, path):
    header, _, data = parts(written(path, {"é": "ü"}))
    text = json.dumps({**header, "é": 1}, ensure_ascii=False).encode(encoding)
    assert refused(path, len(text).to_bytes(8, "little") + text + data)


@pytest.mark.parametrize(
    "dtype", ["F8_E4M3", "F8_E5M2", "BF16", "F16", "F32", "I64", "U64", "BOOL", "C64", "f64", "F4"]
)
def test_arrays_of_another_type_are_refused(dtype, path):
    header, _, data = parts(written(path))
    header["w(1)"]["dtype"] = dtype
    assert refused(path, packed(header, data))


# where the arrays of NET lie: b(1) 16 bytes, b(2) 8, w(1) 32, w(2) 16
OFFSETS = {
    "overlapping": {"b(1)": [0, 16], "b(2)": [8, 16], "w(1)": [16, 48], "w(2)": [48, 64]},
    "with a gap": {"b(1)": [0, 16], "b(2)": [16, 24], "w(1)": [32, 64], "w(2)": [64, 80]},
    "all at the beginning": {"b(1)": [0, 16], "b(2)": [0, 8], "w(1)": [0, 32], "w(2)": [0, 16]},
    "before the beginning": {"b(1)": [-16, 0], "b(2)": [0, 8], "w(1)": [8, 40], "w(2)": [40, 56]},
    "beyond the end": {"b(1)": [0, 16], "b(2)": [16, 24], "w(1)": [24, 56], "w(2)": [2**62, 2**62 + 16]},
    "backwards": {"b(1)": [16, 0], "b(2)": [16, 24], "w(1)": [24, 56], "w(2)": [56, 72]},
    "too wide": {"b(1)": [0, 16], "b(2)": [16, 24], "w(1)": [24, 64], "w(2)": [64, 80]},
    "past the end": {"b(1)": [8, 24], "b(2)": [24, 32], "w(1)": [32, 64], "w(2)": [64, 80]},
}


@pytest.mark.parametrize("offsets", OFFSETS.values(), ids=OFFSETS)
def test_arrays_that_do_not_lie_end_to_end_are_refused(offsets, path):
    header, _, data = parts(written(path))
    for name, place in offsets.items():
        header[name]["data_offsets"] = place
    assert refused(path, packed(header, data))


def test_the_order_of_the_arrays_in_the_file_does_not_matter(path):
    header, _, data = parts(written(path))
    names, at, moved = ["w(2)", "b(1)", "w(1)", "b(2)"], 0, b""
    for name in names:
        begin, end = header[name]["data_offsets"]
        moved += data[begin:end]
        header[name]["data_offsets"] = [at, at := at + end - begin]
    found = loaded_or_refused(path, packed(header, moved))
    assert same(found[0], NET)


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 100_000_001, 10**9])
def test_a_length_beyond_the_file_is_refused_without_reading_so_much(length, path):
    content = written(path)
    assert refused(path, length.to_bytes(8, "little") + content[8:])


def test_a_description_that_claims_a_huge_network_is_refused_before_one_is_built(path, monkeypatch):
    header, description, data = parts(written(path))
    monkeypatch.setattr("tinygrad_scalar.nn.saving.MLP", lambda **network: pytest.fail("built"))
    for sizes in ([3_000_000], [2, 10**12], [10**100], [1] * 1000):
        description["network"]["layer_sizes"] = sizes
        assert refused(path, packed(described(header, description), data))


def test_a_pipe_and_a_device_are_refused_before_they_are_read(tmp_path):
    if sys.platform == "win32":
        pytest.skip("no such files")
    os.mkfifo(tmp_path / "pipe")
    for name in (tmp_path / "pipe", "/dev/zero", "/dev/null"):
        with pytest.raises(ValueError, match="is a pipe or a device"):
            ts.load(name)


# --- what save takes -------------------------------------------------------------------------------------------------


def extra_neuron(net):
    net.layers[0].neurons.append(ts.Neuron(2, "tanh"))


def stranger(net):
    class Square:
        neurons = ()

    net.layers.insert(1, Square())


def subclassed_layer(net):
    class Residual(ts.Layer):
        def z_and_a(self, x):
            z, a = super().z_and_a(x)
            return z, [a_j + x_j for a_j, x_j in zip(a, x)]

    net.layers[0] = Residual(2, 2, "tanh")


def own_call(net):
    class Scaled(ts.MLP):
        def __call__(self, x):
            return 2 * super().__call__(x)

    net.__class__ = Scaled


CHANGES = {
    "a neuron fewer": lambda net: net.layers[0].neurons.pop(),
    "a neuron more": extra_neuron,
    "no neurons": lambda net: net.layers[1].neurons.clear(),
    "no layers": lambda net: net.layers.clear(),
    "a layer twice": lambda net: net.layers.insert(0, net.layers[0]),
    "another layer": lambda net: net.layers.insert(1, ts.Layer(2, 3, "tanh")),
    "a layer of another kind": stranger,
    "a layer with its own formula": subclassed_layer,
    "a network with its own formula": own_call,
    "a formula set on a neuron": lambda net: setattr(net.layers[0].neurons[0], "z_and_a", ts.Neuron(2, "tanh").z_and_a),
    "a formula set on the network": lambda net: setattr(net, "parameters", list),
    "a weight fewer": lambda net: net.layers[0].neurons[1].w.pop(),
    "a weight more in all": lambda net: [neuron.w.append(ts.Value(1.0)) for neuron in net.layers[1].neurons],
    "no weights": lambda net: [neuron.w.clear() for neuron in net.layers[0].neurons],
    "a number for a weight": lambda net: net.layers[0].neurons[1].w.__setitem__(0, 0.5),
    "no bias": lambda net: setattr(net.layers[0].neurons[1], "b", None),
    "a number for a bias": lambda net: setattr(net.layers[1].neurons[0], "b", 1.0),
    "a computed bias": lambda net: setattr(net.layers[1].neurons[0], "b", net.layers[1].neurons[0].b * 2),
    "one weight in two places": lambda net: setattr(net.layers[1].neurons[0], "b", net.layers[0].neurons[0].b),
    "another activation": lambda net: setattr(net, "activation", "relu"),
    "another activation at the end": lambda net: setattr(net, "output_activation", "tanh"),
    "an unknown activation all over": lambda net: [
        setattr(part, "activation", "swish") for part in (net, *net.layers[0].neurons)
    ],
    "a bias that was deleted": lambda net: delattr(net.layers[1].neurons[0], "b"),
    "None for the weights": lambda net: setattr(net.layers[0].neurons[1], "w", None),
    "None for the layers": lambda net: setattr(net, "layers", None),
    "layers that were deleted": lambda net: delattr(net, "layers"),
    "neurons that were deleted": lambda net: delattr(net.layers[1], "neurons"),
    "an activation that was deleted": lambda net: delattr(net, "activation"),
    "an activation that cannot be imported": lambda net: [
        setattr(part, "activation", lambda z: z.exp()) for part in (net, *net.layers[0].neurons)
    ],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_network_that_load_could_not_rebuild_is_not_saved(change, path):
    net = copy.deepcopy(NET)
    before = written(path)
    change(net)
    with pytest.raises(ValueError, match=r"^cannot save this MLP: \S") as caught:
        ts.save(net, path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def nested(levels):
    """An odd number of dicts and lists inside one another in turn, outside a dict."""
    thing = {}
    for level in range(2, levels + 1):
        thing = {"a": thing} if level % 2 else [thing]
    return thing


CYCLE = {}
CYCLE["itself"] = CYCLE
NO_METADATA = [
    3, "text", [("a", 1)], 0, "", [], {1: "a"}, {None: 1}, {"a": {True: 1}}, {"a": (1, 2)}, {"a": [()]}, {"a": {1, 2}},
    {"a": b"bytes"}, {"a": object()}, {"a": np.zeros(2)}, {"a": 1j}, {1: "a", "1": "b"}, {"a": ts.Value(1.0)}, CYCLE,
    nested(101), nested(301), nested(30_001),
]  # fmt: skip


@pytest.mark.parametrize(
    "metadata", NO_METADATA, ids=lambda thing: re.sub(r" at 0x\w+|\.\.\..*", "", reprlib.repr(thing))
)
def test_metadata_that_json_does_not_give_back_is_not_saved(metadata, path):
    before = written(path)
    with pytest.raises((TypeError, ValueError), match=r"metadata|key twice") as caught:
        save(NET, path, metadata)
    assert len(str(caught.value)) < 500
    assert path.read_bytes() == before


NUMBERS = st.floats() | st.integers(-(10**40), 10**40)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
)


@given(st.dictionaries(st.text(st.characters()), JSON), st.lists(st.floats(), min_size=9, max_size=9))
def test_what_save_accepts_load_gives_back(path, metadata, numbers):
    net = copy.deepcopy(NET)
    for parameter, number in zip(net.parameters(), numbers):
        parameter.data = number
    save(net, path, metadata)
    again, found = load_with(path)
    assert repr(found) == repr(metadata)  # also nan and −0
    assert same(again, net)


@pytest.mark.parametrize("levels", [1, 51, 99])
def test_metadata_of_a_hundred_levels_come_back(levels, path):
    save(NET, path, nested(levels))
    assert load_with(path)[1] == nested(levels)


def test_numbers_of_numpy_that_json_takes_come_back_equal(path):
    save(NET, path, {"loss": np.float64(0.1), "all": [np.float64(math.inf)]})
    assert load_with(path)[1] == {"loss": 0.1, "all": [math.inf]}
