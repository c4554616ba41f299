"""tinygrad_scalar: write a network one scalar at a time and see every gradient.

>>> import tinygrad_scalar as ts
>>> w, a, b = ts.Value(0.6), ts.Value(1.0), ts.Value(0.1)
>>> z = w * a + b
>>> C = (z.sigmoid() - 0) ** 2
>>> C.backward()
>>> round(w.grad, 4)
0.2963
"""

import sys as _sys
from pathlib import Path as _Path

# In a checkout viz/ stands beside this folder, installed it is inside it.
if not (_Path(__file__).parent / "viz").is_dir():
    __path__.append(str(_Path(__file__).parent.parent))

from tinygrad_scalar.anomaly import detect_anomaly
from tinygrad_scalar.chain_rule import Explanation, explain
from tinygrad_scalar.diagnose import diagnose
from tinygrad_scalar.diagnosis import Diagnosis
from tinygrad_scalar.errors import AnomalyError, StaleGraphError, TraceError
from tinygrad_scalar.functions import (
    abs,
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atanh,
    cos,
    cosh,
    erf,
    exp,
    expm1,
    greater,
    greater_equal,
    leaky_relu,
    less,
    less_equal,
    log,
    log1p,
    logaddexp,
    lookup,
    maximum,
    minimum,
    relu,
    sigmoid,
    sin,
    sinh,
    softplus,
    sqrt,
    tan,
    tanh,
    where,
)
from tinygrad_scalar.gradient import Gradient
from tinygrad_scalar.graph import leaves
from tinygrad_scalar.implementation import accelerated
from tinygrad_scalar.losses import absolute_error, binary_cross_entropy, cost, cross_entropy, hinge, squared_error
from tinygrad_scalar.nn import MLP, Layer, Neuron
from tinygrad_scalar.nudge import GradientCheck, Nudge, check_gradients, nudge
from tinygrad_scalar.optim import SGD, Adam, AdamW, GradientDescent, RMSProp
from tinygrad_scalar.saving import load, save
from tinygrad_scalar.sensitivity import Sensitivity, sensitivity
from tinygrad_scalar.stepper import Step, Stepper, step
from tinygrad_scalar.training import History, fit
from tinygrad_scalar.value import Value
from tinygrad_scalar.vectorize import vectorize
from tinygrad_scalar.viz.drawing import Drawing, draw
from tinygrad_scalar.walk import topological_order

__version__ = "0.1.0"


__all__ = [
    "MLP",
    "SGD",
    "Adam",
    "AdamW",
    "AnomalyError",
    "Diagnosis",
    "Drawing",
    "Explanation",
    "Gradient",
    "GradientCheck",
    "GradientDescent",
    "History",
    "Layer",
    "Neuron",
    "Nudge",
    "RMSProp",
    "Sensitivity",
    "StaleGraphError",
    "Step",
    "Stepper",
    "TraceError",
    "Value",
    "abs",
    "absolute_error",
    "accelerated",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "binary_cross_entropy",
    "check_gradients",
    "cos",
    "cosh",
    "cost",
    "cross_entropy",
    "detect_anomaly",
    "diagnose",
    "draw",
    "erf",
    "exp",
    "explain",
    "expm1",
    "fit",
    "greater",
    "greater_equal",
    "hinge",
    "leaky_relu",
    "leaves",
    "less",
    "less_equal",
    "load",
    "log",
    "log1p",
    "logaddexp",
    "lookup",
    "maximum",
    "minimum",
    "nudge",
    "relu",
    "save",
    "sensitivity",
    "sigmoid",
    "sin",
    "sinh",
    "softplus",
    "sqrt",
    "squared_error",
    "step",
    "tan",
    "tanh",
    "topological_order",
    "vectorize",
    "where",
]


def load_ipython_extension(shell: object) -> None:
    """`%load_ext tinygrad_scalar`: the magics %step and %explain."""
    from tinygrad_scalar.ipython import add_magics

    add_magics(shell)


if "IPython" in _sys.modules:  # a notebook shows a stepper with its picture
    from tinygrad_scalar import ipython as _ipython

    _ipython.show_pictures()
