"""`explore`: the page as a file, and what Python knows of it. What the page does: the tests named test_explorer_…"""

import base64
import hashlib
import html
import json
import re
from itertools import pairwise

import numpy as np
import pytest
from support.explorer_graphs import GRAPHS, HOSTILE, hostile, labelled, network, neuron

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine.graph import pass_order, topological_order
from tinygrad_scalar.viz.explore_data import KINDS
from tinygrad_scalar.viz.explore_page import FOLDER, MODULES, graphviz, script, style

OWN = 150_000  # bytes


def column(text, kind):
    return np.frombuffer(base64.b64decode(text), kind).tolist()


@pytest.mark.parametrize("build", GRAPHS.values(), ids=GRAPHS)
def test_the_data_hold_the_whole_graph(build):
    root = build()
    nodes, data = topological_order(root), ts.explore(root, names={}).data
    index = {node: i for i, node in enumerate(nodes)}
    names = [row["name"] for row in data["operations"]]
    assert [names[code] if code >= 0 else "" for code in column(data["code"], "<i2")] == [n.op for n in nodes]
    starts, operands = column(data["starts"], "<i4"), column(data["operands"], "<i4")
    assert [operands[i:j] for i, j in pairwise(starts)] == [[index[o] for o in n.operands] for n in nodes]
    assert str(column(data["data"], "<f8")) == str([n.data for n in nodes])
    assert column(data["order"], "<i4") == [index[n] for n in pass_order(root)]
    assert KINDS[column(data["kind"], "u1")[-1]] == "output"
    assert json.loads(json.dumps(data))["n"] == len(nodes)


@pytest.mark.parametrize("build", GRAPHS.values(), ids=GRAPHS)
def test_groups_are_a_tree_and_every_node_has_its_innermost(build):
    data = ts.explore(build(), names={}).data
    if "groups" not in data:
        return
    assert all(group["parent"] < i for i, group in enumerate(data["groups"]))
    group = column(data["group"], "<i4")
    assert len(group) == data["n"]
    assert set(group) <= {-1, *range(len(data["groups"]))}
    assert set(data["folded"]) <= set(range(len(data["groups"])))


def test_a_network_has_its_layers_and_neurons_and_named_groups_their_names():
    groups = ts.explore(network(), names={}).data["groups"]
    assert [g["name"] for g in groups if g["kind"] == "layer"] == ["layer 1", "layer 2"]
    assert [g["name"] for g in groups if g["kind"] == "neuron"][:2] == ["neuron a⁽¹⁾₀", "neuron a⁽¹⁾₁"]
    x = Value(0.5, "x")
    with ts.group("attention"):
        y = (x * 2.0).tanh()
    groups = ts.explore(y + 1, names={}).data["groups"]
    assert [(g["name"], g["kind"]) for g in groups] == [("attention", "named")]


def test_many_leaves_of_one_letter_are_a_group():
    x = [Value(0.1 * i, f"x[{i}]") for i in range(40)]
    groups = ts.explore(ts.sum([a.tanh() for a in x]), names={}).data["groups"]
    assert [(g["name"], g["kind"]) for g in groups] == [("x", "leaves")]


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_policy_allows_the_pages_own_scripts_and_style_alone():
    page = ts.explore(neuron(), names={}).html
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.split(" ", 1) for rule in html.unescape(policy).split("; "))
    assert rules["default-src"] == "'none'"
    assert "unsafe-inline" not in policy
    assert "'unsafe-eval'" not in policy

    def hashes(pattern):
        texts = re.findall(pattern, page, re.DOTALL)
        return {f"'sha256-{base64.b64encode(hashlib.sha256(t.encode()).digest()).decode()}'" for t in texts}

    scripts = hashes(r'<script(?: type="module")?>(.*?)</script>')
    assert len(scripts) == 2
    assert set(rules["script-src"].split()) == {*scripts, "'wasm-unsafe-eval'"}
    assert set(rules["style-src"].split()) == hashes(r"<style>(.*?)</style>")


def test_the_page_names_no_address_to_load_from():
    own = script() + style()
    assert not re.search(r"\b(?:fetch|XMLHttpRequest|WebSocket|EventSource|importScripts|innerHTML|eval)\b", own)
    assert not re.search(r"(?:src|href)\s*=\s*[\"']", ts.explore(neuron(), names={}).html.replace(graphviz(), ""))
    assert not re.search(r"url\((?!#)", style())


def test_the_pages_own_part_is_small():
    assert len(script().encode()) + len(style().encode()) < OWN


def test_every_script_is_part_of_the_page_or_a_widget():
    """A widget's script exports by default what anywidget calls; an ordinary module does not."""
    modules = {path.stem for path in FOLDER.glob("*.js") if "\nexport default" not in path.read_text("utf-8")}
    assert modules - {"viz-global"} == set(MODULES)


def test_hostile_labels_end_no_element_of_the_page():
    page = ts.explore(hostile(), names={}).html
    assert page.count("<script") == 3 + graphviz().count("<script")
    assert page.count("</script>") == 3
    (data,) = re.findall(r'<script type="application/json" id="graph">(.*?)</script>', page, re.DOTALL)
    plain = json.loads(data)["plain"].values()
    assert "<" not in data
    assert {label for label in HOSTILE if label in plain or label in json.loads(data)["called"]} == set(HOSTILE)


def test_a_title_is_text():
    page = ts.explore(labelled(Value(1.0) + 1, "</title><script>"), names={}).html
    assert "<title>&lt;/title&gt;&lt;script&gt;</title>" in page


# --- from Python ------------------------------------------------------------------------------------------------------


def test_save_writes_the_page_and_refuses_other_suffixes(tmp_path):
    explorer = ts.explore(neuron(), names={})
    explorer.save(tmp_path / "cost.html")
    assert (tmp_path / "cost.html").read_text("utf-8") == explorer.html
    with pytest.raises(ValueError, match=r"must end in \.html; got .*cost\.svg"):
        explorer.save(tmp_path / "cost.svg")


def test_the_position_is_within_the_steps():
    explorer = ts.explore(neuron(), names={})
    assert explorer.position == explorer.total == ts.step(neuron()).total
    explorer.position = 3
    assert explorer.position == 3
    for wrong in (-1, explorer.total + 1, 1.5):
        with pytest.raises((ValueError, TypeError), match="position"):
            explorer.position = wrong
    assert explorer.position == 3


def test_edits_of_the_page_are_heard_and_leave_the_values_alone():
    root = neuron()
    explorer, heard = ts.explore(root, names={}), []
    explorer.on_edit(lambda name, number: heard.append((name, number)))
    numbers = [node.data for node in topological_order(root)]
    numbers[0] = 7.0
    explorer._edited(0, 7.0, numbers)
    assert heard == [("w", 7.0)]
    assert explorer.values["w"] == 7.0
    assert topological_order(root)[0].data == 0.6


def test_names_are_the_callers_variables():
    speed, time = Value(2.0), Value(3.0)
    assert list(ts.explore(speed * time).values) == ["speed", "time"]


@pytest.mark.parametrize(
    "wrong, error",
    [(3, "expected the Value at the root"), (Value(1.0, "x"), "expected a computed Value, but x is a leaf")],
)
def test_what_has_no_graph_is_refused(wrong, error):
    with pytest.raises((TypeError, ValueError), match=error):
        ts.explore(wrong)


def test_a_stale_graph_is_refused():
    x = Value(1.0, "x")
    y = x * 2
    x.data = 3.0
    with pytest.raises(ts.StaleGraphError):
        ts.explore(y)


def test_no_gradient_changes():
    root = neuron()
    root.backward()
    before = [node.grad for node in topological_order(root)]
    explorer = ts.explore(root, names={})
    assert explorer.html
    assert [node.grad for node in topological_order(root)] == before


def test_what_explain_says_is_in_the_data_of_a_small_graph():
    root = neuron()
    w = topological_order(root)[0]
    assert ts.explore(root, names={}).data["explain"][0] == ts.explain(root, w, names={}).text


def test_lines_are_there_where_they_are_known():
    with ts.detect_anomaly():
        y = Value(2.0, "x") * 3.0
        data = ts.explore(y, names={}).data
    assert 'y = Value(2.0, "x") * 3.0' in data["lines"][2]
