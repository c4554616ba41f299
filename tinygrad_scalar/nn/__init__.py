"""Networks, losses, optimizers, training, saving."""

from tinygrad_scalar.nn.activations import ACTIVATIONS, Activation, linear
from tinygrad_scalar.nn.callbacks import Callback, EarlyStopping, Epoch
from tinygrad_scalar.nn.dask_batches import DaskBatches
from tinygrad_scalar.nn.gradient import Gradient
from tinygrad_scalar.nn.history import History
from tinygrad_scalar.nn.losses import LOSSES, Loss
from tinygrad_scalar.nn.metrics import METRICS
from tinygrad_scalar.nn.mlp import MLP, Layer, Module, Neuron
from tinygrad_scalar.nn.optim import OPTIMIZERS, Optimizer
from tinygrad_scalar.nn.saving import load, load_with, save
from tinygrad_scalar.nn.schedules import SCHEDULES, Schedule, constant, cosine_decay, step_decay, warm_up
from tinygrad_scalar.nn.training import fit

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "METRICS",
    "MLP",
    "OPTIMIZERS",
    "SCHEDULES",
    "Activation",
    "Callback",
    "DaskBatches",
    "EarlyStopping",
    "Epoch",
    "Gradient",
    "History",
    "Layer",
    "Loss",
    "Module",
    "Neuron",
    "Optimizer",
    "Schedule",
    "constant",
    "cosine_decay",
    "fit",
    "linear",
    "load",
    "load_with",
    "save",
    "step_decay",
    "warm_up",
]
