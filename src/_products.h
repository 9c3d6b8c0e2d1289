/* Products with a packed matrix, and the packing. Compiled for every level and precision
 * through _simd.h.
 *
 * BLAS packs its operands at every call, which at some 16 rows costs as much as the
 * product. Here a matrix that stays the same for all steps is packed once:
 *
 *     a packed matrix has K rows; its columns stand in blocks, a block in panels of
 *     PANEL columns (the last one of a block may be narrower), and in a panel row
 *     follows row. So a panel that starts at column c begins at K * c, and a tile's sum
 *     over k reads memory from front to back.
 *
 * A tile is at most 6 rows and 4 vectors of a product, held in registers over the whole
 * sum: with 32 registers 24 sums, 4 vectors of the panel and a broadcast number. With 16
 * registers a tile of more than 3 rows is done in two halves of 2 vectors.
 * Every sum runs over k in order, so that a row's bits depend on no other row. */

#define LANES (SIMD_BYTES / (int)sizeof(real))
#define PANEL (4 * LANES)
#define TILE_ROWS 6
/* Keeps compilers from scatter and gather instructions, which are slower here. */
#define NOT_IN_VECTORS __asm__ volatile("")

#ifndef CYLSTM_PRODUCT_SIZES
#define CYLSTM_PRODUCT_SIZES
#include "_block.h"
enum {
    ROWS_AT_ONCE = 96, /* of A, which stay in cache from panel to panel */
    FAR_APART = 256,    /* numbers from one row to the next */
    ROWS_AHEAD = 8,     /* of weights, on their way into the cache */
    STEPS_AT_ONCE = 64, /* rows of Z that stay in cache from tile to tile */
    ROWS_OF_MULTIPLY = 1024, /* for which a panel is copied once */
    DEPTH = 256, /* terms of a sum between two visits of what they add up to */
    MULTIPLY_SCRATCH = DEPTH * (64 + ROWS_AT_ONCE) /* the widest panel, and columns of A */
};
/* Some columns of a matrix A: A[r, k] = start[r * row + k * step], k < n. */
typedef struct {
    const void *start;
    ptrdiff_t row, step, n;
} product_part;
#endif

typedef real NAME(vec) __attribute__((vector_size(SIMD_BYTES)));
/* The same in memory, at any address. */
typedef real NAME(vec_in_memory)
    __attribute__((vector_size(SIMD_BYTES), aligned(sizeof(real)), may_alias));

static inline ptrdiff_t NAME(at_most)(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

/* Rows and vectors are constants wherever this is inlined; all loops over them unroll. */
static inline __attribute__((always_inline)) void NAME(tile)(
    const int rows, const int vectors, int n_parts, const product_part *parts,
    ptrdiff_t first_row, const real *panel, ptrdiff_t panel_width, real *out,
    ptrdiff_t out_width, int accumulate)
{
    NAME(vec) sum[TILE_ROWS][4];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            if (accumulate)
                sum[r][v] = *(const NAME(vec_in_memory) *)(out + r * out_width + v * LANES);
            else
                sum[r][v] = (NAME(vec)){0};
        }
    for (int p = 0; p < n_parts; p++) {
        const ptrdiff_t row = parts[p].row, step = parts[p].step;
        const real *a = (const real *)parts[p].start + first_row * row;
        for (ptrdiff_t k = 0; k < parts[p].n; k++) {
            NAME(vec) b[4];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                b[v] = *(const NAME(vec_in_memory) *)(panel + v * LANES);
#pragma GCC unroll 6
            for (int r = 0; r < rows; r++) {
                /* A plain broadcast: x - 0 is x, where x + 0 would add. */
                const NAME(vec) x = a[r * row] - (NAME(vec)){0};
#pragma GCC unroll 4
                for (int v = 0; v < vectors; v++)
                    sum[r][v] += x * b[v];
            }
            panel += panel_width;
            a += step;
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            *(NAME(vec_in_memory) *)(out + r * out_width + v * LANES) = sum[r][v];
}

#define TILE(rows, vectors, skip)                                                         \
    NAME(tile)(rows, vectors, n_parts, parts, first_row, panel + (skip) * LANES,          \
               panel_width, out + (skip) * LANES, out_width, accumulate)
#define TILES(rows)                                                                       \
    case rows:                                                                            \
        if (SIMD_REGISTERS < 32 && rows > 3 && vectors > 2) {                             \
            TILE(rows, 2, 0);                                                             \
            if (vectors == 3)                                                             \
                TILE(rows, 1, 2);                                                         \
            else                                                                          \
                TILE(rows, 2, 2);                                                         \
        }                                                                                 \
        else if (vectors == 4)                                                            \
            TILE(rows, 4, 0);                                                             \
        else if (vectors == 3)                                                            \
            TILE(rows, 3, 0);                                                             \
        else if (vectors == 2)                                                            \
            TILE(rows, 2, 0);                                                             \
        else                                                                              \
            TILE(rows, 1, 0);                                                             \
        break;

static void NAME(any_tile)(
    int rows, int vectors, int n_parts, const product_part *parts, ptrdiff_t first_row,
    const real *panel, ptrdiff_t panel_width, real *out, ptrdiff_t out_width,
    int accumulate)
{
    switch (rows) {
        TILES(1)
        TILES(2)
        TILES(3)
        TILES(4)
        TILES(5)
        TILES(6)
    }
}
#undef TILES
#undef TILE

/* Out = A P for the columns from `first` up to `last`, both where blocks start (or the
 * last column). A: n rows, its columns in parts, K together. P: packed, in blocks of
 * `block` columns; what it has beyond `columns`, to a multiple of BLOCK_UNITS, is padding
 * that Out has no place for. */
static void NAME(product)(
    ptrdiff_t n, int n_parts, const product_part *parts, ptrdiff_t K, const real *packed,
    ptrdiff_t block, ptrdiff_t first, ptrdiff_t last, ptrdiff_t columns, real *out,
    ptrdiff_t out_width)
{
    const ptrdiff_t padded = (columns + BLOCK_UNITS - 1) / BLOCK_UNITS * BLOCK_UNITS;
    last = NAME(at_most)(last, columns);
    for (ptrdiff_t row = 0; row < n; row += ROWS_AT_ONCE) {
        const ptrdiff_t end = NAME(at_most)(row + ROWS_AT_ONCE, n);
        ptrdiff_t width;
        for (ptrdiff_t c = first; c < last; c += width) {
            width = NAME(at_most)(PANEL, NAME(at_most)(block - c % block, padded - c));
            const ptrdiff_t wanted = NAME(at_most)(width, columns - c);
            const int vectors = (int)((wanted + LANES - 1) / LANES);
            int rows;
            for (ptrdiff_t r = row; r < end; r += rows) {
                /* Tiles of about equal rows: 8 are 4 and 4, where 2 would wait for b. */
                const ptrdiff_t tiles = (end - r + TILE_ROWS - 1) / TILE_ROWS;
                rows = (int)((end - r + tiles - 1) / tiles);
                if (wanted % LANES == 0) {
                    NAME(any_tile)(rows, vectors, n_parts, parts, r, packed + K * c, width,
                                   out + r * out_width + c, out_width, 0);
                    continue;
                }
                real whole[TILE_ROWS * PANEL];
                NAME(any_tile)(rows, vectors, n_parts, parts, r, packed + K * c, width,
                               whole, PANEL, 0);
                for (int k = 0; k < rows; k++)
                    memcpy(out + (r + k) * out_width + c, whole + k * PANEL,
                           (size_t)wanted * sizeof(real));
            }
        }
    }
}

/* P += A' Z for the columns from `first` up to `last`: A and Z have N rows, those of Z are
 * z_width apart; A's columns (parts with step 1), K together, are the rows of P. */
static void NAME(add_transposed_product)(
    ptrdiff_t N, int n_parts, const product_part *parts, ptrdiff_t K, const real *z,
    ptrdiff_t z_width, real *packed, ptrdiff_t block, ptrdiff_t first, ptrdiff_t last)
{
    ptrdiff_t width;
    for (ptrdiff_t c = first; c < last; c += width) {
        width = NAME(at_most)(PANEL, block - c % block);
        for (ptrdiff_t row = 0; row < N; row += STEPS_AT_ONCE) {
            const ptrdiff_t n = NAME(at_most)(STEPS_AT_ONCE, N - row);
            const real *panel = z + row * z_width + c;
            ptrdiff_t stride = z_width;
            /* Rows far apart, by a power of two as often as not, would push each other out
             * of the cache: 7% of a training step with AVX2 at 256 units. */
            real copied[STEPS_AT_ONCE * PANEL] __attribute__((aligned(64)));
            if (z_width > FAR_APART) {
                for (ptrdiff_t k = 0; k < n; k++)
                    memcpy(copied + k * width, panel + k * z_width,
                           (size_t)width * sizeof(real));
                panel = copied;
                stride = width;
            }
            real *out = packed + K * c;
            for (int p = 0; p < n_parts; p++)
                for (ptrdiff_t k = 0; k < parts[p].n; k += TILE_ROWS) {
                    const int rows = (int)NAME(at_most)(TILE_ROWS, parts[p].n - k);
                    const product_part transposed = {
                        (const real *)parts[p].start + row * parts[p].row, 1, parts[p].row,
                        n};
                    NAME(any_tile)(rows, (int)(width / LANES), 1, &transposed, k, panel,
                                   stride, out, width, 1);
                    out += rows * width;
                }
        }
    }
}

/* Rows `from` to `from + n` of op(B), columns c to c + width, into a panel; beyond `wanted`
 * columns zeros. */
static void NAME(copy_panel)(
    int transpose, ptrdiff_t n, ptrdiff_t width, ptrdiff_t wanted, const real *b,
    ptrdiff_t ldb, ptrdiff_t from, ptrdiff_t c, real *panel)
{
    if (!transpose) {
        for (ptrdiff_t k = 0; k < n; k++)
            memcpy(panel + k * width, b + (from + k) * ldb + c,
                   (size_t)wanted * sizeof(real));
    }
    else {
        for (ptrdiff_t j = 0; j < wanted; j++) {
            const real *column = b + (c + j) * ldb + from;
            for (ptrdiff_t k = 0; k < n; k++) {
                panel[k * width + j] = column[k];
                NOT_IN_VECTORS;
            }
        }
    }
    for (ptrdiff_t k = 0; wanted < width && k < n; k++)
        memset(panel + k * width + wanted, 0, (size_t)(width - wanted) * sizeof(real));
}

/* C (m x n) = op(A) (m x k) op(B) (k x n), row-major as they stand in memory; at least one
 * term. A transposed A is copied 96 columns at a time, B panel by panel, into `scratch` of
 * MULTIPLY_SCRATCH numbers. Every sum runs over k in order, DEPTH terms at a time. */
static void NAME(multiply)(
    int transpose_a, int transpose_b, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const real *a,
    ptrdiff_t lda, const real *b, ptrdiff_t ldb, real *c, ptrdiff_t ldc, real *scratch)
{
    real *const b_panel = scratch, *const a_columns = scratch + DEPTH * PANEL;
    const ptrdiff_t at_once = transpose_a ? ROWS_AT_ONCE : ROWS_OF_MULTIPLY;
    for (ptrdiff_t row = 0; row < m; row += at_once) {
        const ptrdiff_t n_rows = NAME(at_most)(at_once, m - row);
        for (ptrdiff_t from = 0; from < k; from += DEPTH) {
            const ptrdiff_t depth = NAME(at_most)(DEPTH, k - from);
            product_part part = {a + row * lda + from, lda, 1, depth};
            if (transpose_a) {
                for (ptrdiff_t j = 0; j < depth; j++)
                    memcpy(a_columns + j * n_rows, a + (from + j) * lda + row,
                           (size_t)n_rows * sizeof(real));
                part = (product_part){a_columns, 1, n_rows, depth};
            }
            for (ptrdiff_t first = 0; first < n; first += PANEL) {
                const ptrdiff_t wanted = NAME(at_most)(PANEL, n - first);
                const int vectors = (int)((wanted + LANES - 1) / LANES);
                const real *panel = b + from * ldb + first;
                ptrdiff_t width = ldb;
                if (transpose_b || ldb > FAR_APART || wanted % LANES) {
                    width = vectors * LANES;
                    NAME(copy_panel)(transpose_b, depth, width, wanted, b, ldb, from, first,
                                     b_panel);
                    panel = b_panel;
                }
                int rows;
                for (ptrdiff_t r = 0; r < n_rows; r += rows) {
                    const ptrdiff_t tiles = (n_rows - r + TILE_ROWS - 1) / TILE_ROWS;
                    rows = (int)((n_rows - r + tiles - 1) / tiles);
                    real *out = c + (row + r) * ldc + first;
                    if (wanted % LANES == 0) {
                        NAME(any_tile)(rows, vectors, 1, &part, r, panel, width, out, ldc,
                                       from > 0);
                        continue;
                    }
                    real whole[TILE_ROWS * PANEL];
                    NAME(any_tile)(rows, vectors, 1, &part, r, panel, width, whole, PANEL,
                                   0);
                    for (int i = 0; i < rows; i++)
                        for (ptrdiff_t j = 0; j < wanted; j++)
                            out[i * ldc + j] =
                                whole[i * PANEL + j] + (from > 0 ? out[i * ldc + j] : 0);
                }
            }
        }
    }
}

/* Where column c of a block of gates stands in its packed block of K rows. */
static inline ptrdiff_t NAME(column_start)(
    ptrdiff_t K, ptrdiff_t block, ptrdiff_t c, ptrdiff_t *width)
{
    const ptrdiff_t panel = c / PANEL * PANEL;
    *width = NAME(at_most)(PANEL, block - panel);
    return K * panel + c - panel;
}

/* Block b of the packed matrix (K x gates) gets, as its rows from `at` on, the n columns of
 * weights (n_gates * H, n); with `back`, weights gets what stands there. The columns of a
 * block are gate by gate its BLOCK_UNITS units; those beyond H are 0. */
static void NAME(pack_gates)(
    int n_gates, ptrdiff_t H, ptrdiff_t n, real *weights, ptrdiff_t K, ptrdiff_t at,
    real *packed, ptrdiff_t b, int back)
{
    const ptrdiff_t block = n_gates * BLOCK_UNITS;
    packed += K * b * block;
    for (ptrdiff_t from = 0; from < n; from += 64) { /* lines that stay in cache */
        const ptrdiff_t to = NAME(at_most)(from + 64, n);
        for (ptrdiff_t c = 0; c < block; c++) {
            const ptrdiff_t unit = b * BLOCK_UNITS + c % BLOCK_UNITS;
            real *w = weights + (c / BLOCK_UNITS * H + unit) * n;
            ptrdiff_t width;
            real *p = packed + NAME(column_start)(K, block, c, &width) + at * width;
            /* Rows of wide layers are pages apart, beyond what a CPU foresees. */
            for (ptrdiff_t k = from; k < to; k += 64 / (ptrdiff_t)sizeof(real))
                __builtin_prefetch(w + ROWS_AHEAD * n + k);
            if (unit >= H) {
                for (ptrdiff_t k = from; k < to && !back; k++)
                    p[k * width] = 0;
            }
            else if (back) {
                for (ptrdiff_t k = from; k < to; k++) {
                    w[k] = p[k * width];
                    NOT_IN_VECTORS;
                }
            }
            else {
                for (ptrdiff_t k = from; k < to; k++) {
                    p[k * width] = w[k];
                    NOT_IN_VECTORS;
                }
            }
        }
    }
}

/* Block b (of `block` columns) of weights (n_gates * H, n), packed for products with dZ: its
 * rows are in the order of the columns of Z, padding left out. */
static void NAME(pack_rows)(
    int n_gates, ptrdiff_t H, ptrdiff_t n, const real *weights, real *packed,
    ptrdiff_t block, ptrdiff_t b)
{
    const ptrdiff_t padded = (n + BLOCK_UNITS - 1) / BLOCK_UNITS * BLOCK_UNITS;
    const ptrdiff_t end = NAME(at_most)(padded, (b + 1) * block);
    ptrdiff_t width;
    for (ptrdiff_t first = b * block; first < end; first += width) {
        width = NAME(at_most)(PANEL, end - first);
        const ptrdiff_t wanted = NAME(at_most)(width, n - first);
        real *p = packed + n_gates * H * first;
        for (ptrdiff_t start = 0; start < H; start += BLOCK_UNITS)
            for (int gate = 0; gate < n_gates; gate++)
                for (ptrdiff_t unit = start; unit < start + BLOCK_UNITS && unit < H; unit++) {
                    const real *w = weights + (gate * H + unit) * n + first;
                    for (ptrdiff_t c = 0; c < width; c++)
                        p[c] = c < wanted ? w[c] : (real)0;
                    p += width;
                }
    }
}

#undef LANES
#undef PANEL
#undef TILE_ROWS
#undef NOT_IN_VECTORS
