"""Leaving for bigger machines: `run.to_jax()` and `run.to_torch()`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.vectorize.compiled import Compiled
    from tinygrad_scalar.vectorize.each_example import EachExample
    from tinygrad_scalar.vectorize.exported import Exported


class Exports:
    """The part of `Vectorized` that says what it is in other libraries."""

    _last: Compiled | EachExample | None
    _parameters: NDArray[Any]

    def _follow(self) -> object:
        raise NotImplementedError

    def to_jax(self) -> Callable[..., Any]:
        """The program of the last call as a function of JAX: f(parameters, X, Y, …) is run.value(X, Y, …).

        `parameters` is an array like run.parameters, and X, Y, … are like those of the last call, for any number of
        examples. With reduce=None it gives each example's value; of a function that returns a list, all outputs. It can
        be differentiated to any order, with respect to arguments too, and jitted, vmapped and sharded:

            >>> import jax, numpy as np, tinygrad_scalar as ts                                      # doctest: +SKIP
            >>> jax.config.update("jax_enable_x64", True)                                           # doctest: +SKIP
            >>> w = ts.Value(2.0)                                                                   # doctest: +SKIP
            >>> run = ts.vectorize(lambda x, y: (w * x - y) ** 2, [w])                              # doctest: +SKIP
            >>> X, Y = np.array([1.0, 2.0]), np.array([3.0, 4.0])                                   # doctest: +SKIP
            >>> value, gradient = run(X, Y)                                                         # doctest: +SKIP
            >>> jax.jit(jax.value_and_grad(run.to_jax()))(run.parameters, X, Y)                     # doctest: +SKIP
            (Array(0.5, dtype=float64), Array([-1.], dtype=float64))

        Values and derivatives are those of `run`, with the same matrix products, and the same conventions at kinks and
        edges. What `run` took for constant is constant in it. Under jit there are no errors that depend on numbers: an
        example that `run` refuses, such as one that looks up a row that does not exist, gives nan.

        ValueError before the first call, and if JAX is not set to float64 and the program is; ImportError without JAX.
        """
        from tinygrad_scalar.vectorize.to_jax import to_jax

        return to_jax(self._exported("to_jax"), self._parameters.dtype)

    def to_torch(self) -> Callable[..., Any]:
        """The program of the last call as a function of PyTorch: f(parameters, X, Y, …) is run.value(X, Y, …).

        As `to_jax`, for tensors on any device; the arguments go where the parameters are. torch.autograd,
        torch.func and torch.compile take it.

            >>> import torch                                                                        # doctest: +SKIP
            >>> f = run.to_torch()                                                                  # doctest: +SKIP
            >>> parameters = torch.tensor(run.parameters, requires_grad=True)                       # doctest: +SKIP
            >>> f(parameters, X, Y).backward()                                                      # doctest: +SKIP

        ValueError before the first call; ImportError without PyTorch.
        """
        from tinygrad_scalar.vectorize.to_torch import to_torch

        return to_torch(self._exported("to_torch"), self._parameters.dtype)

    def _exported(self, name: str) -> Exported:
        """The program of the last call for another library, with the captured Values as they are now."""
        self._follow()
        if self._last is None:
            raise ValueError(f"{name} exports the program of the last call: call run(X, …) first")
        if not self._last.is_current():
            raise ValueError(
                f"what the function uses as a constant was set since the last call: call run(X, …) again, then {name}"
            )
        return self._last.exported()
