/* The functions of _activations.h at every level, for the headers that call them. */
#ifndef CYLSTM_ACTIVATIONS
#define CYLSTM_ACTIVATIONS
#define SIMD_SOURCE "_activations.h"
#include "_simd.h"
#endif
