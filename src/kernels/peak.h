/* What a CPU can do at most, which benchmarks compare kernels with: multiply-adds in registers,
 * and reading memory from the cache that it fits in. */

typedef real peak_vec __attribute__((vector_size(SIMD_BYTES)));

/* Run 12 independent chains of x = a x + b for `rounds` rounds; return the floating-point
 * operations done. The compiler must not know a and b: a chain that it finds to stay what it is,
 * as that from 1 does, it leaves out. */
static double multiply_adds(long rounds)
{
    volatile const real factor = (real)0.999, summand = (real)0.001;
    peak_vec x[12];
    const peak_vec a = factor - (peak_vec){0}, b = summand - (peak_vec){0};
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

/* Read n numbers, on a cache line and in whole groups of 8 vectors, `rounds` times over; return
 * their sum times `rounds`. With 8 sums, the latency of an addition is hidden even in the
 * first-level cache. */
static double read_numbers(ptrdiff_t n, const void *numbers, long rounds)
{
    const peak_vec *x = numbers;
    const ptrdiff_t n_vectors = n / (SIMD_BYTES / (ptrdiff_t)sizeof(real));
    peak_vec sums[8];
UNROLL(8)
    for (int k = 0; k < 8; k++)
        sums[k] = (peak_vec){0};
    for (long round = 0; round < rounds; round++) {
        for (ptrdiff_t j = 0; j < n_vectors; j += 8) {
UNROLL(8)
            for (int k = 0; k < 8; k++)
                sums[k] += x[j + k];
        }
        __asm__ volatile("" : : : "memory"); /* each round reads anew */
    }
    double sum = 0;
    for (int k = 0; k < 8; k++)
        for (int i = 0; i < SIMD_BYTES / (int)sizeof(real); i++)
            sum += sums[k][i];
    return sum;
}
