"""The explorer's graph in Node: its passes, its steps, its equations and its quiz, against the engine and `step`."""

import json
import random
import shutil
import subprocess

import pytest
from support.explorer_graphs import GRAPHS, fresh_gradients, labelled, neuron, two_paths

import tinygrad_scalar as ts
from tinygrad_scalar import Value, primitive, step
from tinygrad_scalar.engine.graph import topological_order
from tinygrad_scalar.viz.explore import explore
from tinygrad_scalar.viz.explore_page import script

PROGRAM = """
import { createInterface } from "node:readline";
const { Graph } = graph_js, { Player } = player_js, { Notation } = notation_js;
const numbers = (array) => Array.from(array, (x) => (Object.is(x, -0) ? "-0" : String(x)));
for await (const line of createInterface({ input: process.stdin })) {
  const { data, questions } = JSON.parse(line);
  const graph = new Graph(data, OPERATIONS), notation = new Notation(graph, data);
  const nodes = Array.from({ length: graph.n }, (_, i) => i), computed = nodes.filter((i) => !graph.isLeaf(i));
  const answers = {
    values: () => ({ data: numbers(graph.data), grad: numbers(graph.grad) }),
    edit: ([leaf, number]) => { graph.edit(leaf, Number(number)); return answers.values(); },
    afresh: (edits) => {
      const other = new Graph(data, OPERATIONS);
      for (const [leaf, number] of edits) other.edit(leaf, Number(number));
      return { data: numbers(other.data), grad: numbers(other.grad) };
    },
    hindrance: (leaf) => graph.hindrance(leaf),
    steps: () => {
      const player = new Player(graph), seen = [];
      const now = () => ({
        sums: numbers(player.sums), done: Array.from(player.done), computed: nodes.map((i) => player.isComputed(i)),
      });
      for (let p = 0; p <= player.total; p += 1) { player.to(p); seen.push(now()); }
      const back = [];
      for (let p = player.total; p >= 0; p -= 1) { player.to(p); back.unshift(now()); }
      return { seen, isUndone: JSON.stringify(seen) === JSON.stringify(back), total: player.total };
    },
    texts: () => ({
      names: nodes.map((i) => notation.name(i)),
      made: computed.map((i) => notation.made(i).text), numbers: computed.map((i) => notation.numbers(i).text),
      slopes: computed.map((i) => graph.edgesOf(i).map((edge) => notation.slope(i, edge).text)),
      gradients: nodes.map((i) => notation.gradient(i).text),
    }),
    written: (list) => list.map((x) => formula_js.written(Number(x))),
    right: ([node, text]) => quiz_js.isRight(graph, node, text),
    slip: ([node, text]) => quiz_js.slip(graph, notation, node, text)?.text() ?? null,
    check: () => check_js.checkedLeaves(graph, notation).leaves.map((leaf) => check_js.nudged(graph, leaf)),
  };
  console.log(JSON.stringify(questions.map(([what, asked]) => answers[what](asked))));
}
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """Answers of the page's scripts about a graph to questions, each the name of an answer and what it is given: a
    line to one Node, and one from it, for each graph."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("Node is not installed")
    path = tmp_path_factory.mktemp("explorer") / "program.mjs"
    path.write_text(f"{script()}\n{PROGRAM}", "utf-8")

    with subprocess.Popen(
        [program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:

        def answered(root, *questions):
            process.stdin.write(json.dumps({"data": explore(root, names={}).data, "questions": questions}) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            assert answer, "Node ended, see what it wrote"
            return json.loads(answer)

        yield answered


def close(numbers):
    return pytest.approx(numbers, rel=1e-12, abs=1e-300, nan_ok=True)


def text(number):
    """A number as JavaScript writes it; JSON has no infinities."""
    return str(number).replace("inf", "Infinity")


def place(root, name):
    return next(i for i, node in enumerate(topological_order(root)) if node.label == name)


@pytest.mark.parametrize("build", GRAPHS.values(), ids=GRAPHS)
def test_values_are_the_engines_bit_for_bit_and_gradients_but_for_rounding(node, build):
    root = build()
    (values,) = node(root, ["values"])
    assert str([float(x) for x in values["data"]]) == str([n.data for n in topological_order(root)])
    assert [float(x) for x in values["grad"]] == close(fresh_gradients(root))


@pytest.mark.parametrize("build", GRAPHS.values(), ids=GRAPHS)
def test_after_every_step_each_gradient_is_the_steppers_and_stepping_back_undoes_it(node, build):
    root = build()
    (steps,) = node(root, ["steps"])
    assert steps["isUndone"]
    stepper = step(root, names={})
    assert steps["total"] == stepper.total
    for position, seen in enumerate(steps["seen"]):
        progress = [stepper.progress(value) for value in stepper.nodes]
        assert seen["computed"] == [p.computed for p in progress], position
        if position > (stepper.total - 1) // 2:
            assert seen["done"] == [p.done for p in progress], position
            assert [float(x) for x in seen["sums"]] == close([value.grad for value in stepper.nodes]), position
        stepper.next()


@pytest.mark.parametrize("build", [b for b in GRAPHS.values() if b.__name__ != "hostile"], ids=lambda b: b.__name__)
def test_equations_read_as_those_of_step(node, build):
    root = build()
    (texts,) = node(root, ["texts"])
    stepper = step(root, names={})
    notation, nodes = stepper.notation, stepper.nodes
    computed = [n for n in nodes if n.op]
    assert texts["names"] == [notation.name(n) for n in nodes]
    assert texts["made"] == [notation.made(n).text for n in computed]
    assert texts["numbers"] == [notation.numbers(n).text for n in computed]
    assert texts["gradients"] == [notation.derivative(root, n).text for n in nodes]
    if build.__name__ != "decided":  # there `step` shortens conditions
        assert texts["slopes"] == [[notation.slope(n, i).text for i in range(len(n.operands))] for n in computed]


def test_numbers_are_written_as_everywhere(node):
    from tinygrad_scalar.inspection.notation import written

    numbers = [0.0, -0.25, 1 / 3, 1e-5, 0.0001, 123456.5, 1234567.0, 9.999999, 999999.5, 1e22, -2.5e-7, 100.0, 1.5e300]
    assert node(neuron(), ["written", numbers])[0] == [written(x) for x in numbers]


@pytest.mark.parametrize("build", GRAPHS.values(), ids=GRAPHS)
def test_an_edited_leaf_gives_the_numbers_of_a_fresh_run(node, build):
    root = build()
    nodes = topological_order(root)
    edits = [(i, number) for i, n in enumerate(nodes) if not n.op for number in (0.25, -3.0, 1e-3, 0.0)][:16]
    there_and_back = [[leaf, text(x)] for leaf, number in edits for x in (number, nodes[leaf].data)]
    answers = node(root, *(["edit", edit] for edit in there_and_back))
    for (leaf, number), edited, back in zip(edits, answers[::2], answers[1::2]):
        again = build()
        topological_order(again)[leaf].data = number
        again.forward()
        assert [float(x) for x in edited["data"]] == close([n.data for n in topological_order(again)])
        assert [float(x) for x in edited["grad"]] == close(fresh_gradients(again))
        assert str([float(x) for x in back["data"]]) == str([n.data for n in nodes])


@pytest.mark.parametrize("seed", range(6))
def test_edits_left_one_by_one_leave_nothing_behind_to_the_bit(node, seed):
    draw = random.Random(seed)
    leaves = [Value(draw.uniform(0.1, 2.0), f"x[{k}]") for k in range(6)]
    values = [*leaves]
    for _ in range(40):
        a, b = draw.choice(values), draw.choice(values[-8:])
        values.append(
            draw.choice([a * b, a + b, (a / 3).exp(), b.tanh(), (a * a + 1).log(), a.sin(), (b * b + 1) ** 0.3])
        )
    root = labelled(ts.sum(values), "C")
    nodes = topological_order(root)
    edits = {place(root, leaf.label): text(draw.uniform(-1.0, 1.0)) for leaf in leaves}
    left = draw.sample(sorted(edits), len(edits))
    there = [["edit", [leaf, number]] for leaf, number in edits.items()]
    back = [["edit", [leaf, text(nodes[leaf].data)]] for leaf in left]
    remaining = [
        ["afresh", [pair for pair in edits.items() if pair[0] not in left[:k]]] for k in range(1, len(left) + 1)
    ]
    answers = node(root, ["values"], *there, *back, *remaining)
    assert answers[len(there) + 1 : -len(remaining)] == answers[-len(remaining) :]
    assert answers[-1] == answers[0]


def test_what_python_alone_can_compute_is_not_edited(node):
    @primitive(derivative=lambda x: 3.0 * x**2)
    def cubed(x):
        return x**3

    x, y = Value(2.0, "x"), Value(3.0, "y")
    root = cubed(x) + y
    values, *hindrances = node(root, ["values"], ["hindrance", place(root, "x")], ["hindrance", place(root, "y")])
    assert "cubed" in hindrances[0]
    assert hindrances[1] is None
    assert float(values["grad"][place(root, "x")]) == 12.0


# --- the quiz ---------------------------------------------------------------------------------------------------------

SLIPS = {  # what was forgotten: the answer that it gives for w of the neuron, what is said
    "right": (1.0, None),
    "σ′": (lambda s: 1 / s["σ′"], "left out a factor: ∂a⁽¹⁾/∂z = σ′(z)"),
    "the sign": (-1.0, "the sign is not"),
    "a": (lambda s: 1 / 1.5, "left out a factor: ∂(w·a⁽⁰⁾)/∂w = a⁽⁰⁾"),
    "2": (0.5, "exponent 2 comes down"),
    "σ for σ′": (lambda s: s["σ"] / s["σ′"], "took the value a⁽¹⁾"),
    "w for a": (lambda s: 0.6 / 1.5, "took w = 0.6 for the derivative"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_the_quiz_finds_the_factor_that_is_wrong(node, slip):
    root = neuron()
    nodes = topological_order(root)
    gradient = fresh_gradients(root)[place(root, "w")]
    activation = nodes[place(root, "a(1)")].data
    times, said = SLIPS[slip]
    factor = times({"σ′": activation * (1 - activation), "σ": activation}) if callable(times) else times
    answer = f"{gradient * factor:.5g}"
    right, found = node(root, ["right", [place(root, "w"), answer]], ["slip", [place(root, "w"), answer]])
    assert right is (said is None)
    if said:
        assert said in found


def test_the_quiz_finds_the_path_that_is_missing(node):
    root = two_paths()
    x = place(root, "x")
    gradient = fresh_gradients(root)[x]
    said = node(root, ["slip", [x, repr(gradient + 1.0)]])[0]
    assert said.startswith("One of the paths is missing: that through C adds −1. x is used 2 times")
    assert node(root, ["slip", [x, "123.456"]]) == [None]


@pytest.mark.parametrize("text", ["{:.3g}", "{:.2f}", "{:.10g}", " {:.4g} "])
def test_an_answer_with_fewer_digits_is_right(node, text):
    root = neuron()
    w = place(root, "w")
    typed = text.format(fresh_gradients(root)[w])
    assert node(root, ["right", [w, typed]], ["right", [w, typed.replace("-", "−").replace(".", ",")]]) == [True, True]


def test_what_is_no_number_is_not_right(node):
    assert node(neuron(), *(["right", [0, text]] for text in ("", "x", "1/0", "∞", "--1"))) == [False] * 5


@pytest.mark.parametrize("build", GRAPHS.values(), ids=GRAPHS)
def test_the_check_agrees_with_every_gradient(node, build):
    for row in node(build(), ["check"])[0]:
        assert row["agrees"] is not False, row


def test_a_zero_edited_to_minus_zero_is_another_number(node):
    x = Value(0.0, "x")
    edited, back = node(1 / x + 1, ["edit", [place(1 / x, "x"), "-0"]], ["edit", [place(1 / x, "x"), "0"]])
    assert edited["data"][-1] == "-Infinity"
    assert back["data"][-1] == "Infinity"
