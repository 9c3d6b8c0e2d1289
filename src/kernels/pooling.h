/* Pooling of a sequence's steps into one vector, a step of a row at a time. */

/* Where x is larger than `best`, or everywhere at the first step, it takes its place, and `step`
 * that in `found` (or NULL). A NaN stays. */
static void keep_larger(
    ptrdiff_t n, int first, ptrdiff_t step, const real *restrict x, real *restrict best,
    ptrdiff_t *restrict found)
{
    for (ptrdiff_t j = 0; j < n; j++)
        if (first || x[j] > best[j] || x[j] != x[j]) {
            best[j] = x[j];
            if (found)
                found[j] = step;
        }
}

/* The score of a step, v . tanh(u + a) (Bahdanau et al. 2015); u becomes tanh(u + a). */
static real attention_score(ptrdiff_t n, const real *restrict a, const real *v, real *restrict u)
{
#pragma omp simd
    for (ptrdiff_t j = 0; j < n; j++)
        u[j] = phi(u[j] + a[j], 0);
    return dot(n, v, u);
}

/* Back through it: dv += dscore tanh, and u becomes dL/du; da += that. */
static void attention_backward(
    ptrdiff_t n, real dscore, const real *restrict v, real *restrict u, real *restrict da,
    real *restrict dv)
{
#pragma omp simd
    for (ptrdiff_t j = 0; j < n; j++) {
        const real t = u[j];
        dv[j] += dscore * t;
        u[j] = dscore * v[j] * phi_slope(t, 0);
        da[j] += u[j];
    }
}

/* One more step in a running softmax over the steps of a row. Its state is the largest score, the
 * sum of exp(score - largest), and the sum of exp(score - largest) y (n numbers); zeros before the
 * first step. */
static void attend(ptrdiff_t n, real score, const real *restrict y, real *restrict state)
{
    const int larger = state[1] == 0 || score > state[0];
    const real kept = larger && state[1] > 0 ? exp_nonpositive(state[0] - score) : (real)1;
    const real share = larger ? (real)1 : exp_nonpositive(score - state[0]);
    real *restrict sum = state + 2;
    if (larger)
        state[0] = score;
    state[1] = state[1] * kept + share;
#pragma omp simd
    for (ptrdiff_t j = 0; j < n; j++)
        sum[j] = sum[j] * kept + share * y[j];
}

/* The share of a step in them. */
static real attention_share(real score, const real *state)
{
    return exp_nonpositive(score - state[0]) / state[1];
}
