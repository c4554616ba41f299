"""`quiet` is NumPy's errstate, whatever the garbage collector runs meanwhile."""

import gc
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

from tinygrad_scalar.engine.quiet import Quiet, quiet

FINALIZERS = """
import contextvars, gc, random
import tinygrad_scalar as ts
from tinygrad_scalar.engine.quiet import quiet

variables = [contextvars.ContextVar(str(k)) for k in range(40)]  # all of a context stand in one tree
for variable in variables:
    variable.set(0)

class Last:
    def __init__(self):
        self.itself = self

    def __del__(self):
        with quiet(divide="ignore"):
            variables[0].set(object())

random.seed(0)
for _ in range(5_000):
    gc.set_threshold(0)
    gc.collect(0)
    state = {state}
    Last()
    gc.set_threshold(random.randrange(1, 8))
    with state:
        pass
"""


@pytest.mark.parametrize("state", ['quiet(over="ignore")', 'ts.group("of values")'])
def test_finalizers_can_set_a_context_variable_while_the_package_does(state):
    environment = os.environ | {"PYTHONMALLOC": "debug"}  # which overwrites memory that is freed
    program = [sys.executable, "-X", "faulthandler", "-c", FINALIZERS.replace("{state}", state)]
    done = subprocess.run(program, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", [quiet, Quiet])
def test_quiet_is_errstate(kind):
    huge, before = np.array([1e300]), np.geterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with kind(over="ignore"):
            assert np.isinf(huge * huge).all()
        with pytest.raises(FloatingPointError), kind(over="raise"):
            huge * huge
    assert np.geterr() == before


@pytest.mark.parametrize("collects", [True, False])
def test_quiet_leaves_the_collector_as_it_was(collects):
    before = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        with Quiet(over="ignore"):
            assert gc.isenabled() == collects
        assert gc.isenabled() == collects
    finally:
        (gc.enable if before else gc.disable)()
