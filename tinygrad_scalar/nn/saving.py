"""Networks in files: safetensors, a format of arrays and text that cannot hold code.

Layer l is two float64 arrays, w(l) of shape (n_l, n_{l−1}) and b(l) of shape (n_l,), as in 000's notation; the text in
the header holds the arguments of MLP.
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

_KEY = "tinygrad_scalar"  # the header's only entry: safetensors writes several in no fixed order
_FORMAT = 1


def save(net: MLP, path: str | os.PathLike[str], metadata: Mapping[str, Any] | None = None) -> None:
    """Write `net` to `path` atomically, with `metadata`, a dict that JSON can hold; `ts.nn.load_with` returns both.

    Raises TypeError if `net` is not an MLP or JSON cannot hold the metadata, ValueError if the network was changed so
    that it cannot be rebuilt (a neuron's activation, one Value in two places), OSError if the file cannot be written.
    """
    import numpy as np
    from safetensors.numpy import save as to_bytes

    if not isinstance(net, MLP):
        raise TypeError(f"net must be an MLP, got {shown(net)}")
    activations = [*[net.activation] * (len(net.layers) - 1), net.output_activation]
    for i, (layer, activation) in enumerate(zip(net.layers, activations), start=1):
        for neuron in layer.neurons:
            if neuron.activation != activation:
                raise ValueError(
                    f"cannot save this MLP: layer {i} was built with activation {activation!r}, but one of its neurons "
                    f"now has {neuron.activation!r}"
                )
    if len(set(net.parameters())) < len(net.parameters()):
        raise ValueError(
            "cannot save this MLP: two of its parameters are the same Value, and loading would separate them"
        )
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

    Raises OSError if the file cannot be read, ValueError if `save` did not write it.

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

    Path(path).open("rb").close()  # raises the usual errors for a missing or unreadable file
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get(_KEY, "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if not isinstance(header, dict) or header.get("format") != _FORMAT:
            raise ValueError("it is a safetensors file with other contents")
        n_inputs = header["network"]["n_inputs"]
        for i, size in enumerate(header["network"]["layer_sizes"], start=1):  # before a network of these sizes is built
            w, b = arrays[f"w({i})"], arrays[f"b({i})"]
            if w.shape != (size, n_inputs) or b.shape != (size,):
                raise ValueError(
                    f"layer {i} has arrays of shapes {w.shape} and {b.shape}, not ({size}, {n_inputs}) and ({size},)"
                )
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
        reason = f"it has no {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{path} is not a network that tinygrad_scalar saved: {reason}") from None
    return net, metadata
