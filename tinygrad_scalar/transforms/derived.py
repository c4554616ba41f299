"""`Derived`: what a transformation makes of a function, with a name, a signature and a place in pickles."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

from tinygrad_scalar.transforms.call import require_function

Function = Callable[..., Any]


class Derived:
    """The function that `transformation`, such as `grad`, makes of `f` with these options.

    It is copied, pickled and bound to an instance as functions are; a pickle has the function `f`, by its name in its
    module, and `transformation` is applied again.
    """

    def __init__(self, transformation: Function, f: Function, function: Function, options: dict[str, Any]) -> None:
        verb = transformation.__name__
        require_function(verb, f)
        name = getattr(f, "__name__", type(f).__name__)
        self._function, self._made_by, self._options = function, (transformation, f), options
        self.__wrapped__ = f
        self.__name__ = self.__qualname__ = f"{verb}({name})"
        self.__module__ = getattr(f, "__module__", __name__)
        self.__doc__ = f"{verb} of {name}, with the same arguments."

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        given = "".join(f", {name}={value!r}" for name, value in self._options.items())
        return f"<function {self.__name__}{given}>"

    def __copy__(self) -> Derived:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Derived:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (*self._made_by, self._options)


def derived(transformation: Function, f: Function, function: Function, **options: Any) -> Derived:
    """`function`, made from `f` by a transformation; its options are kept where they are not the usual ones."""
    usual = {"argnums": 0, "has_aux": False, "sparse": False, "compiled": False}
    return Derived(transformation, f, function, {k: v for k, v in options.items() if v != usual[k]})


def _again(transformation: Function, f: Function, options: dict[str, Any]) -> Any:
    return transformation(f, **options)
