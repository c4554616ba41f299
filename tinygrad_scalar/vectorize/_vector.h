/* What loops for the machine's vector instructions have in common: how a compiler is told, the bits of numbers, and the
   names of the elementary functions of many numbers (_vector.pyx). */

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

/* which instruction sets beside the portable ones this compiler can be asked for, function by function */
#if defined(__GNUC__) && defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define VECTOR_HAS_AVX2
#if !defined(__clang__) && __GNUC__ >= 9
#define VECTOR_HAS_AVX512
#endif
#endif

typedef void (*VectorFunction)(ptrdiff_t n, const double *z, double *a, double *slope);

enum {
    VECTOR_EXP, VECTOR_EXPM1, VECTOR_LOG, VECTOR_LOG1P, VECTOR_SIGMOID, VECTOR_TANH, VECTOR_SOFTPLUS,
    VECTOR_NORMAL_CDF, VECTOR_GELU, VECTOR_SILU, VECTOR_ELU, VECTOR_SELU, VECTOR_MISH, VECTOR_HARDTANH, VECTOR_SOFTSIGN,
    VECTOR_FUNCTIONS
}; /* from the cumulative normal distribution on in the order of the engine's _ops.pxd */

#define SMALLEST_NORMAL 0x1p-1022
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

#endif
