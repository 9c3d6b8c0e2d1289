/* The head over all steps of a batch, where it has many scores per step.
 *
 * Letters: M steps of all shards, D features, K classes: all, or a sample of them.
 *
 * Design: a lane's gradients of the head of a large vocabulary would be megabytes, to be zeroed,
 * added up and read again for a few hundred steps each; and rows, of which a batch of text has
 * twenty, are hard to share evenly. So all shards go forward first, then threads share the head's
 * products by classes or by steps, then all shards go backward. Each sum is computed by one thread
 * in a fixed order, whichever pieces a thread gets.
 *
 * In a sample each class appears with a probability of its own, q. A class that does counts as 1 / q
 * in the sum over all classes, which makes the sum unbiased (Horvitz & Thompson 1952): log 1 / q
 * is added to its score. The target of a step counts as 1, targets of other steps that are not
 * sampled as 0. */

/* Score of a class that is masked out. */
#define ABSENT ((real)-1e6)

/* C (m x n) = op(A) (m x k) op(B) (k x n), by our own tiles or by BLAS. */
static void wide_multiply(
    const network_plan *plan, const task *t, int thread, int transpose_a, int transpose_b,
    ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const real *a, ptrdiff_t lda, const real *b,
    ptrdiff_t ldb, real *c, ptrdiff_t ldc)
{
    const kernels *kernels = plan->kernels;
    real *scratch = t->wide->scratch;
    if (plan->packed)
        kernels->multiply(transpose_a, transpose_b, m, n, k, a, lda, b, ldb, c, ldc,
                          scratch + thread * MULTIPLY_SCRATCH);
    else
        t->gemm(transpose_a, transpose_b, m, n, k, a, lda, b, ldb, 0, c, ldc);
}

/* Weights and biases of some classes of a sample. */
static void wide_gather_classes(const network_plan *plan, const task *t, ptrdiff_t piece)
{
    const wide_head *w = t->wide;
    const ptrdiff_t D = plan->head.n_features, first = piece * CLASSES_AT_ONCE;
    const ptrdiff_t last = min_of(w->n_classes, first + CLASSES_AT_ONCE);
    const real *parameters = t->parameters;
    real *weights = w->gathered_weights, *bias = w->gathered_bias;
    for (ptrdiff_t k = first; k < last; k++) {
        memcpy(weights + k * D, parameters + plan->head.weight + w->classes[k] * D,
               (size_t)D * sizeof(real));
        bias[k] = parameters[plan->head.bias + w->classes[k]];
    }
}

/* Copies a shard's features into the batch's. */
static void wide_write_features(const shard *s, ptrdiff_t number, const real *features)
{
    const wide_head *w = s->task->wide;
    const ptrdiff_t D = s->plan->head.n_features;
    ptrdiff_t at = w->first[number];
    real *out = w->features;
    memcpy(out + at * D, features, (size_t)(s->steps->N * D) * sizeof(real));
    for (ptrdiff_t step = 0; step < s->steps->T; step++)
        for (ptrdiff_t r = 0; r < s->steps->counts[step]; r++)
            w->rows[at++] = source_row(s->task, &s->rows[r]) + step;
}

static void wide_read_dfeatures(const shard *s, ptrdiff_t number, real *dfeatures)
{
    const ptrdiff_t D = s->plan->head.n_features;
    const real *source = s->task->wide->dfeatures;
    memcpy(dfeatures, source + s->task->wide->first[number] * D,
           (size_t)(s->steps->N * D) * sizeof(real));
}

/* Scores of a block of classes at all steps, before the bias. */
static void wide_scores(const network_plan *plan, const task *t, ptrdiff_t piece, int thread)
{
    const wide_head *w = t->wide;
    const ptrdiff_t first = piece * CLASSES_AT_ONCE, D = plan->head.n_features;
    const ptrdiff_t K = w->n_classes;
    const real *weights = w->weights;
    real *scores = w->scores;
    /* scores = F W'   (M x K) = (M x D) (D x K) */
    wide_multiply(plan, t, thread, 0, 1, w->n_steps, min_of(K - first, CLASSES_AT_ONCE), D,
                  w->features, D, weights + first * D, D, scores + first, K);
}

/* Loss of one step from a sample of the classes; scores become gradients. */
static double wide_sampled_loss(
    const network_plan *plan, const wide_head *w, ptrdiff_t label, double weight,
    real *scores)
{
    const ptrdiff_t K = w->n_classes, slot = w->slots[label];
    const real target = (real)slot, score = scores[slot];
    const real *log_shares = w->log_shares;
    for (ptrdiff_t k = 0; k < w->n_sampled; k++)
        scores[k] -= log_shares[k];
    for (ptrdiff_t k = w->n_sampled; k < K; k++)
        scores[k] = ABSENT;
    scores[slot] = score;
    const double loss = sample_loss(plan->kernels, plan, K, 1, &target, weight, scores);
    /* Exact zeros: sums of denormal numbers would be slow. */
    for (ptrdiff_t k = w->n_sampled; k < K; k++)
        if (k != slot)
            scores[k] = 0;
    return loss;
}

/* Weighted losses of some steps; their scores become weighted gradients. */
static void wide_losses(const network_plan *plan, const task *t, ptrdiff_t piece)
{
    const wide_head *w = t->wide;
    const kernels *kernels = plan->kernels;
    const ptrdiff_t K = w->n_classes, first = piece * SOFTMAX_STEPS_AT_ONCE;
    const ptrdiff_t last = min_of(w->n_steps, first + SOFTMAX_STEPS_AT_ONCE);
    const real *bias = w->bias, *all_targets = t->targets, *weights = t->weights;
    real *scores = w->scores;
    for (ptrdiff_t step = first; step < last; step++) {
        const int64_t at = w->rows[step];
        const real *targets = all_targets + at * t->n_targets;
        const double weight = (double)weights[at] * t->weight_scale;
        kernels->add(K, bias, scores + step * K);
        const double loss =
            w->classes
                ? wide_sampled_loss(plan, w, (ptrdiff_t)targets[0], weight, scores + step * K)
                : sample_loss(kernels, plan, K, t->n_targets, targets, weight,
                              scores + step * K);
        w->losses[step] = weight * loss;
    }
}

/* Steps of a piece of dL/dfeatures, one for each thread where there are few. A row's sums are its
 * own, so that the bits do not depend on it. */
static ptrdiff_t steps_of_piece(const task *t)
{
    return min_of(HEAD_STEPS_AT_ONCE, ceil_div(t->wide->n_steps, t->n_threads));
}

/* dF = dS W   (M x D) = (M x K) (K x D), some steps */
static void wide_feature_gradients(
    const network_plan *plan, const task *t, ptrdiff_t piece, int thread)
{
    const wide_head *w = t->wide;
    const ptrdiff_t D = plan->head.n_features, K = w->n_classes;
    const ptrdiff_t at_once = steps_of_piece(t), first = piece * at_once;
    const real *dscores = w->scores;
    real *dfeatures = w->dfeatures;
    wide_multiply(plan, t, thread, 0, 0, min_of(w->n_steps - first, at_once), D, K,
                  dscores + first * K, K, w->weights, D, dfeatures + first * D, D);
}

/* dW = dS' F   (K x D) = (K x M) (M x D), some classes */
static void wide_weight_gradients(
    const network_plan *plan, const task *t, ptrdiff_t piece, int thread)
{
    const wide_head *w = t->wide;
    const kernels *kernels = plan->kernels;
    const ptrdiff_t M = w->n_steps, D = plan->head.n_features, K = w->n_classes;
    const ptrdiff_t first = piece * CLASSES_AT_ONCE;
    const ptrdiff_t n = min_of(K - first, CLASSES_AT_ONCE);
    const real *dscores = w->scores;
    real *gradients = t->gradients, *dbias = gradients + w->bias_at + first;
    wide_multiply(plan, t, thread, 1, 0, n, D, M, dscores + first, K, w->features, D,
                  gradients + w->weights_at + first * D, D);
    memset(dbias, 0, (size_t)n * sizeof(real));
    for (ptrdiff_t step = 0; step < M; step++)
        kernels->add(n, dscores + step * K + first, dbias);
}

static ptrdiff_t wide_count_gradients(const task *t)
{
    return ceil_div(t->wide->n_steps, steps_of_piece(t)) +
           ceil_div(t->wide->n_classes, CLASSES_AT_ONCE);
}

static void wide_gradients(const network_plan *plan, const task *t, ptrdiff_t piece, int thread)
{
    const ptrdiff_t of_features = ceil_div(t->wide->n_steps, steps_of_piece(t));
    if (piece < of_features)
        wide_feature_gradients(plan, t, piece, thread);
    else
        wide_weight_gradients(plan, t, piece - of_features, thread);
}
