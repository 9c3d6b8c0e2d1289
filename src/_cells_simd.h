/* The tables of _cells.h: lstm_cell_forward_float[simd_level()](...) and so on. */
#define SIMD_SOURCE "_cells.h"
#include "_simd.h"

SIMD_TABLE(lstm_cell_forward)
SIMD_TABLE(lstm_cell_backward)
