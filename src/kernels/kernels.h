/* The kernels of one instruction set in one precision, as the network calls them. */
#ifndef CYLSTM_KERNELS
#define CYLSTM_KERNELS

#include <stddef.h>
#include <stdint.h>

#include "blocks.h"
#include "cell_table.h"
#include "real.h"

/* Some columns of a matrix A: A[r, k] = start[r * row + k * step], k < n; and as many more times
 * as `repeats` says as many columns, each time `apart` numbers further on. */
typedef struct {
    const real *start;
    ptrdiff_t row, step, n;
    ptrdiff_t repeats, apart;
} columns;

/* The most parts of a product's left operand: of dL/dz the whole blocks, and each gate of the last
 * one. */
enum { MAX_PARTS = 1 + MAX_GATES };

/* Of the n gates of each block those from `first` to `last`. */
typedef struct {
    ptrdiff_t first, last, n;
} gate_range;

#define ALL_GATES ((gate_range){0, 1, 1})

/* Rows of a packed matrix that multiply one operand, and the gates that see it. */
typedef struct {
    ptrdiff_t at, n;
    gate_range seen;
} packed_rows;

/* Rows of a matrix in int8: values times the scale of their row. */
typedef struct {
    int8_t *values;  /* (n, depth) */
    real *scales;    /* (n,) */
    ptrdiff_t depth; /* in whole quads */
} int8_rows;

/* Packed columns in int8, of several operands: of all of them the quads, of those from some operand
 * on the rest. */
typedef struct {
    int8_t *quads;    /* (depth, columns) */
    real *scales;     /* (operands, columns) */
    int32_t *offsets; /* (operands, columns) -128 times the sum of a column */
} int8_columns;

/* How the rows of a weight matrix, gate by gate H units, become packed columns. */
typedef struct {
    int n_gates;
    const signed char *stacked; /* each gate's place among the rows, or -1 without */
    ptrdiff_t H;
    ptrdiff_t units;            /* of a block */
} gate_shape;

/* A linear chain over K labels, and what its kernels work in. Rows of memory are W numbers apart: K
 * in whole vectors of every instruction set. */
typedef struct {
    ptrdiff_t K, W;
    const real *transitions;   /* (K, K) from a label to the next */
    const real *start, *end;   /* (K,) */
    real highest;              /* of the transitions */
    real *factors, *transposed; /* (K, W) exp(transitions - highest), and their transpose */
    real *alphas;              /* (T, W) */
    real *rows;                /* (CHAIN_ROWS, W) */
    real *scores;              /* (T, W) the caller's, of one sequence */
    /* In training: gradients of the transitions, to be multiplied by the factors, and those that
     * need no factor. */
    real *pairs;               /* (K, W), or NULL */
    real *dtransitions;        /* (K, K) */
} chain;

/* Numbers of a row that stand side by side: n of them, first at `at`, whose gains start at `gain`;
 * and as many more times as `repeats` says as many, each time `apart` numbers further on in both. */
typedef struct {
    ptrdiff_t at, gain, n;
    ptrdiff_t repeats, apart;
} run;

/* kernels/cells.h */
typedef void cell_forward_kernel(
    ptrdiff_t n, ptrdiff_t H, ptrdiff_t width, ptrdiff_t first, ptrdiff_t last,
    const real *bias, const real *peephole, real *gates, const real *c_prev, real *c,
    real *phi_c, real *h);
typedef void cell_backward_kernel(
    ptrdiff_t n, ptrdiff_t H, ptrdiff_t width, ptrdiff_t first, ptrdiff_t last,
    real by_h, const real *peephole, real *gates, const real *c_prev, const real *c,
    const real *phi_c, const real *drh, const real *dy, real *dh, real *dc, real *dbias,
    real *dpeephole);

typedef struct {
    /* by cell and activation (0 tanh, 1 relu) */
    cell_forward_kernel *cell_forward[N_CELLS][2];
    cell_backward_kernel *cell_backward[N_CELLS][2];
    void (*reset_forward)(
        ptrdiff_t n, ptrdiff_t H, ptrdiff_t width, ptrdiff_t first, ptrdiff_t last,
        const real *bias, const real *gates, const real *h_prev, real *rh);
    void (*candidate_backward[2])(
        ptrdiff_t n, ptrdiff_t H, ptrdiff_t width, ptrdiff_t first, ptrdiff_t last,
        const real *gates, const real *dy, const real *dh, const real *dc, real *dn);
    /* kernels/norm.h */
    void (*normalize_rows)(
        ptrdiff_t n_rows, ptrdiff_t stride, int n_runs, const run *runs, real *a, real *rstd);
    void (*normalize_rows_backward)(
        ptrdiff_t n_rows, ptrdiff_t stride, int n_runs, const run *runs, const real *gains,
        const real *rstd, const real *d, const real *xhat, real *da);
    void (*add_with_gains)(
        ptrdiff_t n_rows, ptrdiff_t stride, int n_runs, const run *runs, const real *gains,
        const real *xhat, real *z);
    void (*gain_gradients)(
        ptrdiff_t n_rows, ptrdiff_t stride, int n_runs, const run *runs, const real *d,
        const real *xhat, real *dgains, real *dbias);
    void (*normalized_outputs[2])(
        ptrdiff_t n, ptrdiff_t H, ptrdiff_t width, ptrdiff_t n_gates, const real *gain,
        const real *bias, const real *gates, const real *chat, real *phi_c, real *h);
    void (*normalized_slopes[2])(
        ptrdiff_t n, ptrdiff_t H, ptrdiff_t width, ptrdiff_t n_gates, const real *gates,
        const real *phi_c, const real *dy, const real *dh, real *d);
    /* kernels/products.h */
    void (*product)(
        ptrdiff_t n, int n_parts, const columns *parts, ptrdiff_t depth, ptrdiff_t row_of_p,
        int accumulate, gate_range seen, const real *packed, ptrdiff_t block, ptrdiff_t first,
        ptrdiff_t last, ptrdiff_t n_columns, real *out, ptrdiff_t out_width);
    void (*pack_steps)(
        ptrdiff_t n, ptrdiff_t first, ptrdiff_t last, int n_parts, const columns *parts,
        real *packed);
    void (*transposed_product)(
        ptrdiff_t n, int n_parts, const packed_rows *rows, ptrdiff_t depth, const real *a,
        const real *z, ptrdiff_t z_width, real *packed, ptrdiff_t block, ptrdiff_t first,
        ptrdiff_t last, int accumulate, real *scratch);
    void (*multiply)(
        int transpose_a, int transpose_b, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k,
        const real *a, ptrdiff_t lda, const real *b, ptrdiff_t ldb, real *c, ptrdiff_t ldc,
        real *scratch);
    /* kernels/thin.h */
    void (*thin_forward)(
        ptrdiff_t M, ptrdiff_t K, ptrdiff_t D, const real *features, const real *weights,
        const real *bias, real *scores);
    void (*thin_backward)(
        ptrdiff_t M, ptrdiff_t K, ptrdiff_t D, const real *features, const real *weights,
        const real *dscores, real *dfeatures, real *dweights);
    real (*dot)(ptrdiff_t n, const real *a, const real *b);
    /* kernels/packing.h */
    void (*pack_gates)(
        const gate_shape *shape, ptrdiff_t n, const real *weights, ptrdiff_t depth,
        ptrdiff_t at, real *packed, ptrdiff_t b);
    void (*unpack_gates)(
        const gate_shape *shape, ptrdiff_t n, real *weights, ptrdiff_t depth, ptrdiff_t at,
        const real *packed, ptrdiff_t b, int accumulate);
    void (*pack_rows)(
        const gate_shape *shape, ptrdiff_t n, const real *weights, real *packed,
        ptrdiff_t block, ptrdiff_t b);
    /* kernels/pooling.h */
    void (*keep_larger)(
        ptrdiff_t n, int first, ptrdiff_t step, const real *x, real *best, ptrdiff_t *found);
    real (*attention_score)(ptrdiff_t n, const real *a, const real *v, real *u);
    void (*attention_backward)(
        ptrdiff_t n, real dscore, const real *v, real *u, real *da, real *dv);
    void (*attend)(ptrdiff_t n, real score, const real *y, real *state);
    real (*attention_share)(real score, const real *state);
    /* kernels/dropout.h, kernels/softmax.h */
    void (*dropout)(ptrdiff_t n, real *x, uint64_t key, double rate);
    double (*softmax)(ptrdiff_t K, real *scores, ptrdiff_t label, double weight);
    /* kernels/crf.h */
    void (*chain_open)(chain *c);
    double (*chain_marginals)(
        const chain *c, ptrdiff_t T, real *scores, int logs, double weight);
    void (*chain_close)(const chain *c);
    void (*best_path)(
        const chain *c, ptrdiff_t T, const real *scores, int64_t *labels); /* in double alone */
    /* kernels/sums.h */
    void (*add)(ptrdiff_t n, const real *x, real *out);
    void (*add_to_rows)(ptrdiff_t n_rows, ptrdiff_t n, const real *x, real *out);
    void (*add_rows)(ptrdiff_t n_rows, ptrdiff_t n, const real *x, real *out);
} kernels;

/* kernels/int8.h, in float alone */
typedef struct {
    void (*pack)(
        const gate_shape *shape, ptrdiff_t n, const real *weights, ptrdiff_t depth,
        ptrdiff_t at, const int8_columns *packed, ptrdiff_t b);
    void (*quantize_rows)(ptrdiff_t n_rows, ptrdiff_t n, const real *x, const int8_rows *out);
    void (*product)(
        ptrdiff_t n, int n_parts, const int8_rows *parts, ptrdiff_t depth, ptrdiff_t row_of_p,
        const int8_columns *columns, ptrdiff_t block, ptrdiff_t first, ptrdiff_t last,
        ptrdiff_t n_columns, real *z);
} int8_kernels;

#endif
