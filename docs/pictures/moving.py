"""Moving pictures of a stepper: every step drawn by `draw`, with its equation below, as one animated SVG.

An image in a page runs no script, so CSS shows one step after the other; what is the same in all steps stands in the
picture once. Where animation is switched off, or unknown, it is the picture of the last step.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import graphviz

import tinygrad_scalar as ts
from tinygrad_scalar.viz.drawing import Drawing

NAMESPACE = "http://www.w3.org/2000/svg"
SECONDS = 3.0  # that a step is shown
REST = 1  # steps more that the last is shown
MARGIN = 12
STYLE = """
.step {{ visibility: hidden }} .last {{ visibility: visible }}
.words {{ font: {size}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace }}
.words {{ fill: #1f2328 }} .where {{ font-weight: bold }} .ahead {{ fill: #d4d4d8 }} .done {{ fill: #c2255c }}
@media (prefers-color-scheme: dark) {{
  .words {{ fill: #e6edf3 }} .ahead {{ fill: #52525b }} .done {{ fill: #f06595 }}
}}
@keyframes step {{ 0% {{ visibility: visible }} {step:.4f}%, 100% {{ visibility: hidden }} }}
@keyframes last {{ 0% {{ visibility: visible }} {last:.4f}%, 100% {{ visibility: hidden }} }}
@media (prefers-reduced-motion: no-preference) {{
  .step {{ animation: step {length:g}s step-end infinite }} .last {{ animation-name: last }}
}}
"""


class Frame(NamedTuple):
    """One step: the boxes and arrows of its picture as SVG, the picture's size, the lines below it."""

    parts: list[str]
    width: float
    height: float
    lines: list[str]


class Moving:
    """The steps of a computation, forwards and back, as one picture: `.svg`, `.save(path)`.

    direction  of the graph, as in `draw`
    joined     whether each equation is on one line
    size       of the letters below the graph, in pixels
    """

    def __init__(self, root: ts.Value, direction: str, joined: bool, size: int) -> None:
        self.stepper, self.direction, self.joined, self.size = ts.step(root, names={}), direction, joined, size

    def save(self, path: str | os.PathLike[str]) -> None:
        Path(path).write_text(self.svg, "utf-8")

    @property
    def svg(self) -> str:
        frames = [*self._frames()]
        width, height = max(frame.width for frame in frames), max(frame.height for frame in frames)
        in_all = set.intersection(*(set(frame.parts) for frame in frames))
        moved = f'<g transform="translate({MARGIN / 2:g} {height - MARGIN / 2:g})">'
        shown = [f"{moved}{''.join(part for part in frames[0].parts if part in in_all)}</g>"]
        count, length = len(frames), SECONDS * (len(frames) + REST)
        for k, frame in enumerate(frames):
            graph = "".join(part for part in frame.parts if part not in in_all)
            shown.append(
                f'<g class="step{" last" * (k == count - 1)}" style="animation-delay: {SECONDS * k - length:g}s">\n'
                f"{moved}{graph}</g>\n{_track(k, count - 1, width, height)}\n{self._text(frame, height)}\n</g>"
            )
        style = STYLE.format(
            size=self.size, length=length, step=100 * SECONDS / length, last=100 * SECONDS * (1 + REST) / length
        )
        total = height + 2 * MARGIN + self._line * max(len(frame.lines) for frame in frames)
        title = f"{self.stepper.notation.name(self.stepper.root)} step by step: forwards, then the chain rule backwards"
        return (
            f'<svg xmlns="{NAMESPACE}" width="{width:g}" height="{total:.0f}" viewBox="0 0 {width:g} {total:.0f}">\n'
            f"<title>{escape(title)}</title>\n<style>{style}</style>\n" + "\n".join(shown) + "\n</svg>\n"
        )

    @property
    def _line(self) -> float:
        """The height of a line."""
        return 1.45 * self.size

    def _text(self, frame: Frame, height: float) -> str:
        return "\n".join(
            f'<text class="words{" where" * (i == 0)}" xml:space="preserve" x="{MARGIN}" '
            f'y="{height + MARGIN + self._line * (i + 1):.1f}">{escape(text)}</text>'
            for i, text in enumerate(frame.lines)
        )

    def _frames(self) -> Iterator[Frame]:
        for position in range(self.stepper.total + 1):
            self.stepper.to(position)
            dot = ts.draw(self.stepper, direction=self.direction).source.replace("ranksep=0.3", "ranksep=0.16")
            picture = ElementTree.fromstring(Drawing(lambda: graphviz.Source(dot), 1).svg)  # noqa: B023 read at once
            width, height = map(float, picture.attrib["viewBox"].split()[2:])
            parts = [_plain(part) for part in picture[0] if part.tag == f"{{{NAMESPACE}}}g"]
            yield Frame(parts, width, height, self._lines())

    def _lines(self) -> list[str]:
        step, found = self.stepper.current, []
        if step is None:
            first = str(self.stepper).splitlines()[0]
            return [first] if self.joined else first.replace(", ", ",\n").splitlines()
        for line in str(step).splitlines():
            if ".grad: " in line:  # the boxes show it
                continue
            if self.joined and line.startswith(" "):
                found[-1] += f" {line.strip()}"
            else:
                found.append(line)
        return [step.where, *found]


def _track(k: int, count: int, width: float, height: float) -> str:
    """A bar for each step, those taken so far filled."""
    each = (width - 2 * MARGIN + 3) / count
    return "".join(
        f'<rect class="{"done" if i < k else "ahead"}" x="{MARGIN + i * each:.1f}" y="{height + 4:g}" '
        f'width="{each - 3:.1f}" height="4" rx="2"/>'
        for i in range(count)
    )


def _plain(part: ElementTree.Element) -> str:
    """A box or an arrow without what an image does not show: links, tooltips and their groups."""
    for element in part.iter():
        element.tag = element.tag.removeprefix(f"{{{NAMESPACE}}}")
        for title in element.findall(f"{{{NAMESPACE}}}title"):
            element.remove(title)
        for name in [name for name in element.attrib if name in ("id", "class") or name.startswith("{")]:
            del element.attrib[name]
    return re.sub(r"</?[ag] ?/?>|\n", "", ElementTree.tostring(part, "unicode"))
