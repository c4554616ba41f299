"""Derivatives that are Values, of any order, and functions that differentiate functions."""

from tinygrad_scalar.transforms.grad import grad, value_and_grad
from tinygrad_scalar.transforms.gradient import gradient
from tinygrad_scalar.transforms.hessian import hessian
from tinygrad_scalar.transforms.hvp import hvp
from tinygrad_scalar.transforms.jacobian import jacobian
from tinygrad_scalar.transforms.jvp import jvp
from tinygrad_scalar.transforms.vjp import vjp

__all__ = ["grad", "gradient", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]
