/* Loops over the rows of a block where each example has factors or ties of its own, for _blocks.pyx. The sums of a few
   columns stay in registers, or at least in the first cache, while the loop goes over the terms. */

#ifndef TINYGRAD_SCALAR_PER_EXAMPLE_H
#define TINYGRAD_SCALAR_PER_EXAMPLE_H

#include <stddef.h>
#include "_blocks.h"

#define COLUMNS 32

/* out[c] = Σ over t < k of x[t·x_step + c]·y[t·y_step + c], for n columns c */
static BEST void loop_sum_of_products(
    ptrdiff_t n, ptrdiff_t k, double *out, const double *x, ptrdiff_t x_step, const double *y, ptrdiff_t y_step)
{
    ptrdiff_t start = 0, t, c;
    for (; start + COLUMNS <= n; start += COLUMNS) {
        double sum[COLUMNS] = {0.0};
        for (t = 0; t < k; t++) {
            const double *p = x + t * x_step + start, *q = y + t * y_step + start;
            VECTOR_EACH for (c = 0; c < COLUMNS; c++)
                sum[c] += p[c] * q[c];
        }
        for (c = 0; c < COLUMNS; c++)
            out[start + c] = sum[c];
    }
    for (; start + 8 <= n; start += 8) {
        double sum[8] = {0.0};
        for (t = 0; t < k; t++) {
            const double *p = x + t * x_step + start, *q = y + t * y_step + start;
            VECTOR_EACH for (c = 0; c < 8; c++)
                sum[c] += p[c] * q[c];
        }
        for (c = 0; c < 8; c++)
            out[start + c] = sum[c];
    }
    for (; start < n; start++) {
        double sum = 0.0;
        for (t = 0; t < k; t++)
            sum += x[t * x_step + start] * y[t * y_step + start];
        out[start] = sum;
    }
}

/* The shares of some of the n columns, at most COLUMNS. */
INLINED void shares_of_columns(
    ptrdiff_t columns, ptrdiff_t n, ptrdiff_t k, int even, double *out, const double *x, const double *folded)
{
    double ties[COLUMNS] = {0.0}, left[COLUMNS], most = 0.0;
    ptrdiff_t j, c;
    for (j = 0; j < k; j++)
        VECTOR_EACH for (c = 0; c < columns; c++) {
            double share = x[j * n + c] == folded[c] ? 1.0 : 0.0;
            out[j * n + c] = share;
            ties[c] += share;
        }
    for (c = 0; c < columns; c++) {
        most = ties[c] > most ? ties[c] : most;
        left[c] = 1.0;
    }
    for (j = most > 1.0 ? k - 1 : -1; j >= 0; j--) {
        double *share = out + j * n;
        uint64_t any = 0;
        VECTOR_EACH for (c = 0; c < columns; c++)
            any |= vector_bits(share[c]);
        for (c = any ? 0 : columns; c < columns; c++)
            if (share[c] != 0.0 && even)
                share[c] = 1.0 / ties[c];
            else if (share[c] != 0.0) {
                left[c] = ties[c] > 1.0 ? 0.5 * left[c] : left[c];
                ties[c] -= 1.0;
                share[c] = left[c];
            }
    }
}

/* The shares of k rows x of n columns in their fold by maximum or minimum: of ties, each has as much if `even`, else
   the last takes half, and so on. They may be written over x. */
static BEST void loop_shares(ptrdiff_t n, ptrdiff_t k, int even, double *out, const double *x, const double *folded)
{
    ptrdiff_t start, j;
    if (n == 1) {
        ptrdiff_t ties = 0, most;
        double left = 1.0;
        for (j = 0; j < k; j++)
            ties += x[j] == *folded;
        most = ties;
        VECTOR_EACH for (j = 0; j < k; j++)
            out[j] = x[j] == *folded ? 1.0 : 0.0;
        for (j = most > 1 ? k - 1 : -1; j >= 0; j--)
            if (out[j] != 0.0 && even)
                out[j] = 1.0 / most;
            else if (out[j] != 0.0) {
                left = ties > 1 ? 0.5 * left : left;
                ties--;
                out[j] = left;
            }
        return;
    }
    for (start = 0; start < n; start += COLUMNS) {
        ptrdiff_t columns = n - start < COLUMNS ? n - start : COLUMNS;
        if (columns == 8) /* the compiler then knows how many they are */
            shares_of_columns(8, n, k, even, out + start, x + start, folded + start);
        else
            shares_of_columns(columns, n, k, even, out + start, x + start, folded + start);
    }
}

#endif
