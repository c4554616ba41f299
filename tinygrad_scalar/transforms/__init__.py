"""Derivatives that are Values, of any order."""

from tinygrad_scalar.transforms.gradient import gradient

__all__ = ["gradient"]
