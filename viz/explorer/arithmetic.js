// The table of operations in JavaScript: what each computes, and its local derivatives.
//
// Row by row the engine's: rows.py, activations.py, elementary.py, lists.py and ops.py say why each is written as it is.
// Values and derivatives are within 4 ulp of Python's, at every edge too (tests/viz/test_arithmetic.py).

import { density, elu, eluSlope, gelu, geluSlope, hardtanh, hardtanhSlope, mish, mishSlope } from "./activations.js";
import { normalCdf, selu, seluSlope, silu, siluSlope, softsign, softsignSlope } from "./activations.js";
import { abs, acos, acosh, asin, asinh, asinhSlope, atan, atan2, atan2Slope, atanh } from "./elementary.js";
import { binaryEntropy, binaryEntropySlopes, cbrt, ceil, cos, cosh, cosine, cosineSlopes, erf } from "./elementary.js";
import { erfSlope, exp, exp2, expm1, expOfDifference, exponent, floor, hypot, LN10, LN2, log } from "./elementary.js";
import { log10, log1p, log2, logaddexp, logaddexpShare, lostInSquare, maximum, minimum, power } from "./elementary.js";
import { powerSlope, scaled, share, sigmoid, sigmoidSlope, sign, sin, sinh, softplus, sqrt } from "./elementary.js";
import { logaddexpShareSlope, tan, tanh, tanhSlope, xlogy } from "./elementary.js";

// --- of lists --------------------------------------------------------------------------------------------------------

const summed = (x) => x.reduce((sum, term) => sum + term);

function dot(x) {
  const half = x.length / 2;
  return summed(x.slice(0, half).map((a, i) => a * x[half + i]));
}

function dotSlopes(x) {
  const half = x.length / 2;
  return [...x.slice(half), ...x.slice(0, half)];
}

/** A sum of terms ≥ 0 with the digits that adding them one by one would lose (Neumaier). */
function compensated(terms) {
  let found = 0, lost = 0;
  for (const term of terms) {
    const further = found + term;
    lost += found >= term ? found - further + term : term - further + found;
    found = further;
  }
  return found + lost;
}

/** r and e, with which the norm is r·2ᵉ: squares that would overflow or underflow are those of scaled numbers. */
function rootOfSquares(x) {
  const most = x.map(abs).reduce(maximum);
  if (most === 0 || !Number.isFinite(most)) return [most, 0];
  const e = exponent(most);
  const numbers = x.map((number) => scaled(number, -e)), squares = numbers.map((number) => number * number);
  let lost = 0;
  numbers.forEach((number, i) => (lost += lostInSquare(number, squares[i])));
  return [sqrt(compensated(squares) + lost), e];
}

function norm(x) {
  const [root, e] = rootOfSquares(x);
  return scaled(root, e);
}

function normSlopes(x) {
  const [root, e] = rootOfSquares(x);
  return x.map((number) => scaled(number, -e) / root);
}

/** 1/k for each of the k numbers that are equal to the largest or smallest, v. */
function shares(x, v) {
  if (x.length === 1) return [1];
  const k = x.filter((number) => number === v).length;
  return x.map((number) => (number === v ? 1 / k : 0));
}

/** (y² − x²)/(x² + y²)² in factors, of which neither loses digits where |x| is near |y|; and −2xy/(x² + y²)². */
function atan2SlopeSlopes(x, y) {
  const h = hypot(x, y);
  return [(((y - x) / h) * ((y + x) / h)) / h / h, -2 * (((x / h) * (y / h)) / h / h)];
}

function logSumExp(x) {
  const most = x.reduce(maximum);
  return x.length > 1 && Number.isFinite(most) ? most + log1p(powers(x, most)[1]) : most;
}

/** exp(xᵢ − most) for each number, and the sum of these without the first largest, which is 1. */
function powers(x, most) {
  const found = x.map((number) => expOfDifference(number, most)), at = x.indexOf(most);
  return [found, compensated(found.filter((_, i) => i !== at))];
}

function logSumExpSlopes(x) {
  const most = x.reduce(maximum);
  if (x.length === 1) return [1];
  if (!Number.isFinite(most)) return x.map((number) => (most !== most ? most : number === Infinity ? 1 : 0));
  const [found, rest] = powers(x, most);
  return found.map((number) => number / (1 + rest));
}

/** Σ exp(xᵢ − y), where y comes last. */
function sumExpBelow(x) {
  const found = sumExpBelowSlopes(x, 0).slice(0, -1), total = summed(found);
  return Number.isFinite(total) ? compensated(found) : total;
}

function sumExpBelowSlopes(x, v) {
  const y = x[x.length - 1];
  return [...x.slice(0, -1).map((number) => expOfDifference(number, y)), -v];
}

/** log Σ exp(xᵢ − y), where y comes last. */
function logSumExpBelow(x) {
  const numbers = x.slice(0, -1), y = x[x.length - 1], most = numbers.reduce(maximum);
  return Number.isFinite(most) ? most - y + log1p(powers(numbers, most)[1]) : most - y;
}

// --- the table -------------------------------------------------------------------------------------------------------

// Rows for operations of one, two and three numbers, and of a list; slopes are given the result first.
const of1 = (forward, slope) => ({ forward: ([x]) => forward(x), local: ([x], v) => [slope(v, x)] });
const of2 = (forward, slopes) => ({ forward: ([x, y]) => forward(x, y), local: ([x, y], v) => slopes(v, x, y) });
const of3 = (forward, slopes) => ({ forward: ([x, y, z]) => forward(x, y, z), local: ([x, y, z], v) => slopes(v, x, y, z) });
const ofList = (forward, local) => ({ forward, local });
const WHERE = of3((c, x, y) => (c !== 0 ? x : y), (v, c) => (c !== 0 ? [0, 1, 0] : [0, 0, 1]));

/**
 * Each operation by its name, or its family where it has a constant ("**n", "sum(n)"): {forward(operands, constant) →
 * number, local(operands, value, constant) → [∂value/∂operand, …]}. A function of the user's own is not here.
 */
export const OPERATIONS = {
  "+": of2((x, y) => x + y, () => [1, 1]),
  "-": of2((x, y) => x - y, () => [1, -1]),
  "*": of2((x, y) => x * y, (v, x, y) => [y, x]),
  "/": of2((x, y) => x / y, (v, x, y) => [1 / y, -(v / y)]),
  "**": of2(power, (v, x, y) => [powerSlope(v, x, y), v * log(x !== 0 ? x : 1)]),
  "**n": {
    forward: ([x], n) => power(x, n), local: ([x], v, n) => [n !== 0 ? powerSlope(v, x, n) : 0],
  },
  neg: of1((x) => -x, () => -1),
  abs: of1(abs, (v, x) => (x >= 0 ? 1 : -1)),
  exp: of1(exp, (v) => v),
  expm1: of1(expm1, (v, x) => exp(x)),
  log: of1(log, (v, x) => 1 / x),
  log1p: of1(log1p, (v, x) => 1 / (1 + x)),
  log2: of1(log2, (v, x) => 1 / LN2 / x),
  log10: of1(log10, (v, x) => 1 / LN10 / x),
  exp2: of1(exp2, (v) => v * LN2),
  sqrt: of1(sqrt, (v) => 0.5 / v),
  cbrt: of1(cbrt, (v) => 1 / (3 * (v * v))),
  sin: of1(sin, (v, x) => cos(x)),
  cos: of1(cos, (v, x) => -sin(x)),
  tan: of1(tan, (v) => 1 + v * v),
  asin: of1(asin, (v, x) => 1 / sqrt((1 - x) * (1 + x))),
  acos: of1(acos, (v, x) => -1 / sqrt((1 - x) * (1 + x))),
  atan: of1(atan, (v, x) => atan2Slope(1, x)),
  sinh: of1(sinh, (v, x) => cosh(x)),
  cosh: of1(cosh, (v, x) => sinh(x)),
  tanh: of1(tanh, (v, x) => tanhSlope(x)),
  asinh: of1(asinh, (v, x) => asinhSlope(x)),
  acosh: of1(acosh, (v, x) => 1 / (sqrt(x - 1) * sqrt(x + 1))),
  atanh: of1(atanh, (v, x) => 1 / ((1 - x) * (1 + x))),
  sigmoid: of1(sigmoid, (v, x) => sigmoidSlope(x)),
  relu: of1((x) => (x <= 0 ? 0 : x), (v, x) => (x > 0 ? 1 : 0)),
  leaky_relu: {
    forward: ([x], slope) => (x < 0 ? slope * x : x), local: ([x], v, slope) => [x >= 0 ? 1 : slope],
  },
  softplus: of1(softplus, (v, x) => sigmoid(x)),
  erf: of1(erf, (v, x) => erfSlope(x)),
  maximum: of2(maximum, (v, x, y) => [share(x, y), share(y, x)]),
  minimum: of2(minimum, (v, x, y) => [share(y, x), share(x, y)]),
  atan2: of2(atan2, (v, y, x) => [atan2Slope(x, y), -atan2Slope(y, x)]),
  hypot: of2(hypot, (v, x, y) => [cosine(x, y), cosine(y, x)]),
  xlogy: of2(xlogy, (v, x, y) => [log(y), x / y]),
  logaddexp: of2(logaddexp, (v, x, y) => [logaddexpShare(x, y), logaddexpShare(y, x)]),
  floor: of1(floor, () => 0),
  ceil: of1(ceil, () => 0),
  sign: of1(sign, () => 0),
  greater: of2((x, y) => (x > y ? 1 : 0), () => [0, 0]),
  greater_equal: of2((x, y) => (x >= y ? 1 : 0), () => [0, 0]),
  where: WHERE,
  cond: WHERE,
  "binary cross-entropy": of3(binaryEntropy, (v, a, z, y) => binaryEntropySlopes(a, z, y)),
  gelu: of1(gelu, (v, x) => geluSlope(x)),
  silu: of1(silu, (v, x) => siluSlope(x)),
  mish: of1(mish, (v, x) => mishSlope(x)),
  elu: of1(elu, (v, x) => eluSlope(x)),
  selu: of1(selu, (v, x) => seluSlope(x)),
  hardtanh: of1(hardtanh, (v, x) => hardtanhSlope(x)),
  softsign: of1(softsign, (v, x) => softsignSlope(x)),
  "normal cdf": of1(normalCdf, (v, x) => density(x)),
  "sigmoid slope": of1(sigmoidSlope, (v, x) => -v * tanh(0.5 * x)),
  "tanh slope": of1(tanhSlope, (v, x) => -2 * v * tanh(x)),
  "one minus square": of1((x) => (1 - x) * (1 + x), (v, x) => -2 * x),
  "σ of difference": of2(logaddexpShare, (v, x, y) => [logaddexpShareSlope(v, x, y), -logaddexpShareSlope(v, x, y)]),
  cosine: of2(cosine, cosineSlopes),
  "atan2 slope": of2(atan2Slope, (v, x, y) => atan2SlopeSlopes(x, y)),
  share: of3((x, y, total) => expOfDifference(x, y) / total, (v, x, y, total) => [v, -v, -(v / total)]),
  "exp of difference": of2(expOfDifference, (v) => [v, -v]),
  copy: of1((x) => x, () => 1),
  "sum(n)": ofList(summed, (x) => x.map(() => 1)),
  "mean(n)": ofList((x) => summed(x) / x.length, (x) => x.map(() => 1 / x.length)),
  "dot(n)": ofList(dot, dotSlopes),
  "norm(n)": ofList(norm, normSlopes),
  "max(n)": ofList((x) => x.reduce(maximum), shares),
  "min(n)": ofList((x) => x.reduce(minimum), shares),
  "logsumexp(n)": ofList(logSumExp, logSumExpSlopes),
  "largest(n)": ofList((x) => x.reduce(maximum), (x) => x.map(() => 0)),
  "sumexp_below(n)": ofList(sumExpBelow, sumExpBelowSlopes),
  "logsumexp_below(n)": ofList(logSumExpBelow, (x) => [...logSumExpSlopes(x.slice(0, -1)), -1]),
};
