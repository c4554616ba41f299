"""`tinygrad-scalar demo`: its numbers, its pictures, and the next command that it names."""

import os
import re
import shlex
from xml.etree import ElementTree

import pytest
from support.commands import SCRIPT, SVG, main, process

import tinygrad_scalar as ts
from tinygrad_scalar import Value


@pytest.fixture(scope="module")
def demonstrated(tmp_path_factory):
    """The folder and the output of the demonstration, by the installed script."""
    folder = tmp_path_factory.mktemp("demonstrated")
    run = process(SCRIPT, "demo", cwd=folder)
    assert (run.returncode, run.stderr) == (0, "")
    return folder, run.stdout


def test_the_demonstration_shows_the_forward_values_of_one_node(demonstrated):
    _, out = demonstrated
    numbers = dict(re.findall(r"^  (\S+) +?= ([\d.]+)$", out, re.M))
    w, a, b = (float(numbers[name]) for name in ("w⁽¹⁾", "a⁽⁰⁾", "b⁽¹⁾"))
    z = w * a + b
    assert float(numbers["z⁽¹⁾"]) == pytest.approx(z, abs=1e-4)
    assert float(numbers["a⁽¹⁾"]) == pytest.approx(ts.sigmoid(z), abs=1e-4)
    assert float(numbers["C"]) == pytest.approx((ts.sigmoid(z) - float(numbers["y"])) ** 2, abs=1e-4)


# the derivative, its equation in 000, and its first factor
DERIVATIVES = {"w⁽¹⁾": (3, "a⁽⁰⁾"), "b⁽¹⁾": (7, "1"), "a⁽⁰⁾": (8, "w⁽¹⁾")}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_the_demonstrations_chain_rule_products_multiply_out_to_the_gradient(name, demonstrated):
    _, out = demonstrated
    equation, first = DERIVATIVES[name]
    lines = out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip().startswith(f"∂C/∂{name} "))
    rule, symbols, numbers = (line.strip() for line in lines[start : start + 3])
    assert rule.endswith(f"(000 Eq. {equation})")
    assert [f"∂z⁽¹⁾/∂{name}", "∂a⁽¹⁾/∂z⁽¹⁾", "∂C/∂a⁽¹⁾"] == rule.split("=")[1].split("(000")[0].strip().split(" · ")
    assert symbols == f"= {first} · σ′(z⁽¹⁾) · 2(a⁽¹⁾ − y)"
    product, result = re.fullmatch(r"= (.*) = (.*)", numbers).groups()
    one, two, three = map(float, product.split(" · "))
    assert float(result) == pytest.approx(one * two * three, abs=2e-4)
    assert float(result) != 0.0
    leaf = {"w⁽¹⁾": Value(0.6), "b⁽¹⁾": Value(0.1), "a⁽⁰⁾": Value(0.8)}
    ((leaf["w⁽¹⁾"] * leaf["a⁽⁰⁾"] + leaf["b⁽¹⁾"]).sigmoid() ** 2).backward()
    assert float(result) == pytest.approx(leaf[name].grad, abs=5e-5)
    assert f"{name}: {result}" in next(line for line in lines if "backward()" in line)


def test_the_demonstrations_network_of_67_parameters_tells_irises_apart(demonstrated):
    _, out = demonstrated
    assert "MLP(4, [8, 3]" in out
    assert "67 parameters" in out
    right, total = map(int, re.search(r"held-out accuracy: [\d.]+% \((\d+) of (\d+)\)", out).groups())
    assert total == 50
    assert right / total >= 0.93


def test_the_demonstration_writes_three_pictures_and_names_them(demonstrated):
    folder, out = demonstrated
    names = ["iris-cost.svg", "loss.svg", "one-node.svg"]
    assert sorted(path.name for path in folder.iterdir()) == names
    for name in names:
        ElementTree.parse(folder / name)
        assert re.search(rf"^  {name}: \w", out.replace(f"{folder}{os.sep}", ""), re.M)


def test_the_demonstrations_pictures_show_what_it_says(demonstrated):
    folder, out = demonstrated
    texts = [text.text for text in ElementTree.parse(folder / "one-node.svg").iter(f"{SVG}text")]
    for name in ("w⁽¹⁾", "b⁽¹⁾", "a⁽⁰⁾", "z⁽¹⁾", "a⁽¹⁾", "C"):
        assert name in texts
    for number in re.search(r"every \.grad: (.*)", out)[1].split(", "):
        assert f"{float(number.split(': ')[1]):.4g}" in texts
    (curve,) = ElementTree.parse(folder / "loss.svg").iter(f"{SVG}polyline")
    assert len(curve.get("points").split()) == int(re.search(r"in (\d+) epochs", out)[1])
    cost = [text.text for text in ElementTree.parse(folder / "iris-cost.svg").iter(f"{SVG}text")]
    assert {"a⁽⁰⁾₃", "a⁽¹⁾₇", "z⁽²⁾₂", "C"} <= set(cost)
    assert (cost.count("neuron"), cost.count("input")) == (8 + 3, 4)
    assert {"layer 1 (8 × 4)", "layer 2 (3 × 8)"} <= set(cost)


def test_the_next_thing_that_the_demonstration_names_works(demonstrated, tmp_path, monkeypatch):
    _, out = demonstrated
    program, *arguments = shlex.split(out.strip().splitlines()[-1])
    monkeypatch.chdir(tmp_path)
    assert program == "tinygrad-scalar"
    assert main(*arguments) == 0
    assert [path.suffix for path in tmp_path.iterdir()] == [".svg"]
