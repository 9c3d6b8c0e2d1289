/* The linear head and the loss. M rows: the packed rows of a chunk where there are scores per step,
 * else one, or n_ahead, for each row of a shard. It is a packed product like those of the layers,
 * so that the scores of a row have the same bits in any batch. */

typedef struct {
    const head_plan *plan;
    const kernels *kernels;
    gemm_function *gemm;
    const real *weights; /* in the kernels' layout, */
    real *gradients;     /* both of the whole network: the plan has the places */
    real *features;      /* (M, D) where they have to be joined from directions, or dropped */
    real *scores;        /* (M, S), K of them and zeros; in backward dL/dscores */
    real *dfeatures;     /* (M, D); per step they go where the stack has dL/d its outputs */
    chain chain;         /* of a CRF in training */
} head;

static void head_take_memory(head *h, const network_plan *plan, const task *t, arena *memory)
{
    const ptrdiff_t M = plan->per_step ? t->max_packed : t->max_rows * plan_n_head_rows(plan);
    const ptrdiff_t D = plan->head.n_features, S = plan->head.columns.n_padded;
    const int joined =
        plan->n_directions == 2 || t->dropout > 0 || plan->residual || plan->pooling != POOL_last;
    h->features = arena_take(memory, M * D, sizeof(real), joined);
    h->scores = arena_take(memory, M * S, sizeof(real), !t->wide);
    h->dfeatures = arena_take(memory, M * D, sizeof(real), t->training && !plan->per_step);
    if (plan->loss == LOSS_crf && t->training)
        chain_take_memory(&h->chain, plan->head.n_scores, t->max_steps, 1, memory);
}

/* Dropout of what the head reads of the rows of a shard, or of its gradients. */
static void drop_head_rows(const shard *s, ptrdiff_t D, real *x, ptrdiff_t place)
{
    for (ptrdiff_t r = 0; r < s->n_rows; r++)
        for (ptrdiff_t k = 0; k < plan_n_head_rows(s->plan); k++, x += D)
            drop_row(s->kernels, s->task, D, x, place, &s->rows[r], k);
}

/* (M, D) features: outputs of the last level at every step, pooled, or its last states. The first
 * member writes them where they have to be joined. */
static const real *head_features(
    const shard *s, const stack *st, const pooling *p, const head *h)
{
    const level *top = &st->levels[st->n_levels - 1];
    const ptrdiff_t D = h->plan->n_features, R = level_width(top);
    const int pooled = s->plan->pooling != POOL_last;
    if ((st->joined || pooled) && !is_leader(s))
        return h->features;
    if (s->plan->per_step)
        return level_outputs(s, st, top, st->n_levels, h->features);
    if (!st->joined && !pooled)
        return top->directions[0].h_last;
    if (pooled)
        pooled_features(s, p, h->features);
    for (ptrdiff_t d = 0; d < st->n_directions && !pooled; d++)
        gather_rows(s->n_rows, R, top->directions[d].h_last, R, NULL, h->features + d * R, D);
    if (st->last_inputs)
        s->kernels->add(s->n_rows * D, st->last_inputs, h->features);
    if (s->task->dropout > 0)
        drop_head_rows(s, D, h->features, st->n_levels);
    return h->features;
}

/* scores = F W' + b   (M x K) = (M x D) (D x K); each member computes those of some rows. */
static void head_forward(const shard *s, const head *h, ptrdiff_t M, const real *features)
{
    const packed_columns *c = &h->plan->columns;
    const ptrdiff_t D = h->plan->n_features, S = c->n_padded;
    ptrdiff_t first, last;
    barrier_wait(&s->member);
    share_rows(&s->member, M, &first, &last);
    const ptrdiff_t n = last - first;
    const columns parts[] = {{features + first * D, D, 1, D, 0, 0}};
    real *scores = h->scores + first * S;
    if (h->plan->thin)
        h->kernels->thin_forward(n, S, D, parts[0].start, h->weights + c->columns_at,
                                 h->weights + c->bias_at, scores);
    else {
        if (c->packed)
            h->kernels->product(n, 1, parts, D, 0, 0, ALL_GATES, h->weights + c->columns_at,
                                c->width, 0, S, S, scores, S);
        else
            h->gemm(0, 1, n, S, D, parts[0].start, D, h->weights + h->plan->weight, D, 0,
                    scores, S);
        h->kernels->add_to_rows(n, S, h->weights + c->bias_at, scores);
    }
    barrier_wait(&s->member);
}

/* dL/dscores into gradients of the head, which are added: each member computes those of some
 * blocks of scores. */
static void head_weight_gradients(
    const shard *s, const head *h, const layer_scratch *scratch, ptrdiff_t M,
    const real *features)
{
    const packed_columns *c = &h->plan->columns;
    const ptrdiff_t D = h->plan->n_features, S = c->n_padded;
    ptrdiff_t first, last;
    if (!c->packed) {
        h->gemm(1, 0, S, D, M, h->scores, S, features, D, 1, h->gradients + h->plan->weight, D);
        return;
    }
    share_rows(&s->member, c->n_blocks, &first, &last);
    for (ptrdiff_t start = 0, n; start < M; start += n) {
        n = min_of(STEPS_AT_ONCE, M - start);
        const packed_rows rows = {0, D, ALL_GATES};
        const columns inputs[] = {{features + start * D, D, 1, D, 0, 0}};
        if (is_leader(s))
            h->kernels->pack_steps(n, 0, n, 1, inputs, scratch->inputs);
        barrier_wait(&s->member);
        /* dW' += F' dS   (D x K) += (D x M) (M x K) */
        h->kernels->transposed_product(
            n, 1, &rows, D, scratch->inputs, h->scores + start * S, S,
            h->gradients + c->columns_at, c->width, first * c->width,
            min_of(last * c->width, S), 1, scratch->panel);
        barrier_wait(&s->member);
    }
}

/* dL/dscores into gradients of the head, which are added, and dL/dfeatures. */
static void head_backward(
    const shard *s, const head *h, const layer_scratch *scratch, ptrdiff_t M,
    const real *features, real *dfeatures)
{
    const packed_columns *c = &h->plan->columns;
    const ptrdiff_t D = h->plan->n_features, K = h->plan->n_scores, S = c->n_padded;
    ptrdiff_t first, last;
    barrier_wait(&s->member);
    if (is_leader(s))
        h->kernels->add_rows(M, S, h->scores, h->gradients + c->bias_at);
    if (h->plan->thin) {
        if (is_leader(s))
            h->kernels->thin_backward(M, K, D, features, h->weights + c->columns_at, h->scores,
                                      dfeatures, h->gradients + c->columns_at);
    }
    else {
        head_weight_gradients(s, h, scratch, M, features);
        share_rows(&s->member, M, &first, &last);
        const columns dscores[] = {{h->scores + first * S, S, 1, K, 0, 0}};
        /* dF = dS W   (M x D) = (M x K) (K x D) */
        if (c->packed)
            h->kernels->product(last - first, 1, dscores, K, 0, 0, ALL_GATES,
                                h->weights + h->plan->rows_at, HEAD_BLOCK, 0, D, D,
                                dfeatures + first * D, D);
        else
            h->gemm(0, 0, M, D, K, h->scores, S, h->weights + h->plan->weight, D, 0, dfeatures,
                    D);
    }
    barrier_wait(&s->member);
}

/* The loss of one sample (or step) from its scores, which become weight * d loss / d score.
 *
 * A target that is NaN is missing: its scores count nothing, and the others as much as if it were
 * there, so that an observed target weighs the same in every sample. But a score that is NaN makes
 * the loss NaN in any case. (The softmax and the CRF need all of their labels.) */
static double sample_loss(
    const kernels *k, const network_plan *plan, ptrdiff_t K, ptrdiff_t n_targets,
    const real *targets, double weight, real *scores)
{
    if (plan->loss == LOSS_softmax)
        return k->softmax(K, scores, (ptrdiff_t)targets[0], weight);
    const ptrdiff_t of_target = K / n_targets; /* scores */
    double total = 0, share = 1;
#define MEAN share = 1.0 / (double)K
#define SUM
#define LOSS_OF_SCORES(name, reduction)                                                     \
    case LOSS_##name:                                                                       \
        reduction;                                                                          \
        for (ptrdiff_t j = 0, target = 0; target < n_targets; target++) {                   \
            const int missing = isnan(targets[target]);                                     \
            for (const ptrdiff_t end = j + of_target; j < end; j++) {                       \
                double slope = 0;                                                           \
                total += missing ? 0 * scores[j]                                            \
                                 : name(scores[j], targets[target],                         \
                                        plan->levels ? plan->levels[j] : 0, &slope);        \
                scores[j] = (real)(slope * share * weight);                                 \
            }                                                                               \
        }                                                                                   \
        break;
    switch (plan->loss) {
        SCORE_LOSSES(LOSS_OF_SCORES)
    }
#undef LOSS_OF_SCORES
#undef SUM
#undef MEAN
    return total * share;
}

/* Weighted loss of a shard from its scores, which become weighted gradients. */
static double weighted_loss(const shard *s, const head *h)
{
    const task *t = s->task;
    const ptrdiff_t K = h->plan->n_scores, S = h->plan->columns.n_padded;
    const ptrdiff_t n_steps = s->plan->per_step ? s->steps->T : 1;
    const ptrdiff_t n_head_rows = plan_n_head_rows(s->plan);
    const real *targets = t->targets, *weights = t->weights;
    real *scores = h->scores;
    double loss = 0;
    for (ptrdiff_t step = 0; step < n_steps; step++) {
        const ptrdiff_t n = s->plan->per_step ? s->steps->counts[step] : s->n_rows;
        for (ptrdiff_t r = 0; r < n; r++) {
            const int64_t at = s->plan->per_step ? source_row(t, &s->rows[r]) + step
                                                 : t->batch[s->rows[r].position];
            const double weight = (double)weights[at] * t->weight_scale / (double)n_head_rows;
            for (ptrdiff_t k = 0; k < n_head_rows; k++, scores += S)
                loss += weight * sample_loss(s->kernels, s->plan, K, t->n_targets,
                                             targets + (at * n_head_rows + k) * t->n_targets,
                                             weight, scores);
        }
    }
    return loss;
}

/* Dropout's share in dL/dfeatures. */
static void drop_dfeatures(const shard *s, const head *h, real *dfeatures)
{
    const ptrdiff_t D = h->plan->n_features;
    if (s->task->dropout == 0)
        return;
    if (s->plan->per_step) {
        drop_steps(s->kernels, s->task, D, dfeatures, s->plan->n_layers, s->rows, s->steps);
        return;
    }
    drop_head_rows(s, D, dfeatures, s->plan->n_layers);
}
