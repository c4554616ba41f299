"""The notes' networks, one Value per weight, bias and activation (000 Eq. 1 and 2, and its multi-node section).

Layers are counted as in the notes: layer 0 is the input, layers 1 to L compute. Neuron j of layer l holds the weights
w(l)[j,k] from neuron k of the layer before and the bias b(l)[j], and computes

    z(l)[j] = Σₖ w(l)[j,k]·a(l−1)[k] + b(l)[j]        a(l)[j] = g(z(l)[j])

Every Value is labelled with its name in the notes, which drawings and explanations then use.
"""

from __future__ import annotations

import operator
import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import partial
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine import Value, clear_gradients, tick, weighted_sum
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.number import required_integer
from tinygrad_scalar.engine.tracing import LastCall
from tinygrad_scalar.nn.activations import ACTIVATIONS, Named, find_activation, named, of_a_function, printed
from tinygrad_scalar.nn.batches import input_pieces
from tinygrad_scalar.nn.class_names import named_classes, require_a_name_each, required_names
from tinygrad_scalar.nn.gradient import Gradient
from tinygrad_scalar.nn.kept_program import CLASS_NAMES, INPUT_NAMES, Keeping, predicted
from tinygrad_scalar.nn.probabilities import probabilities
from tinygrad_scalar.nn.tables import required_columns

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from tinygrad_scalar.engine.number import Number
    from tinygrad_scalar.nn.batches import InBatches

    Inputs = Value | Number | Iterable[Value | Number]
    Seed = int | random.Random | None


def generator_of(seed: Seed) -> random.Random:
    """The generator itself, or a new one: seeded with the integer, or differently each time for None."""
    if isinstance(seed, random.Random):
        return seed
    if seed is not None and not hasattr(seed, "__index__"):
        raise TypeError(f"seed must be an int, a random.Random or None, got {shown(seed)}")
    return random.Random(None if seed is None else operator.index(seed))


class Module(Keeping, ABC):
    """A neuron, a layer or a network: `parameters()` lists its parameters, `zero_grad()` clears their gradients."""

    @abstractmethod
    def parameters(self) -> list[Value]:
        """The weights and biases in the order of 001's gradient vector: layer by layer, weights before biases."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        tick()  # for vectorize, which looks only then whether the parts of a network were replaced

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to 0."""
        clear_gradients(self.parameters())

    def gradient(self) -> Gradient:
        """∇C, copied from the parameters' .grad, in the order of 001: w(1), b(1), …, w(L), b(L).

        >>> neuron = Neuron(1, "linear", seed=0)
        >>> C = (neuron(3.0) - 1.0) ** 2
        >>> C.backward()
        >>> neuron.gradient()["w(1)[0,0]"] == 3.0 * neuron.gradient()["b(1)[0]"]
        True
        """
        return Gradient(self.parameters())

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes in the order of the outputs, which `fit` takes from text labels; None without.

        They stay with the network in its copies and files. Set it to a list of texts to name the classes beforehand or
        to rename them, to None to forget them. Two classes can share one output: the second is where it is above 0.5 in
        sigmoid, above 0 if linear or in tanh. `fit` refuses other numbers of outputs, and losses with another boundary.
        """
        names: tuple[str, ...] | None = vars(self).get(CLASS_NAMES)
        return names

    @class_names.setter
    def class_names(self, names: Sequence[str] | None) -> None:
        found = required_names(names)
        if found is None:
            vars(self).pop(CLASS_NAMES, None)
        else:
            vars(self)[CLASS_NAMES] = found

    @property
    def input_names(self) -> tuple[str, ...] | None:
        """The names of the columns of the table that `fit` trained on; None after anything else.

        They stay with the network in its copies and files. Tables for `predict` and a further `fit` must have the same
        columns in the same order, or there is a ValueError. Set it to a list of texts, or to None to forget them.
        """
        names: tuple[str, ...] | None = vars(self).get(INPUT_NAMES)
        return names

    @input_names.setter
    def input_names(self, names: Sequence[str] | None) -> None:
        found = required_columns(names)
        if found is None:
            vars(self).pop(INPUT_NAMES, None)
        else:
            vars(self)[INPUT_NAMES] = found

    def predict(self, X: ArrayLike | InBatches) -> NDArray[Any]:
        """The outputs for each row of X, at array speed: shape (m,) if there is one output, else (m, k).

        A network with `class_names`, such as `fit` leaves after text labels, gives the name of each row's class
        instead, shape (m,): that of the largest output; `predict_outputs` gives its outputs.

        X has the shape (m, n), or (m,) if there is one input: an array, a list, a table of numbers, a memory map, a
        Dask array, or a function or generator that gives it in batches, as for `fit`. ValueError if it does not fit, or
        is not finite.

        >>> net = MLP(2, [3], "linear", seed=0)
        >>> net.predict([[0.5, -1.0], [1.0, 2.0]]).shape
        (2, 3)
        >>> net.class_names = ["ant", "bee", "fly"]
        >>> net.predict([[0.5, -1.0], [1.0, 2.0]])
        array(['bee', 'ant'], dtype='<U3')
        """
        outputs = self.predict_outputs(X)
        if self.class_names is None:
            return outputs
        return named_classes(outputs.reshape(len(outputs), -1), self.class_names, self._outputs_activation())

    def predict_outputs(self, X: ArrayLike | InBatches) -> NDArray[Any]:
        """The outputs for each row of X, shape (m,) or (m, k), with or without `class_names`; X as for `predict`.

        >>> net = MLP(2, [3], "linear", seed=0)
        >>> net.class_names = ["ant", "bee", "fly"]
        >>> net.predict_outputs([[0.5, -1.0], [1.0, 2.0]]).shape
        (2, 3)
        """
        import numpy as np

        found = [predicted(self, rows) for rows in input_pieces(X, self.input_names or ())]
        if not found:
            raise ValueError(f"{shown(X)} gave no batches to predict")
        return found[0] if len(found) == 1 else np.concatenate(found)

    def predict_proba(self, X: ArrayLike | InBatches) -> NDArray[Any]:
        """The probability of each class for each row of X, shape (m, k), each row with the sum 1.

        The classes are in the order of `class_names`. Several linear outputs are logits: their softmax. One output is
        the probability of class 1, σ(z) of a linear one: the columns are those of class 0 and of class 1. ValueError
        for other outputs, which are no probabilities.

        >>> MLP(2, [1], "sigmoid", seed=0).predict_proba([[0.0, 0.0]])
        array([[0.5, 0.5]])
        """
        outputs = self.predict_outputs(X)
        rows = outputs.reshape(len(outputs), -1)
        if self.class_names is not None:
            require_a_name_each(self.class_names, rows.shape[1])
        return probabilities(rows, self._outputs_activation())

    def _outputs_activation(self) -> object:
        """The activation behind the outputs; a class of your own that has `output_activation` needs no more."""
        return getattr(self, "output_activation", "an unknown activation")


class Neuron(Module):
    """One node: a = g(w·x + b) with `n_inputs` weights `.w` and a bias `.b`.

    `activation` is one of `ts.nn.ACTIVATIONS`, such as "sigmoid", "tanh" or "relu", or a function of a Value: one made
    by `ts.primitive`, or a composition such as `lambda z: z * ts.sigmoid(z)`; its initial weights are Glorot's. `seed`
    (an int or a random.Random) makes the initial weights reproducible; biases start at 0. `layer` and `index` number
    the neuron in its labels; `n_outputs` is the size of its layer. A call takes a list of n_inputs numbers or Values
    (or a bare one if n_inputs is 1) and returns the Value a.

    >>> neuron = Neuron(1, "relu")
    >>> neuron.w[0].data, neuron.b.data = 0.5, -0.25
    >>> neuron(2.0).data
    0.75
    """

    def __init__(
        self,
        n_inputs: int,
        activation: Named = "sigmoid",
        *,
        seed: Seed = None,
        layer: int = 1,
        index: int = 0,
        n_outputs: int = 1,
    ) -> None:
        n_inputs, n_outputs = required_integer(n_inputs, "n_inputs"), required_integer(n_outputs, "n_outputs")
        layer, index = required_integer(layer, "layer"), required_integer(index, "index", least=0)
        self.activation = named(activation)
        r = find_activation(activation).weight_range(n_inputs, n_outputs)
        uniform = generator_of(seed).uniform
        self.w = [Value(uniform(-r, r), f"w({layer})[{index},{k}]") for k in range(n_inputs)]
        self.b = Value(0.0, f"b({layer})[{index}]")
        self._z_label, self._a_label = f"z({layer})[{index}]", f"a({layer})[{index}]"

    def __call__(self, x: Inputs) -> Value:
        return self.z_and_a(_inputs(x, len(self.w)))[1]

    def z_and_a(self, x: Sequence[Value]) -> tuple[Value, Value]:
        """Pre-activation and activation (000 Eq. 2 and 1) for the activations `x` of the layer before."""
        z = weighted_sum(self.w, x, self.b)
        z.label = self._z_label
        try:
            g = ACTIVATIONS[self.activation].function  # type: ignore[index]
        except (KeyError, TypeError):  # no name, but a function, which need not be hashable
            g = partial(of_a_function, self.activation)
        a = g(z)
        if a is not z:  # "linear" makes no node: a is z and keeps that name
            a.label = self._a_label
        return z, a

    def parameters(self) -> list[Value]:
        return [*self.w, self.b]

    def _outputs_activation(self) -> object:
        return self.activation

    def __repr__(self) -> str:
        return f"Neuron({len(self.w)}, {printed(self.activation)})"


class Layer(Module):
    """`n_outputs` neurons that share their inputs; `.neurons[j]` is neuron j. For the arguments see Neuron.

    A call returns the list of their activations, or the Value itself if there is one neuron.

    >>> layer = Layer(2, 3, "tanh", seed=0)
    >>> len(layer([0.5, -1.0])), len(layer.parameters())
    (3, 9)
    """

    def __init__(
        self, n_inputs: int, n_outputs: int, activation: Named = "sigmoid", *, seed: Seed = None, layer: int = 1
    ) -> None:
        n_outputs = required_integer(n_outputs, "a layer's number of neurons")
        generator = generator_of(seed)
        self.neurons = [
            Neuron(n_inputs, activation, seed=generator, layer=layer, index=j, n_outputs=n_outputs)
            for j in range(n_outputs)
        ]

    def __call__(self, x: Inputs) -> Value | list[Value]:
        a = self.z_and_a(_inputs(x, len(self.neurons[0].w)))[1]
        return a[0] if len(a) == 1 else a

    def z_and_a(self, x: Sequence[Value]) -> tuple[list[Value], list[Value]]:
        """All pre-activations and all activations for the activations `x` of the layer before."""
        pairs = [neuron.z_and_a(x) for neuron in self.neurons]
        return [z for z, _ in pairs], [a for _, a in pairs]

    def parameters(self) -> list[Value]:
        return [w for neuron in self.neurons for w in neuron.w] + [neuron.b for neuron in self.neurons]

    def _outputs_activation(self) -> object:
        return self.neurons[0].activation

    def __repr__(self) -> str:
        first = self.neurons[0]
        return f"Layer({len(first.w)}, {len(self.neurons)}, {printed(first.activation)})"


class MLP(Module):
    """A multi-layer perceptron: `MLP(4, [8, 3])` has 4 inputs, 8 neurons in layer 1 and 3 in layer 2.

    activation         of every layer; see Neuron
    output_activation  of the last layer; None means the same, "linear" means none
    seed               makes the initial weights reproducible

    A call takes one example (a list of numbers or Values; a bare one if n_inputs is 1) and returns the list of the
    last layer's activations, or the Value itself if that layer has one neuron. The last call's pre-activations and
    activations are `net.z[l][j]` and `net.a[l][j]` (003, figure 3: what backpropagation caches); a[0] holds the
    inputs, and z[0] is empty, because layer 0 computes nothing.

    >>> net = MLP(2, [3, 1], seed=0)
    >>> C = (net([0.5, -1.0]) - 1) ** 2
    >>> C.backward()
    >>> net.layers[0].neurons[2].w[1].label, net.a[1][2].label, net.a[2][0] is C.operands[0].operands[0]
    ('w(1)[2,1]', 'a(1)[2]', True)
    """

    def __init__(
        self,
        n_inputs: int,
        layer_sizes: Sequence[int],
        activation: Named = "sigmoid",
        output_activation: Named | None = None,
        seed: Seed = None,
    ) -> None:
        if not isinstance(layer_sizes, (list, tuple)) or not layer_sizes:
            raise ValueError(f"layer_sizes must be a non-empty list such as [8, 3], got {shown(layer_sizes)}")
        self.activation = named(activation)
        self.output_activation = self.activation if output_activation is None else named(output_activation)
        activations = [self.activation] * (len(layer_sizes) - 1) + [self.output_activation]
        generator = generator_of(seed)
        self.layers: list[Layer] = []
        for size, name in zip(layer_sizes, activations):
            self.layers.append(Layer(n_inputs, size, name, seed=generator, layer=len(self.layers) + 1))
            n_inputs = size
        self.z: list[list[Value]] = LastCall()
        self.a: list[list[Value]] = LastCall()

    @property
    def n_inputs(self) -> int:
        return len(self.layers[0].neurons[0].w)

    @property
    def layer_sizes(self) -> list[int]:
        return [len(layer.neurons) for layer in self.layers]

    def __call__(self, x: Inputs) -> Value | list[Value]:
        a = _inputs(x, self.n_inputs)
        self.z, self.a = LastCall(), LastCall()  # the graph of the call before is as large as this one's
        cache_z: list[list[Value]] = LastCall([[]])
        cache_a: list[list[Value]] = LastCall([a])
        for layer in self.layers:
            z, a = layer.z_and_a(a)
            cache_z.append(z)
            cache_a.append(a)
        self.z, self.a = cache_z, cache_a
        return a[0] if len(a) == 1 else a

    def parameters(self) -> list[Value]:
        return [parameter for layer in self.layers for parameter in layer.parameters()]

    def __repr__(self) -> str:
        output = (
            ""
            if self.output_activation == self.activation
            else f", output_activation={printed(self.output_activation)}"
        )
        return f"MLP({self.n_inputs}, {self.layer_sizes}, {printed(self.activation)}{output})"


def listed(numbers: Inputs) -> list[Any]:
    """The numbers or Values as a list; a bare one becomes a list of one. TypeError if they have no order."""
    if isinstance(numbers, (list, tuple)):
        return list(numbers)
    if isinstance(numbers, (Set, Mapping, bytes)):
        raise TypeError(f"expected a list of numbers or Values, got {shown(numbers)}")
    if isinstance(numbers, Value):
        return [numbers]
    if getattr(numbers, "ndim", 1) == 0:  # a NumPy scalar, or the scalar of an array without axes
        return [numbers[()]]  # type: ignore[index]
    if not isinstance(numbers, Iterable):
        return [numbers]
    return list(numbers)


def _inputs(x: Inputs, n: int) -> list[Value]:
    """One example as n Values; plain numbers become Values a(0)[k]."""
    given = listed(x)
    try:
        if len(given) == n:
            return [a if isinstance(a, Value) else Value(a, f"a(0)[{k}]") for k, a in enumerate(given)]
    except TypeError:
        if not _are_rows(given):
            raise
    rows = _are_rows(given)
    got = f"{len(given)} row{'s' * (len(given) != 1)}" if rows else str(len(given))
    many = "; this takes one example: for many use net.predict(X), ts.vectorize or ts.fit" * (rows or n == 1)
    error = TypeError if len(given) == n else ValueError
    raise error(f"an example must have {n} input{'s' * (n != 1)}, got {got}: {shown(x)}{many}")


def _are_rows(given: list[Any]) -> bool:
    """Whether these are several numbers each, as in a list of examples."""
    return any(
        not isinstance(a, (Value, str, bytes)) and hasattr(a, "__len__") and getattr(a, "ndim", 1) for a in given
    )
