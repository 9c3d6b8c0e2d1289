/* A linear-chain conditional random field (Lafferty, McCallum & Pereira 2001). The labels
 * y[0] ... y[T - 1] of a sequence have the score
 *
 *     start[y[0]] + sum_t scores[t, y[t]] + sum_t transitions[y[t - 1], y[t]] + end[y[T - 1]],
 *
 * and their probability is the softmax of it over all K^T sequences of labels.
 *
 * Design: alpha and beta are logarithms, less what all labels of a step share. A step is exp of K
 * numbers, a product with exp(transitions), which is computed once for many sequences, and log of K
 * numbers, instead of the K^2 exponentials of a log-sum-exp for each label. Exponents stop at FAINT,
 * so that nothing underflows; a sum so small that what was cut off could matter is done again as a
 * log-sum-exp. So it holds for any finite numbers, also where a transition is all but forbidden. */

#if REAL_IS_FLOAT
/* exp(FAINT) squared is a normal number. */
#define FAINT (-43.0f)
/* A sum is exact to 1e-6 where it is larger than this times its terms: exp(FAINT) is 2e-19. */
#define FAINT_TERM 2e-13f
#else
#define FAINT (-340.0)
#define FAINT_TERM 1e-130
#endif

/* out = exp(x - the highest of K numbers x), FAINT at least; returns the highest. */
static real exp_of_row(const chain *c, const real *restrict x, real *restrict out)
{
    const real highest = highest_of(c->K, x);
#pragma omp simd
    for (ptrdiff_t j = 0; j < c->W; j++) {
        const real below = x[j] - highest;
        out[j] = exp_nonpositive(below < FAINT ? FAINT : below);
    }
    return highest;
}

/* out = x A   (W) = (K) (K x W) */
static void times_matrix(
    const chain *c, const real *restrict x, const real *restrict matrix, real *restrict out)
{
    for (ptrdiff_t j = 0; j < c->W; j += VECTOR_SIZE) {
        vec sum = {0};
        for (ptrdiff_t i = 0; i < c->K; i++)
            sum += x[i] * *(const vec_in_memory *)(matrix + i * c->W + j);
        *(vec_in_memory *)(out + j) = sum;
    }
}

/* log(sum_i exp(x[i] + a[i * stride] - shift)) over n terms, whatever their sizes are. */
static real log_sum(ptrdiff_t n, const real *x, const real *a, ptrdiff_t stride, double shift)
{
    double highest = -INFINITY, total = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        /* Not fmax, at whose reduction gcc 12 for aarch64 fails. */
        const double z = (double)x[i] + (double)a[i * stride];
        highest = z > highest ? z : highest;
    }
    if (highest == -INFINITY) /* there is no way at all */
        return -INFINITY;
    for (ptrdiff_t i = 0; i < n; i++)
        total += exp((double)x[i] + (double)a[i * stride] - highest);
    return (real)(log(total) + highest - shift);
}

/* logs[j] = log(sums[j]), where sums = exp(x - x_highest) exp(A - c->highest) and A[:, j] starts at
 * c->transitions + j * step. */
static void log_of_row(
    const chain *c, const real *restrict sums, const real *x, real x_highest, ptrdiff_t step,
    ptrdiff_t stride, real *restrict logs)
{
    const real least = (real)c->K * FAINT_TERM;
    int n_faint = 0;
#pragma omp simd
    for (ptrdiff_t j = 0; j < c->W; j++)
        logs[j] = log_positive(sums[j]);
#pragma omp simd reduction(+ : n_faint)
    for (ptrdiff_t j = 0; j < c->K; j++)
        n_faint += sums[j] < least;
    for (ptrdiff_t j = 0; n_faint && j < c->K; j++)
        if (sums[j] < least)
            logs[j] = log_sum(c->K, x, c->transitions + j * step, stride,
                              (double)x_highest + (double)c->highest);
}

/* Factors of the transitions, and no pairs yet. */
static void chain_open(chain *c)
{
    const ptrdiff_t K = c->K, W = c->W;
    c->highest = highest_of(K * K, c->transitions);
    memset(c->factors, 0, (size_t)(K * W) * sizeof(real));
    memset(c->transposed, 0, (size_t)(K * W) * sizeof(real));
    for (ptrdiff_t i = 0; i < K; i++) {
#pragma omp simd
        for (ptrdiff_t j = 0; j < K; j++) {
            const real below = c->transitions[i * K + j] - c->highest;
            c->factors[i * W + j] = exp_nonpositive(below < FAINT ? FAINT : below);
        }
        for (ptrdiff_t j = 0; j < K; j++)
            c->transposed[j * W + i] = c->factors[i * W + j];
    }
    if (c->pairs)
        memset(c->pairs, 0, (size_t)(K * W) * sizeof(real));
}

/* alphas[t, j] = log of the sum over all labels before step t, where that is j, of exp(score), less
 * a number for each step; returns that of the last step. */
static double chain_forward(const chain *c, ptrdiff_t T, const real *scores)
{
    const ptrdiff_t K = c->K, W = c->W;
    real *exps = c->rows, *sums = c->rows + W;
    double offset = 0;
    memset(c->alphas, 0, (size_t)W * sizeof(real));
    for (ptrdiff_t j = 0; j < K; j++)
        c->alphas[j] = c->start[j] + scores[j];
    for (ptrdiff_t t = 1; t < T; t++) {
        const real *before = c->alphas + (t - 1) * W;
        real *alpha = c->alphas + t * W;
        const real highest = exp_of_row(c, before, exps);
        times_matrix(c, exps, c->factors, sums);
        log_of_row(c, sums, before, highest, 1, K, alpha);
        for (ptrdiff_t j = 0; j < K; j++)
            alpha[j] += scores[t * W + j];
        offset += (double)highest + (double)c->highest;
    }
    return offset;
}

/* The K numbers x become softmax(x), or its logarithm; returns log(sum(exp(x))). */
static double normalize(const chain *c, int logs, real *x)
{
    const real highest = highest_of(c->K, x);
    real *exps = c->rows;
    double total = 0;
#pragma omp simd reduction(+ : total)
    for (ptrdiff_t j = 0; j < c->K; j++) {
        const real e = exp_nonpositive(x[j] - highest);
        exps[j] = e;
        total += (double)e;
    }
    const double log_total = (double)highest + log(total);
    const real share = (real)(1 / total);
    for (ptrdiff_t j = 0; j < c->K; j++)
        x[j] = logs ? (real)((double)x[j] - log_total) : exps[j] * share;
    return log_total;
}

/* Add weight times the probability of each pair of labels of a step and the next one:
 *
 *     p[i, j] = exp(alpha[i] + transitions[i, j] + q[j]) / sum,  sum = sum_i exp(alpha[i]) sums[i]
 *
 * The factors of the transitions are left to chain_close. */
static void add_pairs(
    const chain *c, const real *alpha, const real *q, const real *exp_q, const real *sums,
    double weight)
{
    const ptrdiff_t K = c->K, W = c->W;
    real *exp_alpha = c->rows;
    double sum = 0;
    exp_of_row(c, alpha, exp_alpha);
    for (ptrdiff_t i = 0; i < K; i++)
        sum += (double)exp_alpha[i] * (double)sums[i];
    if (sum < (double)K * (double)K * (double)FAINT_TERM) {
        double total = 0, highest = -INFINITY;
        for (ptrdiff_t i = 0; i < K; i++) {
            const double z = (double)alpha[i] +
                             (double)log_sum(K, q, c->transitions + i * K, 1, 0);
            highest = z > highest ? z : highest;
        }
        for (int pass = 0; pass < 2; pass++)
            for (ptrdiff_t i = 0; i < K; i++)
                for (ptrdiff_t j = 0; j < K; j++) {
                    const double p = exp((double)alpha[i] +
                                         (double)c->transitions[i * K + j] + (double)q[j] -
                                         highest);
                    if (pass == 0)
                        total += p;
                    else
                        c->dtransitions[i * K + j] += (real)(weight * p / total);
                }
        return;
    }
    for (ptrdiff_t i = 0; i < K; i++) {
        const real share = (real)(weight / sum * (double)exp_alpha[i]);
#pragma omp simd
        for (ptrdiff_t j = 0; j < W; j++)
            c->pairs[i * W + j] += share * exp_q[j];
    }
}

/* The scores (T, W) become the probabilities of each step's labels, or their logarithms; returns
 * the logarithm of the sum of exp(score) over all labels. With pairs, those of the transitions are
 * gathered, times the weight. */
static double chain_marginals(const chain *c, ptrdiff_t T, real *scores, int logs, double weight)
{
    const ptrdiff_t K = c->K, W = c->W;
    real *sums = c->rows + W, *q = c->rows + 2 * W, *exp_q = c->rows + 3 * W;
    real *beta = c->rows + 4 * W;
    double log_total = chain_forward(c, T, scores);
    memset(c->rows + 2 * W, 0, (size_t)(3 * W) * sizeof(real));
    memcpy(beta, c->end, (size_t)K * sizeof(real));
    for (ptrdiff_t t = T - 1;; t--) {
        real *step = scores + t * W;
        const real *alpha = c->alphas + t * W;
        for (ptrdiff_t j = 0; j < K; j++) {
            q[j] = step[j] + beta[j];
            step[j] = alpha[j] + beta[j];
        }
        const double log_sum_of_step = normalize(c, logs, step);
        if (t == T - 1)
            log_total += log_sum_of_step;
        if (t == 0)
            return log_total;
        const real highest = exp_of_row(c, q, exp_q);
        times_matrix(c, exp_q, c->transposed, sums);
        log_of_row(c, sums, q, highest, K, 1, beta);
        if (c->pairs)
            add_pairs(c, alpha - W, q, exp_q, sums, weight);
    }
}

/* Add the pairs to the gradients of the transitions. */
static void chain_close(const chain *c)
{
    const ptrdiff_t K = c->K, W = c->W;
    for (ptrdiff_t i = 0; i < K; i++) {
#pragma omp simd
        for (ptrdiff_t j = 0; j < K; j++)
            c->dtransitions[i * K + j] += c->factors[i * W + j] * c->pairs[i * W + j];
    }
}

#if !REAL_IS_FLOAT
/* The labels with the highest score (Viterbi 1967); of equal ones the first. */
static void best_path(const chain *c, ptrdiff_t T, const real *scores, int64_t *labels)
{
    const ptrdiff_t K = c->K, W = c->W;
    for (ptrdiff_t j = 0; j < K; j++)
        c->alphas[j] = c->start[j] + scores[j];
    /* The score of the best labels up to step t, where that is j. Which one came before j is found
     * again on the way back, for the labels of the path alone. */
    for (ptrdiff_t t = 1; t < T; t++) {
        const real *restrict before = c->alphas + (t - 1) * W;
        real *restrict best = c->alphas + t * W;
        for (ptrdiff_t j = 0; j < K; j++)
            best[j] = -INFINITY;
        for (ptrdiff_t i = 0; i < K; i++) {
            const real *restrict from = c->transitions + i * K;
#pragma omp simd
            for (ptrdiff_t j = 0; j < K; j++) {
                const real z = before[i] + from[j];
                best[j] = z > best[j] ? z : best[j];
            }
        }
        for (ptrdiff_t j = 0; j < K; j++)
            best[j] += scores[t * W + j];
    }
    for (ptrdiff_t t = T - 1; t >= 0; t--) {
        const real *to = t == T - 1 ? c->end : c->transitions + labels[t + 1];
        const ptrdiff_t stride = t == T - 1 ? 1 : K;
        real highest = -INFINITY;
        labels[t] = 0;
        for (ptrdiff_t i = 0; i < K; i++) {
            const real z = c->alphas[t * W + i] + to[i * stride];
            if (z > highest) {
                highest = z;
                labels[t] = i;
            }
        }
    }
}
#endif
