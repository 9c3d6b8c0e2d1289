/* Matrix products in tiles held in registers.
 *
 * BLAS packs its operands at every call, which for the 8 to 16 rows of a shard's step costs as
 * much as the product. Here a matrix that stays the same for all steps is packed once
 * (packing.h):
 *
 *     a packed matrix of some depth (its rows) has its columns in blocks, a block in panels of
 *     PANEL columns (the last panel of a block may be narrower), and within a panel row follows
 *     row. A panel that starts at column c starts at depth * c, and the sum of a tile reads
 *     memory from front to back.
 *
 * A tile is at most 6 rows by 4 vectors of a product, held in registers over the whole sum:
 * with 32 registers 24 sums, 4 vectors of the panel and a broadcast number. With 16 registers
 * a tile of more than 3 rows is done in two halves of 2 vectors. Every sum runs over its terms
 * in order, so that the bits of a row depend on no other row; that it is left in memory after some
 * terms and goes on from there changes none. */

#define PANEL (TILE_VECTORS * VECTOR_SIZE)
#define NUMBERS_OF_LINE (CACHE_LINE / (ptrdiff_t)sizeof(real))

_Static_assert(TILE_ROWS == 6 && TILE_VECTORS == 4, "any_tile lists these");
_Static_assert(PANEL <= WIDEST_PANEL, "scratch holds a panel");
_Static_assert(BLOCK_UNITS % VECTOR_SIZE == 0, "a block is whole vectors");
_Static_assert(HEAD_BLOCK % BLOCK_UNITS == 0, "a block of the head is whole blocks");

/* Rows, vectors and `fetch` are constants wherever this is inlined; all loops over them unroll.
 * With `fetch` each term also fetches a cache line of what is multiplied after this panel, from
 * `ahead` on. */
INLINE void tile(
    const int rows, const int vectors, const int fetch, int n_parts, const columns *parts,
    ptrdiff_t first_row, const real *panel, ptrdiff_t panel_width, real *out,
    ptrdiff_t out_width, int accumulate, const real *ahead)
{
    vec sum[TILE_ROWS][TILE_VECTORS];
UNROLL(6)
    for (int r = 0; r < rows; r++)
UNROLL(4)
        for (int v = 0; v < vectors; v++) {
            if (accumulate)
                sum[r][v] = *(const vec_in_memory *)(out + r * out_width + v * VECTOR_SIZE);
            else
                sum[r][v] = (vec){0};
        }
    for (int p = 0; p < n_parts; p++) {
        const ptrdiff_t row = parts[p].row, step = parts[p].step, n = parts[p].n;
        const ptrdiff_t gap = parts[p].apart - n * step;
        const real *a = parts[p].start + first_row * row;
        for (ptrdiff_t repeat = 0; repeat <= parts[p].repeats; repeat++, a += gap)
            for (ptrdiff_t k = 0; k < n; k++) {
                vec b[TILE_VECTORS];
                if (fetch) {
                    __builtin_prefetch(ahead, 0, 2); /* into the second-level cache */
                    ahead += NUMBERS_OF_LINE;
                }
UNROLL(4)
                for (int v = 0; v < vectors; v++)
                    b[v] = *(const vec_in_memory *)(panel + v * VECTOR_SIZE);
UNROLL(6)
                for (int r = 0; r < rows; r++) {
                    /* A plain broadcast: x - 0 is x, where x + 0 would add. */
                    const vec x = a[r * row] - (vec){0};
UNROLL(4)
                    for (int v = 0; v < vectors; v++)
                        sum[r][v] += x * b[v];
                }
                panel += panel_width;
                a += step;
            }
    }
UNROLL(6)
    for (int r = 0; r < rows; r++)
UNROLL(4)
        for (int v = 0; v < vectors; v++)
            *(vec_in_memory *)(out + r * out_width + v * VECTOR_SIZE) = sum[r][v];
}

#define TILE(rows, vectors, fetch, skip)                                                  \
    tile(rows, vectors, fetch, n_parts, parts, first_row, panel + (skip) * VECTOR_SIZE,   \
         panel_width, out + (skip) * VECTOR_SIZE, out_width, accumulate, ahead)
#define TILES(rows)                                                                       \
    case rows:                                                                            \
        if (SIMD_REGISTERS < 32 && rows > 3 && vectors > 2) {                             \
            TILE(rows, 2, 0, 0);                                                          \
            if (vectors == 3)                                                             \
                TILE(rows, 1, 0, 2);                                                      \
            else if (ahead)                                                               \
                TILE(rows, 2, 1, 2);                                                      \
            else                                                                          \
                TILE(rows, 2, 0, 2);                                                      \
        }                                                                                 \
        else if (vectors == 4 && rows > 3 && ahead)                                       \
            TILE(rows, 4, 1, 0);                                                          \
        else if (vectors == 4)                                                            \
            TILE(rows, 4, 0, 0);                                                          \
        else if (vectors == 3)                                                            \
            TILE(rows, 3, 0, 0);                                                          \
        else if (vectors == 2)                                                            \
            TILE(rows, 2, 0, 0);                                                          \
        else                                                                              \
            TILE(rows, 1, 0, 0);                                                          \
        break;

/* `ahead`, or NULL: where whole panels fetch from, in tiles of more than 3 rows. */
static void any_tile(
    int rows, int vectors, int n_parts, const columns *parts, ptrdiff_t first_row,
    const real *panel, ptrdiff_t panel_width, real *out, ptrdiff_t out_width,
    int accumulate, const real *ahead)
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

/* Columns of a panel, `start` to `start + width` of a block of `block` columns, that some gates
 * have, in whole vectors: *from to the one returned, which is not after it where there are none. */
static inline ptrdiff_t columns_of_gates(
    gate_range seen, ptrdiff_t block, ptrdiff_t start, ptrdiff_t width, ptrdiff_t *from)
{
    const ptrdiff_t units = block / seen.n;
    ptrdiff_t first = seen.first * units - start, end = seen.last * units - start;
    first = first > 0 ? first / VECTOR_SIZE * VECTOR_SIZE : 0;
    end = (end + VECTOR_SIZE - 1) / VECTOR_SIZE * VECTOR_SIZE;
    *from = first;
    return min_of(end, width);
}

/* The terms from `from` to `to` of sums over all columns of some parts, as parts again: at most
 * three for each, how many is returned. */
static int some_terms(
    int n_parts, const columns *parts, ptrdiff_t from, ptrdiff_t to, columns *some)
{
    int n_some = 0;
    for (int p = 0; p < n_parts; p++) {
        const ptrdiff_t n = parts[p].n, n_terms = n * (1 + parts[p].repeats);
        const ptrdiff_t end = min_of(to, n_terms);
        for (ptrdiff_t k = from > 0 ? from : 0; k < end;) {
            columns *part = some + n_some++;
            *part = parts[p];
            part->start += k / n * part->apart + k % n * part->step;
            part->repeats = 0;
            if (k % n == 0 && end - k >= n)
                part->repeats = (end - k) / n - 1; /* as many as are whole */
            else
                part->n = min_of(n - k % n, end - k);
            k += part->n * (1 + part->repeats);
        }
        from -= n_terms;
        to -= n_terms;
    }
    return n_some;
}

/* Rows `first` to `last` of A times a panel, `wanted` columns of it: Out, which starts at the first
 * row, or Out += with `accumulate`. `ahead`, or NULL: what is multiplied next, of which
 * each tile fetches some, `share` numbers after where the tile before began. */
static void rows_times_panel(
    ptrdiff_t first, ptrdiff_t last, int n_parts, const columns *parts, const real *panel,
    ptrdiff_t width, ptrdiff_t wanted, real *out, ptrdiff_t out_width, int accumulate,
    const real *ahead, ptrdiff_t share)
{
    const int vectors = (int)((wanted + VECTOR_SIZE - 1) / VECTOR_SIZE);
    int rows;
    for (ptrdiff_t r = first; r < last; r += rows, out += rows * out_width) {
        /* Tiles of about equal rows: 8 are 4 and 4, where 2 would wait for b. */
        const ptrdiff_t tiles = (last - r + TILE_ROWS - 1) / TILE_ROWS;
        rows = (int)((last - r + tiles - 1) / tiles);
        if (wanted % VECTOR_SIZE == 0) {
            any_tile(rows, vectors, n_parts, parts, r, panel, width, out, out_width, accumulate,
                     ahead);
        }
        else {
            real whole[TILE_ROWS * PANEL];
            for (int k = 0; k < rows && accumulate; k++)
                memcpy(whole + k * PANEL, out + k * out_width, (size_t)wanted * sizeof(real));
            any_tile(rows, vectors, n_parts, parts, r, panel, width, whole, PANEL, accumulate,
                     ahead);
            for (int k = 0; k < rows; k++)
                memcpy(out + k * out_width, whole + k * PANEL, (size_t)wanted * sizeof(real));
        }
        if (ahead)
            ahead += share;
    }
}

/* Out = A P, or Out += A P with `accumulate`, for the columns from `first` to `last`, which are
 * starts of blocks (or the last column), and of them for the gates that see A; where it does not
 * accumulate, those of the others are zeros. A: n rows, its columns in at most MAX_PARTS parts,
 * for the rows of P from `row_of_p` on. P: `depth` rows, packed in blocks of `block` columns; what
 * it has beyond n_columns, up to a multiple of BLOCK_UNITS, is padding that Out has no room for. */
static void product(
    ptrdiff_t n, int n_parts, const columns *parts, ptrdiff_t depth, ptrdiff_t row_of_p,
    int accumulate, gate_range seen, const real *packed, ptrdiff_t block, ptrdiff_t first,
    ptrdiff_t last, ptrdiff_t n_columns, real *out, ptrdiff_t out_width)
{
    const ptrdiff_t padded = (n_columns + BLOCK_UNITS - 1) / BLOCK_UNITS * BLOCK_UNITS;
    const int wide = depth * n_columns >= WIDE_WEIGHTS;
    ptrdiff_t n_terms = 0;
    for (int p = 0; p < n_parts; p++)
        n_terms += parts[p].n * (1 + parts[p].repeats);
    /* With no terms one visit is left, for zeros. */
    const ptrdiff_t n_visits = n_terms > 0 ? (n_terms + TERMS_AT_ONCE - 1) / TERMS_AT_ONCE : 1;
    const ptrdiff_t at_once = (n_terms + n_visits - 1) / n_visits;
    last = min_of(last, n_columns);
    for (ptrdiff_t row = 0; row < n; row += ROWS_AT_ONCE) {
        const ptrdiff_t end = min_of(row + ROWS_AT_ONCE, n);
        const ptrdiff_t n_tiles = (end - row + TILE_ROWS - 1) / TILE_ROWS;
        ptrdiff_t width;
        for (ptrdiff_t c = first; c < last; c += width) {
            width = min_of(PANEL, min_of(block - c % block, padded - c));
            const ptrdiff_t wanted = min_of(width, n_columns - c), start = c % block;
            ptrdiff_t from;
            const ptrdiff_t to = columns_of_gates(
                seen, min_of(block, padded - c + start), start, wanted, &from);
            for (ptrdiff_t r = row; !accumulate && to - from < wanted && r < end; r++)
                memset(out + r * out_width + c, 0, (size_t)wanted * sizeof(real));
            for (ptrdiff_t visit = 0; visit < n_visits && from < to; visit++) {
                const ptrdiff_t term = visit * at_once;
                const ptrdiff_t n_now = min_of(at_once, n_terms - term);
                const real *panel = packed + depth * c + (row_of_p + term) * width;
                const real *next = visit + 1 < n_visits
                                       ? panel + n_now * width
                                       : packed + depth * (c + width) + row_of_p * width;
                columns some[3 * MAX_PARTS]; /* each part whole, or cut at both ends */
                const int n_some =
                    n_visits == 1 ? n_parts
                                  : some_terms(n_parts, parts, term, term + n_now, some);
                rows_times_panel(
                    row, end, n_some, n_visits == 1 ? parts : some, panel + from, width, to - from,
                    out + row * out_width + c + from, out_width, accumulate || visit > 0,
                    wide && n_tiles >= FETCHING_TILES ? next : NULL,
                    min_of(n_now * width / n_tiles, n_now * NUMBERS_OF_LINE));
            }
        }
    }
}

/* Columns of n rows side by side, row after row. */
INLINE void copy_columns(
    const int n_columns, ptrdiff_t n, const real *restrict a, ptrdiff_t row, real *restrict out)
{
    for (ptrdiff_t k = 0; k < n; k++)
        memcpy(out + k * n_columns, a + k * row, (size_t)n_columns * sizeof(real));
}

/* Rows `first` to `last` of n rows of A (its columns in parts with step 1), as the transposed
 * operand of transposed_product: tile by tile TILE_ROWS columns, of these row after row. The
 * parts start at row `first`. */
static void pack_steps(
    ptrdiff_t n, ptrdiff_t first, ptrdiff_t last, int n_parts, const columns *parts,
    real *packed)
{
    for (int p = 0; p < n_parts; p++)
        for (ptrdiff_t k = 0, width; k < parts[p].n; k += width) {
            width = min_of(TILE_ROWS, parts[p].n - k);
#define COPY_COLUMNS(n_columns)                                                              \
    case n_columns:                                                                          \
        copy_columns(n_columns, last - first, parts[p].start + k, parts[p].row,              \
                     packed + first * n_columns);                                            \
        break;
            switch (width) {
                COPY_COLUMNS(1)
                COPY_COLUMNS(2)
                COPY_COLUMNS(3)
                COPY_COLUMNS(4)
                COPY_COLUMNS(5)
                COPY_COLUMNS(6)
            }
#undef COPY_COLUMNS
            packed += n * width;
        }
}

/* Whether rows that are so far apart share so few sets of a cache that they evict each other. */
static inline int rows_collide(ptrdiff_t apart)
{
    return apart > FAR_APART && apart * (ptrdiff_t)sizeof(real) % COLLIDING_BYTES == 0;
}

/* P = A' Z, or P += A' Z with `accumulate`, for the columns from `first` to `last`. A: n rows, at
 * most STEPS_AT_ONCE, as pack_steps leaves them; its columns in part p are rows[p] of P, for the
 * gates that see them alone: of the others nothing is written. P: `depth` rows. Z: n rows that are
 * z_width apart. `scratch` holds PANEL_SCRATCH numbers. */
static void transposed_product(
    ptrdiff_t n, int n_parts, const packed_rows *rows_of_p, ptrdiff_t depth, const real *a,
    const real *z, ptrdiff_t z_width, real *packed, ptrdiff_t block, ptrdiff_t first,
    ptrdiff_t last, int accumulate, real *scratch)
{
    ptrdiff_t width;
    for (ptrdiff_t c = first; c < last; c += width) {
        width = min_of(PANEL, min_of(block - c % block, last - c));
        const ptrdiff_t start = c % block, whole = min_of(block, last - c + start);
        const real *tile = a, *panel = z + c;
        ptrdiff_t stride = z_width;
        if (rows_collide(z_width)) {
            for (ptrdiff_t k = 0; k < n; k++)
                memcpy(scratch + k * width, panel + k * z_width, (size_t)width * sizeof(real));
            panel = scratch;
            stride = width;
        }
        for (int p = 0; p < n_parts; p++) {
            ptrdiff_t from;
            const ptrdiff_t to = columns_of_gates(rows_of_p[p].seen, whole, start, width, &from);
            real *out = packed + depth * c + rows_of_p[p].at * width;
            for (ptrdiff_t k = 0; k < rows_of_p[p].n; k += TILE_ROWS) {
                const int rows = (int)min_of(TILE_ROWS, rows_of_p[p].n - k);
                const columns transposed = {tile, 1, rows, n, 0, 0};
                tile += n * rows;
                if (to <= from)
                    continue;
                /* The sums of the next tile, which come from afar in wide layers. */
                for (ptrdiff_t j = 0; j < TILE_ROWS * width; j += NUMBERS_OF_LINE)
                    __builtin_prefetch(out + rows * width + j, 1);
                any_tile(rows, (int)((to - from) / VECTOR_SIZE), 1, &transposed, 0, panel + from,
                         stride, out + from, width, accumulate, NULL);
                out += rows * width;
            }
        }
    }
}

/* Rows `from` to `from + n` of op(B), columns c to c + width, into a panel; zeros beyond
 * `wanted` columns. */
static void copy_panel(
    int transpose, ptrdiff_t n, ptrdiff_t width, ptrdiff_t wanted, const real *b,
    ptrdiff_t ldb, ptrdiff_t from, ptrdiff_t c, real *panel)
{
    if (!transpose) {
        for (ptrdiff_t k = 0; k < n; k++)
            memcpy(panel + k * width, b + (from + k) * ldb + c,
                   (size_t)wanted * sizeof(real));
    }
    else {
        transpose_weights(n, wanted, b + c * ldb + from, ldb, panel, width);
    }
    for (ptrdiff_t k = 0; wanted < width && k < n; k++)
        memset(panel + k * width + wanted, 0, (size_t)(width - wanted) * sizeof(real));
}

/* C (m x n) = op(A) (m x k) op(B) (k x n), row-major as they stand in memory, n and k at least 1. A
 * transposed A is copied ROWS_AT_ONCE columns at a time, B panel by panel, into `scratch` of
 * MULTIPLY_SCRATCH numbers. Every sum runs over its terms in order, MULTIPLY_DEPTH at a time. */
static void multiply(
    int transpose_a, int transpose_b, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const real *a,
    ptrdiff_t lda, const real *b, ptrdiff_t ldb, real *c, ptrdiff_t ldc, real *scratch)
{
    real *const b_panel = scratch, *const a_columns = scratch + MULTIPLY_DEPTH * PANEL;
    const ptrdiff_t at_once = transpose_a ? ROWS_AT_ONCE : MULTIPLY_ROWS;
    for (ptrdiff_t row = 0; row < m; row += at_once) {
        const ptrdiff_t n_rows = min_of(at_once, m - row);
        for (ptrdiff_t from = 0; from < k; from += MULTIPLY_DEPTH) {
            const ptrdiff_t depth = min_of(MULTIPLY_DEPTH, k - from);
            columns part = {a + row * lda + from, lda, 1, depth, 0, 0};
            if (transpose_a) {
                for (ptrdiff_t j = 0; j < depth; j++)
                    memcpy(a_columns + j * n_rows, a + (from + j) * lda + row,
                           (size_t)n_rows * sizeof(real));
                part = (columns){a_columns, 1, n_rows, depth, 0, 0};
            }
            const ptrdiff_t n_tiles =
                (n + PANEL - 1) / PANEL * ((n_rows + TILE_ROWS - 1) / TILE_ROWS);
            /* The columns that are copied next: of more terms, or else the next of them. */
            const int deeper = from + depth < k;
            const real *next = a + (deeper ? (from + depth) * lda + row : row + n_rows);
            ptrdiff_t n_next = 0;
            if (transpose_a && (deeper || row + n_rows < m))
                n_next = min_of(MULTIPLY_DEPTH, deeper ? k - from - depth : k);
            const ptrdiff_t share = n_next > 0 ? (n_next + n_tiles - 1) / n_tiles : 0;
            ptrdiff_t fetched = 0;
            for (ptrdiff_t first = 0; first < n; first += PANEL) {
                const ptrdiff_t wanted = min_of(PANEL, n - first);
                const int vectors = (int)((wanted + VECTOR_SIZE - 1) / VECTOR_SIZE);
                const real *panel = b + from * ldb + first;
                ptrdiff_t width = ldb;
                if (transpose_b || rows_collide(ldb) || wanted % VECTOR_SIZE) {
                    width = vectors * VECTOR_SIZE;
                    copy_panel(transpose_b, depth, width, wanted, b, ldb, from, first,
                                     b_panel);
                    panel = b_panel;
                }
                int rows;
                for (ptrdiff_t r = 0; r < n_rows; r += rows) {
                    const ptrdiff_t tiles = (n_rows - r + TILE_ROWS - 1) / TILE_ROWS;
                    rows = (int)((n_rows - r + tiles - 1) / tiles);
                    real *out = c + (row + r) * ldc + first;
                    /* The next tile's. */
                    for (int i = 0; i < rows && r + rows + i < n_rows; i++)
                        for (int j = 0; j < vectors; j++)
                            __builtin_prefetch(out + (rows + i) * ldc + j * VECTOR_SIZE, 1);
                    for (ptrdiff_t end = min_of(n_next, fetched + share); fetched < end; fetched++)
                        for (ptrdiff_t j = 0; j < ROWS_AT_ONCE; j += NUMBERS_OF_LINE)
                            __builtin_prefetch(next + fetched * lda + j, 0, 2);
                    if (wanted % VECTOR_SIZE == 0) {
                        any_tile(rows, vectors, 1, &part, r, panel, width, out, ldc,
                                       from > 0, NULL);
                        continue;
                    }
                    real whole[TILE_ROWS * PANEL];
                    any_tile(rows, vectors, 1, &part, r, panel, width, whole, PANEL,
                                   0, NULL);
                    for (int i = 0; i < rows; i++)
                        for (ptrdiff_t j = 0; j < wanted; j++)
                            out[i * ldc + j] =
                                whole[i * PANEL + j] + (from > 0 ? out[i * ldc + j] : 0);
                }
            }
        }
    }
}

