// Activations beyond sigmoid, tanh and relu, as activations.py has them, which says why each is written as it is.

import { abs, erf, exp, expm1, lostInProduct, lostInSquare, tail, withSignOf } from "./elementary.js";

const SQRT_HALF = Math.sqrt(0.5), DENSITY_AT_0 = 1 / Math.sqrt(2 * Math.PI);
const SELU_SCALE = 1.0507009873554805, SELU_ALPHA = 1.7580993408473766;
const SMALL = -700; // below, exp(x) has lost digits on the way to 0, and is the square of exp(x/2)
const NONE_BELOW = -39; // where Φ(x) is 0

export function gelu(x) {
  if (!(x < -0.5)) return x * (0.5 + 0.5 * erf(x * SQRT_HALF));
  if (x < NONE_BELOW) return x * 0;
  const square = x * x, e = exp(-0.5 * square), [value, lost] = tail(-x), product = e * value;
  return -(product + (lostInProduct(e, value, product) + e * (lost - 0.5 * lostInSquare(x, square) * value)));
}

export function geluSlope(x) {
  if (!(x < -0.5)) return normalCdf(x) + x * density(x);
  if (x < NONE_BELOW) return 0 * x + 0;
  const square = x * x;
  const factor = (x * DENSITY_AT_0 - tail(-x)[0] / x) * (1 - 0.5 * lostInSquare(x, square));
  if (square < 1400) return factor * exp(-0.5 * square);
  const e = exp(-0.25 * square);
  return factor * e * e;
}

export function normalCdf(x) {
  if (!(x < -0.5)) return 0.5 + 0.5 * erf(x * SQRT_HALF);
  return x >= NONE_BELOW ? gelu(x) / x : 0;
}

export function density(x) {
  const square = x * x;
  if (!(square < 1500)) return square >= 1500 ? 0 : x;
  return DENSITY_AT_0 * exp(-0.5 * square) * (1 - 0.5 * lostInSquare(x, square));
}

export function silu(x) {
  if (x >= 0) return x / (1 + exp(-x));
  if (x > SMALL) {
    const e = exp(x), s = 1 + e, value = (x * e) / s;
    return value - value * ((e - (s - 1)) / s);
  }
  const e = exp(0.5 * x);
  return x * e * e;
}

export function siluSlope(x) {
  if (x >= 0) {
    const e = exp(-x), s = 1 / (1 + e);
    return s + x * e * s * s;
  }
  if (x > SMALL) {
    const e = exp(x), s = 1 / (1 + e);
    return e * s * (1 + x * s);
  }
  const e = exp(0.5 * x);
  return (1 + x) * e * e;
}

export function mish(x) {
  if (x > 0) {
    const e = exp(-x), square = 2 * e * e;
    return x < 40 ? x - x * (square / (1 + 2 * e + square)) : x;
  }
  if (x > -0.35) {
    const m = expm1(x);
    return withSignOf(x - x * (2 / (5 + m * (4 + m))), x);
  }
  if (x > SMALL) {
    const e = exp(x), s = 1 + e, product = x * e;
    return product - (product * ((e * s) / (1 + s * s)) - lostInProduct(x, e, product));
  }
  const e = exp(0.5 * x);
  return x * e * e;
}

export function mishSlope(x) {
  if (x > 0) {
    const e = exp(-x), p = 1 + 2 * e, q = p + 2 * e * e;
    return p / q + x * ((4 * e * e * (1 + e)) / (q * q));
  }
  if (x > SMALL) {
    const e = exp(x), n = e * (e + 2);
    return n / (n + 2) + x * ((4 * e * (1 + e)) / ((n + 2) * (n + 2)));
  }
  const e = exp(0.5 * x);
  return (1 + x) * e * e;
}

export const elu = (x) => (x > 0 ? x : expm1(x));
export const eluSlope = (x) => (x > 0 ? 1 : exp(x));
export const selu = (x) => (x > 0 ? SELU_SCALE * x : SELU_ALPHA * expm1(x));
export const seluSlope = (x) => (x > 0 ? SELU_SCALE : SELU_ALPHA * exp(x));
export const hardtanh = (x) => (x > 1 ? 1 : x < -1 ? -1 : x);
export const hardtanhSlope = (x) => (x > 1 || x < -1 ? 0 : 1);
export const softsign = (x) => x / (1 + abs(x));

export function softsignSlope(x) {
  const r = 1 / (1 + abs(x));
  return abs(x) < Infinity ? r * r : NaN;
}
