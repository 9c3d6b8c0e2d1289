/* Weights into the layout of packed matrices (products.h), gradients back.
 *
 * A gate that does not see an operand has no rows in its weights, and zeros in the packed
 * columns. */

/* Units of block b: the last one has what is left, padded. */
static inline ptrdiff_t block_units(const gate_shape *shape, ptrdiff_t b)
{
    const ptrdiff_t padded = (shape->H + BLOCK_UNITS - 1) / BLOCK_UNITS * BLOCK_UNITS;
    return min_of(shape->units, padded - b * shape->units);
}

/* Column c of block b, whose columns are gate by gate its `units` units: where it starts in the
 * packed matrix, how far apart its numbers are there, and where its row of weights starts (-1
 * for a gate without weights, and for the padding: units beyond H). */
typedef struct {
    ptrdiff_t packed, width, weights;
} gate_column;

static inline gate_column find_column(
    const gate_shape *shape, ptrdiff_t n, ptrdiff_t depth, ptrdiff_t b, ptrdiff_t c)
{
    const ptrdiff_t panel = c / PANEL * PANEL;
    const ptrdiff_t units = block_units(shape, b);
    const ptrdiff_t unit = b * shape->units + c % units;
    const ptrdiff_t gate = shape->stacked[c / units];
    return (gate_column){
        depth * (b * shape->units * shape->n_gates + panel) + c - panel,
        min_of(PANEL, units * shape->n_gates - panel),
        unit < shape->H && gate >= 0 ? (gate * shape->H + unit) * n : -1};
}

/* Block b of a packed matrix (depth x gates): its rows from `at` on become the n columns of
 * weights (gates that see the operand * H, n). */
static void pack_gates(
    const gate_shape *shape, ptrdiff_t n, const real *weights, ptrdiff_t depth, ptrdiff_t at,
    real *packed, ptrdiff_t b)
{
    const ptrdiff_t n_columns = shape->n_gates * block_units(shape, b);
    for (ptrdiff_t from = 0; from < n; from += WEIGHTS_AT_ONCE) {
        const ptrdiff_t to = min_of(from + WEIGHTS_AT_ONCE, n);
        for (ptrdiff_t c = 0; c < n_columns; c++) {
            const gate_column column = find_column(shape, n, depth, b, c);
            const ptrdiff_t width = column.width;
            real *p = packed + column.packed + at * width;
            if (column.weights < 0) {
                for (ptrdiff_t k = from; k < to; k++)
                    p[k * width] = 0;
                continue;
            }
            const real *w = weights + column.weights;
            for (ptrdiff_t k = from; k < to; k += CACHE_LINE / (ptrdiff_t)sizeof(real))
                __builtin_prefetch(w + ROWS_AHEAD * n + k);
            for (ptrdiff_t k = from; k < to; k++) {
                p[k * width] = w[k];
                NOT_IN_VECTORS;
            }
        }
    }
}

/* The reverse, for gradients; with `accumulate` they are added to what is there. */
static void unpack_gates(
    const gate_shape *shape, ptrdiff_t n, real *weights, ptrdiff_t depth, ptrdiff_t at,
    const real *packed, ptrdiff_t b, int accumulate)
{
    const ptrdiff_t n_columns = shape->n_gates * block_units(shape, b);
    for (ptrdiff_t from = 0; from < n; from += WEIGHTS_AT_ONCE) {
        const ptrdiff_t to = min_of(from + WEIGHTS_AT_ONCE, n);
        for (ptrdiff_t c = 0; c < n_columns; c++) {
            const gate_column column = find_column(shape, n, depth, b, c);
            if (column.weights < 0)
                continue;
            const ptrdiff_t width = column.width;
            const real *p = packed + column.packed + at * width;
            real *w = weights + column.weights;
            for (ptrdiff_t k = from; k < to; k += CACHE_LINE / (ptrdiff_t)sizeof(real))
                __builtin_prefetch(w + ROWS_AHEAD * n + k);
            for (ptrdiff_t k = from; k < to; k++) {
                w[k] = (accumulate ? w[k] : (real)0) + p[k * width];
                NOT_IN_VECTORS;
            }
        }
    }
}

/* Block b (of `block` columns) of weights (gates that see the operand * H, n), packed for
 * products with dL/dz: its rows are in the order of the columns of Z without their padding. */
static void pack_rows(
    const gate_shape *shape, ptrdiff_t n, const real *weights, real *packed, ptrdiff_t block,
    ptrdiff_t b)
{
    const ptrdiff_t H = shape->H;
    const int n_gates = shape->n_gates;
    const ptrdiff_t padded = (n + BLOCK_UNITS - 1) / BLOCK_UNITS * BLOCK_UNITS;
    const ptrdiff_t end = min_of(padded, (b + 1) * block);
    ptrdiff_t width;
    for (ptrdiff_t first = b * block; first < end; first += width) {
        width = min_of(PANEL, end - first);
        const ptrdiff_t wanted = min_of(width, n - first);
        real *p = packed + n_gates * H * first;
        for (ptrdiff_t start = 0; start < H; start += BLOCK_UNITS)
            for (int gate = 0; gate < n_gates; gate++)
                for (ptrdiff_t unit = start; unit < min_of(start + BLOCK_UNITS, H); unit++) {
                    const int stacked = shape->stacked[gate] < 0 ? 0 : shape->stacked[gate];
                    const ptrdiff_t there = shape->stacked[gate] < 0 ? 0 : wanted;
                    const real *w = weights + (stacked * H + unit) * n + first;
                    for (ptrdiff_t c = 0; c < width; c++)
                        p[c] = c < there ? w[c] : (real)0;
                    p += width;
                }
    }
}

#undef NOT_IN_VECTORS
