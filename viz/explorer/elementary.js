// The functions behind the table of operations, as elementary.py has them, which says why each is written as it is.
//
// A browser's Math is less exact than the C library that Python uses: exp, which most slopes are made of, hypot, cbrt and
// erf are written here.

const SQUARES = 2 ** 600; // for numbers whose squares would overflow or underflow
const FAR = 354; // exp of it is the root of the largest number
const TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);

export const { LN2, LN10, abs, acos, acosh, asin, asinh, atan, atan2, atanh, ceil, cos, cosh, expm1, floor } = Math;
export const { log, log1p, log2, log10, sign, sin, sinh, sqrt, tan, tanh } = Math;

const isNegative = (x) => x < 0 || Object.is(x, -0);
export const withSignOf = (x, y) => (isNegative(y) ? -abs(x) : abs(x));

// --- of one number and of two ----------------------------------------------------------------------------------------

/** x to the power y, as in C: 1 to any power is 1, and so is −1 to an infinite one. */
export function power(x, y) {
  if (x === 1 || (x === -1 && abs(y) === Infinity)) return 1;
  return x ** y;
}

/** ∂(xʸ)/∂x = y·xʸ⁻¹, computed as y·v/x where rounding y − 1 would cost digits. */
export function powerSlope(v, x, y) {
  if (y - 1 + 1 === y || x === 0 || !Number.isFinite(x)) return y * power(x, y - 1);
  return y * (v / x);
}

// 2ʲᐟ³² for j from 0 to 31, each as a number and what that lost in rounding
const ROOTS_OF_TWO = rootsOfTwo(32);

function rootsOfTwo(n) {
  let roots = [[1, 0]];
  for (let root = [2, 0], step = n; step > 1; step /= 2) {
    root = squareRoot(root);
    roots = Array.from({ length: 2 * roots.length }, (_, j) => (j % 2 ? times(roots[j >> 1], root) : roots[j >> 1]));
  }
  return roots;
}

function squareRoot([x, lost]) {
  const root = sqrt(x), square = root * root;
  return [root, (x - square - lostInSquare(root, square) + lost) / (2 * root)];
}

function times([x, lostX], [y, lostY]) {
  const product = x * y, lost = lostInProduct(x, y, product) + (x * lostY + y * lostX), sum = product + lost;
  return [sum, product - sum + lost];
}

/** eˣ = 2ᵏᐟ³²·eʳ, within 0.53 ulp as the C library's is; Math.exp is off by one too often. */
export function exp(x) {
  if (!(abs(x) < 746)) return Math.exp(x);
  const k = Math.round((x * 32) / LN2), r = x - k * (6.93147180369123816e-1 / 32) - k * (1.90821492927058770e-10 / 32);
  const e = r + r * r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r / 5040)))));
  const [root, lost] = ROOTS_OF_TWO[k & 31];
  return scaled(root + (lost + root * e), k >> 5);
}

export const exp2 = (x) => power(2, x);

/** What x·x lost in rounding, exactly (Dekker 1971). */
export function lostInSquare(x, square) {
  const [high, low] = halves(x);
  return high * high - square + 2 * high * low + low * low;
}

export function lostInProduct(x, y, product) {
  const [a, b] = halves(x), [c, d] = halves(y);
  return a * c - product + a * d + b * c + b * d;
}

/** x as a sum of two numbers of half its length. */
function halves(x) {
  const far = 134217729 * x, high = far - (far - x);
  return [high, x - high];
}

/** √(x² + y²), with a step of Newton's method in which next to nothing is lost (Borges 2020). */
export function hypot(x, y) {
  if (abs(x) === Infinity || abs(y) === Infinity) return Infinity;
  const most = maximum(abs(x), abs(y));
  if (most === 0 || most !== most) return most;
  const e = exponent(most), a = scaled(most, -e), b = scaled(minimum(abs(x), abs(y)), -e), h = sqrt(a * a + b * b);
  const further = h - (h <= 2 * b ? b : a);
  const excess =
    h <= 2 * b
      ? a * (2 * further - a) + (further - 2 * (a - b)) * further
      : 2 * further * (a - 2 * b) + ((4 * further - b) * b + further * further);
  return scaled(h - excess / (2 * h), e);
}

/** As in Python, from x to the power fl(⅓), which is ⅓ − 1.85e-17, with one step of Newton's method. */
export function cbrt(x) {
  if (x === 0 || !Number.isFinite(x)) return x;
  const e = floor(log2(abs(x)) / 3), y = scaled(x, -3 * e), near = Math.cbrt(y), square = near * near;
  const lost = lostInProduct(near, square, near * square) + near * lostInSquare(near, square);
  const power = near - ((near * square - y + lost) / (3 * square) + near * log(abs(x)) * 1.850371707708594e-17);
  return scaled(power - (power - y / (power * power)) / 3, e);
}

/** x/hypot(x, y), the slope of hypot: ½ at the origin and nan at infinity. */
export function cosine(x, y) {
  const v = hypot(x, y);
  if (v > 1e-290 && v < Infinity) return x / v;
  if (x === 0 && y === 0) return 0.5;
  if (!Number.isFinite(x) || !Number.isFinite(y)) return NaN;
  const scale = v > 1 ? 1 / SQUARES : SQUARES;
  return (x * scale) / hypot(x * scale, y * scale);
}

export function cosineSlopes(c, x, y) {
  if (x === 0 && y === 0) return [0, 0];
  const s = cosine(y, x), v = hypot(x, y); // sine² is 1 − cosine² with all its digits
  const scale = v > 1e290 ? 0.25 : v < 1e-290 ? SQUARES : 1;
  const over = s / hypot(x * scale, y * scale);
  return [over * s * scale, -over * c * scale];
}

/** x/(x² + y²). */
export function atan2Slope(x, y) {
  const d = x * x + y * y;
  if ((d > 1e-290 && d < Infinity) || !Number.isFinite(x) || !Number.isFinite(y)) return x / d;
  const scale = d > 1 ? 1 / SQUARES : SQUARES, X = x * scale, Y = y * scale;
  return (X / (X * X + Y * Y)) * scale;
}

/** x·log(y); 0 where x is 0, whatever number y is. */
export const xlogy = (x, y) => (x !== 0 || y !== y ? x * log(y) : 0);

export const asinhSlope = (x) => (abs(x) < 1e9 ? 1 / sqrt(1 + x * x) : 1 / abs(x)); // beyond, 1 is lost in the sum

/** Below ½ by its series, whose terms all have one sign; beyond, as 1 − 2Φ(−√2·x). */
export function erf(x) {
  const size = abs(x);
  if (size > 6) return withSignOf(1, x);
  if (size >= 0.5) {
    const square = x * x, t = size * Math.SQRT2;
    return withSignOf(1 - 2 * (exp(-square) * tail(t)[0] / t), x);
  }
  let term = x, sum = 0; // Σ 2ⁿ·x²ⁿ⁺¹/(1·3·…·(2n + 1)), times 2/√π·exp(−x²)
  for (let n = 1; n < 14; n++) sum += term *= (2 * x * x) / (2 * n + 1);
  const e = expm1(-x * x), far = x + sum;
  return withSignOf(TWO_OVER_SQRT_PI * (far + e * far), x);
}

export function erfSlope(x) {
  const square = x * x;
  if (!(square < 745)) return square >= 745 ? 0 : x;
  return TWO_OVER_SQRT_PI * exp(-square) * (1 - lostInSquare(x, square));
}

export const maximum = (x, y) => (x >= y || x !== x ? x : y);
export const minimum = (x, y) => (x <= y || x !== x ? x : y);
/** The slope of maximum(x, y) in x: 1, 0, or ½ in a tie. */
export const share = (x, y) => (x > y ? 1 : x === y ? 0.5 : 0);

export function logaddexp(x, y) {
  return x === y ? x + LN2 : maximum(x, y) + log1p(exp(-abs(x - y))); // equal infinities have no difference
}

/** exp(x − y) with the digits that x − y lost in rounding. */
export function expOfDifference(x, y) {
  const difference = x - y;
  if (!(abs(difference) < 800)) return exp(difference);
  const shift = difference - x;
  return exp(difference) * (1 + (x - (difference - shift) - (y + shift)));
}

/** eˣ/(eˣ + eʸ): of +∞ always 1, of −∞ always 0. */
export function logaddexpShare(x, y) {
  if (x === y) return Number.isFinite(x) ? 0.5 : x > 0 ? 1 : 0;
  const difference = x - y;
  if (!Number.isFinite(difference)) return sigmoid(difference);
  const shift = difference - x, lost = x - (difference - shift) - (y + shift);
  return sigmoid(difference) + sigmoidSlope(difference) * lost;
}

/** The power of 2 by which numbers as large as this have to be divided before they are squared. */
export const exponent = (x) => (x > 1e-140 && x < 1e140 ? 0 : floor(log2(x)) + 1);

/** x·2ᵉ, rounded once. */
export function scaled(x, e) {
  const half = floor(e / 2);
  return e === 0 ? x : x * 2 ** half * 2 ** (e - half);
}

/** v·σ(y − x); 0 where both are +∞, of which each has the share 1. */
export const logaddexpShareSlope = (v, x, y) => (x !== y || Number.isFinite(x) ? v * logaddexpShare(y, x) : 0);

// --- activations, without overflow, and the loss of a sigmoid ---------------------------------------------------------

export function sigmoid(x) {
  const e = exp(-abs(x));
  return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

export function sigmoidSlope(x) {
  const e = exp(-abs(x));
  return e / ((1 + e) * (1 + e));
}

export function tanhSlope(x) {
  const e = exp(-2 * abs(x));
  return (4 * e) / ((1 + e) * (1 + e));
}

export const softplus = (x) => (x === x ? maximum(x, 0) + log1p(exp(-abs(x))) : x);

/** −y·log(a) − (1 − y)·log(1 − a); where a is σ(z), computed from z, in which 1 − a has all its digits. */
export function binaryEntropy(a, z, y) {
  const e = exp(-abs(z));
  if (isSigmoid(a, z, e)) {
    const wrong = z > 0 ? 1 - y : y;
    return log1p(e) + (wrong !== 0 ? abs(z) * wrong : 0);
  }
  return -((y !== 0 ? y * log(a) : 0) + (y !== 1 ? (1 - y) * log1p(-a) : 0));
}

export function binaryEntropySlopes(a, z, y) {
  const e = exp(-abs(z));
  if (!isSigmoid(a, z, e)) return [(1 - y) / (1 - a) - y / a, 0, log1p(-a) - log(a)];
  const [on, off] = z > 0 ? [1 - y, y] : [-y, y - 1];
  if (abs(z) > FAR) return [0, on / (1 + e) - off * (e / (1 + e)), -z];
  return [on * (1 + 1 / e) - off * (1 + e), 0, -z];
}

const isSigmoid = (a, z, e) => abs(a - (z >= 0 ? 1 : e) / (1 + e)) <= 2 ** -50; // but for rounding

// --- the tail of the normal distribution, for erf and gelu ------------------------------------------------------------

// t·exp(t²/2)·Φ(−t) as polynomials in (t − m)/(t + m): m = 1 for t from ½ to 2, m = 5 beyond; the first number is what
// the second lost in rounding.
const NEAR = [
  -8.473622911119317e-18, 0.2615782918651234, 0.24842860665762814, -0.052598740829980964, -0.057453773327409134,
  -0.01942012998970075, 0.0030774093566554753, 0.008798965996800696, 0.0065860936739829444, 0.002800588838963068,
  0.00011190066663200392, -0.0010605358967491893, -0.0011779603426076643, -0.0008156632179879958,
  -0.00037370016389289457, -4.4860602615426974e-05, 0.00012496720953525557, 0.00017681121137368727,
  0.00016580780838845185, 8.969818838825052e-05,
];
const BEYOND = [
  -7.055962049193448e-18, 0.3845965248750315, 0.051905273430003056, -0.08503844346004041, 0.09088622964934435,
  -0.07425639525043856, 0.04795086373176185, -0.024161785953851316, 0.008900845018753809, -0.0018956230749735286,
  -0.00012648519883572725, 0.00024276158743997603, -5.456912972270914e-05, -1.6540379254757872e-05,
  1.0330731581938893e-05, 6.044336505188427e-07, -1.5527862629529315e-06, 5.117920845932942e-08,
  2.3891834407815234e-07, -1.5902145856597262e-08, -4.096562950163233e-08, 3.3680635517757292e-09,
  7.821982746854172e-09, -2.2426922630685485e-09,
];

/** t·exp(t²/2)·Φ(−t) for t from ½ to 39, and what it lost in rounding. */
export function tail(t) {
  const [middle, polynomial] = t < 2 ? [1, NEAR] : [5, BEYOND];
  const s = (t - middle) / (t + middle);
  let p = polynomial[polynomial.length - 1];
  for (let i = polynomial.length - 2; i > 1; i--) p = p * s + polynomial[i];
  p *= s;
  const value = polynomial[1] + p;
  return [value, polynomial[1] - value + p + polynomial[0]];
}
