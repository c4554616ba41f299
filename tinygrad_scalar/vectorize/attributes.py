"""Attributes of objects, and variables of enclosing functions, whether or not they hold anything."""

from __future__ import annotations

from typing import Any

ABSENT = object()


def own_attributes(thing: Any) -> dict[str, Any]:
    """The __dict__ that an object has of its own, without asking the object."""
    try:
        found = object.__getattribute__(thing, "__dict__")
    except (AttributeError, TypeError):
        return {}
    return found if type(found) is dict else {}


def attribute_of(owner: Any, name: str) -> object:
    """The content of an attribute or a variable; ABSENT if there is none."""
    try:
        return getattr(owner, name, ABSENT)
    except ValueError:  # a variable that holds nothing yet, or no longer
        return ABSENT
