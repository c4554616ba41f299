"""Networks in files: `save`, which takes only what `load` gives back equal.

Layer l is two float64 arrays, w(l) of shape (n_l, n_{l−1}) and b(l) of shape (n_l,), as in 000's notation, in a
safetensors file, a format that cannot hold code; `network_file.py` writes and reads its bytes.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tinygrad_scalar.atomic_write import write_atomically
from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import label_of, shown
from tinygrad_scalar.nn import array_file, module_file, network_file
from tinygrad_scalar.nn.activations import at_place, find_activation, place_of, printed
from tinygrad_scalar.nn.array_file import opened
from tinygrad_scalar.nn.mlp import MLP, Layer, Module, Neuron
from tinygrad_scalar.nn.module_file import UnknownNameError
from tinygrad_scalar.nn.network_file import Contents
from tinygrad_scalar.primitives.primitive import is_importable
from tinygrad_scalar.screen import counted

_DEEPEST = 100  # lists and dicts inside one another in metadata: JSON is read by recursion


def save(net: Module, path: str | os.PathLike[str], metadata: Mapping[str, Any] | None = None) -> None:
    """Write `net` to `path` atomically, with `metadata`, a dict that JSON can hold; `ts.nn.load_with` returns both.

    An MLP, or a network of a class of your own: a Module at the top level of its module, whose attributes are Values,
    numbers, texts, arrays, functions that can be imported, other Modules, and lists, tuples and dicts of such.

    TypeError if `net` is no Module, or JSON does not give the metadata back as it is. ValueError if loading could not
    rebuild the network: of an MLP, if a neuron's activation or number of weights was changed, a neuron removed, or a
    parameter is computed or in two places; if a function or a class cannot be imported, such as a lambda: the file
    holds only its module and its name. OSError if the file cannot be written.
    """
    if not isinstance(net, Module):
        raise TypeError(f"net must be an MLP or another Module, got {shown(net)}")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise TypeError(f"metadata must be a dict, got {shown(metadata)}")
    own = not isinstance(net, MLP) or (type(net) is not MLP and is_importable(type(net)))
    content, again = (_own_content if own else _mlp_content)(net, dict(metadata or {}))
    if not _same(again, dict(metadata or {})):
        raise TypeError(
            "metadata must be a dict that JSON gives back as it is: strings as keys, lists instead of tuples, "
            f"at most {_DEEPEST} inside one another; got {shown(metadata)}"
        )
    write_atomically(path, content)


def load(
    path: str | os.PathLike[str],
    *,
    activations: Iterable[Callable[..., Any]] = (),
    classes: Iterable[type[Module]] = (),
) -> Any:
    """The network that `save` wrote to `path`.

    activations  functions that it can have as its activation. A primitive is found without, once its module has been
                 imported; a file never makes this import or call anything else
    classes      of networks of your own, and of their parts; they too are found without once they are imported. No
                 constructor runs: the attributes are set to what they were

    Raises OSError if the file cannot be read, ValueError if `save` did not write it, or its activation is a function
    or its class a Module that is not known here.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "net.safetensors")
    ...     save(MLP(2, [3, 1], "tanh", seed=0), path)
    ...     load(path)
    MLP(2, [3, 1], 'tanh')
    """
    return load_with(path, activations=activations, classes=classes)[0]


def load_with(
    path: str | os.PathLike[str],
    *,
    activations: Iterable[Callable[..., Any]] = (),
    classes: Iterable[type[Module]] = (),
) -> tuple[Any, dict[str, Any]]:
    """The network at `path` and the metadata that was saved with it; the arguments and what it raises as for `load`."""
    known: list[Any] = list(activations) if isinstance(activations, Iterable) else [None]
    if not all(map(callable, known)):
        raise TypeError(f"activations must be a list of functions, got {shown(activations)}")
    kinds: list[Any] = list(classes) if isinstance(classes, Iterable) else [None]
    if not all(isinstance(kind, type) and issubclass(kind, Module) for kind in kinds):
        raise TypeError(f"classes must be a list of classes of Modules, got {shown(classes)}")
    with opened(path, "network") as (path, file):
        try:
            header = array_file.read_header(file, network_file.KEY, module_file.KEY)
            if header.key == module_file.KEY:
                return module_file.read(file, header, kinds, known)
            contents = network_file.read(file, header)
        except UnknownNameError as error:
            raise ValueError(f"cannot load the network at {path}: {error}") from None
        except ValueError as error:
            raise ValueError(f"{path} is not a network that tinygrad_scalar saved: {error}") from None
    try:
        functions = {key: at_place(contents.network[key], known) for key in ("activation", "output_activation")}
    except ValueError as error:
        raise ValueError(f"cannot load the network at {path}: {error}") from None
    net = MLP(**{**contents.network, **functions})
    for layer, w, b in zip(net.layers, contents.weights, contents.biases):
        for neuron, row, bias in zip(layer.neurons, w, b):
            neuron.b.data = bias
            for parameter, weight in zip(neuron.w, row):
                parameter.data = weight
    net.class_names, net.input_names = contents.class_names, contents.input_names
    return net, contents.metadata


def _mlp_content(net: Any, metadata: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """The bytes of an MLP's file, and the metadata as they will be read."""
    try:
        _require_rebuildable(net)
    except (AttributeError, TypeError) as error:
        raise ValueError(f"cannot save this MLP: one of its parts is not as MLP made it ({error})") from None
    content = network_file.to_bytes(_contents(net, metadata))
    try:
        header = array_file.read_header(io.BytesIO(content), network_file.KEY)
        return content, network_file.read_description(header)[1]
    except ValueError as error:
        raise ValueError(f"cannot save this MLP: {error}") from None


def _own_content(net: Module, metadata: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """The bytes of a custom network's file, and the metadata as they will be read."""
    try:
        content, classes, functions = module_file.to_bytes(net, metadata)
        file = io.BytesIO(content)
        header = array_file.read_header(file, module_file.KEY)
        twin, again = module_file.read(file, header, classes, functions)
        if module_file.to_bytes(twin, again)[0] != content:
            raise ValueError("what would be loaded is not what was saved")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"cannot save this {type(net).__name__}: {error}") from None
    return content, again


def _contents(net: MLP, metadata: dict[str, Any]) -> Contents:
    network = {
        "n_inputs": net.n_inputs,
        "layer_sizes": net.layer_sizes,
        "activation": place_of(net.activation),
        "output_activation": place_of(net.output_activation),
    }
    weights = [[[w.data for w in neuron.w] for neuron in layer.neurons] for layer in net.layers]
    biases = [[neuron.b.data for neuron in layer.neurons] for layer in net.layers]
    return Contents(network, weights, biases, metadata, net.class_names, net.input_names)


def _require_rebuildable(net: MLP) -> None:
    """ValueError unless an MLP of the same arguments differs from this one only in its numbers."""
    _require_plain(net, MLP)
    for layer in net.layers:
        _require_plain(layer, Layer)
        for neuron in layer.neurons:
            _require_plain(neuron, Neuron)
    if not net.layers or not all(layer.neurons for layer in net.layers):
        raise ValueError("cannot save this MLP: it has no layers, or a layer without neurons")
    width = len(net.layers[0].neurons[0].w)
    activations = [*[net.activation] * (len(net.layers) - 1), net.output_activation]
    for i, (layer, activation) in enumerate(zip(net.layers, activations), start=1):
        try:
            find_activation(activation)
            place_of(activation)
        except ValueError as error:
            raise ValueError(f"cannot save this MLP: {error}") from None
        for j, neuron in enumerate(layer.neurons):
            if neuron.activation != activation:
                raise ValueError(
                    f"cannot save this MLP: layer {i} was built with activation {printed(activation)}, but one of its "
                    f"neurons now has {printed(neuron.activation)}"
                )
            if len(neuron.w) != width:
                raise ValueError(
                    f"cannot save this MLP: neuron {j} of layer {i} must have {counted(width, 'weight')}, one for each "
                    f"input of the layer, got {len(neuron.w)}"
                )
        width = len(layer.neurons)
    _require_leaves(net)


def _require_plain(part: Module, kind: type[Module]) -> None:
    """ValueError unless the part of a network computes as `kind` does."""
    for name in ("__call__", "z_and_a", "parameters"):
        of_its_own = name in getattr(part, "__dict__", ())  # set on the object
        if of_its_own or getattr(type(part), name, None) is not getattr(kind, name, None):
            raise ValueError(
                f"cannot save this MLP: {type(part).__name__} is not a {kind.__name__} or has its own {name}, and the "
                "file holds no code; copy the numbers to an MLP and save that"
            )


def _require_leaves(net: MLP) -> None:
    """ValueError unless the parameters are Values that are not computed, each in one place."""
    parameters = net.parameters()
    for parameter in parameters:
        if not isinstance(parameter, Value):
            raise ValueError(f"cannot save this MLP: its parameters must be Values, got {shown(parameter)}")
        if parameter.op:
            raise ValueError(
                f"cannot save this MLP: {label_of(parameter, 'a parameter')} is computed (operation {parameter.op!r}), "
                "and loading would make it a leaf"
            )
    if len(set(parameters)) < len(parameters):
        raise ValueError(
            "cannot save this MLP: two of its parameters are the same Value, and loading would separate them"
        )


def _same(a: Any, b: Any, levels: int = _DEEPEST) -> bool:
    """Whether two metadata are equal and of the same types, where nan equals nan."""
    if isinstance(a, dict):
        if levels == 0 or not isinstance(b, dict) or a.keys() != b.keys():
            return False
        return all(_same(a[key], b[key], levels - 1) for key in a)
    if isinstance(a, list):
        if levels == 0 or not isinstance(b, list) or len(a) != len(b):
            return False
        return all(_same(x, y, levels - 1) for x, y in zip(a, b))
    return bool(a == b or (a != a and b != b))
