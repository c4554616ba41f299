"""The text of a CSV file: which encoding its bytes are in, and which sign divides its cells."""

from __future__ import annotations

import codecs
import csv
import io
import re
from itertools import islice

DELIMITERS = ",;\t|"
_SAMPLE = 100  # rows that decide on the delimiter
_BOMS = {
    codecs.BOM_UTF8: ("utf-8", "UTF-8"),
    codecs.BOM_UTF16_LE: ("utf-16-le", "UTF-16"),
    codecs.BOM_UTF16_BE: ("utf-16-be", "UTF-16"),
}
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")  # bytes that no text in a legacy encoding has
_NUMBER = re.compile(r"[+-]?\d[\d.,]*([eE][+-]?\d+)?", re.ASCII)


def decoded(content: bytes, name: str, encoding: str | None = None) -> tuple[str, str]:
    """The text and the name of its encoding; ValueError, naming the file, if the bytes are no text.

    A byte order mark decides; without one it is UTF-8 if that fits, UTF-16 if every second byte is 0, and else
    Windows-1252, which includes Latin-1. `encoding` overrides all this.

    >>> decoded("Zürich".encode("latin-1"), "t.csv")
    ('Zürich', 'Windows-1252 (Latin-1)')
    """
    if encoding is not None:
        return _in_encoding(content, name, encoding), encoding
    for mark, (codec, shown) in _BOMS.items():
        if content.startswith(mark):
            return _in_encoding(content[len(mark) :], name, codec), shown
    for codec, zeros, others in (
        ("utf-16-le", content[1::2], content[::2]),
        ("utf-16-be", content[::2], content[1::2]),
    ):
        if zeros.count(0) > 0.5 * len(zeros) and others.count(0) == 0 and others:
            return _in_encoding(content, name, codec), "UTF-16"
    try:
        return content.decode("utf-8"), "UTF-8"
    except UnicodeDecodeError as error:
        if _BINARY.search(content):
            raise ValueError(
                f"{name} is not UTF-8 text (byte {error.start}), nor any other; save the table as CSV UTF-8"
            ) from None
    try:
        return content.decode("cp1252"), "Windows-1252 (Latin-1)"
    except UnicodeDecodeError:  # five bytes have no meaning there
        return content.decode("latin-1"), "Latin-1"


def _in_encoding(content: bytes, name: str, encoding: str) -> str:
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except LookupError:
        raise ValueError(f"there is no encoding {encoding!r}; such as utf-8, cp1252, utf-16 or shift_jis") from None
    except UnicodeError as error:
        start = getattr(error, "start", 0)
        raise ValueError(f"{name} is not {encoding.upper()} text (byte {start}); save it as CSV UTF-8") from None


def delimiter_of(text: str) -> str:
    """The sign that divides the rows most evenly, then into most numbers, then into most cells; a comma if none does.

    A first line such as sep=; is the word of a spreadsheet, and decides.

    >>> delimiter_of("size, cm;price\\n1,5;2,5\\n2;3\\n")
    ';'
    """
    if told := re.match(r"sep=([,;\t|])\r?\n", text):
        return told[1]
    best, delimiter = (0.0, 0.0, 0), ","
    for candidate in DELIMITERS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=candidate, skipinitialspace=True)
        try:
            rows = [row for row in islice(reader, _SAMPLE) if any(cell.strip() for cell in row)]
        except csv.Error:
            continue
        if not rows or len(rows[0]) < 2:
            continue
        even = sum(len(row) == len(rows[0]) for row in rows) / len(rows)
        cells = [cell.strip() for row in rows for cell in row if cell.strip()]
        numbers = sum(_NUMBER.fullmatch(cell) is not None for cell in cells) / len(cells)
        if (even, numbers, len(rows[0])) > best:
            best, delimiter = (even, numbers, len(rows[0])), candidate
    return delimiter
