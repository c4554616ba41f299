/* Derivatives with respect to numbers that are computed from others, taken on to these, for _rows.pxi: a block of LANES
   rows at a time. */

#ifndef TINYGRAD_SCALAR_THROUGH_H
#define TINYGRAD_SCALAR_THROUGH_H

#include <stddef.h>

#include "_lanes.h"

#define TILE 4 /* columns whose sums stay in registers */

/* LANES rows of k numbers, `step` apart, turned: number t of each side by side. Of n < LANES rows the last stands for
   those beyond it. */
static void lanes_of_rows(ptrdiff_t n, ptrdiff_t k, double *NO_ALIAS out, const double *NO_ALIAS rows, ptrdiff_t step)
{
    ptrdiff_t t, i;
    if (n == LANES)
        for (i = 0; i < LANES; i++)
            for (t = 0; t < k; t++)
                out[t * LANES + i] = rows[i * step + t];
    else
        for (t = 0; t < k; t++)
            for (i = 0; i < LANES; i++)
                out[t * LANES + i] = rows[(i < n ? i : n - 1) * step + t];
}

#if defined(__GNUC__)
typedef double EIGHT __attribute__((vector_size(64), aligned(8), may_alias)); /* which compilers keep in registers */
#endif

/* sums[c] = Σ over terms t of left[i[t]]·right[j[t]]·matrix[t·TILE + c], in each lane, for TILE columns c */
static BEST void lanes_through(
    ptrdiff_t terms, const int *i, const int *j, const double *NO_ALIAS left, const double *NO_ALIAS right,
    const double *NO_ALIAS matrix, double *NO_ALIAS sums)
{
    ptrdiff_t t;
    int c, l;
#if defined(__GNUC__)
    for (l = 0; l < LANES; l += 8) {
        EIGHT sum[TILE] = {{0.0}};
        for (t = 0; t < terms; t++) {
            EIGHT product = *(const EIGHT *)(left + (ptrdiff_t)i[t] * LANES + l);
            product *= *(const EIGHT *)(right + (ptrdiff_t)j[t] * LANES + l);
            for (c = 0; c < TILE; c++)
                sum[c] += product * matrix[t * TILE + c];
        }
        for (c = 0; c < TILE; c++)
            *(EIGHT *)(sums + c * LANES + l) = sum[c];
    }
#else
    for (c = 0; c < TILE * LANES; c++)
        sums[c] = 0.0;
    for (t = 0; t < terms; t++) {
        const double *x = left + (ptrdiff_t)i[t] * LANES, *y = right + (ptrdiff_t)j[t] * LANES;
        for (c = 0; c < TILE; c++)
            for (l = 0; l < LANES; l++)
                sums[c * LANES + l] += x[l] * y[l] * matrix[t * TILE + c];
    }
#endif
}

#endif
