/* The loss of a CRF over a shard, from the scores of the head at all steps. */

/* Loss of one sequence of T steps, -log p(labels): its scores (T, W) become weighted gradients.
 * Labels are those of T targets. */
static double sequence_loss(
    const kernels *k, const chain *c, ptrdiff_t T, const real *labels, double weight,
    real *dstart, real *dend)
{
    const ptrdiff_t K = c->K, W = c->W;
    const real share = (real)weight;
    const ptrdiff_t first = (ptrdiff_t)labels[0], last = (ptrdiff_t)labels[T - 1];
    double score = (double)c->start[first] + (double)c->end[last];
    for (ptrdiff_t t = 0; t < T; t++) {
        const ptrdiff_t label = (ptrdiff_t)labels[t];
        score += (double)c->scores[t * W + label];
        if (t > 0) {
            const ptrdiff_t pair = (ptrdiff_t)labels[t - 1] * K + label;
            score += (double)c->transitions[pair];
            c->dtransitions[pair] -= share;
        }
    }
    const double loss = k->chain_marginals(c, T, c->scores, 0, weight) - score;
    for (ptrdiff_t t = 0; t < T; t++) {
        for (ptrdiff_t j = 0; j < K; j++)
            c->scores[t * W + j] *= share;
        c->scores[t * W + (ptrdiff_t)labels[t]] -= share;
    }
    k->add(K, c->scores, dstart);
    k->add(K, c->scores + (T - 1) * W, dend);
    return loss;
}

/* Scores of one row of the shard at all of its T steps into the chain's, or back. */
static void copy_row(const shard *s, const head *h, ptrdiff_t r, ptrdiff_t T, int into_chain)
{
    const ptrdiff_t S = h->plan->columns.n_padded, W = h->chain.W;
    const size_t n_bytes = (size_t)h->plan->n_scores * sizeof(real);
    real *packed = h->scores + r * S;
    for (ptrdiff_t step = 0; step < T; step++) {
        if (into_chain)
            memcpy(h->chain.scores + step * W, packed, n_bytes);
        else
            memcpy(packed, h->chain.scores + step * W, n_bytes);
        packed += s->steps->counts[step] * S;
    }
}

/* weighted_loss of a CRF, and the gradients of its transitions, start and end. A sequence has one
 * weight, that of all of its steps. */
static double weighted_chain_loss(const shard *s, head *h)
{
    const task *t = s->task;
    const ptrdiff_t K = h->plan->n_scores;
    const real *parameters = t->parameters, *targets = t->targets, *weights = t->weights;
    real *gradients = h->gradients + s->plan->tail_at;
    chain *c = &h->chain;
    double loss = 0;
    chain_read(c, parameters + s->plan->tail);
    c->dtransitions = gradients;
    s->kernels->chain_open(c);
    for (ptrdiff_t r = 0; r < s->n_rows; r++) {
        const ptrdiff_t T = s->rows[r].length;
        const int64_t at = source_row(t, &s->rows[r]);
        const double weight = (double)weights[at] * t->weight_scale;
        copy_row(s, h, r, T, 1);
        loss += weight * sequence_loss(s->kernels, c, T, targets + at, weight,
                                       gradients + K * K, gradients + K * (K + 1));
        copy_row(s, h, r, T, 0);
    }
    s->kernels->chain_close(c);
    return loss;
}
