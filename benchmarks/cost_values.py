"""Parameters of the programs that cost_model.py measures."""

from __future__ import annotations

import numpy as np

import tinygrad_scalar as ts


def values(random, *shape):
    array = random.normal(0.0, 0.3, shape)
    return array_values(array)


def array_values(array):
    return [array_values(part) for part in array] if np.ndim(array) else ts.Value(float(array))


def flat(*nested):
    return [leaf for part in nested for leaf in (flat(*part) if isinstance(part, list) else [part])]
