"""Text that goes into a picture."""

from __future__ import annotations

import html
import unicodedata

from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.screen import printable

WIDTH = 7.0  # of a sign in pixels, about, in the charts' size of 12


def xml_text(text: str) -> str:
    """`text` with XML's special characters as entities, and escapes for what XML cannot hold or would not show.

    >>> xml_text("a < b")
    'a &lt; b'
    """
    return html.escape(printable(text))


def fitted(text: str, width: float, size: float = 12.0) -> str:
    """The text, without its end if it takes more than about `width` pixels.

    >>> fitted("cost of the validation examples", 100)
    'cost of the v…'
    """
    text, left = printable(text), width / (WIDTH * size / 12.0)
    for i, sign in enumerate(text):
        left -= 2.0 if unicodedata.east_asian_width(sign) in "WF" else 1.0
        if left < 0.0:
            return f"{text[: max(i - 1, 0)]}…"
    return text


def heading(title: str, x: float, width: float) -> str:
    """The title above a chart, in `width` pixels from x on; TypeError if it is no text."""
    if not isinstance(title, str):
        raise TypeError(f"title must be a text, got {shown(title)}")
    return f'<text class="title" x="{x:g}" y="24">{xml_text(fitted(title, width, 15.0))}</text>'
