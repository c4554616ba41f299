"""The names in a function's code: what it can look up besides its variables."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType
from typing import Any, NamedTuple

# Steps that make sets, whose order goes by addresses, and texts, which can tell an address.
MAKES_SETS = ("BUILD_SET", "SET_ADD", "SET_UPDATE")
MAKES_TEXTS = ("BUILD_STRING", "CONVERT_VALUE", "FORMAT_VALUE", "FORMAT_SIMPLE", "FORMAT_WITH_SPEC")
READS = ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "IMPORT_FROM")


class Names(NamedTuple):
    """The names in a function's code.

    variables   global variables
    attributes  attributes that it reads, also by getattr and a literal
    imports     modules, each after the number of dots before it
    sets_attributes  whether it sets or deletes attributes
    makes_sets  whether it does, by itself; their order goes by addresses
    makes_texts  the same of texts, which can tell an address
    """

    variables: frozenset[str]
    attributes: frozenset[str]
    imports: tuple[tuple[int, str], ...]
    sets_attributes: bool
    makes_sets: bool
    makes_texts: bool


@lru_cache(maxsize=1024)
def names_in(code: CodeType) -> Names:
    steps = list(dis.get_instructions(code))
    attributes = {step.argval for step in steps if step.opname in READS}
    if any(step.argval in ("getattr", "attrgetter") for step in steps):
        attributes |= {constant for constant in code.co_consts if isinstance(constant, str)}
    imports = [  # two constants stand before: how many dots, and the list of names
        (steps[i - 2].argval or 0, step.argval) for i, step in enumerate(steps) if step.opname == "IMPORT_NAME"
    ]
    variables = {step.argval for step in steps if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    sets_attributes = any(step.opname in ("STORE_ATTR", "DELETE_ATTR") for step in steps)
    makes_sets = any(step.opname in MAKES_SETS for step in steps)
    makes_texts = any(step.opname in MAKES_TEXTS for step in steps)
    makes_texts |= any(isinstance(constant, str) and "%" in constant for constant in code.co_consts)
    return Names(frozenset(variables), frozenset(attributes), tuple(imports), sets_attributes, makes_sets, makes_texts)


def with_nested(code: CodeType) -> Iterator[CodeType]:
    """A function's code and that of the functions inside it."""
    todo = [code]
    while todo:
        code = todo.pop()
        yield code
        todo += [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def imported(code: CodeType, variables: dict[str, Any]) -> Iterator[str]:
    """The modules that the code imports; a relative one by its whole name."""
    for level, name in names_in(code).imports:
        package = str(variables.get("__package__") or "").split(".")
        package = package[: len(package) - level + 1] if level else []
        yield ".".join(filter(None, [*package, name]))
