"""The equations that a text cites: "000 Eq. 3, 7 and 8", "003 Eq. 11a–11d", "003 Eq. 12" (all parts), "001 average"."""

import re

from .equations import EQUATIONS

NUMBER = r"[1-9]\d?[a-d]?(?![\w]|\.\d)"
RANGE = rf"{NUMBER}(?:[–-](?:{NUMBER}|[a-d]\b)| to {NUMBER})?"  # 11a–11d, 11a–d, 11a to 11d
NUMBERED = re.compile(rf"\b(00[0-3]) Eqs?\. ({RANGE}(?:(?:, and |, | and | or ){RANGE})*)")

_numbered = {note: [e.id[8:] for e in EQUATIONS if e.id.startswith(f"{note} Eq. ")] for note in ("000", "001", "003")}
_unnumbered = sorted((e.id for e in EQUATIONS if " Eq. " not in e.id), key=len, reverse=True)  # longest first
UNNUMBERED = re.compile(rf"\b({'|'.join(map(re.escape, _unnumbered))})(?!\w)")


def cited(text):
    """The set of ids that `text` cites."""
    text = " ".join(text.split())
    found = set(UNNUMBERED.findall(text))
    for note, numbers in NUMBERED.findall(text):
        for part in re.findall(RANGE, numbers):
            found.update(f"{note} Eq. {number}" for number in _spanned(note, part))
    return found


def _spanned(note, part):
    first, *_, last = re.split("[–-]| to ", part) * 2
    end = first.rstrip("abcd") + last if last.isalpha() else last
    numbers = _numbered.get(note, [])
    started = [i for i, number in enumerate(numbers) if _is(number, first)]
    ended = [i for i, number in enumerate(numbers) if _is(number, end)]
    return numbers[started[0] : ended[-1] + 1] if started and ended else []


def _is(number, cited_as):
    """Whether an equation's number is the one cited, or a part of it such as 12a of 12."""
    return cited_as in (number, number.rstrip("abcd"))
