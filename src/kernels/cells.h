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
    real dh;                  /* dL/dh */
    real dc;                  /* dL/dc from the next step, then dL/dc_prev */
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

/* dc += dh o phi'(c);  di = dc g,  df = dc c',  dg = dc i,  do = dh phi(c) */
INLINE void lstm_backward_unit(unit *u, const int relu)
{
    const real i = u->z[0], f = u->z[1], g = u->z[2], o = u->z[3];
    const real dc = u->dc + u->dh * o * phi_slope(u->phi_c, relu);
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
    const real dc = u->dc + u->dh * o * phi_slope(u->phi_c, relu) + dz_o * u->p[2];
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
    const real dc = u->dc + u->dh * o * phi_slope(u->phi_c, relu);
    u->z[0] = dc * (g - u->c_prev) * sigmoid_slope(i);
    u->z[1] = dc * i * phi_slope(g, relu);
    u->z[2] = u->dh * u->phi_c * sigmoid_slope(o);
    u->dc = dc * ((real)1 - i);
}

/* The unit of "lstm"; only its products differ. */
#define input_gated_forward_unit lstm_forward_unit
#define input_gated_backward_unit lstm_backward_unit

/* The loops run over the units from `first` to `last`, `lanes` at a time as long as so many are
 * left, one row after the other, so that the bits of a row never depend on the other rows of its
 * batch; they return the first unit that is left.
 *
 * n rows, H units in blocks of `width`. A row of `gates` holds block by block G gates of `width`
 * numbers each, in the last block of as many as have columns (blocks.h): `lanes` is `width`, or
 * less there. `bias` and `peephole` are laid out likewise, but in whole blocks. A row of c_prev, c,
 * phi_c, dh and dc holds whole blocks; h and dy are (n, H).
 *
 * gates: pre-activations on entry, activated gates on return. */
INLINE ptrdiff_t forward_rows(
    void (*unit_forward)(unit *, const int), const int relu, const int G,
    const int peepholes, const ptrdiff_t lanes, ptrdiff_t n, ptrdiff_t H,
    const ptrdiff_t width, ptrdiff_t first, ptrdiff_t last, const real *restrict bias,
    const real *restrict peephole, real *restrict gates, const real *restrict c_prev,
    real *restrict c, real *restrict phi_c, real *restrict h)
{
    const ptrdiff_t stride = (H + width - 1) / width * width;
    const ptrdiff_t units = min_of(stride, units_with_columns(H, G));
    ptrdiff_t start = first;
    for (; start + lanes <= last; start += lanes) {
        const ptrdiff_t in_block = start % width, block = start - in_block;
        const ptrdiff_t apart = lanes < width ? units - block : width;
        const ptrdiff_t wanted = min_of(lanes, H - start);
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
 * step before on return. dy (or NULL) is added to dh. dbias and dpeephole accumulate sums over
 * the rows. */
INLINE ptrdiff_t backward_rows(
    void (*unit_backward)(unit *, const int), const int relu, const int G,
    const int peepholes, const ptrdiff_t lanes, ptrdiff_t n, ptrdiff_t H,
    const ptrdiff_t width, ptrdiff_t first, ptrdiff_t last, const real *restrict peephole,
    real *restrict gates, const real *restrict c_prev, const real *restrict c,
    const real *restrict phi_c, const real *restrict dy, real *restrict dh,
    real *restrict dc, real *restrict dbias, real *restrict dpeephole)
{
    const ptrdiff_t stride = (H + width - 1) / width * width;
    const ptrdiff_t units = min_of(stride, units_with_columns(H, G));
    ptrdiff_t start = first;
    for (; start + lanes <= last; start += lanes) {
        const ptrdiff_t in_block = start % width, block = start - in_block;
        const ptrdiff_t apart = lanes < width ? units - block : width;
        const ptrdiff_t wanted = min_of(lanes, H - start);
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
                u.phi_c = phi_c[at + j];
                u.dh = dh[at + j];
                u.dc = dc[at + j];
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

/* ROWS(lanes, width) for all units of blocks `first` to `last`, from `unit` to `end`: whole blocks,
 * then what the last one has. Lanes that are a constant unroll into whole vectors. Without packing
 * a layer is one block as wide as its units. */
#define ALL_ROWS(ROWS)                                                    \
    const ptrdiff_t end = min_of(last * width, units_with_columns(H, G)); \
    ptrdiff_t unit = first * width;                                       \
    if (width != BLOCK_UNITS) {                                           \
        ROWS(width, width);                                               \
        return;                                                           \
    }                                                                     \
    unit = ROWS(BLOCK_UNITS, BLOCK_UNITS);                                \
    if (units_together(G) <= 8)                                           \
        unit = ROWS(8, BLOCK_UNITS);                                      \
    if (units_together(G) <= 4)                                           \
        ROWS(4, BLOCK_UNITS)

INLINE void forward_blocks(
    void (*unit_forward)(unit *, const int), const int relu, const int G,
    const int peepholes, ptrdiff_t n, ptrdiff_t H, ptrdiff_t width, ptrdiff_t first,
    ptrdiff_t last, const real *bias, const real *peephole, real *gates, const real *c_prev,
    real *c, real *phi_c, real *h)
{
#define ROWS(lanes, width)                                                              \
    forward_rows(unit_forward, relu, G, peepholes, lanes, n, H, width, unit, end, bias, \
                 peephole, gates, c_prev, c, phi_c, h)
    ALL_ROWS(ROWS);
#undef ROWS
}

INLINE void backward_blocks(
    void (*unit_backward)(unit *, const int), const int relu, const int G,
    const int peepholes, ptrdiff_t n, ptrdiff_t H, ptrdiff_t width, ptrdiff_t first,
    ptrdiff_t last, const real *peephole, real *gates, const real *c_prev, const real *c,
    const real *phi_c, const real *dy, real *dh, real *dc, real *dbias, real *dpeephole)
{
#define ROWS(lanes, width)                                                                   \
    backward_rows(unit_backward, relu, G, peepholes, lanes, n, H, width, unit, end, peephole, \
                  gates, c_prev, c, phi_c, dy, dh, dc, dbias, dpeephole)
    ALL_ROWS(ROWS);
#undef ROWS
}

#define FORWARD(cell, activation, relu, G, peepholes)                                        \
    static void cell##_##activation##_forward(                                               \
        ptrdiff_t n, ptrdiff_t H, ptrdiff_t width, ptrdiff_t first, ptrdiff_t last,          \
        const real *bias, const real *peephole, real *gates, const real *c_prev, real *c,    \
        real *phi_c, real *h)                                                                \
    {                                                                                        \
        forward_blocks(cell##_forward_unit, relu, G, peepholes, n, H, width, first, last,    \
                       bias, peephole, gates, c_prev, c, phi_c, h);                          \
    }
#define BACKWARD(cell, activation, relu, G, peepholes)                                       \
    static void cell##_##activation##_backward(                                              \
        ptrdiff_t n, ptrdiff_t H, ptrdiff_t width, ptrdiff_t first, ptrdiff_t last,          \
        const real *peephole, real *gates, const real *c_prev, const real *c,                \
        const real *phi_c, const real *dy, real *dh, real *dc, real *dbias, real *dpeephole) \
    {                                                                                        \
        backward_blocks(cell##_backward_unit, relu, G, peepholes, n, H, width, first, last,  \
                        peephole, gates, c_prev, c, phi_c, dy, dh, dc, dbias, dpeephole);    \
    }
/* How many letters a string has, known when this is compiled. */
#define COUNT(letters) ((int)sizeof(letters) - 1)
#define CELL(name, gates, see_x, see_h, see_c, state)           \
    _Static_assert(COUNT(gates) <= MAX_GATES, "gates");         \
    _Static_assert(COUNT(see_c) <= MAX_PEEPHOLES, "peepholes"); \
    FORWARD(name, tanh, 0, COUNT(gates), COUNT(see_c))          \
    FORWARD(name, relu, 1, COUNT(gates), COUNT(see_c))          \
    BACKWARD(name, tanh, 0, COUNT(gates), COUNT(see_c))         \
    BACKWARD(name, relu, 1, COUNT(gates), COUNT(see_c))
CELLS(CELL)
#undef CELL
#undef COUNT
#undef ALL_ROWS
#undef BACKWARD
#undef FORWARD
