"""Reading an answer, for all checks."""

from __future__ import annotations

import math
from typing import Any


def as_number(answer: Any) -> float:
    """The answer as a float; nan if it is not a number."""
    try:
        return math.nan if isinstance(answer, (str, bytes, bool, complex)) else float(answer)
    except Exception:
        return math.nan
