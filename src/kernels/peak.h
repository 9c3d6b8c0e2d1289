/* Multiply-adds in registers: the peak that benchmarks compare kernels with. */

typedef real peak_vec __attribute__((vector_size(SIMD_BYTES)));

/* Run 12 independent chains of x = a x + b for `rounds` rounds; return the floating-point
 * operations done. */
static double multiply_adds(long rounds)
{
    peak_vec x[12];
    const peak_vec a = (real)0.999 - (peak_vec){0};
    const peak_vec b = (real)0.001 - (peak_vec){0};
UNROLL(12)
    for (int k = 0; k < 12; k++)
        x[k] = (real)k - (peak_vec){0};
    for (long round = 0; round < rounds; round++) {
UNROLL(12)
        for (int k = 0; k < 12; k++)
            x[k] = x[k] * a + b;
        __asm__ volatile(""); /* not to be shortened */
    }
    real kept = 0;
UNROLL(12)
    for (int k = 0; k < 12; k++)
        kept += x[k][0];
    __asm__ volatile("" : : "r"(&kept) : "memory"); /* nor to be left out */
    return 2.0 * 12 * (SIMD_BYTES / (double)sizeof(real)) * (double)rounds;
}
