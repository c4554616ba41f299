/* Loops over the lanes of a block of examples, for _tape.pyx: lane i of every argument belongs to example i.
   Where the compiler can, each is built for several instruction sets, and the best that the machine has is used. */

#ifndef TINYGRAD_SCALAR_LANES_H
#define TINYGRAD_SCALAR_LANES_H

#include <math.h>

#define LANES 16

#if defined(__GNUC__) && __GNUC__ >= 9 && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__) \
    && !defined(__SANITIZE_ADDRESS__)
#define BEST __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define BEST
#endif

#if defined(_MSC_VER)
#define NO_ALIAS __restrict
#else
#define NO_ALIAS restrict
#endif

#define EACH(body) { int i; for (i = 0; i < LANES; i++) { body; } }
#define LOOP1(name, body) \
    static BEST void name(double *NO_ALIAS out, const double *NO_ALIAS x) EACH(body)
#define LOOP2(name, body) \
    static BEST void name(double *NO_ALIAS out, const double *NO_ALIAS x, const double *NO_ALIAS y) EACH(body)
#define LOOP3(name, body) \
    static BEST void name(double *NO_ALIAS out, const double *NO_ALIAS x, const double *NO_ALIAS y, const double *NO_ALIAS z) EACH(body)

/* values */
LOOP2(lanes_add, out[i] = x[i] + y[i])
LOOP2(lanes_subtract, out[i] = x[i] - y[i])
LOOP2(lanes_multiply, out[i] = x[i] * y[i])
LOOP2(lanes_divide, out[i] = x[i] / y[i])
LOOP1(lanes_negate, out[i] = -x[i])
LOOP1(lanes_relu, out[i] = x[i] <= 0.0 ? 0.0 : x[i])
LOOP1(lanes_absolute, out[i] = fabs(x[i]))
LOOP1(lanes_sqrt, out[i] = sqrt(x[i]))
LOOP3(lanes_where, out[i] = x[i] != 0.0 ? y[i] : z[i])

/* sigmoid and tanh: the argument of exp, then the function and its slope from its result, as in ops.py */
LOOP1(lanes_minus_absolute, out[i] = -fabs(x[i]))
LOOP1(lanes_minus_twice_absolute, out[i] = -2.0 * fabs(x[i]))
LOOP2(lanes_sigmoid, out[i] = (x[i] >= 0.0 ? 1.0 : y[i]) / (1.0 + y[i]))
LOOP1(lanes_sigmoid_slope, out[i] = x[i] / ((1.0 + x[i]) * (1.0 + x[i])))
LOOP1(lanes_tanh_slope, out[i] = 4.0 * x[i] / ((1.0 + x[i]) * (1.0 + x[i])))

/* slopes */
LOOP2(lanes_share, out[i] = x[i] > y[i] ? 1.0 : x[i] == y[i] ? 0.5 : 0.0)
LOOP1(lanes_positive, out[i] = x[i] > 0.0 ? 1.0 : 0.0)
LOOP1(lanes_sign, out[i] = x[i] >= 0.0 ? 1.0 : -1.0)
LOOP1(lanes_reciprocal, out[i] = 1.0 / x[i])
LOOP1(lanes_half_reciprocal, out[i] = 0.5 / x[i])
LOOP1(lanes_one_plus_square, out[i] = 1.0 + x[i] * x[i])

/* the chain rule: contributions to an operand's gradient */
LOOP1(lanes_add_to, out[i] += x[i])
LOOP1(lanes_subtract_from, out[i] -= x[i])
LOOP2(lanes_add_product, out[i] += x[i] * y[i])
LOOP2(lanes_add_twice_product, out[i] += 2.0 * x[i] * y[i])
LOOP2(lanes_subtract_product, out[i] -= x[i] * y[i])
LOOP2(lanes_add_over, out[i] += 1.0 / x[i] * y[i])
LOOP3(lanes_subtract_quotient_product, out[i] -= x[i] / y[i] * z[i])
LOOP2(lanes_add_product_on_path, out[i] += x[i] != 0.0 ? x[i] * y[i] : 0.0)
LOOP2(lanes_add_where, out[i] += x[i] != 0.0 ? y[i] : 0.0)
LOOP2(lanes_add_unless, out[i] += x[i] != 0.0 ? 0.0 : y[i])

#endif
