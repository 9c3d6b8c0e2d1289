/* The tables of _products.h: product_float[simd_level()](...) and so on. */
#define SIMD_SOURCE "_products.h"
#include "_simd.h"

SIMD_TABLE(product)
SIMD_TABLE(add_transposed_product)
SIMD_TABLE(multiply)
SIMD_TABLE(pack_gates)
SIMD_TABLE(pack_rows)
