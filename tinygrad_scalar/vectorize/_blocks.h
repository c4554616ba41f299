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

#if defined(__GNUC__)
typedef double Vector __attribute__((vector_size(64), aligned(8), may_alias));
#define AT(p) (*(const Vector *)(p))
#define INLINED static inline __attribute__((always_inline))
#else
#define INLINED static inline
#endif

/* A result may be written over an operand: each number is read before the result takes its place. */
#define EACH(body) { ptrdiff_t i; VECTOR_EACH for (i = 0; i < n; i++) { body; } }

typedef void (*Loop1)(ptrdiff_t n, double *out, const double *x);
typedef void (*Loop2)(ptrdiff_t n, double *out, const double *x, ptrdiff_t sx, const double *y, ptrdiff_t sy);
typedef void (*Rows2)(
    ptrdiff_t rows, ptrdiff_t n, double *out, const double *x, ptrdiff_t rx, ptrdiff_t sx, const double *y, ptrdiff_t ry,
    ptrdiff_t sy);

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
LOOP1(loop_slope_of_atan, fabs(p) < 1e145 ? 1.0 / (1.0 + p * p) : 1.0 / p / p)
LOOP1(loop_slope_of_asinh, fabs(p) < 1e9 ? 1.0 / sqrt(1.0 + p * p) : 1.0 / fabs(p))
LOOP1(loop_slope_of_acosh, 1.0 / (sqrt(p - 1.0) * sqrt(p + 1.0)))
LOOP1(loop_slope_of_atanh, 1.0 / ((1.0 - p) * (1.0 + p)))

/* p to a power from 2 on, by squaring: half a unit in the last place is lost in each of at most 2 log2(power) steps */
static BEST void loop_power(ptrdiff_t n, double *out, const double *x, int power)
{
    enum { AT_A_TIME = 32 };
    ptrdiff_t start, i;
    for (start = 0; start < n; start += AT_A_TIME) {
        ptrdiff_t some = n - start < AT_A_TIME ? n - start : AT_A_TIME;
        double square[AT_A_TIME], product[AT_A_TIME];
        int rest = power;
        for (i = 0; i < some; i++)
            square[i] = x[start + i];
        for (i = some; i < AT_A_TIME; i++)
            square[i] = 1.0;
        for (; !(rest & 1); rest >>= 1)
            for (i = 0; i < AT_A_TIME; i++)
                square[i] *= square[i];
        for (i = 0; i < AT_A_TIME; i++)
            product[i] = square[i];
        while (rest >>= 1) {
            for (i = 0; i < AT_A_TIME; i++)
                square[i] *= square[i];
            if (rest & 1)
                for (i = 0; i < AT_A_TIME; i++)
                    product[i] *= square[i];
        }
        for (i = 0; i < some; i++)
            out[start + i] = product[i];
    }
}

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
         out[i] = p == q ? p + 0.6931471805599453 : (p >= q || p != p ? p : q) + out[i])
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

/* `rows` times what LOOP2 does, of n numbers, a multiple of 8: a call for each row would take longer than those of a
   small block. From row to row the operands go on by rx and ry; one of sx and sy is 1. */
#if defined(__GNUC__)
#define EACH_ROW(left, right, result) \
    for (r = 0; r < rows; r++, out += n, x += rx, y += ry) \
        for (i = 0; i < n; i += 8) { Vector p = left, q = right; *(Vector *)(out + i) = result; }
#define EIGHT(p) AT(p + i)
#define SAME(p) (*p - (Vector){0})
#else
#define EACH_ROW(left, right, result) \
    for (r = 0; r < rows; r++, out += n, x += rx, y += ry) \
        for (i = 0; i < n; i++) { double p = left, q = right; out[i] = result; }
#define EIGHT(p) p[i]
#define SAME(p) (*p)
#endif
#define ROWS2(name, result) \
    static BEST void name( \
        ptrdiff_t rows, ptrdiff_t n, double *out, const double *x, ptrdiff_t rx, ptrdiff_t sx, const double *y, \
        ptrdiff_t ry, ptrdiff_t sy) \
    { \
        ptrdiff_t r, i; \
        if (sx && sy) EACH_ROW(EIGHT(x), EIGHT(y), result) \
        else if (sx) EACH_ROW(EIGHT(x), SAME(y), result) \
        else EACH_ROW(SAME(x), EIGHT(y), result) \
    }
ROWS2(rows_add, p + q)
ROWS2(rows_subtract, p - q)
ROWS2(rows_multiply, p * q)

/* out = a fold of itself and of k rows x; a few columns stay in registers */
#define FOLD(name, result) \
    static BEST void name(ptrdiff_t n, ptrdiff_t k, double *out, const double *x) \
    { \
        ptrdiff_t i, j; \
        if (n == 8) { \
            double folded[8]; \
            for (i = 0; i < 8; i++) \
                folded[i] = out[i]; \
            for (j = 0; j < k; j++, x += 8) \
                VECTOR_EACH for (i = 0; i < 8; i++) { double p = folded[i], q = x[i]; folded[i] = result; } \
            for (i = 0; i < 8; i++) \
                out[i] = folded[i]; \
        } else \
            for (j = 0; j < k; j++, x += n) \
                EACH(double p = out[i]; double q = x[i]; out[i] = result) \
    }
FOLD(fold_sum, p + q)
FOLD(fold_maximum, p >= q || p != p ? p : q)
FOLD(fold_minimum, p <= q || p != p ? p : q)

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

INLINED double sum_of_row(ptrdiff_t n, const double *x)
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

static double sum_of_row(ptrdiff_t n, const double *x)
{
    double total[8] = {0};
    ptrdiff_t i;
    for (i = 0; i < n; i++)
        total[i % 8] += x[i];
    return ((total[0] + total[1]) + (total[2] + total[3])) + ((total[4] + total[5]) + (total[6] + total[7]));
}
#endif

static BEST double loop_sum(ptrdiff_t n, const double *x) { return sum_of_row(n, x); }

/* out = the sums of rows of n numbers, or += if `add` */
static BEST void loop_sums(ptrdiff_t rows, ptrdiff_t n, double *out, const double *x, int add)
{
    ptrdiff_t r;
    if (n == 1) {
        VECTOR_EACH for (r = 0; r < rows; r++)
            out[r] = add ? out[r] + x[r] : x[r];
        return;
    }
    for (r = 0; r < rows; r++, x += n) {
        double sum = n == 8 ? sum_of_row(8, x) : sum_of_row(n, x);
        out[r] = add ? out[r] + sum : sum;
    }
}

/* the largest of n >= 8 numbers, nan if there is one; of 0 and -0, either */
#define LANE_BY_LANE(name, better) \
    static BEST double name(ptrdiff_t n, const double *x) \
    { \
        double lane[32], total; \
        ptrdiff_t i, j, lanes = n < 32 ? 8 : 32; \
        for (j = 0; j < lanes; j++) \
            lane[j] = x[j]; \
        if (lanes == 32) { \
            for (i = 32; i + 32 <= n; i += 32) \
                for (j = 0; j < 32; j++) { \
                    double p = lane[j], q = x[i + j]; \
                    lane[j] = p better q || p != p ? p : q; \
                } \
        } else \
            i = 8; \
        for (; i < n; i++) { \
            double p = lane[0], q = x[i]; \
            lane[0] = p better q || p != p ? p : q; \
        } \
        total = lane[0]; \
        for (j = 1; j < lanes; j++) \
            total = total better lane[j] || total != total ? total : lane[j]; \
        return total; \
    }
LANE_BY_LANE(loop_largest, >=)
LANE_BY_LANE(loop_smallest, <=)

/* --- subnormal numbers: a product sets those below TINY aside, and multiplies them scaled ----------------------------- */

#define TINY 0x1p-960
#define MODEST 0x1p100 /* what the other operand may have at most */
#define SCALE_UP 0x1p900
#define SUBNORMAL_UNIT 0x1p-174 /* of a subnormal number, scaled */

#if defined(__SSE2__)
#include <xmmintrin.h>
#define OF_SUBNORMALS 0x12 /* the processor's notes of a subnormal operand and of a result too small to be normal */
static void forget_subnormals(void)
{
    if (_mm_getcsr() & OF_SUBNORMALS) /* to set it takes longer */
        _mm_setcsr(_mm_getcsr() & ~OF_SUBNORMALS);
}
static int met_subnormals(void) { return (_mm_getcsr() & OF_SUBNORMALS) != 0; }
#else
static void forget_subnormals(void) {}
static int met_subnormals(void) { return 0; }
#endif

/* whether a number is not 0 but below TINY, by its bits: arithmetic would take long */
#define MAGNITUDE(x) (vector_bits(x) & ~SIGN_BIT)
#define SIGN_BIT UINT64_C(0x8000000000000000)
#define TINY_BITS UINT64_C(0x03f0000000000000)
#define IS_TINY(x) (MAGNITUDE(x) - 1 < TINY_BITS - 1)

static BEST int has_tiny(ptrdiff_t n, const double *x)
{
    ptrdiff_t tiny = 0, i;
    for (i = 0; i < n; i++)
        tiny += IS_TINY(x[i]);
    return tiny != 0;
}
/* whether no number is nan or beyond MODEST */
static BEST int is_modest(ptrdiff_t n, const double *x)
{
    ptrdiff_t others = 0, i;
    for (i = 0; i < n; i++)
        others += !(fabs(x[i]) <= MODEST);
    return others == 0;
}
/* Set the tiny numbers of x to 0; where they were, and what: as many as returned (there is room for n + 8). */
static ptrdiff_t take_tiny_one_by_one(ptrdiff_t n, double *x, ptrdiff_t *places, double *numbers)
{
    ptrdiff_t i, found = 0;
    for (i = 0; i < n; i++)
        if (IS_TINY(x[i])) {
            places[found] = i;
            numbers[found++] = x[i];
            x[i] = 0.0;
        }
    return found;
}
/* x SCALE_UP and x / SCALE_UP, rounded once, without arithmetic on a subnormal number */
static double scaled_up(double x)
{
    uint64_t size = MAGNITUDE(x);
    return size < vector_bits(SMALLEST_NORMAL) ? copysign((double)(int64_t)size * SUBNORMAL_UNIT, x) : x * SCALE_UP;
}
static double scaled_down(double x)
{
    double units = fabs(x) * (1.0 / SUBNORMAL_UNIT);
    return units < 0x1p52 ? copysign(vector_double(vector_bits(units + 0x1p52) - TWO_52_BITS), x) : x * (1.0 / SCALE_UP);
}
/* whether some number is so small that tiny ones, in a sum of less than 2^53 products with modest ones, change it */
static BEST int tiny_would_tell(ptrdiff_t n, const double *x)
{
    ptrdiff_t small = 0, i;
    for (i = 0; i < n; i++)
        small += !(fabs(x[i]) >= 0x1p-740);
    return small != 0;
}

/* Matrix products of moderate size, for which BLAS loses much time outside of its innermost loop. Only for machines with
   AVX-512, which has enough registers for a tile of the result and masks for the numbers at the edges. */
#ifdef VECTOR_HAS_AVX512
#include <immintrin.h>
#define WIDE __attribute__((target("avx512f,fma")))
#define WIDE_INLINE static inline __attribute__((always_inline, target("avx512f,fma")))

WIDE_INLINE __m512d tile_load(const double *x, __mmask8 mask) { return _mm512_maskz_loadu_pd(mask, x); }

WIDE_INLINE void rows_tile(
    const int rows, const int vectors, ptrdiff_t k, const double *left, ptrdiff_t by_row, ptrdiff_t by_term,
    const double *right, ptrdiff_t right_step, double *out, ptrdiff_t out_step, __mmask8 last)
{
    __m512d sum[4][3], x[3];
    ptrdiff_t t;
    int r, v;
    for (r = 0; r < rows; r++)
        for (v = 0; v < vectors; v++)
            sum[r][v] = _mm512_setzero_pd();
    for (t = 0; t < k; t++, left += by_term, right += right_step) {
        for (v = 0; v < vectors; v++)
            x[v] = v + 1 < vectors ? _mm512_loadu_pd(right + 8 * v) : tile_load(right + 8 * v, last);
        for (r = 0; r < rows; r++) {
            __m512d w = _mm512_set1_pd(left[r * by_row]);
            for (v = 0; v < vectors; v++)
                sum[r][v] = _mm512_fmadd_pd(w, x[v], sum[r][v]);
        }
    }
    for (r = 0; r < rows; r++)
        for (v = 0; v < vectors; v++)
            _mm512_mask_storeu_pd(out + r * out_step + 8 * v, v + 1 < vectors ? 0xff : last, sum[r][v]);
}

WIDE_INLINE void rows_of_tiles(
    const int vectors, ptrdiff_t p, ptrdiff_t k, const double *left, ptrdiff_t by_row, ptrdiff_t by_term,
    const double *right, ptrdiff_t right_step, double *out, ptrdiff_t out_step, __mmask8 last)
{
    ptrdiff_t i = 0;
    for (; i + 4 <= p; i += 4)
        rows_tile(4, vectors, k, left + i * by_row, by_row, by_term, right, right_step, out + i * out_step, out_step, last);
    if (p - i == 3)
        rows_tile(3, vectors, k, left + i * by_row, by_row, by_term, right, right_step, out + i * out_step, out_step, last);
    else if (p - i == 2)
        rows_tile(2, vectors, k, left + i * by_row, by_row, by_term, right, right_step, out + i * out_step, out_step, last);
    else if (p - i == 1)
        rows_tile(1, vectors, k, left + i * by_row, by_row, by_term, right, right_step, out + i * out_step, out_step, last);
}

/* out (p, n) = left (p, k) @ right (k, n); entry (i, t) of left is at i by_row + t by_term */
static WIDE void loop_tiles(
    ptrdiff_t p, ptrdiff_t n, ptrdiff_t k, const double *left, ptrdiff_t by_row, ptrdiff_t by_term, const double *right,
    double *out)
{
    ptrdiff_t c = 0, rest;
    for (; c + 24 <= n; c += 24)
        rows_of_tiles(3, p, k, left, by_row, by_term, right + c, n, out + c, n, 0xff);
    rest = n - c;
    if (rest > 16)
        rows_of_tiles(3, p, k, left, by_row, by_term, right + c, n, out + c, n, (__mmask8)(0xff >> (24 - rest)));
    else if (rest > 8)
        rows_of_tiles(2, p, k, left, by_row, by_term, right + c, n, out + c, n, (__mmask8)(0xff >> (16 - rest)));
    else if (rest > 0)
        rows_of_tiles(1, p, k, left, by_row, by_term, right + c, n, out + c, n, (__mmask8)(0xff >> (8 - rest)));
}

WIDE_INLINE void dots_tile(
    const int rows, const int columns, ptrdiff_t n, const double *left, const double *right, double *out,
    ptrdiff_t out_step, int add)
{
    __m512d sum[4][4], x[4];
    ptrdiff_t t;
    int r, c;
    for (r = 0; r < rows; r++)
        for (c = 0; c < columns; c++)
            sum[r][c] = _mm512_setzero_pd();
    for (t = 0; t < n; t += 8) {
        __mmask8 mask = n - t >= 8 ? 0xff : (__mmask8)(0xff >> (8 - (n - t)));
        for (c = 0; c < columns; c++)
            x[c] = tile_load(right + c * n + t, mask);
        for (r = 0; r < rows; r++) {
            __m512d w = tile_load(left + r * n + t, mask);
            for (c = 0; c < columns; c++)
                sum[r][c] = _mm512_fmadd_pd(w, x[c], sum[r][c]);
        }
    }
    for (r = 0; r < rows; r++)
        for (c = 0; c < columns; c++) {
            double total = _mm512_reduce_add_pd(sum[r][c]);
            out[r * out_step + c] = add ? out[r * out_step + c] + total : total;
        }
}

#define FOUR(r, w) \
    s##r##0 = _mm512_fmadd_pd(w, x0, s##r##0); \
    s##r##1 = _mm512_fmadd_pd(w, x1, s##r##1); \
    s##r##2 = _mm512_fmadd_pd(w, x2, s##r##2); \
    s##r##3 = _mm512_fmadd_pd(w, x3, s##r##3);
#define SIXTEEN(load) \
    { \
        __m512d x0 = load(right + t), x1 = load(right + n + t), x2 = load(right + 2 * n + t), x3 = load(right + 3 * n + t); \
        __m512d w0 = load(left + t), w1 = load(left + n + t), w2 = load(left + 2 * n + t), w3 = load(left + 3 * n + t); \
        FOUR(0, w0) FOUR(1, w1) FOUR(2, w2) FOUR(3, w3) \
    }
#define LOAD_SOME(x) tile_load(x, mask)
#define SUMS(r) \
    { \
        double *o = out + r * out_step; \
        __m256d total = four_sums(s##r##0, s##r##1, s##r##2, s##r##3); \
        _mm256_storeu_pd(o, add ? _mm256_add_pd(_mm256_loadu_pd(o), total) : total); \
    }

/* the sum of each */
WIDE_INLINE __m256d four_sums(__m512d a, __m512d b, __m512d c, __m512d d)
{
    __m512d ab = _mm512_add_pd(_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b));
    __m512d cd = _mm512_add_pd(_mm512_unpacklo_pd(c, d), _mm512_unpackhi_pd(c, d));
    __m256d ab2 = _mm256_add_pd(_mm512_castpd512_pd256(ab), _mm512_extractf64x4_pd(ab, 1));
    __m256d cd2 = _mm256_add_pd(_mm512_castpd512_pd256(cd), _mm512_extractf64x4_pd(cd, 1));
    return _mm256_add_pd(_mm256_permute2f128_pd(ab2, cd2, 0x20), _mm256_permute2f128_pd(ab2, cd2, 0x31));
}

static WIDE void sixteen_dots(
    ptrdiff_t n, const double *left, const double *right, double *out, ptrdiff_t out_step, int add)
{
    __m512d s00, s01, s02, s03, s10, s11, s12, s13, s20, s21, s22, s23, s30, s31, s32, s33;
    ptrdiff_t t;
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = _mm512_setzero_pd();
    s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = _mm512_setzero_pd();
    for (t = 0; t + 8 <= n; t += 8)
        SIXTEEN(_mm512_loadu_pd)
    if (t < n) {
        __mmask8 mask = (__mmask8)(0xff >> (8 - (n - t)));
        SIXTEEN(LOAD_SOME)
    }
    SUMS(0) SUMS(1) SUMS(2) SUMS(3)
}

WIDE_INLINE void rows_of_dots(
    const int rows, ptrdiff_t k, ptrdiff_t n, const double *left, const double *right, double *out, ptrdiff_t out_step,
    int add)
{
    ptrdiff_t j = 0;
    for (; j + 4 <= k; j += 4)
        if (rows == 4)
            sixteen_dots(n, left, right + j * n, out + j, out_step, add);
        else
            dots_tile(rows, 4, n, left, right + j * n, out + j, out_step, add);
    if (k - j == 3)
        dots_tile(rows, 3, n, left, right + j * n, out + j, out_step, add);
    else if (k - j == 2)
        dots_tile(rows, 2, n, left, right + j * n, out + j, out_step, add);
    else if (k - j == 1)
        dots_tile(rows, 1, n, left, right + j * n, out + j, out_step, add);
}

/* out (p, k) = left (p, n) @ right (k, n).T, or += */
static WIDE void loop_dots(
    ptrdiff_t p, ptrdiff_t k, ptrdiff_t n, const double *left, const double *right, double *out, ptrdiff_t out_step,
    int add)
{
    ptrdiff_t i = 0;
    for (; i + 4 <= p; i += 4)
        rows_of_dots(4, k, n, left + i * n, right, out + i * out_step, out_step, add);
    if (p - i == 3)
        rows_of_dots(3, k, n, left + i * n, right, out + i * out_step, out_step, add);
    else if (p - i == 2)
        rows_of_dots(2, k, n, left + i * n, right, out + i * out_step, out_step, add);
    else if (p - i == 1)
        rows_of_dots(1, k, n, left + i * n, right, out + i * out_step, out_step, add);
}

WIDE_INLINE void tile_of_each(
    const int rows, const int columns, ptrdiff_t k, const double *left, ptrdiff_t by_row, ptrdiff_t by_term,
    const double *right, ptrdiff_t right_by_column, ptrdiff_t right_by_term, double *out, ptrdiff_t out_by_row,
    ptrdiff_t n, __mmask8 mask)
{
    __m512d sum[2][4], x[4];
    ptrdiff_t t;
    int r, c;
    for (r = 0; r < rows; r++)
        for (c = 0; c < columns; c++)
            sum[r][c] = _mm512_setzero_pd();
    for (t = 0; t < k; t++, left += by_term, right += right_by_term) {
        for (c = 0; c < columns; c++)
            x[c] = tile_load(right + c * right_by_column, mask);
        for (r = 0; r < rows; r++) {
            __m512d w = tile_load(left + r * by_row, mask);
            for (c = 0; c < columns; c++)
                sum[r][c] = _mm512_fmadd_pd(w, x[c], sum[r][c]);
        }
    }
    for (r = 0; r < rows; r++)
        for (c = 0; c < columns; c++)
            _mm512_mask_storeu_pd(out + r * out_by_row + c * n, mask, sum[r][c]);
}

WIDE_INLINE void tiles_of_each(
    const int rows, ptrdiff_t q, ptrdiff_t k, const double *left, ptrdiff_t by_row, ptrdiff_t by_term,
    const double *right, ptrdiff_t right_by_column, ptrdiff_t right_by_term, double *out, ptrdiff_t n, __mmask8 mask)
{
    ptrdiff_t j = 0;
    for (; j + 4 <= q; j += 4)
        tile_of_each(rows, 4, k, left, by_row, by_term, right + j * right_by_column, right_by_column, right_by_term,
                     out + j * n, q * n, n, mask);
    for (; j < q; j++)
        tile_of_each(rows, 1, k, left, by_row, by_term, right + j * right_by_column, right_by_column, right_by_term,
                     out + j * n, q * n, n, mask);
}

/* For each of n examples out (p, q) = left (p, k) @ right (k, q), whose entries are rows of n numbers: (i, t) of left is
   at i by_row + t by_term, (t, j) of right at j right_by_column + t right_by_term. */
static WIDE void loop_tiles_of_each(
    ptrdiff_t n, ptrdiff_t p, ptrdiff_t q, ptrdiff_t k, const double *left, ptrdiff_t by_row, ptrdiff_t by_term,
    const double *right, ptrdiff_t right_by_column, ptrdiff_t right_by_term, double *out)
{
    ptrdiff_t c, i;
    for (c = 0; c < n; c += 8) {
        __mmask8 mask = n - c >= 8 ? 0xff : (__mmask8)(0xff >> (8 - (n - c)));
        for (i = 0; i + 2 <= p; i += 2)
            tiles_of_each(2, q, k, left + i * by_row + c, by_row, by_term, right + c, right_by_column, right_by_term,
                          out + i * q * n + c, n, mask);
        if (i < p)
            tiles_of_each(1, q, k, left + i * by_row + c, by_row, by_term, right + c, right_by_column, right_by_term,
                          out + i * q * n + c, n, mask);
    }
}

/* as take_tiny_one_by_one */
static WIDE ptrdiff_t take_tiny_by_eights(ptrdiff_t n, double *x, ptrdiff_t *places, double *numbers)
{
    const __m512i all_but_sign = _mm512_set1_epi64((long long)~SIGN_BIT), one = _mm512_set1_epi64(1);
    const __m512i limit = _mm512_set1_epi64((long long)(TINY_BITS - 1));
    __m512i place = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    ptrdiff_t i, found = 0;
    for (i = 0; i < n; i += 8, place = _mm512_add_epi64(place, _mm512_set1_epi64(8))) {
        __m512d p = tile_load(x + i, n - i >= 8 ? 0xff : (__mmask8)(0xff >> (8 - (n - i))));
        __m512i less_one = _mm512_sub_epi64(_mm512_and_si512(_mm512_castpd_si512(p), all_but_sign), one);
        __mmask8 tiny = _mm512_cmplt_epu64_mask(less_one, limit);
        if (tiny) {
            _mm512_storeu_si512(places + found, _mm512_maskz_compress_epi64(tiny, place));
            _mm512_storeu_pd(numbers + found, _mm512_maskz_compress_pd(tiny, p));
            _mm512_mask_storeu_pd(x + i, tiny, _mm512_setzero_pd());
            found += __builtin_popcount(tiny);
        }
    }
    return found;
}

static int has_tiles(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("fma");
}
#else
static int has_tiles(void) { return 0; }
static void loop_tiles(
    ptrdiff_t p, ptrdiff_t n, ptrdiff_t k, const double *left, ptrdiff_t by_row, ptrdiff_t by_term, const double *right,
    double *out)
{
}
static ptrdiff_t take_tiny_by_eights(ptrdiff_t n, double *x, ptrdiff_t *places, double *numbers) { return 0; }
static void loop_tiles_of_each(
    ptrdiff_t n, ptrdiff_t p, ptrdiff_t q, ptrdiff_t k, const double *left, ptrdiff_t by_row, ptrdiff_t by_term,
    const double *right, ptrdiff_t right_by_column, ptrdiff_t right_by_term, double *out)
{
}
static void loop_dots(
    ptrdiff_t p, ptrdiff_t k, ptrdiff_t n, const double *left, const double *right, double *out, ptrdiff_t out_step,
    int add)
{
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
