/* The tables of _dropout.h: dropout_float[simd_level()](...) and so on. */
#define SIMD_SOURCE "_dropout.h"
#include "_simd.h"

SIMD_TABLE(dropout)
