// What the cards and edges of the picture show at the player's position.

import { written } from "./formula.js";
import { KINDS } from "./graph.js";
import { onCard } from "./picture.js";

export const MOST_LIT = 64;  // steps of a move whose edges light up; a longer one is a leap

// The steps of the last move, as the places before them; after a leap only the last step.
function moved({ player, litFrom }) {
  const low = Math.min(litFrom, player.position), high = Math.max(litFrom, player.position);
  return high - low > MOST_LIT ? [Math.max(0, player.position - 1), player.position] : [low, high];
}

// The values of the steps of the last move, and of the step the player stands at, with their operands.
export function touchedBy(explorer) {
  const { graph, player } = explorer, found = new Set(), [low, high] = moved(explorer);
  for (let place = Math.max(0, low - 1); place < high; place += 1) {
    const i = player.node(place);
    found.add(i);
    for (const operand of graph.operandsOf(i)) found.add(operand);
  }
  return found;
}

// The edges of the steps that were taken, edge → { way, text }: backwards with the amount that each carries.
export function litEdges(explorer) {
  const { graph, player, quiz, litFrom, isResting } = explorer, lit = new Map();
  if (quiz || isResting || player.position === 0) return lit;
  const isForward = player.position <= player.n, [low, high] = moved(explorer);
  const from = litFrom < player.position ? low : player.position - 1, to = litFrom < player.position ? high : player.position;
  for (let place = from; place < to; place += 1) {
    if (place === player.n || place < player.n !== isForward) continue;
    const i = player.node(place);
    for (const edge of graph.edgesOf(i)) {
      const amount = graph.contribution(i, edge, player.sums[i]);
      lit.set(edge, isForward ? { way: "forward", text: "" } : { way: "backward", text: `${amount < 0 ? "" : "+"}${written(amount, 4)}` });
    }
  }
  return lit;
}

// The marks of cards, id → "now" for the value of the step, "operand" for those it is computed from or passes on to.
export function marksOf({ player, parts, graph, quiz, isResting }) {
  const { position } = player, marks = new Map();
  if (position === 0 || quiz || isResting) return marks;
  const node = player.node(position - 1);
  if (position !== player.n + 1) for (const edge of graph.edgesOf(node)) marks.set(parts.idOf(graph.operands[edge]), "operand");
  return marks.set(parts.idOf(node), "now");
}

// What the card of a value shows, or that of a folded group (`id`) with the one value i that is used outside of it.
export function cardState(explorer, i, id = `v${i}`) {
  const { graph, player, notation, selected, quiz, parts } = explorer;
  const isComputed = player.isComputed(i), progress = player.progress(i), isHidden = explorer.isHidden(i);
  const data = isComputed ? onCard(graph.data[i]) : "·";
  const grad = isHidden ? "?" : progress.started && (progress.done || progress.complete) ? onCard(progress.sum) : "·";
  const isPartial = progress.done > 0 && !progress.complete && !isHidden;
  const name = notation.hasName(i) || !graph.isLeaf(i) ? notation.name(i) : "number";
  const gradient = isHidden ? "hidden" : grad === "·" ? "not yet" : isPartial ? `${grad}, ${progress.done} of ${progress.of} contributions` : grad;
  return {
    data, grad, isComputed, gradName: isPartial ? `grad ${progress.done} of ${progress.of}` : "grad",
    part: isPartial && progress.of > 1 ? progress.done / progress.of : 0,
    mark: explorer.marks.get(id) ?? "", isSelected: selected === i && id[0] === "v", quiz: quiz ? (isHidden ? "asked" : "answered") : "",
    label: `${id[0] === "g" ? `${explorer.groupTexts(parts.foldedGroup(i)).name}, folded: ` : ""}${name}, ${KINDS[graph.kind[i]]}, data ${isComputed ? data : "not yet"}, gradient ${gradient}`,
  };
}
