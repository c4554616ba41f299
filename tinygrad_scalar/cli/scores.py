"""How well predictions fit: accuracy and confusion matrix of classes, R² and RMSE of numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence


def accuracy(actual: Sequence[str], predicted: Sequence[str]) -> float:
    """The share of correct predictions.

    >>> accuracy(["a", "b", "b", "a"], ["a", "b", "a", "a"])
    0.75
    """
    return sum(map(str.__eq__, actual, predicted)) / len(actual)


def confusion_matrix(actual: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> list[list[int]]:
    """How many rows of class i (down) were predicted as class j (across).

    >>> confusion_matrix(["a", "b", "b", "a"], ["a", "b", "a", "a"], ["a", "b"])
    [[2, 0], [1, 1]]
    """
    counts = Counter(zip(actual, predicted))
    return [[counts[i, j] for j in classes] for i in classes]


def r_squared(actual: Sequence[float], predicted: Sequence[float]) -> float:
    """R² = 1 − Σ(y − ŷ)²/Σ(y − ȳ)²: 1 is perfect, 0 no better than the mean; nan if all y are equal.

    >>> r_squared([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    1.0
    """
    if min(actual) == max(actual):
        return math.nan
    mean = math.fsum(y / len(actual) for y in actual)
    # the roots of the two sums: unlike their squares, they neither overflow nor underflow
    unexplained = math.dist(actual, predicted) / math.dist(actual, [mean] * len(actual))
    return 1.0 - unexplained * unexplained


def rmse(actual: Sequence[float], predicted: Sequence[float]) -> float:
    """√ of the mean of (ŷ − y)², in the unit of y.

    >>> round(rmse([1.0, 2.0], [3.0, 4.0]), 12)
    2.0
    """
    return math.dist(actual, predicted) / math.sqrt(len(actual))
