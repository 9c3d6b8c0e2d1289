/* Layer normalization (Ba et al., arXiv:1607.06450) of rows whose numbers stand in runs:
 *
 *     xhat = (a - mean) / sqrt(variance + epsilon)
 *
 * Mean and variance are sums over one row, in an order that its runs alone decide. The variance
 * is that of the differences from the mean, since a mean of squares would cancel. */

#define NORM_EPSILON ((real)1e-5)

/* For every run `here` of a row, as often as it repeats. */
#define EACH_RUN                                                            \
    for (int k = 0; k < n_runs; k++)                                        \
        for (ptrdiff_t repeat = 0; repeat <= runs[k].repeats; repeat++)

INLINE run moved(run here, ptrdiff_t repeat)
{
    here.at += repeat * here.apart;
    here.gain += repeat * here.apart;
    return here;
}

INLINE vec load(const real *x) { return *(const vec_in_memory *)x; }

/* What a sum over a row is multiplied by to be a mean. */
static real share_of_number(int n_runs, const run *runs)
{
    ptrdiff_t n = 0;
    for (int k = 0; k < n_runs; k++)
        n += runs[k].n * (1 + runs[k].repeats);
    return 1 / (real)n;
}

static real sum_of_row(int n_runs, const run *runs, const real *a)
{
    vec sums = {0};
    real left_over = 0;
    EACH_RUN {
        const run here = moved(runs[k], repeat);
        const real *x = a + here.at;
        ptrdiff_t j = 0;
        for (; j + VECTOR_SIZE <= here.n; j += VECTOR_SIZE)
            sums += load(x + j);
        for (; j < here.n; j++)
            left_over += x[j];
    }
    return sum_of_lanes(sums) + left_over;
}

/* Of the differences from the mean. */
static real sum_of_squares_of_row(int n_runs, const run *runs, const real *a, real mean)
{
    vec sums = {0};
    real left_over = 0;
    EACH_RUN {
        const run here = moved(runs[k], repeat);
        const real *x = a + here.at;
        ptrdiff_t j = 0;
        for (; j + VECTOR_SIZE <= here.n; j += VECTOR_SIZE) {
            const vec difference = load(x + j) - mean;
            sums += difference * difference;
        }
        for (; j < here.n; j++)
            left_over += (x[j] - mean) * (x[j] - mean);
    }
    return sum_of_lanes(sums) + left_over;
}

/* a becomes xhat, in n_rows rows that are `stride` numbers apart; rstd (n_rows,) is what each
 * was multiplied by, 1 / sqrt(variance + epsilon). */
static void normalize_rows(
    ptrdiff_t n_rows, ptrdiff_t stride, int n_runs, const run *runs, real *a, real *rstd)
{
    const real share = share_of_number(n_runs, runs);
    for (ptrdiff_t row = 0; row < n_rows; row++, a += stride) {
        const real mean = share * sum_of_row(n_runs, runs, a);
        const real variance = share * sum_of_squares_of_row(n_runs, runs, a, mean);
        const real root = sizeof(real) == sizeof(float)
                              ? (real)sqrtf((float)(variance + NORM_EPSILON))
                              : (real)sqrt((double)(variance + NORM_EPSILON));
        const real factor = 1 / root;
        rstd[row] = factor;
        EACH_RUN {
            const run here = moved(runs[k], repeat);
            real *x = a + here.at;
#pragma omp simd
            for (ptrdiff_t j = 0; j < here.n; j++)
                x[j] = (x[j] - mean) * factor;
        }
    }
}

/* Back through it, from d = dL/d(gain xhat):
 *
 *     dL/da = rstd (d gain - mean(d gain) - xhat mean(d gain xhat))
 *
 * which may take the place of xhat or of d. */
static void normalize_rows_backward(
    ptrdiff_t n_rows, ptrdiff_t stride, int n_runs, const run *runs, const real *gains,
    const real *rstd, const real *d, const real *xhat, real *da)
{
    const real share = share_of_number(n_runs, runs);
    for (ptrdiff_t row = 0; row < n_rows; row++, d += stride, xhat += stride, da += stride) {
        vec sums = {0}, sums_with_x = {0};
        real left_over = 0, left_over_with_x = 0;
        EACH_RUN {
            const run here = moved(runs[k], repeat);
            const real *dy = d + here.at, *x = xhat + here.at, *gain = gains + here.gain;
            ptrdiff_t j = 0;
            for (; j + VECTOR_SIZE <= here.n; j += VECTOR_SIZE) {
                const vec dx = load(dy + j) * load(gain + j);
                sums += dx;
                sums_with_x += dx * load(x + j);
            }
            for (; j < here.n; j++) {
                left_over += dy[j] * gain[j];
                left_over_with_x += dy[j] * gain[j] * x[j];
            }
        }
        const real mean = share * (sum_of_lanes(sums) + left_over);
        const real slope = share * (sum_of_lanes(sums_with_x) + left_over_with_x);
        const real factor = rstd[row];
        EACH_RUN {
            const run here = moved(runs[k], repeat);
            const real *dy = d + here.at, *x = xhat + here.at, *gain = gains + here.gain;
            real *out = da + here.at;
#pragma omp simd
            for (ptrdiff_t j = 0; j < here.n; j++)
                out[j] = factor * (dy[j] * gain[j] - mean - x[j] * slope);
        }
    }
}

/* z += gain xhat */
static void add_with_gains(
    ptrdiff_t n_rows, ptrdiff_t stride, int n_runs, const run *runs, const real *restrict gains,
    const real *restrict xhat, real *restrict z)
{
    for (ptrdiff_t row = 0; row < n_rows; row++, xhat += stride, z += stride)
        EACH_RUN {
            const run here = moved(runs[k], repeat);
#pragma omp simd
            for (ptrdiff_t j = 0; j < here.n; j++)
                z[here.at + j] += gains[here.gain + j] * xhat[here.at + j];
        }
}

/* dgains += the sum over the rows of d xhat, in their order; and dbias, laid out as the gains
 * are, that of d, where it is not NULL. */
static void gain_gradients(
    ptrdiff_t n_rows, ptrdiff_t stride, int n_runs, const run *runs, const real *restrict d,
    const real *restrict xhat, real *restrict dgains, real *restrict dbias)
{
    for (ptrdiff_t row = 0; row < n_rows; row++, d += stride, xhat += stride)
        EACH_RUN {
            const run here = moved(runs[k], repeat);
#pragma omp simd
            for (ptrdiff_t j = 0; j < here.n; j++)
                dgains[here.gain + j] += d[here.at + j] * xhat[here.at + j];
            if (dbias) {
#pragma omp simd
                for (ptrdiff_t j = 0; j < here.n; j++)
                    dbias[here.gain + j] += d[here.at + j];
            }
        }
}
#undef EACH_RUN

/* -- The cell state: h = o phi(gain chat + b) in the place of o phi(c) --
 *
 * Rows and gates are laid out as in cells.h; o is the last one of n_gates. */

/* chat (n, S), and phi_c and h as the cell leaves them. */
INLINE void normalized_outputs(
    const int relu, ptrdiff_t n, ptrdiff_t H, ptrdiff_t width, ptrdiff_t n_gates,
    const real *restrict gain, const real *restrict bias, const real *restrict gates,
    const real *restrict chat, real *restrict phi_c, real *restrict h)
{
    const ptrdiff_t stride = (H + width - 1) / width * width;
    const ptrdiff_t units = min_of(stride, units_with_columns(H, n_gates));
    for (ptrdiff_t row = 0; row < n; row++)
        for (ptrdiff_t start = 0; start < H; start += width) {
            const ptrdiff_t apart = min_of(width, units - start);
            const ptrdiff_t wanted = min_of(width, H - start), at = row * stride + start;
            const real *o = gates + (row * units + start) * n_gates + (n_gates - 1) * apart;
#pragma omp simd
            for (ptrdiff_t j = 0; j < wanted; j++) {
                const real y = phi(gain[start + j] * chat[at + j] + bias[start + j], relu);
                phi_c[at + j] = y;
                h[row * H + start + j] = o[j] * y;
            }
        }
}

/* d = dL/d(gain chat + b) = dh o phi', with dy (or NULL) added to dh; d and dh are (n, S), dy is
 * (n, H). */
INLINE void normalized_slopes(
    const int relu, ptrdiff_t n, ptrdiff_t H, ptrdiff_t width, ptrdiff_t n_gates,
    const real *restrict gates, const real *restrict phi_c, const real *restrict dy,
    const real *restrict dh, real *restrict d)
{
    const ptrdiff_t stride = (H + width - 1) / width * width;
    const ptrdiff_t units = min_of(stride, units_with_columns(H, n_gates));
    for (ptrdiff_t row = 0; row < n; row++)
        for (ptrdiff_t start = 0; start < H; start += width) {
            const ptrdiff_t apart = min_of(width, units - start);
            const ptrdiff_t wanted = min_of(width, H - start), at = row * stride + start;
            const real *o = gates + (row * units + start) * n_gates + (n_gates - 1) * apart;
#pragma omp simd
            for (ptrdiff_t j = 0; j < wanted; j++)
                d[at + j] = dh[at + j];
            if (dy) {
#pragma omp simd
                for (ptrdiff_t j = 0; j < wanted; j++)
                    d[at + j] += dy[row * H + start + j];
            }
#pragma omp simd
            for (ptrdiff_t j = 0; j < wanted; j++)
                d[at + j] *= o[j] * phi_slope(phi_c[at + j], relu);
        }
}

#define OF_ACTIVATION(activation, relu)                                                       \
    static void activation##_normalized_outputs(                                              \
        ptrdiff_t n, ptrdiff_t H, ptrdiff_t width, ptrdiff_t n_gates, const real *gain,       \
        const real *bias, const real *gates, const real *chat, real *phi_c, real *h)          \
    {                                                                                         \
        normalized_outputs(relu, n, H, width, n_gates, gain, bias, gates, chat, phi_c, h);    \
    }                                                                                         \
    static void activation##_normalized_slopes(                                               \
        ptrdiff_t n, ptrdiff_t H, ptrdiff_t width, ptrdiff_t n_gates, const real *gates,      \
        const real *phi_c, const real *dy, const real *dh, real *d)                           \
    {                                                                                         \
        normalized_slopes(relu, n, H, width, n_gates, gates, phi_c, dy, dh, d);               \
    }
OF_ACTIVATION(tanh, 0)
OF_ACTIVATION(relu, 1)
#undef OF_ACTIVATION
