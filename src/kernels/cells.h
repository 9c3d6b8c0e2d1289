/* Every cell: the forward and backward step of one unit, and the loops over units that all
 * cells share. A new cell is a row of cell_table.h and two functions here; CONTRIBUTING.md
 * shows how. */

/* One unit of one sequence at one step. */
typedef struct {
    real z[MAX_GATES];        /* pre-activations, then gates; in backward gates, then dL/dz */
    real p[MAX_PEEPHOLES];    /* peephole weights */
    real c_prev;              /* cell state before the step, */
    real c;                   /* after it, */
    real phi_c;               /* and phi of that */
    real h;                   /* hidden state after the step */
    real drh;                 /* dL/d(r h'), where a gate sees that */
    real dh;                  /* dL/dh */
    real dc;                  /* dL/dc by way of h and the next step, then dL/dc_prev */
    real dp[MAX_PEEPHOLES];   /* dL/dp of this step */
} unit;

/* i, f, o = sigmoid(z), g = phi(z), c = f c' + i g, h = o phi(c)   (Gers 2000) */
INLINE void lstm_forward_unit(unit *u, const int relu)
{
    u->z[0] = sigmoid(u->z[0]);
    u->z[1] = sigmoid(u->z[1]);
    u->z[2] = phi(u->z[2], relu);
    u->z[3] = sigmoid(u->z[3]);
    u->c = u->z[1] * u->c_prev + u->z[0] * u->z[2];
    u->phi_c = phi(u->c, relu);
    u->h = u->z[3] * u->phi_c;
}

/* di = dc g,  df = dc c',  dg = dc i,  do = dh phi(c) */
INLINE void lstm_backward_unit(unit *u, const int relu)
{
    const real i = u->z[0], f = u->z[1], g = u->z[2], o = u->z[3];
    const real dc = u->dc;
    u->z[0] = dc * g * sigmoid_slope(i);
    u->z[1] = dc * u->c_prev * sigmoid_slope(f);
    u->z[2] = dc * i * phi_slope(g, relu);
    u->z[3] = u->dh * u->phi_c * sigmoid_slope(o);
    u->dc = dc * f;
}

/* The same with z_i += p_i c', z_f += p_f c', z_o += p_o c   (Gers & Schmidhuber 2000) */
INLINE void peephole_forward_unit(unit *u, const int relu)
{
    u->z[0] = sigmoid(u->z[0] + u->p[0] * u->c_prev);
    u->z[1] = sigmoid(u->z[1] + u->p[1] * u->c_prev);
    u->z[2] = phi(u->z[2], relu);
    u->c = u->z[1] * u->c_prev + u->z[0] * u->z[2];
    u->z[3] = sigmoid(u->z[3] + u->p[2] * u->c);
    u->phi_c = phi(u->c, relu);
    u->h = u->z[3] * u->phi_c;
}

INLINE void peephole_backward_unit(unit *u, const int relu)
{
    const real i = u->z[0], f = u->z[1], g = u->z[2], o = u->z[3];
    const real dz_o = u->dh * u->phi_c * sigmoid_slope(o);
    const real dc = u->dc + dz_o * u->p[2];
    u->z[0] = dc * g * sigmoid_slope(i);
    u->z[1] = dc * u->c_prev * sigmoid_slope(f);
    u->z[2] = dc * i * phi_slope(g, relu);
    u->z[3] = dz_o;
    u->dc = dc * f + u->z[0] * u->p[0] + u->z[1] * u->p[1];
    u->dp[0] = u->z[0] * u->c_prev;
    u->dp[1] = u->z[1] * u->c_prev;
    u->dp[2] = dz_o * u->c;
}

/* The textbook form, in which all three gates see the previous cell state: z_o += p_o c' */
INLINE void peephole_lagged_forward_unit(unit *u, const int relu)
{
    u->z[0] += u->p[0] * u->c_prev;
    u->z[1] += u->p[1] * u->c_prev;
    u->z[3] += u->p[2] * u->c_prev;
    lstm_forward_unit(u, relu);
}

INLINE void peephole_lagged_backward_unit(unit *u, const int relu)
{
    lstm_backward_unit(u, relu);
    u->dc += u->z[0] * u->p[0] + u->z[1] * u->p[1] + u->z[3] * u->p[2];
    u->dp[0] = u->z[0] * u->c_prev;
    u->dp[1] = u->z[1] * u->c_prev;
    u->dp[2] = u->z[3] * u->c_prev;
}

/* Gates i, g, o and f = 1 - i: c = c' + i (g - c')   (CIFG, Greff et al. 2015) */
INLINE void coupled_forward_unit(unit *u, const int relu)
{
    u->z[0] = sigmoid(u->z[0]);
    u->z[1] = phi(u->z[1], relu);
    u->z[2] = sigmoid(u->z[2]);
    u->c = u->c_prev + u->z[0] * (u->z[1] - u->c_prev);
    u->phi_c = phi(u->c, relu);
    u->h = u->z[2] * u->phi_c;
}

INLINE void coupled_backward_unit(unit *u, const int relu)
{
    const real i = u->z[0], g = u->z[1], o = u->z[2];
    const real dc = u->dc;
    u->z[0] = dc * (g - u->c_prev) * sigmoid_slope(i);
    u->z[1] = dc * i * phi_slope(g, relu);
    u->z[2] = u->dh * u->phi_c * sigmoid_slope(o);
    u->dc = dc * ((real)1 - i);
}

/* The unit of "lstm"; only its products differ. */
#define input_gated_forward_unit lstm_forward_unit
#define input_gated_backward_unit lstm_backward_unit

/* r, z = sigmoid(z), n = phi(z_n + r m), h = n + z (h' - n), m = U h' + b; c' is h'
 * (Cho et al. 2014, reset after the product) */
INLINE void gru_forward_unit(unit *u, const int relu)
{
    u->z[1] = sigmoid(u->z[1]);
    u->z[2] = sigmoid(u->z[2]);
    u->z[3] = phi(u->z[3] + u->z[1] * u->z[0], relu);
    u->h = u->c = u->z[3] + u->z[2] * (u->c_prev - u->z[3]);
}

/* d = dh + dc;  dn = d (1 - z) phi'(n),  dz = d (h' - n),  dr = dn m,  dm = dn r,  dh' = d z */
INLINE void gru_backward_unit(unit *u, const int relu)
{
    const real m = u->z[0], r = u->z[1], z = u->z[2], n = u->z[3], d = u->dh + u->dc;
    const real dn = d * ((real)1 - z) * phi_slope(n, relu);
    u->z[0] = dn * r;
    u->z[1] = dn * m * sigmoid_slope(r);
    u->z[2] = d * (u->c_prev - n) * sigmoid_slope(z);
    u->z[3] = dn;
    u->dc = d * z;
}

/* The same with n = phi(z_n), z_n = W x + U (r h') + b   (Cho et al. 2014) */
INLINE void gru_v1_forward_unit(unit *u, const int relu)
{
    u->z[0] = sigmoid(u->z[0]);
    u->z[1] = sigmoid(u->z[1]);
    u->z[2] = phi(u->z[2], relu);
    u->h = u->c = u->z[2] + u->z[1] * (u->c_prev - u->z[2]);
}

/* An odd number, so that all blocks are whole: the last gate alone multiplies r h'. */
enum { RESET_GATES = 3 };

/* The candidate's part, from which d(r h') = U' dn comes before all else. */
INLINE real candidate_slope(real z, real n, real d, const int relu)
{
    return d * ((real)1 - z) * phi_slope(n, relu);
}

INLINE void gru_v1_backward_unit(unit *u, const int relu)
{
    const real r = u->z[0], z = u->z[1], n = u->z[2], d = u->dh + u->dc;
    u->z[0] = u->drh * u->c_prev * sigmoid_slope(r);
    u->z[1] = d * (u->c_prev - n) * sigmoid_slope(z);
    u->z[2] = candidate_slope(z, n, d, relu);
    u->dc = d * z + u->drh * r;
}

/* The loops run over the units from `first` to `last`, `lanes` at a time as long as so many are
 * left, one row after the other, so that the bits of a row never depend on the other rows of its
 * batch; they return the first unit that is left.
 *
 * n rows, H units in blocks of `width`. A row of `gates` holds block by block G gates of `width`
 * numbers each, in the last block of as many as have columns (blocks.h): `lanes` is at most that.
 * `bias` and `peephole` are laid out likewise, but in whole blocks. A row of c_prev, c, phi_c, drh,
 * dh and dc holds whole blocks; h and dy are (n, H). Without a cell state besides h (`has_c`) c is a
 * copy of h, and there is no phi_c.
 *
 * gates: pre-activations on entry, activated gates on return. */
INLINE ptrdiff_t forward_rows(
    void (*unit_forward)(unit *, const int), const int relu, const int G,
    const int peepholes, const int has_c, const ptrdiff_t lanes, ptrdiff_t n, ptrdiff_t H,
    const ptrdiff_t width, ptrdiff_t first, ptrdiff_t last, const real *restrict bias,
    const real *restrict peephole, real *restrict gates, const real *restrict c_prev,
    real *restrict c, real *restrict phi_c, real *restrict h)
{
    const ptrdiff_t stride = (H + width - 1) / width * width;
    const ptrdiff_t units = min_of(stride, units_with_columns(H, G));
    ptrdiff_t start = first;
    for (; start + lanes <= last; start += lanes) {
        const ptrdiff_t in_block = start % width, block = start - in_block;
        const ptrdiff_t apart = lanes == width ? width : min_of(width, units - block);
        const ptrdiff_t wanted = start < H ? min_of(lanes, H - start) : 0;
        const real *b = bias + block * G + in_block;
        const real *p = peephole + block * peepholes + in_block;
        real padded[BLOCK_UNITS];
        for (ptrdiff_t row = 0; row < n; row++) {
            real *z = gates + (row * units + block) * G + in_block;
            const ptrdiff_t at = row * stride + start;
            real *out = wanted < lanes ? padded : h + row * H + start;
#pragma omp simd
            for (ptrdiff_t j = 0; j < lanes; j++) {
                unit u;
                for (int k = 0; k < G; k++)
                    u.z[k] = z[k * apart + j] + b[k * width + j];
                for (int k = 0; k < peepholes; k++)
                    u.p[k] = p[k * width + j];
                u.c_prev = c_prev[at + j];
                unit_forward(&u, relu);
                for (int k = 0; k < G; k++)
                    z[k * apart + j] = u.z[k];
                c[at + j] = u.c;
                if (has_c)
                    phi_c[at + j] = u.phi_c;
                out[j] = u.h;
            }
            if (wanted < lanes)
                memcpy(h + row * H + start, padded, (size_t)wanted * sizeof(real));
        }
    }
    return start;
}

/* gates: activated gates on entry, dL/dz on return. dc: dL/dc of this step on entry, of the
 * step before on return. Where there is a cell state besides h, what h = o phi(c) has of it,
 * dh o phi'(c), is added `by_h` times: once, or never where dc has it already (norm.h). dy (or
 * NULL) is added to dh. drh is read where a gate sees r h' (`resets`). dbias and dpeephole
 * accumulate sums over the rows. */
INLINE ptrdiff_t backward_rows(
    void (*unit_backward)(unit *, const int), const int relu, const int G,
    const int peepholes, const int has_c, const int resets, const ptrdiff_t lanes, ptrdiff_t n,
    ptrdiff_t H, const ptrdiff_t width, ptrdiff_t first, ptrdiff_t last, const real by_h,
    const real *restrict peephole, real *restrict gates, const real *restrict c_prev,
    const real *restrict c, const real *restrict phi_c, const real *restrict drh,
    const real *restrict dy, real *restrict dh, real *restrict dc, real *restrict dbias,
    real *restrict dpeephole)
{
    const ptrdiff_t stride = (H + width - 1) / width * width;
    const ptrdiff_t units = min_of(stride, units_with_columns(H, G));
    ptrdiff_t start = first;
    for (; start + lanes <= last; start += lanes) {
        const ptrdiff_t in_block = start % width, block = start - in_block;
        const ptrdiff_t apart = lanes == width ? width : min_of(width, units - block);
        const ptrdiff_t wanted = start < H ? min_of(lanes, H - start) : 0;
        const real *p = peephole + block * peepholes + in_block;
        real *db = dbias + block * G + in_block;
        real *dp = dpeephole + block * peepholes + in_block;
        for (ptrdiff_t row = 0; row < n; row++) {
            real *z = gates + (row * units + block) * G + in_block;
            const ptrdiff_t at = row * stride + start;
            if (dy) {
#pragma omp simd
                for (ptrdiff_t j = 0; j < wanted; j++)
                    dh[at + j] += dy[row * H + start + j];
            }
#pragma omp simd
            for (ptrdiff_t j = 0; j < lanes; j++) {
                unit u;
                for (int k = 0; k < G; k++)
                    u.z[k] = z[k * apart + j];
                for (int k = 0; k < peepholes; k++)
                    u.p[k] = p[k * width + j];
                u.c_prev = c_prev[at + j];
                if (peepholes)
                    u.c = c[at + j];
                if (resets)
                    u.drh = drh[at + j];
                u.dh = dh[at + j];
                u.dc = dc[at + j];
                if (has_c) { /* o is the last gate */
                    u.phi_c = phi_c[at + j];
                    u.dc += by_h * u.dh * u.z[G - 1] * phi_slope(u.phi_c, relu);
                }
                unit_backward(&u, relu);
                dc[at + j] = u.dc;
                for (int k = 0; k < G; k++) {
                    z[k * apart + j] = u.z[k];
                    db[k * width + j] += u.z[k];
                }
                for (int k = 0; k < peepholes; k++)
                    dp[k * width + j] += u.dp[k];
            }
        }
    }
    return start;
}

/* Lanes of whole blocks: a vector of AVX-512, in double half a block, since the code of all cells
 * for 16 doubles is half a megabyte. */
enum { CELLS_AT_ONCE = 64 / sizeof(real) };
_Static_assert(BLOCK_UNITS % CELLS_AT_ONCE == 0, "a block is whole lanes");

/* ROWS(lanes, width) for all units of blocks `first` to `last`, from `unit` to `end`: whole blocks,
 * then what the last one has. Lanes are constants, which unroll into whole vectors. Without packing
 * a layer is one block as wide as its units; few lanes do for the reference, and keep the code
 * small. */
#define ALL_ROWS(ROWS)                                                    \
    const ptrdiff_t end = min_of(last * width, units_with_columns(H, G)); \
    ptrdiff_t unit = first * width;                                       \
    if (width != BLOCK_UNITS) {                                           \
        unit = ROWS(4, width);                                            \
        ROWS(1, width);                                                   \
        return;                                                           \
    }                                                                     \
    unit = ROWS(CELLS_AT_ONCE, BLOCK_UNITS);                              \
    if (CELLS_AT_ONCE > 8 && units_together(G) <= 8)                      \
        unit = ROWS(8, BLOCK_UNITS);                                      \
    if (units_together(G) <= 4)                                           \
        ROWS(4, BLOCK_UNITS)

INLINE void forward_blocks(
    void (*unit_forward)(unit *, const int), const int relu, const int G,
    const int peepholes, const int has_c, ptrdiff_t n, ptrdiff_t H, ptrdiff_t width,
    ptrdiff_t first, ptrdiff_t last, const real *bias, const real *peephole, real *gates,
    const real *c_prev, real *c, real *phi_c, real *h)
{
#define ROWS(lanes, width)                                                                \
    forward_rows(unit_forward, relu, G, peepholes, has_c, lanes, n, H, width, unit, end, \
                 bias, peephole, gates, c_prev, c, phi_c, h)
    ALL_ROWS(ROWS);
#undef ROWS
}

INLINE void backward_blocks(
    void (*unit_backward)(unit *, const int), const int relu, const int G,
    const int peepholes, const int has_c, const int resets, ptrdiff_t n, ptrdiff_t H,
    ptrdiff_t width, ptrdiff_t first, ptrdiff_t last, const real by_h, const real *peephole,
    real *gates, const real *c_prev, const real *c, const real *phi_c, const real *drh,
    const real *dy, real *dh, real *dc, real *dbias, real *dpeephole)
{
#define ROWS(lanes, width)                                                                    \
    backward_rows(unit_backward, relu, G, peepholes, has_c, resets, lanes, n, H, width, unit, \
                  end, by_h, peephole, gates, c_prev, c, phi_c, drh, dy, dh, dc, dbias,       \
                  dpeephole)
    ALL_ROWS(ROWS);
#undef ROWS
}

#define FORWARD(cell, activation, relu, G, peepholes, has_c)                                 \
    static void cell##_##activation##_forward(                                               \
        ptrdiff_t n, ptrdiff_t H, ptrdiff_t width, ptrdiff_t first, ptrdiff_t last,          \
        const real *bias, const real *peephole, real *gates, const real *c_prev, real *c,    \
        real *phi_c, real *h)                                                                \
    {                                                                                        \
        forward_blocks(cell##_forward_unit, relu, G, peepholes, has_c, n, H, width, first,   \
                       last, bias, peephole, gates, c_prev, c, phi_c, h);                    \
    }
#define BACKWARD(cell, activation, relu, G, peepholes, has_c, resets)                        \
    static void cell##_##activation##_backward(                                              \
        ptrdiff_t n, ptrdiff_t H, ptrdiff_t width, ptrdiff_t first, ptrdiff_t last,          \
        real by_h, const real *peephole, real *gates, const real *c_prev, const real *c,     \
        const real *phi_c, const real *drh, const real *dy, real *dh, real *dc, real *dbias, \
        real *dpeephole)                                                                     \
    {                                                                                        \
        backward_blocks(cell##_backward_unit, relu, G, peepholes, has_c, resets, n, H,       \
                        width, first, last, by_h, peephole, gates, c_prev, c, phi_c, drh,    \
                        dy, dh, dc, dbias, dpeephole);                                       \
    }
/* How many letters a string has, known when this is compiled. */
#define COUNT(letters) ((int)sizeof(letters) - 1)
#define CELL(name, gates, see_x, see_h, see_rh, see_c, state)                              \
    _Static_assert(COUNT(gates) <= MAX_GATES, "gates");                                    \
    _Static_assert(COUNT(see_c) <= MAX_PEEPHOLES, "peepholes");                            \
    _Static_assert(COUNT(see_rh) == 0 || COUNT(gates) == RESET_GATES, "whole blocks");     \
    FORWARD(name, tanh, 0, COUNT(gates), COUNT(see_c), COUNT(state) > 1)                   \
    FORWARD(name, relu, 1, COUNT(gates), COUNT(see_c), COUNT(state) > 1)                   \
    BACKWARD(name, tanh, 0, COUNT(gates), COUNT(see_c), COUNT(state) > 1, COUNT(see_rh))   \
    BACKWARD(name, relu, 1, COUNT(gates), COUNT(see_c), COUNT(state) > 1, COUNT(see_rh))
CELLS(CELL)
#undef CELL
#undef COUNT
#undef ALL_ROWS
#undef BACKWARD
#undef FORWARD

/* -- Reset before the product: "gru_v1", whose gates are r, z and n -- */

/* rh = r h', r = sigmoid(z_r + b_r): what the candidate's product waits for. The gates stay
 * pre-activations. */
static void reset_forward(
    ptrdiff_t n, ptrdiff_t H, ptrdiff_t width, ptrdiff_t first, ptrdiff_t last,
    const real *restrict bias, const real *restrict gates, const real *restrict h_prev,
    real *restrict rh)
{
    const ptrdiff_t stride = (H + width - 1) / width * width;
    for (ptrdiff_t block = first; block < last; block++)
        for (ptrdiff_t row = 0; row < n; row++) {
            const ptrdiff_t at = row * stride + block * width;
            const real *b = bias + block * width * RESET_GATES;
            const real *z = gates + (row * stride + block * width) * RESET_GATES;
#pragma omp simd
            for (ptrdiff_t j = 0; j < width; j++)
                rh[at + j] = sigmoid(z[j] + b[j]) * h_prev[at + j];
        }
}

/* dn = dL/dz of the candidate, in its place among the gates, from the activated gates; dh, dc and
 * dy stay as they are. */
INLINE void candidate_rows(
    const int relu, ptrdiff_t n, ptrdiff_t H, ptrdiff_t width, ptrdiff_t first, ptrdiff_t last,
    const real *restrict gates, const real *restrict dy, const real *restrict dh,
    const real *restrict dc, real *restrict dn)
{
    const ptrdiff_t stride = (H + width - 1) / width * width;
    for (ptrdiff_t block = first; block < last; block++)
        for (ptrdiff_t row = 0; row < n; row++) {
            const ptrdiff_t start = block * width, at = row * stride + start;
            const ptrdiff_t wanted = H - start < width ? H - start : width;
            const real *z = gates + at * RESET_GATES + width, *candidate = z + width;
            real *out = dn + at * RESET_GATES + 2 * width;
#pragma omp simd
            for (ptrdiff_t j = 0; j < width; j++)
                out[j] = dh[at + j];
            if (dy) {
#pragma omp simd
                for (ptrdiff_t j = 0; j < wanted; j++)
                    out[j] += dy[row * H + start + j];
            }
#pragma omp simd
            for (ptrdiff_t j = 0; j < width; j++)
                out[j] = candidate_slope(z[j], candidate[j], out[j] + dc[at + j], relu);
        }
}

static void tanh_candidate_backward(
    ptrdiff_t n, ptrdiff_t H, ptrdiff_t width, ptrdiff_t first, ptrdiff_t last,
    const real *gates, const real *dy, const real *dh, const real *dc, real *dn)
{
    candidate_rows(0, n, H, width, first, last, gates, dy, dh, dc, dn);
}

static void relu_candidate_backward(
    ptrdiff_t n, ptrdiff_t H, ptrdiff_t width, ptrdiff_t first, ptrdiff_t last,
    const real *gates, const real *dy, const real *dh, const real *dc, real *dn)
{
    candidate_rows(1, n, H, width, first, last, gates, dy, dh, dc, dn);
}
