// What the panel shows for the quiz and the check, and the list that the search offers.

import { checkedLeaves, nudged } from "./check.js";
import { make, makeMath } from "./elements.js";
import { written } from "./formula.js";
import { isRight, slip, typedNumber } from "./quiz.js";

// The quiz: which gradients were found or revealed, and the question about a value.
export class Quiz {
  constructor({ graph, notation }) {
    this.graph = graph;
    this.notation = notation;
    this.answers = new Map();  // value → "right" or "revealed"
    this.tries = 0;
  }

  isHidden(i) { return !this.answers.has(i) && i !== this.graph.root; }

  get score() {
    const right = [...this.answers.values()].filter((answer) => answer === "right").length;
    return `${right} right of ${this.tries} answer${this.tries === 1 ? "" : "s"}`;
  }

  // The next value to ask about: a computed or named one, from the root down.
  next(after) {
    const { graph, notation } = this;
    const asked = (i) => this.isHidden(i) && (!graph.isLeaf(i) || notation.hasName(i)) && graph.consumersIn(i).length > 0;
    for (let i = Math.min(after, graph.root) - 1; i >= 0; i -= 1) if (asked(i)) return i;
    for (let i = graph.root - 1; i >= 0; i -= 1) if (asked(i)) return i;
    return null;
  }

  // The panel. `app` has go(i), show(edge), changed(), say(text), leave().
  view(app, i) {
    const { graph, notation } = this;
    const heading = make("h2", {}, "Quiz ", make("span", { class: "ts-score" }, this.score));
    const leave = make("button", { type: "button", class: "ts-button", onclick: app.leave }, "Leave the quiz");
    const goOn = make("button", { type: "button", class: "ts-button ts-primary", onclick: () => app.go(this.next(i ?? graph.root)) }, "Next value");
    if (this.next(graph.root) === null) return [heading, make("p", {}, "Every gradient is found."), leave];
    if (i === null || !this.isHidden(i)) {
      const about = i === null ? "Gradients are hidden. Select a value and say what its gradient is." : i === graph.root ? "The root's gradient is 1. Select another value." : `${notation.name(i)}: ${this.answers.get(i)}. Select another value.`;
      return [heading, make("p", {}, about), make("div", { class: "ts-buttons" }, goOn, leave)];
    }
    const gradient = notation.gradient(i);
    const field = make("input", { class: "ts-field ts-answer", type: "text", inputmode: "text", "aria-label": `your answer: ${gradient.text}`, autocomplete: "off" });
    const feedback = make("p", { class: "ts-feedback", role: "alert" });
    const settle = (how, text) => {
      this.answers.set(i, how);
      app.changed();
      app.feedback(text, how === "right" ? "ts-right" : "ts-revealed");
    };
    const answer = () => {
      if (Number.isNaN(typedNumber(field.value)) && field.value.trim() !== "nan") {
        feedback.textContent = `Type a number, such as 0.25, −3e-4 or 1/3; got “${field.value}”.`;
        return;
      }
      this.tries += 1;
      if (isRight(graph, i, field.value)) {
        settle("right", `Right: ${gradient.text} = ${written(graph.grad[i])}.`);
        return;
      }
      const found = slip(graph, notation, i, field.value);
      app.show(found?.edge ?? null);
      feedback.textContent = found ? `Not yet. ${found.text()}` : "Not yet. Multiply the local derivatives along each path up to the root, and add up the paths.";
      feedback.className = "ts-feedback ts-wrong";
      heading.lastChild.textContent = this.score;
    };
    const form = make(
      "form", { class: "ts-question", onsubmit: (event) => { event.preventDefault(); answer(); } },
      make("label", {}, makeMath(gradient.math, ["mo", "="]), " ", field), make("button", { type: "submit", class: "ts-button ts-primary" }, "Answer"),
      make("button", { type: "button", class: "ts-button", onclick: () => settle("revealed", `${gradient.text} = ${written(graph.grad[i])}.`) }, "Reveal"),
    );
    return [heading, form, feedback, make("div", { class: "ts-buttons" }, goOn, leave)];
  }
}

// The check as a table. `app` has go(i), leave().
export function checkView({ graph, notation, go, leave }) {
  const { leaves, of } = checkedLeaves(graph, notation);
  const rows = leaves.map((leaf) => {
    const { difference, verdict, agrees } = nudged(graph, leaf);
    return make(
      "tr", { class: agrees === false ? "ts-wrong" : "" },
      make("th", { scope: "row" }, make("button", { type: "button", class: "ts-link", onclick: () => go(leaf) }, notation.name(leaf))),
      make("td", {}, written(graph.grad[leaf])), make("td", {}, written(difference)), make("td", {}, `${agrees === false ? "✗" : agrees ? "✓" : "–"} ${verdict}`),
    );
  });
  const root = notation.named(graph.root);
  const quotient = ["mfrac", ["mrow", root.math, ["mo", "("], ["mi", "θ"], ["mo", "+"], ["mi", "h"], ["mo", ")"], ["mo", "−"], root.math, ["mo", "("], ["mi", "θ"], ["mo", "−"], ["mi", "h"], ["mo", ")"]], ["mrow", ["mn", "2"], ["mi", "h"]]];
  const heads = ["leaf θ", "gradient", "nudge", "verdict"].map((text) => make("th", { scope: "col" }, text));
  const more = of > leaves.length ? [make("p", { class: "ts-hint" }, `the first ${leaves.length} of ${of.toLocaleString("en")} leaves`)] : [];
  return [
    make("h2", {}, "Check"), make("p", { class: "ts-hint" }, "Each gradient beside the quotient of a tiny nudge, ", makeMath(quotient)),
    make("div", { class: "ts-scroll", tabindex: 0, role: "region", "aria-label": "check of the gradients" }, make("table", { class: "ts-table" }, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows))),
    ...more, make("button", { type: "button", class: "ts-button", onclick: leave }, "Close"),
  ];
}

// Values and groups whose names hold a text: [{ name, node } or { name, group }], names that begin with it first.
export function matches(text, { graph, notation, parts }, most = 12) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  const found = [];
  for (const group of parts.groups) if (group.name.toLowerCase().includes(wanted)) found.push({ name: group.name, group: group.id });
  for (let i = graph.n - 1; i >= 0 && found.length < 2000; i -= 1) {
    const name = notation.called[i], plain = notation.plain[i] ?? "";
    if (name && (name.toLowerCase().includes(wanted) || plain.toLowerCase().includes(wanted))) found.push({ name, node: i, plain });
  }
  const rank = ({ name, plain }) => (name.toLowerCase() === wanted || plain?.toLowerCase() === wanted ? 0 : name.toLowerCase().startsWith(wanted) || plain?.toLowerCase().startsWith(wanted) ? 1 : 2);
  return found.sort((a, b) => rank(a) - rank(b) || a.name.length - b.name.length || a.name.localeCompare(b.name)).slice(0, most);
}
