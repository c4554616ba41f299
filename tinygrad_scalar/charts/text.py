"""Text that goes into a picture."""

from __future__ import annotations

import html

from tinygrad_scalar.screen import printable


def xml_text(text: str) -> str:
    """`text` with XML's special characters as entities, and escapes for what XML cannot hold or would not show.

    >>> xml_text("a < b")
    'a &lt; b'
    """
    return html.escape(printable(text))
