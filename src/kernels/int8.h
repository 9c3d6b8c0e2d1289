/* Products with weights in int8: a quarter of the bytes of float32, which is what a step of one
 * sequence waits for.
 *
 * Weights and rows are symmetric, v = scale * q with q from -127 to 127 and the largest |v| at 127;
 * each column of weights has a scale of its own for each operand (x_t, h_{t-1}), and so has each
 * row of an operand. Sums over q are exact in int32, so that they are the same at every
 * instruction set and in any batch.
 *
 *     z[r, c] = sum over operands of (row scale[r] * column scale[c]) * sum_k x[r, k] w[k, c]
 *
 * The layout is that of the other packed matrices (products.h) with quads in the place of numbers:
 * four rows of a column side by side, those of an operand filled up with zeros to whole quads.
 * Such a dot product of four is one instruction, vpdpbusd, where the CPU has VNNI; it takes
 * x + 128, and sums start at -128 * sum of the column. */

/* Rows of a tile: 16 sums, 4 vectors of the panel and what is left for the dot products, or 8 sums
 * where there are 16 registers. */
#define INT8_ROWS (SIMD_REGISTERS < 32 ? 2 : 4)
_Static_assert(TILE_VECTORS == 4, "any_int8_tile lists these");

typedef int8_t bytes __attribute__((vector_size(SIMD_BYTES)));
typedef int16_t words __attribute__((vector_size(SIMD_BYTES)));
typedef int32_t ints __attribute__((vector_size(SIMD_BYTES)));
typedef int32_t ints_in_memory
    __attribute__((vector_size(SIMD_BYTES), aligned(4), may_alias));

static inline ptrdiff_t in_quads(ptrdiff_t n) { return (n + 3) / 4 * 4; }

/* -- Quantize -- */

/* Vectors whose largest number is less are zeros, so that nothing overflows. */
#define TINY 0x1p-100f

/* The scale of n numbers, and twice its inverse. Absolute floats compare as integers, NaN as the
 * largest. */
static real find_scale(ptrdiff_t n, const real *x, real *twice_inverse)
{
    int32_t largest = 0;
    real size;
    for (ptrdiff_t k = 0; k < n; k++) {
        int32_t bits;
        memcpy(&bits, x + k, sizeof(bits));
        bits &= 0x7fffffff;
        largest = bits > largest ? bits : largest;
    }
    memcpy(&size, &largest, sizeof(size));
    if (size < TINY) {
        *twice_inverse = 0;
        return 1;
    }
    *twice_inverse = 254 / size;
    return size / 127;
}

/* n numbers divided by their scale, with zeros up to whole quads. Halves are rounded away from
 * zero, in integers: a product that is fused with an addition would round differently from one
 * instruction set to the next. */
static void quantize(ptrdiff_t n, const real *x, real twice_inverse, int8_t *restrict out)
{
    for (ptrdiff_t k = 0; k < n; k++) {
        const int32_t twice = (int32_t)(x[k] * twice_inverse);
        out[k] = (int8_t)((twice + 1 + (twice >> 31)) >> 1);
    }
    memset(out + n, 0, (size_t)(in_quads(n) - n));
}

static void quantize_rows(ptrdiff_t n_rows, ptrdiff_t n, const real *x, const int8_rows *out)
{
    for (ptrdiff_t r = 0; r < n_rows; r++) {
        real twice_inverse;
        out->scales[r] = find_scale(n, x + r * n, &twice_inverse);
        quantize(n, x + r * n, twice_inverse, out->values + r * out->depth);
    }
}

/* One column of a panel; return the sum of its weights. */
static int32_t pack_int8_column(
    ptrdiff_t n, const real *weights, real twice_inverse, int8_t *p, ptrdiff_t width)
{
    int8_t some[INT8_AT_ONCE];
    int32_t sum = 0;
    for (ptrdiff_t start = 0; start < n; start += INT8_AT_ONCE) {
        const ptrdiff_t there = min_of(n - start, INT8_AT_ONCE), padded = in_quads(there);
        quantize(there, weights + start, twice_inverse, some);
        for (ptrdiff_t k = 0; k < padded; k++)
            sum += some[k];
        for (ptrdiff_t k = 0; k < padded; k += 4)
            memcpy(p + (start + k) * width, some + k, 4);
    }
    return sum;
}

/* Block b of packed columns, as pack_gates (packing.h) has it: of an operand of n numbers whose
 * quads start at row `at` of `depth`. Scales and offsets of the operand are in the order of the
 * columns. */
static void pack_int8(
    const gate_shape *shape, ptrdiff_t n, const real *weights, ptrdiff_t depth, ptrdiff_t at,
    const int8_columns *packed, ptrdiff_t b)
{
    const ptrdiff_t units = block_units(shape, b), first = b * shape->units;
    const ptrdiff_t n_columns = units * shape->n_gates, start = first * shape->n_gates;
    for (ptrdiff_t c = 0; c < n_columns; c++) {
        const ptrdiff_t gate = c / units, unit = first + c % units;
        const int there = shape->stacked[gate] >= 0 && unit < shape->H;
        const ptrdiff_t panel = c / PANEL * PANEL, width = min_of(PANEL, n_columns - panel);
        int8_t *p = packed->quads + depth * (start + panel) + at * width + 4 * (c - panel);
        real twice_inverse = 0, scale = 1;
        int32_t sum = 0;
        if (there) {
            const real *w = weights + (shape->stacked[gate] * shape->H + unit) * n;
            scale = find_scale(n, w, &twice_inverse);
            sum = pack_int8_column(n, w, twice_inverse, p, width);
        }
        else
            for (ptrdiff_t k = 0; k < n; k += 4)
                memset(p + k * width, 0, 4);
        packed->scales[start + c] = scale;
        packed->offsets[start + c] = -128 * sum;
    }
}

/* -- Multiply -- */

/* What a dot product takes of four numbers of a row, in every lane. */
typedef struct {
    ints first, second;
} spread_quad;

INLINE spread_quad spread(const int vnni, int32_t four)
{
    const ints x = four - (ints){0};
    if (vnni) /* x + 128 */
        return (spread_quad){x ^ (int32_t)0x80808080, x};
#if SIMD_BYTES > 16
    /* |x|, and all ones where x is negative */
    const bytes negative = (bytes)x < 0;
    return (spread_quad){(ints)(((bytes)x ^ negative) - negative), (ints)negative};
#else
    /* even and odd numbers as words */
    return (spread_quad){(ints)(((words)x << 8) >> 8), (ints)((words)x >> 8)};
#endif
}

/* Lane by lane sum + the dot product of four: of x, as spread, and w. */
INLINE ints add_dot(const int vnni, ints sum, spread_quad x, ints w)
{
#if SIMD_BYTES > 16
    /* In assembler: the names of builtins differ among compilers, and with them VNNI would need
     * functions of another target. */
    if (vnni) {
        __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x.first), "v"(w));
        return sum;
    }
    /* |x| times w with the sign of x; 2 * 127^2 fits in a word. */
    const bytes negative = (bytes)x.second;
    const bytes signed_w = ((bytes)w ^ negative) - negative;
    ints dot;
    __asm__("vpmaddubsw %2, %1, %0" : "=v"(dot) : "v"(x.first), "v"(signed_w));
    __asm__("vpmaddwd %2, %1, %0" : "=v"(dot) : "v"(dot), "v"((words){0} + 1));
    return sum + dot;
#else
    const words even = ((words)w << 8) >> 8, odd = (words)w >> 8;
    const ints pairs = (ints)(even * (words)x.first + odd * (words)x.second);
    (void)vnni;
    return sum + ((pairs << 16) >> 16) + (pairs >> 16);
#endif
}

/* Rows and vectors are constants wherever this is inlined. */
INLINE void int8_tile(
    const int vnni, const int rows, const int vectors, int n_parts, const int8_rows *parts,
    ptrdiff_t first_row, const int8_t *panel, ptrdiff_t width, const int8_columns *columns,
    ptrdiff_t at, ptrdiff_t n_columns, real *out, int accumulate)
{
    for (int p = 0; p < n_parts; p++) {
        const ptrdiff_t depth = parts[p].depth;
        const int8_t *x = parts[p].values + first_row * depth;
        const real *scales = columns->scales + p * n_columns + at;
        const int32_t *offsets = columns->offsets + p * n_columns + at;
        ints sum[INT8_ROWS][TILE_VECTORS];
UNROLL(4)
        for (int r = 0; r < rows; r++)
UNROLL(4)
            for (int v = 0; v < vectors; v++) {
                if (vnni)
                    sum[r][v] = *(const ints_in_memory *)(offsets + v * VECTOR_SIZE);
                else
                    sum[r][v] = (ints){0};
            }
        for (ptrdiff_t k = 0; k < depth; k += 4) {
            ints w[TILE_VECTORS];
UNROLL(4)
            for (int v = 0; v < vectors; v++)
                w[v] = *(const ints_in_memory *)(panel + v * SIMD_BYTES);
UNROLL(4)
            for (int r = 0; r < rows; r++) {
                int32_t four;
                memcpy(&four, x + r * depth + k, sizeof(four));
                const spread_quad quad = spread(vnni, four);
UNROLL(4)
                for (int v = 0; v < vectors; v++)
                    sum[r][v] = add_dot(vnni, sum[r][v], quad, w[v]);
            }
            panel += 4 * width;
        }
UNROLL(4)
        for (int r = 0; r < rows; r++)
UNROLL(4)
            for (int v = 0; v < vectors; v++) {
                vec_in_memory *z = (vec_in_memory *)(out + r * n_columns + v * VECTOR_SIZE);
                const vec scale = parts[p].scales[first_row + r] *
                                  *(const vec_in_memory *)(scales + v * VECTOR_SIZE);
                vec term = __builtin_convertvector(sum[r][v], vec) * scale;
                ROUND_PRODUCT(term);
                if (p > 0 || accumulate)
                    term += *z;
                *z = term;
            }
    }
}

#define INT8_TILE(rows, vectors)                                                            \
    case 4 * (rows) + (vectors):                                                            \
        int8_tile(vnni, rows, vectors, n_parts, parts, first_row, panel, width, columns, c, \
                  n_columns, z, accumulate);                                                \
        break;
#define INT8_TILES(rows) \
    INT8_TILE(rows, 1) INT8_TILE(rows, 2) INT8_TILE(rows, 3) INT8_TILE(rows, 4)

INLINE void any_int8_tile(
    const int vnni, int rows, int vectors, int n_parts, const int8_rows *parts,
    ptrdiff_t first_row, const int8_t *panel, ptrdiff_t width, const int8_columns *columns,
    ptrdiff_t c, ptrdiff_t n_columns, real *z, int accumulate)
{
    switch (4 * rows + vectors) {
        INT8_TILES(1)
        INT8_TILES(2)
#if SIMD_REGISTERS >= 32
        INT8_TILES(3)
        INT8_TILES(4)
#endif
    }
}
#undef INT8_TILES
#undef INT8_TILE

/* Z (n x n_columns) for the columns from `first` to `last`, which are starts of blocks of `block`
 * columns, or beyond the last one. The columns have `depth` rows, the operands those from
 * `row_of_p` on; Z has the sums over those before, if there are any. */
INLINE void multiply_int8(
    const int vnni, ptrdiff_t n, int n_parts, const int8_rows *parts, ptrdiff_t depth,
    ptrdiff_t row_of_p, const int8_columns *columns, ptrdiff_t block, ptrdiff_t first,
    ptrdiff_t last, ptrdiff_t n_columns, real *z)
{
    ptrdiff_t width;
    last = min_of(last, n_columns);
    for (ptrdiff_t c = first; c < last; c += width) {
        width = min_of(PANEL, min_of(block - c % block, n_columns - c));
        int rows;
        for (ptrdiff_t r = 0; r < n; r += rows) {
            const ptrdiff_t tiles = (n - r + INT8_ROWS - 1) / INT8_ROWS;
            rows = (int)((n - r + tiles - 1) / tiles);
            any_int8_tile(vnni, rows, (int)(width / VECTOR_SIZE), n_parts, parts, r,
                          columns->quads + depth * c + row_of_p * width, width, columns, c,
                          n_columns, z + r * n_columns + c, row_of_p > 0);
        }
    }
}

#define INT8_PRODUCT(name, vnni)                                                             \
    static void name(                                                                        \
        ptrdiff_t n, int n_parts, const int8_rows *parts, ptrdiff_t depth,                   \
        ptrdiff_t row_of_p, const int8_columns *columns, ptrdiff_t block, ptrdiff_t first,   \
        ptrdiff_t last, ptrdiff_t n_columns, real *z)                                        \
    {                                                                                        \
        multiply_int8(vnni, n, n_parts, parts, depth, row_of_p, columns, block, first, last, \
                      n_columns, z);                                                         \
    }

INT8_PRODUCT(int8_product, 0)
#if ISA_IS(ISA) == ISA_IS_AVX512
INT8_PRODUCT(int8_product_vnni, 1)
#endif
#undef INT8_PRODUCT
