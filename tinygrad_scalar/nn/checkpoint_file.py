"""The bytes of a checkpoint: safetensors with the state of a training, and a sum over all of it, so that no changed bit
is taken for a state.

Its description is JSON behind the checksum of that JSON, and holds the checksum of the arrays.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.nn import array_file
from tinygrad_scalar.nn.array_file import Header, Kind, begins_of, read_array, read_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]

_KEY = "tinygrad_scalar_checkpoint"
_FORMAT = 1


class Description(NamedTuple):
    """What the header says: what is trained, the rest of the state, and which arrays follow.

    training  what a training must have in common with the one that wrote the file
    state     what is no array: the epochs done, the optimizer's numbers, …
    """

    training: dict[str, Any]
    state: dict[str, Any]
    arrays: dict[str, Kind]
    checksum: str


def checksum(parts: Iterable[bytes | memoryview]) -> str:
    """32 hexadecimal digits over the parts' bytes, one after the other."""
    found = hashlib.blake2b(digest_size=16)
    for part in parts:
        found.update(part)
    return found.hexdigest()


def to_bytes(training: dict[str, Any], state: dict[str, Any], arrays: Arrays) -> bytes:
    """The bytes of a file; ValueError if a header cannot hold so much."""
    kinds = array_file.entries_of(arrays)
    of_arrays = checksum(arrays[name].tobytes() for name in kinds)
    description = {"format": _FORMAT, "training": training, "state": state, "arrays": kinds, "checksum": of_arrays}
    text = json.dumps(description)
    return array_file.to_bytes(_KEY, f"{checksum([text.encode()])} {text}", arrays)


def read_description(file: BinaryIO) -> tuple[Description, Header]:
    """What the header says; ValueError, with the reason, if it was not written by `to_bytes`."""
    header = array_file.read_header(file, _KEY)
    sum_of_text, _, text = header.description.partition(" ")
    if sum_of_text != checksum([text.encode(errors="surrogatepass")]):
        raise ValueError("its description is damaged: the checksum differs")
    found = read_json(text, "its description")
    version = found.pop("format", None)
    if type(version) is not int or version != _FORMAT:
        raise ValueError(f"its format must be {_FORMAT}, got {shown(version)}")
    array_file.require_keys(found, Description._fields, "its description")
    for part in ("training", "state"):
        if not isinstance(found[part], dict):
            raise ValueError(f"its {part} must be a JSON object, got {shown(found[part])}")
    kinds = array_file.kinds_of(found["arrays"])
    return Description(found["training"], found["state"], kinds, found["checksum"]), header


def read_arrays(file: BinaryIO, description: Description, header: Header) -> dict[str, NDArray[Any]]:
    """The arrays that follow the header; ValueError if they are not those that it describes."""
    begins = begins_of(header, description.arrays)
    data = file.read()
    arrays = {name: read_array(data, begins[name], kind) for name, kind in description.arrays.items()}
    if description.checksum != checksum(arrays[name].tobytes() for name in sorted(arrays)):
        raise ValueError("its arrays are damaged: the checksum differs")
    return arrays
