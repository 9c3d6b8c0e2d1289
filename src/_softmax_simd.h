/* The tables of _softmax.h: softmax_float[simd_level()](...) and so on. */
#include "_activations_simd.h"

#define SIMD_SOURCE "_softmax.h"
#include "_simd.h"

SIMD_TABLE(softmax)
