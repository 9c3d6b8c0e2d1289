/* Whether all of n numbers are finite, by their bits: a sum of large ones would overflow. */

#if REAL_IS_FLOAT
typedef uint32_t bits_of_real __attribute__((may_alias));
#define MANTISSA_BITS 23
#else
typedef uint64_t bits_of_real __attribute__((may_alias));
#define MANTISSA_BITS 52
#endif

static int all_finite(ptrdiff_t n, const void *numbers)
{
    const bits_of_real *bits = numbers;
    const bits_of_real sign = (bits_of_real)1 << (8 * sizeof(real) - 1);
    /* It carries into the sign where the exponent is all ones, as that of infinity and NaN. */
    const bits_of_real lowest_of_exponent = (bits_of_real)1 << MANTISSA_BITS;
    bits_of_real signs = 0;
#pragma omp simd reduction(| : signs)
    for (ptrdiff_t j = 0; j < n; j++)
        signs |= (bits[j] & ~sign) + lowest_of_exponent;
    return !(signs & sign);
}
