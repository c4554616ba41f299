"""Former names of modules, from when all lay in one folder, so that pickles and programs from then still load.

A pickle names the module of each class, such as `tinygrad_scalar.value`. Here each such module is an alias that
looks a name up among the public ones and in the modules that took over its contents.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

MOVED = {
    "anomaly": "engine.anomaly",
    "atomic": "atomic_write",
    "bulk": "engine",
    "chain_rule": "inspection.explain inspection.paths",
    "demo": "cli.demo",
    "diagnose": "inspection.diagnose",
    "diagnosis": "inspection.diagnose",
    "differences": "inspection.finite_differences",
    "errors": "engine.errors",
    "expression": "cli.expression",
    "gradient": "nn.gradient",
    "graph": "inspection.names engine.graph",
    "implementation": "engine",
    "losses": "nn.losses",
    "notation": "inspection.notation inspection.brackets inspection.latex",
    "nudge": "inspection.nudge inspection.check",
    "number": "engine.number",
    "ops": "engine.ops",
    "optim": "nn.optim",
    "pickling": "engine.pickling",
    "reading": "inspection.named_graph",
    "report": "cli.train cli.console",
    "saving": "nn.saving",
    "sensitivity": "inspection.sensitivity",
    "stepper": "inspection.stepper inspection.step",
    "symbolic": "inspection.symbolic",
    "table": "inspection.layout",
    "tabular": "cli.table_model",
    "terminal": "cli.step",
    "tracing": "engine.tracing",
    "training": "nn.training nn.trainers",
    "tutorial": "cli.notebooks",
    "value": "engine",
    "vectorize.elementwise": "vectorize.numpy_calls",
    "vectorize.grouping": "vectorize.group",
    "vectorize.places": "vectorize.variables",
    "vectorize.regroup": "vectorize.assemble",
    "vectorize.storage": "vectorize.buffers",
    "walk": "engine.graph",
}
RENAMED = {"_Paths": "Paths"}
PACKAGE = "tinygrad_scalar"


class _Alias(ModuleType):
    def __getattr__(self, name: str) -> Any:
        """A class or function by its former name."""
        old = self.__name__.removeprefix(f"{PACKAGE}.")
        if not name.startswith("__"):  # asked for by tools that go through all modules
            for module in (PACKAGE, *(f"{PACKAGE}.{new}" for new in MOVED[old].split())):
                found = vars(import_module(module)).get(RENAMED.get(name, name))
                if found is not None:
                    return found
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


# An entry here, unlike an import, leaves ts.nudge the function that it is.
for _old in MOVED:
    sys.modules.setdefault(f"{PACKAGE}.{_old}", _Alias(f"{PACKAGE}.{_old}"))
