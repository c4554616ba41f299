"""tinygrad_scalar: write a network one scalar at a time and see every gradient.

>>> import tinygrad_scalar as ts
>>> w, a, b = ts.Value(0.6), ts.Value(1.0), ts.Value(0.1)
>>> z = w * a + b
>>> C = (z.sigmoid() - 0) ** 2
>>> C.backward()
>>> round(w.grad, 4)
0.2963

Values and functions of Values
    Value: a number that knows how it was computed; backward() finds its gradients
    exp, expm1, exp2, log, log1p, log2, log10, sqrt, cbrt, abs, erf: of a Value or a plain number
    sin, cos, tan, asin, acos, atan, atan2: trigonometric functions and their inverses
    sinh, cosh, tanh, asinh, acosh, atanh: hyperbolic functions and their inverses
    sigmoid, relu, leaky_relu, softplus, gelu, silu, elu, selu, mish, hardtanh, softsign: activations
    maximum, minimum, logaddexp, hypot, xlogy: of two arguments
    floor, ceil, sign, clip: flat pieces, where slopes are 0
    sum, mean, dot, norm, max, min, logsumexp: of a list, one node each
    softmax, log_softmax: of a list, a list
    greater, greater_equal, less, less_equal: 1 or 0, conditions for where and cond
    where, cond, lookup: one of two values, one of two branches, one row of a list
    primitive: a new operation, from a function of numbers and its derivative

Seeing gradients
    draw, Drawing: the graph as a picture
    explore, Explorer: the graph as a page to play, edit and be asked about
    group: a name for the values made in a block, by which pictures fold them
    step, Step, Stepper: forward and backward, one operation at a time
    explain, Explanation: a derivative by the chain rule, written out
    to_sympy, from_sympy: a graph as a SymPy expression, and the way back
    nudge, Nudge: a derivative as the limit of difference quotients
    check_gradients, GradientCheck: all derivatives against difference quotients
    sensitivity, Sensitivity: which leaves matter most
    diagnose, Diagnosis: what is wrong with the gradients
    leaves, topological_order: the nodes of a graph

Derivatives of any order
    gradient: the gradients of a graph as Values
    grad, value_and_grad: from a function to its gradient
    jacobian, hessian: all derivatives of a function, also as sparse matrices
    jvp, vjp, hvp: Jacobian and Hessian times a vector; with compiled=True each of these is traced once and runs fast

Networks and training
    Neuron, Layer, MLP: networks of Values
    squared_error, absolute_error, huber, hinge: losses
    binary_cross_entropy, binary_cross_entropy_with_logits, cross_entropy, kl_divergence: losses for classes
    cost: the mean of a loss over examples
    GradientDescent, SGD, RMSProp, Adam, AdamW: optimizers
    fit, History, EarlyStopping: training, how it went, and when it stops
    plot_decision_boundary, plot_gradient_flow, plot_weights, Plot: pictures of it
    viz.network: the picture of a network, as in the notes' figures
    Gradient: all gradients of a network, by name
    save, load: a network in a file
    estimators.NetworkClassifier, estimators.NetworkRegressor: networks for scikit-learn, which they need

Speed
    vectorize: run a function of one example on many, as an array program
    accelerated: whether Value is the compiled implementation

Errors
    StaleGraphError: a leaf was set, and the values above it were not recomputed
    AnomalyError, detect_anomaly: the first nan or infinity, with its line
    TraceError: vectorize cannot follow code that looks at a number
"""

import sys as _sys
from importlib import import_module as _import_module
from types import ModuleType as _Module

from tinygrad_scalar import former_modules as _former_modules  # noqa: F401
from tinygrad_scalar.charts.plot import (
    Plot as Plot,
)
from tinygrad_scalar.engine import (
    Value as Value,
    accelerated as accelerated,
)
from tinygrad_scalar.engine.anomaly import (
    detect_anomaly as detect_anomaly,
)
from tinygrad_scalar.engine.errors import (
    AnomalyError as AnomalyError,
    StaleGraphError as StaleGraphError,
    TraceError as TraceError,
)
from tinygrad_scalar.engine.graph import (
    leaves as leaves,
    topological_order as topological_order,
)
from tinygrad_scalar.engine.groups import (
    group as group,
)
from tinygrad_scalar.functions import (
    abs as abs,
    acos as acos,
    acosh as acosh,
    asin as asin,
    asinh as asinh,
    atan as atan,
    atan2 as atan2,
    atanh as atanh,
    cbrt as cbrt,
    ceil as ceil,
    clip as clip,
    cond as cond,
    cos as cos,
    cosh as cosh,
    elu as elu,
    erf as erf,
    exp as exp,
    exp2 as exp2,
    expm1 as expm1,
    floor as floor,
    gelu as gelu,
    greater as greater,
    greater_equal as greater_equal,
    hardtanh as hardtanh,
    hypot as hypot,
    leaky_relu as leaky_relu,
    less as less,
    less_equal as less_equal,
    log as log,
    log1p as log1p,
    log2 as log2,
    log10 as log10,
    logaddexp as logaddexp,
    lookup as lookup,
    maximum as maximum,
    minimum as minimum,
    mish as mish,
    relu as relu,
    selu as selu,
    sigmoid as sigmoid,
    sign as sign,
    silu as silu,
    sin as sin,
    sinh as sinh,
    softplus as softplus,
    softsign as softsign,
    sqrt as sqrt,
    tan as tan,
    tanh as tanh,
    where as where,
    xlogy as xlogy,
)
from tinygrad_scalar.inspection.check import (
    GradientCheck as GradientCheck,
    check_gradients as check_gradients,
)
from tinygrad_scalar.inspection.diagnose import (
    Diagnosis as Diagnosis,
    diagnose as diagnose,
)
from tinygrad_scalar.inspection.explain import (
    Explanation as Explanation,
    explain as explain,
)
from tinygrad_scalar.inspection.from_sympy import (
    from_sympy as from_sympy,
)
from tinygrad_scalar.inspection.nudge import (
    Nudge as Nudge,
    nudge as nudge,
)
from tinygrad_scalar.inspection.sensitivity import (
    Sensitivity as Sensitivity,
    sensitivity as sensitivity,
)
from tinygrad_scalar.inspection.step import (
    Step as Step,
)
from tinygrad_scalar.inspection.stepper import (
    Stepper as Stepper,
    step as step,
)
from tinygrad_scalar.inspection.to_sympy import (
    to_sympy as to_sympy,
)
from tinygrad_scalar.lists import (
    dot as dot,
    log_softmax as log_softmax,
    logsumexp as logsumexp,
    max as max,
    mean as mean,
    min as min,
    norm as norm,
    softmax as softmax,
    sum as sum,
)
from tinygrad_scalar.nn.callbacks import (
    EarlyStopping as EarlyStopping,
)
from tinygrad_scalar.nn.gradient import (
    Gradient as Gradient,
)
from tinygrad_scalar.nn.history import (
    History as History,
)
from tinygrad_scalar.nn.losses import (
    absolute_error as absolute_error,
    binary_cross_entropy as binary_cross_entropy,
    binary_cross_entropy_with_logits as binary_cross_entropy_with_logits,
    cost as cost,
    cross_entropy as cross_entropy,
    hinge as hinge,
    huber as huber,
    kl_divergence as kl_divergence,
    squared_error as squared_error,
)
from tinygrad_scalar.nn.mlp import (
    MLP as MLP,
    Layer as Layer,
    Neuron as Neuron,
)
from tinygrad_scalar.nn.optim import (
    SGD as SGD,
    Adam as Adam,
    AdamW as AdamW,
    GradientDescent as GradientDescent,
    RMSProp as RMSProp,
)
from tinygrad_scalar.nn.saving import (
    load as load,
    save as save,
)
from tinygrad_scalar.nn.training import (
    fit as fit,
)
from tinygrad_scalar.primitives.primitive import (
    primitive as primitive,
)
from tinygrad_scalar.transforms import (
    grad as grad,
    gradient as gradient,
    hessian as hessian,
    hvp as hvp,
    jacobian as jacobian,
    jvp as jvp,
    value_and_grad as value_and_grad,
    vjp as vjp,
)
from tinygrad_scalar.vectorize import (
    vectorize as vectorize,
)

try:
    from tinygrad_scalar.viz.decision_boundary import (
        plot_decision_boundary as plot_decision_boundary,
    )
    from tinygrad_scalar.viz.drawing import (
        Drawing as Drawing,
        draw as draw,
    )
    from tinygrad_scalar.viz.explore import (
        Explorer as Explorer,
        explore as explore,
    )
    from tinygrad_scalar.viz.gradient_flow import (
        plot_gradient_flow as plot_gradient_flow,
    )
    from tinygrad_scalar.viz.weights import (
        plot_weights as plot_weights,
    )
except ModuleNotFoundError as error:
    if error.name != "tinygrad_scalar.viz":  # which a checkout has beside this folder
        raise
    raise ModuleNotFoundError(
        "this checkout of tinygrad_scalar is not installed: run `python -m pip install -e .` in it, or start Python in "
        "another folder"
    ) from None

__version__ = "0.1.0"

__all__ = sorted(name for name, thing in globals().items() if name[0] != "_" and not isinstance(thing, _Module))

for _name in __all__:  # tracebacks, help and pickles do not show in which module a class is defined
    _thing = globals()[_name]
    if isinstance(_thing, type) and _thing.__module__ != __name__:
        _thing.__module__ = __name__
        if "__firstlineno__" in vars(_thing):  # from Python 3.13 on, inspect would show that line of this file
            delattr(_thing, "__firstlineno__")


def __getattr__(name: str) -> object:
    """`ts.estimators`, which needs scikit-learn, is imported when it is asked for."""
    if name == "estimators":
        return _import_module("tinygrad_scalar.estimators")
    raise AttributeError(f"module 'tinygrad_scalar' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names: what Tab offers."""
    return [*__all__, "__version__"]


def load_ipython_extension(shell: object) -> None:
    """`%load_ext tinygrad_scalar`: the magics %step and %explain."""
    from tinygrad_scalar.ipython import add_magics

    add_magics(shell)


if "IPython" in _sys.modules:  # a notebook shows a stepper with its picture
    from tinygrad_scalar import ipython as _ipython

    _ipython.show_pictures()
if "marimo" in _sys.modules:
    from tinygrad_scalar import ipython as _ipython

    _ipython.show_in_marimo()
