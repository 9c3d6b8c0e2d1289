/* The inputs of the first layer: steps of the sequences, or vectors of their tokens. */

/* Dropout of whole tokens (embedding dropout of Merity et al., arXiv:1708.02182): the vectors of a
 * chunk's steps (N, I), or their gradients, are scaled or set to 0, those of a token alike in the
 * whole batch. */
static void drop_tokens(const shard *s, real *x)
{
    const task *t = s->task;
    const ptrdiff_t I = s->plan->n_inputs;
    for (ptrdiff_t step = 0; t->embedding_dropout > 0 && step < s->steps->T; step++)
        for (ptrdiff_t r = 0; r < s->steps->counts[step]; r++) {
            const int64_t at = source_row(t, &s->rows[r]) + s->steps->first + step;
            real mask = 1;
            s->kernels->dropout(1, &mask, parameter_key(t, PLACE_OF_TOKENS, t->tokens[at]),
                                t->embedding_dropout);
            for (ptrdiff_t j = 0; j < I; j++)
                x[j] *= mask;
            x += I;
        }
}

/* One step x (I) of a sequence that has a shift and a scale. In double: a series may be far from 0
 * and change by little. */
static void read_scaled(const task *t, ptrdiff_t I, const row *r, int64_t step, real *x)
{
    const int64_t sequence = t->batch[r->position];
    const double *values = (const double *)t->values + (t->starts[sequence] + step) * I;
    const double *shift = t->shift + sequence * I, *scale = t->scale + sequence * I;
    for (ptrdiff_t j = 0; j < I; j++)
        x[j] = (real)((values[j] - shift[j]) * scale[j]);
    if (t->seams && step >= t->seams[sequence])
        for (ptrdiff_t j = 0; j < I; j++)
            if (!isnan(t->beyond[j]))
                x[j] = (real)t->beyond[j];
}

/* x (N, I) of a chunk. */
static void inputs_forward(const shard *s, real *x)
{
    const task *t = s->task;
    const ptrdiff_t I = s->plan->n_inputs;
    const real *values = t->values, *parameters = t->parameters;
    const real *embedding = parameters + s->plan->n_dense;
    for (ptrdiff_t step = 0; step < s->steps->T; step++)
        for (ptrdiff_t r = 0; r < s->steps->counts[step]; r++) {
            const int64_t at = source_row(t, &s->rows[r]) + s->steps->first + step;
            if (t->shift)
                read_scaled(t, I, &s->rows[r], s->steps->first + step, x);
            else if (s->plan->vocabulary == 0)
                memcpy(x, values + at * I, (size_t)I * sizeof(real));
            else
                memcpy(x, embedding + t->tokens[at] * I, (size_t)I * sizeof(real));
            if (s->plan->vocabulary > 0 && t->dropout > 0)
                drop_row(s->kernels, t, I, x, 0, &s->rows[r],
                         t->first_step + s->steps->first + step);
            x += I;
        }
}

/* Add dL/dx (N, I) to the gradients of the tokens' vectors, in the order of their slots. */
static void embedding_backward(const shard *s, const real *dx, real *gradients)
{
    const task *t = s->task;
    const ptrdiff_t I = s->plan->n_inputs;
    for (ptrdiff_t step = 0; step < s->steps->T; step++)
        for (ptrdiff_t r = 0; r < s->steps->counts[step]; r++) {
            const int64_t token = t->tokens[source_row(t, &s->rows[r]) + step];
            s->kernels->add(I, dx, gradients + I * t->slots[token]);
            dx += I;
        }
}
