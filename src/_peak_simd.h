/* The tables of _peak.h: multiply_adds_float[simd_level()](...) and so on. */
#define SIMD_SOURCE "_peak.h"
#include "_simd.h"

SIMD_TABLE(multiply_adds)
