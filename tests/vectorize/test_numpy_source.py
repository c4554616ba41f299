"""The NumPy source: it runs by itself, is what a person would write, and follows the notes."""

import subprocess

import numpy as np
import pytest
from programs import Draw
from support.vectorize_cases import CASES

import tinygrad_scalar as ts


@pytest.mark.parametrize("name", CASES)
def test_the_source_is_all_there_is_to_it(name):
    cost, params, arrays = CASES[name](Draw())
    run = ts.vectorize(cost, params)
    value, gradient = run(*arrays)
    pasted = {}
    exec(run.source, pasted)
    with np.errstate(all="ignore"):
        forward, backward = pasted["prepare"](len(arrays[0]), run.parameters)
        columns = [array.reshape(len(array), -1) for array in arrays]
        results = forward(*columns)
        assert (results if np.isscalar(results) else results[0]) == pytest.approx(value, rel=1e-13)
        np.testing.assert_allclose(backward(*columns), gradient, rtol=1e-11, atol=1e-13 * abs(gradient).max())
    again = ts.vectorize(cost, params)
    again(*arrays)
    assert again.source == run.source


def test_the_source_of_a_network_is_the_equations_of_the_notes_in_under_60_lines():
    net = ts.MLP(2, [16, 16, 1], "tanh", seed=0)
    run = ts.vectorize(lambda x, y: ts.squared_error(net(x), y), net.parameters())
    run(np.ones((3, 2)), np.ones((3, 1)))
    lines = run.source.splitlines()
    assert len(lines) < 60
    code = [line.strip().partition("  #")[0] for line in lines]
    for layer in (1, 2, 3):
        before = "A0" if layer == 1 else f"A{layer - 1}"
        assert f"add(matmul(W{layer}, {before}, out=Z{layer}), b{layer}, out=Z{layer})" in code  # 003 Eq. 1a
        assert f"tanh(Z{layer}, out=A{layer})" in code  # 1b
        assert (
            f"multiply(dA{layer}, slope_of_tanh(A{layer}, Z{layer}, out=slope{layer}), out=delta{layer})" in code
        )  # 11a
        assert f"matmul(delta{layer}, {'X' if layer == 1 else before + '.T'}, out=dW{layer})" in code  # 11b
        assert f"add.reduce(delta{layer}, axis=1, keepdims=True, out=db{layer})" in code  # 11c
    for layer in (2, 3):
        assert f"matmul(W{layer}.T, delta{layer}, out=dA{layer - 1})" in code  # 11d


@pytest.mark.peers
@pytest.mark.parametrize("name", CASES)
def test_all_sources_are_clean_and_formatted(name):
    ruff = pytest.importorskip("ruff", reason="ruff is not installed").find_ruff_bin()
    cost, params, arrays = CASES[name](Draw())
    run = ts.vectorize(cost, params)
    run(*arrays)
    for command in (["check", "--select", "E,F,W,I,UP,B,SIM,PIE,RET,NPY"], ["format", "--check"]):
        options = ["--isolated", "--line-length", "120", "--stdin-filename", "run.py", "-"]
        done = subprocess.run([ruff, *command, *options], input=run.source, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
