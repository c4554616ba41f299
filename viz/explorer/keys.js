// Keys: everything that the mouse can do. Within the picture the arrows go from value to value.

import { make } from "./elements.js";

const KEYS = [
  ["space or p", "play, pause"],
  ["→ or n, ← or b", "step, step back (within the picture → and ← go to a neighbour)"],
  ["Home, End", "to the beginning, to the end"],
  ["< and >", "slower, faster"],
  ["r", "play forwards or backwards"],
  ["Tab", "to the picture, the buttons and the panel"],
  ["↑ ↓ ← → in the picture", "to the neighbour in that direction"],
  ["Enter", "select a value, unfold a group"],
  ["e", "edit the selected leaf"],
  ["f", "fold the group of the value in focus, or of the selected one"],
  ["g", "fold or unfold all groups"],
  ["/", "find a name"],
  ["q", "quiz"],
  ["c", "check each gradient with a nudge"],
  ["+ − 0", "zoom in, zoom out, fit"],
  ["w a x z with Shift", "move the picture up, left, down, right"],
  ["d", "turn the picture: left to right, top to bottom"],
  ["t", "light or dark"],
  ["s", "save the view as SVG"],
  ["Esc", "select nothing, close what is open"],
  ["?", "this list"],
];

export function dialogContent(close) {
  const rows = KEYS.map(([key, what]) => make("tr", {}, make("th", { scope: "row" }, make("kbd", {}, key)), make("td", {}, what)));
  return [make("h2", {}, "Keys"), make("table", { class: "ts-table" }, make("tbody", {}, ...rows)), make("button", { type: "button", class: "ts-button ts-primary", onclick: close }, "Close")];
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// Act on a key; keys that are typed into a field, or that the browser or a button wants, are left alone.
export function keyFor(explorer, event) {
  const { target } = event, isField = target.matches?.("input:not([type=range]), select, textarea");
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || explorer.ui.dialog.open && event.key !== "?") return;
  if (isField && event.key !== "Escape") return;
  const card = target.closest?.(".ts-picture [data-id]");
  const act = card && inPicture(explorer, event.key, card) || !card && ofControl(target, event.key) || actions(explorer)[event.key];
  if (!act || act === "leave") return;
  event.preventDefault();
  event.stopPropagation();
  act();
}

// Keys that a focused control has of its own.
function ofControl(target, key) {
  if (target.matches?.("button, a") && (key === " " || key === "Enter")) return "leave";
  if (target.matches?.("input[type=range]") && (key in ARROWS || key === "Home" || key === "End")) return "leave";
  return null;
}

function inPicture(explorer, key, card) {
  if (key === "Enter" || key === " ") return () => explorer.press(card.dataset.id);
  if (key in ARROWS) return () => explorer.giveFocus(neighbour(explorer, card.dataset.id, ARROWS[key]), true);
  return null;
}

// The nearest card in a direction: near along it counts less than near beside it.
function neighbour(explorer, id, [dx, dy]) {
  const { cards } = explorer.picture, from = cards.get(id) ?? { x: 0, y: 0 };
  let best = id, least = Infinity;
  for (const [other, card] of cards) {
    const along = (card.x - from.x) * dx + (card.y - from.y) * dy, beside = Math.abs((card.x - from.x) * dy) + Math.abs((card.y - from.y) * dx);
    if (other === id || along < 8) continue;
    const far = along + 2.5 * beside;
    if (far < least) [best, least] = [other, far];
  }
  explorer.picture.seek(best);
  return best;
}

function actions(explorer) {
  const { act, ui } = explorer;
  const pick = (select, by) => {
    select.selectedIndex = Math.max(0, Math.min(select.options.length - 1, select.selectedIndex + by));
    explorer.say(select.options[select.selectedIndex].text);
  };
  const pan = (dx, dy) => () => explorer.picture.pan(dx, dy);
  return {
    " ": act.play, p: act.play, n: act.next, ArrowRight: act.next, b: act.back, ArrowLeft: act.back, Home: act.start, End: act.end,
    "<": () => pick(ui.speed, -1), ">": () => pick(ui.speed, 1), r: act.reverse,
    q: act.quiz, c: act.check, "+": act.zoomIn, "=": act.zoomIn, "-": act.zoomOut, 0: act.fit, d: act.turn, t: act.theme, s: act.save,
    "?": act.help, g: act.foldAll, "/": () => ui.search.focus(), e: () => ui.editor.querySelector("input")?.focus(),
    W: pan(0, 60), A: pan(60, 0), X: pan(0, -60), Z: pan(-60, 0),
    f: () => fold(explorer),
    Escape: () => escape(explorer),
  };
}

// The innermost group of the value that has the focus, or else of the selected one.
function fold(explorer) {
  const { parts, selected } = explorer, id = explorer.focusedId() ?? "", i = id[0] === "v" ? Number(id.slice(1)) : selected;
  if (i !== null && parts.group[i] >= 0) explorer.toggleGroup(parts.group[i]);
}

function escape(explorer) {
  const { tool, element } = explorer, active = element.getRootNode().activeElement;
  if (active?.matches("input")) active.blur();
  else if (tool) explorer.toggleTool(tool);
  else explorer.select(null);
}
