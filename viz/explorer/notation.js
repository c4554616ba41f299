// How values, derivatives and steps are written: inspection/notation.py and step.py, with the numbers of now.

import { bracketed, derivativeFormula, filledIn, lowered, nameFormula, numberFormula, SINGLE } from "./formula.js";

const SHORT = 12;  // characters; a longer expression is called vₙ
const AT_A_KINK = {
  maximum: (x) => x[0] === x[1],
  minimum: (x) => x[0] === x[1],
  abs: (x) => x[0] === 0,
  "max(n)": (x) => x.filter((number) => number === Math.max(...x)).length > 1,
  "min(n)": (x) => x.filter((number) => number === Math.min(...x)).length > 1,
};
const placesOf = (template) => [...new Set([...template.matchAll(/\{(\d+)\}/g)].map((match) => Number(match[1])))];

export class Notation {
  constructor(graph, data) {
    this.graph = graph;
    this.called = data.called;
    this.plain = data.plain ?? {};
    this.letter = data.letter;
    this.number = new Int32Array(graph.n);
    let number = 0;
    for (let i = 0; i < graph.n; i += 1) if (!graph.isLeaf(i) && !this.called[i]) this.number[i] = (number += 1);
  }

  hasName(i) { return Boolean(this.called[i]); }

  named(i) {
    const { graph } = this;
    if (this.called[i]) return nameFormula(this.called[i]);
    if (graph.isLeaf(i)) return numberFormula(graph.data[i]);
    if (graph.operandsOf(i).every((operand) => this.called[operand] || graph.isLeaf(operand))) {
      const made = this.made(i);
      if (made.text.length <= SHORT) return made;
    }
    return nameFormula(`${this.letter}${lowered(this.number[i])}`);
  }

  name(i) { return this.named(i).text; }

  operand(i) { return this.called[i] ? bracketed(this.named(i), SINGLE) : this.named(i); }

  ofOperands(template, i, write) {
    const operands = this.graph.operandsOf(i);
    return filledIn(template, Object.fromEntries(placesOf(template).map((place) => [place, write(operands[place])])));
  }

  made(i) { return this.ofOperands(this.graph.row(i).text, i, (operand) => this.operand(operand)); }

  numbers(i) { return this.ofOperands(this.graph.row(i).text, i, (operand) => numberFormula(this.graph.data[operand])); }

  // ∂node/∂operand at an edge in symbols; at a kink, where it is a convention, the number.
  slope(i, edge) {
    const row = this.graph.row(i), place = edge - this.graph.starts[i];
    if (AT_A_KINK[row.key]?.(this.graph.numbersOf(i))) return numberFormula(this.graph.local[edge]);
    if (!row.slopes) return this.derivative(i, this.graph.operands[edge]);
    return this.ofOperands(row.slopes[place], i, (operand) => this.operand(operand));
  }

  derivative(i, by, part = "") { return derivativeFormula(this.named(i), this.named(by), part); }

  gradient(i) { return this.derivative(this.graph.root, i); }

  // Which part of ∂node/∂operand an edge is, where the operand reaches the node in more ways than one.
  part(i, edge) {
    const operand = this.graph.operands[edge], operands = Array.from(this.graph.operandsOf(i));
    if (operands.filter((other) => other === operand).length > 1) return `operand ${edge - this.graph.starts[i] + 1}`;
    if (this.graph.consumersIn(operand).length === 1) return "";
    return operands.some((other) => other !== operand && this.reaches(operand, other)) ? "direct" : "";
  }

  reaches(low, high) {
    const seen = new Set([high]), todo = [high];
    while (todo.length && seen.size < 10000) {
      for (const below of this.graph.operandsOf(todo.pop())) {
        if (below === low) return true;
        if (below > low && !seen.has(below)) {
          seen.add(below);
          todo.push(below);
        }
      }
    }
    return todo.length > 0;
  }

  // The edges of a step that a reader wants: without bare numbers if there are others.
  ofInterest(contributions) {
    const { graph } = this;
    const found = contributions.filter(({ operand }) => !graph.isLeaf(operand) || this.called[operand]);
    return found.length ? found : contributions;
  }
}
