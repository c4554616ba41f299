// Where the player stands: one step for each computed value forwards, one for the root's gradient, then one back through
// each value, as inspection/stepper.py. A step back restores every sum of contributions, bit for bit.

export class Player {
  constructor(graph) {
    this.graph = graph;
    this.forward = [];
    for (let i = 0; i < graph.n; i += 1) if (!graph.isLeaf(i)) this.forward.push(i);
    this.n = this.forward.length;
    this.total = 2 * this.n + 1;
    this.place = new Int32Array(graph.n).fill(-1);  // of each value among the forward steps; a leaf's is −1
    this.forward.forEach((i, at) => { this.place[i] = at; });
    this.back = Array.from(graph.order).reverse();
    this.restart();
  }

  restart() {
    const { graph } = this, uses = new Int32Array(graph.n);
    for (const i of this.forward) for (const edge of graph.edgesOf(i)) uses[graph.operands[edge]] += 1;
    this.uses = uses;
    this.done = new Int32Array(graph.n);
    this.sums = new Float64Array(graph.n);
    this.before = [];
    this.position = 0;
  }

  // After the numbers have changed: the same position with the new ones.
  refresh() {
    const { position } = this;
    this.restart();
    this.to(position);
  }

  node(step) {
    if (step < this.n) return this.forward[step];
    return step === this.n ? this.graph.root : this.back[step - this.n - 1];
  }

  to(position) {
    const target = Math.max(0, Math.min(this.total, Math.round(position)));
    while (this.position < target) this.advance();
    while (this.position > target) this.retreat();
  }

  advance() {
    const { graph, position, n } = this;
    if (position === n) this.sums[graph.root] = 1;
    else if (position > n) {
      const i = this.node(position);
      for (const edge of graph.edgesOf(i)) {
        const operand = graph.operands[edge];
        this.before.push(this.sums[operand]);
        this.sums[operand] += graph.contribution(i, edge, this.sums[i]);
        this.done[operand] += 1;
      }
    }
    this.position += 1;
  }

  retreat() {
    this.position -= 1;
    const { graph, position, n } = this;
    if (position === n) this.sums[graph.root] = 0;
    else if (position > n) {
      for (const edge of graph.edgesOf(this.node(position)).reverse()) {
        const operand = graph.operands[edge];
        this.sums[operand] = this.before.pop();
        this.done[operand] -= 1;
      }
    }
  }

  isComputed(i) { return this.place[i] < this.position; }
  get isBackward() { return this.position > this.n; }

  // How far a gradient is: { started, done, of, complete, sum }.
  progress(i) {
    const started = this.isBackward, of = this.uses[i], done = this.done[i];
    return { started, done, of, complete: started && done === of, sum: this.sums[i] };
  }

  // The last step taken: { phase, node, contributions }; null at the beginning.
  get step() {
    if (this.position === 0) return null;
    const node = this.node(this.position - 1);
    if (this.position <= this.n) return { phase: "forward", node, contributions: [] };
    if (this.position === this.n + 1) return { phase: "backward", node, contributions: [] };
    const edges = this.graph.edgesOf(node);
    const start = this.before.length - edges.length;
    const contributions = edges.map((edge, k) => {
      const operand = this.graph.operands[edge], before = this.before[start + k];
      const amount = this.graph.contribution(node, edge, this.sums[node]);
      const later = edges.slice(k + 1).filter((other) => this.graph.operands[other] === operand).length;
      return {
        edge, operand, amount, before, after: before + amount, upstream: this.sums[node], local: this.graph.local[edge],
        done: this.done[operand] - later, of: this.uses[operand],
      };
    });
    return { phase: "backward", node, contributions };
  }
}
