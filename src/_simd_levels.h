/* SIMD_SOURCE at every level, for one precision: a part of _simd.h. */

#define NAME(f) SIMD_NAME(f, baseline)
#define SIMD_BYTES 16
#if defined(__aarch64__)
#define SIMD_REGISTERS 32
#else
#define SIMD_REGISTERS 16
#endif
#include SIMD_SOURCE
#undef NAME
#undef SIMD_BYTES
#undef SIMD_REGISTERS

#if SIMD_X86
SIMD_BEGIN(SIMD_AVX2)
#define NAME(f) SIMD_NAME(f, avx2)
#define SIMD_BYTES 32
#define SIMD_REGISTERS 16
#include SIMD_SOURCE
#undef NAME
#undef SIMD_BYTES
#undef SIMD_REGISTERS
SIMD_END

SIMD_BEGIN(SIMD_AVX512)
#define NAME(f) SIMD_NAME(f, avx512)
#define SIMD_BYTES 64
#define SIMD_REGISTERS 32
#include SIMD_SOURCE
#undef NAME
#undef SIMD_BYTES
#undef SIMD_REGISTERS
SIMD_END
#endif
