/* Products of a thin head: K scores, so few that lanes run along the D features instead. Each sum
 * is in an order of its own that depends on D alone, so that the bits of a row depend on no other
 * row. */

static inline real dot(ptrdiff_t n, const real *a, const real *b)
{
    vec sums = {0};
    real left_over = 0;
    ptrdiff_t j = 0;
    for (; j + VECTOR_SIZE <= n; j += VECTOR_SIZE)
        sums += *(const vec_in_memory *)(a + j) * *(const vec_in_memory *)(b + j);
    for (; j < n; j++)
        left_over += a[j] * b[j];
    return sum_of_lanes(sums) + left_over;
}

/* scores = F W' + b   (M x K) = (M x D) (D x K) */
static void thin_forward(
    ptrdiff_t M, ptrdiff_t K, ptrdiff_t D, const real *features, const real *weights,
    const real *bias, real *scores)
{
    for (ptrdiff_t r = 0; r < M; r++)
        for (ptrdiff_t k = 0; k < K; k++)
            scores[r * K + k] = bias[k] + dot(D, features + r * D, weights + k * D);
}

/* dW += dS' F   (K x D) += (K x M) (M x D),  dF = dS W   (M x D) = (M x K) (K x D) */
static void thin_backward(
    ptrdiff_t M, ptrdiff_t K, ptrdiff_t D, const real *restrict features,
    const real *restrict weights, const real *restrict dscores, real *restrict dfeatures,
    real *restrict dweights)
{
    for (ptrdiff_t r = 0; r < M; r++)
        for (ptrdiff_t k = 0; k < K; k++) {
            const real ds = dscores[r * K + k];
#pragma omp simd
            for (ptrdiff_t j = 0; j < D; j++) {
                dweights[k * D + j] += ds * features[r * D + j];
                dfeatures[r * D + j] =
                    (k > 0 ? dfeatures[r * D + j] : (real)0) + ds * weights[k * D + j];
            }
        }
}
