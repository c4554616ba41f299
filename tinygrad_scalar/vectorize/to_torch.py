"""`run.to_torch()`: the array program as a function of PyTorch tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.vectorize.exported_call import checked, examples_in
from tinygrad_scalar.vectorize.exported_operations import Rule, rule_of

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.exported import Exported


def to_torch(exported: Exported, dtype: Any) -> Callable[..., Any]:
    """The exported program as a function f(parameters, *arguments) of PyTorch."""
    try:
        import torch
    except ImportError as error:
        raise ImportError("run.to_torch() needs PyTorch, which is not installed: pip install torch") from error
    kind = getattr(torch, np.dtype(dtype).name)
    operations: dict[str, Callable[..., Any]] = {}

    def function(parameters: Any, *arguments: Any) -> Any:
        parameters = checked(exported, torch.as_tensor(parameters, dtype=kind))
        tensors = [torch.as_tensor(x, device=parameters.device) for x in arguments]
        m = examples_in(exported, [(tuple(x.shape), not x.dtype.is_floating_point) for x in tensors])
        columns = [x.reshape(m, -1).T for x in tensors]
        integers = [x.long() if integer else None for x, (_, integer) in zip(columns, exported.shapes)]
        columns = [x.to(kind) for x in columns] or [parameters.new_zeros((0, 1))]
        lib = _Torch(torch, operations, parameters)
        return exported.run(lib, parameters, columns, integers, m)

    return function


class _Names:
    """PyTorch's functions by NumPy's names."""

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self.take_along_axis = torch.take_along_dim

    def __getattr__(self, name: str) -> Any:
        return getattr(self._torch, name)


class _Torch:
    """PyTorch as a `Library`, with tensors like `like`."""

    def __init__(self, torch: Any, operations: dict[str, Callable[..., Any]], like: Any) -> None:
        self._torch, self._operations, self._like = torch, operations, like
        self.f = _Names(torch)
        self.erf, self.erfc = torch.erf, torch.erfc
        self.without_gradient = torch.no_grad

    def operation(self, name: str) -> Callable[..., Any]:
        made = self._operations.get(name)
        if made is None:
            made = self._operations[name] = self._with_rule(rule_of(name))
        return made

    def _with_rule(self, rule: Rule) -> Callable[..., Any]:
        if not rule.vjps:
            return lambda *operands: rule.forward(self, *operands)
        apply = _function(self._torch, self, rule)
        return lambda *operands: apply(*self._torch.broadcast_tensors(*operands))

    def number(self, number: float) -> Any:
        return self._like.new_tensor(number)

    def constant(self, values: Any) -> Any:
        return self._torch.as_tensor(values, dtype=self._like.dtype, device=self._like.device)

    def indices(self, table: Any) -> Any:
        return self._torch.as_tensor(table, device=self._like.device)

    def fixed(self, x: Any) -> Any:
        return x.detach()

    def in_order(self, x: Any) -> Any:
        return x

    def added_up(self, n: int, index: Any, rows: Any) -> Any:
        return rows.new_zeros((n, rows.shape[1])).index_add(0, self.indices(index), rows)

    def if_nan(self, x: Any, otherwise: Callable[[], Any]) -> Any:
        return otherwise() if self._has_numbers(x) and bool(x.isnan().any()) else x

    def numbers(self, x: Any) -> Any:
        return x.detach().cpu().numpy() if self._has_numbers(x) else None

    def _has_numbers(self, x: Any) -> bool:
        return not (self._torch.compiler.is_compiling() or self._torch._C._functorch.is_functorch_wrapped_tensor(x))


def _function(torch: Any, lib: Any, rule: Rule) -> Callable[..., Any]:
    """An operation with the derivatives of its rule, backwards and forwards."""

    class Operation(torch.autograd.Function):  # type: ignore[misc]
        generate_vmap_rule = True

        @staticmethod
        def forward(*operands: Any) -> Any:
            return rule.forward(lib, *operands)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(output, *inputs)
            ctx.save_for_forward(output, *inputs)

        @staticmethod
        def backward(ctx: Any, u: Any) -> Any:
            needed = ctx.needs_input_grad
            return tuple(
                vjp(lib, u, *ctx.saved_tensors) if vjp is not None and needed[i] else None
                for i, vjp in enumerate(rule.vjps)
            )

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Any:
            total = torch.zeros_like(ctx.saved_tensors[0])
            for vjp, tangent in zip(rule.vjps, tangents):
                if vjp is not None and tangent is not None:
                    total = total + vjp(lib, tangent, *ctx.saved_tensors)
            return total

    return Operation.apply  # type: ignore[no-any-return]
