"""The examples in the docstrings: each prints what it says."""

import doctest
import importlib
import inspect
from pathlib import Path

import pytest

import tinygrad_scalar as ts

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
PACKAGE = "tinygrad_scalar"
TOP = Path(__file__).parent.parent
FILES = [path.relative_to(TOP) for folder in ("tinygrad_scalar", "viz") for path in (TOP / folder).rglob("*.py")]
MODULES = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in FILES]
MODULES = [name if name.startswith(PACKAGE) else f"{PACKAGE}.{name}" for name in MODULES if "__main__" not in name]
COMPILED = f"{PACKAGE}.engine._value"
HOME_OF_VALUE = COMPILED if ts.accelerated else f"{PACKAGE}.engine.value"


def examples(name):
    """One DocTest for each docstring of a module."""
    module = importlib.import_module(name)
    if name == PACKAGE:  # whose classes are examined where they are defined
        return doctest.DocTestFinder(recurse=False).find(module)
    finder = doctest.DocTestFinder()
    missed = {  # by doctest: functions in C, and public classes, which do not say where they are defined
        key: thing
        for key, thing in vars(module).items()
        if (inspect.isbuiltin(thing) and name == COMPILED)
        or (inspect.isclass(thing) and thing.__module__ == PACKAGE and is_defined_in(module, key))
    }
    found = [finder.find(thing, f"{name}.{key}", module=False, globs=vars(module)) for key, thing in missed.items()]
    return sum(found, finder.find(module))


def is_defined_in(module, name):
    return module.__name__ == COMPILED or f"\nclass {name}" in Path(module.__file__).read_text("utf-8")


@pytest.mark.parametrize("module", dict.fromkeys([*MODULES, HOME_OF_VALUE]))
def test_the_examples_of_a_module_print_what_they_say(module):
    runner, report = doctest.DocTestRunner(optionflags=FLAGS), []
    for example in examples(module):
        runner.run(example, out=report.append)
    assert not report, "".join(report)


def test_the_examples_of_value_are_found():
    names = {found.name.removeprefix(f"{HOME_OF_VALUE}.") for found in examples(HOME_OF_VALUE) if found.examples}
    assert {"Value", "Value.backward", "Value.forward", "record"} <= names
