// Which part of the graph is on show: values, folded groups in place of theirs, and in a large graph the neighbourhood of
// a value. A part is a value (its number i), a folded group, or "…", which stands for neighbours that are left out.

import { column } from "./graph.js";

const MOST = 450;  // parts; of a graph with more, only a neighbourhood is on show at first
export const LARGEST = 2500;  // parts that can be on show at all
const NEAR = 90;  // parts of a neighbourhood

export class Parts {
  constructor(graph, data) {
    this.graph = graph;
    this.groups = (data.groups ?? []).map((group, id) => ({ ...group, id, members: 0, children: [] }));
    this.group = data.group ? column(data.group, "i4") : new Int32Array(graph.n).fill(-1);
    for (const group of this.groups) if (group.parent >= 0) this.groups[group.parent].children.push(group.id);
    for (const inner of this.group) for (let g = inner; g >= 0; g = this.groups[g].parent) this.groups[g].members += 1;
    this.findOutputs();
    this.folded = new Set(data.folded ?? []);
    this.focus = graph.root;
    this.most = MOST;
  }

  // For each group its only value that is used outside of it; null if there are several.
  findOutputs() {
    const { graph, groups } = this, isWithin = (inner, g) => {
      for (let outer = inner; outer >= 0; outer = groups[outer].parent) if (outer === g) return true;
      return false;
    };
    for (let i = 0; groups.length && i < graph.n; i += 1) {
      for (let edge = graph.starts[i]; edge < graph.starts[i + 1]; edge += 1) this.note(graph.operands[edge], (g) => !isWithin(this.group[i], g));
    }
    this.note(graph.root, () => true);
  }

  note(i, isOutside) {
    for (let g = this.group[i]; g >= 0 && isOutside(g); g = this.groups[g].parent) {
      const { output } = this.groups[g];
      this.groups[g].output = output === undefined || output === i ? i : null;
    }
  }

  // The outermost folded group that holds a value, or −1.
  foldedGroup(i) { return this.outermostFolded(this.group[i]); }

  outermostFolded(inner) {
    let found = -1;
    for (let g = inner; g >= 0; g = this.groups[g].parent) if (this.folded.has(g)) found = g;
    return found;
  }

  idOf(i) {
    const g = this.foldedGroup(i);
    return g < 0 ? `v${i}` : `g${g}`;
  }

  toggle(g) {
    if (!this.folded.delete(g)) this.folded.add(g);
  }

  // Unfold whatever hides a value, and bring it into the neighbourhood on show.
  reveal(i) {
    for (let g = this.group[i]; g >= 0; g = this.groups[g].parent) this.folded.delete(g);
    this.focus = i;
  }

  // { items, edges, isPart }: items are { id, node } or { id, group } or { id, more, near }; edges { from, to, edges }.
  onShow() {
    const { graph } = this, groupOf = this.groups.map((group) => this.outermostFolded(group.id));
    const all = [], index = new Map(), place = new Int32Array(graph.n);
    const inGroup = new Map();
    for (let i = 0; i < graph.n; i += 1) {
      const g = this.group[i] < 0 ? -1 : groupOf[this.group[i]];
      if (g >= 0 && inGroup.has(g)) place[i] = inGroup.get(g);
      else {
        place[i] = all.length;
        if (g >= 0) inGroup.set(g, all.length);
        all.push(g < 0 ? { id: `v${i}`, node: i } : { id: `g${g}`, group: g });
      }
    }
    all.forEach((item, at) => index.set(item.id, at));
    const edges = this.edgesBetween(all, place);
    this.count = all.length;
    if (all.length <= this.most) {
      return { items: all, edges: edges.map((e) => ({ ...e, from: all[e.from].id, to: all[e.to].id })), isPart: false };
    }
    return neighbourhood(all, edges, index.get(this.idOf(this.focus)));
  }

  edgesBetween(all, place) {
    const { graph } = this, edges = [], merged = new Map();
    for (let i = 0; i < graph.n; i += 1) {
      if (graph.isLeaf(i)) continue;
      for (const edge of graph.edgesOf(i)) {
        const from = place[graph.operands[edge]], to = place[i];
        if (from === to) continue;
        const isPlain = all[from].node !== undefined && all[to].node !== undefined;
        const key = from * all.length + to;
        if (isPlain || !merged.has(key)) {
          const found = { from, to, edges: [edge] };
          edges.push(found);
          if (!isPlain) merged.set(key, found);
        } else merged.get(key).edges.push(edge);
      }
    }
    return edges;
  }

  // The groups to draw a frame around: unfolded ones that hold something on show, outer before inner.
  frames(items) {
    const held = new Map();
    for (const item of items) {
      const inner = item.node !== undefined ? this.group[item.node] : item.group !== undefined ? this.groups[item.group].parent : -1;
      if (inner >= 0) held.set(inner, [...(held.get(inner) ?? []), item.id]);
      for (let g = inner; g >= 0; g = this.groups[g].parent) if (!held.has(g)) held.set(g, []);
    }
    return held;
  }
}

// The NEAR parts that are nearest to the one in focus, with "…" where others are left out.
function neighbourhood(all, edges, focus) {
  const next = all.map(() => []);
  for (const edge of edges) {
    next[edge.to].push(edge.from);
    next[edge.from].push(edge.to);
  }
  const near = new Set([focus]), todo = [focus];
  for (let at = 0; at < todo.length && near.size < NEAR; at += 1) {
    const some = next[todo[at]].slice(0, NEAR / 3);
    for (const other of some) {
      if (near.size < NEAR && !near.has(other)) {
        near.add(other);
        todo.push(other);
      }
    }
  }
  const items = [...near].sort((a, b) => a - b).map((at) => all[at]);
  const kept = [], left = new Map();
  for (const edge of edges) {
    const hasFrom = near.has(edge.from), hasTo = near.has(edge.to);
    if (hasFrom && hasTo) kept.push({ from: all[edge.from].id, to: all[edge.to].id, edges: edge.edges });
    else if (hasFrom || hasTo) {
      const end = hasTo ? edge.to : edge.from, key = `${hasTo ? "a" : "z"}${end}`;
      if (!left.has(key)) left.set(key, { id: `m${key}`, more: 0, near: hasTo ? edge.from : edge.to, end, isBelow: hasTo });
      left.get(key).more += 1;
    }
  }
  for (const stub of left.values()) {
    items.push({ id: stub.id, more: stub.more, near: all[stub.near] });
    const end = all[stub.end].id;
    kept.push(stub.isBelow ? { from: stub.id, to: end, edges: [] } : { from: end, to: stub.id, edges: [] });
  }
  return { items, edges: kept, isPart: true };
}
