// The search field and the list of names below it.

import { make } from "./elements.js";
import { matches } from "./tools.js";

export class Finder {
  constructor(explorer) {
    this.explorer = explorer;
    this.field = explorer.ui.search;
    this.list = explorer.ui.found;
    this.found = [];
    this.at = -1;
    this.field.oninput = () => this.look();
    this.field.onkeydown = (event) => this.key(event);
    this.field.onblur = () => setTimeout(() => this.close(), 150);
  }

  look() {
    this.found = matches(this.field.value, this.explorer);
    this.at = this.found.length ? 0 : -1;
    const rows = this.found.map((one, k) => make(
      "li", { role: "option", id: `${this.list.id}-${k}`, onmousedown: (event) => { event.preventDefault(); this.take(k); } },
      one.name, one.group !== undefined ? make("span", { class: "ts-kind-word" }, " group") : null,
    ));
    const none = make("li", { class: "ts-none", role: "option", "aria-disabled": "true" }, "no value has this name");
    this.list.replaceChildren(...(rows.length ? rows : [none]));
    this.list.hidden = this.field.value.trim() === "";
    this.field.setAttribute("aria-expanded", String(!this.list.hidden));
    this.mark();
  }

  mark() {
    [...this.list.children].forEach((row, k) => row.setAttribute("aria-selected", String(k === this.at)));
    if (this.at >= 0) this.field.setAttribute("aria-activedescendant", `${this.list.id}-${this.at}`);
    else this.field.removeAttribute("aria-activedescendant");
  }

  key(event) {
    const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (move && this.found.length) this.at = (this.at + move + this.found.length) % this.found.length;
    else if (event.key === "Enter" && this.at >= 0) this.take(this.at);
    else if (event.key === "Escape") this.field.value = "";
    else return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Escape") this.close();
    this.mark();
  }

  take(k) {
    const { node, group } = this.found[k], { explorer } = this;
    this.close();
    if (node !== undefined) {
      explorer.show(node);
      explorer.giveFocus(`v${node}`, true);
    } else if (explorer.parts.folded.has(group)) explorer.toggleGroup(group);
    else explorer.giveFocus(`f${group}`, true);
  }

  close() {
    this.list.hidden = true;
    this.field.setAttribute("aria-expanded", "false");
  }
}
