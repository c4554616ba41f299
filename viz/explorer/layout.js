// Where everything stands: Graphviz lays out boxes of given sizes. No name ever enters its language.

const INCH = 72;
const MOST_TURNED = 150;  // parts of a picture that is laid out a second time, mirrored
const LEGIBLE = 0.8, MOST_TRIED = 60;  // the scale at which names have 10 pixels; parts of a picture that is tried both ways

// { width, height, boxes: id → { x, y } (centres), frames: group → { x, y, width, height }, paths: one for each edge }.
export function laidOut(viz, graph) {
  const found = placed(viz, graph, false);
  return inOrder(graph.items.length <= MOST_TURNED && isUpsideDown(found, graph) ? placed(viz, graph, true) : found, graph);
}

// Parts of one rank that have the same neighbours, frame and size stand in their order, such as the inputs of a layer:
// they change places, and so do their edges, which alters nothing else.
function inOrder(layout, { items, edges, frames, sizes, direction }) {
  const [along, across] = direction === "LR" ? ["x", "y"] : ["y", "x"], { boxes, paths } = layout;
  const ends = new Map(items.map(({ id }) => [id, []])), frameOf = new Map(), alike = new Map();
  for (const [g, ids] of frames) for (const id of ids) frameOf.set(id, g);
  edges.forEach(({ from, to }, k) => {
    ends.get(from).push({ other: `to ${to}`, k });
    ends.get(to).push({ other: `from ${from}`, k });
  });
  for (const item of items) {
    const own = ends.get(item.id).sort((a, b) => (a.other < b.other ? -1 : Number(a.other > b.other)));
    const key = [Math.round(boxes.get(item.id)[along]), frameOf.get(item.id), ...sizes(item), ...own.map(({ other }) => other)].join();
    alike.set(key, [...(alike.get(key) ?? []), { id: item.id, edges: own.map(({ k }) => k) }]);
  }
  for (const parts of alike.values()) {
    const places = parts.map((part) => ({ box: boxes.get(part.id), paths: part.edges.map((k) => paths[k]) }));
    places.sort((a, b) => a.box[across] - b.box[across]);
    parts.forEach((part, at) => {
      boxes.set(part.id, places[at].box);
      part.edges.forEach((k, j) => { paths[k] = places[at].paths[j]; });
    });
  }
  return layout;
}

// Whether values that were made earlier mostly stand below later ones of the same rank: then the picture is mirrored.
function isUpsideDown({ boxes }, { items, direction }) {
  const [along, across] = direction === "LR" ? ["x", "y"] : ["y", "x"];
  let balance = 0, last = new Map();
  for (const { id } of items) {
    const box = boxes.get(id), rank = Math.round(box[along]), before = last.get(rank);
    if (before !== undefined) balance += Math.sign(box[across] - before);
    last.set(rank, box[across]);
  }
  return balance < 0;
}

function placed(viz, { items, edges, frames, groups, sizes, direction }, isMirrored) {
  const nodes = new Map(items.map((item) => {
    const [width, height] = sizes(item);
    return [item.id, `${item.id} [width=${(width / INCH).toFixed(3)},height=${(height / INCH).toFixed(3)}]`];
  }));
  const cluster = (g) => [
    `subgraph cluster_${g} { label=" "; labelloc=${isMirrored && direction === "LR" ? "b" : "t"}; fontsize=15; margin=10;`,
    ...(frames.get(g) ?? []).map((id) => {
      const node = nodes.get(id);
      nodes.delete(id);
      return node;
    }),
    ...groups[g].children.filter((child) => frames.has(child)).map(cluster),
    "}",
  ].join("\n");
  const outer = [...frames.keys()].filter((g) => groups[g].parent < 0).map(cluster);
  const dot = [
    `digraph { rankdir=${direction}; ranksep=${direction === "LR" ? 0.85 : 0.65}; nodesep=0.18; nslimit=1; nslimit1=1; pad=0;`,
    "node [shape=box, fixedsize=true, label=\"\"]; edge [dir=none];",
    ...outer,
    ...nodes.values(),
    ...edges.map((edge, k) => `${edge.from} -> ${edge.to} [id=${k}]`),
    "}",
  ].join("\n");
  const result = viz.render(dot, { format: "json0" });
  if (result.status !== "success") throw new Error(result.errors.map((error) => error.message).join("; "));
  return read(JSON.parse(result.output), isMirrored ? direction : "");
}

// Graphviz's y goes up; `mirrored` is the direction of a picture to mirror at its long axis.
function read(layout, mirrored) {
  const [, , width, height] = layout.bb.split(",").map(Number);
  const at = (x, y) => [mirrored === "TB" ? width - x : x, mirrored === "LR" ? y : height - y];
  const flipped = (text) => at(...text.split(",").map(Number));
  const boxes = new Map(), frames = new Map(), paths = [];
  for (const object of layout.objects ?? []) {
    if (object.bb && object.name.startsWith("cluster_")) {
      const [left, below, right, above] = object.bb.split(",").map(Number);
      const [x, y] = at(left, below), [endX, endY] = at(right, above);
      frames.set(Number(object.name.slice("cluster_".length)), { x: Math.min(x, endX), y: Math.min(y, endY), width: right - left, height: above - below });
    } else if (object.pos) {
      const [x, y] = flipped(object.pos);
      boxes.set(object.name, { x, y });
    }
  }
  for (const edge of layout.edges ?? []) {
    const points = edge.pos.split(" ").map(flipped);
    paths[Number(edge.id)] = points;
  }
  return { width, height, boxes, frames, paths };
}

// A path of SVG through the points of Graphviz's splines: one start, then three points for each piece.
export function pathOf(points) {
  const [start, ...rest] = points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`);
  return rest.length ? `M${start}C${rest.join(" ")}` : `M${start}`;
}

// The box of all points of a spline, which lies within it.
export function around(points) {
  const [x, y] = [0, 1].map((k) => points.map((point) => point[k]));
  return { left: Math.min(...x), right: Math.max(...x), top: Math.min(...y), bottom: Math.max(...y) };
}

export function middleOf(points) {
  const at = Math.floor((points.length - 1) / 6) * 3;
  const [a, b, c, d] = points.slice(at, at + 4);
  if (!d) return points[0];
  return [0, 1].map((k) => (a[k] + 3 * b[k] + 3 * c[k] + d[k]) / 8);
}

// A picture that fits only with its text below 10 pixels goes from top to bottom instead, if it is much larger then.
export function turnIfLarger(explorer) {
  const { picture, shown, direction } = explorer, across = picture.fittingScale;
  if (direction === "TB" || across >= LEGIBLE || shown.isPart || shown.items.length > MOST_TRIED) return;
  explorer.turn();
  if (picture.fittingScale < 1.3 * across) explorer.turn();
}
