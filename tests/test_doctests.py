"""The examples in the docstrings: each prints what it says."""

import doctest
import importlib
import inspect

import pytest
from test_package import COMPILED, IMPORTABLE

import tinygrad_scalar as ts

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
PACKAGE = "tinygrad_scalar"
MODULES = [PACKAGE, *(f"{PACKAGE}.{name}" for name in IMPORTABLE)]
HOME_OF_VALUE = f"{PACKAGE}.{COMPILED if ts.accelerated else 'engine.value'}"


def examples(name):
    """Of a module, one DocTest for each docstring."""
    module = importlib.import_module(name)
    finder = doctest.DocTestFinder()
    if name != f"{PACKAGE}.{COMPILED}":
        return finder.find(module)
    return [  # doctest itself looks for functions that are written in Python
        found
        for name, thing in vars(module).items()
        if inspect.isbuiltin(thing) or inspect.isclass(thing)
        for found in finder.find(thing, name, module=False, globs=vars(module))
    ]


@pytest.mark.parametrize("module", dict.fromkeys([*MODULES, HOME_OF_VALUE]))
def test_the_examples_of_a_module_print_what_they_say(module):
    runner, report = doctest.DocTestRunner(optionflags=FLAGS), []
    for example in examples(module):
        runner.run(example, out=report.append)
    assert not report, "".join(report)


def test_the_examples_of_value_are_found():
    names = {found.name.removeprefix(f"{HOME_OF_VALUE}.") for found in examples(HOME_OF_VALUE) if found.examples}
    assert {"Value", "Value.backward", "Value.forward", "record"} <= names
