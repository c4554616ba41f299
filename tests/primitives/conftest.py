"""The primitives of support/own_operations.py are registered only while a test of this room runs."""

import pytest
from support import own_operations

from tinygrad_scalar.engine.ops import OPERATIONS
from tinygrad_scalar.primitives.primitive import Primitive

ROWS = {thing.op: OPERATIONS.pop(thing.op) for thing in vars(own_operations).values() if isinstance(thing, Primitive)}


@pytest.fixture(autouse=True)
def registered():
    before = dict(OPERATIONS)
    OPERATIONS.update(ROWS)
    yield
    OPERATIONS.clear()
    OPERATIONS.update(before)
