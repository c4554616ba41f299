"""Helpers for the oracles of several problems."""

from __future__ import annotations

import numpy as np

H = 1e-40  # so small that h² is lost in rounding


def complex_step(function, x):
    """The value at x and the derivative with respect to each number of x, on the first axis: Im f(x + ih) / h.

    Unlike a difference quotient it loses no digits (Squire and Trapp, https://doi.org/10.1137/S003614459631241X).
    `function` gets all x + ih at once, on the first axis.
    """
    x = np.asarray(x, float)
    values = function(x + 1j * H * np.eye(x.size).reshape(x.size, *x.shape))
    return values[0].real, values.imag / H


def error(results, expected):
    """The largest difference between arrays and what they must be, relative to the largest number in each."""
    errors = []
    for result, right in zip(results, expected, strict=True):
        result, right = np.asarray(result, float), np.asarray(right, float)
        if result.shape != right.shape:
            raise ValueError(f"expected the shape {right.shape}, got {result.shape}")
        errors.append(np.abs(result - right).max() / max(np.abs(right).max(), np.finfo(float).tiny))
    return max(errors)
