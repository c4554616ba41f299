/* exp, tanh, σ and silu for AVX-512, eight numbers at a time: a table of 16 numbers, looked up in registers, leaves e^y a
   polynomial of half the degree. _vector_loops.h includes it; what must hold is in _vector.h.

   All but exp first make the exponentials of a few dozen numbers, then do the rest of their work on them: in one loop,
   the processor could not hold enough of so long a chain of operations to keep all its units busy. */

#define WIDE_TARGET __attribute__((target("avx512f,avx512dq,avx512vl,fma")))
#define WIDE_PART static inline __attribute__((always_inline)) WIDE_TARGET
#define WIDE_NUMBER(x) _mm512_set1_pd(x)
#define WIDE_ROUNDER 0x1.8p48 /* x + WIDE_ROUNDER has the nearest integer to 16x in its last bits */
#define WIDE_LN2_HIGH 0x1.62e42fefap-1 /* of 38 bits: its product with n + j/16 is exact */
#define WIDE_LN2_LOW 0x1.cf79abc9e3b3ap-40
#define WIDE_SHIFT 128.0 /* 2^128 e^−760 is a normal number */
#define WIDE_SCALE 0x1p128
#define WIDE_AT_ONCE 64

static const double wide_powers[16] = { /* 2^(j/16), rounded; */
    0x1.0000000000000p+0, 0x1.0b5586cf9890fp+0, 0x1.172b83c7d517bp+0, 0x1.2387a6e756238p+0,
    0x1.306fe0a31b715p+0, 0x1.3dea64c123422p+0, 0x1.4bfdad5362a27p+0, 0x1.5ab07dd485429p+0,
    0x1.6a09e667f3bcdp+0, 0x1.7a11473eb0187p+0, 0x1.8ace5422aa0dbp+0, 0x1.9c49182a3f090p+0,
    0x1.ae89f995ad3adp+0, 0x1.c199bdd85529cp+0, 0x1.d5818dcfba487p+0, 0x1.ea4afa2a490dap+0,
};
static const double wide_lost[16] = { /* j/16 ln 2 less the logarithm of that */
    0x0.0000000000000p+0, 0x1.79aa65d837b6cp-54, -0x1.01b15eaa59348p-55, 0x1.68efde3a8a894p-54,
    0x1.34d754db0abb6p-55, 0x1.59f48a72a4c6dp-55, 0x1.690cebb7aafb0p-56, 0x1.063e1e21c5409p-54,
    -0x1.3b3efbf5e2229p-54, -0x1.b32dcb94da51dp-56, 0x1.db72fc1f0eab4p-55, 0x1.1affc2b91ce27p-56,
    0x1.c1a7792cb3387p-55, 0x1.36eae30af0cb3p-56, 0x1.4a385a63d07a7p-56, -0x1.ff7128fd391f1p-55,
};

/* the numbers of a table at the places in the last four bits of x */
#define WIDE_LOOK_UP(table, x) \
    _mm512_permutex2var_pd(_mm512_loadu_pd(table), _mm512_castpd_si512(x), _mm512_loadu_pd((table) + 8))

/* e^y = 2^n 2^(j/16) e^r with k = n + j/16 and |r| ≤ ln 2 / 32 (Tang's method: Muller, Elementary Functions, 3rd ed., 4.3):
   k, 2^(j/16), and e^r − 1 as a number and how much more it is.
   e^r − 1 = r + r²q(r), q by Remez on that range (error 4e-18 r). */
WIDE_PART __m512d wide_reduced_expm1(__m512d y, __m512d *more, __m512d *k, __m512d *power)
{
    __m512d shifted = _mm512_fmadd_pd(y, WIDE_NUMBER(ONE_OVER_LN2), WIDE_NUMBER(WIDE_ROUNDER));
    __m512d first, rest, r, r2, q01, q23, q45;
    *k = _mm512_sub_pd(shifted, WIDE_NUMBER(WIDE_ROUNDER));
    *power = WIDE_LOOK_UP(wide_powers, shifted);
    first = _mm512_fnmadd_pd(*k, WIDE_NUMBER(WIDE_LN2_HIGH), y); /* exact */
    rest = _mm512_fnmadd_pd(*k, WIDE_NUMBER(WIDE_LN2_LOW), WIDE_LOOK_UP(wide_lost, shifted));
    r = _mm512_add_pd(first, rest), r2 = _mm512_mul_pd(r, r);
    q01 = _mm512_fmadd_pd(r, WIDE_NUMBER(0x1.5555555555556p-3), WIDE_NUMBER(0.5));
    q23 = _mm512_fmadd_pd(r, WIDE_NUMBER(0x1.11111110cbc5dp-7), WIDE_NUMBER(0x1.55555555195c6p-5));
    q45 = _mm512_fmadd_pd(r, WIDE_NUMBER(0x1.a01b387058071p-13), WIDE_NUMBER(0x1.6c17bb3219bb8p-10));
    *more = _mm512_fmadd_pd(r2, _mm512_fmadd_pd(r2, _mm512_fmadd_pd(r2, q45, q23), q01), rest);
    return first;
}

/* e^y for any y: the last step makes 0, subnormal numbers and infinity */
WIDE_PART __m512d wide_exp(__m512d y)
{
    __m512d first, more, k, power;
    y = _mm512_max_pd(WIDE_NUMBER(EXP_LOWER), _mm512_min_pd(WIDE_NUMBER(EXP_UPPER), y)); /* nan stays */
    first = wide_reduced_expm1(y, &more, &k, &power);
    return _mm512_scalef_pd(_mm512_fmadd_pd(power, _mm512_add_pd(first, more), power), k);
}

/* e[i] + low[i] = WIDE_SCALE e^y for y = times |z[i]|, times < 0. Together they are right to 2^−58, and as y goes to 0
   relative to 1 − e^y. */
static WIDE_TARGET void wide_decays(ptrdiff_t n, const double *z, double times, double *e, double *low)
{
    ptrdiff_t i;
    for (i = 0; i < n; i += 8) {
        __m512d y = _mm512_mul_pd(_mm512_abs_pd(_mm512_loadu_pd(z + i)), WIDE_NUMBER(times));
        __m512d first, more, k, power, sum;
        first = wide_reduced_expm1(_mm512_max_pd(WIDE_NUMBER(EXP_LOWER), y), &more, &k, &power); /* nan stays */
        power = _mm512_scalef_pd(power, _mm512_add_pd(k, WIDE_NUMBER(WIDE_SHIFT))); /* 2^(128 + n + j/16) */
        sum = _mm512_fmadd_pd(power, _mm512_add_pd(first, more), power);
        _mm512_storeu_pd(e + i, sum);
        _mm512_storeu_pd(
            low + i, _mm512_fmadd_pd(power, more, _mm512_fmadd_pd(power, first, _mm512_sub_pd(power, sum))));
    }
}

/* 1 + e as a sum of two floats, and its inverse, wrong by hardly more than in rounding */
WIDE_PART __m512d wide_inverse(__m512d e, __m512d e_low, __m512d *sum, __m512d *low)
{
    __m512d one = WIDE_NUMBER(1.0), down = WIDE_NUMBER(1.0 / WIDE_SCALE), inverse;
    *sum = _mm512_fmadd_pd(e, down, one);
    *low = _mm512_fmadd_pd(e_low, down, _mm512_fmadd_pd(e, down, _mm512_sub_pd(one, *sum)));
    inverse = _mm512_div_pd(one, *sum);
    return _mm512_fmadd_pd(
        inverse, _mm512_fnmadd_pd(inverse, *low, _mm512_fnmadd_pd(inverse, *sum, one)), inverse);
}

WIDE_PART __m512d wide_copysign(__m512d x, __m512d sign)
{
    __m512d minus_0 = WIDE_NUMBER(-0.0);
    return _mm512_or_pd(_mm512_andnot_pd(minus_0, x), _mm512_and_pd(minus_0, sign));
}

/* −|tanh z| = ((1 + e) − 2) / (1 + e) with e = e^−2|z|; tanh′ z = 4e / (1 + e)² */
WIDE_PART __m512d wide_tanh(__m512d z, __m512d e, __m512d e_low, __m512d *slope)
{
    __m512d sum, low, inverse = wide_inverse(e, e_low, &sum, &low), minus_a;
    if (slope)
        *slope = _mm512_mul_pd(_mm512_mul_pd(_mm512_mul_pd(e, inverse), inverse), WIDE_NUMBER(4.0 / WIDE_SCALE));
    minus_a = _mm512_fmadd_pd(_mm512_sub_pd(sum, WIDE_NUMBER(2.0)), inverse, _mm512_mul_pd(low, inverse));
    return wide_copysign(minus_a, z);
}

/* σ(z) = 1 / (1 + e) for z ≥ 0, else e / (1 + e), with e = e^−|z|; σ′(z) = e / (1 + e)² */
WIDE_PART __m512d wide_sigmoid(__m512d z, __m512d e, __m512d e_low, __m512d *slope)
{
    __m512d sum, low, inverse = wide_inverse(e, e_low, &sum, &low), part = _mm512_mul_pd(e, inverse), left;
    if (slope)
        *slope = _mm512_mul_pd(_mm512_mul_pd(part, inverse), WIDE_NUMBER(1.0 / WIDE_SCALE));
    left = _mm512_mul_pd(
        _mm512_fmadd_pd(e, inverse, _mm512_mul_pd(e_low, inverse)), WIDE_NUMBER(1.0 / WIDE_SCALE));
    return _mm512_mask_blend_pd(_mm512_cmp_pd_mask(z, _mm512_setzero_pd(), _CMP_GE_OQ), left, inverse);
}

/* xσ(x); its slope σ(x)(1 + xσ(−x)) */
WIDE_PART __m512d wide_silu(__m512d x, __m512d e, __m512d e_low, __m512d *slope)
{
    __m512d sum, low, inverse = wide_inverse(e, e_low, &sum, &low), one = WIDE_NUMBER(1.0), top, top_low, scale, part;
    __mmask8 left = _mm512_cmp_pd_mask(x, _mm512_setzero_pd(), _CMP_LT_OQ);
    __mmask8 far = _mm512_cmp_pd_mask(x, WIDE_NUMBER(EXP_LOWER), _CMP_LT_OQ);
    e = _mm512_mask_mov_pd(e, far, _mm512_setzero_pd()), e_low = _mm512_mask_mov_pd(e_low, far, _mm512_setzero_pd());
    scale = _mm512_mask_mov_pd(one, left, WIDE_NUMBER(1.0 / WIDE_SCALE));
    if (slope) {
        part = _mm512_mask_mov_pd(_mm512_mul_pd(e, WIDE_NUMBER(1.0 / WIDE_SCALE)), left, one); /* of σ(−x) */
        part = _mm512_fmadd_pd(_mm512_mul_pd(x, part), inverse, one);
        part = _mm512_mul_pd(_mm512_mul_pd(_mm512_mask_mov_pd(one, left, e), inverse), part);
        *slope = _mm512_mul_pd(part, scale);
    }
    top = _mm512_mask_mul_pd(x, left, x, e);
    top_low = _mm512_maskz_fmadd_pd(left, x, e_low, _mm512_fmsub_pd(x, e, top));
    top = _mm512_mul_pd(_mm512_fmadd_pd(top, inverse, _mm512_mul_pd(top_low, inverse)), scale);
    return wide_copysign(top, x);
}

static WIDE_TARGET void VECTOR_NAME(exp_whole)(ptrdiff_t n, const double *z, double *a, double *slope)
{
    ptrdiff_t i;
    for (i = 0; i < n; i += 8) {
        __m512d e = wide_exp(_mm512_loadu_pd(z + i));
        _mm512_storeu_pd(a + i, e);
        if (slope)
            _mm512_storeu_pd(slope + i, e);
    }
}

#define WIDE_LOOP(function, times) \
    static WIDE_TARGET void VECTOR_NAME(function##_whole)( \
        ptrdiff_t n, const double *z, double *a, double *slope) \
    { \
        double e[WIDE_AT_ONCE], low[WIDE_AT_ONCE]; \
        ptrdiff_t start, i; \
        for (start = 0; start < n; start += WIDE_AT_ONCE) { \
            ptrdiff_t some = n - start < WIDE_AT_ONCE ? n - start : WIDE_AT_ONCE; \
            wide_decays(some, z + start, times, e, low); \
            for (i = 0; i < some; i += 8) { \
                __m512d x = _mm512_loadu_pd(z + start + i), p = _mm512_loadu_pd(e + i), d; \
                __m512d v = wide_##function(x, p, _mm512_loadu_pd(low + i), slope ? &d : NULL); \
                _mm512_storeu_pd(a + start + i, v); \
                if (slope) \
                    _mm512_storeu_pd(slope + start + i, d); \
            } \
        } \
    }
WIDE_LOOP(tanh, -2.0)
WIDE_LOOP(sigmoid, -1.0)
WIDE_LOOP(silu, -1.0)
#undef WIDE_LOOP
#undef WIDE_LOOK_UP
#undef WIDE_AT_ONCE
#undef WIDE_SCALE
#undef WIDE_SHIFT
#undef WIDE_LN2_LOW
#undef WIDE_LN2_HIGH
#undef WIDE_ROUNDER
#undef WIDE_NUMBER
#undef WIDE_PART
#undef WIDE_TARGET
