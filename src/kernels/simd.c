/* Picks the kernels at run time: a build for any CPU of its kind runs the best that the CPU at
 * hand has.
 *
 * Design: one thin unit for each instruction set and precision, compiled under a pragma, not
 * target_clones: a lower level can then be chosen at run time, so that tests cover all of them
 * on one machine, and a clone for "avx2" would not contain FMA. */
#include "simd.h"

const char *const simd_names[N_LEVELS] = {"baseline", "avx2", "avx512"};

extern const simd_level baseline_float, baseline_double;
#if SIMD_X86
extern const simd_level avx2_float, avx2_double, avx512_float, avx512_double;
#endif

static const simd_level *const levels[N_LEVELS][2] = {
    {&baseline_float, &baseline_double},
#if SIMD_X86
    {&avx2_float, &avx2_double},
    {&avx512_float, &avx512_double},
#endif
};

int simd_highest(void)
{
#if SIMD_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("fma"))
        return AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return AVX2;
#endif
    return BASELINE;
}

const simd_level *simd_kernels(int level, size_t item)
{
    return levels[level][item == sizeof(double)];
}
