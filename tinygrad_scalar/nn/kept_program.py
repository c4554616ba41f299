"""The array programs that `fit` derives from a network, kept with it, so that the next training begins at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MemberDescriptorType, MethodType
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import TraceError
from tinygrad_scalar.engine.tracing import LastCall
from tinygrad_scalar.vectorize import vectorize
from tinygrad_scalar.vectorize.cached_property import cached_property

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.engine.bulk import Array
    from tinygrad_scalar.vectorize.vectorized import Vectorized

KEPT = "_programs"  # the attribute that holds them
CLASS_NAMES, INPUT_NAMES = "_class_names", "_input_names"  # attributes on which no program depends
PIECE = 1024  # examples that an array program takes at once: memory stays small however many there are


class Keeping:
    """A network with attributes of its own, which keeps its programs in one of them; its copies do not."""

    def __getstate__(self) -> dict[str, Any]:
        parts = ((name, part) for name, part in vars(self).items() if name != KEPT)
        return {name: [] if isinstance(part, LastCall) else part for name, part in parts}

    def __call__(self, x: Any, /) -> Any:
        raise NotImplementedError

    def parameters(self) -> list[Value]:
        raise NotImplementedError


class Programs:
    """The programs of one network, loss and list of parameters: `cost` for training, `outputs` for metrics.

    With `weighted`, cost takes a third argument, the weight of each example.
    """

    def __init__(
        self, net: Any, evaluate: Callable[[Any, Any], Value] | None, parameters: Sequence[Value], weighted: bool
    ) -> None:
        self.net, self._evaluate, self._parameters, self._weighted = net, evaluate, parameters, weighted

    @cached_property
    def cost(self) -> Vectorized:
        net, evaluate = self.net, self._evaluate
        assert evaluate is not None
        if self._weighted:
            return vectorize(lambda x, y, weight: weight * evaluate(net(x), y), self._parameters)
        return vectorize(lambda x, y: evaluate(net(x), y), self._parameters)

    @cached_property
    def outputs(self) -> Vectorized:
        net = self.net
        return vectorize(lambda x: net(x), self._parameters)

    def are_of(self, net: Keeping) -> bool:
        """Whether these are programs of that, with its parts and the numbers in lists and arrays as they are now."""
        derived = [vars(self)[name] for name in ("cost", "outputs") if name in vars(self)]
        return (
            type(self.net) is type(net)
            and _parts(self.net) == _parts(net)
            and all(program.numbers_held() for program in derived)
        )

    def forget_last_call(self) -> None:
        """Let go of the graph that the function's last run left in the twin of the network."""
        parts = vars(self.net)
        parts.update({name: LastCall() for name, part in parts.items() if isinstance(part, LastCall)})

    def are_for(self, evaluate: Callable[[Any, Any], Value], parameters: Sequence[Value], weighted: bool) -> bool:
        """Whether `cost` is that of this loss and has the gradient of these parameters."""
        return (
            _is_same_function(self._evaluate, evaluate)
            and self._weighted == weighted
            and len(self._parameters) == len(parameters)
            and all(own is other for own, other in zip(self._parameters, parameters))
        )


def kept_programs(
    net: Any,
    evaluate: Callable[[Any, Any], Value],
    parameters: Sequence[Value],
    weighted: bool,
    first: Callable[[], list[Array]],
) -> Programs:
    """The programs kept with `net` if they are of this loss and these parameters, else new ones, which are kept.

    They are run once, on the arguments `first`, which raises a TraceError if there is no array program. What the
    programs read, such as the network's layers, they check themselves at every call, all but numbers in lists and
    arrays.
    """
    if not isinstance(net, Keeping) or _has_slots(net):  # what it is made of cannot be known
        programs = Programs(net, evaluate, list(parameters), weighted)
        programs.cost.value(*first())
        return programs
    kept = vars(net).get(KEPT)
    if not isinstance(kept, Programs) or not kept.are_of(net) or not kept.are_for(evaluate, parameters, weighted):
        kept = Programs(_twin(net), evaluate, list(parameters), weighted)
    kept.cost.value(*first())
    vars(net)[KEPT] = kept
    return kept


def predicted(net: Keeping, X: Array) -> NDArray[Any]:
    """The network's outputs for each row of X, shape (m,) or (m, k); by the engine where there is no array program."""
    twin = net if _has_slots(net) else _twin(net)
    twin(X[0].tolist())  # an input that does not fit is an error of the network
    kept = vars(net).get(KEPT)
    if not isinstance(kept, Programs) or not kept.are_of(net):
        kept = Programs(twin, None, net.parameters(), False)
    try:
        outputs = in_pieces(kept.outputs, X)
    except TraceError:
        return engine_outputs(net, X)
    if twin is not net:
        kept.forget_last_call()
        vars(net)[KEPT] = kept
    return outputs


def in_pieces(run: Vectorized, X: Array) -> NDArray[Any]:
    """The values of all examples, a piece at a time."""
    import numpy as np

    values: NDArray[Any] = np.concatenate([run.values(X[start : start + PIECE]) for start in range(0, len(X), PIECE)])
    return values


def engine_outputs(net: Any, X: Sequence[Any] | Array) -> NDArray[Any]:
    """The outputs of a network that is called with one example after the other."""
    import numpy as np

    rows = X.tolist() if isinstance(X, np.ndarray) else X
    found = [net(x) for x in rows]
    return np.array([[a.data for a in out] if isinstance(out, (list, tuple)) else out.data for out in found])


def _twin(net: Keeping) -> Any:
    """A network of the same parts: the programs hold it in place of `net`, which holds them, lest there be a cycle."""
    twin = object.__new__(type(net))
    vars(twin).update((name, part) for name, part in vars(net).items() if name not in (KEPT, CLASS_NAMES, INPUT_NAMES))
    return twin


def _has_slots(net: Keeping) -> bool:
    """Whether it has attributes that are not in its __dict__."""
    return any(isinstance(held, MemberDescriptorType) for base in type(net).__mro__ for held in vars(base).values())


def _parts(net: Any) -> dict[str, int]:
    """The parts that a network is made of, by identity."""
    others = (KEPT, CLASS_NAMES, INPUT_NAMES)
    return {name: id(part) for name, part in vars(net).items() if name not in others and not isinstance(part, LastCall)}


def _is_same_function(one: object, other: object) -> bool:
    """Whether two functions are one; a method is made anew each time. Equal objects can still compute other things."""
    if isinstance(one, MethodType) and isinstance(other, MethodType):
        return one.__func__ is other.__func__ and one.__self__ is other.__self__
    return one is other
