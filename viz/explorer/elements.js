// Elements of HTML, SVG and MathML. Texts always become text nodes, so that no label can be read as markup.

const NAMESPACES = { svg: "http://www.w3.org/2000/svg", math: "http://www.w3.org/1998/Math/MathML" };

// An element: make("button", { class: "ts-key", onclick }, "text", child). Attributes that are null or false are left out.
export function make(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function makeSvg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(NAMESPACES.svg, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element[name] = value;
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// A formula's tree, [tag, ...children] with texts as leaves, as a <math> element; several formulas stand in one row.
export function makeMath(...trees) {
  const math = document.createElementNS(NAMESPACES.math, "math");
  math.setAttribute("displaystyle", "true");
  for (const tree of trees) math.append(mathOf(tree));
  return math;
}

function mathOf(tree) {
  if (typeof tree === "string") return document.createTextNode(tree);
  const element = document.createElementNS(NAMESPACES.math, tree[0]);
  for (const child of tree.slice(1)) element.append(mathOf(child));
  return element;
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
