/* Squared distances between p rows of left and w columns of right, and their gradients, for _blocks.pyx.
   The sum over the k coordinates goes from the first to the last, each step rounded by itself, as in the engine: so ties
   are the engine's. In a gradient most of d is often 0, after a minimum: where `finite`, that is skipped. The slope of
   x**2 is d·(2·x), that of x·x is d·x + d·x: they differ where 2·x is infinite, so `slope` is 2 or 1. */

#ifndef TINYGRAD_SCALAR_DISTANCES_H
#define TINYGRAD_SCALAR_DISTANCES_H

#include <stddef.h>
#include "_blocks.h"

#define MOST_FINITE 4e307 /* twice the difference of two smaller numbers is finite */
#define CHUNK 64 /* columns, whose numbers stay in the first cache */

#if defined(__GNUC__)
#define TILE_COLUMNS 16

/* squared distances of one row or two to TILE_COLUMNS columns; the sums stay in registers */
VECTOR_INLINE void tile_of_distances(
    int rows, ptrdiff_t k, ptrdiff_t w, const double *left, ptrdiff_t step, const double *right, double *out)
{
    Vector sum[2][2] = {{{0.0}}};
    ptrdiff_t t;
    int i;
    for (t = 0; t < k; t++, right += w) {
        const Vector r = AT(right), next = AT(right + 8);
        for (i = 0; i < rows; i++) {
            const Vector apart = left[i * step + t] - r, next_apart = left[i * step + t] - next;
            sum[i][0] += apart * apart;
            sum[i][1] += next_apart * next_apart;
        }
    }
    for (i = 0; i < rows; i++) {
        *(Vector *)(out + i * w) = sum[i][0];
        *(Vector *)(out + i * w + 8) = sum[i][1];
    }
}
#endif

/* out (p, w): out[i][j] = Σ over t of (left[i][t] − right[t][j])² */
static BEST void squared_distances(
    ptrdiff_t p, ptrdiff_t k, ptrdiff_t w, const double *left, ptrdiff_t step, const double *right, double *out)
{
    ptrdiff_t i, j, t, start = 0;
#if defined(__GNUC__)
    for (; start + TILE_COLUMNS <= w; start += TILE_COLUMNS) {
        for (i = 0; i + 2 <= p; i += 2)
            tile_of_distances(2, k, w, left + i * step, step, right + start, out + i * w + start);
        if (i < p)
            tile_of_distances(1, k, w, left + i * step, step, right + start, out + i * w + start);
        if (start < w - TILE_COLUMNS && start > w - 2 * TILE_COLUMNS)
            start = w - 2 * TILE_COLUMNS; /* the last tile ends where the columns do, some of which it has again */
    }
#endif
    for (; start < w; start += CHUNK) {
        ptrdiff_t width = w - start < CHUNK ? w - start : CHUNK;
        for (i = 0; i < p; i++) {
            double sum[CHUNK] = {0.0};
            for (t = 0; t < k; t++) {
                const double l = left[i * step + t], *r = right + t * w + start;
                for (j = 0; j < width; j++) { double apart = l - r[j]; sum[j] += apart * apart; }
            }
            for (j = 0; j < width; j++)
                out[i * w + start + j] = sum[j];
        }
    }
}

/* whether the size of each of n numbers is below a limit; that of nan is not */
static BEST int are_below(ptrdiff_t n, const double *x, double limit)
{
    ptrdiff_t i, others = 0;
    for (i = 0; i < n; i++)
        others += !(fabs(x[i]) < limit);
    return others == 0;
}

/* which of n numbers are not 0: their places */
static BEST ptrdiff_t places_of_others(ptrdiff_t n, const double *d, ptrdiff_t *places)
{
    ptrdiff_t j, found = 0, start = 0;
    for (; start < n; start += 8) { /* most are 0, eight side by side too */
        ptrdiff_t end = n - start < 8 ? n : start + 8;
        if (end - start == 8) {
            uint64_t eight[8], any = 0;
            memcpy(eight, d + start, sizeof eight);
            for (j = 0; j < 8; j++)
                any |= eight[j];
            if (any << 1 == 0) /* but for their signs */
                continue;
        }
        for (j = start; j < end; j++) {
            places[found] = j;
            found += d[j] != 0.0;
        }
    }
    return found;
}

/* out (p, k): out[i][t] = Σ over j of 2·d[i][j]·(left[i][t] − right[t][j]), or += that */
static BEST void pull_of_left(
    ptrdiff_t p, ptrdiff_t k, ptrdiff_t w, const double *d, const double *left, ptrdiff_t step, const double *right,
    double slope, int finite, int add, double *out, ptrdiff_t out_step)
{
    ptrdiff_t i, j, t, start, places[CHUNK];
    for (i = 0; i < p && !add; i++)
        for (t = 0; t < k; t++)
            out[i * out_step + t] = 0.0;
    for (start = 0; start < w; start += CHUNK) {
        ptrdiff_t width = w - start < CHUNK ? w - start : CHUNK;
        for (i = 0; i < p; i++) {
            const double *di = d + i * w + start;
            ptrdiff_t found = finite ? places_of_others(width, di, places) : width;
            if (found == 0)
                continue;
            for (t = 0; t < k; t++) {
                const double l = left[i * step + t], *r = right + t * w + start;
                double total = 0.0;
                if (finite && found <= CHUNK / 8)
                    for (j = 0; j < found; j++)
                        total += di[places[j]] * (l - r[places[j]]);
                else if (!finite)
                    for (j = 0; j < width; j++)
                        total += di[j] * (slope * (l - r[j]));
                else if (width == CHUNK) {
                    double sum[8] = {0.0};
                    for (j = 0; j < CHUNK; j += 8) {
                        ptrdiff_t c;
                        VECTOR_EACH for (c = 0; c < 8; c++)
                            sum[c] += di[j + c] * (l - r[j + c]);
                    }
                    total = ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
                } else
                    for (j = 0; j < width; j++)
                        total += di[j] * (l - r[j]);
                out[i * out_step + t] += (finite ? 2.0 : 2.0 / slope) * total;
            }
        }
    }
}

/* out (k, w): out[t][j] = Σ over i of 2·d[i][j]·(right[t][j] − left[i][t]) */
static BEST void pull_of_right(
    ptrdiff_t p, ptrdiff_t k, ptrdiff_t w, const double *d, const double *left, ptrdiff_t step, const double *right,
    double slope, int finite, double *out)
{
    ptrdiff_t i, j, t, start, places[CHUNK];
    for (j = 0; j < k * w; j++)
        out[j] = 0.0;
    for (start = 0; start < w; start += CHUNK) {
        ptrdiff_t width = w - start < CHUNK ? w - start : CHUNK;
        for (i = 0; i < p; i++) {
            const double *di = d + i * w + start;
            ptrdiff_t found = finite ? places_of_others(width, di, places) : width;
            if (found == 0)
                continue;
            for (t = 0; t < k; t++) {
                const double l = left[i * step + t], *r = right + t * w + start;
                double *o = out + t * w + start;
                if (finite && found <= CHUNK / 8)
                    for (j = 0; j < found; j++)
                        o[places[j]] += 2.0 * di[places[j]] * (r[places[j]] - l);
                else if (finite)
                    VECTOR_EACH for (j = 0; j < width; j++)
                        o[j] += 2.0 * di[j] * (r[j] - l);
                else
                    for (j = 0; j < width; j++)
                        o[j] += 2.0 / slope * (di[j] * (slope * (r[j] - l)));
            }
        }
    }
}

#endif
