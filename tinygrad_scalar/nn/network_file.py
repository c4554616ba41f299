"""The bytes of a saved network: safetensors, with float64 arrays w(l) and b(l) for each layer l.

Its header holds the arguments of MLP and the metadata as JSON. Nothing is made of a file that `save` could not have
written.
"""

from __future__ import annotations

import json
from typing import Any, BinaryIO, NamedTuple

from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.nn import array_file
from tinygrad_scalar.nn.activations import find_activation
from tinygrad_scalar.nn.array_file import Header, Kind, begins_of, read_array, read_json, require_keys
from tinygrad_scalar.nn.class_names import class_names_of_file
from tinygrad_scalar.nn.tables import columns_of_file

KEY = "tinygrad_scalar"
CLASS_NAMES, INPUT_NAMES = "class_names", "input_names"
_FORMAT = 1


class Contents(NamedTuple):
    """What a file holds.

    network      the arguments of MLP
    weights      of each layer, a row for each neuron
    biases       of each layer
    metadata     the user's
    class_names  of the outputs, if they have some
    input_names  of the inputs, likewise
    """

    network: dict[str, Any]
    weights: list[list[list[float]]]
    biases: list[list[float]]
    metadata: dict[str, Any]
    class_names: tuple[str, ...] | None = None
    input_names: tuple[str, ...] | None = None


def to_bytes(contents: Contents) -> bytes:
    """The bytes of a file. TypeError if JSON cannot hold the metadata, ValueError if they are too long."""
    import numpy as np

    description = {"format": _FORMAT, "network": contents.network, "metadata": contents.metadata}
    if contents.class_names is not None:
        description[CLASS_NAMES] = list(contents.class_names)
    if contents.input_names is not None:
        description[INPUT_NAMES] = list(contents.input_names)
    try:
        header = json.dumps(description)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"metadata must be a dict that JSON can hold: {error}") from None
    arrays = {}
    for i, (w, b) in enumerate(zip(contents.weights, contents.biases), start=1):
        arrays[f"w({i})"], arrays[f"b({i})"] = np.array(w, np.float64), np.array(b, np.float64)
    try:
        return array_file.to_bytes(KEY, header, arrays)
    except ValueError as error:
        raise ValueError(f"network and metadata cannot be saved: {error}") from None


def read(file: BinaryIO, header: Header) -> Contents:
    """What the file holds behind its header; ValueError, with the reason, if it is not what `to_bytes` makes."""
    network, metadata, names, begins = read_description(header)
    data = file.read()
    numbers = {name: read_array(data, begins[name], kind).tolist() for name, kind in _arrays(network).items()}
    layers = range(1, len(network["layer_sizes"]) + 1)
    weights, biases = ([numbers[f"{name}({i})"] for i in layers] for name in "wb")
    return Contents(network, weights, biases, metadata, *names)


def read_description(
    header: Header,
) -> tuple[dict[str, Any], dict[str, Any], list[tuple[str, ...] | None], dict[str, int]]:
    """The arguments of MLP, the metadata, the names of classes and of inputs, and where in the data below each array
    begins; raises as `read` does."""
    description = read_json(header.description, "its description of the network")
    class_names = class_names_of_file(description.pop(CLASS_NAMES)) if CLASS_NAMES in description else None
    input_names = columns_of_file(description.pop(INPUT_NAMES)) if INPUT_NAMES in description else None
    network, metadata = _network(description)
    return network, metadata, [class_names, input_names], begins_of(header, _arrays(network))


def _network(header: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments of MLP, and the metadata."""
    version = header.get("format")
    if type(version) is not int or version != _FORMAT:
        raise ValueError(f"its format must be {_FORMAT}, got {shown(version)}")
    require_keys(header, ("format", "network", "metadata"), "its description of the network")
    network, metadata = header["network"], header["metadata"]
    if not isinstance(metadata, dict):
        raise ValueError(f"its metadata must be a JSON object, got {shown(metadata)}")
    require_keys(network, ("n_inputs", "layer_sizes", "activation", "output_activation"), "its network")
    sizes = network["layer_sizes"]
    if not isinstance(sizes, list) or not sizes:
        raise ValueError(f"layer_sizes must be a non-empty list such as [8, 3], got {shown(sizes)}")
    for size in (network["n_inputs"], *sizes):
        if type(size) is not int or size < 1:
            raise ValueError(f"n_inputs and layer_sizes must be positive integers, got {shown(size)}")
    for name in (network["activation"], network["output_activation"]):
        if not isinstance(name, str) or ":" not in name:  # a function: load finds it, or says that it does not
            find_activation(name)
    return network, metadata


def _arrays(network: dict[str, Any]) -> dict[str, Kind]:
    """The name and kind of each array of a network."""
    kinds = {}
    n_inputs = network["n_inputs"]
    for i, size in enumerate(network["layer_sizes"], start=1):
        kinds[f"w({i})"], kinds[f"b({i})"] = Kind("F64", [size, n_inputs]), Kind("F64", [size])
        n_inputs = size
    return kinds
