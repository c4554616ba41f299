"""Pickles and files from when all modules lay in one folder still load, whichever Value wrote them."""

import base64
import json
import pickle
import runpy
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar.former_modules import MOVED

FILES = Path(__file__).parent / "written_before_rooms"
WRITER = runpy.run_path(str(FILES / "write.py"))
PICKLES = {
    (implementation, name): (base64.b64decode(data), numbers)
    for implementation in ("compiled", "plain")
    for name, (data, numbers) in json.loads((FILES / f"{implementation}.json").read_text("utf-8")).items()
}


@pytest.mark.parametrize(("implementation", "name"), PICKLES)
def test_it_loads_as_what_it_was(implementation, name):
    if name.startswith("program") and implementation == "compiled" and not ts.accelerated:
        pytest.skip("runs in the compiled executor")
    data, numbers = PICKLES[implementation, name]
    loaded = pickle.loads(data)
    if name.startswith("program"):
        cost, gradient = WRITER["numbers"](loaded)
        np.testing.assert_allclose([cost, *gradient], [numbers[0], *numbers[1]], rtol=1e-12)
    else:
        assert WRITER["numbers"](loaded) == numbers


@pytest.mark.parametrize("implementation", ["compiled", "plain"])
def test_a_graph_goes_on_computing(implementation):
    y = pickle.loads(PICKLES[implementation, "graph, protocol 5"][0])
    x = ts.leaves(y)[0]
    before = x.grad
    y.backward()
    assert x.grad == 2 * before
    x.data = 1.0
    with pytest.raises(ts.StaleGraphError):
        y.backward()
    assert isinstance(y.forward() + 1, ts.Value)


@pytest.mark.parametrize("implementation", ["compiled", "plain"])
@pytest.mark.parametrize("kind", ["GradientDescent", "SGD", "RMSProp", "Adam", "AdamW"])
def test_an_optimizer_goes_on_from_where_it_stopped(implementation, kind):
    loaded = pickle.loads(PICKLES[implementation, kind][0])
    assert type(loaded) is getattr(ts, kind)
    made = WRITER["optimizer"](getattr(ts, kind))
    loaded.step()
    made.step()
    assert [p.data for p in loaded.parameters] == [p.data for p in made.parameters]


@pytest.mark.parametrize("implementation", ["compiled", "plain"])
@pytest.mark.parametrize("name", ["explanation", "stepper", "nudge", "check", "sensitivity", "diagnosis", "picture"])
def test_what_inspects_a_graph_prints(implementation, name):
    loaded = pickle.loads(PICKLES[implementation, name][0])
    assert str(loaded)


@pytest.mark.parametrize("implementation", ["compiled", "plain"])
def test_a_stepper_goes_on_from_where_it_was(implementation):
    stepper = pickle.loads(PICKLES[implementation, "stepper"][0])
    stepper.back()
    printed = [(str(step), step.latex) for step in stepper]
    assert stepper.position == stepper.total == len(printed)
    assert ts.leaves(stepper.root)[0].grad == 2 * ts.leaves(WRITER["graph"]())[0].grad


@pytest.mark.parametrize("implementation", ["compiled", "plain"])
def test_public_names_are_those_of_today(implementation):
    for name, thing in pickle.loads(PICKLES[implementation, "public names"][0]).items():
        assert thing is getattr(ts, name)


@pytest.mark.parametrize("implementation", ["compiled", "plain"])
def test_errors_keep_their_class_and_message(implementation):
    stale, anomaly, trace = pickle.loads(PICKLES[implementation, "errors"][0])
    assert isinstance(stale, ts.StaleGraphError) and str(stale) == "old"
    assert isinstance(anomaly, ts.AnomalyError) and str(anomaly) == "nan"
    assert isinstance(trace, ts.TraceError) and str(trace) == "looked"


def test_a_saved_network_loads():
    assert [p.data for p in ts.load(FILES / "network.safetensors").parameters()] == [
        p.data for p in ts.MLP(2, [2, 1], seed=0).parameters()
    ]


def test_a_network_that_the_command_line_trained_predicts():
    command = [sys.executable, "-m", "tinygrad_scalar", "predict", "table.safetensors", "table.csv"]
    run = subprocess.run(command, cwd=FILES, capture_output=True, text=True, check=True)
    assert [line.rpartition(",")[2] for line in run.stdout.splitlines()] == ["predicted_kind", *"xyxyxy"]


# --- the former names of modules -------------------------------------------------------------------------------------


@pytest.mark.parametrize("old", MOVED)
def test_a_former_module_is_an_alias_of_those_that_its_contents_went_to(old):
    alias = import_module(f"tinygrad_scalar.{old}")
    for new in MOVED[old].split():
        module = import_module(f"tinygrad_scalar.{new}")
        defined = [name for name, thing in vars(module).items() if getattr(thing, "__module__", "") == module.__name__]
        assert all(hasattr(alias, name) for name in defined)
    with pytest.raises(AttributeError, match=f"module 'tinygrad_scalar.{old}' has no attribute 'no_such_name'"):
        alias.no_such_name  # noqa: B018


def test_importing_one_leaves_the_public_function_of_that_name():
    function = ts.nudge
    assert import_module("tinygrad_scalar.nudge") is not function
    assert ts.nudge is function


def test_pickles_of_today_name_the_package_and_no_former_module():
    y = WRITER["graph"]()
    for thing in (y, WRITER["network"](), ts.AnomalyError("nan")):
        text = pickle.dumps(thing, 0).decode("latin1")
        assert not [old for old in MOVED if f"tinygrad_scalar.{old}\n" in text]
