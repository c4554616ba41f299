"""Whether a function could draw or read a clock at all. Watching it (repeat.py) makes every call in it slower, so what
plainly computes is not watched. If it leaves all that it reads as it was, it also need not run twice to be compared.

That it cannot is only said where all that it can reach is known: its own code, containers, numbers, plain objects, and
functions of Python and of ours that compute and nothing else. Whatever is not known here is watched.
"""

from __future__ import annotations

import builtins
import functools
import itertools
import math
import operator
from collections import deque
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar import functions, lists
from tinygrad_scalar.engine import Value
from tinygrad_scalar.vectorize.code_names import names_in
from tinygrad_scalar.vectorize.reach import is_of_a_library, is_of_a_library_class

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.reach import Reach

BUILTINS = (
    "abs all any bool callable complex dict divmod enumerate filter float frozenset int isinstance len list map max "
    "min pow range reversed round set slice sorted str sum tuple zip"
)
COMPUTING = frozenset(
    [getattr(builtins, name) for name in BUILTINS.split()]
    + [thing for thing in vars(builtins).values() if isinstance(thing, type) and issubclass(thing, Exception)]
    + [
        thing
        for module in (math, itertools)
        for name, thing in vars(module).items()
        if name[0] != "_" and callable(thing)
    ]
    + [getattr(operator, name) for name in operator.__all__ if name not in ("attrgetter", "methodcaller")]
    + [functools.reduce, Value]
)
CONTAINERS: tuple[type[Any], ...] = (list, tuple, dict, set, frozenset, deque)
FOLLOWED = frozenset({*CONTAINERS, range, MethodType, functools.partial, staticmethod, classmethod})
UNNAMED = {"__new__", "__del__", "__repr__"}
# Attributes of what it computes with. A format can name others.
OF_ARRAYS = {
    "T",
    "copy",
    "dot",
    "flatten",
    "item",
    "mean",
    "ndim",
    "ravel",
    "reshape",
    "shape",
    "size",
    "sum",
    "tolist",
}
OF_VALUES = {"data", "label", *(vars(Value).keys() & functions.__all__)}
ATTRIBUTES = OF_ARRAYS | OF_VALUES | {name for kind in (*CONTAINERS, str, float, int, complex) for name in vars(kind)}
ATTRIBUTES -= {"format", "format_map"}
# Attributes that can be others in the next run, should an object that is reached have one of that name: a Value's time,
# an array's address.
ELSEWHERE = {name for name in dir(Value) if name[:2] != "__"} - ATTRIBUTES | {"ctypes"}
SETS = (set, frozenset)
VIEWS = {"items", "keys"}  # of dicts, which sets can be made of
OF_FRAMES = ("__", "ag_", "co_", "cr_", "f_", "gi_", "tb_")  # by these names code can reach everything


def can_draw(reach: Reach) -> bool:
    """Whether a function may call something that gives something else each time, as far as what it reaches tells."""
    return not (reach.is_complete and all(map(_only_computes, reach.objects)) and _reads_known_names(reach))


def repeats(reach: Reach) -> bool:
    """Whether a function that cannot draw also does the same each time, as long as all that it reaches stays as it is.

    It is deterministic then but for addresses, which the order of sets and texts can tell.
    """
    makes_texts = any(thing is str for thing in reach.objects) or any(
        names_in(code).makes_texts for code in reach.codes
    )
    reads_others = not reach.attributes.isdisjoint(ELSEWHERE | VIEWS)
    return not (makes_texts or reads_others or makes_sets(reach) or can_draw(reach))


def makes_sets(reach: Reach) -> bool:
    """Whether it can make sets, whose order goes by addresses if they are of Values."""
    by_name = any(thing is kind or type(thing) is kind for thing in reach.objects for kind in SETS)
    return by_name or any(names_in(code).makes_sets for code in reach.codes)


def _reads_known_names(reach: Reach) -> bool:
    known = ATTRIBUTES | reach.found
    for code in reach.codes:
        names = names_in(code)
        if names.imports or names.sets_attributes or not names.attributes <= known:
            return False
        if any(name.startswith(OF_FRAMES) for name in names.attributes):
            return False
    return True


def _only_computes(thing: Any) -> bool:
    kind = type(thing)
    if kind in FOLLOWED:
        return True
    if kind is FunctionType:
        return not is_of_a_library(thing.__code__) or _is_ours(thing)
    if kind is BuiltinFunctionType and type(thing.__self__) in CONTAINERS:
        return thing.__name__ in ATTRIBUTES
    if kind in (BuiltinFunctionType, type):
        return thing in COMPUTING or _is_ours(thing)
    if kind is ModuleType:
        return (
            "__getattr__" not in vars(thing) or thing.__name__ == "tinygrad_scalar"
        )  # which imports, and draws nothing
    if kind is np.ndarray:
        return thing.dtype == object or not thing.dtype.hasobject
    if kind is property:
        return thing.fset is None and thing.fdel is None
    return all(map(_is_plain, kind.__mro__[:-1]))


def _is_ours(thing: Any) -> bool:
    """Whether it is one of the library's functions of Values, under its own name."""
    name = thing.__name__
    return name[0] != "_" and thing in (vars(functions).get(name), vars(lists).get(name))


def _is_plain(kind: type) -> bool:
    """Whether a class is the user's and has no methods that run without being named."""
    return type(kind) is type and not is_of_a_library_class(kind) and UNNAMED.isdisjoint(vars(kind))
