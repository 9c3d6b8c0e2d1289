/* The tables of _steps.h: adam_float[simd_level()](...) and so on. */
#define SIMD_SOURCE "_steps.h"
#include "_simd.h"

SIMD_TABLE(sum_of_squares)
SIMD_TABLE(penalize)
SIMD_TABLE(add)
SIMD_TABLE(shrink)
SIMD_TABLE(sgd)
SIMD_TABLE(adam)
