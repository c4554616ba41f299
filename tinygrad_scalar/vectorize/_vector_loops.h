/* The functions of _vector.h for one instruction set: VECTOR_TARGET turns it on, VECTOR_FUSED is 1 if it has a fused
   multiply-add, and VECTOR_NAME(name) gives each function its name. No include guard: _vector.h includes it for each.

   Methods: Muller et al., Handbook of Floating-Point Arithmetic, 2nd ed.: ranges reduced after Cody and Waite (11.2.2),
   numbers as sums of two floats that do not overlap (4.3). The polynomials are minimax (Remez, in 60 digits). */

#define LOCAL VECTOR_TARGET VECTOR_INLINE

LOCAL double VECTOR_NAME(multiply_add)(double x, double y, double z)
{
#if VECTOR_FUSED
    return fma(x, y, z);
#else
    return x * y + z;
#endif
}
#define MULTIPLY_ADD VECTOR_NAME(multiply_add)

/* (x + x_low) / (y + y_low), given 1 / y: the quotient of the first parts, and what it lacks */
LOCAL double VECTOR_NAME(quotient)(double x, double x_low, double y, double y_low, double inverse)
{
#if VECTOR_FUSED
    double q = x * inverse;
    return fma(fma(-q, y, x) + fma(-q, y_low, x_low), inverse, q);
#else
    double q = x / y;
    return q + (x_low - q * y_low) * inverse;
#endif
}

/* The same times a finite number, rounded once less; where that is 0, its sign may be lost. */
LOCAL double VECTOR_NAME(times_quotient)(
    double factor, double x, double x_low, double y, double y_low, double inverse)
{
#if VECTOR_FUSED
    double q = x * inverse, lacks = (fma(-q, y, x) + fma(-q, y_low, x_low)) * inverse;
#else
    double q = x / y, lacks = (x_low - q * y_low) * inverse;
#endif
    return MULTIPLY_ADD(factor, q, factor * lacks);
}

/* y = n ln 2 + r with |r| ≤ ½ ln 2: e^r − 1 as a sum of two floats, and n + ROUNDER.
   e^r − 1 = r + r²q(r), q by Remez on that range (error 2e-19), summed by Estrin's scheme. */
LOCAL double VECTOR_NAME(reduced_expm1)(double y, double *low, double *shifted_n)
{
    double shifted = MULTIPLY_ADD(y, ONE_OVER_LN2, ROUNDER), k = shifted - ROUNDER;
    double high = y - k * LN2_HIGH, rest = k * LN2_LOW, r = high - rest, r_low = (high - r) - rest;
    double r2 = r * r, r4 = r2 * r2;
    double q01 = MULTIPLY_ADD(r, 0x1.5555555555557p-3, 0.5);
    double q23 = MULTIPLY_ADD(r, 0x1.11111111100bdp-7, 0x1.5555555555558p-5);
    double q45 = MULTIPLY_ADD(r, 0x1.a01a01abf8808p-13, 0x1.6c16c16c151cbp-10);
    double q67 = MULTIPLY_ADD(r, 0x1.71de01fd5251fp-19, 0x1.a01a01ad0caccp-16);
    double q89 = MULTIPLY_ADD(r, 0x1.af4e561213cb1p-26, 0x1.27e4cca38ff53p-22);
    double q8 = MULTIPLY_ADD(r2, 0x1.1f8b92eafd297p-29, q89);
    double q4 = MULTIPLY_ADD(r4, q8, MULTIPLY_ADD(q67, r2, q45));
    double q = MULTIPLY_ADD(r4, q4, MULTIPLY_ADD(q23, r2, q01));
    double more = MULTIPLY_ADD(r2, q, MULTIPLY_ADD(r_low, r, r_low)), p = r + more;
    *shifted_n = shifted;
    *low = more - (p - r);
    return p;
}

/* 2^extra e^y for y ≤ 0 as a sum of two floats, and e^y − 1 too. Powers of two beyond the range of float64 are made in
   two steps, the second of which is 1 in range; there e^y − 1 is −1. */
LOCAL double VECTOR_NAME(decay)(double y, double extra, double *low, double *less_one, double *less_one_low)
{
    double p, p_low, n, near, power, shrink, e, first, sum;
    y = y < EXP_LOWER ? EXP_LOWER : y; /* nan stays */
    p = VECTOR_NAME(reduced_expm1)(y, &p_low, &n);
    near = n < ROUNDER - EXP_FAR ? ROUNDER - EXP_FAR : n;
    power = vector_power_of_two(near), shrink = vector_power_of_two((n - near) + (ROUNDER + extra));
    p *= power, p_low *= power; /* exact */
    e = power + p;
    *low = (((power - e) + p) + p_low) * shrink;
    first = power - 1.0, sum = first + p; /* first is 0 or at least ½, more than p (FastTwoSum) */
    *less_one = sum;
    *less_one_low = ((first - sum) + p) + p_low;
    return e * shrink;
}

/* ln(x + x_low) for finite x > 0 and |x_low| of at most half a unit in the last place of x.
   x = 2^k(1 + f) with √½ ≤ 1 + f < √2, and with s = f / (2 + f)
   ln(1 + f) = 2 artanh s = f − ½f² + s(½f² + s²R(s²)), R by Remez on that range (error 3e-19). */
LOCAL double VECTOR_NAME(logarithm)(double x, double x_low)
{
    int tiny = x < SMALLEST_NORMAL;
    uint64_t bits = vector_bits(tiny ? x * 0x1p54 : x) + (ONE_BITS - ROOT_HALF_BITS), exponent = bits >> 52;
    double k = vector_double(exponent | TWO_52_BITS) - (tiny ? 0x1p52 + 1023 + 54 : 0x1p52 + 1023);
    double exact = vector_double((bits & FRACTION_BITS) + ROOT_HALF_BITS) - 1.0;
    double low = x_low * vector_double((2047 - exponent) << 52) * 0.5; /* 2^−k x_low */
    double f = exact + low, f_low = (exact - f) + low;
    double s = f / (2.0 + f), half_square = 0.5 * f * f, z = s * s, z2 = z * z;
    double r01 = MULTIPLY_ADD(z, 0x1.999999999514ep-2, 0x1.5555555555558p-1);
    double r23 = MULTIPLY_ADD(z, 0x1.c71c62b24a54ep-3, 0x1.2492492e1b76ep-2);
    double r45 = MULTIPLY_ADD(z, 0x1.39fc9f942ef21p-3, 0x1.7462c2a7779cdp-3);
    double R = MULTIPLY_ADD(z2, MULTIPLY_ADD(z2, MULTIPLY_ADD(z2, 0x1.2b6d505a70c15p-3, r45), r23), r01);
    double small = MULTIPLY_ADD(k, LN2_LOW, MULTIPLY_ADD(-f_low, f, f_low));
    return k * LN2_HIGH - ((half_square - MULTIPLY_ADD(s, MULTIPLY_ADD(z, R, half_square), small)) - f);
}

/* ln(1 + x + x_low) for x > −1, with the sign of x */
LOCAL double VECTOR_NAME(logarithm_of_one_plus)(double x, double x_low)
{
    double sum = 1.0 + x, lost = x >= 1.0 ? 1.0 - (sum - x) : x - (sum - 1.0);
    return copysign(VECTOR_NAME(logarithm)(sum, lost + x_low), x);
}

/* σ(z) from e^−|z| */
LOCAL double VECTOR_NAME(sigmoid_from)(double z, double e, double e_low, double *slope)
{
    double sum = 1.0 + e, sum_low = ((1.0 - sum) + e) + e_low, inverse = 1.0 / sum;
    if (slope) { /* e / (1 + e)² */
        double better = MULTIPLY_ADD(-sum_low * inverse, inverse, inverse);
        *slope = e * better * better;
    }
    return VECTOR_NAME(quotient)(z >= 0.0 ? 1.0 : e, z >= 0.0 ? 0.0 : e_low, sum, sum_low, inverse);
}

/* --- one number: the function, and its slope if that is wanted --- */

/* e^x for any x: 2^n in two steps, as it can be out of range where e^x is not; and e^x − 1 as e^x = 2^n(1 + p) */
LOCAL double VECTOR_NAME(exponential)(double x, double *less_one)
{
    double y = x > EXP_UPPER ? EXP_UPPER : x < EXP_LOWER ? EXP_LOWER : x; /* nan stays */
    double p_low, n, p = VECTOR_NAME(reduced_expm1)(y, &p_low, &n);
    double half = MULTIPLY_ADD(n - ROUNDER, 0.5, ROUNDER), step = vector_power_of_two(half);
    double e = MULTIPLY_ADD(step, p, step) * vector_power_of_two(n - (half - ROUNDER));
    if (less_one) {
        double power = vector_power_of_two(n), first = power - 1.0, high = power * p, sum = first + high;
        double back = sum - first, low = (first - (sum - back)) + (high - back) + power * p_low; /* TwoSum, as above */
        low += power > 1.0 ? (power - first) - 1.0 : power - (first + 1.0); /* what power − 1 lost */
        *less_one = fabs(x) <= EXP_EDGE ? sum + low : e - 1.0;
    }
    return e;
}

LOCAL double VECTOR_NAME(one_exp)(double x, double *slope)
{
    double e = VECTOR_NAME(exponential)(x, NULL);
    if (slope)
        *slope = e;
    return e;
}

LOCAL double VECTOR_NAME(one_expm1)(double x, double *slope)
{
    double less_one, e = VECTOR_NAME(exponential)(x, &less_one);
    if (slope)
        *slope = e;
    return copysign(less_one, x);
}

LOCAL double VECTOR_NAME(one_log)(double x, double *slope)
{
    double ln = VECTOR_NAME(logarithm)(x, 0.0);
    if (slope)
        *slope = 1.0 / x;
    return x > 0.0 ? (x < (double)INFINITY ? ln : x) : x == 0.0 ? -(double)INFINITY : (double)NAN;
}

LOCAL double VECTOR_NAME(one_log1p)(double x, double *slope)
{
    double ln = VECTOR_NAME(logarithm_of_one_plus)(x, 0.0);
    if (slope)
        *slope = 1.0 / (1.0 + x);
    return x > -1.0 ? (x < (double)INFINITY ? ln : x) : x == -1.0 ? -(double)INFINITY : (double)NAN;
}

LOCAL double VECTOR_NAME(one_sigmoid)(double z, double *slope)
{
    double e_low, less_one, less_one_low, e = VECTOR_NAME(decay)(-fabs(z), 0.0, &e_low, &less_one, &less_one_low);
    return VECTOR_NAME(sigmoid_from)(z, e, e_low, slope);
}

/* |tanh z| = −(e^−2|z| − 1) / (2 + (e^−2|z| − 1)), where nothing cancels for small z; tanh′ z = 4e^−2|z| / (1 + e^−2|z|)² */
LOCAL double VECTOR_NAME(one_tanh)(double z, double *slope)
{
    double low, x, x_low, four_e = VECTOR_NAME(decay)(-2.0 * fabs(z), 2.0, &low, &x, &x_low);
    double sum = 2.0 + x, sum_low = (x - (sum - 2.0)) + x_low, inverse = 1.0 / sum;
    if (slope) {
        double better = MULTIPLY_ADD(-sum_low * inverse, inverse, inverse);
        *slope = four_e * better * better;
    }
    return copysign(VECTOR_NAME(quotient)(x, x_low, sum, sum_low, inverse), z);
}

LOCAL double VECTOR_NAME(one_softplus)(double x, double *slope)
{
    double e_low, less_one, less_one_low, e = VECTOR_NAME(decay)(-fabs(x), 0.0, &e_low, &less_one, &less_one_low);
    double ln = VECTOR_NAME(logarithm_of_one_plus)(e, e_low);
    if (slope)
        *slope = VECTOR_NAME(sigmoid_from)(x, e, e_low, NULL);
    return x == x ? (x > 0.0 ? x : 0.0) + ln : x;
}

/* what the product of two numbers loses in rounding */
LOCAL double VECTOR_NAME(lost)(double x, double y, double product)
{
#if VECTOR_FUSED
    return fma(x, y, -product);
#else
    double a = 134217729.0 * x, b, c = 134217729.0 * y, d;
    a -= a - x, b = x - a, c -= c - y, d = y - c; /* halves (Dekker) */
    return ((a * c - product) + a * d + b * c) + b * d;
#endif
}

/* In what follows e^x is 2^64 times as large where it can be subnormal, and made as small as it is last of all. */

LOCAL double VECTOR_NAME(one_silu)(double x, double *slope)
{
    double many_low, unwanted, also, many = VECTOR_NAME(decay)(-fabs(x), 64.0, &many_low, &unwanted, &also);
    double e = many * 0x1p-64, e_low = many_low * 0x1p-64, sum = 1.0 + e, sum_low = ((1.0 - sum) + e) + e_low;
    double inverse = 1.0 / sum, scale = x < 0.0 ? 0x1p-64 : 1.0, a;
    many = x < EXP_LOWER ? 0.0 : many, many_low = x < EXP_LOWER ? 0.0 : many_low;
    if (slope) /* σ(x) + xσ(x)σ(−x) */
        *slope = (x < 0.0 ? many : 1.0) * inverse * (1.0 + x * (x < 0.0 ? 1.0 : e) * inverse) * scale;
    a = VECTOR_NAME(times_quotient)(x, x < 0.0 ? many : 1.0, x < 0.0 ? many_low : 0.0, sum, sum_low, inverse) * scale;
    return x < (double)INFINITY ? copysign(a, x) : x;
}

/* x((1 + e^x)² − 1) / ((1 + e^x)² + 1), for x > 0 by e^−x */
LOCAL double VECTOR_NAME(one_mish)(double x, double *slope)
{
    int right = x > 0.0;
    double many_low, unwanted, also, many = VECTOR_NAME(decay)(-fabs(x), 64.0, &many_low, &unwanted, &also);
    double e = many * 0x1p-64, e_low = many_low * 0x1p-64, h = 2.0 + e, h_low = ((2.0 - h) + e) + e_low;
    double part, part_low, top, top_low, bottom, bottom_low, inverse, fraction, a, scale = right ? 1.0 : 0x1p-64;
    double top_right = 1.0 + 2.0 * e, low_right = (2.0 * e - (top_right - 1.0)) + 2.0 * e_low;
    double square = 2.0 * e * e, square_low = VECTOR_NAME(lost)(2.0 * e, e, square) + 4.0 * e * e_low;
    many = x < EXP_LOWER ? 0.0 : many, many_low = x < EXP_LOWER ? 0.0 : many_low;
    top = many * h, top_low = VECTOR_NAME(lost)(many, h, top) + (many * h_low + many_low * h);
    part = right ? square : top * 0x1p-64, part_low = right ? square_low + low_right : top_low * 0x1p-64;
    top = right ? top_right : top, top_low = right ? low_right : top_low;
    bottom = (right ? top_right : 2.0) + part;
    bottom_low = (part - (bottom - (right ? top_right : 2.0))) + part_low;
    inverse = 1.0 / bottom;
    fraction = VECTOR_NAME(quotient)(top, top_low, bottom, bottom_low, inverse);
    a = VECTOR_NAME(times_quotient)(x, top, top_low, bottom, bottom_low, inverse) * scale;
    if (slope) {
        double better = MULTIPLY_ADD(-bottom_low * inverse, inverse, inverse);
        double twice = right ? square : 2.0 * many, twice_low = right ? square_low : 2.0 * many_low;
        twice += MULTIPLY_ADD(twice, e, twice_low);
        *slope = (fraction + x * (2.0 * twice * better * better)) * scale;
    }
    return x < (double)INFINITY ? copysign(a, x) : x;
}

LOCAL double VECTOR_NAME(one_elu)(double x, double *slope)
{
    double less_one, e = VECTOR_NAME(exponential)(x, &less_one);
    if (slope)
        *slope = x > 0.0 ? 1.0 : e;
    return x > 0.0 ? x : copysign(less_one, x);
}

LOCAL double VECTOR_NAME(one_selu)(double x, double *slope)
{
    double less_one, e = VECTOR_NAME(exponential)(x, &less_one);
    if (slope)
        *slope = x > 0.0 ? SELU_SCALE : SELU_SCALE_ALPHA * e;
    return x > 0.0 ? SELU_SCALE * x : SELU_SCALE_ALPHA * copysign(less_one, x);
}

LOCAL double VECTOR_NAME(one_hardtanh)(double x, double *slope)
{
    if (slope)
        *slope = fabs(x) > 1.0 ? 0.0 : 1.0;
    return x > 1.0 ? 1.0 : x < -1.0 ? -1.0 : x;
}

LOCAL double VECTOR_NAME(one_softsign)(double x, double *slope)
{
    double sum = 1.0 + fabs(x), inverse = 1.0 / sum;
    if (slope)
        *slope = inverse * inverse + (x - x); /* nan at infinity */
    return x / sum;
}

/* Φ, the distribution of a standard normal number, with xΦ(x) and the density Φ′. Beyond ½, |x|e^(x²/2)Φ(−|x|) is a
   polynomial in (|x| − m) / (|x| + m), as in the engine's activations.py: m = 1 as far as 2, then m = 5. */
LOCAL double VECTOR_NAME(normal)(double x, double *times_x, double *density, double *slope_of_times_x)
{
    double t = fabs(x) > 40.0 ? 40.0 : fabs(x); /* nan stays */
    int near = t < 2.0, middle = t < 0.5, left = x < 0.0;
    double square = t * t, square_low = VECTOR_NAME(lost)(t, t, square), s, p, value, low, product, product_low, of_middle;
    double many_low, unwanted, also, many = VECTOR_NAME(decay)(-0.5 * square, 64.0, &many_low, &unwanted, &also);
    double most, cdf, slope;
    many = t > 39.0 ? 0.0 : many;
    many_low = t > 39.0 ? 0.0 : many_low - 0.5 * square_low * many;
    s = (t - (near ? 1.0 : 5.0)) / (t + (near ? 1.0 : 5.0));
    p = near ? 0x0.0p+0 : -0x1.343bb8149d3f9p-29;
    p = MULTIPLY_ADD(p, s, near ? 0x0.0p+0 : 0x1.0cc2e34ac1864p-27);
    p = MULTIPLY_ADD(p, s, near ? 0x0.0p+0 : 0x1.cee7338373131p-29);
    p = MULTIPLY_ADD(p, s, near ? 0x0.0p+0 : -0x1.5fe45f384608ep-25);
    p = MULTIPLY_ADD(p, s, near ? 0x1.7838b247e488dp-14 : -0x1.11326089ddcd4p-26);
    p = MULTIPLY_ADD(p, s, near ? 0x1.5bb963a992b36p-13 : 0x1.00895fd5730a0p-22);
    p = MULTIPLY_ADD(p, s, near ? 0x1.72cccbda72ed9p-13 : 0x1.b7a04504b08fcp-25);
    p = MULTIPLY_ADD(p, s, near ? 0x1.0613427f3103fp-13 : -0x1.a0d2a8d338897p-20);
    p = MULTIPLY_ADD(p, s, near ? -0x1.7851691a339f6p-15 : 0x1.4480ba767e62fp-21);
    p = MULTIPLY_ADD(p, s, near ? -0x1.87da5fb808555p-12 : 0x1.5aa44efedc4ecp-17);
    p = MULTIPLY_ADD(p, s, near ? -0x1.aba476c437476p-11 : -0x1.1580635184b53p-16);
    p = MULTIPLY_ADD(p, s, near ? -0x1.34cb949706465p-10 : -0x1.c9c25052e9005p-15);
    p = MULTIPLY_ADD(p, s, near ? -0x1.16035bf8992bcp-10 : 0x1.fd1ba2855d17ap-13);
    p = MULTIPLY_ADD(p, s, near ? 0x1.d5586d07899cap-14 : -0x1.0942395b90edcp-13);
    p = MULTIPLY_ADD(p, s, near ? 0x1.6f142af21e816p-9 : -0x1.f0ed1c73416cap-10);
    p = MULTIPLY_ADD(p, s, near ? 0x1.afa050f02a8c5p-8 : 0x1.23a9b32193718p-7);
    p = MULTIPLY_ADD(p, s, near ? 0x1.20531398f1aa4p-7 : -0x1.8bdde01f0609ep-6);
    p = MULTIPLY_ADD(p, s, near ? 0x1.935cb91623827p-9 : 0x1.88d03ff15f303p-5);
    p = MULTIPLY_ADD(p, s, near ? -0x1.3e2dedcc263b9p-6 : -0x1.30277951e9676p-4);
    p = MULTIPLY_ADD(p, s, near ? -0x1.d6a94baf22f97p-5 : 0x1.74451e8002c89p-4);
    p = MULTIPLY_ADD(p, s, near ? -0x1.aee38df59e172p-5 : -0x1.5c51455904950p-4);
    p = MULTIPLY_ADD(p, s, near ? 0x1.fcc82327e204dp-3 : 0x1.a9353f7be5cafp-5);
    p *= s;
    most = near ? 0x1.0bdb2e039df32p-2 : 0x1.89d3abe1f95aep-2;
    value = most + p;
    low = ((most - value) + p) + (near ? -0x1.389f1b0bbd828p-57 : -0x1.0451ad682ff5dp-57);
    product = many * value; /* 2^64 tΦ(−t) */
    product_low = VECTOR_NAME(lost)(many, value, product) + (many * low + many_low * value);
    p = -0x1.ddc738b863ab4p-43;
    p = MULTIPLY_ADD(p, square, 0x1.67c1700ad73d2p-38);
    p = MULTIPLY_ADD(p, square, -0x1.f107e1883d947p-34);
    p = MULTIPLY_ADD(p, square, 0x1.3878b823c4d4ep-29);
    p = MULTIPLY_ADD(p, square, -0x1.62226a4aabe03p-25);
    p = MULTIPLY_ADD(p, square, 0x1.658a2177b2739p-21);
    p = MULTIPLY_ADD(p, square, -0x1.3ce8fac15e2c4p-17);
    p = MULTIPLY_ADD(p, square, 0x1.e42b0d5216fc8p-14);
    p = MULTIPLY_ADD(p, square, -0x1.37403f6ba1100p-10);
    p = MULTIPLY_ADD(p, square, 0x1.46d04297691dap-7);
    p = MULTIPLY_ADD(p, square, -0x1.1058377e2cee0p-4);
    p = MULTIPLY_ADD(p, square, 0x1.9884533d43651p-2);
    of_middle = 0.5 + x * p;
    product += product_low;
    cdf = middle ? of_middle : left ? product / t * 0x1p-64 : 1.0 - product / t * 0x1p-64;
    *times_x = middle ? x * of_middle : left ? (x < -39.0 ? x * 0.0 : product * -0x1p-64) : x - product * 0x1p-64;
    *density = (many + many_low) * DENSITY_AT_0 * 0x1p-64;
    slope = (x * DENSITY_AT_0 + value / t) * (many + many_low) * 0x1p-64;
    *slope_of_times_x = left && !middle ? (slope == 0.0 ? 0.0 : slope) : cdf + x * *density;
    return cdf;
}

LOCAL double VECTOR_NAME(one_normal_cdf)(double x, double *slope)
{
    double times_x, density, slope_of_times_x, cdf = VECTOR_NAME(normal)(x, &times_x, &density, &slope_of_times_x);
    if (slope)
        *slope = density;
    return cdf;
}

LOCAL double VECTOR_NAME(one_gelu)(double x, double *slope)
{
    double times_x, density, slope_of_times_x;
    VECTOR_NAME(normal)(x, &times_x, &density, &slope_of_times_x);
    if (slope)
        *slope = slope_of_times_x;
    return times_x;
}

/* --- many numbers --- */

/* The rest of an array is filled up to a whole AT_ONCE: one number after the other would take longer. */
#define AT_ONCE 8
#define VECTOR_WHOLE(function) \
    VECTOR_TARGET VECTOR_INLINE void VECTOR_NAME(function##_whole)( \
        ptrdiff_t n, const double *z, double *a, double *slope) \
    { \
        ptrdiff_t i; \
        if (slope == NULL) { \
            VECTOR_EACH for (i = 0; i < n; i++) a[i] = VECTOR_NAME(one_##function)(z[i], NULL); \
        } else { \
            VECTOR_EACH for (i = 0; i < n; i++) { \
                double d, v = VECTOR_NAME(one_##function)(z[i], &d); \
                a[i] = v; \
                slope[i] = d; \
            } \
        } \
    }
#define VECTOR_ANY(function) \
    static VECTOR_TARGET void VECTOR_NAME(function)(ptrdiff_t n, const double *z, double *a, double *slope) \
    { \
        ptrdiff_t whole = n / AT_ONCE * AT_ONCE, i; \
        double rest[AT_ONCE] = {0}, its_slope[AT_ONCE]; \
        if (whole) \
            VECTOR_NAME(function##_whole)(whole, z, a, slope); \
        if (whole && whole < n && a != z) { /* the last AT_ONCE, some of which it has had */ \
            i = n - AT_ONCE; \
            VECTOR_NAME(function##_whole)(AT_ONCE, z + i, a + i, slope ? slope + i : NULL); \
        } else if (whole < n) { \
            for (i = whole; i < n; i++) rest[i - whole] = z[i]; \
            VECTOR_NAME(function##_whole)(AT_ONCE, rest, rest, slope ? its_slope : NULL); \
            for (i = whole; i < n; i++) a[i] = rest[i - whole]; \
            if (slope) \
                for (i = whole; i < n; i++) slope[i] = its_slope[i - whole]; \
        } \
    }
#define VECTOR_LOOP(function) VECTOR_WHOLE(function) VECTOR_ANY(function)
#if VECTOR_WIDE
#include "_vector_avx512.h"
#else
VECTOR_WHOLE(exp)
VECTOR_WHOLE(sigmoid)
VECTOR_WHOLE(tanh)
VECTOR_WHOLE(silu)
#endif
VECTOR_ANY(exp)
VECTOR_ANY(sigmoid)
VECTOR_ANY(tanh)
VECTOR_ANY(silu)
VECTOR_LOOP(expm1)
VECTOR_LOOP(log)
VECTOR_LOOP(log1p)
VECTOR_LOOP(softplus)
VECTOR_LOOP(normal_cdf)
VECTOR_LOOP(gelu)
VECTOR_LOOP(elu)
VECTOR_LOOP(selu)
VECTOR_LOOP(mish)
VECTOR_LOOP(hardtanh)
VECTOR_LOOP(softsign)

static const VectorFunction VECTOR_NAME(vector_functions)[VECTOR_FUNCTIONS] = {
    VECTOR_NAME(exp), VECTOR_NAME(expm1), VECTOR_NAME(log), VECTOR_NAME(log1p),
    VECTOR_NAME(sigmoid), VECTOR_NAME(tanh), VECTOR_NAME(softplus),
    VECTOR_NAME(normal_cdf), VECTOR_NAME(gelu), VECTOR_NAME(silu), VECTOR_NAME(elu), VECTOR_NAME(selu),
    VECTOR_NAME(mish), VECTOR_NAME(hardtanh), VECTOR_NAME(softsign),
};

#undef VECTOR_LOOP
#undef VECTOR_ANY
#undef VECTOR_WHOLE
#undef AT_ONCE
#undef MULTIPLY_ADD
#undef LOCAL
#undef VECTOR_WIDE
#undef VECTOR_FUSED
#undef VECTOR_TARGET
#undef VECTOR_NAME
