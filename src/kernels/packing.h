/* Weights into the layout of packed matrices (products.h), gradients back.
 *
 * A gate that does not see an operand has no rows in its weights, and zeros in the packed
 * columns. */

/* Units of block b that have columns: the last one has what is left. */
static inline ptrdiff_t block_units(const gate_shape *shape, ptrdiff_t b)
{
    const ptrdiff_t all = units_with_columns(shape->H, shape->n_gates);
    return min_of(shape->units, all - b * shape->units);
}

/* How many of n units from `unit` on a gate has weights for. */
static inline ptrdiff_t units_there(
    const gate_shape *shape, ptrdiff_t gate, ptrdiff_t unit, ptrdiff_t n)
{
    if (shape->stacked[gate] < 0 || unit >= shape->H)
        return 0;
    return min_of(n, shape->H - unit);
}

/* Where column c of a block of n_columns starts in it, and how far apart its numbers are. */
static inline ptrdiff_t column_start(
    ptrdiff_t depth, ptrdiff_t n_columns, ptrdiff_t c, ptrdiff_t *width)
{
    const ptrdiff_t panel = c / PANEL * PANEL;
    *width = min_of(PANEL, n_columns - panel);
    return depth * panel + c - panel;
}

/* Block b of a packed matrix (depth x gates): its rows from `at` on hold the n columns of weights
 * (gates that see the operand * H, n), transposed. The columns of a block are gate by gate its
 * units, in each panel as many as fit; those of padding, units beyond H, are zeros. */
static void pack_gates(
    const gate_shape *shape, ptrdiff_t n, const real *weights, ptrdiff_t depth, ptrdiff_t at,
    real *packed, ptrdiff_t b)
{
    const ptrdiff_t units = block_units(shape, b), first = b * shape->units;
    packed += depth * first * shape->n_gates;
    for (ptrdiff_t gate = 0; gate < shape->n_gates; gate++)
        for (ptrdiff_t unit = 0, n_units; unit < units; unit += n_units) {
            const ptrdiff_t c = gate * units + unit;
            ptrdiff_t width;
            real *p = packed + column_start(depth, units * shape->n_gates, c, &width);
            n_units = min_of(units - unit, PANEL - c % PANEL);
            const ptrdiff_t there = units_there(shape, gate, first + unit, n_units);
            p += at * width;
            if (there > 0)
                transpose_weights(
                    n, there, weights + (shape->stacked[gate] * shape->H + first + unit) * n, n,
                    p, width);
            for (ptrdiff_t k = 0; k < n && there < n_units; k++)
                for (ptrdiff_t j = there; j < n_units; j++)
                    p[k * width + j] = 0;
        }
}

/* The reverse, for gradients; with `accumulate` they are added to what is there. */
static void unpack_gates(
    const gate_shape *shape, ptrdiff_t n, real *weights, ptrdiff_t depth, ptrdiff_t at,
    const real *packed, ptrdiff_t b, int accumulate)
{
    const ptrdiff_t units = block_units(shape, b), first = b * shape->units;
    packed += depth * first * shape->n_gates;
    for (ptrdiff_t gate = 0; gate < shape->n_gates; gate++)
        for (ptrdiff_t unit = 0, n_units; unit < units; unit += n_units) {
            const ptrdiff_t c = gate * units + unit;
            ptrdiff_t width;
            const real *p = packed + column_start(depth, units * shape->n_gates, c, &width);
            n_units = min_of(units - unit, PANEL - c % PANEL);
            const ptrdiff_t there = units_there(shape, gate, first + unit, n_units);
            if (there > 0)
                transpose_gradients(
                    n, there, weights + (shape->stacked[gate] * shape->H + first + unit) * n,
                    p + at * width, width, accumulate);
        }
}

/* Block b (of `block` columns) of weights (gates that see the operand * H, n), packed for
 * products with dL/dz: its rows are in the order of the columns of Z, of the gates that see the
 * operand and without padding. */
static void pack_rows(
    const gate_shape *shape, ptrdiff_t n, const real *weights, real *packed, ptrdiff_t block,
    ptrdiff_t b)
{
    const ptrdiff_t H = shape->H;
    const ptrdiff_t padded = (n + BLOCK_UNITS - 1) / BLOCK_UNITS * BLOCK_UNITS;
    const ptrdiff_t end = min_of(padded, (b + 1) * block);
    ptrdiff_t width, n_seeing = 0;
    for (int gate = 0; gate < shape->n_gates; gate++)
        n_seeing += shape->stacked[gate] >= 0;
    for (ptrdiff_t first = b * block; first < end; first += width) {
        width = min_of(PANEL, end - first);
        const ptrdiff_t wanted = min_of(width, n - first);
        real *p = packed + n_seeing * H * first;
        for (ptrdiff_t start = 0; start < H; start += BLOCK_UNITS)
            for (int gate = 0; gate < shape->n_gates; gate++)
                for (ptrdiff_t unit = start;
                     shape->stacked[gate] >= 0 && unit < min_of(start + BLOCK_UNITS, H); unit++) {
                    const real *w = weights + (shape->stacked[gate] * H + unit) * n + first;
                    for (ptrdiff_t c = 0; c < width; c++)
                        p[c] = c < wanted ? w[c] : (real)0;
                    p += width;
                }
    }
}
