/* Every cell: the forward and backward step of one unit, and the loops over units that
 * all cells share. Compiled for every level and precision through _simd.h.
 *
 * A new cell needs its two functions here and one row in the table CELLS of
 * _cells_simd.h. CONTRIBUTING.md shows how.
 */
#include "_activations.h"

/* One unit of one sequence at one step. */
typedef struct {
    real z[4];   /* gates: pre-activations, then activated; in backward then dL/dz */
    real p[3];   /* peephole weights of i, f, o */
    real c_prev; /* cell before the step, */
    real c;      /* after it, */
    real phi_c;  /* and phi of that */
    real h;      /* hidden state after the step */
    real dh;     /* dL/dh */
    real dc;     /* dL/dc from the next step, then dL/dc_prev */
    real dp[3];  /* dL/dp of this step */
} NAME(unit);

/* i, f, o = sigmoid(z), g = phi(z), c = f c' + i g, h = o phi(c)   (Gers 2000) */
static inline void NAME(lstm_forward_unit)(NAME(unit) *u, const int relu)
{
    u->z[0] = NAME(sigmoid)(u->z[0]);
    u->z[1] = NAME(sigmoid)(u->z[1]);
    u->z[2] = NAME(phi)(u->z[2], relu);
    u->z[3] = NAME(sigmoid)(u->z[3]);
    u->c = u->z[1] * u->c_prev + u->z[0] * u->z[2];
    u->phi_c = NAME(phi)(u->c, relu);
    u->h = u->z[3] * u->phi_c;
}

/* dc += dh o phi'(c);  di = dc g,  df = dc c',  dg = dc i,  do = dh phi(c) */
static inline void NAME(lstm_backward_unit)(NAME(unit) *u, const int relu)
{
    const real i = u->z[0], f = u->z[1], g = u->z[2], o = u->z[3];
    const real dc = u->dc + u->dh * o * NAME(phi_slope)(u->phi_c, relu);
    u->z[0] = dc * g * NAME(sigmoid_slope)(i);
    u->z[1] = dc * u->c_prev * NAME(sigmoid_slope)(f);
    u->z[2] = dc * i * NAME(phi_slope)(g, relu);
    u->z[3] = u->dh * u->phi_c * NAME(sigmoid_slope)(o);
    u->dc = dc * f;
}

/* The same with z_i += p_i c', z_f += p_f c', z_o += p_o c   (Gers & Schmidhuber 2000) */
static inline void NAME(peephole_forward_unit)(NAME(unit) *u, const int relu)
{
    u->z[0] = NAME(sigmoid)(u->z[0] + u->p[0] * u->c_prev);
    u->z[1] = NAME(sigmoid)(u->z[1] + u->p[1] * u->c_prev);
    u->z[2] = NAME(phi)(u->z[2], relu);
    u->c = u->z[1] * u->c_prev + u->z[0] * u->z[2];
    u->z[3] = NAME(sigmoid)(u->z[3] + u->p[2] * u->c);
    u->phi_c = NAME(phi)(u->c, relu);
    u->h = u->z[3] * u->phi_c;
}

static inline void NAME(peephole_backward_unit)(NAME(unit) *u, const int relu)
{
    const real i = u->z[0], f = u->z[1], g = u->z[2], o = u->z[3];
    const real dz_o = u->dh * u->phi_c * NAME(sigmoid_slope)(o);
    const real dc = u->dc + u->dh * o * NAME(phi_slope)(u->phi_c, relu) + dz_o * u->p[2];
    u->z[0] = dc * g * NAME(sigmoid_slope)(i);
    u->z[1] = dc * u->c_prev * NAME(sigmoid_slope)(f);
    u->z[2] = dc * i * NAME(phi_slope)(g, relu);
    u->z[3] = dz_o;
    u->dc = dc * f + u->z[0] * u->p[0] + u->z[1] * u->p[1];
    u->dp[0] = u->z[0] * u->c_prev;
    u->dp[1] = u->z[1] * u->c_prev;
    u->dp[2] = dz_o * u->c;
}

/* The textbook form, where all three gates see the old cell: z_o += p_o c' */
static inline void NAME(peephole_lagged_forward_unit)(NAME(unit) *u, const int relu)
{
    u->z[0] += u->p[0] * u->c_prev;
    u->z[1] += u->p[1] * u->c_prev;
    u->z[3] += u->p[2] * u->c_prev;
    NAME(lstm_forward_unit)(u, relu);
}

static inline void NAME(peephole_lagged_backward_unit)(NAME(unit) *u, const int relu)
{
    NAME(lstm_backward_unit)(u, relu);
    u->dc += u->z[0] * u->p[0] + u->z[1] * u->p[1] + u->z[3] * u->p[2];
    u->dp[0] = u->z[0] * u->c_prev;
    u->dp[1] = u->z[1] * u->c_prev;
    u->dp[2] = u->z[3] * u->c_prev;
}

/* Gates i, g, o and f = 1 - i: c = c' + i (g - c')   (CIFG, Greff et al. 2015) */
static inline void NAME(coupled_forward_unit)(NAME(unit) *u, const int relu)
{
    u->z[0] = NAME(sigmoid)(u->z[0]);
    u->z[1] = NAME(phi)(u->z[1], relu);
    u->z[2] = NAME(sigmoid)(u->z[2]);
    u->c = u->c_prev + u->z[0] * (u->z[1] - u->c_prev);
    u->phi_c = NAME(phi)(u->c, relu);
    u->h = u->z[2] * u->phi_c;
}

static inline void NAME(coupled_backward_unit)(NAME(unit) *u, const int relu)
{
    const real i = u->z[0], g = u->z[1], o = u->z[2];
    const real dc = u->dc + u->dh * o * NAME(phi_slope)(u->phi_c, relu);
    u->z[0] = dc * (g - u->c_prev) * NAME(sigmoid_slope)(i);
    u->z[1] = dc * i * NAME(phi_slope)(g, relu);
    u->z[2] = u->dh * u->phi_c * NAME(sigmoid_slope)(o);
    u->dc = dc * ((real)1 - i);
}

/* The unit is that of "lstm"; that its gates see x alone is a matter of the products. */
#define input_gated_forward_unit lstm_forward_unit
#define input_gated_backward_unit lstm_backward_unit

/* The loops. n rows, H units; a row of `gates` holds G gates, H numbers each; all other
 * arrays are (n, H), rows contiguous. They run along the units of one row, so that a
 * row's bits never depend on the other rows of its batch.
 *
 * gates: z on entry, activated gates on return. */
static inline __attribute__((always_inline)) void NAME(forward_rows)(
    void (*unit_forward)(NAME(unit) *, const int), const int relu, const int G,
    const int peepholes, ptrdiff_t n, ptrdiff_t H, const real *restrict bias,
    const real *restrict peephole, real *restrict gates, const real *restrict c_prev,
    real *restrict c, real *restrict phi_c, real *restrict h)
{
    for (ptrdiff_t row = 0; row < n; row++) {
#pragma omp simd
        for (ptrdiff_t j = 0; j < H; j++) {
            NAME(unit) u;
            for (int k = 0; k < G; k++)
                u.z[k] = gates[k * H + j] + bias[k * H + j];
            for (int k = 0; k < peepholes; k++)
                u.p[k] = peephole[k * H + j];
            u.c_prev = c_prev[j];
            unit_forward(&u, relu);
            for (int k = 0; k < G; k++)
                gates[k * H + j] = u.z[k];
            c[j] = u.c;
            phi_c[j] = u.phi_c;
            h[j] = u.h;
        }
        gates += G * H, c_prev += H, c += H, phi_c += H, h += H;
    }
}

/* gates: activated gates on entry, dL/dz on return. dc: dL/dc of the step, then of the one
 * before. dy (or NULL) is added to dh. dbias (G, H) and dpeephole (3, H) gather sums over
 * the rows. */
static inline __attribute__((always_inline)) void NAME(backward_rows)(
    void (*unit_backward)(NAME(unit) *, const int), const int relu, const int G,
    const int peepholes, ptrdiff_t n, ptrdiff_t H, const real *restrict peephole,
    real *restrict gates, const real *restrict c_prev, const real *restrict c,
    const real *restrict phi_c, const real *restrict dy, real *restrict dh,
    real *restrict dc, real *restrict dbias, real *restrict dpeephole)
{
    for (ptrdiff_t row = 0; row < n; row++) {
        if (dy) {
#pragma omp simd
            for (ptrdiff_t j = 0; j < H; j++)
                dh[j] += dy[j];
            dy += H;
        }
#pragma omp simd
        for (ptrdiff_t j = 0; j < H; j++) {
            NAME(unit) u;
            for (int k = 0; k < G; k++)
                u.z[k] = gates[k * H + j];
            for (int k = 0; k < peepholes; k++)
                u.p[k] = peephole[k * H + j];
            u.c_prev = c_prev[j];
            if (peepholes)
                u.c = c[j];
            u.phi_c = phi_c[j];
            u.dh = dh[j];
            u.dc = dc[j];
            unit_backward(&u, relu);
            dc[j] = u.dc;
            for (int k = 0; k < G; k++) {
                gates[k * H + j] = u.z[k];
                dbias[k * H + j] += u.z[k];
            }
            for (int k = 0; k < peepholes; k++)
                dpeephole[k * H + j] += u.dp[k];
        }
        gates += G * H, c_prev += H, c += H, phi_c += H, dh += H, dc += H;
    }
}

#define CELL_ROWS(cell, activation, relu, G, peepholes)                                   \
    static void NAME(cell##_##activation##_forward)(                                      \
        ptrdiff_t n, ptrdiff_t H, const real *bias, const real *peephole, real *gates,    \
        const real *c_prev, real *c, real *phi_c, real *h)                                \
    {                                                                                     \
        NAME(forward_rows)(NAME(cell##_forward_unit), relu, G, peepholes, n, H, bias,     \
                           peephole, gates, c_prev, c, phi_c, h);                         \
    }                                                                                     \
    static void NAME(cell##_##activation##_backward)(                                     \
        ptrdiff_t n, ptrdiff_t H, const real *peephole, real *gates, const real *c_prev,  \
        const real *c, const real *phi_c, const real *dy, real *dh, real *dc,             \
        real *dbias, real *dpeephole)                                                     \
    {                                                                                     \
        NAME(backward_rows)(NAME(cell##_backward_unit), relu, G, peepholes, n, H,         \
                            peephole, gates, c_prev, c, phi_c, dy, dh, dc, dbias,         \
                            dpeephole);                                                   \
    }
#define CELL_KERNELS(cell, gates, G, peepholes, recurrent)                                \
    CELL_ROWS(cell, tanh, 0, G, peepholes)                                                \
    CELL_ROWS(cell, relu, 1, G, peepholes)
CELLS(CELL_KERNELS)
#undef CELL_KERNELS
#undef CELL_ROWS
