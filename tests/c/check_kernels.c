/* All kernels of all instruction sets that this CPU runs against plain loops, in the precision that
 * REAL_IS_FLOAT chooses. Names the kernels that are off; exits with 1 if there are any. */
#include <float.h>
#include <stddef.h>

#define EXACT long double
#include "reference.h"

#include "kernels/kernels.h"
#include "kernels/simd.h"
#include "tuning.h"

#if REAL_IS_FLOAT
#define ROUNDOFF ((exact)FLT_EPSILON / 2)
/* Errors of the activations, as tests/test_kernels.py has them. */
#define SIGMOID_ERROR ((exact)0x1p-22)
#define TANH_RELATIVE_ERROR ((exact)(4 * FLT_EPSILON))
#define EXP_DOMAIN 87
#else
#define ROUNDOFF ((exact)DBL_EPSILON / 2)
#define SIGMOID_ERROR ((exact)3e-16)
#define TANH_RELATIVE_ERROR ((exact)1e-15)
#define EXP_DOMAIN 700
#endif

static const char *level_name;
static int level_bytes;
static const kernels *k;
static const update_kernels *updates;
#if REAL_IS_FLOAT
static const int8_kernels *int8;
#endif
static int n_off, n_checked;

/* -- Comparing -- */

/* An error beyond its bound, NaN included, is told once per call of a kernel. */
static void expect(int good, const char *kernel, const char *sizes)
{
    n_checked++;
    if (good)
        return;
    if (n_off++ < 40)
        printf("OFF: %s of %s, %s\n", kernel, level_name, sizes);
}

static exact size_of(exact x) { return x < 0 ? -x : x; }

static int near(exact actual, exact wanted, exact bound)
{
    return size_of(actual - wanted) <= bound;
}

static char sizes[256];
#define SIZES(...) (snprintf(sizes, sizeof(sizes), __VA_ARGS__), sizes)

static real *numbers(ptrdiff_t n, double range)
{
    real *x = allocate((size_t)n * sizeof(real));
    for (ptrdiff_t j = 0; j < n; j++)
        x[j] = (real)random_number(range);
    return x;
}

static real *copy(const real *x, ptrdiff_t n)
{
    real *out = allocate((size_t)n * sizeof(real));
    memcpy(out, x, (size_t)n * sizeof(real));
    return out;
}

static ptrdiff_t up_to(ptrdiff_t n, ptrdiff_t size) { return (n + size - 1) / size * size; }
static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

/* Units that have columns, whose number is a multiple of 16. */
static ptrdiff_t with_columns(ptrdiff_t H, ptrdiff_t G)
{
    while (H * G % 16)
        H++;
    return H;
}

/* A sum of n products, however it is ordered and fused, is off by at most n u / (1 - n u) times
 * the sum of their sizes (Higham 2002, section 3.1); one more where it is added to something. */
static exact sum_bound(ptrdiff_t n, exact sum_of_sizes)
{
    return (exact)(n + 1) * ROUNDOFF * (exact)1.01 * sum_of_sizes;
}

/* -- Cells -- */

typedef struct {
    const char *name;
    int G, peepholes, has_c, resets;
} cell_row;

static const cell_row cells[] = {
#define CELL_ROW(name, gates, see_x, see_h, see_rh, see_c, state)                         \
    {#name, (int)sizeof(gates) - 1, (int)sizeof(see_c) - 1, (int)sizeof(state) - 1 > 1, \
     (int)sizeof(see_rh) - 1},
    CELLS(CELL_ROW)
};

/* Where unit j of gate g of a row of `units` stands: blocks of `width`, gate by gate. */
static ptrdiff_t gate_place(ptrdiff_t j, int g, int G, ptrdiff_t width, ptrdiff_t units)
{
    const ptrdiff_t block = j / width * width;
    return block * G + g * least(width, units - block) + j - block;
}

/* A few roundings each of numbers up to `size`, and the errors of two activations. */
static int cell_near(real actual, exact wanted, exact size)
{
    return near(actual, wanted, (1 + size) * (16 * ROUNDOFF + 3 * SIGMOID_ERROR));
}

static void check_cell_forward(
    int cell, int relu, ptrdiff_t n, ptrdiff_t H, ptrdiff_t width, ptrdiff_t first,
    ptrdiff_t last)
{
    const int G = cells[cell].G, P = cells[cell].peepholes;
    const ptrdiff_t S = up_to(H, width), units = least(S, with_columns(H, G)), row = units * G;
    real *bias = numbers(S * G, 1), *peephole = numbers(S * P, 1);
    real *gates = numbers(n * row, 3), *z = copy(gates, n * row);
    real *c_prev = numbers(n * S, 2), *c = numbers(n * S, 9), *phi_c = numbers(n * S, 9);
    real *h = numbers(n * H, 9);
    real *old_c = copy(c, n * S), *old_h = copy(h, n * H);
    int good = 1;
    k->cell_forward[cell][relu](n, H, width, first, last, bias, peephole, gates, c_prev, c,
                                phi_c, h);
    for (ptrdiff_t r = 0; r < n; r++)
        for (ptrdiff_t j = 0; j < H; j++) {
            dual in[MAX_GATES], p[MAX_PEEPHOLES];
            if (j < first * width || j >= last * width) { /* other blocks stay as they are */
                for (int g = 0; g < G; g++)
                    good &= gates[r * row + gate_place(j, g, G, width, units)] ==
                            z[r * row + gate_place(j, g, G, width, units)];
                good &= c[r * S + j] == old_c[r * S + j] && h[r * H + j] == old_h[r * H + j];
                continue;
            }
            for (int g = 0; g < G; g++) {
                const exact before = z[r * row + gate_place(j, g, G, width, units)];
                in[g] = number(before + bias[gate_place(j, g, G, width, S)]);
            }
            for (int q = 0; q < P; q++)
                p[q] = number(peephole[gate_place(j, q, P, width, S)]);
            const cell_step s =
                reference_cell(cell, relu, in, p, number(c_prev[r * S + j]));
            for (int g = 0; g < G; g++)
                good &= cell_near(gates[r * row + gate_place(j, g, G, width, units)],
                                  s.gates[g].v, size_of(s.gates[g].v));
            const exact size = 2 + 4 * size_of(c_prev[r * S + j]);
            good &= cell_near(c[r * S + j], s.c.v, size);
            if (cells[cell].has_c)
                good &= cell_near(phi_c[r * S + j], s.phi_c.v, size);
            good &= cell_near(h[r * H + j], s.h.v, size);
        }
    expect(good, SIZES("%s_%s_forward", cells[cell].name, relu ? "relu" : "tanh"), "");
    free(bias), free(peephole), free(gates), free(z), free(c_prev), free(c), free(phi_c);
    free(h), free(old_c), free(old_h);
}

static void check_cell_backward(
    int cell, int relu, ptrdiff_t n, ptrdiff_t H, ptrdiff_t width, int with_dy, int by_h)
{
    const int G = cells[cell].G, P = cells[cell].peepholes;
    const ptrdiff_t S = up_to(H, width), blocks = S / width;
    const ptrdiff_t units = least(S, with_columns(H, G)), row = units * G;
    real *peephole = numbers(S * P, 1), *z = numbers(n * row, 3);
    real *gates = allocate((size_t)(n * row) * sizeof(real));
    real *c_prev = numbers(n * S, 2), *c = numbers(n * S, 0), *phi_c = numbers(n * S, 0);
    real *dy = numbers(n * H, 1), *dh = numbers(n * S, 1), *dc = numbers(n * S, 1);
    real *drh = numbers(n * S, 1);
    real *old_dh = copy(dh, n * S), *old_dc = copy(dc, n * S);
    real *dbias = numbers(S * G, 1), *dpeephole = numbers(S * P, 1);
    exact *sum_dbias = allocate((size_t)(S * G) * sizeof(exact));
    exact *sum_dpeephole = allocate((size_t)(S * P) * sizeof(exact));
    int good = 1;
    for (ptrdiff_t at = 0; at < S * G; at++)
        sum_dbias[at] = dbias[at];
    for (ptrdiff_t at = 0; at < S * P; at++)
        sum_dpeephole[at] = dpeephole[at];
    /* Derivatives in the directions of each gate's z, of c_prev and of each peephole weight. */
    enum { MOST = MAX_GATES + 1 + MAX_PEEPHOLES };
    exact *slopes = allocate((size_t)(n * S * MOST) * sizeof(exact));
    for (ptrdiff_t r = 0; r < n; r++)
        for (ptrdiff_t j = 0; j < units; j++) {
            const exact dh_j =
                (exact)dh[r * S + j] + (with_dy && j < H ? dy[r * H + j] : 0);
            for (int direction = 0; direction < G + 1 + P; direction++) {
                dual in[MAX_GATES], p[MAX_PEEPHOLES], c0 = number(c_prev[r * S + j]);
                for (int g = 0; g < G; g++)
                    in[g] = number(z[r * row + gate_place(j, g, G, width, units)]);
                for (int q = 0; q < P; q++)
                    p[q] = number(peephole[gate_place(j, q, P, width, S)]);
                if (direction < G)
                    in[direction].d = 1;
                else if (direction == G)
                    c0.d = 1;
                else
                    p[direction - G - 1].d = 1;
                const cell_step s = reference_cell(cell, relu, in, p, c0);
                for (int g = 0; g < G; g++)
                    gates[r * row + gate_place(j, g, G, width, units)] = (real)s.gates[g].v;
                c[r * S + j] = (real)s.c.v;
                phi_c[r * S + j] = (real)s.phi_c.v;
                slopes[(r * S + j) * MOST + direction] =
                    dh_j * s.h.d + (exact)dc[r * S + j] * s.c.d;
                if (cells[cell].resets)
                    slopes[(r * S + j) * MOST + direction] +=
                        (exact)drh[r * S + j] * times(s.gates[0], c0).d;
            }
        }
    if (cells[cell].resets) { /* the candidate's part, which comes first */
        real *dn = numbers(n * row, 9);
        k->candidate_backward[relu](n, H, width, 0, blocks, gates, with_dy ? dy : NULL, dh, dc,
                                    dn);
        for (ptrdiff_t r = 0; r < n; r++)
            for (ptrdiff_t j = 0; j < S; j++)
                good &= cell_near(dn[r * row + gate_place(j, G - 1, G, width, S)],
                                  slopes[(r * S + j) * MOST + G - 1],
                                  3 * (1 + size_of(c_prev[r * S + j])));
        free(dn);
    }
    /* What the cell is not to add is there before. */
    for (ptrdiff_t r = 0; cells[cell].has_c && !by_h && r < n; r++)
        for (ptrdiff_t j = 0; j < units; j++) {
            const exact y = phi_c[r * S + j], slope = relu ? y > 0 : 1 - y * y;
            const exact o = gates[r * row + gate_place(j, G - 1, G, width, units)];
            const exact dh_j =
                (exact)dh[r * S + j] + (with_dy && j < H ? dy[r * H + j] : 0);
            dc[r * S + j] += (real)(dh_j * o * slope);
        }
    k->cell_backward[cell][relu](n, H, width, 0, blocks, (real)by_h, peephole, gates, c_prev, c,
                                 phi_c, drh, with_dy ? dy : NULL, dh, dc, dbias, dpeephole);
    for (ptrdiff_t r = 0; r < n; r++)
        for (ptrdiff_t j = 0; j < units; j++) {
            const exact *slope = slopes + (r * S + j) * MOST;
            const exact size = 1 + 4 * (size_of(old_dh[r * S + j]) + 1 +
                                        size_of(old_dc[r * S + j])) *
                                       (1 + size_of(c[r * S + j]) + size_of(c_prev[r * S + j]));
            for (int g = 0; g < G; g++) {
                good &= cell_near(gates[r * row + gate_place(j, g, G, width, units)], slope[g],
                                  size);
                sum_dbias[gate_place(j, g, G, width, S)] += slope[g];
            }
            good &= cell_near(dc[r * S + j], slope[G], size);
            for (int q = 0; q < P; q++)
                sum_dpeephole[gate_place(j, q, P, width, S)] += slope[G + 1 + q];
        }
    for (ptrdiff_t at = 0; at < S * G; at++)
        good &= cell_near(dbias[at], sum_dbias[at], 16 * (exact)n);
    for (ptrdiff_t at = 0; at < S * P; at++)
        good &= cell_near(dpeephole[at], sum_dpeephole[at], 32 * (exact)n);
    expect(good, SIZES("%s_%s_backward", cells[cell].name, relu ? "relu" : "tanh"), "");
    free(peephole), free(z), free(gates), free(c_prev), free(c), free(phi_c), free(dy);
    free(dh), free(dc), free(old_dh), free(old_dc), free(dbias), free(dpeephole);
    free(sum_dbias), free(sum_dpeephole), free(slopes), free(drh);
}

static void check_reset(ptrdiff_t n, ptrdiff_t H, ptrdiff_t width)
{
    const int G = cells[CELL_gru_v1].G;
    const ptrdiff_t S = up_to(H, width);
    real *bias = numbers(S * G, 1), *gates = numbers(n * S * G, 3);
    real *h_prev = numbers(n * S, 1), *rh = numbers(n * S, 9);
    int good = 1;
    k->reset_forward(n, H, width, 0, S / width, bias, gates, h_prev, rh);
    for (ptrdiff_t r = 0; r < n; r++)
        for (ptrdiff_t j = 0; j < S; j++) {
            const ptrdiff_t at = gate_place(j, 0, G, width, S);
            const dual gate = logistic_of(number((exact)gates[r * S * G + at] + bias[at]));
            good &= cell_near(rh[r * S + j], gate.v * h_prev[r * S + j], 1);
        }
    expect(good, "reset_forward", SIZES("%td rows of %td units in blocks of %td", n, H, width));
    free(bias), free(gates), free(h_prev), free(rh);
}

static void check_cells(void)
{
    static const ptrdiff_t units[] = {1, 5, 11, 15, 16, 17, 40};
    for (int u = 0; u < 7; u++) {
        check_reset(3, units[u], BLOCK_UNITS);
        check_reset(3, units[u], units[u]);
    }
    for (int cell = 0; cell < N_CELLS; cell++)
        for (int relu = 0; relu < 2; relu++)
            for (int u = 0; u < 7; u++)
                for (ptrdiff_t n = 1; n < 6; n += 4) {
                    const ptrdiff_t H = units[u], blocks = up_to(H, BLOCK_UNITS) / BLOCK_UNITS;
                    check_cell_forward(cell, relu, n, H, BLOCK_UNITS, 0, blocks);
                    check_cell_forward(cell, relu, n, H, BLOCK_UNITS, blocks / 2, blocks);
                    check_cell_forward(cell, relu, n, H, H, 0, 1);
                    check_cell_backward(cell, relu, n, H, BLOCK_UNITS, n > 1, 1);
                    check_cell_backward(cell, relu, n, H, BLOCK_UNITS, n == 1, 0);
                    check_cell_backward(cell, relu, n, H, H, n == 1, 1);
                }
}

/* Sigmoid and tanh of everything there is, as the gates of an lstm without bias. */
static void check_activations(void)
{
    enum { AT_ONCE = 64 };
    real gates[4 * AT_ONCE], bias[4 * AT_ONCE] = {0}, zeros[AT_ONCE] = {0}, c[AT_ONCE];
    real phi_c[AT_ONCE], h[AT_ONCE], x[AT_ONCE];
    /* Positive numbers of all sizes, by their bits, and their negatives. */
#if REAL_IS_FLOAT
    const uint64_t last = UINT64_C(0x7f800000), step = 40009;
#else
    const uint64_t last = UINT64_C(0x7ff0000000000000), step = UINT64_C(0x3ffffffff0001);
#endif
    int sigmoid = 1, tanh_good = 1;
    uint64_t bits = 0;
    while (bits <= last) {
        for (int j = 0; j < AT_ONCE; j += 2) {
            const uint64_t capped = bits < last ? bits : last;
#if REAL_IS_FLOAT
            const uint32_t narrow = (uint32_t)capped;
            memcpy(&x[j], &narrow, sizeof(real));
#else
            memcpy(&x[j], &capped, sizeof(real));
#endif
            x[j + 1] = -x[j];
            bits += step;
        }
        for (int g = 0; g < 4; g++)
            memcpy(gates + g * AT_ONCE, x, sizeof(x));
        k->cell_forward[CELL_lstm][0](1, AT_ONCE, AT_ONCE, 0, 1, bias, NULL, gates, zeros, c,
                                      phi_c, h);
        for (int j = 0; j < AT_ONCE; j++) {
            const exact t = exact_tanh(x[j]);
            sigmoid &= near(gates[j], logistic_of(number(x[j])).v, SIGMOID_ERROR);
            /* Below the normal numbers nothing is promised but that tanh(x) is about x. */
            tanh_good &= near(gates[2 * AT_ONCE + j], t,
                              TANH_RELATIVE_ERROR * size_of(t) +
                                  (REAL_IS_FLOAT ? (exact)FLT_MIN : (exact)DBL_MIN));
        }
    }
    expect(sigmoid, "sigmoid", "all sizes");
    expect(tanh_good, "tanh", "all sizes");
    for (int j = 0; j < AT_ONCE; j++)
        gates[j] = gates[2 * AT_ONCE + j] = j % 4 == 0   ? (real)NAN
                                            : j % 4 == 1 ? (real)INFINITY
                                            : j % 4 == 2 ? (real)-INFINITY
                                                         : (real)100;
    k->cell_forward[CELL_lstm][0](1, AT_ONCE, AT_ONCE, 0, 1, bias, NULL, gates, zeros, c, phi_c,
                                  h);
    sigmoid = tanh_good = 1;
    for (int j = 0; j < AT_ONCE; j++) {
        const real s = gates[j], t = gates[2 * AT_ONCE + j];
        sigmoid &= j % 4 == 0 ? s != s : s == (real)(j % 4 != 2);
        tanh_good &= j % 4 == 0 ? t != t : t == (real)(j % 4 == 2 ? -1 : 1);
    }
    expect(sigmoid, "sigmoid", "NaN, infinity and 100");
    expect(tanh_good, "tanh", "NaN, infinity and 100");
}

/* -- Products -- */

/* Where row `row` of column c stands in a packed matrix (kernels/products.h). */
static ptrdiff_t packed_place(
    ptrdiff_t c, ptrdiff_t row, ptrdiff_t depth, ptrdiff_t block, ptrdiff_t n_columns)
{
    const ptrdiff_t panel = TILE_VECTORS * (level_bytes / (int)sizeof(real));
    const ptrdiff_t start = c / block * block, end = least(start + block, n_columns);
    const ptrdiff_t first = start + (c - start) / panel * panel;
    return depth * first + row * least(panel, end - first) + c - first;
}

/* Some columns of A, in memory of their own that ends with them. */
static real *make_parts(
    int n_parts, columns *parts, ptrdiff_t n, ptrdiff_t depth, ptrdiff_t step, real **memory)
{
    real *dense = allocate((size_t)(n * depth) * sizeof(real));
    ptrdiff_t at = 0;
    for (int p = 0; p < n_parts; p++) {
        const ptrdiff_t end = p == n_parts - 1 ? depth : at + depth / n_parts;
        const ptrdiff_t m = end - at, row = step == 1 ? m + 3 : 1, total =
                        m && n ? (n - 1) * row + (m - 1) * (step == 1 ? 1 : n) + 1 : 0;
        real *x = numbers(total, 1);
        parts[p] = (columns){x, row, step == 1 ? 1 : n, m, 0, 0};
        for (ptrdiff_t r = 0; r < n; r++)
            for (ptrdiff_t c = 0; c < m; c++)
                dense[r * depth + at + c] = x[r * row + c * parts[p].step];
        memory[p] = x;
        at = end;
    }
    return dense;
}

static void check_product(
    ptrdiff_t n, int n_parts, ptrdiff_t depth, ptrdiff_t step, ptrdiff_t n_columns,
    ptrdiff_t block, ptrdiff_t first, ptrdiff_t last)
{
    const ptrdiff_t padded = up_to(n_columns, BLOCK_UNITS), out_width = n_columns + 2;
    real *memory[MAX_PARTS], *packed = numbers(padded * depth, 1);
    real *out = numbers((n - 1) * out_width + n_columns, 9);
    real *old = copy(out, (n - 1) * out_width + n_columns);
    columns parts[MAX_PARTS];
    real *a = make_parts(n_parts, parts, n, depth, step, memory);
    int good = 1;
    if (n_parts > 1 && n % 2) { /* in two calls, of which the second adds */
        const ptrdiff_t n_first = parts[0].n;
        k->product(n, 1, parts, depth, 0, 0, ALL_GATES, packed, block, first, last, n_columns, out,
                   out_width);
        k->product(n, n_parts - 1, parts + 1, depth, n_first, 1, ALL_GATES, packed, block, first,
                   last, n_columns, out, out_width);
    }
    else
        k->product(n, n_parts, parts, depth, 0, 0, ALL_GATES, packed, block, first, last, n_columns,
                   out, out_width);
    for (ptrdiff_t r = 0; r < n; r++)
        for (ptrdiff_t c = 0; c < (r < n - 1 ? out_width : n_columns); c++) {
            exact sum = 0, size = 0;
            if (c < first || c >= last || c >= n_columns) {
                good &= out[r * out_width + c] == old[r * out_width + c];
                continue;
            }
            for (ptrdiff_t d = 0; d < depth; d++) {
                const exact term =
                    (exact)a[r * depth + d] * packed[packed_place(c, d, depth, block, padded)];
                sum += term;
                size += size_of(term);
            }
            good &= near(out[r * out_width + c], sum, sum_bound(depth, size));
        }
    expect(good, "product",
           SIZES("%td rows, %d parts, %td deep, %td columns in blocks of %td", n, n_parts,
                 depth, n_columns, block));
    for (int p = 0; p < n_parts; p++)
        free(memory[p]);
    free(packed), free(out), free(old), free(a);
}

/* pack_steps in two calls, as two members would, and transposed_product of what it leaves. */
static void check_transposed_product(
    ptrdiff_t N, int n_parts, ptrdiff_t depth, ptrdiff_t n_columns, ptrdiff_t block,
    ptrdiff_t z_width, ptrdiff_t first, ptrdiff_t last, int accumulate)
{
    real *memory[MAX_PARTS], *z = numbers((N - 1) * z_width + n_columns, 1);
    real *packed = numbers(n_columns * depth, 1), *old = copy(packed, n_columns * depth);
    real *steps = allocate((size_t)(N * depth) * sizeof(real));
    real *scratch = allocate(PANEL_SCRATCH * sizeof(real));
    columns parts[MAX_PARTS];
    packed_rows of_part[MAX_PARTS];
    real *a = make_parts(n_parts, parts, N, depth, 1, memory);
    ptrdiff_t at_row = 0;
    int good = 1;
    k->pack_steps(N, 0, N / 2, n_parts, parts, steps);
    for (int p = 0; p < n_parts; p++) {
        of_part[p] = (packed_rows){at_row, parts[p].n, ALL_GATES};
        at_row += parts[p].n;
        parts[p].start += N / 2 * parts[p].row;
    }
    k->pack_steps(N, N / 2, N, n_parts, parts, steps);
    k->transposed_product(N, n_parts, of_part, depth, steps, z, z_width, packed, block, first,
                          last, accumulate, scratch);
    for (ptrdiff_t d = 0; d < depth; d++)
        for (ptrdiff_t c = 0; c < n_columns; c++) {
            const ptrdiff_t at = packed_place(c, d, depth, block, n_columns);
            exact sum = accumulate ? old[at] : 0, size = size_of(sum);
            if (c < first || c >= last) {
                good &= packed[at] == old[at];
                continue;
            }
            for (ptrdiff_t r = 0; r < N; r++) {
                const exact term = (exact)a[r * depth + d] * z[r * z_width + c];
                sum += term;
                size += size_of(term);
            }
            good &= near(packed[at], sum, sum_bound(N, size));
        }
    expect(good, "transposed_product",
           SIZES("%td rows, %td deep, %td columns in blocks of %td", N, depth, n_columns,
                 block));
    for (int p = 0; p < n_parts; p++)
        free(memory[p]);
    free(z), free(packed), free(old), free(a), free(steps), free(scratch);
}

/* Of a block's gates only some see an operand: of the others the product is zero or stays as it is,
 * and no gradient is written (but within whole vectors). The operand's columns are not side by
 * side. */
static void check_range(
    ptrdiff_t n, ptrdiff_t runs, ptrdiff_t run, ptrdiff_t units, ptrdiff_t n_blocks,
    gate_range seen, int accumulate)
{
    const ptrdiff_t block = units * seen.n, n_columns = n_blocks * block, depth = runs * run;
    const ptrdiff_t vector = level_bytes / (ptrdiff_t)sizeof(real), apart = run + 3;
    real *x = numbers(n * runs * apart, 1), *packed = numbers(n_columns * depth, 1);
    real *out = numbers(n * n_columns, 1), *old = copy(out, n * n_columns);
    real *steps = allocate((size_t)(n * run) * sizeof(real));
    real *gradients = numbers(n_columns * run, 1), *before = copy(gradients, n_columns * run);
    real *scratch = allocate(PANEL_SCRATCH * sizeof(real));
    const columns operand = {x, runs * apart, 1, run, runs - 1, apart};
    const columns first_run = {x, runs * apart, 1, run, 0, 0};
    const packed_rows rows = {0, run, seen};
    int good = 1, transposed = 1;
    for (ptrdiff_t c = 0; c < n_columns; c++) /* weights that are not there are zeros */
        for (ptrdiff_t d = 0; d < depth; d++)
            if (c % block / units < seen.first || c % block / units >= seen.last)
                packed[packed_place(c, d, depth, block, n_columns)] = 0;
    k->product(n, 1, &operand, depth, 0, accumulate, seen, packed, block, 0, n_columns,
               n_columns, out, n_columns);
    for (ptrdiff_t r = 0; r < n; r++)
        for (ptrdiff_t c = 0; c < n_columns; c++) {
            exact sum = accumulate ? old[r * n_columns + c] : 0, size = size_of(sum);
            for (ptrdiff_t d = 0; d < depth; d++) {
                const exact term = (exact)x[(r * runs + d / run) * apart + d % run] *
                                   packed[packed_place(c, d, depth, block, n_columns)];
                sum += term;
                size += size_of(term);
            }
            good &= near(out[r * n_columns + c], sum, sum_bound(depth, size));
        }
    expect(good, "product",
           SIZES("%td rows, gates %td to %td of %td of %td units", n, seen.first, seen.last,
                 seen.n, units));
    k->pack_steps(n, 0, n, 1, &first_run, steps);
    k->transposed_product(n, 1, &rows, run, steps, out, n_columns, gradients, block, 0,
                          n_columns, accumulate, scratch);
    for (ptrdiff_t c = 0; c < n_columns; c++)
        for (ptrdiff_t d = 0; d < run; d++) {
            const ptrdiff_t at = packed_place(c, d, run, block, n_columns), in = c % block;
            exact sum = accumulate ? before[at] : 0, size = size_of(sum);
            if (in < seen.first * units / vector * vector ||
                in >= up_to(seen.last * units, vector)) {
                transposed &= gradients[at] == before[at];
                continue;
            }
            for (ptrdiff_t r = 0; r < n; r++) {
                const exact term = (exact)x[r * runs * apart + d] * out[r * n_columns + c];
                sum += term;
                size += size_of(term);
            }
            transposed &= near(gradients[at], sum, sum_bound(n, size));
        }
    expect(transposed, "transposed_product", sizes);
    free(x), free(packed), free(out), free(old), free(steps), free(gradients), free(before);
    free(scratch);
}

static void check_ranges(void)
{
    for (int accumulate = 0; accumulate < 2; accumulate++)
        for (ptrdiff_t n = 1; n < 9; n += 7)
            for (ptrdiff_t n_gates = 3; n_gates < 5; n_gates++)
                for (ptrdiff_t first = 0; first < n_gates; first++)
                    for (ptrdiff_t last = first + 1; last <= n_gates; last++) {
                        const gate_range seen = {first, last, n_gates};
                        check_range(n, 3, 5, BLOCK_UNITS, 2, seen, accumulate);
                        if (n_gates == 4)
                            check_range(n, 2, 7, BLOCK_UNITS / 4, 1, seen, accumulate);
                        if (first < 2 && n == 8) /* in visits that end within a run, or with it */
                            check_range(n, 67 - first, 33, BLOCK_UNITS, 1, seen, accumulate);
                    }
}

/* Sums over so many terms that they are left in memory on the way: of the same bits wherever that
 * is, and whichever rows come with a row. */
static void check_visits(ptrdiff_t n, ptrdiff_t depth, ptrdiff_t n_columns, ptrdiff_t cut)
{
    const ptrdiff_t padded = up_to(n_columns, BLOCK_UNITS), block = 4 * BLOCK_UNITS;
    real *x = numbers(n * depth, 1), *packed = numbers(padded * depth, 1);
    real *out = numbers(n * n_columns, 1), *other = numbers(n * n_columns, 1);
    const columns whole = {x, depth, 1, depth, 0, 0}, start = {x, depth, 1, cut, 0, 0};
    const columns rest = {x + cut, depth, 1, depth - cut, 0, 0};
    int same;
    k->product(n, 1, &whole, depth, 0, 0, ALL_GATES, packed, block, 0, padded, n_columns, out,
               n_columns);
    k->product(n, 1, &start, depth, 0, 0, ALL_GATES, packed, block, 0, padded, n_columns, other,
               n_columns);
    k->product(n, 1, &rest, depth, cut, 1, ALL_GATES, packed, block, 0, padded, n_columns, other,
               n_columns);
    same = !memcmp(out, other, (size_t)(n * n_columns) * sizeof(real));
    expect(same, "product, its sums cut",
           SIZES("%td rows, %td deep, cut at %td", n, depth, cut));
    for (ptrdiff_t r = 0; r < n; r++) {
        const columns row = {x + r * depth, depth, 1, depth, 0, 0};
        k->product(1, 1, &row, depth, 0, 0, ALL_GATES, packed, block, 0, padded, n_columns,
                   other + r * n_columns, n_columns);
    }
    same = !memcmp(out, other, (size_t)(n * n_columns) * sizeof(real));
    expect(same, "product, each row by itself", sizes);
    free(x), free(packed), free(out), free(other);
}

/* A sum of no terms is zero, or stays what it was. */
static void check_no_terms(void)
{
    real *packed = numbers(BLOCK_UNITS, 1), *out = numbers(2 * BLOCK_UNITS, 1);
    real *old = copy(out, 2 * BLOCK_UNITS);
    const columns none = {packed, 0, 1, 0, 0, 0};
    int good;
    k->product(2, 1, &none, 1, 0, 1, ALL_GATES, packed, BLOCK_UNITS, 0, BLOCK_UNITS, BLOCK_UNITS,
               out, BLOCK_UNITS);
    good = !memcmp(out, old, 2 * BLOCK_UNITS * sizeof(real));
    k->product(2, 1, &none, 1, 0, 0, ALL_GATES, packed, BLOCK_UNITS, 0, BLOCK_UNITS, BLOCK_UNITS,
               out, BLOCK_UNITS);
    for (ptrdiff_t j = 0; j < 2 * BLOCK_UNITS; j++)
        good &= out[j] == 0;
    expect(good, "product", "of no terms");
    free(packed), free(out), free(old);
}

static void check_products(void)
{
    static const ptrdiff_t rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 11, 13, ROWS_AT_ONCE + 1};
    static const ptrdiff_t widths[] = {1, 5, 16, 17, 40, 64, 79, 130};
    static const ptrdiff_t blocks[] = {BLOCK_UNITS, 3 * BLOCK_UNITS, 4 * BLOCK_UNITS, 128};
    for (int r = 0; r < 11; r++)
        for (int w = 0; w < 8; w++) {
            const ptrdiff_t block = blocks[(r + w) % 4], all = up_to(widths[w], BLOCK_UNITS);
            check_product(rows[r], 1 + (r + w) % 5, 5 + 7 * w, 1, widths[w], block, 0, all);
            check_product(rows[r], 2, 70, rows[r], widths[w], block, least(block, all), all);
        }
    check_product(3, 2, 300, 1, 33, 64, 0, 48);
    check_product(3, 1, 1, 1, 70, 64, 0, 64);
    /* Sums in several visits of the output, of any parts; where weights are many they are fetched
     * ahead. */
    check_product(7, 4, TERMS_AT_ONCE + 1, 1, 17, 64, 0, 32);
    check_product(14, 5, 2 * TERMS_AT_ONCE, 14, 70, 16, 16, 64);
    check_product(19, 2, 2 * TERMS_AT_ONCE + 5, 1, WIDE_WEIGHTS / 2 / TERMS_AT_ONCE, 64, 0, 128);
    check_visits(5, 2 * TERMS_AT_ONCE + 3, 70, 100);
    check_visits(20, TERMS_AT_ONCE + 1, WIDE_WEIGHTS / TERMS_AT_ONCE, TERMS_AT_ONCE - 1);
    check_visits(ROWS_AT_ONCE + 20, TERMS_AT_ONCE + 1, WIDE_WEIGHTS / TERMS_AT_ONCE, 7);
    check_no_terms();
    for (int r = 0; r < 11; r++)
        for (ptrdiff_t width = BLOCK_UNITS; width < 160; width += 3 * BLOCK_UNITS) {
            const ptrdiff_t block = blocks[(r + width / BLOCK_UNITS) % 4];
            check_transposed_product(rows[r], 1 + r % 3, 1 + 4 * r, width, block, width, 0,
                                     width, r % 2);
            check_transposed_product(STEPS_AT_ONCE - rows[r], 2, 13, width, block,
                                     FAR_APART + width, least(block, width), width, 1);
        }
}

static void check_multiply(
    int transpose_a, int transpose_b, ptrdiff_t m, ptrdiff_t n, ptrdiff_t depth,
    ptrdiff_t apart)
{
    const ptrdiff_t lda = (transpose_a ? m : depth) + apart;
    const ptrdiff_t ldb = (transpose_b ? depth : n) + apart, ldc = n + apart;
    real *a = numbers(((transpose_a ? depth : m) - 1) * lda + lda - apart, 1);
    real *b = numbers(((transpose_b ? n : depth) - 1) * ldb + ldb - apart, 1);
    real *c = numbers((m - 1) * ldc + n, 9), *old = copy(c, (m - 1) * ldc + n);
    real *scratch = allocate(MULTIPLY_SCRATCH * sizeof(real));
    int good = 1;
    k->multiply(transpose_a, transpose_b, m, n, depth, a, lda, b, ldb, c, ldc, scratch);
    for (ptrdiff_t i = 0; i < m; i++) {
        for (ptrdiff_t j = 0; j < n; j++) {
            exact sum = 0, size = 0;
            for (ptrdiff_t d = 0; d < depth; d++) {
                const exact term = (exact)(transpose_a ? a[d * lda + i] : a[i * lda + d]) *
                                   (transpose_b ? b[j * ldb + d] : b[d * ldb + j]);
                sum += term;
                size += size_of(term);
            }
            good &= near(c[i * ldc + j], sum, sum_bound(depth, size));
        }
        for (ptrdiff_t j = n; i < m - 1 && j < ldc; j++)
            good &= c[i * ldc + j] == old[i * ldc + j];
    }
    expect(good, "multiply",
           SIZES("%s %s, (%td x %td) = (%td x %td) (%td x %td), %td apart",
                 transpose_a ? "A'" : "A", transpose_b ? "B'" : "B", m, n, m, depth, depth, n,
                 apart));
    free(a), free(b), free(c), free(old), free(scratch);
}

static void check_multiplies(void)
{
    for (int transpose = 0; transpose < 4; transpose++)
        for (int apart = 0; apart < 3; apart++) {
            const int ta = transpose & 1, tb = transpose >> 1;
            const ptrdiff_t gap = apart == 2 ? FAR_APART : apart;
            check_multiply(ta, tb, 1, 1, 1, gap);
            check_multiply(ta, tb, 7, 64, 33, gap);
            check_multiply(ta, tb, 13, 83, 20, gap);
            check_multiply(ta, tb, 5, 19, MULTIPLY_DEPTH + 30, gap);
            check_multiply(ta, tb, ROWS_AT_ONCE + 3, 16, 40, gap);
            check_multiply(ta, tb, ROWS_AT_ONCE + 3, 16, MULTIPLY_DEPTH + 5, gap);
        }
    check_multiply(0, 0, MULTIPLY_ROWS + 2, 3, 2, 0);
}

/* -- Packing -- */

static void check_packing(
    int G, ptrdiff_t H, ptrdiff_t n, ptrdiff_t units, const signed char *stacked)
{
    const ptrdiff_t padded = with_columns(H, G), depth = n + 3, at = 2;
    const gate_shape shape = {G, stacked, H, units};
    real *weights = numbers(G * H * n, 1), *back = numbers(G * H * n, 1);
    real *old = copy(back, G * H * n), *packed = numbers(padded * G * depth, 9);
    real *old_packed = copy(packed, padded * G * depth);
    int pack = 1, unpack = 1, accumulate = 1;
    const ptrdiff_t n_blocks = up_to(padded, units) / units;
    for (ptrdiff_t b = 0; b < n_blocks; b++) {
        k->pack_gates(&shape, n, weights, depth, at, packed, b);
        k->unpack_gates(&shape, n, back, depth, at, packed, b, 0);
    }
    for (ptrdiff_t u = 0; u < padded; u++)
        for (int g = 0; g < G; g++) {
            const ptrdiff_t in_block = least(units, padded - u / units * units);
            const ptrdiff_t c = u / units * units * G + g * in_block + u % units;
            for (ptrdiff_t d = 0; d < depth; d++) {
                const ptrdiff_t place = packed_place(c, d, depth, units * G, padded * G);
                const int inside = d >= at && d < at + n;
                const real wanted = !inside ? old_packed[place]
                                    : u < H && stacked[g] >= 0
                                        ? weights[(stacked[g] * H + u) * n + d - at]
                                        : 0;
                pack &= packed[place] == wanted;
            }
        }
    for (int g = 0; g < G; g++)
        for (ptrdiff_t j = 0; stacked[g] >= 0 && j < H * n; j++)
            unpack &= back[stacked[g] * H * n + j] == weights[stacked[g] * H * n + j];
    memcpy(back, old, (size_t)(G * H * n) * sizeof(real));
    for (ptrdiff_t b = 0; b < n_blocks; b++)
        k->unpack_gates(&shape, n, back, depth, at, packed, b, 1);
    for (int g = 0; g < G; g++)
        for (ptrdiff_t j = 0; stacked[g] >= 0 && j < H * n; j++) {
            const ptrdiff_t place = stacked[g] * H * n + j;
            accumulate &= back[place] == old[place] + weights[place];
        }
    expect(pack, "pack_gates",
           SIZES("%td units of blocks of %td, %d gates, %td numbers", H, units, G, n));
    expect(unpack, "unpack_gates", sizes);
    expect(accumulate, "unpack_gates, accumulating", sizes);
    free(weights), free(back), free(old), free(packed), free(old_packed);
}

/* Rows in the order of dL/dz without its padding: blocks of units, gate by gate of those that are
 * there. */
static void check_pack_rows(ptrdiff_t H, ptrdiff_t n, ptrdiff_t block, const signed char *stacked)
{
    const int G = 4;
    ptrdiff_t n_seeing = 0, before[MAX_GATES];
    for (int g = 0; g < G; g++) {
        before[g] = n_seeing;
        n_seeing += stacked[g] >= 0;
    }
    const ptrdiff_t padded = up_to(n, BLOCK_UNITS), depth = n_seeing * H;
    const gate_shape shape = {G, stacked, H, BLOCK_UNITS};
    real *weights = numbers(G * H * n, 1), *packed = numbers(padded * depth, 9);
    int good = 1;
    for (ptrdiff_t b = 0; b < up_to(padded, block) / block; b++)
        k->pack_rows(&shape, n, weights, packed, block, b);
    for (ptrdiff_t u = 0; u < H; u++)
        for (int g = 0; g < G; g++) {
            const ptrdiff_t start = u / BLOCK_UNITS * BLOCK_UNITS;
            const ptrdiff_t row =
                start * n_seeing + before[g] * least(BLOCK_UNITS, H - start) + u - start;
            for (ptrdiff_t c = 0; stacked[g] >= 0 && c < padded; c++)
                good &= packed[packed_place(c, row, depth, block, padded)] ==
                        (c < n ? weights[(stacked[g] * H + u) * n + c] : 0);
        }
    expect(good, "pack_rows", SIZES("%td units, %td columns in blocks of %td", H, n, block));
    free(weights), free(packed);
}

static void check_packings(void)
{
    static const signed char stacked[][4] = {{0, 1, 2, 3}, {0, -1, 1, 2}, {-1, 0, -1, -1}};
    static const ptrdiff_t units[] = {1, 5, 11, 15, 16, 17, 70};
    for (int s = 0; s < 3; s++)
        for (int u = 0; u < 7; u++)
            for (ptrdiff_t n = 1; n < 140; n += 46) {
                for (int G = 1; G <= 4; G++) {
                    check_packing(G, units[u], n, BLOCK_UNITS, stacked[s]);
                    check_packing(G, units[u], n, HEAD_BLOCK, stacked[s]);
                }
                check_pack_rows(units[u], n, PORTION * BLOCK_UNITS, stacked[s]);
                check_pack_rows(units[u], n, BLOCK_UNITS, stacked[s]);
            }
}

/* -- Int8 -- */

#if REAL_IS_FLOAT
static ptrdiff_t quads(ptrdiff_t n) { return up_to(n, 4); }

/* n numbers and their values in int8, `apart` from each other where quads do not end: the largest
 * is at 127 and all are within half a step, or all are zeros. */
static int quantized(
    ptrdiff_t n, const real *x, const int8_t *q, ptrdiff_t quad_apart, real scale)
{
    exact largest = 0;
    int good = 1;
    for (ptrdiff_t j = 0; j < n; j++)
        largest = size_of(x[j]) > largest ? size_of(x[j]) : largest;
    if (largest < 1e-30L)
        largest = 0;
    good &= near(scale, largest > 0 ? largest / 127 : 1, largest * ROUNDOFF);
    for (ptrdiff_t j = 0; j < quads(n); j++) {
        const int8_t value = q[j / 4 * quad_apart + j % 4];
        good &= j < n && largest > 0 ? near(value, x[j] / (largest / 127), (exact)0.5001)
                                     : value == 0;
        good &= value >= -127 && (j >= n || size_of(x[j]) < largest || largest == 0 ||
                                  value == (x[j] < 0 ? -127 : 127));
    }
    return good;
}

/* Where the quads of row 0 of a column start, and how far apart its quads are. */
static const int8_t *int8_column(
    const int8_columns *packed, ptrdiff_t depth, ptrdiff_t block, ptrdiff_t n_columns,
    ptrdiff_t c, ptrdiff_t *apart)
{
    const ptrdiff_t panel_columns = 4 * level_bytes / (ptrdiff_t)sizeof(real);
    const ptrdiff_t in_block = c % block, panel = in_block / panel_columns * panel_columns;
    *apart = 4 * least(panel_columns, least(block, n_columns - c + in_block) - panel);
    return packed->quads + depth * (c - in_block + panel) + 4 * (in_block - panel);
}

static int int8_sum(ptrdiff_t n, const int8_t *row, const int8_t *column, ptrdiff_t apart)
{
    int sum = 0;
    for (ptrdiff_t j = 0; j < n; j++)
        sum += row[j] * column[j / 4 * apart + j % 4];
    return sum;
}

/* Two operands of I and H numbers, n rows; the second is left out where a gate sees none. */
static void check_int8(
    ptrdiff_t n, ptrdiff_t I, ptrdiff_t H, int n_gates, const signed char *stacked, double range)
{
    const ptrdiff_t units = with_columns(H, n_gates);
    const ptrdiff_t G = units * n_gates, block = BLOCK_UNITS * n_gates;
    const ptrdiff_t sizes_of[] = {I, H}, depths[] = {quads(I), quads(H)};
    const ptrdiff_t depth = depths[0] + depths[1];
    const gate_shape shape = {n_gates, stacked, H, BLOCK_UNITS};
    real *weights[2], *x[2], *z = numbers(n * G, 9), *alone = numbers(G, 9);
    int8_rows rows[2], row[2];
    int8_columns packed[2];
    ptrdiff_t there = 0;
    int good = 1, same = 1;
    for (int g = 0; g < n_gates; g++)
        there += stacked[g] >= 0;
    packed[0].quads = allocate((size_t)(G * depth));
    packed[0].scales = allocate((size_t)(2 * G) * sizeof(real));
    packed[0].offsets = allocate((size_t)(2 * G) * sizeof(int32_t));
    packed[1] = packed[0];
    packed[1].scales += G;
    packed[1].offsets += G;
    for (int p = 0; p < 2; p++) {
        const ptrdiff_t size = sizes_of[p];
        weights[p] = numbers(there * H * size, range);
        memset(weights[p], 0, (size_t)size * sizeof(real)); /* of the first unit */
        x[p] = numbers(n * size, range);
        memset(x[p] + (n - 1) * size, 0, (size_t)size * sizeof(real));
        if (range > 1 && size > 1) { /* of very unlike sizes */
            x[p][0] *= (real)1e-25;
            weights[p][there * H * size - 1] = (real)-1e30;
        }
        rows[p].values = allocate((size_t)(n * depths[p]));
        rows[p].scales = allocate((size_t)n * sizeof(real));
        rows[p].depth = depths[p];
        int8->quantize_rows(n, size, x[p], &rows[p]);
        for (ptrdiff_t r = 0; r < n; r++)
            good &= quantized(size, x[p] + r * size, rows[p].values + r * depths[p], 4,
                              rows[p].scales[r]);
        for (ptrdiff_t b = up_to(G, block) / block; b-- > 0;)
            int8->pack(&shape, size, weights[p], depth, p * depths[0], &packed[p], b);
    }
    expect(good, "quantize_rows", SIZES("%td rows of %td and %td, up to %g", n, I, H, range));
    good = 1;
    for (ptrdiff_t c = 0; c < G; c++) {
        const ptrdiff_t first = c / block * BLOCK_UNITS;
        const ptrdiff_t in_block = least(BLOCK_UNITS, units - first);
        const ptrdiff_t gate = c % block / in_block, unit = first + c % block % in_block;
        ptrdiff_t apart;
        const int8_t *q = int8_column(packed, depth, block, G, c, &apart);
        for (int p = 0; p < 2; p++, q += depths[0] / 4 * apart) {
            const int seen = stacked[gate] >= 0 && unit < H;
            real *zeros = allocate((size_t)sizes_of[p] * sizeof(real));
            int sum = 0;
            memset(zeros, 0, (size_t)sizes_of[p] * sizeof(real));
            good &= quantized(
                sizes_of[p],
                seen ? weights[p] + (stacked[gate] * H + unit) * sizes_of[p] : zeros, q, apart,
                packed[p].scales[c]);
            for (ptrdiff_t j = 0; j < depths[p]; j++)
                sum += q[j / 4 * apart + j % 4];
            good &= packed[p].offsets[c] == -128 * sum;
            free(zeros);
        }
    }
    expect(good, "pack in int8", SIZES("%td and %td, %d gates", I, H, n_gates));
    good = 1;
    int8->product(n, 2, rows, depth, 0, packed, block, 0, least(block, G), G, z);
    if (n % 2)
        int8->product(n, 2, rows, depth, 0, packed, block, least(block, G), G, G, z);
    else { /* one operand after the other */
        int8->product(n, 1, rows, depth, 0, packed, block, least(block, G), G, G, z);
        int8->product(n, 1, rows + 1, depth, depths[0], packed + 1, block, least(block, G), G, G,
                      z);
    }
    for (ptrdiff_t r = 0; r < n; r++) {
        for (int p = 0; p < 2; p++)
            row[p] = (int8_rows){rows[p].values + r * depths[p], rows[p].scales + r, depths[p]};
        int8->product(1, 2, row, depth, 0, packed, block, 0, G, G, alone);
        for (ptrdiff_t c = 0; c < G; c++) {
            exact sum = 0, size = 0;
            ptrdiff_t apart;
            const int8_t *q = int8_column(packed, depth, block, G, c, &apart);
            for (int p = 0; p < 2; p++, q += depths[0] / 4 * apart) {
                const exact term = (exact)rows[p].scales[r] * packed[p].scales[c] *
                                   int8_sum(depths[p], row[p].values, q, apart);
                sum += term;
                size += size_of(term);
            }
            good &= near(z[r * G + c], sum, 5 * ROUNDOFF * size);
            same &= z[r * G + c] == alone[c];
        }
    }
    expect(good, "product in int8", SIZES("%td x (%td, %td), %d gates", n, I, H, n_gates));
    expect(same, "product in int8, each row by itself", sizes);
    for (int p = 0; p < 2; p++)
        free(weights[p]), free(x[p]), free(rows[p].values), free(rows[p].scales);
    free(packed[0].quads), free(packed[0].scales), free(packed[0].offsets), free(z), free(alone);
}

static void check_all_int8(void)
{
    static const signed char stacked[][4] = {{0, 1, 2, 3}, {0, -1, 1, 2}, {0, 1, 2, -1}};
    static const ptrdiff_t units[] = {1, 5, 11, 15, 16, 17, 70, 3 * INT8_AT_ONCE + 5};
    for (int s = 0; s < 3; s++)
        for (int u = 0; u < 8; u++)
            for (ptrdiff_t n = 1; n < 8; n++)
                for (int n_gates = s == 2 ? 1 : 3; n_gates <= (s == 2 ? 3 : 4); n_gates++)
                    check_int8(n, 1 + (n * n + 3 * u) % 41, units[u], n_gates, stacked[s],
                               n % 3 == 0 ? 4 : 0.5);
}
#endif

/* -- Dropout and softmax -- */

static void check_dropout(ptrdiff_t n, double rate)
{
    const uint64_t key = random_bits();
    real *x = numbers(n, 1), *out = copy(x, n);
    ptrdiff_t kept = 0;
    int good = 1;
    k->dropout(n, out, key, rate);
    for (ptrdiff_t j = 0; j < n; j++) {
        /* Murmur3's finalizer of key and unit. */
        uint32_t bits = (uint32_t)key + (uint32_t)j * ((uint32_t)(key >> 32) | 1);
        bits ^= bits >> 16;
        bits *= UINT32_C(0x85ebca6b);
        bits ^= bits >> 13;
        bits *= UINT32_C(0xc2b2ae35);
        bits ^= bits >> 16;
        const int keep = bits >= rate * 4294967296.0 - 1;
        good &= keep ? near(out[j], x[j] / (1 - (exact)rate), 4 * ROUNDOFF * 10) : out[j] == 0;
        kept += keep;
    }
    /* Five standard deviations. */
    good &= fabs((double)kept - (1 - rate) * (double)n) <=
            5 * sqrt(rate * (1 - rate) * (double)n);
    expect(good, "dropout", SIZES("%td units at %g", n, rate));
    free(x), free(out);
}

static void check_softmax(ptrdiff_t K, double range, double weight)
{
    real *scores = numbers(K, range), *old = copy(scores, K);
    const ptrdiff_t label = (ptrdiff_t)(random_bits() % (uint64_t)K);
    const double loss = k->softmax(K, scores, label, weight);
    exact highest = old[0], total = 0;
    int good = 1;
    for (ptrdiff_t j = 0; j < K; j++)
        highest = old[j] > highest ? old[j] : highest;
    for (ptrdiff_t j = 0; j < K; j++)
        total += exact_exp(old[j] - highest);
    /* A score less the highest is rounded, which is an error of its exponential by as much. */
    const exact relative = 16 * ROUNDOFF + 2 * (exact)range * ROUNDOFF;
    for (ptrdiff_t j = 0; j < K; j++) {
        const exact p = exact_exp(old[j] - highest) / total;
        good &= near(scores[j], weight * (p - (j == label)),
                     weight * ((p + (j == label)) * 2 * relative + exact_exp(-EXP_DOMAIN + 1)));
    }
    /* In double, whatever the scores are. */
    good &= near(loss, logl(total) + highest - old[label],
                 relative + 4 * (exact)DBL_EPSILON * (1 + (exact)range));
    expect(good, "softmax", SIZES("%td scores within %g, weight %g", K, range, weight));
    free(scores), free(old);
}

static void check_softmax_of_nan(ptrdiff_t K)
{
    for (ptrdiff_t at = 0; at < K; at++) {
        real *scores = numbers(K, 1);
        scores[at] = (real)NAN;
        const double loss = k->softmax(K, scores, 0, 1);
        expect(loss != loss, "softmax", SIZES("NaN at %td of %td scores", at, K));
        free(scores);
    }
}

static void check_samples(void)
{
    static const ptrdiff_t many[] = {1, 2, 3, 15, 16, 17, 33, 1000};
    for (int j = 0; j < 8; j++) {
        for (int scale = 0; scale < 3; scale++)
            for (double weight = 1; weight > 0.1; weight *= 0.3)
                check_softmax(many[j], scale == 0 ? 1 : scale == 1 ? 20 : 600, weight);
        check_dropout(many[j], 0.1);
        check_dropout(many[j], 0.5);
    }
    check_dropout(100000, 0.3);
    check_softmax_of_nan(37);
}

/* -- Chains -- */

/* Score of the labels that `code` counts through in base K. */
static exact path_score(const chain *c, ptrdiff_t T, const real *scores, ptrdiff_t code)
{
    ptrdiff_t label = code % c->K;
    exact score = (exact)c->start[label] + scores[label];
    for (ptrdiff_t t = 1; t < T; t++) {
        const ptrdiff_t next = (code /= c->K) % c->K;
        score += (exact)c->transitions[label * c->K + next] + scores[t * c->W + next];
        label = next;
    }
    return score + c->end[label];
}

/* Against all K^T paths. Where numbers are large, some transitions are as good as forbidden. */
static void check_chain(ptrdiff_t K, ptrdiff_t T, double range)
{
    const ptrdiff_t W = up_to(K, BLOCK_UNITS);
    real *parameters = numbers(K * (K + 2), range), *scores = numbers(T * W, range);
    real *old = copy(scores, T * W);
    chain c = {.K = K, .W = W, .transitions = parameters, .start = parameters + K * K,
               .end = parameters + K * K + K};
    c.factors = numbers(K * W, 1), c.transposed = numbers(K * W, 1);
    c.pairs = numbers(K * W, 1), c.alphas = numbers(T * W, 1);
    c.rows = numbers(CHAIN_ROWS * W, 1), c.dtransitions = allocate((size_t)(K * K) * sizeof(real));
    for (ptrdiff_t j = 0; range > 2 && j < K * K; j += 3)
        parameters[j] -= (real)(j % 2 ? 1e4 : 60);
    ptrdiff_t n_paths = 1, best = 0;
    exact *p = allocate((size_t)(T * K) * sizeof(exact));
    exact *pairs = allocate((size_t)(K * K) * sizeof(exact)), total = 0, highest = -INFINITY;
    int good = 1;
    for (ptrdiff_t t = 0; t < T; t++)
        n_paths *= K;
    for (ptrdiff_t code = 0; code < n_paths; code++) {
        const exact score = path_score(&c, T, old, code);
        if (score > highest) {
            highest = score;
            best = code;
        }
    }
    for (ptrdiff_t code = 0; code < n_paths; code++) {
        const exact e = exact_exp(path_score(&c, T, old, code) - highest);
        total += e;
        for (ptrdiff_t t = 0, rest = code, label; t < T; t++, rest /= K) {
            p[t * K + (label = rest % K)] += e;
            if (t < T - 1)
                pairs[label * K + rest / K % K] += e;
        }
    }
    k->chain_open(&c);
    const double log_total = k->chain_marginals(&c, T, scores, 0, 0.5);
    k->chain_close(&c);
    /* Of the scores of T steps each is rounded a few times, at a few times their range. */
    const exact error = 40 * (exact)T * ((exact)range + 1) * ROUNDOFF;
    good &= near((exact)log_total, logl(total) + highest, error);
    for (ptrdiff_t t = 0; t < T; t++)
        for (ptrdiff_t j = 0; j < K; j++)
            good &= near(scores[t * W + j], p[t * K + j] / total, error);
    for (ptrdiff_t j = 0; j < K * K; j++)
        good &= near(c.dtransitions[j], pairs[j] / total / 2, (exact)T * error);
    expect(good, "chain_marginals", SIZES("%td labels, %td steps, within %g", K, T, range));
#if !REAL_IS_FLOAT
    int64_t *labels = allocate((size_t)T * sizeof(int64_t));
    k->best_path(&c, T, old, labels);
    good = 1;
    for (ptrdiff_t t = 0; t < T; t++, best /= K)
        good &= labels[t] == best % K;
    expect(good, "best_path", SIZES("%td labels, %td steps, within %g", K, T, range));
    free(labels);
#else
    expect(k->best_path == NULL, "best_path", "which is in double alone");
    (void)best;
#endif
    free(parameters), free(scores), free(old), free(c.factors), free(c.transposed);
    free(c.pairs), free(c.alphas), free(c.rows), free(c.dtransitions), free(p), free(pairs);
}

static void check_chains(void)
{
    static const ptrdiff_t many[] = {1, 2, 3, 5, 16, 17};
    for (int j = 0; j < 6; j++)
        for (ptrdiff_t T = 1; T <= (many[j] > 5 ? 3 : 5); T++)
            for (double range = 1; range < 50; range *= 6)
                check_chain(many[j], T, range);
}

/* -- Optimizers and sums -- */

static void check_sums(ptrdiff_t n_rows, ptrdiff_t n)
{
    real *x = numbers(n_rows * n, 1), *sum = numbers(n, 1), *old_sum = copy(sum, n);
    real *out = numbers(n_rows * n, 1), *old_out = copy(out, n_rows * n);
    int good = 1;
    k->add(n_rows * n, x, out);
    for (ptrdiff_t j = 0; j < n_rows * n; j++)
        good &= near(out[j], (exact)old_out[j] + x[j], 4 * ROUNDOFF);
    expect(good, "add", SIZES("%td numbers", n_rows * n));

    memcpy(out, old_out, (size_t)(n_rows * n) * sizeof(real));
    k->add_to_rows(n_rows, n, old_sum, out);
    good = 1;
    for (ptrdiff_t j = 0; j < n_rows * n; j++)
        good &= near(out[j], (exact)old_out[j] + old_sum[j % n], 4 * ROUNDOFF);
    expect(good, "add_to_rows", SIZES("%td rows of %td", n_rows, n));

    k->add_rows(n_rows, n, x, sum);
    good = 1;
    for (ptrdiff_t j = 0; j < n; j++) {
        exact wanted = old_sum[j];
        for (ptrdiff_t r = 0; r < n_rows; r++)
            wanted += x[r * n + j];
        good &= near(sum[j], wanted, sum_bound(n_rows + 1, (exact)(n_rows + 1)));
    }
    expect(good, "add_rows", sizes);
    free(x), free(sum), free(old_sum), free(out), free(old_out);
}

/* Products of a thin head; a row by itself has the same bits. */
static void check_thin(ptrdiff_t M, ptrdiff_t K, ptrdiff_t D)
{
    real *features = numbers(M * D, 1), *weights = numbers(K * D, 1), *bias = numbers(K, 1);
    real *scores = numbers(M * K, 9), *alone = numbers(K, 9);
    real *dscores = numbers(M * K, 1), *dfeatures = numbers(M * D, 9);
    real *dweights = numbers(K * D, 1), *old_dweights = copy(dweights, K * D);
    int good = 1;
    k->thin_forward(M, K, D, features, weights, bias, scores);
    for (ptrdiff_t r = 0; r < M; r++) {
        for (ptrdiff_t j = 0; j < K; j++) {
            exact wanted = bias[j];
            for (ptrdiff_t d = 0; d < D; d++)
                wanted += (exact)features[r * D + d] * weights[j * D + d];
            good &= near(scores[r * K + j], wanted, sum_bound(D + 1, (exact)(D + 1)));
        }
        k->thin_forward(1, K, D, features + r * D, weights, bias, alone);
        good &= memcmp(alone, scores + r * K, (size_t)K * sizeof(real)) == 0;
    }
    expect(good, "thin_forward", SIZES("%td x %td x %td", M, K, D));

    k->thin_backward(M, K, D, features, weights, dscores, dfeatures, dweights);
    good = 1;
    for (ptrdiff_t d = 0; d < D; d++) {
        for (ptrdiff_t r = 0; r < M; r++) {
            exact wanted = 0;
            for (ptrdiff_t j = 0; j < K; j++)
                wanted += (exact)dscores[r * K + j] * weights[j * D + d];
            good &= near(dfeatures[r * D + d], wanted, sum_bound(K, (exact)K));
        }
        for (ptrdiff_t j = 0; j < K; j++) {
            exact wanted = old_dweights[j * D + d];
            for (ptrdiff_t r = 0; r < M; r++)
                wanted += (exact)dscores[r * K + j] * features[r * D + d];
            good &= near(dweights[j * D + d], wanted, sum_bound(M + 1, (exact)(M + 1)));
        }
    }
    expect(good, "thin_backward", sizes);
    free(features), free(weights), free(bias), free(scores), free(alone), free(dscores);
    free(dfeatures), free(dweights), free(old_dweights);
}

/* -- Layer normalization -- */

/* Two runs in rows of `stride` numbers: the first twice, the second with gains elsewhere. */
typedef struct {
    ptrdiff_t stride, n;
    run runs[2];
    ptrdiff_t at[64], gain[64]; /* of each number, (n,) */
} run_layout;

static run_layout lay_runs(ptrdiff_t first, ptrdiff_t second)
{
    run_layout l = {.stride = 2 * (first + 2) + second + 1,
                    .runs = {{1, 3, first, 1, first + 2},
                             {2 * (first + 2), 2 * (first + 2) + 5, second, 0, 0}}};
    for (int k = 0; k < 2; k++)
        for (ptrdiff_t repeat = 0; repeat <= l.runs[k].repeats; repeat++)
            for (ptrdiff_t j = 0; j < l.runs[k].n; j++) {
                l.at[l.n] = l.runs[k].at + repeat * l.runs[k].apart + j;
                l.gain[l.n++] = l.runs[k].gain + repeat * l.runs[k].apart + j;
            }
    return l;
}

/* xhat_j and its derivative, in dual numbers. */
static dual normalized(const dual *a, ptrdiff_t n, ptrdiff_t j)
{
    const dual share = number(1 / (exact)n);
    dual mean = number(0), variance = number(0);
    for (ptrdiff_t k = 0; k < n; k++)
        mean = plus(mean, times(share, a[k]));
    for (ptrdiff_t k = 0; k < n; k++)
        variance = plus(variance, times(share, times(minus(a[k], mean), minus(a[k], mean))));
    return times(minus(a[j], mean), inverse_root(plus(variance, number(1e-5))));
}

static void check_rows_normalized(ptrdiff_t first, ptrdiff_t second, ptrdiff_t n_rows, exact range)
{
    const run_layout l = lay_runs(first, second);
    const ptrdiff_t size = n_rows * l.stride, n = l.n, n_gains = l.stride + 8;
    /* Sums of some numbers; where they differ little, what is left of them is magnified. */
    const exact bound = (exact)(n + 16) * 64 * ROUNDOFF;
    real *a = numbers(size, (double)range), *xhat = copy(a, size), *d = numbers(size, 1);
    real *da = numbers(size, 9), *gains = numbers(n_gains, 1), *z = numbers(size, 1);
    real *old_z = copy(z, size), *rstd = numbers(n_rows, 9), *in_place = copy(d, size);
    real *dgains = numbers(n_gains, 1), *old_dgains = copy(dgains, n_gains);
    real *dbias = numbers(n_gains, 1), *old_dbias = copy(dbias, n_gains);
    int good = 1;
    k->normalize_rows(n_rows, l.stride, 2, l.runs, xhat, rstd);
    k->normalize_rows_backward(n_rows, l.stride, 2, l.runs, gains, rstd, d, xhat, da);
    k->normalize_rows_backward(n_rows, l.stride, 2, l.runs, gains, rstd, in_place, xhat,
                               in_place);
    k->add_with_gains(n_rows, l.stride, 2, l.runs, gains, xhat, z);
    for (ptrdiff_t r = 0; r < n_rows; r++)
        for (ptrdiff_t j = 0; j < n; j++) {
            dual row[64];
            exact slope = 0;
            const ptrdiff_t at = r * l.stride + l.at[j];
            for (ptrdiff_t i = 0; i < n; i++)
                row[i] = (dual){a[r * l.stride + l.at[i]], i == j};
            for (ptrdiff_t i = 0; i < n; i++)
                slope += (exact)gains[l.gain[i]] * d[r * l.stride + l.at[i]] *
                         normalized(row, n, i).d;
            const exact wanted = normalized(row, n, j).v;
            good &= near(xhat[at], wanted, bound * (1 + range * rstd[r]));
            good &= near(da[at], slope, bound * rstd[r] * (1 + range * rstd[r]));
            good &= da[at] == in_place[at];
            good &= near(z[at], old_z[at] + (exact)gains[l.gain[j]] * xhat[at], 4 * ROUNDOFF * 4);
        }
    /* Beside the runs nothing is written. */
    good &= a[l.stride - 1] == xhat[l.stride - 1] && old_z[0] == z[0];
    expect(good, "normalize_rows", SIZES("runs of %td and %td numbers", first, second));
    good = 1;
    k->gain_gradients(n_rows, l.stride, 2, l.runs, d, xhat, dgains, NULL);
    k->gain_gradients(n_rows, l.stride, 2, l.runs, d, xhat, dgains, dbias);
    for (ptrdiff_t j = 0; j < n; j++) {
        exact of_gain = old_dgains[l.gain[j]], of_bias = old_dbias[l.gain[j]];
        for (ptrdiff_t r = 0; r < n_rows; r++) {
            const ptrdiff_t at = r * l.stride + l.at[j];
            of_gain += 2 * (exact)d[at] * xhat[at];
            of_bias += d[at];
        }
        good &= near(dgains[l.gain[j]], of_gain, (exact)n_rows * 64 * ROUNDOFF);
        good &= near(dbias[l.gain[j]], of_bias, (exact)n_rows * 16 * ROUNDOFF);
    }
    good &= dgains[0] == old_dgains[0] && dbias[n_gains - 1] == old_dbias[n_gains - 1];
    expect(good, "gain_gradients", sizes);
    free(a), free(xhat), free(d), free(da), free(gains), free(z), free(old_z), free(rstd);
    free(in_place), free(dgains), free(old_dgains), free(dbias), free(old_dbias);
}

static void check_normalized_cells(int relu, ptrdiff_t H, ptrdiff_t width, int with_dy)
{
    enum { G = 4, ROWS = 3 };
    const ptrdiff_t S = up_to(H, width), units = least(S, with_columns(H, G)), row = units * G;
    real *gain = numbers(S, 1), *bias = numbers(S, 1), *gates = numbers(ROWS * row, 1);
    real *chat = numbers(ROWS * S, 2), *phi_c = numbers(ROWS * S, 9), *h = numbers(ROWS * H, 9);
    real *dy = numbers(ROWS * H, 1), *dh = numbers(ROWS * S, 1), *d = numbers(ROWS * S, 9);
    int good = 1;
    k->normalized_outputs[relu](ROWS, H, width, G, gain, bias, gates, chat, phi_c, h);
    k->normalized_slopes[relu](ROWS, H, width, G, gates, phi_c, with_dy ? dy : NULL, dh, d);
    for (ptrdiff_t r = 0; r < ROWS; r++)
        for (ptrdiff_t j = 0; j < H; j++) {
            const ptrdiff_t at = r * S + j;
            const exact o = gates[r * row + gate_place(j, G - 1, G, width, units)];
            const dual in = {(exact)gain[j] * chat[at] + bias[j], 1}, y = phi_of(in, relu);
            const exact dh_j = (exact)dh[at] + (with_dy ? dy[r * H + j] : 0);
            good &= cell_near(phi_c[at], y.v, 3) && cell_near(h[r * H + j], o * y.v, 3);
            good &= cell_near(d[at], dh_j * o * y.d, 3);
        }
    expect(good, "normalized_outputs", SIZES("%td units in blocks of %td", H, width));
    free(gain), free(bias), free(gates), free(chat), free(phi_c), free(h), free(dy), free(dh);
    free(d);
}

static void check_norms(void)
{
    static const ptrdiff_t units[] = {1, 5, 11, 16, 17, 40};
    for (ptrdiff_t n = 1; n < 21; n++) {
        check_rows_normalized(n, 21 - n, 1 + n % 3, 2);
        check_rows_normalized(n, 1, 2, (exact)1e-3);
    }
    for (int u = 0; u < 6; u++)
        for (int relu = 0; relu < 2; relu++) {
            check_normalized_cells(relu, units[u], BLOCK_UNITS, relu);
            check_normalized_cells(relu, units[u], units[u], !relu);
        }
}

/* Steps of one row, pooled one after the other. */
static void check_pooling(ptrdiff_t n)
{
    enum { STEPS = 5 };
    real *y = numbers(STEPS * n, 1), *u = numbers(STEPS * n, 1), *pre = copy(u, STEPS * n);
    real *best = numbers(n, 1), *state = allocate((size_t)(n + 2) * sizeof(real));
    real *a = numbers(n, 1), *v = numbers(n, 1), *da = numbers(n, 1), *old_da = copy(da, n);
    real *dv = numbers(n, 1), *old_dv = copy(dv, n), scores[STEPS];
    ptrdiff_t *found = allocate((size_t)n * sizeof(ptrdiff_t));
    exact highest = 0, total = 0;
    int good = 1;
    for (int t = 0; t < STEPS; t++)
        k->keep_larger(n, t == 0, t, y + t * n, best, found);
    for (ptrdiff_t j = 0; j < n; j++) {
        good &= best[j] == y[found[j] * n + j];
        for (int t = 0; t < STEPS; t++)
            good &= y[t * n + j] <= best[j];
    }
    y[n] = (real)NAN;
    k->keep_larger(n, 0, STEPS, y + n, best, NULL);
    good &= best[0] != best[0];
    y[n] = 0;
    expect(good, "keep_larger", SIZES("%td numbers", n));

    good = 1;
    memset(state, 0, (size_t)(n + 2) * sizeof(real));
    for (int t = 0; t < STEPS; t++) {
        exact wanted = 0;
        scores[t] = k->attention_score(n, a, v, u + t * n);
        for (ptrdiff_t j = 0; j < n; j++) {
            const exact tanh_j = exact_tanh((exact)pre[t * n + j] + a[j]);
            good &= near(u[t * n + j], tanh_j, TANH_RELATIVE_ERROR * 4 + 4 * ROUNDOFF);
            wanted += v[j] * tanh_j;
        }
        good &= near(scores[t], wanted, (exact)(n + 8) * 16 * ROUNDOFF * (exact)n);
        highest = t == 0 || scores[t] > highest ? scores[t] : highest;
        k->attend(n, scores[t], y + t * n, state);
    }
    expect(good, "attention_score", sizes);
    good = state[0] == (real)highest;
    for (int t = 0; t < STEPS; t++)
        total += exact_exp(scores[t] - highest);
    for (ptrdiff_t j = 0; j < n; j++) {
        exact wanted = 0;
        for (int t = 0; t < STEPS; t++)
            wanted += exact_exp(scores[t] - highest) / total * y[t * n + j];
        good &= near(state[2 + j] / state[1], wanted, 64 * ROUNDOFF);
    }
    for (int t = 0; t < STEPS; t++)
        good &= near(k->attention_share(scores[t], state), exact_exp(scores[t] - highest) / total,
                     64 * ROUNDOFF);
    expect(good, "attend", sizes);

    good = 1;
    real *tanhs = copy(u, n);
    k->attention_backward(n, (real)0.7, v, u, da, dv);
    for (ptrdiff_t j = 0; j < n; j++) {
        const exact slope = (real)0.7 * (exact)v[j] * (1 - (exact)tanhs[j] * tanhs[j]);
        good &= near(u[j], slope, 16 * ROUNDOFF);
        good &= near(da[j], old_da[j] + slope, 16 * ROUNDOFF);
        good &= near(dv[j], old_dv[j] + (real)0.7 * (exact)tanhs[j], 16 * ROUNDOFF);
    }
    expect(good, "attention_backward", sizes);
    free(y), free(u), free(pre), free(best), free(state), free(a), free(v), free(da);
    free(old_da), free(dv), free(old_dv), free(found), free(tanhs);
}

static void check_updates(ptrdiff_t n)
{
    real *w = numbers(n, 1), *old_w = copy(w, n), *g = numbers(n, 1), *old_g = copy(g, n);
    real *m = numbers(n, 1), *old_m = copy(m, n), *v = numbers(n, 1), *old_v;
    const exact bound = 16 * ROUNDOFF;
    exact sum = 0;
    int good = 1;
    for (ptrdiff_t j = 0; j < n; j++)
        v[j] = v[j] * v[j];
    old_v = copy(v, n);

    updates->scale(n, w, -1.3);
    SIZES("%td numbers", n);
    for (ptrdiff_t j = 0; j < n; j++)
        good &= near(w[j], old_w[j] * (exact)-1.3, bound);
    expect(good, "scale", sizes);

    for (ptrdiff_t j = 0; j < n; j++)
        sum += (exact)g[j] * g[j];
    expect(near(updates->sum_of_squares(n, g), sum, (exact)(n + 1) * (exact)DBL_EPSILON * sum),
           "sum_of_squares", sizes);

    memcpy(w, old_w, (size_t)n * sizeof(real));
    if (n > 2)
        w[2] = 0; /* where |w| has no slope */
    sum = 0;
    for (ptrdiff_t j = 0; j < n; j++)
        sum += (exact)0.3 * size_of(w[j]) + (exact)0.4 * w[j] * w[j];
    good = near(updates->penalize(n, w, g, 0.3, 0.8), sum,
                (exact)(n + 4) * (exact)DBL_EPSILON * (sum + 1));
    for (ptrdiff_t j = 0; j < n; j++) {
        const exact sign = w[j] > 0 ? 1 : w[j] < 0 ? -1 : 0;
        good &= near(g[j], old_g[j] + (exact)0.3 * sign + (exact)0.8 * w[j], bound);
    }
    expect(good, "penalize", sizes);

    for (int kind = 0; kind < 3; kind++) { /* plain, with momentum, with Nesterov's */
        const double momentum = kind ? 0.9 : 0, rate = 0.1, factor = 0.5;
        memcpy(w, old_w, (size_t)n * sizeof(real));
        memcpy(m, old_m, (size_t)n * sizeof(real));
        updates->sgd(n, w, old_g, m, factor, rate, momentum, kind == 2);
        good = 1;
        for (ptrdiff_t j = 0; j < n; j++) {
            const exact step = (exact)rate * (exact)factor * old_g[j];
            const exact velocity = kind ? (exact)momentum * old_m[j] - step : (exact)old_m[j];
            const exact moved = kind == 0   ? -step
                                : kind == 1 ? velocity
                                            : (exact)momentum * velocity - step;
            good &= near(m[j], velocity, bound) && near(w[j], old_w[j] + moved, bound);
        }
        expect(good, kind == 0 ? "sgd" : kind == 1 ? "sgd, momentum" : "sgd, Nesterov", sizes);
    }

    memcpy(w, old_w, (size_t)n * sizeof(real));
    memcpy(m, old_m, (size_t)n * sizeof(real));
    updates->adam(n, w, old_g, m, v, 0.5, 0.01, 1.7, 0.9, 0.99, 1e-3);
    good = 1;
    for (ptrdiff_t j = 0; j < n; j++) {
        const exact step = (exact)0.5 * old_g[j];
        const exact mean = (exact)0.9 * old_m[j] + (exact)0.1 * step;
        const exact square = (exact)0.99 * old_v[j] + (exact)0.01 * step * step;
        const exact root = sqrtl(square * (exact)1.7) + (exact)1e-3;
        good &= near(m[j], mean, bound) && near(v[j], square, bound);
        good &= near(w[j], old_w[j] - (exact)0.01 * mean / root,
                     bound * (1 + (exact)0.01 * size_of(mean) / root));
    }
    expect(good, "adam", sizes);
    free(w), free(old_w), free(g), free(old_g), free(m), free(old_m), free(v), free(old_v);
}

static void check_reading(double (*read_numbers)(ptrdiff_t, const void *, long))
{
    enum { N = 3 * 8 * 64 / sizeof(real) };
    real *x = aligned_alloc(64, N * sizeof(real));
    double sum = 0;
    for (int j = 0; j < N; j++)
        sum += x[j] = (real)(j % 13);
    expect(read_numbers(N, x, 5) == 5 * sum, "read_numbers", "5 rounds");
    free(x);
}

int main(void)
{
    static const ptrdiff_t many[] = {0, 1, 3, 15, 16, 17, 64, 1003};
    static const int bytes[N_ISAS] = {16, 32, 64, 64};
    for (int level = 0; level <= simd_highest(); level++) {
        const simd_isa *kernels_of_level = simd_kernels(level, sizeof(real));
        const int before = n_checked;
        level_name = simd_names[level];
        level_bytes = bytes[level];
        k = kernels_of_level->kernels;
        updates = &kernels_of_level->updates;
        check_cells();
        check_norms();
        check_activations();
        check_products();
        check_ranges();
        check_multiplies();
        check_packings();
#if REAL_IS_FLOAT
        int8 = kernels_of_level->int8;
        check_all_int8();
#else
        expect(kernels_of_level->int8 == NULL, "int8", "which is in float alone");
#endif
        check_samples();
        check_chains();
        for (int j = 0; j < 8; j++)
            check_updates(many[j]);
        for (int j = 1; j < 7; j++)
            check_pooling(many[j]);
        for (int j = 0; j < 4; j++) {
            check_sums(1 + 5 * j, 1 + 15 * j);
            for (ptrdiff_t K = 1; K <= THIN_SCORES; K++)
                check_thin(1 + 5 * j, K, 1 + 21 * j);
        }
        expect(kernels_of_level->multiply_adds(10) == 2.0 * 12 * 10 * level_bytes / sizeof(real),
               "multiply_adds", "10 rounds");
        check_reading(kernels_of_level->read_numbers);
        printf("%s, %s: %d checks\n", level_name, sizeof(real) == 4 ? "float" : "double",
               n_checked - before);
    }
    if (n_off)
        printf("%d checks are off\n", n_off);
    return n_off > 0;
}
