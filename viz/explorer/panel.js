// The panel beside the picture: the step in symbols and numbers, and everything about the value that is selected.

import { make, makeMath } from "./elements.js";
import { bracketed, numberFormula, SINGLE, written } from "./formula.js";
import { KINDS } from "./graph.js";

const EQUALS = ["mo", "="], TIMES = ["mo", "·"], PLUS = ["mo", "+"], ADDS = ["mo", "+="];
const MOST_TERMS = 24;  // consumers or operands that are listed
const factor = (number) => bracketed(numberFormula(number));

// Rows "left = right" under one another, aligned at the sign.
function equations(left, ...rows) {
  const lines = rows.filter(Boolean).map(([sign, ...right], k) => make(
    "div", { class: "ts-line" },
    make("span", { class: "ts-left" }, k === 0 ? makeMath(left) : ""),
    make("span", {}, makeMath(sign, ...right)),
  ));
  return make("div", { class: "ts-equation" }, ...lines);
}

// Where the player stands, in words.
export function whereText(player) {
  const { position, n, total } = player;
  if (position === 0) return `${n} value${n > 1 ? "s" : ""} to compute, then the chain rule backwards`;
  const phase = position <= n ? `forward ${position} of ${n}` : `backward ${position - n - 1} of ${n}`;
  return `${phase} · step ${position} of ${total}`;
}

// The last step as equations.
export function stepView({ graph, player, notation, isResting }) {
  const { step } = player;
  if (isResting) return [make("p", { class: "ts-hint" }, "Every value and every gradient, as after backward(). Press play to see how they come about, step by step.")];
  if (!step) return [make("p", { class: "ts-hint" }, "Press play, or step with the arrow keys.")];
  const { node } = step, name = notation.named(node), made = notation.made(node);
  if (step.phase === "forward") {
    const value = numberFormula(graph.data[node]).math;
    const isNamed = made.text !== name.text;
    return [equations(name.math, isNamed && [EQUALS, made.math], [EQUALS, notation.numbers(node).math], [EQUALS, value])];
  }
  const upstream = notation.gradient(node).math;
  if (step.contributions.length === 0) {
    return [equations(upstream, [EQUALS, ["mn", "1"]]), make("p", { class: "ts-hint" }, `A nudge of ${name.text} moves ${name.text} by as much. From here the chain rule goes backwards.`)];
  }
  const views = notation.ofInterest(step.contributions).slice(0, MOST_TERMS).map((one) => contributionView({ graph, notation }, node, one, upstream));
  const through = made.text === name.text ? [made.math] : [name.math, EQUALS, made.math];
  return [make("p", { class: "ts-through" }, "back through ", makeMath(...through)), ...views];
}

function contributionView({ notation }, node, one, upstream) {
  const slope = bracketed(notation.slope(node, one.edge)).math;
  const local = notation.derivative(node, one.operand, notation.part(node, one.edge)).math;
  const sum = one.of > 1
    ? `${written(one.before)} + ${factor(one.amount).text} = ${written(one.after)}: ${one.done === one.of ? "complete" : `${one.done} of ${one.of} contributions`}`
    : "complete";
  return make(
    "div", { class: "ts-contribution" },
    equations(
      notation.gradient(one.operand).math,
      [ADDS, local, TIMES, upstream],
      [EQUALS, slope, TIMES, upstream],
      [EQUALS, factor(one.local).math, TIMES, factor(one.upstream).math, EQUALS, ["mstyle", numberFormula(one.amount).math]],
    ),
    make("p", { class: one.done === one.of ? "ts-sum ts-complete" : "ts-sum" }, `${bracketed(notation.named(one.operand), SINGLE).text}.grad: ${sum}`),
  );
}

// What one can do, while no value is selected.
export function hints() {
  return make(
    "ul", { class: "ts-hints" }, make("li", {}, "Select a value to see its number, its gradient and where they come from."),
    make("li", {}, "Select a leaf to change its number: everything follows."), make("li", {}, "Quiz hides the gradients and asks for them. Check nudges every leaf."), make("li", {}, "Press ? for the keys."),
  );
}

// Everything about a value but its editor; `go` selects another value. In the quiz, without gradients.
export function valueView({ graph, player, notation, data, isHidden, go }, i) {
  const parts = [];
  const section = (title, ...children) => parts.push(make("section", {}, make("h3", {}, title), ...children));
  if (!graph.isLeaf(i)) {
    const name = notation.named(i), made = notation.made(i), value = numberFormula(graph.data[i]).math;
    section("Value", equations(name.math, made.text !== name.text && [EQUALS, made.math], [EQUALS, notation.numbers(i).math, EQUALS, value]));
  }
  if (!isHidden(i)) section("Gradient", ...gradientView({ graph, player, notation, isHidden, go }, i));
  if (!graph.isLeaf(i)) section("Local derivatives", ...localView({ graph, notation, go, isHidden }, i));
  const explained = data.explain?.[i];
  if (explained && !isHidden(i)) {
    const note = graph.edited.size ? [make("p", { class: "ts-hint" }, "With the numbers that came from Python, before they were edited here:")] : [];
    section("ts.explain", ...note, make("pre", { tabindex: 0 }, explained));
  }
  if (data.lines?.[i]) section("Source", make("code", {}, data.lines[i]));
  return parts;
}

// The gradient as the sum over the value's consumers: ∂C/∂a = Σ ∂z/∂a · ∂C/∂z.
function gradientView({ graph, player, notation, isHidden, go }, i) {
  const left = notation.gradient(i).math, total = numberFormula(graph.grad[i]).math;
  if (i === graph.root) return [equations(left, [EQUALS, ["mn", "1"]])];
  const all = graph.consumersIn(i);
  if (!all.length) return [equations(left, [EQUALS, total]), make("p", { class: "ts-hint" }, "No gradient reaches it.")];
  const consumers = all.slice(0, MOST_TERMS), more = all.length > MOST_TERMS;
  const terms = consumers.slice(0, 4).map(({ node, edge }) => ["mrow", notation.derivative(node, i, notation.part(node, edge)).math, TIMES, notation.gradient(node).math]);
  if (all.length > 4) terms.push(["mo", "⋯"]);
  const sum = equations(left, ...terms.map((term, k) => [k ? PLUS : EQUALS, term]), [EQUALS, total]);
  const arrived = player.isBackward ? player.done[i] : 0;
  const rows = consumers.map(({ node, edge }, k) => {
    const slope = bracketed(notation.slope(node, edge)).math, amount = graph.contribution(node, edge);
    const numbers = [makeMath(EQUALS, factor(graph.local[edge]).math, TIMES, factor(graph.grad[node]).math), " ", makeMath(EQUALS, numberFormula(amount).math)];
    const state = !player.isBackward || player.position === player.total ? "" : k < arrived ? "arrived" : "to come";
    return make(
      "li", {},
      make("button", { class: "ts-link", type: "button", onclick: () => go(node) }, `through ${notation.name(node)}`), state ? make("span", { class: "ts-state" }, ` ${state}`) : null,
      make("div", {}, makeMath(slope, TIMES, notation.gradient(node).math), " ", ...(isHidden(node) ? [] : numbers)),
    );
  });
  const note = more ? [make("p", { class: "ts-hint" }, `… and ${(all.length - MOST_TERMS).toLocaleString("en")} more`)] : [];
  return [sum, make("ul", { class: "ts-terms" }, ...rows), ...note];
}

function localView({ graph, notation, go, isHidden }, i) {
  const edges = graph.edgesOf(i), shown = edges.slice(0, MOST_TERMS);
  const rows = shown.map((edge) => {
    const operand = graph.operands[edge], slope = notation.slope(i, edge), number = numberFormula(graph.local[edge]);
    const derivative = notation.derivative(i, operand, edges.filter((other) => graph.operands[other] === operand).length > 1 ? `operand ${edge - graph.starts[i] + 1}` : "");
    const symbols = slope.text === number.text || slope.text === derivative.text ? [] : [EQUALS, slope.math];
    const value = isHidden(i) ? [] : [EQUALS, number.math];
    return make(
      "li", {}, makeMath(derivative.math, ...(symbols.length || value.length ? symbols : [EQUALS, number.math]), ...value), " ",
      make("button", { class: "ts-link", type: "button", onclick: () => go(operand) }, `to ${notation.name(operand)}`),
    );
  });
  return [make("ul", { class: "ts-terms" }, ...rows)];
}

// The heading of the panel of a value: its name, kind and numbers.
export function valueHeading({ graph, notation, isHidden }, i) {
  const kind = KINDS[graph.kind[i]];
  const gradient = isHidden(i) ? "?" : written(graph.grad[i]), typed = notation.plain[i];
  return [
    make("h2", {}, makeMath(notation.named(i).math), make("span", { class: "ts-kind-word" }, kind === "value" ? "" : ` ${kind}`), typed ? make("code", { class: "ts-typed" }, typed) : null),
    make("dl", { class: "ts-numbers" }, make("dt", {}, "data"), make("dd", {}, written(graph.data[i])), make("dt", {}, "grad"), make("dd", {}, gradient)),
  ];
}
