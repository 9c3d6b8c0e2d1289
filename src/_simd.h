/* One source, every instruction set, both precisions.
 *
 *     #define SIMD_SOURCE "_cells.h"
 *     #include "_simd.h"
 *
 * compiles the functions of _cells.h, whose names are wrapped in NAME(...) and
 * whose numbers are of type `real`, for float and double at each level below, which
 * has vectors of SIMD_BYTES and at least SIMD_REGISTERS of them.
 * SIMD_TABLE(f) then makes f_float and f_double: tables to be indexed by
 * simd_level(), which asks the CPU once and obeys CYLSTM_SIMD.
 *
 * Design: compiler pragmas instead of target_clones, because a lower level can
 * then be forced at run time (so that tests cover all of them) and because a
 * clone for "avx2" would not contain FMA.
 */
#ifndef CYLSTM_SIMD_LEVELS
#define CYLSTM_SIMD_LEVELS

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SIMD_JOIN_(f, type, level) f##_##type##_##level
#define SIMD_JOIN(f, type, level) SIMD_JOIN_(f, type, level)

#define SIMD_STRING(x) #x
#if defined(__x86_64__) && defined(__clang__)
#define SIMD_X86 1
#define SIMD_BEGIN(features) \
    _Pragma(SIMD_STRING(clang attribute push(__attribute__((target(features))), apply_to = function)))
#define SIMD_END _Pragma("clang attribute pop")
#elif defined(__x86_64__) && defined(__GNUC__)
#define SIMD_X86 1
#define SIMD_BEGIN(features) _Pragma("GCC push_options") _Pragma(SIMD_STRING(GCC target(features)))
#define SIMD_END _Pragma("GCC pop_options")
#else
#define SIMD_X86 0
#endif

#define SIMD_AVX2 "avx2,fma"
/* Whole 64-byte vectors: the loops here are arithmetic, and gcc's generic tuning
 * would otherwise stop at 32 bytes. */
#define SIMD_AVX512 "avx512f,avx512dq,avx512vl,avx512bw,fma,prefer-vector-width=512"

static const char *const simd_level_names[] = {"baseline", "avx2", "avx512"};

/* The highest level that this CPU runs. */
static int simd_highest(void)
{
#if SIMD_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("fma"))
        return 2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return 1;
#endif
    return 0;
}

/* The level in use: the highest, or a lower one named by CYLSTM_SIMD. */
static int simd_level(void)
{
    static int level = -1; /* every thread would write the same value */
    if (level < 0) {
        int chosen = simd_highest();
        const char *wanted = getenv("CYLSTM_SIMD");
        for (int k = 0; wanted && k < chosen; k++)
            if (strcmp(wanted, simd_level_names[k]) == 0)
                chosen = k;
        level = chosen;
    }
    return level;
}

#define SIMD_LEVELS (SIMD_X86 ? 3 : 1)
#if SIMD_X86
#define SIMD_TABLE_OF(f, type)                                                     \
    static __typeof__(f##_##type##_baseline) *const f##_##type[] = {               \
        f##_##type##_baseline, f##_##type##_avx2, f##_##type##_avx512};
#else
#define SIMD_TABLE_OF(f, type)                                                     \
    static __typeof__(f##_##type##_baseline) *const f##_##type[] = {f##_##type##_baseline};
#endif
#define SIMD_TABLE(f) SIMD_TABLE_OF(f, float) SIMD_TABLE_OF(f, double)

#endif /* CYLSTM_SIMD_LEVELS */

#ifdef SIMD_SOURCE

#define real float
#define REAL_IS_FLOAT 1
#define SIMD_NAME(f, level) SIMD_JOIN(f, float, level)
#include "_simd_levels.h"
#undef SIMD_NAME
#undef real
#undef REAL_IS_FLOAT

#define real double
#define REAL_IS_FLOAT 0
#define SIMD_NAME(f, level) SIMD_JOIN(f, double, level)
#include "_simd_levels.h"
#undef SIMD_NAME
#undef real
#undef REAL_IS_FLOAT

#undef SIMD_SOURCE
#endif /* SIMD_SOURCE */
