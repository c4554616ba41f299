"""The gradient vector of 001: ∇C = (∂C/∂w⁽¹⁾, ∂C/∂b⁽¹⁾, …, ∂C/∂w⁽ᴸ⁾, ∂C/∂b⁽ᴸ⁾), with a name for each number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.inspection import latex
from tinygrad_scalar.inspection.layout import fitted
from tinygrad_scalar.inspection.names import symbol
from tinygrad_scalar.inspection.notation import unicode_of, written
from tinygrad_scalar.screen import for_stdout, left, quoted, width

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST = 20  # numbers that are printed
ALL_ZERO = "all 0: backward() has not been called, or not since zero_grad(), or C does not depend on them here"


class Gradient:
    """∇C: a sequence of (name, number) pairs; `gradient["w(1)[0,1]"]` is one number, `.array` holds all of them.

    `np.asarray(gradient)` is a new float64 array in the order of the parameters.
    """

    _numbers: tuple[float, ...] = ()

    def __init__(self, parameters: Sequence[Value]) -> None:
        given = list(parameters) if isinstance(parameters, Iterable) else []
        try:
            self.names = tuple(parameter.label or f"θ[{i}]" for i, parameter in enumerate(given))
            self._numbers = tuple(parameter.grad for parameter in given)
        except AttributeError:
            given = [parameter for parameter in given if not isinstance(parameter, Value)][:1]
        if not self._numbers:
            got = shown(given[0] if given else parameters)
            raise TypeError(
                f"a gradient needs a non-empty list of Values such as net.parameters(), got {got}"
            ) from None

    @property
    def array(self) -> NDArray[np.float64]:
        """The numbers, shape (number of parameters,)."""
        import numpy as np

        return np.array(self._numbers)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        array = self.array
        return array if dtype is None else array.astype(dtype)

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[tuple[str, float]]:
        return iter(zip(self.names, self._numbers))

    def __getitem__(self, name: str) -> float:
        if name not in self.names:
            names = [*self.names[:3], *(["…"] if len(self.names) > 3 else [])]
            known = ", ".join(fitted(known, 60) for known in names)
            raise KeyError(f"no parameter is called {quoted(name)}; the names are {known}")
        return self._numbers[self.names.index(name)]

    def __str__(self) -> str:
        rows = [(f"∂C/∂{unicode_of(name)}", written(number)) for name, number in self]
        rows = rows if len(rows) <= MOST else [*rows[: MOST // 2], ("…", ""), *rows[-MOST // 2 :]]
        rows = [(for_stdout(name), number) for name, number in rows]
        widest = max(width(name) for name, _ in rows)
        lines = [f"{left(name, widest)} = {number}" if number else name for name, number in rows]
        lead = for_stdout("∇C = [")
        indented = (f"{lead if i == 0 else ' ' * len(lead)} {line}" for i, line in enumerate(lines))
        note = "" if any(self._numbers) else f"  ({ALL_ZERO})"
        return for_stdout("\n".join(indented) + f" ]{note}")

    __repr__ = __str__

    @property
    def latex(self) -> str:
        """The column of derivatives and the column of numbers, as in 001."""
        few = list(self) if len(self) <= MOST else [*list(self)[: MOST // 2], *list(self)[-MOST // 2 :]]
        symbols = [(symbol(name), name) for name, _ in few]
        names = [found.latex if found else latex.name(name) for found, name in symbols]
        left = [rf"\frac{{\partial C}}{{\partial {name}}}" for name in names]
        right = [  # with rows as high as the left ones
            rf"{latex.number(number)} \vphantom{{{derivative}}}" for derivative, (_, number) in zip(left, few)
        ]
        if len(few) < len(self):
            left.insert(MOST // 2, r"\vdots")
            right.insert(MOST // 2, r"\vdots")
        columns = [r"\begin{bmatrix} " + r" \\ ".join(column) + r" \end{bmatrix}" for column in (left, right)]
        return rf"\nabla C = {columns[0]} = {columns[1]}"

    def _repr_latex_(self) -> str:
        note = "" if any(self._numbers) else rf" \quad \text{{({ALL_ZERO})}}"
        return f"$${self.latex}{note}$$"
