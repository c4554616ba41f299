"""`run.to_jax()`: the array program as a function of JAX arrays."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.vectorize.exported_call import checked, examples_in
from tinygrad_scalar.vectorize.exported_operations import rule_of

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.exported import Exported


def to_jax(exported: Exported, dtype: Any) -> Callable[..., Any]:
    """The exported program as a function f(parameters, *arguments) of JAX."""
    try:
        import jax
    except ImportError as error:
        raise ImportError("run.to_jax() needs JAX, which is not installed: pip install jax") from error
    require_x64(jax, dtype)
    lib = _Jax(jax, dtype)

    def function(parameters: Any, *arguments: Any) -> Any:
        require_x64(jax, dtype)
        columns, integers = [], []
        m = examples_in(exported, [_shape_and_kind(jax, x) for x in arguments])
        for x, (_, integer) in zip(arguments, exported.shapes):
            x = jax.numpy.asarray(x)
            column = x.reshape(m, -1).T
            integers.append(column if integer else None)
            columns.append(column.astype(dtype))
        parameters = checked(exported, jax.numpy.asarray(parameters, dtype))
        return exported.run(lib, parameters, columns or [jax.numpy.zeros((0, 1), dtype)], integers, m)

    return function


def _shape_and_kind(jax: Any, x: Any) -> tuple[tuple[int, ...], bool]:
    x = x if hasattr(x, "shape") and hasattr(x, "dtype") else np.asarray(x)
    return tuple(x.shape), not jax.numpy.issubdtype(x.dtype, jax.numpy.floating)


def require_x64(jax: Any, dtype: Any) -> None:
    """ValueError if JAX would silently compute a float64 program in float32."""
    if jax.dtypes.canonicalize_dtype(np.dtype(dtype)) != np.dtype(dtype):
        raise ValueError(
            "this program is in float64, but JAX is set to float32 and would round every number to that: call "
            'jax.config.update("jax_enable_x64", True) first, or make the program by '
            'ts.vectorize(…, dtype="float32")'
        )


class _Jax:
    """JAX as a `Library`."""

    def __init__(self, jax: Any, dtype: Any) -> None:
        self._jax, self._dtype = jax, dtype
        self.f = jax.numpy
        self.erf, self.erfc = jax.scipy.special.erf, jax.scipy.special.erfc
        self.fixed = jax.lax.stop_gradient
        self.in_order = jax.lax.optimization_barrier
        self._operations: dict[str, Callable[..., Any]] = {}

    def operation(self, name: str) -> Callable[..., Any]:
        made = self._operations.get(name)
        if made is None:
            made = self._operations[name] = self._with_rule(name)
        return made

    def _with_rule(self, name: str) -> Callable[..., Any]:
        rule = rule_of(name)

        def forward(*operands: Any) -> Any:
            return rule.forward(self, *operands)

        if not rule.vjps:
            return forward
        zero = self._jax.custom_derivatives.SymbolicZero
        function = self._jax.custom_jvp(forward)

        def jvp(operands: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
            v = function(*operands)
            total = self.f.zeros_like(v)
            for vjp, tangent in zip(rule.vjps, tangents):
                if vjp is not None and not isinstance(tangent, zero):
                    total = total + vjp(self, tangent, v, *operands)
            return v, total

        function.defjvp(jvp, symbolic_zeros=True)
        return function  # type: ignore[no-any-return]

    def number(self, number: float) -> Any:
        return self._jax.numpy.asarray(number, self._dtype)

    def constant(self, values: Any) -> Any:
        return self._jax.numpy.asarray(values, self._dtype)

    def indices(self, table: Any) -> Any:
        return self._jax.numpy.asarray(table)

    def added_up(self, n: int, index: Any, rows: Any) -> Any:
        return self.f.zeros((n, rows.shape[1]), rows.dtype).at[index].add(rows)

    def if_nan(self, x: Any, otherwise: Callable[[], Any]) -> Any:
        return self._jax.lax.cond(self.f.isnan(x).any(), otherwise, lambda: x)

    def numbers(self, x: Any) -> Any:
        return None if isinstance(x, self._jax.core.Tracer) else np.asarray(x)

    def without_gradient(self) -> Any:
        return nullcontext()
