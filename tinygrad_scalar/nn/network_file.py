"""The bytes of a saved network: safetensors, with float64 arrays w(l) and b(l) for each layer l.

Its header holds the arguments of MLP and the metadata as JSON. A file is read strictly, and nothing is made of one that
`save` could not have written: the reader checks sizes, types and offsets before it reads the numbers.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Iterable
from typing import Any, BinaryIO, NamedTuple

from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.nn.activations import find_activation

_KEY = "tinygrad_scalar"  # the header's only entry: safetensors writes several in no fixed order
_FORMAT = 1
_LONGEST_HEADER = 100_000_000  # bytes; the limit of safetensors


class Contents(NamedTuple):
    """What a file holds.

    network   the arguments of MLP
    weights   of each layer, a row for each neuron
    biases    of each layer
    metadata  the user's
    """

    network: dict[str, Any]
    weights: list[list[list[float]]]
    biases: list[list[float]]
    metadata: dict[str, Any]


def to_bytes(contents: Contents) -> bytes:
    """The bytes of a file. TypeError if JSON cannot hold the metadata, ValueError if they are too long."""
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import save

    try:
        header = json.dumps({"format": _FORMAT, "network": contents.network, "metadata": contents.metadata})
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"metadata must be a dict that JSON can hold: {error}") from None
    arrays = {}
    for i, (w, b) in enumerate(zip(contents.weights, contents.biases), start=1):
        arrays[f"w({i})"], arrays[f"b({i})"] = np.array(w, np.float64), np.array(b, np.float64)
    try:
        return save(arrays, {_KEY: header})
    except SafetensorError as error:
        raise ValueError(f"network and metadata cannot be saved: {error}") from None


def read(file: BinaryIO) -> Contents:
    """What the file holds; ValueError, with the reason, if it is not what `to_bytes` makes."""
    network, metadata, begins = read_header(file)
    data = file.read()
    numbers = {name: _numbers(data, begins[name], shape) for name, shape in _shapes(network).items()}
    layers = range(1, len(network["layer_sizes"]) + 1)
    return Contents(network, [numbers[f"w({i})"] for i in layers], [numbers[f"b({i})"] for i in layers], metadata)


def read_header(file: BinaryIO) -> tuple[dict[str, Any], dict[str, Any], dict[str, int]]:
    """The arguments of MLP, the metadata, and where in the data below each array begins; raises as `read` does."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if not 0 < length <= min(size - 8, _LONGEST_HEADER):
        raise ValueError("it is not a safetensors file, or its header is cut off")
    arrays = _json(file.read(length).decode(), "its header")
    text = arrays.pop("__metadata__", None)
    if not isinstance(text, dict) or not isinstance(text.get(_KEY), str):
        raise ValueError("it is a safetensors file with other contents")
    network, metadata = _network(_json(text[_KEY], "its description of the network"))
    shapes = _shapes(network)
    _require_keys(arrays, shapes, "its header")
    spans = {name: _span(name, arrays[name], shape) for name, shape in shapes.items()}
    _require_end_to_end(spans.values(), size - 8 - length)
    return network, metadata, {name: begin for name, (begin, _) in spans.items()}


def _json(text: str, what: str) -> dict[str, Any]:
    """The JSON object; ValueError for anything else, and for one with a key twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError(f"{what} has a key twice")
        return found

    try:
        found = json.loads(text, object_pairs_hook=unique)
    except RecursionError:
        raise ValueError(f"{what} is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{what} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{what} must be a JSON object, got {shown(found)}")
    return found


def _require_keys(found: Any, keys: Collection[str], what: str) -> None:
    """ValueError unless `found` is a dict with exactly these keys."""
    if not isinstance(found, dict):
        raise ValueError(f"{what} must be a JSON object, got {shown(found)}")
    missing = [key for key in keys if key not in found]
    if missing:
        raise ValueError(f"{what} has no {missing[0]!r}")
    more = [key for key in found if key not in keys]
    if more:
        raise ValueError(f"{what} has {shown(more[0])}, which save does not write")


def _network(header: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments of MLP, and the metadata."""
    version = header.get("format")
    if type(version) is not int or version != _FORMAT:
        raise ValueError(f"its format must be {_FORMAT}, got {shown(version)}")
    _require_keys(header, ("format", "network", "metadata"), "its description of the network")
    network, metadata = header["network"], header["metadata"]
    if not isinstance(metadata, dict):
        raise ValueError(f"its metadata must be a JSON object, got {shown(metadata)}")
    _require_keys(network, ("n_inputs", "layer_sizes", "activation", "output_activation"), "its network")
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


def _shapes(network: dict[str, Any]) -> dict[str, list[int]]:
    """The name and shape of each array of a network."""
    shapes = {}
    n_inputs = network["n_inputs"]
    for i, size in enumerate(network["layer_sizes"], start=1):
        shapes[f"w({i})"], shapes[f"b({i})"] = [size, n_inputs], [size]
        n_inputs = size
    return shapes


def _span(name: str, entry: Any, shape: list[int]) -> tuple[int, int]:
    """Where the array's bytes begin and end; ValueError unless they are float64 numbers of this shape."""
    _require_keys(entry, ("dtype", "shape", "data_offsets"), name)
    if entry["dtype"] != "F64":
        raise ValueError(f"{name} must have the dtype F64, got {shown(entry['dtype'])}")
    if not _are_integers(entry["shape"]) or entry["shape"] != shape:
        raise ValueError(f"{name} must have the shape {shape}, got {shown(entry['shape'])}")
    offsets, needed = entry["data_offsets"], 8 * math.prod(shape)
    if not _are_integers(offsets) or len(offsets) != 2 or offsets[1] - offsets[0] != needed:
        raise ValueError(f"the data_offsets of {name} must be two integers {needed} apart, got {shown(offsets)}")
    return offsets[0], offsets[1]


def _are_integers(found: Any) -> bool:
    return isinstance(found, list) and all(type(n) is int for n in found)


def _require_end_to_end(spans: Iterable[tuple[int, int]], size: int) -> None:
    """ValueError unless the arrays fill `size` bytes without gaps or overlaps."""
    at = 0
    for begin, end in sorted(spans):
        if begin != at:
            raise ValueError(f"its arrays must lie end to end, but one begins at byte {begin} instead of {at}")
        at = end
    if at != size:
        raise ValueError(f"its arrays take {at} bytes, but it has {size} bytes of them")


def _numbers(data: bytes, begin: int, shape: list[int]) -> Any:
    """The array that begins at this byte, as nested lists of floats."""
    import numpy as np

    return np.frombuffer(data, "<f8", math.prod(shape), begin).reshape(shape).tolist()
