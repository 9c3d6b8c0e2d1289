/* Activations, exp and log of one number, written so that a loop over them vectorises: no branch, no call.
 * Derivatives are computed from output values. NaN propagates (every comparison with it is
 * false), infinities saturate. */

#if REAL_IS_FLOAT

/* tanh(x) / 2 = n q / (q^2 + n^2) where n / q = tanh(x / 2) = x P(x^2) / Q(x^2). Near 1, where
 * tanh is flat, the errors of n and q vanish, and two terms of P and three of Q are enough:
 * they are fitted on [0, 9.02] for the smallest relative error of tanh (7e-9), beyond which
 * it is 1 in float32. P and Q share a factor, 1.8, that puts them just below a power of two
 * for small x, where their rounding errors are smallest. tanh is within 3 ulp and the
 * logistic function within 1.3e-7 for all float32, with and without FMA. */
INLINE float half_tanh(float x)
{
    const float a = fabsf(x);
    const float u = a * a;
    float p = 1.027493927e-04f;
    p = p * u + 2.679239772e-02f;
    p = p * u + 8.999999762e-01f;
    float q = 2.209276772e-06f;
    q = q * u + 2.170967637e-03f;
    q = q * u + 2.035847157e-01f;
    q = q * u + 1.799999952e+00f;
    const float n = a * p;
    const float y = n * q / (q * q + n * n);
    /* Beyond 9.02 by a choice, not by a bound on x: which product of q^2 + n^2 is rounded before
     * the sum is the compiler's, and so is the last bit of y there. */
    return copysignf(a > 9.02f || y > 0.5f ? 0.5f : y, x);
}

/* exp(x) for x <= 0: 2^n exp(r), |r| <= ln(2)/2, exp(r) by its Taylor series to r^7
 * (truncation 5e-9 of it). Below -87 it is exp(-87), 1.6e-38. */
INLINE float exp_nonpositive(float x)
{
    const float t = x < -87.0f ? -87.0f : x;
    /* Adding 1.5 * 2^23 rounds to an integer, left in the low bits of the sum. */
    const float shifted = t * 1.442695041f + 12582912.0f;
    const float n = shifted - 12582912.0f;
    const float r = (t - n * 6.931457520e-01f) - n * 1.428606820e-06f;
    float p = 1.984126984e-04f;
    p = p * r + 1.388888889e-03f;
    p = p * r + 8.333333333e-03f;
    p = p * r + 4.166666667e-02f;
    p = p * r + 1.666666667e-01f;
    p = p * r + 0.5f;
    p = p * (r * r) + r;
    union { float number; uint32_t bits; } scale;
    scale.number = shifted;
    scale.bits = (scale.bits << 23) + UINT32_C(0x3f800000);
    return scale.number * p + scale.number;
}

/* log(x) for normal x > 0, within 1 ulp: x = 2^k (1 + f), 1 + f from sqrt(1/2) to sqrt(2);
 * log(1 + f) by the series of s = f / (2 + f) as in FreeBSD's logf. NaN and infinity become NaN. */
INLINE float log_positive(float x)
{
    union { float number; uint32_t bits; } parts;
    parts.number = x;
    const uint32_t shifted = parts.bits + UINT32_C(0x004afb0d);
    const float k = (float)((int32_t)(shifted >> 23) - 127);
    parts.bits = (shifted & UINT32_C(0x007fffff)) + UINT32_C(0x3f3504f3);
    const float f = parts.number - 1.0f;
    const float s = f / (2.0f + f);
    const float z = s * s;
    const float series =
        z * (0.66666662693f + z * (0.40000972152f + z * (0.28498786688f + z * 0.24279078841f)));
    const float half_square = 0.5f * f * f;
    return (s * (half_square + series) + k * 9.0580006145e-06f - half_square + f +
            k * 6.9313812256e-01f) + (x - x);
}

#else

/* exp(t) = scale + scale p: scale = 2^n, p = exp(r) - 1, |r| <= ln(2)/2, by its Taylor series
 * to r^14 (truncation 6e-18 of r). For |t| <= 708. */
INLINE double exp_parts(double t, double *scale)
{
    /* Adding 1.5 * 2^52 rounds to an integer, left in the low bits of the sum. */
    const double shifted = t * 1.4426950408889634074 + 6755399441055744.0;
    const double n = shifted - 6755399441055744.0;
    const double r = (t - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
    double p = 1.1470745597729724714e-11;
    p = p * r + 1.6059043836821614599e-10;
    p = p * r + 2.0876756987868098979e-09;
    p = p * r + 2.5052108385441718775e-08;
    p = p * r + 2.7557319223985890653e-07;
    p = p * r + 2.7557319223985890653e-06;
    p = p * r + 2.4801587301587301587e-05;
    p = p * r + 1.9841269841269841270e-04;
    p = p * r + 1.3888888888888888889e-03;
    p = p * r + 8.3333333333333333333e-03;
    p = p * r + 4.1666666666666666667e-02;
    p = p * r + 1.6666666666666666667e-01;
    p = p * r + 0.5;
    p = p * (r * r) + r;
    union { double number; int64_t bits; } power;
    power.number = shifted;
    power.bits = (int64_t)((uint64_t)power.bits << 52) + INT64_C(0x3ff0000000000000);
    *scale = power.number;
    return p;
}

/* tanh(x) / 2 = e / (2 e + 4) with e = exp(2x) - 1, which keeps its relative accuracy near
 * zero. |x| >= 20 is 1 in float64. */
INLINE double half_tanh(double x)
{
    double a = x > 20.0 ? 20.0 : x;
    a = a < -20.0 ? -20.0 : a;
    double scale;
    const double p = exp_parts(2.0 * a, &scale);
    const double e = scale * p + (scale - 1.0);
    return e / (2.0 * e + 4.0);
}

/* exp(x) for x <= 0; below -700 it is exp(-700), 1e-304. */
INLINE double exp_nonpositive(double x)
{
    double scale;
    const double p = exp_parts(x < -700.0 ? -700.0 : x, &scale);
    return scale * p + scale;
}

INLINE double log_positive(double x)
{
    union { double number; uint64_t bits; } parts, exponent;
    parts.number = x;
    const uint64_t shifted = parts.bits + UINT64_C(0x00095f6198000000);
    /* 2^52 + the exponent: no instruction before AVX-512 converts such integers. */
    exponent.bits = (shifted >> 52) + UINT64_C(0x4330000000000000);
    const double k = exponent.number - (4503599627370496.0 + 1023.0);
    parts.bits = (shifted & UINT64_C(0x000fffffffffffff)) + UINT64_C(0x3fe6a09e68000000);
    const double f = parts.number - 1.0;
    const double s = f / (2.0 + f);
    const double z = s * s;
    double series = 1.479819860511658591e-01;
    series = series * z + 1.531383769920937332e-01;
    series = series * z + 1.818357216161805012e-01;
    series = series * z + 2.222219843214978396e-01;
    series = series * z + 2.857142874366239149e-01;
    series = series * z + 3.999999999940941908e-01;
    series = series * z + 6.666666666666735130e-01;
    const double half_square = 0.5 * f * f;
    return (s * (half_square + z * series) + k * 1.90821492927058770002e-10 - half_square + f +
            k * 6.93147180369123816490e-01) + (x - x);
}

#endif

/* The logistic function. */
INLINE real sigmoid(real x)
{
    return (real)0.5 + half_tanh((real)0.5 * x);
}

/* phi of a cell: tanh, or relu. */
INLINE real phi(real x, const int relu)
{
    if (relu)
        return x < (real)0 ? (real)0 : x;
    return (real)2 * half_tanh(x);
}

/* d sigmoid / dx and d phi / dx where y is the output. */
INLINE real sigmoid_slope(real y) { return y * ((real)1 - y); }

INLINE real phi_slope(real y, const int relu)
{
    if (relu)
        return y > (real)0 ? (real)1 : (real)0;
    return (real)1 - y * y;
}
