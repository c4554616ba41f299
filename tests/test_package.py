"""The package as a whole: what it exports, what importing it costs, and that rooms import only in one direction."""

import ast
import configparser
import functools
import inspect
import json
import os
import pickle
import re
import rlcompleter
import shutil
import subprocess
import sys
import traceback
from graphlib import TopologicalSorter
from importlib.metadata import version
from pathlib import Path

import pytest

import tinygrad_scalar as ts

TOP = Path(__file__).parent.parent
HEAVY = ["numpy", "graphviz", "tqdm", "rich", "safetensors", "sympy"]

# The rooms, lowest first: a room imports only from rooms before it in this list.
ROOMS = [
    "former_modules", "screen", "atomic_write", "datasets", "engine", "functions", "lists", "inspection",
    "charts", "primitives", "vectorize", "transforms", "nn", "estimators", "viz", "cli", "ipython", "__main__",
]  # fmt: skip
COMPILED = "engine._value"


def sources():
    """The package's modules by name without "tinygrad_scalar.", and their files; an __init__ has its room's name."""
    package = {}
    for folder, prefix in ((TOP / "tinygrad_scalar", ()), (TOP / "viz", ("viz",))):
        for path in folder.rglob("*.py*"):
            if path.suffix in (".py", ".pyx") and path.parent.name != "__pycache__":
                parts = [*prefix, *path.relative_to(folder).with_suffix("").parts]
                package[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    del package[""]
    return package


SOURCES = sources()
IMPORTABLE = [name for name in SOURCES if name not in (COMPILED, "vectorize._group", "vectorize._tape", "__main__")]


@functools.cache
def parsed(path):
    """The syntax tree of a file; of one in Cython, that of its docstring and of its imports from the package."""
    text = path.read_text("utf-8")
    if path.suffix == ".pyx":
        docstring, rest = re.split(r"^(?=cimport|cdef)", text, maxsplit=1, flags=re.MULTILINE)
        text = "\n".join([docstring, *re.findall(r"^from tinygrad_scalar\S* import .*$", rest, re.MULTILINE)])
    return ast.parse(text)


def imports(path):
    """The modules of ours that a file imports, also those only for type checkers and those inside its functions."""
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom) and node.module == "tinygrad_scalar":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tinygrad_scalar."):
            module = node.module.removeprefix("tinygrad_scalar.")
            inside = {f"{module}.{alias.name}" for alias in node.names} & set(SOURCES)
            found |= inside or {module}
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found |= {name.partition(".")[2] or name for name in names if name.split(".")[0] == "tinygrad_scalar"}
    return found


# --- importing -------------------------------------------------------------------------------------------------------


def modules_after(code):
    """The modules that a fresh interpreter has loaded after running `code`."""
    program = f"{code}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=TOP / "tests")
    return set(json.loads(run.stdout.splitlines()[-1]))


def test_importing_the_package_loads_nothing_that_only_drawing_or_training_needs():
    loaded = modules_after("import tinygrad_scalar")
    assert not loaded & set(HEAVY)
    assert "tinygrad_scalar.engine" in loaded


def test_computing_and_differentiating_load_none_of_it_either():
    code = "import tinygrad_scalar as ts\nx = ts.Value(2.0)\n(ts.MLP(2, [3, 1])([x, 1.0]) ** 2).backward()"
    assert not modules_after(code) & set(HEAVY)


@pytest.mark.parametrize("module", ["cli.main", "cli.expression", "viz.drawing", "nn.saving"])
def test_importing_a_module_loads_none_of_it_either(module):
    assert not modules_after(f"import tinygrad_scalar.{module}") & set(HEAVY)


def test_star_import_gives_the_public_names():
    names = {}
    exec("from tinygrad_scalar import *", names)
    assert set(ts.__all__) <= set(names)


# --- what is public --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in ts.__all__ if name != "accelerated"])
def test_every_public_name_exists_and_explains_itself(name):
    thing = getattr(ts, name)
    assert inspect.getdoc(thing)
    assert callable(thing)
    if inspect.isclass(thing):
        assert thing.__doc__  # its own, not one that it inherits
        assert not thing.__doc__.startswith(f"{name}(")  # nor the one that dataclass writes


def test_accelerated_says_which_value_is_in_use():
    assert (f"tinygrad_scalar.{COMPILED}" in sys.modules) is ts.accelerated
    assert not ts.accelerated or ts.Value is sys.modules[f"tinygrad_scalar.{COMPILED}"].Value


def names_imported():
    """The names that the package imports from its own modules."""
    tree = ast.parse((TOP / "tinygrad_scalar" / "__init__.py").read_text("utf-8"))
    return [
        alias.asname or alias.name
        for part in tree.body
        if not isinstance(part, ast.FunctionDef)
        for node in ast.walk(part)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tinygrad_scalar.")
        for alias in node.names
    ]


def test_public_names_are_listed_once():
    assert len(set(names_imported())) == len(names_imported())


def test_every_name_that_the_package_imports_from_its_modules_is_public():
    assert set(names_imported()) == set(ts.__all__)


def test_the_overview_that_help_begins_with_has_every_public_name_once():
    overview = re.findall(r"^    ([\w, ]+): ", ts.__doc__, re.MULTILINE)
    assert sorted(name for names in overview for name in names.split(", ")) == ts.__all__


def test_tab_offers_the_public_names():
    completer, found = rlcompleter.Completer({"ts": ts}), []
    while offered := completer.complete("ts.", len(found)):
        found.append(re.sub(r"\W+$", "", offered.removeprefix("ts.")))
    assert found == ts.__all__


@pytest.mark.parametrize("name", [name for name in ts.__all__ if isinstance(getattr(ts, name), type)])
def test_a_public_class_does_not_show_where_it_is_defined(name):
    assert getattr(ts, name).__module__ == "tinygrad_scalar"
    assert pickle.loads(pickle.dumps(getattr(ts, name))) is getattr(ts, name)


def test_a_traceback_names_an_error_as_users_do():
    try:
        raise ts.AnomalyError("nan")
    except ts.AnomalyError as error:
        assert traceback.format_exception_only(error) == ["tinygrad_scalar.AnomalyError: nan\n"]


# names that every version has
CONTRACT = [
    "Value", "StaleGraphError", "detect_anomaly", "draw", "Drawing", "Neuron", "Layer", "MLP", "cost", "squared_error",
    "absolute_error", "binary_cross_entropy", "cross_entropy", "hinge", "GradientDescent", "SGD", "RMSProp", "Adam",
    "AdamW", "fit", "History", "save", "load", "exp", "log", "log1p", "expm1", "sqrt", "sin", "cos", "tan", "asin",
    "acos", "atan", "sinh", "cosh", "tanh", "sigmoid", "relu", "leaky_relu", "softplus", "erf", "maximum", "minimum",
    "where", "lookup", "vectorize",
]  # fmt: skip


def test_the_names_of_the_contract_are_public():
    assert set(CONTRACT) <= set(ts.__all__)


# --- the metadata ----------------------------------------------------------------------------------------------------


def test_the_version_is_the_one_of_setup_cfg():
    setup = configparser.ConfigParser()
    setup.read(TOP / "setup.cfg", "utf-8")
    assert ts.__version__ == setup["metadata"]["version"] == version("tinygrad_scalar")


def test_what_the_package_ships_is_in_it():
    for name in ("py.typed", "datasets/iris.csv", "datasets/README.md"):
        assert (Path(ts.__file__).parent / name).is_file()


def test_a_checkout_that_is_not_installed_says_so(tmp_path):
    package = Path(ts.__file__).parent
    shutil.copytree(package, tmp_path / "tinygrad_scalar", ignore=shutil.ignore_patterns("viz", "notebooks", "*.so"))
    code = "import tinygrad_scalar"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "not installed: run `python -m pip install -e .`" in run.stderr


@pytest.mark.skipif(not (TOP / ".git").exists(), reason="not a git checkout")
def test_no_symbolic_link_is_committed():
    """An editable install makes links in the package, which other systems and archives do not carry."""
    files = subprocess.run(["git", "ls-files", "--stage"], capture_output=True, text=True, check=True, cwd=TOP).stdout
    assert not re.findall(r"^120000 .*$", files, re.MULTILINE)


# --- the rooms -------------------------------------------------------------------------------------------------------


def room(module):
    return module.partition(".")[0]


def test_every_module_is_in_a_room():
    assert {room(module) for module in SOURCES} == set(ROOMS)


def test_a_module_imports_only_from_its_own_room_and_lower_ones():
    upward = {}
    for module, path in SOURCES.items():
        allowed = ROOMS[: ROOMS.index(room(module)) + 1]
        upward[module] = {name for name in imports(path) if room(name) not in allowed}
    assert {module: names for module, names in upward.items() if names} == {}


def test_there_is_no_circle_of_imports():
    modules = TopologicalSorter({name: imports(path) for name, path in SOURCES.items()})
    assert set(modules.static_order()) >= set(SOURCES)  # a CycleError names the circle


def test_every_module_says_what_it_is_for():
    assert [module for module, path in SOURCES.items() if not ast.get_docstring(parsed(path))] == []


@pytest.mark.thorough
def test_each_module_can_be_imported_first():
    """After the package itself.

    In one process, because one for each takes long; with the plain Value, because a process can import an extension
    module only once.
    """
    code = f"""
import importlib, json, sys
import tinygrad_scalar
loaded, failures = set(sys.modules), {{}}
for module in {IMPORTABLE}:
    for name in [name for name in sys.modules if name.startswith("tinygrad_scalar") and name not in loaded]:
        del sys.modules[name]
    try:
        importlib.import_module("tinygrad_scalar." + module)
    except Exception as error:
        failures[module] = repr(error)
print(json.dumps(failures))
"""
    environment = {**os.environ, "TINYGRAD_SCALAR_PURE": "1"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert json.loads(run.stdout) == {}


def test_no_file_of_tests_imports_from_another_file_of_tests():
    """Whatever several of them need is in programs.py, support/ or a conftest.py."""
    for path in (TOP / "tests").rglob("*.py"):
        imported = re.findall(r"^\s*(?:from|import) ([.\w]+)", path.read_text("utf-8"), re.MULTILINE)
        assert not [name for name in imported if name.rpartition(".")[2].startswith("test_")], path
