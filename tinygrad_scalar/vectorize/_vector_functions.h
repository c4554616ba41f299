/* Elementary functions of many numbers, with their slopes, in the machine's vector instructions, for _vector.pyx:

       vector_loops[VECTOR_TANH](n, z, a, slope)    a[i] = tanh z[i], slope[i] = tanh′ z[i] for i < n; slope may be
                                                    NULL, a may be z

   The loops are in _vector_loops.h, built here for each instruction set; vector_use chooses. Within one instruction set
   a number has one result, bit for bit, wherever it stands in the array: every operation is rounded by itself
   (-ffp-contract=off), and what is fused is fused by name. They are wrong by at most 2 units in the last place, slopes by
   at most 5, also where the result is subnormal. */

#include "_vector.h"

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
#define ONE_BITS UINT64_C(0x3ff0000000000000)
#define ROOT_HALF_BITS UINT64_C(0x3fe6a09e667f3bcd) /* of √½ */
#define FRACTION_BITS UINT64_C(0x000fffffffffffff)

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

#ifdef VECTOR_HAS_AVX2
#define VECTOR_NAME(name) name##_avx2
#define VECTOR_TARGET __attribute__((target("avx2,fma")))
#define VECTOR_FUSED 1
#define VECTOR_WIDE 0
#include "_vector_loops.h"
#endif

#ifdef VECTOR_HAS_AVX512
#define VECTOR_NAME(name) name##_avx512
#define VECTOR_TARGET __attribute__((target("avx512f,avx512dq,avx512vl,fma,prefer-vector-width=512")))
#define VECTOR_FUSED 1
#define VECTOR_WIDE 1
#include <immintrin.h>
#include "_vector_loops.h"
#endif

static const VectorFunction *vector_loops = vector_functions_portable;

/* Use the instruction set of that name from now on, NULL for the best; whether the machine and this build have it. */
static int vector_use(const char *name)
{
#ifdef VECTOR_HAS_AVX2
    __builtin_cpu_init();
#endif
#ifdef VECTOR_HAS_AVX512
    if ((name == NULL || strcmp(name, "avx512") == 0) && __builtin_cpu_supports("avx512f")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma")) {
        vector_loops = vector_functions_avx512;
        return 1;
    }
#endif
#ifdef VECTOR_HAS_AVX2
    if ((name == NULL || strcmp(name, "avx2") == 0) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        vector_loops = vector_functions_avx2;
        return 1;
    }
#endif
    if (name != NULL && strcmp(name, "portable") != 0)
        return 0;
    vector_loops = vector_functions_portable;
    return 1;
}
