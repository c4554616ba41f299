"""Files of arrays: refused at once, and with little memory, whatever their header holds."""

import io
import tracemalloc

import pytest

from tinygrad_scalar.nn.array_file import LONGEST_HEADER, read_header, to_bytes

FILLED = {"lists": "[],", "objects": "{},", "numbers": "1,", "strings": '"",', "spaces": " "}


@pytest.mark.parametrize("filling", FILLED.values(), ids=FILLED)
@pytest.mark.parametrize("length", [LONGEST_HEADER, 20 * LONGEST_HEADER])
@pytest.mark.thorough
def test_a_header_however_long_is_refused_with_less_than_50_mb(filling, length):
    text = '{"a": [' + filling * ((length - 9) // len(filling))
    text = text.rstrip(", ") + "]}"
    content = io.BytesIO(len(text).to_bytes(8, "little") + text.encode())
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"other contents|more than 1,000,000"):
            read_header(content, "key")
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_what_would_not_be_read_again_is_not_written():
    with pytest.raises(ValueError, match="may have 1,000,000 bytes"):
        to_bytes("key", "a" * LONGEST_HEADER, {})
