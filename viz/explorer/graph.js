// The graph as columns: values forwards, gradients backwards, as engine/graph.py computes them.

const WIDTHS = { i2: Int16Array, i4: Int32Array, f8: Float64Array, u1: Uint8Array };
export const KINDS = ["constant", "leaf", "input", "parameter", "value", "output"];

export function column(text, type) {
  const signs = atob(text), bytes = new Uint8Array(signs.length);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = signs.charCodeAt(i);
  return new WIDTHS[type](bytes.buffer);
}

export class Graph {
  // data is what explore_data.py made; operations has { forward, local } for each operation that can be computed here.
  constructor(data, operations) {
    this.n = data.n;
    this.root = data.n - 1;
    this.code = column(data.code, "i2");
    this.starts = column(data.starts, "i4");
    this.operands = column(data.operands, "i4");
    this.kind = column(data.kind, "u1");
    this.order = column(data.order, "i4");
    this.original = column(data.data, "f8");
    this.rows = data.operations.map((row) => (row.constant === undefined ? row : { ...row, constant: Number(row.constant) }));
    this.computing = data.operations.map((row) => operations[row.key] ?? null);
    this.data = this.original.slice();
    this.grad = new Float64Array(this.n);
    this.local = new Float64Array(this.operands.length);
    this.edited = new Map();
    this.cut = this.cutOff();
    for (let i = 0; i < this.n; i += 1) if (this.computing[this.code[i]]) this.slopes(i);
    for (const [node, slopes] of Object.entries(data.local ?? {})) this.local.set(slopes.map(Number), this.starts[node]);
    this.consumers = this.consumersOf();
    this.backward();
  }

  isLeaf(i) { return this.code[i] < 0; }
  row(i) { return this.rows[this.code[i]]; }
  operandsOf(i) { return this.operands.subarray(this.starts[i], this.starts[i + 1]); }
  numbersOf(i) { return Array.from(this.operandsOf(i), (operand) => this.data[operand]); }

  slopes(i) {
    const found = this.computing[this.code[i]].local(this.numbersOf(i), this.data[i], this.row(i).constant);
    this.local.set(found, this.starts[i]);
  }

  // The edges of a node that a reader is shown: all but companions through which no gradient goes.
  edgesOf(i) {
    const found = [], companions = this.isLeaf(i) ? [] : this.row(i).companions ?? [];
    for (let edge = this.starts[i]; edge < this.starts[i + 1]; edge += 1) {
      if (!companions.includes(edge - this.starts[i]) || this.local[edge] !== 0) found.push(edge);
    }
    return found;
  }

  // The computed nodes that lead to the root only through operands that merely decide, such as a condition.
  cutOff() {
    const reached = new Uint8Array(this.n), cut = new Uint8Array(this.n);
    if (!this.rows.some((row) => row.detached)) return cut;
    reached[this.root] = 1;
    for (let at = this.order.length - 1; at >= 0; at -= 1) {
      const i = this.order[at], detached = this.row(i).detached ?? [];
      if (!reached[i]) cut[i] = 1;
      else this.operandsOf(i).forEach((operand, place) => { if (!detached.includes(place)) reached[operand] = 1; });
    }
    return cut;
  }

  // For each node the edges that lead from it, { node, edge } in the order in which gradients arrive.
  consumersOf() {
    const counts = new Int32Array(this.n + 1);
    for (const operand of this.operands) counts[operand + 1] += 1;
    for (let i = 0; i < this.n; i += 1) counts[i + 1] += counts[i];
    const edges = new Int32Array(this.operands.length), nodes = new Int32Array(this.operands.length), at = counts.slice();
    for (let place = this.order.length - 1; place >= 0; place -= 1) {
      const i = this.order[place];
      for (let edge = this.starts[i]; edge < this.starts[i + 1]; edge += 1) {
        const to = at[this.operands[edge]]++;
        edges[to] = edge;
        nodes[to] = i;
      }
    }
    return { starts: counts, edges, nodes };
  }

  consumersIn(i) {
    const { starts, edges, nodes } = this.consumers, found = [];
    for (let at = starts[i]; at < starts[i + 1]; at += 1) {
      const node = nodes[at], edge = edges[at];
      if ((this.row(node).companions ?? []).includes(edge - this.starts[node]) && this.local[edge] === 0) continue;
      found.push({ node, edge });
    }
    return found;
  }

  // The chain rule: local gradient × upstream gradient; 0 where a piecewise operation does not use the operand.
  contribution(node, edge, upstream = this.grad[node]) {
    if (this.cut[node]) return 0;
    const amount = this.local[edge] * upstream;
    return Number.isNaN(amount) && this.local[edge] === 0 && this.row(node).piecewise ? 0 : amount;
  }

  backward() {
    this.grad.fill(0);
    this.grad[this.root] = 1;
    for (let at = this.order.length - 1; at >= 0; at -= 1) {
      const i = this.order[at];
      for (let edge = this.starts[i]; edge < this.starts[i + 1]; edge += 1) {
        this.grad[this.operands[edge]] += this.contribution(i, edge);
      }
    }
  }

  // Which nodes depend on some of the leaves: 1 for these, and for the leaves themselves.
  dependentOn(leaves) {
    const touched = new Uint8Array(this.n);
    for (const leaf of leaves) touched[leaf] = 1;
    for (let i = 0; i < this.n; i += 1) {
      for (let edge = this.starts[i]; edge < this.starts[i + 1] && !touched[i]; edge += 1) touched[i] = touched[this.operands[edge]];
    }
    return touched;
  }

  // The computed nodes that depend on a leaf, in order.
  above(leaf) {
    const found = [];
    this.dependentOn([leaf]).forEach((isAbove, i) => { if (isAbove && i !== leaf) found.push(i); });
    return found;
  }

  // The operation that keeps a leaf from being edited, because it cannot be computed here; or null.
  hindrance(leaf) {
    const node = this.above(leaf).find((i) => !this.computing[this.code[i]]);
    return node === undefined ? null : this.row(node).name;
  }

  compute(i) {
    return this.computing[this.code[i]].forward(this.numbersOf(i), this.row(i).constant);
  }

  // Set a leaf and compute what depends on it anew, forwards and backwards. What no edited leaf leads to has its first
  // number, to the bit: Python's, which may differ from the page's by an ulp.
  edit(leaf, number) {
    const nodes = this.above(leaf);
    if (Object.is(number, this.original[leaf])) this.edited.delete(leaf);  // −0 is not 0: 1/x tells them apart
    else this.edited.set(leaf, number);
    this.data[leaf] = number;
    const isEdited = this.dependentOn(this.edited.keys());
    for (const i of nodes) this.data[i] = isEdited[i] ? this.compute(i) : this.original[i];
    for (const i of nodes) this.slopes(i);
    this.backward();
  }

  // The root's value if the leaf had another number; nothing changes.
  probe(leaf, numbers) {
    const nodes = this.above(leaf), kept = this.data.slice();
    const found = numbers.map((number) => {
      this.data[leaf] = number;
      for (const i of nodes) this.data[i] = this.compute(i);
      return this.data[this.root];
    });
    this.data.set(kept);
    return found;
  }

  get leaves() {
    return Array.from({ length: this.n }, (_, i) => i).filter((i) => this.isLeaf(i));
  }
}
