// The explorer: a graph that one can play forwards and backwards, edit, and be asked about. `mount` puts it into an
// element; the page and the notebook widget both call it.

import { cardState, litEdges, marksOf, MOST_LIT, touchedBy } from "./cards.js";
import { make, setText } from "./elements.js";
import { leafEditor } from "./editor.js";
import { Graph } from "./graph.js";
import { dialogContent, keyFor } from "./keys.js";
import { laidOut, turnIfLarger } from "./layout.js";
import { Notation } from "./notation.js";
import { hints, stepView, valueHeading, valueView, whereText } from "./panel.js";
import { LARGEST, Parts } from "./parts.js";
import { Picture } from "./picture.js";
import { Playback } from "./playback.js";
import { Player } from "./player.js";
import { followPointer } from "./pointer.js";
import { Finder } from "./finder.js";
import { download, viewAsSvg } from "./save.js";
import { skeleton } from "./skeleton.js";
import { checkView, Quiz } from "./tools.js";

const NARROW = 560;  // pixels; a narrower picture goes from top to bottom
let mounted = 0;

// data: what explore_data.py makes. options: { operations, graphviz: () => Promise of Viz, keys: the target whose keys
// count, position, edits, onEdit(node, number, values), onPosition(position), onSelect(node), onError(message) }.
export function mount(element, data, options) {
  return new Explorer(element, data, options);
}

class Explorer {
  constructor(element, data, options) {
    this.element = element;
    this.data = data;
    this.options = options;
    this.graph = new Graph(data, options.operations);
    this.notation = new Notation(this.graph, data);
    for (const [node, number] of Object.entries(options.edits ?? {})) this.graph.edit(Number(node), number);
    this.player = new Player(this.graph);
    this.player.to(options.position ?? this.player.total);
    this.parts = new Parts(this.graph, data);
    this.selected = null;
    this.isResting = this.player.position === this.player.total;  // until the first move no step is marked
    this.quiz = null;
    this.asked = null;  // the edge that the quiz points at
    this.tool = null;  // "quiz", "check" or null
    this.litFrom = this.player.position;  // where the last move began
    [this.lastTouched, this.marks] = [new Set(), new Map()];  // of the cards
    const playback = this.playback = new Playback(this);
    this.act = {
      prefix: `ts-${(mounted += 1)}`, quiz: () => this.toggleTool("quiz"), check: () => this.toggleTool("check"), play: () => playback.toggle(),
      start: () => playback.go(0), end: () => playback.go(this.total), next: () => playback.next(), back: () => playback.back(), fit: () => this.picture.fit(),
      zoomIn: () => this.picture.zoom(1.25), zoomOut: () => this.picture.zoom(0.8), turn: () => this.turn(), theme: () => this.turnTheme(),
      save: () => this.save(), help: () => this.help(), foldAll: () => this.foldAll(), reverse: () => playback.reverse(),
    };
    this.ui = skeleton(data.title, this.act);
    element.classList.add("ts-explorer");
    element.tabIndex = -1;  // a click anywhere gives it the keys
    element.replaceChildren(...this.ui.root);
    this.picture = new Picture(this.ui.svg, {
      name: (i) => (this.notation.hasName(i) || !this.graph.isLeaf(i) ? this.notation.name(i) : ""),
      sign: (i) => (this.graph.isLeaf(i) ? "" : this.graph.row(i).symbol),
      group: (g) => this.groupTexts(g),
    });
    this.finder = new Finder(this);
    this.direction = (this.ui.stage.getBoundingClientRect().width || NARROW) < NARROW ? "TB" : "LR";
    this.listen();
    this.refreshPlayer();
    this.refreshValue();
    this.ready = this.options.graphviz().then((viz) => {
      this.viz = viz;
      this.draw(true);
      turnIfLarger(this);
      this.resized = new ResizeObserver(() => { this.picture.measureRoom(); if (!this.hasMoved) this.fit(); });
      this.resized.observe(this.ui.stage);
    }).catch((error) => {
      this.notice(`The picture cannot be laid out: ${error.message}`);
      options.onError?.(error.message);
    });
  }

  listen() {
    const { ui } = this;
    ui.slider.max = this.player.total;
    ui.slider.oninput = () => this.playback.go(Number(ui.slider.value));
    this.onKey = (event) => keyFor(this, event);
    (this.options.keys ?? this.element).addEventListener("keydown", this.onKey);
    followPointer(ui.stage, this.picture, () => { this.hasMoved = true; });
    ui.stage.addEventListener("click", (event) => {
      const card = event.target.closest("[data-id]");
      if (card) this.press(card.dataset.id);
      else if (!event.target.closest("button")) this.select(null);
    });
  }

  destroy() {
    this.playback.pause();
    this.resized?.disconnect();
    (this.options.keys ?? this.element).removeEventListener("keydown", this.onKey);
    this.element.replaceChildren();
  }

  // --- what is on show ---------------------------------------------------------------------------------------------

  draw(isFitted = false) {
    if (!this.viz) return;
    const { graph, parts, picture } = this, focused = this.focusedId();
    this.shown = parts.onShow();
    const frames = parts.frames(this.shown.items);
    const layout = laidOut(this.viz, {
      ...this.shown, frames, groups: parts.groups, sizes: (item) => picture.size(item, graph), direction: this.direction,
    });
    picture.show(graph, this.shown, layout, parts.groups);
    if (isFitted || !this.hasMoved) this.fit();
    this.noticeOfPart();
    this.ui.foldAll.hidden = parts.groups.length === 0;
    setText(this.ui.foldAll, parts.folded.size ? "Unfold" : "Fold");
    this.refresh();
    this.giveFocus(parts.idOf(this.selected ?? graph.root), false);
    if (focused) this.giveFocus(focused, true);
  }

  // The id of the card or frame that has the keyboard's focus, or null.
  focusedId() { return this.element.getRootNode().activeElement?.closest?.(".ts-picture [data-id]")?.dataset.id ?? null; }

  // All of the picture, or as much around the value in focus as can be read.
  fit() {
    const { picture, parts } = this, least = picture.room.width < NARROW ? 0.8 : 0.6;
    picture.fit();
    if (picture.view.scale >= least) return;
    picture.setView(0, 0, least);
    picture.seek(parts.idOf(this.selected ?? parts.focus), true);
    picture.fill();
  }

  notice(...content) {
    this.ui.notice.hidden = content.length === 0;
    this.ui.notice.replaceChildren(...content);
  }

  noticeOfPart() {
    const { parts, shown } = this;
    if (!shown.isPart) {
      this.notice();
      return;
    }
    const all = make("button", { type: "button", class: "ts-link", onclick: () => { parts.most = LARGEST; this.draw(true); } }, `Show all ${parts.count.toLocaleString("en")}.`);
    this.notice(`The neighbourhood of ${this.notation.name(parts.focus)}; “…” goes on. `, ...(parts.count <= LARGEST ? [all] : []));
  }

  groupTexts(g) {
    const { name, members, detail, output } = this.parts.groups[g];
    return { name, output: output ?? null, detail: [detail, `${members.toLocaleString("en")} value${members === 1 ? "" : "s"}`].filter(Boolean).join(" · ") };
  }

  toggleGroup(g) {
    this.parts.toggle(g);
    const state = this.parts.folded.has(g) ? "folded" : "unfolded";
    this.draw(true);
    const id = state === "folded" ? `g${g}` : `f${g}`;
    this.picture.seek(id);
    this.giveFocus(id, true);
    this.say(`${this.parts.groups[g].name} ${state}`);
  }

  foldAll() {
    const { parts } = this;
    if (parts.folded.size) parts.folded.clear();
    else for (const group of parts.groups) if (group.parent < 0) parts.folded.add(group.id);
    this.draw(true);
  }

  turn() {
    this.direction = this.direction === "LR" ? "TB" : "LR";
    this.hasMoved = false;
    this.draw(true);
  }

  // --- where the player stands --------------------------------------------------------------------------------------------------

  get position() { return this.player.position; }
  set position(to) { this.move(to, false); }
  get total() { return this.player.total; }

  move(position, isOwn = true) {
    this.leaveQuiz();
    this.isResting = false;
    const from = this.player.position;
    this.litFrom = from;
    this.player.to(position);
    this.refreshStep();
    if (isOwn && this.player.position !== from) this.options.onPosition?.(this.player.position);
  }

  // --- what the numbers of now look like -----------------------------------------------------------------------------

  isHidden(i) { return this.quiz !== null && this.quiz.isHidden(i); }

  // After a step: only the cards that the step, or the one before it, has touched; after a leap all.
  refreshStep() {
    const { player } = this, at = player.position, isLeap = Math.abs(at - this.litFrom) > MOST_LIT;
    const isTurn = at <= player.n + 1 && this.litFrom >= player.n || at >= player.n && this.litFrom <= player.n + 1;
    const touched = touchedBy(this);
    this.marks = marksOf(this);
    if (isLeap || isTurn) this.refreshCards();
    else for (const i of new Set([...touched, ...this.lastTouched])) this.refreshCard(i);
    this.lastTouched = touched;
    this.light();
    this.refreshPlayer();
    if (this.selected !== null && player.isBackward) this.refreshValue();
    if (player.step && this.picture.cards) this.picture.seek(this.parts.idOf(player.step.node));
  }

  refresh() {
    this.refreshCards();
    this.lastTouched = touchedBy(this);
    this.light();
    this.refreshPlayer();
  }

  refreshCards() {
    this.marks = marksOf(this);
    for (const { item } of this.picture.cards?.values() ?? []) {
      if (item.node !== undefined) this.refreshCard(item.node);
      else if (item.group !== undefined) this.refreshGroup(item.group);
    }
  }

  refreshCard(i) {
    const id = this.parts.idOf(i);
    if (!this.picture.cards?.has(id)) return;
    if (id === `v${i}`) this.picture.updateCard(id, cardState(this, i));
    else this.refreshGroup(Number(id.slice(1)));
  }

  refreshGroup(g) {
    const { output } = this.groupTexts(g);
    if (output === null) this.picture.updateGroup(`g${g}`, { mark: this.marks.get(`g${g}`) ?? "", isSelected: false });
    else this.picture.updateCard(`g${g}`, cardState(this, output, `g${g}`));
  }

  light() {
    if (!this.picture.edges) return;
    const lit = litEdges(this);
    if (this.asked !== null) lit.set(this.asked, { way: "backward", text: "here" });
    this.picture.light(lit);
  }

  refreshPlayer() {
    const { ui, player } = this;
    ui.slider.value = player.position;
    const where = whereText(player);
    ui.slider.setAttribute("aria-valuetext", where);
    const inside = player.step && !this.isResting ? this.parts.foldedGroup(player.step.node) : -1;
    ui.where.replaceChildren(where, ...(inside >= 0 ? [" · inside ", make("span", { class: "ts-whole" }, this.parts.groups[inside].name)] : []));
    ui.step.replaceChildren(...(this.quiz ? [] : stepView(this)));
  }

  say(text) { setText(this.ui.live, text); }

  // --- one value ---------------------------------------------------------------------------------------------------

  press(id) {
    const kind = id[0];
    if (kind === "v") this.select(Number(id.slice(1)));
    else if (kind === "g" || kind === "f") this.toggleGroup(Number(id.slice(1)));
    else this.follow(this.picture.cards.get(id).item.near);
  }

  // Go on in the direction of a "…".
  follow(near) {
    this.parts.focus = near.node ?? this.graph.root;
    if (near.group !== undefined) this.parts.folded.delete(near.group);
    this.draw(true);
    this.picture.seek(this.parts.idOf(this.parts.focus), true);
  }

  // Show a value wherever it is, and select it.
  show(i) {
    if (i === null) return;
    if (!this.picture.cards?.has(`v${i}`)) {
      this.parts.reveal(i);
      this.draw();
    }
    this.select(i);
    this.picture.seek(`v${i}`);
  }

  select(i) {
    const before = this.selected;
    this.selected = i;
    this.asked = null;
    for (const node of [before, i]) if (node !== null) this.refreshCard(node);
    this.light();
    if (i !== null) this.giveFocus(`v${i}`);
    this.feedbackText = null;
    this.refreshSelected();
    if (i !== before) this.options.onSelect?.(i);
  }

  refreshSelected() {
    const { ui, selected } = this;
    ui.editor.replaceChildren(...(selected !== null && this.graph.isLeaf(selected) ? leafEditor(this, selected, (number) => this.edit(selected, number, true)) : []));
    this.refreshValue();
    if (this.tool === "quiz") this.refreshTool();
  }

  refreshValue() {
    const { ui, selected, graph, player, notation, data } = this;
    const view = { graph, player, notation, data, isHidden: (i) => this.isHidden(i), go: (i) => this.show(i) };
    ui.heading.replaceChildren(...(selected === null ? [] : valueHeading(view, selected)));
    ui.value.replaceChildren(...(selected === null ? [hints()] : valueView(view, selected)));
  }

  giveFocus(id, isFocused = false) {
    const card = this.picture.hold(id);
    if (isFocused) card?.focus({ preventScroll: true });
  }

  edit(leaf, number, isOwn = false) {
    this.graph.edit(leaf, number);
    this.quiz?.answers.clear();
    this.player.refresh();
    this.refresh();
    this.refreshValue();
    if (this.tool === "check") this.refreshTool();
    if (isOwn) this.options.onEdit?.(leaf, number, this.values());
  }

  values() { return { data: this.graph.data.slice(), grad: this.graph.grad.slice() }; }

  // --- quiz, check, and the rest of the bar ---------------------------------------------------------------------------

  toggleTool(name) {
    this.playback.pause();
    const next = this.tool === name ? null : name;
    this.tool = next;
    if (next === "quiz") {
      this.player.to(this.total);
      this.quiz = new Quiz(this);
    } else this.quiz = null;
    this.asked = null;
    this.refresh();
    this.refreshTool();
    this.refreshValue();
    this.say(next ? `${next} opened` : `${name} closed`);
    if (next) this.ui.tool.querySelector("input, button")?.focus();
  }

  leaveQuiz() {
    if (this.quiz) this.toggleTool("quiz");
  }

  refreshTool() {
    const { ui, tool } = this;
    ui.quiz.setAttribute("aria-pressed", String(tool === "quiz"));
    ui.check.setAttribute("aria-pressed", String(tool === "check"));
    ui.tool.hidden = tool === null;
    ui.tool.parentNode.classList.toggle("ts-quizzing", tool === "quiz");
    const go = (i) => this.show(i);
    if (tool === "check") ui.tool.replaceChildren(...checkView({ graph: this.graph, notation: this.notation, go, leave: () => this.toggleTool("check") }));
    else if (tool === "quiz") this.showQuiz();
    else ui.tool.replaceChildren();
  }

  showQuiz() {
    const { ui } = this;
    const app = {
      go: (i) => { this.show(i); ui.tool.querySelector("input")?.focus(); },
      show: (edge) => { this.asked = edge; this.light(); },
      leave: () => this.toggleTool("quiz"),
      changed: () => { this.asked = null; this.refreshCards(); this.light(); this.refreshValue(); },
      feedback: (text, name) => {
        this.showQuiz();
        ui.tool.querySelector("h2").after(make("p", { class: `ts-feedback ${name}`, role: "status" }, text));
        ui.tool.querySelector(".ts-primary")?.focus();
      },
    };
    ui.tool.replaceChildren(...this.quiz.view(app, this.selected));
  }

  turnTheme() {
    const isDark = (this.element.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
    this.element.dataset.theme = isDark ? "light" : "dark";
  }

  save() { download("graph.svg", viewAsSvg(this.ui.svg, this.picture)); }

  help() {
    const { dialog } = this.ui;
    if (dialog.open) dialog.close();
    else {
      dialog.replaceChildren(...dialogContent(() => dialog.close()));
      dialog.showModal();
    }
  }
}
