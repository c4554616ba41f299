"""What an exported program needs of the library that it is a function of: JAX, PyTorch, or in tests NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Library(Protocol):
    """JAX or PyTorch, as far as a program needs it."""

    f: Any  # the namespace, whose names are NumPy's

    def operation(self, name: str) -> Callable[..., Any]:
        """An operation of exported_operations.py, with its derivative."""
        ...

    def number(self, number: float) -> Any:
        """A number as an operand."""

    def constant(self, values: Any) -> Any:
        """An array of numbers, where the parameters are and of their type."""

    def indices(self, table: Any) -> Any:
        """An array of integers, where the parameters are."""

    def erf(self, x: Any) -> Any: ...

    def erfc(self, x: Any) -> Any: ...

    def fixed(self, x: Any) -> Any:
        """x as a constant."""

    def in_order(self, x: Any) -> Any:
        """x, rounded before anything else is computed from it."""

    def added_up(self, n: int, index: Any, rows: Any) -> Any:
        """n rows, each the sum of those rows[i] whose index[i] it is."""

    def if_nan(self, x: Any, otherwise: Callable[[], Any]) -> Any:
        """x, or where it has a nan in it the result of `otherwise`."""

    def numbers(self, x: Any) -> Any:
        """x as a NumPy array; None while the library traces, which has no numbers."""

    def without_gradient(self) -> Any:
        """A context in which no derivatives are kept."""
