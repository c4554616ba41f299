/* Loops over blocks of examples, for _blocks.pyx. An operand with a step of 0 is one number, used for all.
   Where the compiler can, each is built for several instruction sets, and the best that the machine has is used. */

#ifndef TINYGRAD_SCALAR_BLOCKS_H
#define TINYGRAD_SCALAR_BLOCKS_H

#include <math.h>
#include <stddef.h>
#include <string.h>
#include "_vector.h"

#if defined(__GNUC__) && __GNUC__ >= 9 && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__) \
    && !defined(__SANITIZE_ADDRESS__)
#define BEST __attribute__((target_clones("avx512f", "arch=haswell", "default")))
#else
#define BEST
#endif

/* A result may be written over an operand: each number is read before the result takes its place. */
#define EACH(body) { ptrdiff_t i; VECTOR_EACH for (i = 0; i < n; i++) { body; } }

typedef void (*Loop1)(ptrdiff_t n, double *out, const double *x);
typedef void (*Loop2)(ptrdiff_t n, double *out, const double *x, ptrdiff_t sx, const double *y, ptrdiff_t sy);

#define LOOP1(name, result) \
    static BEST void name(ptrdiff_t n, double *out, const double *x) EACH(double p = x[i]; out[i] = result)
#define LOOP2(name, result) \
    static BEST void name(ptrdiff_t n, double *out, const double *x, ptrdiff_t sx, const double *y, ptrdiff_t sy) \
    { \
        if (sx && sy) EACH(double p = x[i]; double q = y[i]; out[i] = result) \
        else if (sx) { double q = *y; EACH(double p = x[i]; out[i] = result) } \
        else { double p = *x; EACH(double q = y[sy * i]; out[i] = result) } \
    }

LOOP1(loop_negate, -p)
LOOP1(loop_absolute, fabs(p))
LOOP1(loop_square, p * p)
LOOP1(loop_cube, p * p * p)
LOOP1(loop_reciprocal, 1.0 / p)
LOOP1(loop_sqrt, sqrt(p))
LOOP1(loop_half_power, p == 0.0 || p == -INFINITY ? fabs(p) : sqrt(p)) /* pow(p, 0.5) */
LOOP1(loop_relu, p <= 0.0 ? 0.0 : p)
LOOP1(loop_positive, p > 0.0 ? 1.0 : 0.0)
LOOP1(loop_sign, p >= 0.0 ? 1.0 : -1.0)
LOOP1(loop_slope_of_asin, 1.0 / sqrt((1.0 - p) * (1.0 + p)))
LOOP1(loop_slope_of_acos, -1.0 / sqrt((1.0 - p) * (1.0 + p)))
LOOP1(loop_slope_of_atan, 1.0 / (1.0 + p * p))
LOOP1(loop_slope_of_asinh, fabs(p) < 1e9 ? 1.0 / sqrt(1.0 + p * p) : 1.0 / fabs(p))
LOOP1(loop_slope_of_acosh, 1.0 / (sqrt(p - 1.0) * sqrt(p + 1.0)))
LOOP1(loop_slope_of_atanh, 1.0 / ((1.0 - p) * (1.0 + p)))

LOOP2(loop_add, p + q)
LOOP2(loop_subtract, p - q)
LOOP2(loop_multiply, p * q)
LOOP2(loop_divide, p / q)
LOOP2(loop_maximum, p >= q || p != p ? p : q)
LOOP2(loop_minimum, p <= q || p != p ? p : q)
LOOP2(loop_greater, p > q ? 1.0 : 0.0)
LOOP2(loop_greater_equal, p >= q ? 1.0 : 0.0)
LOOP2(loop_share, p > q ? 1.0 : p == q ? 0.5 : 0.0)
LOOP2(loop_other_share, q > p ? 1.0 : p == q ? 0.5 : 0.0)
LOOP2(loop_on_path, q == 0.0 && !(p * q == 0.0) ? 0.0 : p * q)
LOOP2(loop_minus_fixed, fabs(p) == INFINITY && p == q ? (p < 0.0 ? p : 0.0) : p - q)
LOOP2(loop_one_at_infinity, fabs(q) == INFINITY ? 1.0 : p)
LOOP2(loop_leaky_relu, p < 0.0 ? q * p : p)
LOOP2(loop_slope_of_leaky_relu, p >= 0.0 ? 1.0 : q)

/* a where the condition c is not 0, else b */
static BEST void loop_where(
    ptrdiff_t n, double *out, const double *c, ptrdiff_t sc, const double *a, ptrdiff_t sa, const double *b, ptrdiff_t sb)
{
    if (sc == 0) {
        const double *chosen = *c != 0.0 ? a : b;
        ptrdiff_t step = *c != 0.0 ? sa : sb;
        EACH(out[i] = chosen[step * i])
    } else if (sa && sb)
        EACH(double p = a[i]; double q = b[i]; out[i] = c[i] != 0.0 ? p : q)
    else if (sa) {
        double q = *b;
        EACH(double p = a[i]; out[i] = c[i] != 0.0 ? p : q)
    } else {
        double p = *a;
        EACH(double q = b[sb * i]; out[i] = c[i] != 0.0 ? p : q)
    }
}

/* --- pieces of the functions of two or three operands, which are in _blocks.pyx -------------------------------------- */

LOOP1(loop_minus_absolute, -fabs(p))
LOOP2(loop_difference_to_fold, p == q ? 0.0 : -fabs(p - q))
/* out holds log(1 + exp(-|p - q|)) */
static BEST void loop_finish_logaddexp(
    ptrdiff_t n, double *out, const double *x, ptrdiff_t sx, const double *y, ptrdiff_t sy)
    EACH(double p = x[sx * i]; double q = y[sy * i];
         out[i] = p == q ? p + M_LN2 : (p >= q || p != p ? p : q) + out[i])
/* the share of p in logaddexp(p, q), as in ops.py; out holds e = exp(-|p - q|) */
static BEST void loop_finish_share_of_logaddexp(
    ptrdiff_t n, double *out, const double *x, ptrdiff_t sx, const double *y, ptrdiff_t sy)
    EACH(double p = x[sx * i]; double q = y[sy * i]; double e = out[i]; double d = p - q; double shift = d - p;
         double lost = (p - (d - shift)) - (q + shift);
         double share = (d >= 0.0 ? 1.0 : e) / (1.0 + e);
         double equal = fabs(p) < INFINITY ? 0.5 : p > 0.0 ? 1.0 : 0.0;
         double fine = fabs(d) < INFINITY ? share + e / ((1.0 + e) * (1.0 + e)) * lost : share;
         out[i] = p == q ? equal : fine)
/* how many a are not σ(z), as in ops.py; e holds exp(-|z|) */
static BEST ptrdiff_t loop_count_others(
    ptrdiff_t n, const double *e, const double *a, ptrdiff_t sa, const double *z, ptrdiff_t sz)
{
    ptrdiff_t others = 0, i;
    for (i = 0; i < n; i++)
        others += !(fabs(a[sa * i] - (z[sz * i] >= 0.0 ? 1.0 : e[i]) / (1.0 + e[i])) <= 8.881784197001252e-16);
    return others;
}
/* the binary cross-entropy of σ(z) and y; e holds exp(-|z|) and l log(1 + e) */
static BEST void loop_entropy(
    ptrdiff_t n, double *out, const double *l, const double *z, ptrdiff_t sz, const double *y, ptrdiff_t sy)
    EACH(double p = z[sz * i]; double q = y[sy * i]; double wrong = p > 0.0 ? 1.0 - q : q; double far = fabs(p) * wrong;
         out[i] = l[i] + (wrong != 0.0 ? far : 0.0))
/* its slopes in σ(z), and in z where σ(z) has no digits left */
static BEST void loop_slope_of_entropy(
    ptrdiff_t n, double *out, const double *e, const double *z, ptrdiff_t sz, const double *y, ptrdiff_t sy)
    EACH(double p = z[sz * i]; double q = y[sy * i]; double on = p > 0.0 ? 1.0 - q : -q; double off = p > 0.0 ? q : q - 1.0;
         double slope = on * (1.0 + 1.0 / e[i]) - off * (1.0 + e[i]);
         out[i] = fabs(p) > 354.0 ? 0.0 : slope)
static BEST void loop_far_slope_of_entropy(
    ptrdiff_t n, double *out, const double *e, const double *z, ptrdiff_t sz, const double *y, ptrdiff_t sy)
    EACH(double p = z[sz * i]; double q = y[sy * i]; double on = p > 0.0 ? 1.0 - q : -q; double off = p > 0.0 ? q : q - 1.0;
         double slope = on / (1.0 + e[i]) - off * (e[i] / (1.0 + e[i]));
         out[i] = fabs(p) > 354.0 ? slope : 0.0)

/* --- sums and products --------------------------------------------------------------------------------------------- */

static BEST void loop_fill(ptrdiff_t n, double *out, double x) EACH(out[i] = x)
static BEST void loop_add_to(ptrdiff_t n, double *out, const double *x) EACH(out[i] += x[i])
static BEST void loop_add_number_to(ptrdiff_t n, double *out, double x) EACH(out[i] += x)

/* rows of x, `step` apart, each times its number in w, whose numbers are `sw` apart: out = their sum, or += if `add` */
static BEST void loop_combine(
    ptrdiff_t n, double *out, ptrdiff_t k, const double *w, ptrdiff_t sw, const double *x, ptrdiff_t step, int add)
{
    ptrdiff_t j = 0;
    for (; j + 4 <= k; j += 4, w += 4 * sw, x += 4 * step) {
        double w0 = w[0], w1 = w[sw], w2 = w[2 * sw], w3 = w[3 * sw];
        const double *x1 = x + step, *x2 = x + 2 * step, *x3 = x + 3 * step;
        if (add || j) EACH(out[i] = out[i] + ((w0 * x[i] + w1 * x1[i]) + (w2 * x2[i] + w3 * x3[i])))
        else EACH(out[i] = (w0 * x[i] + w1 * x1[i]) + (w2 * x2[i] + w3 * x3[i]))
    }
    for (; j + 2 <= k; j += 2, w += 2 * sw, x += 2 * step) {
        double w0 = w[0], w1 = w[sw];
        const double *x1 = x + step;
        if (add || j) EACH(out[i] = out[i] + (w0 * x[i] + w1 * x1[i]))
        else EACH(out[i] = w0 * x[i] + w1 * x1[i])
    }
    for (; j < k; j++, w += sw, x += step) {
        double w0 = w[0];
        if (add || j) EACH(out[i] = out[i] + w0 * x[i])
        else EACH(out[i] = w0 * x[i])
    }
}

#if defined(__GNUC__)
typedef double Vector __attribute__((vector_size(64), aligned(8), may_alias));
#define AT(p) (*(const Vector *)(p))

static BEST double loop_dot(ptrdiff_t n, const double *x, const double *y)
{
    double total = 0.0;
    ptrdiff_t i = 0;
    if (n >= 8) {
        Vector a = {0}, b = {0}, c = {0}, d = {0};
        for (; i + 32 <= n; i += 32) {
            a += AT(x + i) * AT(y + i);
            b += AT(x + i + 8) * AT(y + i + 8);
            c += AT(x + i + 16) * AT(y + i + 16);
            d += AT(x + i + 24) * AT(y + i + 24);
        }
        for (; i + 8 <= n; i += 8)
            a += AT(x + i) * AT(y + i);
        a = (a + b) + (c + d);
        total = ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7]));
    }
    for (; i < n; i++)
        total += x[i] * y[i];
    return total;
}

static BEST double loop_sum(ptrdiff_t n, const double *x)
{
    double total = 0.0;
    ptrdiff_t i = 0;
    if (n >= 8) {
        Vector a = {0}, b = {0}, c = {0}, d = {0};
        for (; i + 32 <= n; i += 32) {
            a += AT(x + i);
            b += AT(x + i + 8);
            c += AT(x + i + 16);
            d += AT(x + i + 24);
        }
        for (; i + 8 <= n; i += 8)
            a += AT(x + i);
        a = (a + b) + (c + d);
        total = ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7]));
    }
    for (; i < n; i++)
        total += x[i];
    return total;
}
#else
static double loop_dot(ptrdiff_t n, const double *x, const double *y)
{
    double total[8] = {0};
    ptrdiff_t i;
    for (i = 0; i < n; i++)
        total[i % 8] += x[i] * y[i];
    return ((total[0] + total[1]) + (total[2] + total[3])) + ((total[4] + total[5]) + (total[6] + total[7]));
}

static double loop_sum(ptrdiff_t n, const double *x)
{
    double total[8] = {0};
    ptrdiff_t i;
    for (i = 0; i < n; i++)
        total[i % 8] += x[i];
    return ((total[0] + total[1]) + (total[2] + total[3])) + ((total[4] + total[5]) + (total[6] + total[7]));
}
#endif

/* out (k, n) = the columns of rows (n, width), from the first on */
static void loop_transpose(ptrdiff_t n, ptrdiff_t width, double *out, const double *rows)
{
    ptrdiff_t i, j, start, stop;
    for (start = 0; start < n; start = stop) {
        stop = start + 8 < n ? start + 8 : n;
        for (j = 0; j < width; j++)
            for (i = start; i < stop; i++)
                out[j * n + i] = rows[i * width + j];
    }
}

#endif
