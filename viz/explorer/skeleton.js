// The page's elements, before anything is in them: bar, picture, side panel, player.

import { make, makeSvg } from "./elements.js";

const ICONS = {
  start: "M5 4v12M16 4v12L7 10z", back: "M15 4v12L6 10z", play: "M6 4l10 6-10 6z", pause: "M6 4v12M14 4v12", next: "M5 4l9 6-9 6z",
  end: "M15 4v12M4 4l9 6-9 6z", plus: "M10 4v12M4 10h12", minus: "M4 10h12", fit: "M4 8V4h4M12 4h4v4M16 12v4h-4M8 16H4v-4",
  turn: "M4 10h12M12 6l4 4-4 4", theme: "M10 3a7 7 0 1 0 0 14z", save: "M10 3v9M6 9l4 4 4-4M4 17h12", reverse: "M8 5L3 10l5 5M3 10h9a5 5 0 0 1 5 5", help: "M7 7a3 3 0 1 1 4 3c-1 .5-1 1-1 2M10 15.5v.5",
};

export function icon(name) {
  return makeSvg("svg", { viewBox: "0 0 20 20", class: `ts-icon ts-icon-${name}`, "aria-hidden": "true", focusable: "false" }, makeSvg("path", { d: ICONS[name] }));
}

// A button with an icon, a name for screen readers and its key in the tooltip.
function iconButton(name, label, key, onclick, attributes = {}) {
  return make("button", { type: "button", class: "ts-button ts-icon-button", "aria-label": label, title: `${label} (${key})`, onclick, ...attributes }, icon(name));
}

const wordButton = (word, key, onclick) => make("button", { type: "button", class: "ts-button", title: `${word} (${key})`, "aria-pressed": "false", onclick }, word);

// All elements by name; `act` has what each button does.
export function skeleton(title, act) {
  const svg = makeSvg("svg", { class: "ts-picture", role: "group", "aria-label": `graph of ${title}` });
  const search = make("input", { class: "ts-search", type: "search", placeholder: "Find a name", "aria-label": "Find a value by name", autocomplete: "off", spellcheck: "false", role: "combobox", "aria-expanded": "false", "aria-controls": `${act.prefix}-found`, "aria-autocomplete": "list" });
  const found = make("ul", { class: "ts-found", id: `${act.prefix}-found`, role: "listbox", "aria-label": "names", hidden: true });
  const quiz = wordButton("Quiz", "q", act.quiz), check = wordButton("Check", "c", act.check);
  const where = make("p", { class: "ts-where" });
  const play = iconButton("play", "Play", "space", act.play);
  const slider = make("input", { class: "ts-slider", type: "range", min: 0, step: 1, "aria-label": "step" });
  const speed = make("select", { class: "ts-speed", "aria-label": "speed", title: "speed" }, ...[["0.5", "½×"], ["1", "1×"], ["2", "2×"], ["4", "4×"], ["16", "16×"]].map(([value, text]) => make("option", { value }, text)));
  speed.value = "1";
  const direction = iconButton("reverse", "Play backwards", "r", act.reverse, { "aria-pressed": "false" });
  const parts = {
    svg, search, found, quiz, check, where, play, slider, speed, direction,
    notice: make("p", { class: "ts-notice", hidden: true }),
    step: make("div", { class: "ts-step", "aria-live": "off" }),
    heading: make("div"), editor: make("div"), value: make("div"), tool: make("section", { class: "ts-tool", hidden: true }),
    live: make("div", { class: "ts-unseen", role: "status", "aria-live": "polite" }),
    dialog: make("dialog", { class: "ts-dialog", "aria-label": "keys" }),
    foldAll: make("button", { type: "button", class: "ts-button", hidden: true, title: "fold or unfold all groups (g)", onclick: act.foldAll }, "Fold"),
  };
  const bar = make(
    "header", { class: "ts-bar" },
    make("h1", { class: "ts-title" }, make("span", { class: "ts-of" }, "graph of "), title),
    make("div", { class: "ts-finder" }, search, found),
    make("div", { class: "ts-buttons" }, parts.foldAll, quiz, check, iconButton("save", "Save the view as SVG", "s", act.save), iconButton("theme", "Light or dark", "t", act.theme), iconButton("help", "Keys", "?", act.help)),
  );
  const zoom = make("div", { class: "ts-zoom", role: "group", "aria-label": "view" }, iconButton("plus", "Zoom in", "+", act.zoomIn), iconButton("minus", "Zoom out", "−", act.zoomOut), iconButton("fit", "Fit", "0", act.fit), iconButton("turn", "Turn the picture", "d", act.turn));
  const stage = make("div", { class: "ts-stage" }, make("div", { class: "ts-sheet" }, svg), parts.notice, zoom);
  const side = make("aside", { class: "ts-side", tabindex: 0, "aria-label": "step and value" }, make("section", { class: "ts-now-panel" }, where, parts.step), parts.tool, make("section", { class: "ts-value-panel" }, parts.heading, parts.editor, parts.value));
  const player = make(
    "footer", { class: "ts-player", role: "group", "aria-label": "player" },
    iconButton("start", "To the beginning", "Home", act.start), iconButton("back", "Step back", "←", act.back), play,
    iconButton("next", "Step", "→", act.next), iconButton("end", "To the end", "End", act.end), slider, direction, speed,
  );
  return { ...parts, stage, root: [bar, make("div", { class: "ts-main" }, stage, side), player, parts.live, parts.dialog] };
}
