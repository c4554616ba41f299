"""Definitions of the names in an explanation that the user did not choose: v₁ = w·x + b = 0.5."""

from __future__ import annotations

from operator import attrgetter

from tinygrad_scalar.engine import Value
from tinygrad_scalar.inspection.brackets import Formula
from tinygrad_scalar.inspection.layout import WIDTH, broken, wrapped
from tinygrad_scalar.inspection.notation import Notation, number
from tinygrad_scalar.inspection.paths import Paths

MOST = 12  # definitions


class Definitions:
    """The definitions of the stand-ins in a text, and of those that these definitions need, in order of computation.

    lines  for a terminal
    rows   for an `aligned` environment of LaTeX
    """

    def __init__(self, text: str, notation: Notation, paths: Paths) -> None:
        self._notation = notation
        found = dict.fromkeys(notation.stand_ins(text))  # first those of the text itself
        self._made: dict[Value, Formula | None] = {}
        while len(self._made) < min(MOST, len(found)):
            value = next(value for value in found if value not in self._made)
            made = paths.derivation.operation(value) if value.op else None
            self._made[value] = made
            found.update(dict.fromkeys(notation.stand_ins(made.text) if made else ()))
        place = paths.index.__getitem__
        self._shown = sorted(self._made, key=place)
        self._left_out = sorted(found.keys() - self._made.keys(), key=place)

    @property
    def lines(self) -> list[str]:
        lines: list[str] = []
        for value in self._shown:
            made, result = self._made[value], number(value.data).text
            lead = f"{'where' if not lines else '     '} {self._notation.name(value)} = "
            lines += broken(lead, made.text) if made else [f"{lead}{result}"]
            if made and len(lines[-1]) + len(f" = {result}") <= WIDTH:
                lines[-1] += f" = {result}"
            elif made:
                lines.append(f"{' ' * (len(lead) - 2)}= {result}")
        return lines + [line for rest in self._rest("text") for line in wrapped(f"      {rest}")]

    @property
    def rows(self) -> list[str]:
        rows: list[str] = []
        for value in self._shown:
            made, result = self._made[value], number(value.data).latex
            left = ("" if rows else r"\text{where } ") + self._notation.named(value).latex
            rows.append(f"{left} &= {f'{made.latex} = {result}' if made else result}")
        return rows + [rf"&{rest}" for rest in self._rest("latex")]

    def _rest(self, script: str) -> list[str]:
        """A line about those that are left out, if there are any."""
        if not self._left_out:
            return []
        names = [attrgetter(script)(self._notation.named(value)) for value in self._left_out]
        words = [f"and {len(names):,} more: ", names[0], *([", …, ", names[-1]] if names[1:] else []), " (see step)"]
        if script == "latex":
            words[::2] = [rf"\text{{{word}}}" for word in words[::2]]
        return ["".join(words)]
