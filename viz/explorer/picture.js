// The picture: a card for each value (its operation, name, number and gradient), edges, folded groups, frames. `show`
// draws anew after a layout; `update` changes only what differs, so that a step is quick.

import { makeSvg, setText } from "./elements.js";
import { written } from "./formula.js";
import { KINDS } from "./graph.js";
import { around, middleOf, pathOf } from "./layout.js";

const HEIGHT = 58, LOW = 42, LEAST = 132, MOST_WIDE = 236, PADDING = 9;
const ABOVE_BUTTONS = 56;  // pixels at the lower edge, where the buttons for the view stand
const LARGEST_SCALE = 1.6;  // of a picture that fits
const MOST_DRAWN = 300, BEYOND = 60;  // cards that are always drawn; how far beyond the screen others are, in the picture's pixels
const FAR = 0.35, FARTHER = 0.2;
const FONT = "13px system-ui, sans-serif", ROW_FONT = "11px system-ui, sans-serif", NUMBER_FONT = "12.5px system-ui, sans-serif";
let pictures = 0;

export class Picture {
  // texts: { name(i), sign(i), group(g) → { name, detail } }
  constructor(svg, texts) {
    this.svg = svg;
    this.texts = texts;
    this.prefix = `ts${(pictures += 1)}`;
    this.measure = document.createElement("canvas").getContext("2d");
    this.widths = new Map();
    this.world = makeSvg("g", { class: "ts-world" });
    const marker = (id, name) => makeSvg("marker", { id, class: name, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto-start-reverse" }, makeSvg("path", { d: "M0 0L8 4L0 8z" }));
    const litMarker = marker(`${this.prefix}-lit`, "ts-lit-tip");
    litMarker.setAttribute("markerWidth", 14);
    litMarker.setAttribute("markerHeight", 14);
    svg.replaceChildren(makeSvg("defs", {}, marker(`${this.prefix}-tip`, "ts-tip"), litMarker), this.world);
    this.view = { x: 0, y: 0, scale: 1 };
  }

  width(text, font = FONT) {
    const key = `${font}${text}`;
    if (!this.widths.has(key)) this.widths.set(key, this.measured(text, font));
    return this.widths.get(key);
  }

  // The same for what changes all the time and is not worth keeping.
  measured(text, font) {
    this.measure.font = font;
    return this.measure.measureText(text).width;
  }

  // Width and height of a part's box.
  size(item, graph) {
    if (item.more) return [34, 24];
    if (item.group !== undefined) {
      const { name, detail, output } = this.texts.group(item.group);
      const wide = Math.max(this.width(name, `600 ${FONT}`), this.width(detail, ROW_FONT)) + 44;
      return [Math.min(Math.max(wide, LEAST), 300), output === null ? 52 : 78];
    }
    const word = kindWord(graph.kind[item.node]);
    if (!word && !this.texts.name(item.node)) return [116, LOW];
    const head = this.width(this.shownName(item.node), `600 ${FONT}`) + (word ? this.width(word, "italic 10px system-ui, sans-serif") + 6 : 0);
    return [Math.min(Math.max(LEAST, head + 2 * PADDING), MOST_WIDE) + this.badge(item.node), HEIGHT];
  }

  badge(i) {
    const sign = this.texts.sign(i);
    return sign ? Math.max(26, this.width(sign, "600 14px system-ui, sans-serif") + 12) : 0;
  }

  shownName(i) {
    const name = this.texts.name(i);
    let text = name;
    while (text.length > 1 && this.width(text, `600 ${FONT}`) > MOST_WIDE - 70) text = text.slice(0, -2);
    return text === name ? name : `${text}…`;
  }

  show(graph, shown, layout, groups) {
    this.layout = layout;
    this.svg.setAttribute("width", Math.ceil(layout.width));
    this.svg.setAttribute("height", Math.ceil(layout.height));
    this.cards = new Map();
    this.edges = new Map();
    this.drawn = [];  // cards, and edges with their amounts: { elements, left, top, right, bottom, isOut }
    const frames = makeSvg("g", { class: "ts-frames" }), lines = makeSvg("g", { class: "ts-edges", "aria-hidden": "true" });
    const cards = makeSvg("g", { class: "ts-cards" }), amounts = makeSvg("g", { class: "ts-amounts", "aria-hidden": "true" });
    for (const [g, box] of layout.frames) {
      frames.append(this.frame(g, box, groups[g]));
    }
    shown.edges.forEach((edge, k) => {
      const points = layout.paths[k];
      if (!points) return;
      const path = makeSvg("path", { class: "ts-edge", d: pathOf(points), "marker-end": `url(#${this.prefix}-tip)` });
      const [x, y] = middleOf(points);
      const amount = makeSvg("text", { class: "ts-amount", x: x.toFixed(1), y: (y - 6).toFixed(1), "text-anchor": "middle" });
      lines.append(path);
      amounts.append(amount);
      const record = { path, amount, lit: "", text: "" };
      this.drawn.push({ elements: [path, amount], ...around(points), isOut: false });
      for (const one of edge.edges) this.edges.set(one, record);
    });
    for (const item of shown.items) {
      const card = this.card(item, graph, layout.boxes.get(item.id));
      this.cards.set(item.id, card);
      const [halfWidth, halfHeight] = [card.width / 2, card.height / 2];
      this.drawn.push({
        id: item.id, elements: [card.element], isOut: false, left: card.x - halfWidth, right: card.x + halfWidth, top: card.y - halfHeight, bottom: card.y + halfHeight,
      });
      cards.append(card.element);
    }
    this.world.replaceChildren(frames, lines, cards, amounts);
    this.svg.classList.remove("ts-far", "ts-farther");
    this.svg.classList.toggle("ts-still", this.isLarge);
    if (this.isLarge) this.cull();
  }

  frame(g, { x, y, width, height }, group) {
    const label = makeSvg("text", { class: "ts-frame-name", x: x + 10, y: y + 17 }, this.texts.group(g).name);
    return makeSvg(
      "g",
      { class: `ts-frame ts-${group.kind}`, "data-id": `f${g}`, role: "button", tabindex: -1, "aria-label": `fold ${this.texts.group(g).name}` },
      makeSvg("rect", { x, y, width, height, rx: 12 }),
      label,
      makeSvg("path", { class: "ts-fold-sign", d: `M${x + width - 24} ${y + 13}h10` }),
    );
  }

  card(item, graph, { x, y }) {
    const [width, height] = this.size(item, graph);
    const element = makeSvg("g", {
      class: "ts-card", "data-id": item.id, role: "button", tabindex: -1, transform: `translate(${(x - width / 2).toFixed(1)} ${(y - height / 2).toFixed(1)})`,
    });
    const card = { element, item, x, y, width, height, state: {} };
    if (item.more) {
      element.classList.add("ts-more");
      element.append(makeSvg("rect", { class: "ts-box", width, height, rx: 12 }), makeSvg("text", { x: width / 2, y: 16, "text-anchor": "middle" }, "…"));
      element.setAttribute("aria-label", `${item.more} more connections: go there`);
      return card;
    }
    if (item.group !== undefined) {
      const { name, detail, output } = this.texts.group(item.group);
      element.classList.add("ts-folded");
      element.append(
        makeSvg("rect", { class: "ts-box ts-behind", x: 6, y: -6, width, height, rx: 8 }),
        makeSvg("rect", { class: "ts-box ts-behind", x: 3, y: -3, width, height, rx: 8 }),
        makeSvg("rect", { class: "ts-box", width, height, rx: 8 }),
        makeSvg("text", { class: "ts-name", x: 11, y: 20 }, name),
        makeSvg("text", { class: "ts-detail", x: 11, y: 37 }, detail),
        makeSvg("path", { class: "ts-fold-sign", d: `M${width - 22} 15h10m-5 -5v10` }),
      );
      element.setAttribute("aria-label", `${name}, folded: ${detail}`);
      if (output !== null) this.numberRows(card, 11, 55);
      return card;
    }
    return this.valueCard(card, graph, item.node);
  }

  valueCard(card, graph, i) {
    const { element, width, height } = card, kind = KINDS[graph.kind[i]], badge = this.badge(i), left = badge + PADDING;
    element.classList.add(`ts-${kind}`);
    const outline = kind === "input"
      ? makeSvg("path", { class: "ts-box", d: `M3 0H${width - 10}L${width} 10V${height - 3}a3 3 0 0 1 -3 3H3a3 3 0 0 1 -3 -3V3a3 3 0 0 1 3 -3z` })
      : makeSvg("rect", { class: "ts-box", width, height, rx: graph.isLeaf(i) ? 3 : 9 });
    element.append(outline);
    if (kind === "parameter") element.append(makeSvg("rect", { class: "ts-inner", x: 2.5, y: 2.5, width: width - 5, height: height - 5, rx: 2 }));
    if (kind === "input") element.append(makeSvg("path", { class: "ts-inner", d: `M${width - 10} 0V10H${width}` }));
    if (badge) {
      element.append(
        makeSvg("path", { class: "ts-badge", d: `M${badge} 1H9a8 8 0 0 0 -8 8V${height - 9}a8 8 0 0 0 8 8H${badge}z` }),
        makeSvg("text", { class: "ts-sign", x: badge / 2, y: height / 2 + 5, "text-anchor": "middle" }, this.texts.sign(i)),
      );
    }
    const name = this.shownName(i), word = kindWord(graph.kind[i]), first = name || word ? 34 : 17;
    const head = makeSvg("text", { class: "ts-name", x: left, y: 17 }, name);
    if (word) head.append(makeSvg("tspan", { class: "ts-kind", dx: name ? 6 : 0 }, word));
    element.append(head);
    this.numberRows(card, left, first);
    return card;
  }

  // The rows "data" and "grad" of a card, the first at height y, and the bar of contributions below them.
  numberRows(card, left, y) {
    const right = card.width - PADDING, number = (name, at) => makeSvg("text", { class: name, x: right, y: at, "text-anchor": "end" });
    card.data = number("ts-number", y);
    card.gradName = makeSvg("text", { class: "ts-row", x: left, y: y + 16 }, "grad");
    card.grad = number("ts-number ts-grad", y + 16);
    card.room = right - left;
    card.bar = makeSvg("rect", { class: "ts-bar-full", x: left, y: y + 19, width: 0, height: 2.5, rx: 1 });
    card.element.append(makeSvg("text", { class: "ts-row", x: left, y }, "data"), card.data, card.gradName, card.grad, card.bar);
  }

  // State of a card with numbers: { data, grad, gradName, part (0 to 1), isComputed, mark: ""|"now"|"operand", isSelected, label }.
  updateCard(id, next) {
    const card = this.cards.get(id);
    if (!card) return;
    const { state, element } = card;
    if (state.data !== next.data) {
      card.data.textContent = next.data;
      card.data.classList.toggle("ts-bad", isBad(next.data));
    }
    if (state.grad !== next.grad) {
      card.grad.textContent = next.grad;
      card.grad.classList.toggle("ts-bad", isBad(next.grad));
    }
    if (state.gradName !== next.gradName || state.grad !== next.grad) setText(card.gradName, this.fitting(next.gradName, next.grad, card.room));
    if (state.part !== next.part) card.bar.setAttribute("width", (next.part * card.room).toFixed(1));
    if (state.isComputed !== next.isComputed) element.classList.toggle("ts-waiting", !next.isComputed);
    if (state.label !== next.label) element.setAttribute("aria-label", next.label);
    this.mark(card, next);
    card.state = next;
  }

  // "grad 10 of 20", or "10/20" where that would run into the number beside it.
  fitting(name, number, room) {
    const isTooWide = name !== "grad" && this.measured(`${name} `, ROW_FONT) + this.measured(number, NUMBER_FONT) > room;
    return isTooWide ? name.replace("grad ", "").replace(" of ", "/") : name;
  }

  // Marks that folded groups have as well.
  mark(card, next) {
    const { state, element } = card;
    if (state.mark !== next.mark) {
      element.classList.toggle("ts-now", next.mark === "now");
      element.classList.toggle("ts-operand", next.mark === "operand");
    }
    if (state.isSelected !== next.isSelected) {
      element.classList.toggle("ts-selected", next.isSelected);
      element.setAttribute("aria-pressed", String(next.isSelected));
    }
    if (state.quiz !== next.quiz) {
      element.classList.toggle("ts-asked", next.quiz === "asked");
      element.classList.toggle("ts-answered", next.quiz === "answered");
    }
  }

  updateGroup(id, next) {
    const card = this.cards.get(id);
    if (!card) return;
    this.mark(card, next);
    card.state = next;
  }

  // Light up edges: a Map of edge → { way: "forward"|"backward", text }.
  light(lit) {
    const records = new Map();
    for (const [edge, what] of lit) {
      const record = this.edges.get(edge);
      if (record) records.set(record, records.has(record) ? { ...what, text: "" } : what);
    }
    for (const record of this.lit ?? []) if (!records.has(record)) this.setLit(record, "", "");
    for (const [record, { way, text }] of records) this.setLit(record, way, text);
    this.lit = [...records.keys()];
  }

  setLit(record, way, text) {
    const { path, amount } = record;
    if (record.lit !== way) {
      path.classList.toggle("ts-lit", way !== "");
      path.classList.toggle("ts-backwards", way === "backward");
      path.removeAttribute(way === "backward" ? "marker-end" : "marker-start");
      path.setAttribute(way === "backward" ? "marker-start" : "marker-end", `url(#${this.prefix}-${way ? "lit" : "tip"})`);
      if (way) path.parentNode.append(path);
      record.lit = way;
    }
    if (record.text !== text) amount.textContent = record.text = text;
  }

  // --- the view --------------------------------------------------------------------------------------------------------

  get isLarge() { return this.cards?.size > MOST_DRAWN; }

  // What moves is the element around the SVG: a transform of the SVG itself would lay out all of its texts anew.

  setView(x, y, scale) {
    this.view = { x, y, scale };
    this.svg.parentNode.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px) scale(${scale.toFixed(4)})`;
    if (this.isLarge) this.cull();
  }

  // Of a large picture only what is on the screen exists for the browser; and far away no numbers and names, which nobody could read.
  cull() {
    const { width, height } = this.room, { x, y, scale } = this.view;
    this.svg.classList.toggle("ts-far", scale < FAR);
    this.svg.classList.toggle("ts-farther", scale < FARTHER);
    const left = -x / scale - BEYOND, top = -y / scale - BEYOND, right = (width - x) / scale + BEYOND, bottom = (height - y) / scale + BEYOND;
    for (const part of this.drawn) {
      const isOut = part.id !== this.held && (part.left > right || part.right < left || part.top > bottom || part.bottom < top);
      if (part.isOut === isOut) continue;
      part.isOut = isOut;
      for (const element of part.elements) {
        if (isOut) element.setAttribute("display", "none");
        else element.removeAttribute("display");
      }
    }
  }

  // The one card or frame that the key Tab leads to; it is drawn wherever it is, so that it can have the focus.
  hold(id) {
    const element = this.world.querySelector(`[data-id="${id}"]`);
    if (!element) return null;
    this.world.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    element.setAttribute("tabindex", "0");
    this.held = id;
    if (this.isLarge) this.cull();
    return element;
  }

  // The size of the picture's element; it is asked for once, because an answer costs a layout of the page.
  get room() {
    if (!this.roomFound) this.measureRoom();
    return this.roomFound;
  }

  measureRoom() {
    const { width, height } = this.svg.closest(".ts-stage").getBoundingClientRect();
    this.roomFound = { width: width || 800, height: height || 500 };
  }

  // The scale at which all of the picture is seen.
  get fittingScale() {
    const { width, height } = this.room, { layout } = this;
    return Math.min((width - 36) / layout.width, (height - 48) / layout.height, LARGEST_SCALE);
  }

  fit() {
    const { width, height } = this.room, layout = this.layout, scale = this.fittingScale;
    this.setView((width - scale * layout.width) / 2, (height - scale * layout.height) / 2, scale);
  }

  // Move the picture so that it fills the room as far as it can.
  fill() {
    const { width, height } = this.room, { x, y, scale } = this.view;
    const held = (from, size, room, end) => (size < room - 18 - end ? (room - size) / 2 : Math.min(18, Math.max(from, room - end - size)));
    this.setView(held(x, scale * this.layout.width, width, 18), held(y, scale * this.layout.height, height, ABOVE_BUTTONS), scale);
  }

  zoom(factor, at) {
    const { width, height } = this.room, { x, y, scale } = this.view;
    const [cx, cy] = at ?? [width / 2, height / 2];
    const next = Math.max(0.03, Math.min(6, scale * factor));
    this.setView(cx - ((cx - x) * next) / scale, cy - ((cy - y) * next) / scale, next);
  }

  pan(dx, dy) { this.setView(this.view.x + dx, this.view.y + dy, this.view.scale); }

  // Bring a card, or the frame of a group, to where it can be seen; a card to the middle if `isCentred`.
  seek(id, isCentred = false) {
    const frame = id[0] === "f" && this.layout.frames.get(Number(id.slice(1)));
    const box = frame ? { ...frame, x: frame.x + frame.width / 2, y: frame.y + frame.height / 2 } : this.cards.get(id);
    if (!box) return;
    const { width, height } = this.room, { x, y, scale } = this.view;
    if (isCentred) {
      this.setView(width / 2 - box.x * scale, height / 2 - box.y * scale, scale);
      return;
    }
    // what is too large shows its upper left corner
    const lack = (from, to, room) => (to - from > room - 24 || from < 12 ? 12 - from : Math.min(0, room - 12 - to));
    const [dx, dy] = [
      lack(x + (box.x - box.width / 2) * scale, x + (box.x + box.width / 2) * scale, width),
      lack(y + (box.y - box.height / 2) * scale, y + (box.y + box.height / 2) * scale, height),
    ];
    if (dx || dy) this.pan(dx, dy);
  }
}

const isBad = (text) => text.includes("⚠");
const kindWord = (kind) => ["", "leaf", "input", "parameter", "", "output"][kind];

// A number on a card: four digits; nan and infinity with a sign.
export function onCard(number) {
  return Number.isFinite(number) ? written(number, 4) : `⚠ ${written(number)}`;
}
