"""`Value`: one number that remembers how it was computed. Read this file first.

Every operation makes a node that holds its result, its operands and its *local gradients*, ∂result/∂operand, which
are known the moment the result is (000 Eq. 4 to 6). `backward()` then needs one rule, the chain rule (000 Eq. 3): a
node passes *local gradient × upstream gradient* to each operand, and where several paths meet, their contributions add
up (000, multi-node, last).

`+` and `*` are written out, because networks are made of them; all else comes from the table in `ops.py`. A pair of
operands sits in two slots, not in a tuple: nothing to allocate, nothing for the garbage collector to visit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine import anomaly, errors, groups, numpy_names, observers, ops, pickling, tracing
from tinygrad_scalar.engine.graph import contribution, interior, require_fresh, topological_order, zeroed
from tinygrad_scalar.engine.number import as_float, required

if TYPE_CHECKING:
    from tinygrad_scalar.engine.number import Number

_new = object.__new__

# The time of the last change to any leaf. A node notes when it was computed, a leaf when it was set; an operand newer
# than its node makes a graph stale. It is never set through a function call, during which another thread could run.
_clock = 1
_last_set = 1  # that of a leaf that was there before: what is up to date stays so until this changes, see recording.py


def _unary(name: str) -> Callable[[Value], Value]:
    """The method that applies the operation `name` of the table to a Value."""
    row = ops.OPERATIONS[name]
    return ops.described(lambda self: _record(row, self), row)


def _binary(name: str, called: str = "") -> Callable[[Value, Value | Number], Value]:
    row = ops.OPERATIONS[name]

    def method(self: Value, other: Value | Number) -> Value:
        return _record(row, self, other if isinstance(other, Value) else _constant(other, called or name))

    return ops.described(method, row)


class Value:
    """A scalar in a computation graph: `.data`, and after `backward()` its gradient `.grad`.

    Value(data, label="") is a leaf. `data` is an int, a float or a NumPy scalar and is kept as a float64; anything
    else is a TypeError. `label` is the name that drawings and explanations use, kept as a plain str.

    >>> w, a, b = Value(0.5), Value(2.0), Value(-1.0)
    >>> z = w * a + b
    >>> z.backward()
    >>> z.data, w.grad, a.grad, b.grad
    (0.0, 2.0, 0.5, 1.0)

    Arithmetic follows IEEE 754 and never raises: Value(1.0) / 0.0 is inf (see `detect_anomaly`). `<` and its kin
    compare the data; `==` and hash go by identity. Operations on a subclass, and its copies, are plain Values.

    Threads: each can build its own graphs and run passes over them, even with leaves that all share. Two passes at once
    over the same computed nodes are not safe, nor is setting a shared leaf during one. If two threads call backward()
    into the same leaf, hold a lock around the calls.
    """

    __slots__ = (
        "_data", "_grad", "_label", "_op",
        "_left", "_right", "_d_left", "_d_right",  # one or two operands and the local gradients with respect to them
        "_wide",  # of three or more operands, or two of a piecewise row, all but _left: ((operand, local gradient), …)
        "_time", "_mark",
    )  # fmt: skip

    _left: Any
    _right: Any
    _d_left: float
    _d_right: float
    _wide: tuple[tuple[Value, float], ...]

    # NumPy's scalars leave `np.float64(2) * v` to us; its arrays take `array * v` apart element by element.
    __array_priority__ = -1.0

    def __init__(self, data: Number, label: str = "") -> None:
        global _clock, _last_set
        if getattr(self, "_op", ""):
            raise errors.computed(self)
        number = required(data, "data")
        self.label = label
        _clock += 1  # made again, it makes nodes computed from it stale; new, it can stand where another stood
        _last_set = _clock if hasattr(self, "_op") else _last_set
        self._data = number
        self._grad = 0.0
        self._op = ""
        self._left = self._right = None
        self._wide = ()
        self._time = _clock
        self._mark: object = None  # the last walk that visited it, see graph.py

    # --- what a node holds -------------------------------------------------------------------------------------------

    @property
    def data(self) -> float:
        """The number. Only a leaf's can be set; values computed from it are then stale until `forward()`."""
        if tracing.active:
            tracing.forbid(self, "data")
        return self._data

    @data.setter
    def data(self, data: Number) -> None:
        global _clock, _last_set
        if self._op:
            raise errors.computed(self)
        if tracing.active:
            tracing.forbid(self, "set")
        number = required(data, "data")
        _clock += 1
        self._time = _last_set = _clock
        self._data = number

    @property
    def grad(self) -> float:
        """∂root/∂self after `root.backward()`. On a leaf the passes add up until `zero_grad()`."""
        if tracing.active:
            tracing.forbid(self, "gradient")
        return self._grad

    @grad.setter
    def grad(self, grad: Number) -> None:
        self._grad = required(grad, "grad")

    @property
    def label(self) -> str:
        """The name that drawings and explanations use; "" for none."""
        return str(self._label)

    @label.setter
    def label(self, label: str) -> None:
        if not isinstance(label, str):
            raise TypeError(f"a Value's label must be a str, got {errors.shown(label)}")
        self._label = groups.relabelled(getattr(self, "_label", ""), label)

    @property
    def op(self) -> str:
        """The operation that made this node, a name of the table in ops.py; "" for a leaf."""
        return self._op

    @property
    def operands(self) -> tuple[Value, ...]:
        """The nodes it was computed from, in the operation's order; () for a leaf."""
        if self._right is not None:
            return (self._left, self._right)
        if self._left is not None:
            return (self._left, *(operand for operand, _ in self._wide))
        return ()

    @property
    def local_grads(self) -> tuple[float, ...]:
        """∂self/∂operand for each of `operands`."""
        if tracing.active:
            tracing.forbid(self, "gradient")
        if self._right is not None:
            return (self._d_left, self._d_right)
        if self._left is not None:
            return (self._d_left, *(local_grad for _, local_grad in self._wide))
        return ()

    @property
    def _prev(self) -> set[Value]:
        """The operands, under micrograd's name for them."""
        return set(self.operands)

    def __repr__(self) -> str:
        if tracing.active:
            tracing.forbid(self, "text")
        label = f", label={self.label!r}" if self.label else ""
        return f"Value(data={self._data!r}, grad={self._grad!r}{label})"

    def __format__(self, spec: str) -> str:
        return format(self.data, spec) if spec else repr(self)

    # --- the operators -----------------------------------------------------------------------------------------------

    def __add__(self, other: Value | Number) -> Value:
        right = other if isinstance(other, Value) else _constant(other)
        if right is NotImplemented:
            return NotImplemented
        out = _new(Value)
        out._data = self._data + right._data
        out._grad = 0.0
        out._label = ""
        out._op = "+"
        out._left = self
        out._right = right
        out._d_left = out._d_right = 1.0  # ∂(x + y)/∂x and ∂(x + y)/∂y
        out._time = _clock
        out._mark = None
        if observers.active:
            observers.tell(out)
        return out

    def __mul__(self, other: Value | Number) -> Value:
        right = other if isinstance(other, Value) else _constant(other)
        if right is NotImplemented:
            return NotImplemented
        out = _new(Value)
        out._data = (x := self._data) * (y := right._data)
        out._grad = 0.0
        out._label = ""
        out._op = "*"
        out._left = self
        out._right = right
        out._d_left = y  # ∂(x·y)/∂x
        out._d_right = x  # ∂(x·y)/∂y
        out._time = _clock
        out._mark = None
        if observers.active:
            observers.tell(out)
        return out

    def __sub__(self, other: Value | Number) -> Value:
        right = other if isinstance(other, Value) else _constant(other)
        return right if right is NotImplemented else _record(_SUBTRACT, self, right)

    def __truediv__(self, other: Value | Number) -> Value:
        right = other if isinstance(other, Value) else _constant(other)
        return right if right is NotImplemented else _record(_DIVIDE, self, right)

    def __pow__(self, other: Value | Number, modulo: None = None) -> Value:
        if modulo is not None:
            return NotImplemented
        if isinstance(other, Value):
            return _record(_POWER, self, other)
        exponent = as_float(other)
        return NotImplemented if exponent is None else _record(ops.constant_power(exponent), self)

    def __radd__(self, other: Number) -> Value:
        left = _constant(other)
        return left if left is NotImplemented else left + self

    def __rsub__(self, other: Number) -> Value:
        left = _constant(other)
        return left if left is NotImplemented else left - self

    def __rmul__(self, other: Number) -> Value:
        left = _constant(other)
        return left if left is NotImplemented else left * self

    def __rtruediv__(self, other: Number) -> Value:
        left = _constant(other)
        return left if left is NotImplemented else left / self

    def __rpow__(self, other: Number, modulo: None = None) -> Value:
        left = _constant(other) if modulo is None else NotImplemented
        return left if left is NotImplemented else _record(_POWER, left, self)

    def __neg__(self) -> Value:
        return _record(_NEGATE, self)

    def __pos__(self) -> Value:
        return self

    def __abs__(self) -> Value:
        return _record(_ABSOLUTE, self)

    # --- elementary functions; NumPy finds them by these names in object arrays --------------------------------------

    exp, expm1, exp2, log, log1p, log2, log10 = map(_unary, ["exp", "expm1", "exp2", "log", "log1p", "log2", "log10"])
    sqrt, cbrt, erf, floor, ceil, sign = map(_unary, ["sqrt", "cbrt", "erf", "floor", "ceil", "sign"])
    sin, cos, tan, sinh, cosh, tanh = map(_unary, ["sin", "cos", "tan", "sinh", "cosh", "tanh"])
    asin, acos, atan, asinh, acosh, atanh = map(_unary, ["asin", "acos", "atan", "asinh", "acosh", "atanh"])
    sigmoid, relu, softplus, gelu, silu = map(_unary, ["sigmoid", "relu", "softplus", "gelu", "silu"])
    elu, selu, mish, hardtanh, softsign = map(_unary, ["elu", "selu", "mish", "hardtanh", "softsign"])
    atan2, hypot, xlogy = map(_binary, ["atan2", "hypot", "xlogy"])
    arcsin, arccos, arctan, arcsinh, arccosh, arctanh, arctan2 = asin, acos, atan, asinh, acosh, atanh, atan2
    __floor__, __ceil__ = floor, ceil
    _at_least, _at_most = _binary("maximum", "clip"), _binary("minimum", "clip")
    _mask = property(errors.without_mask)  # which numpy.ma reads
    conjugate, fabs, rint, fmod, __trunc__ = numpy_names.METHODS
    deg2rad, rad2deg = radians, degrees = numpy_names.ANGLES
    __mod__, __floordiv__ = __rmod__, __rfloordiv__ = numpy_names.REMAINDERS

    def leaky_relu(self, slope: float = 0.01) -> Value:
        """max(x, 0) + slope·min(x, 0), where x is this Value; `slope` is a plain number."""
        return _record(ops.leaky_relu(slope), self)

    def clip(self, low: Value | Number, high: Value | Number) -> Value:
        """min(max(x, low), high), where x is this Value."""
        return self._at_least(low)._at_most(high)

    @staticmethod
    def _recorded(name: str, *operands: Value | Number) -> Value:
        return record(name, *operands)

    # --- reading the number: order, truth, and what would lose the gradient ------------------------------------------

    def __lt__(self, other: Value | Number) -> bool:
        number = _number(self, other)
        return NotImplemented if number is None else self._data < number

    def __le__(self, other: Value | Number) -> bool:
        number = _number(self, other)
        return NotImplemented if number is None else self._data <= number

    def __gt__(self, other: Value | Number) -> bool:
        number = _number(self, other)
        return NotImplemented if number is None else self._data > number

    def __ge__(self, other: Value | Number) -> bool:
        number = _number(self, other)
        return NotImplemented if number is None else self._data >= number

    def __bool__(self) -> bool:
        if tracing.active:
            tracing.forbid(self, "truth")
        return self._data != 0.0

    def __float__(self) -> float:
        tracing.forbid(self, "float")
        raise errors.loss_of_gradient(self, "float")

    def __int__(self) -> int:
        tracing.forbid(self, "int")
        raise errors.loss_of_gradient(self, "int")

    def __round__(self, digits: int | None = None) -> float:
        tracing.forbid(self, "round")
        raise errors.loss_of_gradient(self, "round")

    # --- the passes over the graph -----------------------------------------------------------------------------------

    def backward(self, grad: float = 1.0) -> None:
        """Differentiate this node: afterwards each node n below it has n.grad = ∂self/∂n · `grad`.

        A leaf adds this to its `.grad` (call it twice and leaf gradients double); other nodes hold this
        pass's gradient alone. Raises StaleGraphError, before anything has changed, if a leaf was set after the graph
        was computed. The formula is the chain rule, 000 Eq. 3 and 8, summed over paths as in 000's multi-node section.

        >>> x = Value(3.0)
        >>> (x * x).backward()
        >>> x.grad
        6.0
        """
        upstream = required(grad, "the upstream gradient")
        tracing.forbid(self, "gradient")
        order = interior(self)
        require_fresh(order, _clock)
        if anomaly.watching:
            anomaly.require_finite_gradients(self, order, upstream)
        reached = zeroed(order)
        self._grad += upstream
        for node in reversed(reached):
            upstream = node._grad
            right = node._right
            if right is not None:
                node._left._grad += node._d_left * upstream
                right._grad += node._d_right * upstream
            elif node._wide or upstream - upstream:  # or infinite or nan
                for operand, local_grad in zip(node.operands, node.local_grads):
                    operand._grad += contribution(node._op, local_grad, upstream)
            else:
                node._left._grad += node._d_left * upstream

    def forward(self) -> Value:
        """Recompute every node of this graph that depends on a leaf set since; returns this node.

        >>> x = Value(3.0)
        >>> y = x * x
        >>> x.data = 5.0
        >>> y.forward().data
        25.0
        """
        global _clock
        order = interior(self)
        # Later than every node, even one computed after the leaf was set but from an operand not yet recomputed: it is
        # now older than its operand, and so comes next.
        now = _clock + 1
        for node in order:
            operands = node.operands
            if any(operand._time > node._time for operand in operands):
                if _clock < now:  # a leaf that is set while this computes is newer
                    _clock = now
                _compute(node, ops.operation(node._op), operands)
                if anomaly.watching:
                    anomaly.watch(node)
                node._time = now  # not before: what an interruption leaves undone stays stale
        return self

    def zero_grad(self) -> None:
        """Set the gradient of this node and of every node below it to 0."""
        for node in topological_order(self):
            node._grad = 0.0

    # --- copying and pickling, at any depth --------------------------------------------------------------------------

    def __copy__(self) -> Value:
        return _restore(None, self._state(), self.operands)

    def __deepcopy__(self, memo: dict[int, Any]) -> Value:
        for node in topological_order(self):
            if id(node) not in memo:
                operands = tuple(memo[id(operand)] for operand in node.operands)
                memo[id(node)] = _restore(None, node._state(), operands)
        copied: Value = memo[id(self)]
        return copied

    def __reduce__(self) -> tuple[Any, ...]:
        below = pickling.ancestors(self, topological_order)
        return _restore, (below, self._state(), self.operands)

    def _state(self) -> tuple[Any, ...]:
        tracing.forbid(self, "copy")
        return pickling.saved(self._op), self._data, self._grad, self._label, self._time, self.local_grads


def _restore(below: object, state: tuple[Any, ...], operands: tuple[Value, ...]) -> Value:
    """A node as it was saved; `below` only makes pickle save the nodes below it first."""
    global _clock
    out = _new(Value)
    out._left = out._right = out._mark = None
    out._wide = ()
    out._op, out._data, out._grad, out.label, out._time, local_grads = pickling.restored(state)
    _clock = max(_clock, out._time) + 1
    if out._op:
        _hold(out, ops.operation(out._op), operands, local_grads)
    return out


# --- making nodes ----------------------------------------------------------------------------------------------------


def _number(compared: Value, thing: object) -> float | None:
    """The number that `compared` is compared with."""
    if tracing.active:
        tracing.forbid(compared, "order")
        if isinstance(thing, Value):
            tracing.forbid(thing, "order")
    return thing._data if isinstance(thing, Value) else as_float(thing)


def _constant(number: object, function: str = "") -> Any:
    """A leaf for a plain number in an expression, or NotImplemented, for which Python raises its usual TypeError."""
    data = as_float(number)
    if data is None:
        if function:
            raise errors.wrong_operand(function, number)
        return NotImplemented
    out = _new(Value)
    out._data = data
    out._grad = 0.0
    out._label = out._op = ""
    out._left = out._right = None
    out._wide = ()
    out._time = -1  # never set: a part of the formula, see is_bare_number in graph.py
    out._mark = None
    return out


def _record(row: ops.Operation, *operands: Value) -> Value:
    """The node that applies one row of the table to its operands."""
    out = _new(Value)
    out._grad = 0.0
    out._label = ""
    out._op = row.name
    out._time = _clock
    out._mark = None
    _compute(out, row, operands)
    if observers.active:
        observers.tell(out)
    return out


def _compute(node: Value, row: ops.Operation, operands: tuple[Value, ...]) -> None:
    numbers = [operand._data for operand in operands]
    node._data = data = row.forward(*numbers)
    _hold(node, row, operands, row.local_grads(data, *numbers))


def _hold(node: Value, row: ops.Operation, operands: tuple[Value, ...], local_grads: tuple[float, ...]) -> None:
    node._right = None
    node._wide = ()
    node._left, node._d_left = operands[0], local_grads[0]
    if len(operands) == 2 and not row.piecewise:
        node._right, node._d_right = operands[1], local_grads[1]
    else:
        node._wide = tuple(zip(operands[1:], local_grads[1:]))


_SUBTRACT, _DIVIDE, _POWER, _NEGATE, _ABSOLUTE = (ops.OPERATIONS[name] for name in ("-", "/", "**", "neg", "abs"))


def record(name: str, *operands: Value | Number) -> Value:
    """An operation of the table applied to Values and numbers. `functions.py` calls it for users.

    >>> record("maximum", Value(2.0), 3).data
    3.0
    """
    values = [operand if isinstance(operand, Value) else _constant(required(operand, "data")) for operand in operands]
    row = ops.operation(name)
    if len(values) != row.arity:
        raise TypeError(f"{name!r} takes {row.arity} operand{'s' * (row.arity > 1)}, got {len(values)}")
    return _record(row, *values)
