// A stepper in a notebook: buttons that ask Python for a move, the step in words, and its picture, updated in place.

const MOVES = [
  ["|◀", "To the beginning", "reset", ""],
  ["◀", "Back", "back", ""],
  ["▶", "Next", "next", ""],
  ["value ▶", "On to the next named value", "next", "value"],
  ["layer ▶", "Through the next layer", "next", "layer"],
];

function made(tag, attributes, parent) {
  const element = document.createElement(tag);
  for (const [name, text] of Object.entries(attributes)) element.setAttribute(name, text);
  parent.append(element);
  return element;
}

function render({ model, el }) {
  const frame = made("div", { class: "ts-stepper", role: "group", "aria-label": "stepper" }, el);
  frame.dataset.lmSuppressShortcuts = "true"; // JupyterLab's keys are not meant
  const bar = made("div", { class: "ts-stepper-bar" }, frame);
  for (const [sign, label, verb, words] of MOVES) {
    const button = made("button", { type: "button", title: label, "aria-label": label }, bar);
    button.textContent = sign;
    button.onclick = () => model.send({ verb, words });
  }
  const field = made("input", { placeholder: "to a name or step", "aria-label": "to a name or the number of a step" }, bar);
  field.onkeydown = (event) => {
    if (event.key === "Enter") model.send({ verb: "to", words: field.value.trim() });
  };
  const message = made("p", { role: "alert" }, frame);
  const text = made("pre", { "aria-live": "polite" }, frame);
  const picture = made("div", {}, frame);
  const show = () => {
    message.textContent = model.get("message");
    text.textContent = model.get("text");
    const svg = model.get("picture");
    picture.replaceChildren(...(svg ? [new DOMParser().parseFromString(svg, "image/svg+xml").documentElement] : []));
  };
  show();
  const traits = ["change:message", "change:text", "change:picture"];
  for (const trait of traits) model.on(trait, show);
  return () => {
    for (const trait of traits) model.off(trait, show);
  };
}

export default { render };
