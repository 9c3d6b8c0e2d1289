/* Dropout masks from a counter, not from a state: the mask of a number depends on the key
 * of its row and step and on its unit, whichever thread asks, in whatever order. Compiled
 * for every level and precision through _simd.h. */
#ifndef CYLSTM_DROPOUT_KEY
#define CYLSTM_DROPOUT_KEY
/* Mix five numbers into 64 bits, by rounds of SplitMix64 (Steele et al. 2014). */
static inline uint64_t dropout_round(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}
static inline uint64_t dropout_key(
    uint64_t seed, uint64_t update, uint64_t place, uint64_t row, uint64_t step)
{
    uint64_t key = dropout_round(seed);
    key = dropout_round(key ^ update);
    key = dropout_round(key ^ place);
    key = dropout_round(key ^ row);
    return dropout_round(key ^ step);
}
#endif

/* out = x where a unit is kept, scaled to keep the mean, and 0 where it is dropped, with
 * probability `rate`. Each unit's 32 bits are Murmur3's finalizer of key and unit. */
static void NAME(dropout)(
    ptrdiff_t H, const real *x, real *out, uint64_t key, double rate)
{
    const uint32_t low = (uint32_t)key, high = (uint32_t)(key >> 32) | 1;
    const uint32_t threshold = (uint32_t)(rate * 4294967296.0);
    const real scale = (real)(1 / (1 - rate));
#pragma omp simd
    for (ptrdiff_t j = 0; j < H; j++) {
        uint32_t bits = low + (uint32_t)j * high;
        bits = (bits ^ (bits >> 16)) * UINT32_C(0x85ebca6b);
        bits = (bits ^ (bits >> 13)) * UINT32_C(0xc2b2ae35);
        bits ^= bits >> 16;
        out[j] = bits < threshold ? (real)0 : x[j] * scale;
    }
}
