"""Losses of one example, and the cost, their mean over examples (003 Eq. 2: one is a *loss*, their mean the *cost*).

A loss takes the outputs `a` and the targets `y`, each a number or Value or a list of them, and returns one Value.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import reduce
from itertools import permutations
from typing import TYPE_CHECKING, Any, NamedTuple

from tinygrad_scalar.engine import Value, record
from tinygrad_scalar.engine.errors import TraceError, shown
from tinygrad_scalar.engine.graph import is_bare_number
from tinygrad_scalar.engine.number import as_float, required
from tinygrad_scalar.functions import (
    greater,
    guard,
    logaddexp,
    lookup,
    maximum,
    relu,
    softplus,
    where,
    xlogy,
)
from tinygrad_scalar.nn.mlp import listed
from tinygrad_scalar.screen import quoted

if TYPE_CHECKING:
    from tinygrad_scalar.engine.number import Number

    Scalar = Value | Number
    Outputs = Scalar | Iterable[Scalar]
    LossFunction = Callable[[Any, Any], Value]


def squared_error(a: Outputs, y: Outputs) -> Value:
    """Σⱼ (aⱼ − yⱼ)² (000, multi-node; 003 Eq. 2a for one example).

    >>> squared_error([Value(0.5), Value(1.0)], [0, 1]).data
    0.25
    """
    return _sum((a_j - y_j) ** 2 for a_j, y_j in _pairs(a, y))


def absolute_error(a: Outputs, y: Outputs) -> Value:
    """Σⱼ |aⱼ − yⱼ| (003 Eq. 2b for one example).

    >>> absolute_error([Value(0.5), Value(1.0)], [0, 3]).data
    2.5
    """
    return _sum(abs(a_j - y_j) for a_j, y_j in _pairs(a, y))


def binary_cross_entropy(a: Outputs, y: Outputs) -> Value:
    """−Σⱼ [yⱼ log aⱼ + (1 − yⱼ) log(1 − aⱼ)] for probabilities aⱼ and targets from 0 to 1 (003 Eq. 2c for one example).

    If aⱼ is σ(z), 1/(1 + e⁻ᶻ) or 1 minus one of these, the logarithms and slopes are computed from z. So
    ∂/∂aⱼ = (1 − yⱼ)/(1 − aⱼ) − yⱼ/aⱼ and ∂/∂z = σ(z) − yⱼ however far the sigmoid has saturated, where 1 − aⱼ has lost
    its digits. Beyond |z| = 354 the former is too large to multiply by; then z gets its gradient directly and aⱼ none.

    The loss of any other aⱼ stays finite: in the logarithms aⱼ is at least 2e-308 and 1 − aⱼ at least 6e-17. Where that
    limit is reached, at a probability of exactly 0 or 1, its slope is 0: nothing is learnt from that output.

    >>> round(binary_cross_entropy(Value(0.25), 1).data, 4)  # −log ¼
    1.3863
    >>> z = Value(40.0)
    >>> a = z.sigmoid()
    >>> binary_cross_entropy(a, 0).backward()
    >>> z.grad, a.grad  # σ(z) − y, and 1/(1 − a), though a is 1.0
    (1.0, 2.3538526683702e+17)
    """
    triples = [(a_j, _log_odds(a_j), y_j) for a_j, y_j in _pairs(a, y)]
    for a_j, z_j, y_j in triples:
        if z_j is None:  # a sigmoid is never outside
            guard(a_j, _no_probability, _no_output)
        guard(y_j, _no_probability, _no_target)
    return _sum(_entropy(*triple) for triple in triples)


def _entropy(a: Value, z: Value | None, y: Any) -> Value:
    if z is not None:
        return record("binary cross-entropy", a, z, y)
    loss: Value = -(y * maximum(a, _LEAST).log() + (1 - y) * maximum(1 - a, _LEAST_BELOW_ONE).log())
    return loss


def _log_odds(a: Value) -> Value | None:
    """The z of a = σ(z), 1/(1 + e⁻ᶻ), or 1 minus one of these; None if a is none of them."""
    turned = False
    while a.op == "-" and _is_one(a.operands[0]):
        a, turned = a.operands[1], not turned
    if a.op == "sigmoid":
        z = a.operands[0]
    elif a.op == "**-1" or (a.op == "/" and _is_one(a.operands[0])):
        below = a.operands[-1]
        exps = [x for x, other in permutations(below.operands, 2) if x.op == "exp" and _is_one(other)]
        if not exps or below.op != "+":
            return None
        z, turned = exps[0].operands[0], not turned
    else:
        return None
    return -z if turned else z


def _is_one(value: Value) -> bool:
    """Whether it is the plain number 1 of a formula; any other Value of 1 can be set."""
    return is_bare_number(value) and value.data == 1.0


def _no_probability(number: Any) -> Any:
    return (number < 0.0) | (number > 1.0)


def _no_target(number: float) -> str:
    return f"binary_cross_entropy targets must be from 0 to 1, got {number!r}"


def _no_output(number: float) -> str:
    return (
        f"binary_cross_entropy outputs must be from 0 to 1, got {number!r}; "
        "make the last layer with output_activation='sigmoid'"
    )


_LEAST = sys.float_info.min
_LEAST_BELOW_ONE = sys.float_info.epsilon / 4  # half the distance from 1 to the largest float64 below it


def cross_entropy(logits: Iterable[Scalar], index: int | Value) -> Value:
    """−log softmax(logits)[index] = log Σⱼ exp(logitⱼ) − logit_index, where `index` is the class, counted from 0.

    Logits come from a last layer with output_activation="linear". Nothing overflows, however large they are. Warns if
    all of them are outputs of sigmoid or tanh: bounded logits can never give a probability near 1.

    >>> round(cross_entropy([Value(1.0), Value(1.0)], 0).data, 4)  # log 2
    0.6931
    """
    given = listed(logits)
    if len(given) < 2:
        raise ValueError(
            f"cross_entropy needs at least two logits, got {len(given)}; for one output use binary_cross_entropy"
        )
    values = [_value(logit) for logit in given]
    activations = {value.op for value in values}
    if activations in ({"sigmoid"}, {"tanh"}):
        warnings.warn(
            f"cross_entropy expects logits but got {activations.pop()} outputs; bounded logits can never give a "
            "probability near 1: make the last layer with output_activation='linear'",
            stacklevel=2,
        )
    try:
        chosen = lookup(values, index)
    except TraceError:
        raise
    except TypeError:
        raise TypeError(
            f"cross_entropy needs the class as an integer, got {shown(index)}{_way_to_class(index)}"
        ) from None
    except ValueError:
        number = f"{index:g}" if isinstance(index, Value) else quoted(index)
        raise ValueError(
            f"the class must be from 0 to {len(given) - 1} for {len(given)} logits, got {number}"
        ) from None
    total: Value = reduce(logaddexp, values) - chosen
    return total


def _way_to_class(index: Any) -> str:
    """What to do about a class that is not an integer."""
    is_row = isinstance(index, (list, tuple)) or bool(getattr(index, "ndim", 0))
    if is_row and len(index) != 1:
        return "; convert one-hot targets with np.argmax(Y, axis=-1)"
    number = index[0] if is_row else index
    number = None if isinstance(number, Value) else as_float(number)
    if number is not None and not number.is_integer():
        return "; classes are whole numbers, counted from 0: for targets between them use squared_error"
    if is_row:
        return "; convert whole numbers in an array of shape (m, 1) with Y[:, 0].astype(int)"
    return "" if number is None else "; convert an array of whole numbers with .astype(int)"


def hinge(a: Outputs, y: Outputs) -> Value:
    """Σⱼ max(0, 1 − yⱼ aⱼ) for targets yⱼ of −1 or +1: the margin loss of support-vector machines.

    >>> hinge(Value(0.25), -1).data
    1.25
    """
    pairs = _pairs(a, y)
    for _, y_j in pairs:
        guard(y_j, _no_sign, _no_hinge_target)
    return _sum(relu(1 - y_j * a_j) for a_j, y_j in pairs)


def _no_sign(number: Any) -> Any:
    return abs(number) != 1.0


def _no_hinge_target(number: float) -> str:
    return f"hinge targets must be −1 or +1, got {number!r}"


def binary_cross_entropy_with_logits(a: Outputs, y: Outputs) -> Value:
    """−Σⱼ [yⱼ log σ(aⱼ) + (1 − yⱼ) log(1 − σ(aⱼ))] for logits aⱼ of any size and targets from 0 to 1.

    It is `binary_cross_entropy` of σ(aⱼ), computed as (1 − yⱼ) softplus(aⱼ) + yⱼ softplus(−aⱼ), so that nothing
    overflows and ∂/∂aⱼ = σ(aⱼ) − yⱼ keeps its digits. A last layer for it has output_activation="linear".

    >>> z = Value(-800.0)
    >>> C = binary_cross_entropy_with_logits(z, 1)
    >>> C.backward()
    >>> C.data, z.grad
    (800.0, -1.0)
    """
    pairs = _pairs(a, y)
    for _, y_j in pairs:
        guard(y_j, _no_probability, _no_target_of_logits)
    return _sum((1 - y_j) * softplus(z_j) + y_j * softplus(-z_j) for z_j, y_j in pairs)


def _no_target_of_logits(number: float) -> str:
    return f"binary_cross_entropy_with_logits targets must be from 0 to 1, got {number!r}"


def huber(a: Outputs, y: Outputs, delta: float = 1.0) -> Value:
    """Σⱼ ½ eⱼ² where |eⱼ| ≤ delta, else delta·(|eⱼ| − ½ delta), with eⱼ = aⱼ − yⱼ (Huber 1964).

    Near its target an output is pulled as by a squared error, far away by no more than `delta`, a positive number.

    >>> huber([Value(0.5), Value(3.0)], [0, 0]).data
    2.625
    """
    threshold = required(delta, "the delta of huber")
    if not threshold > 0.0:
        raise ValueError(f"the delta of huber must be positive, got {delta!r}")
    return _sum(_huber(abs(a_j - y_j), threshold) for a_j, y_j in _pairs(a, y))


def _huber(size: Value, delta: float) -> Value:
    far = greater(size, delta)
    near = where(far, delta, size)  # its square does not overflow where it is not used
    return where(far, delta * (size - 0.5 * delta), 0.5 * near * near)


def kl_divergence(a: Outputs, y: Outputs) -> Value:
    """Σⱼ yⱼ log(yⱼ/aⱼ), the Kullback–Leibler divergence of the distribution y from the distribution a.

    Both are probabilities; where yⱼ is 0, its term is 0, as is its gradient, and where only aⱼ is 0, it is infinite.

    >>> round(kl_divergence([Value(0.25), Value(0.75)], [0.5, 0.5]).data, 4)
    0.1438
    """
    pairs = _pairs(a, y)
    for a_j, y_j in pairs:
        guard(a_j, _no_probability, _no_divergence_output)
        guard(y_j, _no_probability, _no_divergence_target)
    return _sum(_divergence(a_j, y_j) for a_j, y_j in pairs)


def _divergence(a: Value, y: Scalar) -> Value:
    # Where y is 0, a may be 0 too, and its gradient must not become 0/0.
    counted = where(y, a, 1.0) if isinstance(y, Value) else a if y != 0.0 else 1.0
    return _value(xlogy(y, y)) - xlogy(y, counted)


def _no_divergence_output(number: float) -> str:
    return f"kl_divergence outputs must be from 0 to 1, got {number!r}"


def _no_divergence_target(number: float) -> str:
    return f"kl_divergence targets must be from 0 to 1, got {number!r}"


class Loss(NamedTuple):
    """A row of LOSSES; calling it calls its function.

    function           (a, y) -> Value, the loss of one example
    output_activation  of the last layer, where each output stands for a class
    off_and_on         for classes: the target of a wrong class's output and of the right one's; if None, y is an index
    of_numbers         whether it also fits outputs that are numbers, with a linear last layer
    in_one_output      whether one output can tell two classes apart
    """

    function: LossFunction
    output_activation: str
    off_and_on: tuple[float, float] | None
    of_numbers: bool = False
    in_one_output: bool = False

    def __call__(self, a: Any, y: Any) -> Value:
        return self.function(a, y)


# A new loss is a function and its row here.
LOSSES: dict[str, Loss] = {
    "squared_error": Loss(squared_error, "sigmoid", (0.0, 1.0), of_numbers=True),
    "absolute_error": Loss(absolute_error, "sigmoid", (0.0, 1.0), of_numbers=True),
    "binary_cross_entropy": Loss(binary_cross_entropy, "sigmoid", (0.0, 1.0), in_one_output=True),
    "cross_entropy": Loss(cross_entropy, "linear", None),
    "hinge": Loss(hinge, "linear", (-1.0, 1.0), in_one_output=True),
    "binary_cross_entropy_with_logits": Loss(
        binary_cross_entropy_with_logits, "linear", (0.0, 1.0), in_one_output=True
    ),
    "huber": Loss(huber, "sigmoid", (0.0, 1.0), of_numbers=True),
    "kl_divergence": Loss(kl_divergence, "sigmoid", (0.0, 1.0)),
}


def find_loss(loss: str | LossFunction) -> LossFunction:
    """The loss function itself, or the one of that name."""
    if callable(loss):
        return loss
    if not isinstance(loss, str) or loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, or a function (a, y) -> Value; got {shown(loss)}")
    return LOSSES[loss].function


def row_of(evaluate: LossFunction) -> tuple[str, Loss] | None:
    """The name and the row of one of our losses; None for another function."""
    return next(((name, row) for name, row in LOSSES.items() if evaluate is row or evaluate is row.function), None)


def cost(loss: str | LossFunction, outputs: Sequence[Any], targets: Sequence[Any]) -> Value:
    """The mean of `loss` over examples: C = 1/m Σᵢ loss(outputs[i], targets[i]) (001, average cost; 003 Eq. 2).

    >>> cost(squared_error, [Value(1.0), Value(3.0)], [0, 0]).data
    5.0
    """
    for examples in (outputs, targets):
        if not hasattr(examples, "__len__") or isinstance(examples, (Set, Mapping)):
            raise TypeError(f"cost needs lists of all examples' outputs and targets, got {shown(examples)}")
    if len(outputs) != len(targets) or not len(outputs):
        raise ValueError(
            f"cost needs at least one output, and one target per output; got {len(outputs)} and {len(targets)}"
        )
    evaluate = find_loss(loss)
    return _sum(evaluate(a, y) for a, y in zip(outputs, targets)) / len(outputs)


def _sum(values: Iterable[Value]) -> Value:
    first, *others = values
    total = first
    for value in others:
        total = total + value
    return total


def _value(number: Scalar) -> Value:
    return number if isinstance(number, Value) else Value(number)


def _pairs(a: Outputs, y: Outputs) -> list[tuple[Value, Any]]:
    outputs, targets = listed(a), listed(y)
    if len(outputs) != len(targets) or not outputs:
        raise ValueError(
            f"a loss needs at least one output, and one target per output; got {len(outputs)} and {len(targets)}"
        )
    return [
        (_value(a_j), y_j if isinstance(y_j, Value) else required(y_j, "a target"))
        for a_j, y_j in zip(outputs, targets)
    ]
