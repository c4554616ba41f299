"""Which way is faster is remembered for a bounded number of batch sizes."""

import numpy as np

import tinygrad_scalar as ts
from tinygrad_scalar.vectorize import compiled


def test_calls_with_ever_new_numbers_of_examples_do_not_make_a_step_grow(monkeypatch):
    kept = []

    class Watched(compiled.Compiled):
        def __init__(self, *args):
            super().__init__(*args)
            kept.append(self)

    monkeypatch.setattr(compiled, "MOST_CHOICES", 5)
    monkeypatch.setattr(compiled, "Compiled", Watched)
    w = ts.Value(2.0)
    step = ts.vectorize(lambda x: w * x, [w])
    for m in range(1, 60):
        assert step.value(np.ones(m)) == 2.0
    assert kept and all(len(program._chosen) <= 5 for program in kept)
