// The editor of a leaf: a field and a slider; the rest of the graph follows while the slider moves.

import { make } from "./elements.js";
import { written } from "./formula.js";
import { typedNumber } from "./quiz.js";

// The editor's elements; `edit(number)` is called with every new number.
export function leafEditor({ graph, notation }, leaf, edit) {
  const hindrance = graph.hindrance(leaf);
  if (hindrance) {
    return [make("p", { class: "ts-hint" }, `It cannot be edited: ${hindrance} is an operation of your own, which is Python and cannot be recomputed here.`)];
  }
  const name = notation.hasName(leaf) ? notation.name(leaf) : "this number";
  const original = graph.original[leaf], centre = Number.isFinite(original) ? original : 0, reach = Math.max(2, 2 * Math.abs(centre));
  const field = make("input", { class: "ts-field", type: "text", inputmode: "decimal", "aria-label": `number of ${name}`, autocomplete: "off" });
  const slider = make("input", { class: "ts-leaf-slider", type: "range", min: centre - reach, max: centre + reach, step: reach / 200, "aria-label": `slide ${name}` });
  const problem = make("p", { class: "ts-problem", role: "alert" });
  const reset = make("button", { type: "button", class: "ts-button", title: "the number from Python", onclick: () => set(original) }, "reset");
  const show = () => {
    reset.disabled = !graph.edited.has(leaf);
    problem.textContent = "";
  };
  const set = (number) => {
    edit(number);
    field.value = written(number, 12).replace("−", "-");
    slider.value = number;
    show();
  };
  field.value = written(graph.data[leaf], 12).replace("−", "-");
  slider.value = graph.data[leaf];
  slider.oninput = () => {
    const number = Number(slider.value);
    edit(number);
    field.value = String(Number(number.toPrecision(8)));
    show();
  };
  field.onchange = () => {
    const number = typedNumber(field.value);
    if (Number.isFinite(number)) set(number);
    else problem.textContent = `expected a number, such as 0.5 or 1e-3, got “${field.value}”`;
  };
  show();
  return [make("div", { class: "ts-editor" }, make("label", {}, "set ", field), slider, reset), problem];
}
