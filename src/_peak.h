/* Multiply-adds in registers alone: what a benchmark compares a kernel with. Compiled for
 * every level and precision through _simd.h. */

typedef real NAME(peak_vec) __attribute__((vector_size(SIMD_BYTES)));

/* Go through 12 independent chains of x a + b so many times; return the floating point
 * operations done. */
static double NAME(multiply_adds)(long rounds)
{
    NAME(peak_vec) x[12];
    const NAME(peak_vec) a = (real)0.999 - (NAME(peak_vec)){0};
    const NAME(peak_vec) b = (real)0.001 - (NAME(peak_vec)){0};
#pragma GCC unroll 12
    for (int k = 0; k < 12; k++)
        x[k] = (real)k - (NAME(peak_vec)){0};
    for (long round = 0; round < rounds; round++) {
#pragma GCC unroll 12
        for (int k = 0; k < 12; k++)
            x[k] = x[k] * a + b;
        __asm__ volatile(""); /* not to be shortened */
    }
    volatile real kept = 0;
#pragma GCC unroll 12
    for (int k = 0; k < 12; k++)
        kept += x[k][0];
    return 2.0 * 12 * (SIMD_BYTES / (double)sizeof(real)) * (double)rounds;
}
