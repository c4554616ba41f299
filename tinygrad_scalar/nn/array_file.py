"""Files of arrays with one JSON text that describes them, in safetensors: what networks and checkpoints have in common.

They are read strictly: the reader checks the header's length, types, shapes and offsets before it reads a number, and a
header is at most 1 MB, so that no file takes long, or much memory, to be refused.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from tinygrad_scalar.atomic_write import required_path
from tinygrad_scalar.engine.errors import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

DTYPES = {"F64": "<f8", "I64": "<i8"}  # as safetensors and NumPy call them
LONGEST_HEADER = 1_000_000  # bytes: JSON of that length takes up to 40 ms and 25 MB


class Kind(NamedTuple):
    """What an array is: its dtype, one of DTYPES, and its shape."""

    dtype: str
    shape: list[int]


class Header(NamedTuple):
    """Whose file it is, the description, the entries for the arrays, and the number of bytes that follow the header."""

    key: str
    description: str
    entries: dict[str, Any]
    size: int


def to_bytes(key: str, description: str, arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The bytes of a file, with the description under `key`; ValueError if it is too long."""
    from safetensors import SafetensorError
    from safetensors.numpy import save

    try:
        content = save(dict(arrays), {key: description})  # its only entry: several would have no fixed order
    except SafetensorError as error:
        raise ValueError(str(error)) from None
    length = int.from_bytes(content[:8], "little")
    if length > LONGEST_HEADER:
        raise ValueError(f"a file's header may have {LONGEST_HEADER:,} bytes, and this would have {length:,}")
    return content


@contextmanager
def opened(path: str | os.PathLike[str], what: str) -> Iterator[tuple[Path, BinaryIO]]:
    """The file open for reading; OSError if it cannot be read, ValueError if it is no regular file."""
    path = required_path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ValueError(f"{path} is a pipe or a device, not the file of a {what}")  # its end might never come
    with path.open("rb") as file:
        yield path, file


def read_header(file: BinaryIO, *keys: str) -> Header:
    """The header of a file with one of these keys, and `file` at the first byte behind it; ValueError, with the reason,
    if there is none."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if not 0 < length <= size - 8:
        raise ValueError("it is not a safetensors file, or its header is cut off")
    if length > LONGEST_HEADER:
        raise ValueError(f"its header has {length:,} bytes, more than {LONGEST_HEADER:,}")
    entries = read_json(file.read(length).decode(), "its header")
    metadata = entries.pop("__metadata__", None)
    key = next((key for key in keys if isinstance(metadata, dict) and isinstance(metadata.get(key), str)), None)
    if key is None:
        raise ValueError("it is a safetensors file with other contents")
    return Header(key, metadata[key], entries, size - 8 - length)


def read_json(text: str, what: str) -> dict[str, Any]:
    """The JSON object; ValueError for anything else, and for one with a key twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError(f"{what} has a key twice")
        return found

    try:
        found = json.loads(text, object_pairs_hook=unique)
    except RecursionError:
        raise ValueError(f"{what} is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{what} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{what} must be a JSON object, got {shown(found)}")
    return found


def require_keys(found: Any, keys: Collection[str], what: str) -> None:
    """ValueError unless `found` is a dict with exactly these keys."""
    if not isinstance(found, dict):
        raise ValueError(f"{what} must be a JSON object, got {shown(found)}")
    missing = [key for key in keys if key not in found]
    if missing:
        raise ValueError(f"{what} has no {missing[0]!r}")
    more = [key for key in found if key not in keys]
    if more:
        raise ValueError(f"{what} has {shown(more[0])}, which does not belong there")


def entries_of(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The kinds of arrays, in the order of their names, as JSON; `kinds_of` reads them."""
    dtypes = {np_name: name for name, np_name in DTYPES.items()}
    return {name: [dtypes[arrays[name].dtype.str], list(arrays[name].shape)] for name in sorted(arrays)}


def kinds_of(entries: Any) -> dict[str, Kind]:
    """The kinds that `entries_of` wrote; ValueError for anything else."""
    if not isinstance(entries, dict):
        raise ValueError(f"its arrays must be a JSON object, got {shown(entries)}")
    for name, entry in entries.items():
        if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[0], str) or entry[0] not in DTYPES:
            dtypes = " or ".join(DTYPES)
            raise ValueError(f"its array {shown(name)} must be of {dtypes} with a shape, got {shown(entry)}")
        if not are_integers(entry[1]) or any(n < 0 for n in entry[1]) or len(entry[1]) > 32:
            raise ValueError(f"its array {shown(name)} must have a shape, got {shown(entry[1])}")
    return {name: Kind(*entry) for name, entry in entries.items()}


def begins_of(header: Header, arrays: Mapping[str, Kind]) -> dict[str, int]:
    """Where each array begins behind the header; ValueError unless these are the file's arrays, and all it has."""
    require_keys(header.entries, arrays, "its header")
    spans = {name: _span(name, header.entries[name], kind) for name, kind in arrays.items()}
    _require_end_to_end(spans.values(), header.size)
    return {name: begin for name, (begin, _) in spans.items()}


def read_array(data: bytes, begin: int, kind: Kind) -> NDArray[Any]:
    """The array that begins at this byte of `data`; it cannot be written to."""
    import numpy as np

    return np.frombuffer(data, DTYPES[kind.dtype], math.prod(kind.shape), begin).reshape(kind.shape)


def are_integers(found: Any) -> bool:
    return isinstance(found, list) and all(type(n) is int for n in found)


def _span(name: str, entry: Any, kind: Kind) -> tuple[int, int]:
    """Where the array's bytes begin and end; ValueError unless it is of this kind."""
    require_keys(entry, ("dtype", "shape", "data_offsets"), name)
    if entry["dtype"] != kind.dtype:
        raise ValueError(f"{name} must have the dtype {kind.dtype}, got {shown(entry['dtype'])}")
    if not are_integers(entry["shape"]) or entry["shape"] != kind.shape:
        raise ValueError(f"{name} must have the shape {kind.shape}, got {shown(entry['shape'])}")
    offsets, needed = entry["data_offsets"], 8 * math.prod(kind.shape)
    if not are_integers(offsets) or len(offsets) != 2 or offsets[1] - offsets[0] != needed:
        raise ValueError(f"the data_offsets of {name} must be two integers {needed} apart, got {shown(offsets)}")
    return offsets[0], offsets[1]


def _require_end_to_end(spans: Iterable[tuple[int, int]], size: int) -> None:
    """ValueError unless the arrays fill `size` bytes without gaps or overlaps."""
    at = 0
    for begin, end in sorted(spans):
        if begin != at:
            raise ValueError(f"its arrays must lie end to end, but one begins at byte {begin} instead of {at}")
        at = end
    if at != size:
        raise ValueError(f"its arrays take {at} bytes, but it has {size} bytes of them")
