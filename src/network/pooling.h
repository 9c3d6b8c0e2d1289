/* How the outputs of the last level, at all steps of a sequence, become the head's input.
 *
 *     mean       f = sum_t y_t / T
 *     max        f_j = max_t y_tj
 *     attention  f = sum_t w_t y_t,  w = softmax over the steps of s_t = v . tanh(A y_t + a)
 *
 * (Yang et al. 2016). "last" is what a layer keeps anyway, its last state. The others run over the
 * steps with a state of their own, which a chunk, a stream or truncated backpropagation carries on
 * like those of the layers: the number of steps and the sum, or the largest numbers, or for
 * attention what kernels/pooling.h says. Before the first step it is zeros.
 *
 * Scores for the n_ahead steps from a sequence's seam on are a pooling of the same kind: its state
 * are the outputs of these steps, one after the other; zeros where a sequence has fewer. */

typedef struct {
    real *states;   /* (B, n_pool_state) */
    real *joined;   /* (N, D) outputs, where they are not those of one layer */
    real *u;        /* (N, D) A y, then tanh(A y + a), in backward dL/d(A y + a) */
    real *scores;   /* (N,) s */
    ptrdiff_t *found; /* (B, D) packed rows of the largest, -1 before this chunk; max in training */
    real *dA;       /* (D, D) of one shard */
    real *dy_of_scores; /* (N, D) dL/dy through the scores */
    real *scratch;  /* (MULTIPLY_SCRATCH,) of this member */
} pooling;

/* A, a and v stand one after the other, in the parameters and in the gradients. */
typedef struct {
    const real *A, *a, *v;
} attention;

static attention attention_of(const network_plan *plan, const task *t)
{
    const ptrdiff_t D = plan->head.n_features;
    const real *start = t->parameters;
    start += plan->tail;
    return (attention){start, start + D * D, start + D * D + D};
}

static void pooling_take_memory(
    pooling *p, const network_plan *plan, const task *t, int member, arena *memory)
{
    const ptrdiff_t B = t->max_rows, N = t->max_packed, D = plan->head.n_features;
    const int pooled = plan->pooling != POOL_last, attends = plan->pooling == POOL_attention;
    const size_t item = sizeof(real);
    p->states = arena_take(memory, B * plan->n_pool_state, item, pooled);
    p->joined = arena_take(memory, N * D, item,
                           pooled && (plan->n_directions == 2 || plan->residual));
    p->u = arena_take(memory, N * D, item, attends);
    p->scores = arena_take(memory, N, item, attends);
    p->found = arena_take(memory, B * D, sizeof(ptrdiff_t),
                          plan->pooling == POOL_max && t->training);
    p->dA = arena_take(memory, D * D, item, attends && t->training);
    p->dy_of_scores = arena_take(memory, N * D, item, attends && t->training);
    for (ptrdiff_t k = 0; k < t->n_members; k++) {
        real *scratch = arena_take(memory, MULTIPLY_SCRATCH, item, attends);
        if (k == member)
            p->scratch = scratch;
    }
}

/* One row's initial state, zeros where `state` is NULL; and back. */
static void pooling_load_state(
    const pooling *p, const network_plan *plan, ptrdiff_t r, const real *state)
{
    const size_t n_bytes = (size_t)plan->n_pool_state * sizeof(real);
    real *to = p->states + r * plan->n_pool_state;
    if (plan->n_pool_state && state)
        memcpy(to, state, n_bytes);
    else if (plan->n_pool_state)
        memset(to, 0, n_bytes);
    for (ptrdiff_t j = 0; p->found && j < plan->head.n_features; j++)
        p->found[r * plan->head.n_features + j] = -1;
}

static void pooling_store_state(
    const pooling *p, const network_plan *plan, ptrdiff_t r, real *state)
{
    if (plan->n_pool_state)
        memcpy(state, p->states + r * plan->n_pool_state,
               (size_t)plan->n_pool_state * sizeof(real));
}

/* Which of the n_ahead steps a row's is at a step of this chunk, -1 if none. */
static ptrdiff_t find_ahead(const shard *s, ptrdiff_t r, ptrdiff_t step)
{
    const int64_t sequence = s->task->batch[s->rows[r].position];
    const int64_t ahead = s->steps->first + step - s->task->seams[sequence];
    return ahead >= 0 && ahead < s->plan->n_ahead ? (ptrdiff_t)ahead : -1;
}

/* A step of one row, whose output is y; n is its packed row. */
static void pool_step(
    const shard *s, const pooling *p, ptrdiff_t r, ptrdiff_t step, ptrdiff_t n, const real *y)
{
    const ptrdiff_t D = s->plan->head.n_features;
    real *state = p->states + r * s->plan->n_pool_state;
    if (s->plan->pooling == POOL_ahead) {
        const ptrdiff_t ahead = find_ahead(s, r, step);
        if (ahead >= 0)
            memcpy(state + ahead * D, y, (size_t)D * sizeof(real));
        return;
    }
    if (s->plan->pooling == POOL_attention) {
        s->kernels->attend(D, p->scores[n], y, state);
        return;
    }
    if (s->plan->pooling == POOL_mean)
        s->kernels->add(D, y, state + 1);
    else
        s->kernels->keep_larger(D, state[0] == 0, n, y, state + 1,
                                p->found ? p->found + r * D : NULL);
    state[0]++;
}

/* All steps of a chunk, whose outputs y are (N, D); members share rows. */
static void pooling_forward(const shard *s, const pooling *p, const real *y)
{
    const ptrdiff_t D = s->plan->head.n_features;
    ptrdiff_t first, last;
    if (s->plan->pooling == POOL_attention) {
        const attention of = attention_of(s->plan, s->task);
        share_rows(&s->member, s->steps->N, &first, &last);
        /* U = Y A'   (N x D) = (N x D) (D x D) */
        s->kernels->multiply(0, 1, last - first, D, D, y + first * D, D, of.A, D,
                             p->u + first * D, D, p->scratch);
        for (ptrdiff_t n = first; n < last; n++)
            p->scores[n] = s->kernels->attention_score(D, of.a, of.v, p->u + n * D);
        barrier_wait(&s->member);
    }
    share_rows(&s->member, s->n_rows, &first, &last);
    for (ptrdiff_t step = 0, n = 0; step < s->steps->T; n += s->steps->counts[step++])
        for (ptrdiff_t r = first; r < min_of(last, s->steps->counts[step]); r++)
            pool_step(s, p, r, step, n + r, y + (n + r) * D);
    barrier_wait(&s->member);
}

/* (B, D) or (B, n_ahead, D) what the head reads, of steps so far. */
static void pooled_features(const shard *s, const pooling *p, real *features)
{
    const ptrdiff_t D = s->plan->head.n_features, n_state = s->plan->n_pool_state;
    if (s->plan->pooling == POOL_ahead) {
        memcpy(features, p->states, (size_t)(s->n_rows * n_state) * sizeof(real));
        return;
    }
    for (ptrdiff_t r = 0; r < s->n_rows; r++) {
        const real *state = p->states + r * n_state, *values = state + n_state - D;
        const real over = s->plan->pooling == POOL_max ? (real)1 : state[n_state - D - 1];
        for (ptrdiff_t j = 0; j < D; j++)
            features[r * D + j] = values[j] / over;
    }
}

/* dy of one row: that of its own row of the head. */
static void ahead_gradient(
    const shard *s, ptrdiff_t r, ptrdiff_t step, const real *dfeatures, real *dy)
{
    const ptrdiff_t D = s->plan->head.n_features, ahead = find_ahead(s, r, step);
    if (ahead < 0)
        memset(dy, 0, (size_t)D * sizeof(real));
    else
        memcpy(dy, dfeatures + (r * s->plan->n_ahead + ahead) * D, (size_t)D * sizeof(real));
}

/* dy of one row: through the sum of shares of its steps. */
static void share_gradient(
    const shard *s, const pooling *p, ptrdiff_t r, ptrdiff_t n, const real *df, real *dy)
{
    const ptrdiff_t D = s->plan->head.n_features;
    const real *state = p->states + r * s->plan->n_pool_state;
    const real share = s->plan->pooling == POOL_mean
                           ? 1 / state[0]
                           : s->kernels->attention_share(p->scores[n], state);
    for (ptrdiff_t j = 0; j < D; j++)
        dy[j] = share * df[j];
}

/* From dL/d(pooled features) to dL/dy (N, D) of the outputs y of this chunk's steps, and the
 * gradients of A, a and v, which are added. */
static void pooling_backward(
    const shard *s, const pooling *p, const real *y, const real *dfeatures, real *gradients,
    real *dy)
{
    const ptrdiff_t D = s->plan->head.n_features, N = s->steps->N;
    const int attends = s->plan->pooling == POOL_attention;
    ptrdiff_t first, last;
    share_rows(&s->member, s->n_rows, &first, &last);
    for (ptrdiff_t step = 0, n = 0; step < s->steps->T; n += s->steps->counts[step++])
        for (ptrdiff_t r = first; r < min_of(last, s->steps->counts[step]); r++) {
            real *dy_n = dy + (n + r) * D;
            if (s->plan->pooling == POOL_ahead)
                ahead_gradient(s, r, step, dfeatures, dy_n);
            else if (s->plan->pooling == POOL_max)
                for (ptrdiff_t j = 0; j < D; j++)
                    dy_n[j] = p->found[r * D + j] == n + r ? dfeatures[r * D + j] : 0;
            else
                share_gradient(s, p, r, n + r, dfeatures + r * D, dy_n);
        }
    barrier_wait(&s->member);
    if (!attends)
        return;
    const attention of = attention_of(s->plan, s->task);
    if (is_leader(s)) {
        /* ds_t = w_t df . (y_t - f) */
        for (ptrdiff_t step = 0, n = 0; step < s->steps->T; n += s->steps->counts[step++])
            for (ptrdiff_t r = 0; r < s->steps->counts[step]; r++) {
                const real *state = p->states + r * s->plan->n_pool_state;
                const real *df = dfeatures + r * D;
                const real share = s->kernels->attention_share(p->scores[n + r], state);
                const real of_y = s->kernels->dot(D, df, y + (n + r) * D);
                const real of_f = s->kernels->dot(D, df, state + 2) / state[1];
                s->kernels->attention_backward(D, share * (of_y - of_f), of.v, p->u + (n + r) * D,
                                               gradients + D * D, gradients + D * D + D);
            }
    }
    barrier_wait(&s->member);
    /* dA = dU' Y   (D x D) = (D x N) (N x D), some rows of it; dY += dU A */
    share_rows(&s->member, D, &first, &last);
    s->kernels->multiply(1, 0, last - first, D, N, p->u + first, D, y, D, p->dA + first * D, D,
                         p->scratch);
    s->kernels->add((last - first) * D, p->dA + first * D, gradients + first * D);
    share_rows(&s->member, N, &first, &last);
    s->kernels->multiply(0, 0, last - first, D, D, p->u + first * D, D, of.A, D,
                         p->dy_of_scores + first * D, D, p->scratch);
    s->kernels->add((last - first) * D, p->dy_of_scores + first * D, dy + first * D);
    barrier_wait(&s->member);
}
