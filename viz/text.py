"""Text that goes into a picture."""

from __future__ import annotations

import html
import re

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def xml_text(text: str) -> str:
    """`text` with XML's special characters as entities and the characters that XML cannot hold replaced.

    >>> xml_text("a < b")
    'a &lt; b'
    """
    return html.escape(_UNPRINTABLE.sub("\ufffd", text))
