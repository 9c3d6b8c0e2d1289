/* Each cell's element-wise forward and backward step, compiled for every level and
 * precision through _simd.h.
 *
 * n rows, H units. A row of `gates` holds i, f, g, o, H numbers each. All other
 * arrays are (n, H), rows contiguous. Loops run along the units of one row, so that
 * a row's bits never depend on the other rows of its batch.
 */
#include "_activations.h"

/* i, f, o = sigmoid(z + b), g = tanh(z + b), c = f c' + i g, h = o tanh(c).
 * gates: z on entry, activated gates on return. */
static void NAME(lstm_cell_forward)(
    ptrdiff_t n, ptrdiff_t H, const real *restrict bias, real *restrict gates,
    const real *restrict c_prev, real *restrict c, real *restrict phi_c, real *restrict h)
{
    for (ptrdiff_t row = 0; row < n; row++) {
        real *restrict i = gates, *restrict f = gates + H;
        real *restrict g = gates + 2 * H, *restrict o = gates + 3 * H;
#pragma omp simd
        for (ptrdiff_t j = 0; j < H; j++) {
            i[j] = NAME(sigmoid)(i[j] + bias[j]);
            f[j] = NAME(sigmoid)(f[j] + bias[H + j]);
            g[j] = NAME(tanh_of)(g[j] + bias[2 * H + j]);
            o[j] = NAME(sigmoid)(o[j] + bias[3 * H + j]);
            c[j] = f[j] * c_prev[j] + i[j] * g[j];
            phi_c[j] = NAME(tanh_of)(c[j]);
            h[j] = o[j] * phi_c[j];
        }
        gates += 4 * H, c_prev += H, c += H, phi_c += H, h += H;
    }
}

/* With dh = dL/dh and dc = dL/dc as they come from the step after:
 *     dc += dh o tanh'(c),  di = dc g,  df = dc c',  dg = dc i,  do = dh tanh(c).
 * gates: activated gates on entry, dL/dz on return. dc: dL/dc' on return.
 * dy (or NULL) is added to dh; dbias (4H) gathers the sum of dL/dz over the rows. */
static void NAME(lstm_cell_backward)(
    ptrdiff_t n, ptrdiff_t H, real *restrict gates, const real *restrict c_prev,
    const real *restrict phi_c, const real *restrict dy, real *restrict dh,
    real *restrict dc, real *restrict dbias)
{
    for (ptrdiff_t row = 0; row < n; row++) {
        real *restrict i = gates, *restrict f = gates + H;
        real *restrict g = gates + 2 * H, *restrict o = gates + 3 * H;
        if (dy) {
#pragma omp simd
            for (ptrdiff_t j = 0; j < H; j++)
                dh[j] += dy[j];
            dy += H;
        }
#pragma omp simd
        for (ptrdiff_t j = 0; j < H; j++) {
            const real dc_j = dc[j] + dh[j] * o[j] * NAME(tanh_slope)(phi_c[j]);
            const real dz_i = dc_j * g[j] * NAME(sigmoid_slope)(i[j]);
            const real dz_f = dc_j * c_prev[j] * NAME(sigmoid_slope)(f[j]);
            const real dz_g = dc_j * i[j] * NAME(tanh_slope)(g[j]);
            const real dz_o = dh[j] * phi_c[j] * NAME(sigmoid_slope)(o[j]);
            dc[j] = dc_j * f[j];
            i[j] = dz_i;
            f[j] = dz_f;
            g[j] = dz_g;
            o[j] = dz_o;
            dbias[j] += dz_i;
            dbias[H + j] += dz_f;
            dbias[2 * H + j] += dz_g;
            dbias[3 * H + j] += dz_o;
        }
        gates += 4 * H, c_prev += H, phi_c += H, dh += H, dc += H;
    }
}
