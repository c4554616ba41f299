"""`save` and `load`: every parameter bit for bit, in a file of plain arrays, written atomically."""

import json
import os
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save as to_bytes

import tinygrad_scalar as ts
from tinygrad_scalar.nn.activations import ACTIVATIONS
from tinygrad_scalar.nn.saving import load_with, save

ACTIVATION = st.sampled_from(list(ACTIVATIONS))


def bits(net):
    return [np.float64(parameter.data).tobytes() for parameter in net.parameters()]


# --- there and back --------------------------------------------------------------------------------------------------


@given(
    st.integers(1, 4),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    ACTIVATION,
    st.none() | ACTIVATION,
    st.data(),
)
def test_a_loaded_network_is_the_saved_one_bit_for_bit(n_inputs, sizes, activation, output_activation, data):
    net = ts.MLP(n_inputs, sizes, activation, output_activation, seed=0)
    numbers = st.floats(allow_nan=True, allow_infinity=True)
    for parameter in net.parameters():
        parameter.data = data.draw(numbers)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.safetensors"
        ts.save(net, path)
        loaded = ts.load(path)
    assert bits(loaded) == bits(net)
    assert repr(loaded) == repr(net)
    assert (loaded.activation, loaded.output_activation) == (net.activation, net.output_activation)
    assert [p.label for p in loaded.parameters()] == [p.label for p in net.parameters()]


def test_a_loaded_network_computes_and_learns_as_the_saved_one(tmp_path):
    net = ts.MLP(2, [3, 2], "tanh", "linear", seed=0)
    ts.save(net, tmp_path / "net.safetensors")
    loaded = ts.load(str(tmp_path / "net.safetensors"))
    X, Y = [[0.5, -1.0], [1.0, 2.0]], [0, 1]
    for one in (net, loaded):
        ts.fit(one, X, Y, loss="cross_entropy", epochs=3, progress=False)
    assert bits(loaded) == bits(net)


METADATA = {"epochs": 3, "names": ["σ", 'x "y"'], "nested": {"none": None, "half": 0.5, "yes": True}}


@pytest.mark.parametrize("metadata", [None, {}, METADATA])
def test_metadata_comes_back(metadata, tmp_path):
    save(ts.MLP(1, [1]), tmp_path / "net.safetensors", metadata)
    assert load_with(tmp_path / "net.safetensors")[1] == (metadata or {})


def test_the_file_is_safetensors_with_an_array_of_weights_and_one_of_biases_for_each_layer(tmp_path):
    net = ts.MLP(3, [4, 2], "tanh", "linear", seed=0)
    ts.save(net, tmp_path / "net.safetensors")
    arrays = load_file(tmp_path / "net.safetensors")
    assert {name: (array.shape, array.dtype) for name, array in arrays.items()} == {
        "w(1)": ((4, 3), np.float64),
        "b(1)": ((4,), np.float64),
        "w(2)": ((2, 4), np.float64),
        "b(2)": ((2,), np.float64),
    }
    for name, array in arrays.items():
        for place, number in np.ndenumerate(array):
            (parameter,) = (p for p in net.parameters() if p.label == f"{name}[{','.join(map(str, place))}]")
            assert parameter.data == number


def test_the_same_network_is_saved_as_the_same_bytes(tmp_path):
    for i in range(12):
        ts.save(ts.MLP(3, [4, 2], "tanh", seed=0), tmp_path / f"{i}.safetensors")
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_the_header_says_in_words_how_the_network_is_built(tmp_path):
    ts.save(ts.MLP(3, [4, 2], "tanh", "linear"), tmp_path / "net.safetensors")
    with safe_open(tmp_path / "net.safetensors", framework="numpy") as file:
        header = file.metadata()
    assert json.loads(header["tinygrad_scalar"])["network"] == {
        "n_inputs": 3,
        "layer_sizes": [4, 2],
        "activation": "tanh",
        "output_activation": "linear",
    }


# --- what is not a network -------------------------------------------------------------------------------------------

NETWORK = {"n_inputs": 2, "layer_sizes": [1], "activation": "tanh", "output_activation": "tanh"}
ARRAYS = {"w(1)": np.zeros((1, 2)), "b(1)": np.zeros(1)}


def file_of(network=NETWORK, arrays=ARRAYS, **header):
    """The bytes of a file that `save` could write, with another network, other arrays or other text in its header."""
    right = {"format": 1, "network": network, "metadata": {}}
    return to_bytes(dict(arrays), {"tinygrad_scalar": json.dumps({**right, **header})})


class Bomb:
    """Unpickling a Bomb makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


WRONG = {
    "nothing": b"",
    "text": b"This is a text file, of more than eight bytes.\n",
    "a CSV file": b"a,b\n1,2\n",
    "a pickle": pickle.dumps({"w": [1.0, 2.0]}),
    "zeros": bytes(1000),
    "cut off in the header": file_of()[:40],
    "cut off in the arrays": file_of()[:-5],
    "more than the arrays": file_of() + b"more",
    "another's safetensors": to_bytes({"x": np.zeros(3)}),
    "another's safetensors with a header": to_bytes({"x": np.zeros(3)}, {"format": "pt"}),
    "a later format": file_of(format=99),
    "weights transposed": file_of(arrays={**ARRAYS, "w(1)": np.zeros((2, 1))}),
    "weights flat": file_of(arrays={**ARRAYS, "w(1)": np.zeros(2)}),
    "biases too many": file_of(arrays={**ARRAYS, "b(1)": np.zeros(2)}),
    "weights missing": file_of(arrays={"b(1)": np.zeros(1)}),
    "biases missing": file_of(arrays={"w(1)": np.zeros((1, 2))}),
    "complex weights": file_of(arrays={**ARRAYS, "w(1)": np.zeros((1, 2), np.complex64)}),
    "an unknown activation": file_of({**NETWORK, "output_activation": "os.system"}),
    "an argument too many": file_of({**NETWORK, "evil": 1}),
    "no layers": file_of({**NETWORK, "layer_sizes": []}),
    "layers that are text": file_of({**NETWORK, "layer_sizes": "8"}),
    "no inputs": file_of({**NETWORK, "n_inputs": 0}),
    "a list for a network": file_of([1, 2]),
    "no JSON": to_bytes(ARRAYS, {"tinygrad_scalar": "{"}),
    "a list for a header": to_bytes(ARRAYS, {"tinygrad_scalar": "[1]"}),
}


@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG)
def test_a_file_that_is_no_network_is_a_value_error_of_one_line_that_names_it(content, tmp_path):
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"net\.safetensors is not a network that tinygrad_scalar saved: .") as caught:
        ts.load(path)
    assert "\n" not in str(caught.value)


def test_the_file_of_the_table_of_wrong_ones_is_right_when_nothing_is_wrong(tmp_path):
    (tmp_path / "net.safetensors").write_bytes(file_of())
    assert repr(ts.load(tmp_path / "net.safetensors")) == "MLP(2, [1], 'tanh')"


def test_a_pickle_is_not_unpickled(tmp_path):
    path = tmp_path / "net.safetensors"
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    with pytest.raises(ValueError, match="is not a network"):
        ts.load(path)
    assert not (tmp_path / "exploded").exists()
    pickle.loads(path.read_bytes())
    assert (tmp_path / "exploded").exists()  # so the file could have exploded


def test_a_missing_file_and_a_folder_are_the_usual_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        ts.load(tmp_path / "nowhere.safetensors")
    with pytest.raises(IsADirectoryError):
        ts.load(tmp_path)


@pytest.mark.parametrize("thing", [None, 3, "net", ts.Value(2.0), [ts.Value(1.0)]], ids=lambda t: type(t).__name__)
def test_only_a_network_can_be_saved(thing, tmp_path):
    with pytest.raises(TypeError, match=type(thing).__name__):
        ts.save(thing, tmp_path / "net.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_metadata_that_json_cannot_hold_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(TypeError, match="JSON"):
        save(ts.MLP(1, [1]), tmp_path / "net.safetensors", {"x": object()})
    assert list(tmp_path.iterdir()) == []


# --- atomic writes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["replace", "fsync"])
def test_an_interrupted_save_leaves_the_old_file_and_nothing_beside_it(where, tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    ts.save(ts.MLP(1, [1], seed=0), path)
    old = path.read_bytes()

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, where, interrupt)
    with pytest.raises(KeyboardInterrupt):
        ts.save(ts.MLP(1, [1], seed=1), path)
    monkeypatch.undo()
    assert path.read_bytes() == old
    assert [found.name for found in tmp_path.iterdir()] == ["net.safetensors"]


# a path, the error, and what it says
UNWRITABLE = {
    "a folder": ("folder", IsADirectoryError, "folder is a folder; give the name of a file"),
    "a missing folder": ("nowhere/file", FileNotFoundError, "there is no folder"),
    "below a file": ("file/file", FileNotFoundError, "there is no folder"),
}


@pytest.mark.parametrize(("name", "error", "words"), UNWRITABLE.values(), ids=UNWRITABLE)
def test_where_nothing_can_be_written_the_error_says_why(name, error, words, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(error, match=words):
        ts.save(ts.MLP(1, [1]), tmp_path / name)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_network_whose_neurons_were_given_another_activation_is_not_saved(tmp_path):
    net = ts.MLP(2, [2, 1], "tanh")
    net.layers[0].neurons[0].activation = "relu"
    with pytest.raises(ValueError, match="built with activation 'tanh'"):
        ts.save(net, tmp_path / "net.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_network_with_one_value_in_two_places_is_not_saved_as_two(tmp_path):
    net = ts.MLP(2, [2, 1], "tanh")
    net.layers[0].neurons[0].w[0] = net.layers[0].neurons[1].w[0]
    with pytest.raises(ValueError, match="two of its parameters are the same Value"):
        ts.save(net, tmp_path / "net.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_claims_a_huge_network_is_refused_before_one_is_built(tmp_path, monkeypatch):
    monkeypatch.setattr("tinygrad_scalar.nn.saving.MLP", lambda **network: pytest.fail("built"))
    (tmp_path / "huge").write_bytes(file_of({**NETWORK, "layer_sizes": [3_000_000]}))
    with pytest.raises(ValueError, match=r"w\(1\) must have the shape \[3000000, 2\], got \[1, 2\]"):
        ts.load(tmp_path / "huge")
