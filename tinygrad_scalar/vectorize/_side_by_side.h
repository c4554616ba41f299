/* Loops over rows of numbers for _machine.pxi: a row's neighbours stand side by side (stride 1) or are one number for
   all (stride 0). As in _lanes.h each is built for several instruction sets. What is added to one number for all rows
   is summed in a fixed order. */

#ifndef TINYGRAD_SCALAR_SIDE_BY_SIDE_H
#define TINYGRAD_SCALAR_SIDE_BY_SIDE_H

#include <stddef.h>

#include "_lanes.h"

#if defined(_MSC_VER)
#define ROWS_INLINE static __forceinline
#else
#define ROWS_INLINE static inline __attribute__((always_inline))
#endif

#define FOR(body) { ptrdiff_t i; for (i = 0; i < n; i++) { body; } }

/* Σ of terms(i) over i < n, in PARTIAL sums side by side */
#define PARTIAL 8
#define SUM(target, term) \
    { \
        double parts[PARTIAL] = {0}, sum = 0.0; \
        ptrdiff_t base, i; \
        int p; \
        for (base = 0; base + PARTIAL <= n; base += PARTIAL) \
            for (p = 0; p < PARTIAL; p++) { i = base + p; parts[p] += term; } \
        for (i = base; i < n; i++) sum += term; \
        for (p = 0; p < PARTIAL; p++) sum += parts[p]; \
        target += sum; \
    }

/* values of one operand */
#define ROWS1(name, body) \
    static BEST void name(ptrdiff_t n, double *NO_ALIAS out, const double *NO_ALIAS x) FOR(body)
ROWS1(rows_negate, out[i] = -x[i])
ROWS1(rows_relu, out[i] = x[i] <= 0.0 ? 0.0 : x[i])
ROWS1(rows_absolute, out[i] = fabs(x[i]))
ROWS1(rows_sqrt, out[i] = sqrt(x[i]))
ROWS1(rows_square, out[i] = x[i] * x[i])

/* values of two, a and b being the numbers of row i */
#define ROWS2(name, value) \
    static BEST void name( \
        ptrdiff_t n, double *NO_ALIAS out, const double *NO_ALIAS x, int sx, const double *NO_ALIAS y, int sy) \
    { \
        if (sx && sy) FOR(double a = x[i]; double b = y[i]; out[i] = value) \
        else if (sx) { double b = *y; FOR(double a = x[i]; out[i] = value) } \
        else { double a = *x; FOR(double b = y[i * sy]; out[i] = value) } \
    }
ROWS2(rows_add, a + b)
ROWS2(rows_subtract, a - b)
ROWS2(rows_multiply, a * b)
ROWS2(rows_divide, a / b)
ROWS2(rows_maximum, a >= b || a != a ? a : b)
ROWS2(rows_minimum, a <= b || a != a ? a : b)
ROWS2(rows_greater, a > b ? 1.0 : 0.0)
ROWS2(rows_greater_equal, a >= b ? 1.0 : 0.0)

ROWS2(rows_add_products, out[i] + a * b)

static BEST void rows_where(ptrdiff_t n, double *NO_ALIAS out, const double *NO_ALIAS c, int sc, const double *NO_ALIAS x,
                            int sx, const double *NO_ALIAS y, int sy) FOR(out[i] = c[i * sc] != 0.0 ? x[i * sx] : y[i * sy])

/* out = z + xy */
static BEST void rows_multiply_add(ptrdiff_t n, double *NO_ALIAS out, const double *NO_ALIAS z, int sz,
                                   const double *NO_ALIAS x, int sx, const double *NO_ALIAS y, int sy)
{
    if (sx == 1 && sy == 1 && sz == 1) FOR(out[i] = z[i] + x[i] * y[i])
    else if (sx == 0 && sy == 1 && sz == 1) { double a = *x; FOR(out[i] = z[i] + a * y[i]) }
    else if (sx == 1 && sy == 1 && sz == 0) { double c = *z; FOR(out[i] = c + x[i] * y[i]) }
    else FOR(out[i] = z[i * sz] + x[i * sx] * y[i * sy]) /* any strides */
}

/* the chain rule: contributions to an operand's gradient d, of the other numbers a and b and the upstream gradient u */
#define BACK0(name, term) \
    static BEST void name(ptrdiff_t n, double *NO_ALIAS d, int sd, const double *NO_ALIAS u) \
    { \
        if (sd) FOR(d[i] += term) else SUM(*d, term) \
    }
#define BACK1(name, term) \
    ROWS_INLINE double name##_term(double a, double u) { return term; } \
    static BEST void name( \
        ptrdiff_t n, double *NO_ALIAS d, int sd, const double *NO_ALIAS x, int sx, const double *NO_ALIAS u) \
    { \
        if (sd && sx) FOR(d[i] += name##_term(x[i], u[i])) \
        else if (sd) { double a = *x; FOR(d[i] += name##_term(a, u[i])) } \
        else if (sx) SUM(*d, name##_term(x[i], u[i])) \
        else { double a = *x; SUM(*d, name##_term(a, u[i])) } \
    }
#define BACK2(name, term) \
    ROWS_INLINE double name##_term(double a, double b, double u) { return term; } \
    static BEST void name(ptrdiff_t n, double *NO_ALIAS d, int sd, const double *NO_ALIAS x, int sx, \
                          const double *NO_ALIAS y, int sy, const double *NO_ALIAS u) \
    { \
        if (sd && sx && sy) FOR(d[i] += name##_term(x[i], y[i], u[i])) \
        else if (sd) FOR(d[i] += name##_term(x[i * sx], y[i * sy], u[i])) \
        else SUM(*d, name##_term(x[i * sx], y[i * sy], u[i])) \
    }
BACK0(rows_add_to, u[i])
BACK0(rows_subtract_from, -u[i])
BACK1(rows_add_product, a * u)
BACK1(rows_add_twice_product, 2.0 * a * u)
BACK1(rows_add_over, 1.0 / a * u)
BACK1(rows_add_over_twice, 0.5 / a * u)
BACK1(rows_add_product_on_path, a != 0.0 ? a * u : 0.0)
BACK1(rows_add_if_positive, a > 0.0 ? u : 0.0)
BACK1(rows_add_signed, a >= 0.0 ? u : -u)
BACK1(rows_add_where, a != 0.0 ? u : 0.0)
BACK1(rows_add_unless, a != 0.0 ? 0.0 : u)
BACK1(rows_add_one_plus_square, (1.0 + a * a) * u)
BACK2(rows_subtract_quotient_product, -(a / b * u)) /* of x / y, given x / y and y */
BACK2(rows_add_share_of_larger, a > b ? u : a == b ? 0.5 * u : 0.0) /* ties share */

/* both factors of products, whose gradients do not overlap */
static BEST void rows_add_products_back(ptrdiff_t n, double *NO_ALIAS dx, double *NO_ALIAS dy, const double *NO_ALIAS x,
                                        const double *NO_ALIAS y, const double *NO_ALIAS u)
    FOR(dx[i] += y[i] * u[i]; dy[i] += x[i] * u[i])

/* out = z + Σₖ xₖyₖ one after the other, for n rows; an address goes up by r from row to row, by k from term to term */
static BEST void rows_dot(ptrdiff_t n, ptrdiff_t K, double *NO_ALIAS out, const double *NO_ALIAS z, ptrdiff_t rz,
                          const double *NO_ALIAS x, ptrdiff_t rx, ptrdiff_t kx, const double *NO_ALIAS y, ptrdiff_t ry,
                          ptrdiff_t ky)
{
    ptrdiff_t j = 0, k;
    int p;
    for (; j + PARTIAL <= n; j += PARTIAL) {
        double sums[PARTIAL];
        for (p = 0; p < PARTIAL; p++) sums[p] = z ? z[(j + p) * rz] + x[(j + p) * rx] * y[(j + p) * ry] : x[(j + p) * rx] * y[(j + p) * ry];
        for (k = 1; k < K; k++)
            for (p = 0; p < PARTIAL; p++) sums[p] += x[(j + p) * rx + k * kx] * y[(j + p) * ry + k * ky];
        for (p = 0; p < PARTIAL; p++) out[j + p] = sums[p];
    }
    for (; j < n; j++) {
        double sum = z ? z[j * rz] + x[j * rx] * y[j * ry] : x[j * rx] * y[j * ry];
        for (k = 1; k < K; k++) sum += x[j * rx + k * kx] * y[j * ry + k * ky];
        out[j] = sum;
    }
}

static BEST void rows_add_to_at(ptrdiff_t n, double *NO_ALIAS d, ptrdiff_t sd, const double *NO_ALIAS u)
{
    if (sd == 1) FOR(d[i] += u[i])
    else FOR(d[i * sd] += u[i])
}

/* d += xu for numbers at any strides */
static BEST void rows_add_product_at(ptrdiff_t n, double *NO_ALIAS d, ptrdiff_t sd, const double *NO_ALIAS x, ptrdiff_t sx,
                                     const double *NO_ALIAS u, ptrdiff_t su)
{
    if (sd == 1 && sx == 1 && su == 0) { double b = *u; FOR(d[i] += x[i] * b) }
    else if (sd == 1 && sx == 0 && su == 1) { double a = *x; FOR(d[i] += a * u[i]) }
    else if (sd == 1 && sx == 1 && su == 1) FOR(d[i] += x[i] * u[i])
    else if (sd == 0 && sx == 1 && su == 1) SUM(*d, x[i] * u[i])
    else FOR(d[i * sd] += x[i * sx] * u[i * su])
}

/* The same for 4, 8 or LANES examples side by side. An operand with lanes has a number for each of them at each step of
   its stride, one without has one. */
#define EACH_LANE(body) { int i; for (i = 0; i < lanes; i++) { body; } }
#define FOR_LANES(function, ...) \
    if (lanes == LANES) function(LANES, __VA_ARGS__); \
    else if (lanes == 8) function(8, __VA_ARGS__); \
    else function(4, __VA_ARGS__);

ROWS_INLINE void dot_in_lanes(const int lanes, ptrdiff_t K, double *NO_ALIAS out, const double *NO_ALIAS z, int z_lanes,
                              const double *NO_ALIAS x, int x_lanes, ptrdiff_t kx, const double *NO_ALIAS y, int y_lanes,
                              ptrdiff_t ky)
{
    double sums[LANES];
    ptrdiff_t k = 0;
    if (z == NULL) {
        EACH_LANE(sums[i] = x[i * x_lanes] * y[i * y_lanes])
        x += kx, y += ky, k = 1;
    } else if (z_lanes)
        EACH_LANE(sums[i] = z[i])
    else
        EACH_LANE(sums[i] = *z)
    if (!x_lanes && y_lanes)
        for (; k < K; k++, x += kx, y += ky) { double a = *x; EACH_LANE(sums[i] += a * y[i]) }
    else if (x_lanes && !y_lanes)
        for (; k < K; k++, x += kx, y += ky) { double b = *y; EACH_LANE(sums[i] += x[i] * b) }
    else
        for (; k < K; k++, x += kx, y += ky) EACH_LANE(sums[i] += x[i * x_lanes] * y[i * y_lanes])
    EACH_LANE(out[i] = sums[i])
}

static BEST void lanes_dot(int lanes, ptrdiff_t K, double *NO_ALIAS out, const double *NO_ALIAS z, int z_lanes,
                           const double *NO_ALIAS x, int x_lanes, ptrdiff_t kx, const double *NO_ALIAS y, int y_lanes,
                           ptrdiff_t ky)
{
    FOR_LANES(dot_in_lanes, K, out, z, z_lanes, x, x_lanes, kx, y, y_lanes, ky)
}

/* out += xy */
ROWS_INLINE void dot_on_in_lanes(const int lanes, double *NO_ALIAS out, const double *NO_ALIAS x, int x_lanes,
                                 const double *NO_ALIAS y, int y_lanes)
    EACH_LANE(out[i] += x[i * x_lanes] * y[i * y_lanes])

static BEST void lanes_dot_on(int lanes, double *NO_ALIAS out, const double *NO_ALIAS x, int x_lanes,
                              const double *NO_ALIAS y, int y_lanes)
{
    FOR_LANES(dot_on_in_lanes, out, x, x_lanes, y, y_lanes)
}

/* dₖ += xₖu for K terms; without lanes d receives the sum over the first n */
ROWS_INLINE void dot_back_in_lanes(const int lanes, ptrdiff_t K, double *NO_ALIAS d, int d_lanes, ptrdiff_t kd,
                                   const double *NO_ALIAS x, int x_lanes, ptrdiff_t kx, const double *NO_ALIAS u,
                                   ptrdiff_t n)
{
    ptrdiff_t k;
    if (d_lanes && !x_lanes)
        for (k = 0; k < K; k++, d += kd, x += kx) { double a = *x; EACH_LANE(d[i] += a * u[i]) }
    else if (d_lanes)
        for (k = 0; k < K; k++, d += kd, x += kx) EACH_LANE(d[i] += x[i] * u[i])
    else if (n == LANES)
        for (k = 0; k < K; k++, d += kd, x += kx) {
            double parts[PARTIAL];
            int p;
            for (p = 0; p < PARTIAL; p++) parts[p] = x[p * x_lanes] * u[p] + x[(p + PARTIAL) * x_lanes] * u[p + PARTIAL];
            *d += ((parts[0] + parts[4]) + (parts[1] + parts[5])) + ((parts[2] + parts[6]) + (parts[3] + parts[7]));
        }
    else
        for (k = 0; k < K; k++, d += kd, x += kx) SUM(*d, x[i * x_lanes] * u[i])
}

static BEST void lanes_dot_back(int lanes, ptrdiff_t K, double *NO_ALIAS d, int d_lanes, ptrdiff_t kd,
                                const double *NO_ALIAS x, int x_lanes, ptrdiff_t kx, const double *NO_ALIAS u, ptrdiff_t n)
{
    FOR_LANES(dot_back_in_lanes, K, d, d_lanes, kd, x, x_lanes, kx, u, n)
}

#endif
