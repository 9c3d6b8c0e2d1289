/* Dropout of rows of numbers. A mask depends on seed, update, place, row and step. */

/* The place is the layer whose inputs are dropped (n_layers is the head), or from these numbers on
 * the layer and direction whose hidden state or weight_hh is, or the embedding. */
enum {
    PLACE_OF_STATES = 2 * MAX_LAYERS,
    PLACE_OF_WEIGHTS = 4 * MAX_LAYERS,
    PLACE_OF_TOKENS = 6 * MAX_LAYERS
};

/* One round of SplitMix64 (Steele et al. 2014). */
static inline uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Hashes all of these into 64 bits. */
static inline uint64_t hash_of(
    uint64_t seed, uint64_t update, ptrdiff_t place, int64_t row, int64_t step)
{
    uint64_t key = mix(seed);
    key = mix(key ^ update);
    key = mix(key ^ (uint64_t)place);
    key = mix(key ^ (uint64_t)row);
    return mix(key ^ (uint64_t)step);
}

/* The key of a mask of what a row of the batch computes. */
static inline uint64_t dropout_key(
    const task *t, ptrdiff_t place, const row *r, int64_t step)
{
    return hash_of(t->seed, t->update, place, r->position, step);
}

/* Likewise of a row of parameters. */
static inline uint64_t parameter_key(const task *t, ptrdiff_t place, int64_t row)
{
    return hash_of(t->seed, t->parameter_update, place, row, 0);
}

/* One row in place: of inputs going forward, of their gradients going back. */
static inline void drop_row(
    const kernels *k, const task *t, ptrdiff_t width, real *x, ptrdiff_t place, const row *r,
    int64_t step)
{
    k->dropout(width, x, dropout_key(t, place, r, step), t->dropout);
}

/* All packed rows of a chunk. */
static void drop_steps(
    const kernels *k, const task *t, ptrdiff_t width, real *x, ptrdiff_t place,
    const row *rows, const steps *s)
{
    for (ptrdiff_t step = 0; step < s->T; step++)
        for (ptrdiff_t r = 0; r < s->counts[step]; r++) {
            drop_row(k, t, width, x, place, &rows[r], t->first_step + s->first + step);
            x += width;
        }
}

/* What multiplies the hidden state of a layer on its way to the next step: the same for all
 * steps of a sequence (Gal & Ghahramani 2016). */
static void draw_recurrent_mask(
    const kernels *k, const task *t, ptrdiff_t layer, ptrdiff_t R, const row *rows,
    ptrdiff_t n_rows, real *mask)
{
    for (ptrdiff_t j = 0; j < n_rows * R; j++)
        mask[j] = 1;
    for (ptrdiff_t r = 0; r < n_rows; r++)
        k->dropout(R, mask + r * R,
                   dropout_key(t, PLACE_OF_STATES + layer, &rows[r], 0), t->recurrent_dropout);
}

/* -- Recurrent weights (DropConnect, Wan et al. 2013; Merity et al., arXiv:1708.02182) --
 *
 * The layers read a copy of their parameters in which weight_hh is dropped, and the gradients of
 * weight_hh are dropped in the end: packing, products and lanes know nothing of it. */

static const real *layer_parameters(const task *t)
{
    return t->dropped_parameters ? t->dropped_parameters : t->parameters;
}

static ptrdiff_t count_copies(const network_plan *plan, const task *t)
{
    return t->dropped_parameters ? ceil_div(plan_n_layer_parameters(plan), REDUCTION_BLOCK) : 0;
}

static void copy_parameters(const network_plan *plan, const task *t, ptrdiff_t piece, int thread)
{
    const ptrdiff_t start = piece * REDUCTION_BLOCK;
    const ptrdiff_t n = min_of(plan_n_layer_parameters(plan) - start, REDUCTION_BLOCK);
    const real *parameters = t->parameters;
    real *copy = t->dropped_parameters;
    (void)thread;
    memcpy(copy + start, parameters + start, (size_t)n * sizeof(real));
}

/* Rows of weight_hh. */
static ptrdiff_t n_rows_hh(const layer_plan *l)
{
    ptrdiff_t n_gates = 0;
    for (ptrdiff_t gate = 0; gate < l->columns.n_gates; gate++)
        n_gates += l->state.rows[gate] >= 0;
    return n_gates * l->columns.n_units;
}

static ptrdiff_t count_dropped(const network_plan *plan, const task *t)
{
    ptrdiff_t n = 0;
    for (ptrdiff_t k = 0; t->dropped_parameters && k < plan_n_layers(plan); k++)
        n += ceil_div(n_rows_hh(&plan->layers[k]), WEIGHT_ROWS_AT_ONCE);
    return n;
}

static ptrdiff_t count_dropped_gradients(const network_plan *plan, const task *t)
{
    return t->training ? count_dropped(plan, t) : 0;
}

/* Some rows of a weight_hh, or of its gradient, in a vector laid out like the parameters. */
static void drop_rows_hh(
    const network_plan *plan, const task *t, ptrdiff_t piece, real *parameters)
{
    const kernels *kernels = plan->kernels;
    for (ptrdiff_t k = 0; k < plan_n_layers(plan); k++) {
        const layer_plan *l = &plan->layers[k];
        const ptrdiff_t R = l->n_outputs, n = n_rows_hh(l);
        const ptrdiff_t first = piece * WEIGHT_ROWS_AT_ONCE;
        piece -= ceil_div(n, WEIGHT_ROWS_AT_ONCE);
        if (piece >= 0)
            continue;
        for (ptrdiff_t j = first; j < min_of(n, first + WEIGHT_ROWS_AT_ONCE); j++)
            kernels->dropout(R, parameters + l->weight_hh + j * R,
                             parameter_key(t, PLACE_OF_WEIGHTS + k, j), t->weight_dropout);
        return;
    }
}

static void drop_weights(const network_plan *plan, const task *t, ptrdiff_t piece, int thread)
{
    (void)thread;
    drop_rows_hh(plan, t, piece, t->dropped_parameters);
}

static void drop_gradients(const network_plan *plan, const task *t, ptrdiff_t piece, int thread)
{
    (void)thread;
    drop_rows_hh(plan, t, piece, t->gradients);
}
