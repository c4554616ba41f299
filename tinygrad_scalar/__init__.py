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

from tinygrad_scalar.engine.anomaly import detect_anomaly
from tinygrad_scalar.engine.errors import AnomalyError, StaleGraphError, TraceError
from tinygrad_scalar.engine.graph import topological_order
from tinygrad_scalar.engine.implementation import accelerated
from tinygrad_scalar.engine.value import Value
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
from tinygrad_scalar.inspection.check import GradientCheck, check_gradients
from tinygrad_scalar.inspection.diagnose import Diagnosis, diagnose
from tinygrad_scalar.inspection.explain import Explanation, explain
from tinygrad_scalar.inspection.names import leaves
from tinygrad_scalar.inspection.nudge import Nudge, nudge
from tinygrad_scalar.inspection.sensitivity import Sensitivity, sensitivity
from tinygrad_scalar.inspection.step import Step
from tinygrad_scalar.inspection.stepper import Stepper, step
from tinygrad_scalar.nn.gradient import Gradient
from tinygrad_scalar.nn.losses import absolute_error, binary_cross_entropy, cost, cross_entropy, hinge, squared_error
from tinygrad_scalar.nn.mlp import MLP, Layer, Neuron
from tinygrad_scalar.nn.optim import SGD, Adam, AdamW, GradientDescent, RMSProp
from tinygrad_scalar.nn.saving import load, save
from tinygrad_scalar.nn.training import History, fit
from tinygrad_scalar.vectorize import vectorize
from tinygrad_scalar.viz.drawing import Drawing, draw

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
