// The check: each leaf's gradient beside the difference quotient of a small nudge, (C(w + h) − C(w − h))/2h (001).

import { written } from "./formula.js";

const MOST = 60;  // leaves that are checked at once
const OPERATIONS_AT_ONCE = 4e6;

// The leaves to check: those that somebody named, or else all; of many the first.
export function checkedLeaves(graph, notation) {
  const named = graph.leaves.filter((i) => notation.hasName(i));
  const leaves = named.length ? named : graph.leaves;
  const most = Math.max(8, Math.min(MOST, Math.floor(OPERATIONS_AT_ONCE / graph.n)));
  return { leaves: leaves.slice(0, most), of: leaves.length };
}

// { h, difference, verdict, agrees } for one leaf.
export function nudged(graph, leaf) {
  const hindrance = graph.hindrance(leaf);
  if (hindrance) return { h: NaN, difference: NaN, verdict: `${hindrance} cannot be recomputed here`, agrees: null };
  const number = graph.data[leaf], gradient = graph.grad[leaf], h = 6e-6 * Math.max(1, Math.abs(number));
  const [above, at, below] = graph.probe(leaf, [number + h, number, number - h]);
  const difference = (above - below) / (2 * h);
  const rounding = (4e-16 * Math.max(Math.abs(at), Math.abs(above))) / h;
  const allowed = 1e-6 * Math.max(Math.abs(gradient), Math.abs(difference)) + 20 * rounding + 1e-9;
  if (Math.abs(difference - gradient) <= allowed) return { h, difference, verdict: "agrees", agrees: true };
  const right = (above - at) / h, left = (at - below) / h;
  const isBetween = gradient >= Math.min(left, right) - allowed && gradient <= Math.max(left, right) + allowed;
  if (isBetween) return { h, difference, verdict: `kink: slope ${written(left)} on the left, ${written(right)} on the right`, agrees: true };
  if (!Number.isFinite(difference)) return { h, difference, verdict: "no difference quotient", agrees: null };
  return { h, difference, verdict: "differs", agrees: false };
}
