"""State that no attribute shows: the position of an iterator, the bytes of a bytearray, the content of a context
variable; and the attributes of a class, which its objects share.

Nothing is taken from an iterator to find its position: Python's own iterators tell how many elements are left, or how
they would be pickled. What an iterator takes from, and what a generator's variables hold, is found by its references.
"""

from __future__ import annotations

import gc
import io
import itertools
import pickle
import random
import sys
import threading
import warnings
from array import array
from contextvars import ContextVar
from types import FunctionType, GeneratorType
from typing import Any

import numpy as np

from tinygrad_scalar.vectorize.attributes import ABSENT

DEEPEST = 20  # of iterators in iterators: what they refer to is looked at by itself, too
BYTES = (bytearray, array)
# These keep nothing of their own that does not move with what they take from.
TAKE_FROM_OTHERS: tuple[type[Any], ...] = (
    *(zip, map, filter, enumerate, itertools.chain, itertools.compress, itertools.starmap, itertools.filterfalse),
    *(itertools.takewhile, itertools.dropwhile, itertools.pairwise, itertools.accumulate, itertools.groupby),
    itertools.islice,
)
CALLING = type(iter(int, 1))
OF_PYTHON = frozenset({"builtins", "itertools", "array", "collections", "_collections"})


def is_iterator(thing: Any) -> bool:
    return is_iterator_class(type(thing))


def is_iterator_class(kind: type[Any]) -> bool:
    return any("__next__" in vars(base) for base in kind.__mro__)


def is_the_users_iterator(thing: Any) -> bool:
    """Whether Python code says what comes next: what it keeps is in attributes."""
    found: Any = next(vars(base)["__next__"] for base in type(thing).__mro__ if "__next__" in vars(base))
    return isinstance(found, FunctionType)


def has_state(thing: Any) -> bool:
    if type(thing) is threading.local or issubclass(type(thing), (*BYTES, ContextVar)):
        return True
    return is_iterator(thing) and not is_the_users_iterator(thing)


def is_generator(thing: Any) -> bool:
    """Whether it draws random numbers: Python's, and NumPy's of either kind."""
    return issubclass(type(thing), (random.Random, np.random.Generator, np.random.RandomState))


def state_of(thing: Any) -> list[Any] | None:
    """Objects and numbers that change when its state does; None if nothing tells."""
    if is_generator(thing):
        return [pickle.dumps(_drawn_from(thing))]
    if issubclass(type(thing), bytearray):
        return [bytes(memoryview(thing))]
    if issubclass(type(thing), array):
        return [thing.typecode, array.tobytes(thing)]
    if issubclass(type(thing), ContextVar):
        return [thing.get(ABSENT)]
    if type(thing) is threading.local:
        return [*thing.__dict__, *thing.__dict__.values()]
    if issubclass(type(thing), type):  # the attributes of a class
        return [*vars(thing), *vars(thing).values()]
    if issubclass(type(thing), GeneratorType):
        frame = thing.gi_frame
        return [None if frame is None else frame.f_lasti, *gc.get_referents(thing)]
    return _of_file(thing) if issubclass(type(thing), io.IOBase) else _of_iterator(thing, 0)


def held_within(thing: Any) -> list[Any]:
    """The objects from which it takes, or which it gives."""
    kind = type(thing)
    if issubclass(kind, ContextVar):
        try:
            return [thing.get()]
        except LookupError:
            return []
    if kind is threading.local:
        return [*thing.__dict__.values()]
    if _can_be_pickled(kind) and not hasattr(kind, "__length_hint__"):
        return _parts(_pickled(thing))
    return gc.get_referents(thing) if _holds_whole_objects(kind) else []


def put_back(thing: Any, state: list[Any]) -> bool:
    """Whether that could be done."""
    if issubclass(type(thing), BYTES):
        try:
            if issubclass(type(thing), array):
                array.__setitem__(thing, slice(None), array(*state))
            else:
                bytearray.__setitem__(thing, slice(None), *state)
        except BufferError:  # a memoryview holds it
            return False
    elif is_generator(thing):
        _go_back(thing, pickle.loads(state[0]))
    elif issubclass(type(thing), ContextVar) and state[0] is not ABSENT:
        thing.set(state[0])
    elif type(thing) is itertools.count:
        next(thing)  # it cannot go back, but what reads it gets another number this way, too
    elif type(thing) is threading.local:
        thing.__dict__.clear()
        thing.__dict__.update(_named(state))
    elif issubclass(type(thing), type):
        before, now = _named(state), {**vars(thing)}
        for name in now.keys() - before.keys():
            type.__delattr__(thing, name)
        for name, held in before.items():
            if now.get(name, ABSENT) is not held:
                type.__setattr__(thing, name, held)
    else:
        return False
    return True


def _drawn_from(generator: Any) -> Any:
    if isinstance(generator, random.Random):
        return random.Random.getstate(generator)
    is_new = isinstance(generator, np.random.Generator)
    return generator.bit_generator.state if is_new else generator.get_state(legacy=False)


def _go_back(generator: Any, state: Any) -> None:
    if isinstance(generator, random.Random):
        random.Random.setstate(generator, state)
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    else:
        generator.set_state(state)


def _named(state: list[Any]) -> dict[str, Any]:
    return dict(zip(state, state[len(state) // 2 :]))


def _of_iterator(thing: Any, depth: int) -> list[Any] | None:
    kind = type(thing)
    if kind.__module__ in OF_PYTHON and hasattr(kind, "__length_hint__"):
        try:
            left = kind.__length_hint__(thing)
        except TypeError:  # itertools.repeat, for ever
            return []
        return [left, len(_pickled(thing)) if not left else 0]  # at the end, or beyond
    if _can_be_pickled(kind):
        return _flat(_pickled(thing), depth)
    if kind is itertools.count:
        return [repr(thing)]
    if kind.__module__ == "_csv":
        return [thing.line_num]
    return [] if kind in TAKE_FROM_OTHERS else None


def _can_be_pickled(kind: type[Any]) -> bool:
    """Whether that tells how far an iterator is; one that calls a function until it gives something does not know."""
    told = kind.__module__ in OF_PYTHON and kind is not CALLING
    return told and is_iterator_class(kind) and any("__reduce__" in vars(base) for base in kind.__mro__[:-1])


def _holds_whole_objects(kind: type[Any]) -> bool:
    """Whether what it refers to are objects that Python code could have, too: a zip_longest has tuples with gaps."""
    told = kind in TAKE_FROM_OTHERS or kind in (GeneratorType, CALLING) or kind.__module__ == "_csv"
    return told or (kind.__module__ in OF_PYTHON and hasattr(kind, "__length_hint__"))


def _pickled(thing: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12, for those of itertools
        return thing.__reduce__()


def _parts(pickled: Any) -> list[Any]:
    return [*itertools.chain.from_iterable(map(_parts, pickled))] if type(pickled) is tuple else [pickled]


def _flat(pickled: Any, depth: int) -> list[Any]:
    if type(pickled) is tuple:
        return [len(pickled), *itertools.chain.from_iterable(_flat(part, depth) for part in pickled)]
    if type(pickled) is list:  # made for this
        return [len(pickled)]
    if is_iterator(pickled) and has_state(pickled) and not issubclass(type(pickled), (GeneratorType, io.IOBase)):
        return [type(pickled), *((_of_iterator(pickled, depth + 1) or []) if depth < DEEPEST else [])]
    return [pickled]


def _of_file(file: Any) -> list[Any] | None:
    if any(file is shown for shown in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)):
        return []
    if type(file).__module__ != "_io":
        return None
    try:
        if file.closed or not file.readable():
            return []  # what is written there is not read
        content = [file.getvalue()] if type(file) in (io.StringIO, io.BytesIO) else []
        return [file.tell(), *content]
    except (OSError, ValueError):  # a pipe, or one over which a loop runs
        return None
