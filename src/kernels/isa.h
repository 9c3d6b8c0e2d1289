/* Every kernel for one instruction set in one precision: the body of the units in this folder,
 *
 *     #define ISA AVX512
 *     #define REAL_IS_FLOAT 1
 *     #include "isa.h"
 *
 * which export one table each, avx512_float and so on. An instruction set is described by
 * the bytes of its vectors and the number of its registers. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "simd.h"

/* simd.h numbers them in an enum, which the preprocessor does not see. */
#define ISA_IS_BASELINE 0
#define ISA_IS_AVX2 1
#define ISA_IS_AVX512 2
#define ISA_IS_(isa) ISA_IS_##isa
#define ISA_IS(isa) ISA_IS_(isa)

#if ISA_IS(ISA) == ISA_IS_AVX512
#define ISA_NAME avx512
#define SIMD_BYTES 64
#define SIMD_REGISTERS 32
#define SIMD_FEATURES "avx512f,avx512dq,avx512vl,avx512bw,fma"
#elif ISA_IS(ISA) == ISA_IS_AVX2
#define ISA_NAME avx2
#define SIMD_BYTES 32
#define SIMD_REGISTERS 16
#define SIMD_FEATURES "avx2,fma"
#else
#define ISA_NAME baseline
#define SIMD_BYTES 16
#if defined(__aarch64__)
#define SIMD_REGISTERS 32
#else
#define SIMD_REGISTERS 16
#endif
#endif

/* On other CPUs than x86 their units are empty. */
#if SIMD_X86 || !defined(SIMD_FEATURES)

#define PRAGMA_(x) _Pragma(#x)
#define PRAGMA(x) PRAGMA_(x)
#if defined(SIMD_FEATURES) && defined(__clang__)
/* clang takes whole vectors of 64 bytes by itself, and drops the attribute with all of its
 * features where it holds the one that gcc needs below. */
PRAGMA(clang attribute push(__attribute__((target(SIMD_FEATURES))), apply_to = function))
#elif defined(SIMD_FEATURES)
/* gcc's generic tuning would stop at vectors of 32 bytes. */
#if SIMD_BYTES == 64
PRAGMA(GCC target(SIMD_FEATURES ",prefer-vector-width=512"))
#else
PRAGMA(GCC target(SIMD_FEATURES))
#endif
#endif

/* A loop vectorises only with all that it calls inlined, of which compilers differ in what they
 * find too much. */
#define INLINE static inline __attribute__((always_inline))

/* In front of a loop of n rounds that is to unroll whole, before arrays that it walks through are
 * given registers: clang does that late where it is told a number. */
#if defined(__clang__)
#define UNROLL(n) PRAGMA(clang loop unroll(full))
#else
#define UNROLL(n) PRAGMA(GCC unroll n)
#endif

#include "../tuning.h"
#include "kernels.h"

#include "vectors.h"
#include "activations.h"
#include "cells.h"
#include "transpose.h"
#include "products.h"
#include "thin.h"
#include "norm.h"
#include "packing.h"
#if REAL_IS_FLOAT
#include "int8.h"
#endif
#include "dropout.h"
#include "softmax.h"
#include "crf.h"
#include "pooling.h"
#include "sums.h"
#include "updates.h"
#include "finite.h"
#include "peak.h"

#if defined(SIMD_FEATURES) && defined(__clang__)
PRAGMA(clang attribute pop)
#endif

static const kernels table = {
    .cell_forward = {
#define CELL_FORWARD(name, ...) {name##_tanh_forward, name##_relu_forward},
        CELLS(CELL_FORWARD)
    },
    .cell_backward = {
#define CELL_BACKWARD(name, ...) {name##_tanh_backward, name##_relu_backward},
        CELLS(CELL_BACKWARD)
    },
    .reset_forward = reset_forward,
    .candidate_backward = {tanh_candidate_backward, relu_candidate_backward},
    .normalize_rows = normalize_rows,
    .normalize_rows_backward = normalize_rows_backward,
    .add_with_gains = add_with_gains,
    .gain_gradients = gain_gradients,
    .normalized_outputs = {tanh_normalized_outputs, relu_normalized_outputs},
    .normalized_slopes = {tanh_normalized_slopes, relu_normalized_slopes},
    .product = product,
    .pack_steps = pack_steps,
    .transposed_product = transposed_product,
    .multiply = multiply,
    .thin_forward = thin_forward,
    .thin_backward = thin_backward,
    .pack_gates = pack_gates,
    .unpack_gates = unpack_gates,
    .pack_rows = pack_rows,
    .keep_larger = keep_larger,
    .attention_score = attention_score,
    .attention_backward = attention_backward,
    .attend = attend,
    .attention_share = attention_share,
    .dot = dot,
    .dropout = dropout,
    .softmax = softmax,
    .chain_open = chain_open,
    .chain_marginals = chain_marginals,
    .chain_close = chain_close,
#if !REAL_IS_FLOAT
    .best_path = best_path,
#endif
    .add = add,
    .add_to_rows = add_to_rows,
    .add_rows = add_rows,
};

#define EXPORT(name, int8)                                                                   \
    extern const simd_isa name;                                                              \
    const simd_isa name = {                                                                  \
        &table,                                                                              \
        int8,                                                                                \
        {.sum_of_squares = sum_of_squares, .penalize = penalize, .scale = scale, .sgd = sgd, \
         .adam = adam},                                                                      \
        all_finite,                                                                          \
        multiply_adds,                                                                       \
        read_numbers,                                                                        \
    };

#if REAL_IS_FLOAT
static const int8_kernels table_int8 = {pack_int8, quantize_rows, int8_product};
EXPORT(JOIN(ISA_NAME, PRECISION_NAME), &table_int8)
#else
EXPORT(JOIN(ISA_NAME, PRECISION_NAME), NULL)
#endif
/* The same unit with other products. */
#if REAL_IS_FLOAT && ISA_IS(ISA) == ISA_IS_AVX512
static const int8_kernels table_int8_vnni = {pack_int8, quantize_rows, int8_product_vnni};
EXPORT(avx512_vnni_float, &table_int8_vnni)
#endif

#endif
