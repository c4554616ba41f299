/* Elementary functions of many numbers, with their slopes, in the machine's vector instructions:

       vector_tanh(n, z, a, slope)    a[i] = tanh z[i], slope[i] = tanh′ z[i] for i < n; slope may be NULL, a may be z

   The loops are in _vector_loops.h, built here for each instruction set; vector_use chooses, and the best that the
   machine has is in use from the start. Within one instruction set a number has one result, bit for bit, wherever it
   stands in the array: every operation is rounded by itself (-ffp-contract=off), and what is fused is fused by name.
   They are wrong by at most 2 units in the last place, slopes by at most 5, also where the result is subnormal. */

#ifndef TINYGRAD_SCALAR_VECTOR_H
#define TINYGRAD_SCALAR_VECTOR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(_MSC_VER)
#define VECTOR_INLINE static __forceinline
#define VECTOR_EACH __pragma(loop(ivdep))
#elif defined(__clang__)
#define VECTOR_INLINE static inline __attribute__((always_inline))
#define VECTOR_EACH _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define VECTOR_INLINE static inline __attribute__((always_inline))
#define VECTOR_EACH _Pragma("GCC ivdep")
#else
#define VECTOR_INLINE static inline
#define VECTOR_EACH
#endif

typedef void (*VectorFunction)(ptrdiff_t n, const double *z, double *a, double *slope);

enum {
    VECTOR_EXP, VECTOR_EXPM1, VECTOR_LOG, VECTOR_LOG1P, VECTOR_SIGMOID, VECTOR_TANH, VECTOR_SOFTPLUS,
    VECTOR_NORMAL_CDF, VECTOR_GELU, VECTOR_SILU, VECTOR_ELU, VECTOR_SELU, VECTOR_MISH, VECTOR_HARDTANH, VECTOR_SOFTSIGN,
    VECTOR_FUNCTIONS
}; /* from the cumulative normal distribution on in the order of the engine's _ops.pxd */

/* ln 2 in two parts, the first of 32 bits: its product with an exponent is exact */
#define LN2_HIGH 0x1.62e42feep-1
#define LN2_LOW 0x1.a39ef35793c76p-33
#define ONE_OVER_LN2 0x1.71547652b82fep+0
#define ROUNDER (0x1.8p52 + 1023) /* x + ROUNDER has the nearest integer to x, plus 1023, in its last bits */
#define EXP_UPPER 710.0 /* beyond it e^x is infinite in float64, */
#define EXP_LOWER -760.0 /* below it 0 */
#define EXP_EDGE 700.0 /* beyond it e^x is made in two steps, as 2^n can be out of range where e^x is not */
#define EXP_FAR 1000.0 /* 2^−1000 is in range */
#define SELU_SCALE 1.0507009873554805
#define SELU_SCALE_ALPHA 1.7580993408473766
#define DENSITY_AT_0 0.3989422804014327
#define SMALLEST_NORMAL 0x1p-1022
#define ONE_BITS UINT64_C(0x3ff0000000000000)
#define ROOT_HALF_BITS UINT64_C(0x3fe6a09e667f3bcd) /* of √½ */
#define FRACTION_BITS UINT64_C(0x000fffffffffffff)
#define TWO_52_BITS UINT64_C(0x4330000000000000)

VECTOR_INLINE double vector_double(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

VECTOR_INLINE uint64_t vector_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* 2^n, given n + ROUNDER */
VECTOR_INLINE double vector_power_of_two(double shifted) { return vector_double(vector_bits(shifted) << 52); }

/* the instruction set for which everything is built */
#define VECTOR_NAME(name) name##_portable
#define VECTOR_TARGET
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define VECTOR_FUSED 1
#else
#define VECTOR_FUSED 0
#endif
#define VECTOR_WIDE 0
#include "_vector_loops.h"

#if defined(__GNUC__) && defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define VECTOR_NAME(name) name##_avx2
#define VECTOR_TARGET __attribute__((target("avx2,fma")))
#define VECTOR_FUSED 1
#define VECTOR_WIDE 0
#define VECTOR_HAS_AVX2
#include "_vector_loops.h"

#if !defined(__clang__) && __GNUC__ >= 9
#define VECTOR_NAME(name) name##_avx512
#define VECTOR_TARGET __attribute__((target("avx512f,avx512dq,avx512vl,fma,prefer-vector-width=512")))
#define VECTOR_FUSED 1
#define VECTOR_WIDE 1
#define VECTOR_HAS_AVX512
#include <immintrin.h>
#include "_vector_loops.h"
#endif
#endif

static const VectorFunction *vector_functions = vector_functions_portable;

/* Use the instruction set of that name from now on, NULL for the best; whether the machine and this build have it. */
static int vector_use(const char *name)
{
#ifdef VECTOR_HAS_AVX512
    if ((name == NULL || strcmp(name, "avx512") == 0) && __builtin_cpu_supports("avx512f")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma")) {
        vector_functions = vector_functions_avx512;
        return 1;
    }
#endif
#ifdef VECTOR_HAS_AVX2
    if ((name == NULL || strcmp(name, "avx2") == 0) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        vector_functions = vector_functions_avx2;
        return 1;
    }
#endif
    if (name != NULL && strcmp(name, "portable") != 0)
        return 0;
    vector_functions = vector_functions_portable;
    return 1;
}

#ifdef VECTOR_HAS_AVX2
__attribute__((constructor)) static void vector_use_best(void)
{
    __builtin_cpu_init();
    vector_use(NULL);
}
#endif

#define VECTOR_FUNCTION(name, number) \
    VECTOR_INLINE void name(ptrdiff_t n, const double *z, double *a, double *slope) \
    { \
        vector_functions[number](n, z, a, slope); \
    }
VECTOR_FUNCTION(vector_exp, VECTOR_EXP)
VECTOR_FUNCTION(vector_expm1, VECTOR_EXPM1)
VECTOR_FUNCTION(vector_log, VECTOR_LOG)
VECTOR_FUNCTION(vector_log1p, VECTOR_LOG1P)
VECTOR_FUNCTION(vector_sigmoid, VECTOR_SIGMOID)
VECTOR_FUNCTION(vector_tanh, VECTOR_TANH)
VECTOR_FUNCTION(vector_softplus, VECTOR_SOFTPLUS)
VECTOR_FUNCTION(vector_normal_cdf, VECTOR_NORMAL_CDF)
VECTOR_FUNCTION(vector_gelu, VECTOR_GELU)
VECTOR_FUNCTION(vector_silu, VECTOR_SILU)
VECTOR_FUNCTION(vector_elu, VECTOR_ELU)
VECTOR_FUNCTION(vector_selu, VECTOR_SELU)
VECTOR_FUNCTION(vector_mish, VECTOR_MISH)
VECTOR_FUNCTION(vector_hardtanh, VECTOR_HARDTANH)
VECTOR_FUNCTION(vector_softsign, VECTOR_SOFTSIGN)

#endif
