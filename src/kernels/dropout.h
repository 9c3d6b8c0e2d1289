/* Dropout masks from a counter, not from a state: the mask of a number depends on the key of its
 * row and step and on its unit, whichever thread asks and in whatever order. */

/* x is scaled where a unit is kept, so as to keep the mean, and 0 where it is dropped, with
 * probability `rate`. Each unit's 32 bits are Murmur3's finalizer of key and unit. */
static void dropout(ptrdiff_t n, real *x, uint64_t key, double rate)
{
    const uint32_t low = (uint32_t)key, high = (uint32_t)(key >> 32) | 1;
    const uint32_t threshold = (uint32_t)(rate * 4294967296.0);
    const real scale = (real)(1 / (1 - rate));
#pragma omp simd
    for (ptrdiff_t j = 0; j < n; j++) {
        uint32_t bits = low + (uint32_t)j * high;
        bits = (bits ^ (bits >> 16)) * UINT32_C(0x85ebca6b);
        bits = (bits ^ (bits >> 13)) * UINT32_C(0xc2b2ae35);
        bits ^= bits >> 16;
        x[j] = bits < threshold ? (real)0 : x[j] * scale;
    }
}
