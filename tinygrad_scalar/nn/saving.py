"""Networks in files: safetensors, a format that holds arrays and text and cannot hold code.

Layer l is two float64 arrays, w(l) of shape (n_l, n_{l−1}) and b(l) of shape (n_l,), as in 000's notation; the header's
text says how the network is built.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinygrad_scalar.atomic_write import write_atomically
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.nn.mlp import MLP

_KEY = "tinygrad_scalar"  # one entry in the header: safetensors writes several in no fixed order
_FORMAT = 1


def save(net: MLP, path: str | os.PathLike[str], metadata: Mapping[str, Any] | None = None) -> None:
    """Write `net` to `path`, whole or not at all; `metadata` is a dict of what JSON can hold; `saving.load_with`
    returns it beside the network.

    Raises TypeError if `net` is not an MLP, ValueError if it is no longer one as it was built (another activation, one
    Value in two places), OSError if the file cannot be written.
    """
    import numpy as np
    from safetensors.numpy import save as to_bytes

    if not isinstance(net, MLP):
        raise TypeError(f"save takes an MLP, not {shown(net)}")
    for layer, activation in zip(net.layers, [*[net.activation] * (len(net.layers) - 1), net.output_activation]):
        if any(neuron.activation != activation for neuron in layer.neurons):
            raise ValueError(
                f"save takes an MLP as it was built, but a neuron's activation is no longer {activation!r}"
            )
    if len(set(net.parameters())) < len(net.parameters()):
        raise ValueError("save takes an MLP as it was built, but one Value stands in two places: it would become two")
    arrays = {}
    for i, layer in enumerate(net.layers, start=1):
        arrays[f"w({i})"] = np.array([[w.data for w in neuron.w] for neuron in layer.neurons])
        arrays[f"b({i})"] = np.array([neuron.b.data for neuron in layer.neurons])
    network = {
        "n_inputs": net.n_inputs,
        "layer_sizes": net.layer_sizes,
        "activation": net.activation,
        "output_activation": net.output_activation,
    }
    header = {"format": _FORMAT, "network": network, "metadata": dict(metadata or {})}
    write_atomically(path, to_bytes(arrays, {_KEY: json.dumps(header)}))


def load(path: str | os.PathLike[str]) -> MLP:
    """The network that `save` wrote to `path`.

    Raises OSError if the file cannot be read, ValueError if it is not such a file.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "net.safetensors")
    ...     save(MLP(2, [3, 1], "tanh", seed=0), path)
    ...     load(path)
    MLP(2, [3, 1], 'tanh')
    """
    return load_with(path)[0]


def load_with(path: str | os.PathLike[str]) -> tuple[MLP, dict[str, Any]]:
    """The network at `path` and the metadata that was saved with it; raises as `load` does."""
    from safetensors import SafetensorError, safe_open

    Path(path).open("rb").close()  # the usual errors for a missing or unreadable file
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get(_KEY, "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if not isinstance(header, dict) or header.get("format") != _FORMAT:
            raise ValueError("it is a safetensors file, but of something else")
        n_inputs = header["network"]["n_inputs"]
        for i, size in enumerate(header["network"]["layer_sizes"], start=1):  # before anything is built to these sizes
            w, b = arrays[f"w({i})"], arrays[f"b({i})"]
            if w.shape != (size, n_inputs) or b.shape != (size,):
                raise ValueError(f"layer {i} has arrays of shapes {w.shape} and {b.shape}")
            n_inputs = size
        net = MLP(**header["network"])
        for i, layer in enumerate(net.layers, start=1):
            w, b = arrays[f"w({i})"], arrays[f"b({i})"]
            for neuron, row, bias in zip(layer.neurons, w.tolist(), b.tolist()):
                neuron.b.data = bias
                for parameter, weight in zip(neuron.w, row):
                    parameter.data = weight
        metadata: dict[str, Any] = header["metadata"]
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a network that tinygrad_scalar saved: {error}") from None
    return net, metadata
