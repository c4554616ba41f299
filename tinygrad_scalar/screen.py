"""Text as a terminal can show it: control characters escaped, and ASCII for the signs that its encoding lacks."""

from __future__ import annotations

import codecs
import reprlib
import sys

ASCII_SIGNS = "tinygrad_scalar.ascii_signs"  # an error handler for str.encode and for streams, registered below

_SIGNS = {
    "−": "-", "–": "-", "·": "*", "×": "*", "⊙": "(*)", "÷": "/", "±": "+/-", "½": "1/2", "¼": "1/4", "⅓": "1/3",
    "∂": "d", "∇": "grad ", "Σ": "sum", "∏": "prod", "∞": "inf", "′": "'", "″": "''", "⟨": "<", "⟩": ">",
    "≥": ">=", "≤": "<=", "≠": "!=", "→": "->", "←": "<-", "↦": "|->", "…": "...", "▇": "#", "▏": "|", "━": "-",
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma",
    "τ": "tau", "υ": "upsilon", "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta",
    "Θ": "Theta", "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega",
}  # fmt: skip
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿᵀᴸᵗᵏʸˣ", "0123456789+-()nTLtkyx"))
_LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉ⱼₖᵢₙ", "0123456789jkin"))


def printable(text: str) -> str:
    r"""Text from a file or a user with escapes, those of repr, for all that would not print or would move the cursor.

    >>> print(printable("a\x1b[31mb\n"), printable("∂C/∂w is fine"))
    a\x1b[31mb\n ∂C/∂w is fine
    """
    return text if text.isprintable() else "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


class _Shortened(reprlib.Repr):
    def repr_int(self, x: int, level: int) -> str:
        try:
            return super().repr_int(x, level)
        except ValueError:  # more digits than Python is willing to print
            return f"<int of {x.bit_length()} bits>"


_shortened = _Shortened()
_quoted = _Shortened()
_quoted.maxstring = _quoted.maxother = 100


def shortened(thing: object, longest: int) -> str:
    """The repr of an object that can be huge: a few elements and signs of each, on one line."""
    text = " ".join(line.strip() for line in _shortened.repr(thing).splitlines())
    # each level of a container is bounded, and there can be many
    return text if len(text) <= longest else f"{text[:longest]}…"


def quoted(text: object) -> str:
    """A name or a text as errors quote it: its repr, without the middle if it is long.

    >>> quoted("w"), len(quoted("w" * 10_000))
    ("'w'", 100)
    """
    quotation = _quoted.repr(text)
    return quotation if len(quotation) <= 200 else f"{quotation[:200]}…"


def counted(number: int, noun: str) -> str:
    """
    >>> counted(1, "row"), counted(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{number:,} {noun}{'s' * (number != 1)}"


def for_stdout(text: str) -> str:
    """Text with ASCII for those signs that standard output cannot encode.

    The results of this package print through it: `print(explanation)` must work in an ASCII or cp1252 terminal, and
    `__str__` cannot know where its text goes. Their `.text` is always the same.
    """
    encoding = getattr(sys.stdout, "encoding", None)
    if text.isascii() or not isinstance(encoding, str):
        return text
    try:
        return text.encode(encoding, ASCII_SIGNS).decode(encoding)
    except (LookupError, UnicodeError):  # an encoding that Python does not have
        return text


def width(text: str) -> int:
    """The columns of a terminal that a text takes: two for 漢, none for a combining accent.

    >>> width("abc"), width("漢字"), width("e\u0301")
    (3, 4, 1)
    """
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(sign) else 2 if east_asian_width(sign) in "WF" else 1 for sign in text)


def left(text: str, columns: int) -> str:
    """Text padded on the right to so many columns of a terminal."""
    return text + " " * (columns - width(text))


def right(text: str, columns: int) -> str:
    """Text padded on the left to so many columns of a terminal."""
    return " " * (columns - width(text)) + text


def _ascii_signs(error: UnicodeError) -> tuple[str, int]:
    """The error handler: w⁽¹⁾₀₁ becomes w^(1)_01, σ′(z) sigma'(z); what has no ASCII an escape such as \\u65e5."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text, pieces = error.object, []
    for i in range(error.start, error.end):
        sign, before, after = text[i], text[i - 1 : i], text[i + 1 : i + 2]
        if sign in _RAISED:
            pieces.append(("" if before in _RAISED else "^") + _RAISED[sign])
        elif sign in _LOWERED:
            pieces.append(("" if before in _LOWERED else "_") + _LOWERED[sign])
        elif sign == "√":
            pieces.append("sqrt" if after == "(" else "sqrt ")
        else:
            pieces.append(_SIGNS.get(sign) or sign.encode("ascii", "backslashreplace").decode())
    return "".join(pieces), error.end


codecs.register_error(ASCII_SIGNS, _ascii_signs)
