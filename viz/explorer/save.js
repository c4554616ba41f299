// The view as a file of SVG: what is on the screen, with the colours of now.

const PROPERTIES = ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-family", "font-size", "font-weight", "font-style", "paint-order", "stroke-linejoin"];

export function viewAsSvg(svg, { room, view }) {
  const copy = svg.cloneNode(true);
  const originals = svg.querySelectorAll("*"), copies = copy.querySelectorAll("*");
  originals.forEach((element, k) => {
    const style = getComputedStyle(element);
    for (const name of ["class", "tabindex", "role", "aria-pressed", "data-id"]) copies[k].removeAttribute(name);
    if (style.display === "none" || style.visibility === "hidden") copies[k].setAttribute("display", "none");
    for (const property of PROPERTIES) {
      const value = style.getPropertyValue(property);
      if (value) copies[k].setAttribute(property, value);
    }
  });
  const { width, height } = room, box = [-view.x / view.scale, -view.y / view.scale, width / view.scale, height / view.scale];
  for (const name of ["class", "role", "tabindex"]) copy.removeAttribute(name);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("viewBox", box.map((number) => number.toFixed(2)).join(" "));
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  ["x", "y", "width", "height"].forEach((name, k) => ground.setAttribute(name, box[k].toFixed(2)));
  ground.setAttribute("fill", getComputedStyle(svg.closest(".ts-stage")).backgroundColor);
  copy.prepend(ground);
  return new XMLSerializer().serializeToString(copy);
}

export function download(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
