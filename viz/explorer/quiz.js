// The quiz: is a gradient right, and if not, which slip gives the answer? A slip changes one local derivative on the way
// from the root: it was left out, its sign was turned, or something else stood in its place. With s the derivative of a
// value on the way with respect to the one asked for, the gradient then becomes g + (wrong − local)·s·upstream.

import { written } from "./formula.js";

const CLOSE = 0.005;  // relative

// A number as people type it: −0.25, 0,25, 1e-3, 1/3; NaN if it is none.
export function typedNumber(text) {
  const plain = text.trim().replace(/[−–]/g, "-").replace(/^([+-]?\d*),(\d+)$/, "$1.$2");
  const quotient = /^([+-]?[\d.]+(?:e[+-]?\d+)?)\s*\/\s*([\d.]+(?:e[+-]?\d+)?)$/i.exec(plain);
  if (quotient) return Number(quotient[1]) / Number(quotient[2]);
  return plain === "" ? NaN : Number(plain);
}

// How far an answer may be off: half a unit of its last typed digit, or CLOSE of the number.
function tolerance(text, number) {
  const [mantissa, exponent = "0"] = text.trim().toLowerCase().split("e");
  const digits = /[.,](\d*)$/.exec(mantissa)?.[1].length ?? 0;
  const hasDigits = mantissa.replace(/[^1-9]/, "").length > 0 && digits >= 2;
  return Math.max(CLOSE * Math.abs(number), hasDigits ? Math.min(0.5 * 10 ** (Number(exponent) - digits), 0.05 * Math.abs(number)) : 0, 1e-12);
}

export function isRight(graph, node, text) {
  const answer = typedNumber(text), gradient = graph.grad[node];
  return Object.is(answer, gradient) || Math.abs(answer - gradient) <= tolerance(text, gradient);
}

// What is wrong with an answer: { text, edge, node } for the slip that explains it, or null.
export function slip(graph, notation, node, text) {
  const answer = typedNumber(text), gradient = graph.grad[node];
  const explains = (number) => Number.isFinite(number) && number !== gradient && Math.abs(answer - number) <= tolerance(text, number);
  const found = slips(graph, notation, node).filter(({ number }) => explains(number));
  found.sort((a, b) => a.rank - b.rank || Math.abs(a.number - answer) - Math.abs(b.number - answer));
  return found[0] ?? null;
}

// Every slip that is known: { rank, number: what it would give, edge, node, text: () => what to say }.
function slips(graph, notation, node) {
  const gradient = graph.grad[node], found = [], name = (i) => notation.name(i);
  const consumers = graph.consumersIn(node).map(({ node: above, edge }) => ({ above, edge, amount: graph.contribution(above, edge) }));
  if (consumers.length > 1) {
    const all = () => `${name(node)} is used ${consumers.length} times, and its gradient is the sum over all of them.`;
    for (const { above, edge, amount } of consumers) {
      const way = () => (consumers.filter((other) => other.above === above).length > 1 ? `operand ${edge - graph.starts[above] + 1} of ${name(above)}` : name(above));
      found.push({ rank: 0, number: gradient - amount, edge, node: above, text: () => `One of the paths is missing: that through ${way()} adds ${written(amount)}. ${all()}` });
      found.push({ rank: 1, number: amount, edge, node: above, text: () => `That is only the path through ${way()}. ${all()}` });
    }
  }
  const along = edgesAbove(graph, node);
  const negative = along.find(({ edge }) => graph.local[edge] < 0);
  const which = () => (negative ? ` ${notation.derivative(negative.above, negative.operand).text} = ${written(graph.local[negative.edge])} is negative.` : "");
  found.push({ rank: 0.5, number: -gradient, edge: negative?.edge, node: negative?.above, text: () => `The size is right, the sign is not.${which()}` });
  found.push({ rank: 4, number: graph.data[node], node, text: () => `That is the value of ${name(node)}, not its gradient.` });
  for (const { above, operand, edge, moved } of along) {
    const local = graph.local[edge], upstream = graph.grad[above];
    const is = () => {
      const derivative = notation.derivative(above, operand).text, symbols = notation.slope(above, edge).text;
      return symbols === derivative || symbols === written(local) ? `${derivative} = ${written(local)}` : `${derivative} = ${symbols} = ${written(local)}`;
    };
    const instead = (rank, wrong, text) => {
      if (wrong !== local) found.push({ rank, number: gradient + (wrong - local) * moved * upstream, edge, node: above, text });
    };
    const { key, constant } = graph.row(above);
    instead(1, 1, () => `You left out a factor: ${is()}.`);
    if (key === "**n") instead(1.1, local / constant, () => `The exponent ${written(constant)} comes down as a factor: ${is()}.`);
    instead(1.5, -local, () => `A sign is wrong: ${is()}.`);
    instead(2, graph.data[above], () => `You took the value ${name(above)} = ${written(graph.data[above])} where its derivative belongs: ${is()}.`);
    instead(2.1, graph.data[operand], () => `You took ${name(operand)} = ${written(graph.data[operand])} for the derivative, but ${is()}.`);
    instead(2.5, 0, () => `One of the paths is missing: that by way of ${name(above)}.`);
    instead(3, local * local, () => `You took a factor twice: ${is()}.`);
    if (local !== 0) instead(3.1, 1 / local, () => `You divided by a factor instead of multiplying: ${is()}.`);
  }
  return found;
}

// The edges on the ways from a value up to the root, each with the derivative of its lower end by the value (`moved`).
function edgesAbove(graph, node) {
  const moved = new Map([[node, 1]]), found = [];
  for (const above of graph.above(node)) {
    let sum = 0;
    for (let edge = graph.starts[above]; edge < graph.starts[above + 1]; edge += 1) {
      const operand = graph.operands[edge];
      if (!moved.has(operand)) continue;
      const below = moved.get(operand);
      if (below !== 0 && graph.local[edge] !== 0) {
        sum += graph.local[edge] * below;
        found.push({ above, operand, edge, moved: below });
      }
    }
    moved.set(above, sum);
  }
  return found;
}
