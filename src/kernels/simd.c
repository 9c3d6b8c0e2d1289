/* Picks the kernels at run time: a build for any CPU of its kind runs the best that the CPU at
 * hand has.
 *
 * Design: one thin unit for each instruction set and precision, compiled under a pragma, not
 * target_clones: a lower one can then be chosen at run time, so that tests cover all of them
 * on one machine, and a clone for "avx2" would not contain FMA. */
#include "simd.h"

const char *const simd_names[N_ISAS] = {"baseline", "avx2", "avx512", "avx512_vnni"};

extern const simd_isa baseline_float, baseline_double;
#if SIMD_X86
extern const simd_isa avx2_float, avx2_double, avx512_float, avx512_double;
extern const simd_isa avx512_vnni_float;
#endif

static const simd_isa *const isas[N_ISAS][2] = {
    {&baseline_float, &baseline_double},
#if SIMD_X86
    {&avx2_float, &avx2_double},
    {&avx512_float, &avx512_double},
    {&avx512_vnni_float, &avx512_double},
#endif
};

#if SIMD_X86 && defined(_MSC_VER)
#include <cpuid.h>

/* What __builtin_cpu_supports asks is in a library of clang's that Microsoft's linker is not
 * given. So the CPU is asked: CPUID for its instructions, XGETBV for the registers that the
 * system saves (Intel's manual, volume 1, sections 14.3 and 15.2). */
int simd_highest(void)
{
    const unsigned ymm = 0x06, zmm = 0xe6;
    const unsigned avx512 = bit_AVX512F | bit_AVX512DQ | bit_AVX512VL | bit_AVX512BW;
    unsigned a, b, c, d, saved, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_FMA) ||
        !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return BASELINE;
    __asm__ volatile("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    if ((saved & zmm) == zmm && (b & avx512) == avx512)
        return c & bit_AVX512VNNI ? AVX512_VNNI : AVX512;
    return (saved & ymm) == ymm && (b & bit_AVX2) ? AVX2 : BASELINE;
}
#else
int simd_highest(void)
{
#if SIMD_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("fma"))
        return __builtin_cpu_supports("avx512vnni") ? AVX512_VNNI : AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return AVX2;
#endif
    return BASELINE;
}
#endif

const simd_isa *simd_kernels(int isa, size_t item)
{
    return isas[isa][item == sizeof(double)];
}
