/* One layer in one direction over the packed steps of a shard: its parameters, state and history,
 * forward and backward.
 *
 * c and h carry B rows in front of their N packed rows, the initial state, so that the state
 * before step t of row r stands at the same r of the block before.
 *
 *     forward   Z = X W' + h_{t-1} U';  gates, c and h element-wise (kernels/cells.h)
 *     backward  dh_{t-1} = dZ_t U;  dW = dZ' X;  dU = dZ' h_prev;  db = sum dZ;  dX = dZ W
 *
 * Where h is a projection of what the cells put out, projection.h has the rest of a step. With
 * recurrent dropout h_{t-1} is multiplied by a mask. A layer that is not recurrent has no U.
 * Where a cell's state is h alone, c is a copy of it that goes from step to step element-wise.
 * With layer normalization (layer_norm.h) products stand apart until they are normalized. Else
 * those with W and U are the gates from the start, and dL/d them is dZ.
 *
 * A gate that sees r h_{t-1}, r being another gate, waits for it: its product with U comes second
 * in a step, and the gradient of r h_{t-1} first in a step of backward.
 *
 * Design: products are computed in one of two ways.
 *
 * a) A packed layer has [W U] as the columns of one packed matrix. Its units stand in blocks of
 *    16 (S in all), the gates of a block side by side, for fewer units in the last one (G columns;
 *    kernels/blocks.h): a step multiplies x_t and h_{t-1} by the columns of some blocks and updates
 *    their cells while the sums are in cache.
 * b) Otherwise (S = H, one block) BLAS multiplies. It is the reference.
 *
 * The members of a team share the blocks of a packed layer and wait for each other at each step.
 * A sum is always one member's, so that the bits do not depend on their number. */

/* History of layer normalization: c normalized, and of it and of the products what each row was
 * multiplied by, 1 / standard deviation. */
typedef struct {
    real *x_rstd, *h_rstd, *rh_rstd, *c_rstd; /* (N,) */
    real *c;                                  /* (N, S) */
} layer_norm;

typedef struct {
    const layer_plan *plan;
    const kernels *kernels;
    const int8_kernels *int8; /* where its weights are in int8, else NULL */
    gemm_function *gemm;
    const real *weights; /* in the kernels' layout, */
    real *gradients;     /* both of the whole network: the plan has the places */
    /* Of a lane's first shard the gradients of packed columns are written, not added. */
    int first_of_lane;
    /* State after each row's last step, from which the next chunk starts. */
    real *c_last;        /* (B, S) */
    real *h_last;        /* (B, R) */
    real *mask;          /* (B, R) recurrent dropout, or NULL */
    /* History of a chunk; without it c holds two steps, all else but h and the products with W one,
     * and gates one unless `gates_kept`. */
    int history;
    int inputs_first;    /* X W' of all steps of a chunk comes before h U' of the first one */
    int gates_kept;      /* there are those of all steps */
    real *gates;         /* (N, G) activated gates, in backward dL/dz */
    /* Products with W, and with U of h or r h: the gates, or with layer normalization on their own,
     * normalized; in backward dL/d the products. */
    real *of_x, *of_h;   /* (N, G) */
    real *c;             /* (B + N, S) */
    real *h;             /* (B + N, R) */
    real *phi_c;         /* (N, S) where there is a cell state besides h */
    real *rh;            /* (N, S) where a gate sees it, r h_{t-1} */
    real *m;             /* (N, H) outputs of the cells, where h is a projection of them */
    layer_norm norm;
} layer;

/* Memory that the layers use one after the other. */
typedef struct {
    real *masked_h; /* (B, R) of this member */
    int8_scratch int8; /* of this member */
    real *inputs;   /* (STEPS_AT_ONCE, I + R) of [X h_prev], or (STEPS_AT_ONCE, H) of m, packed; for
                     * BLAS (N, R) h_prev */
    real *panel;    /* (PANEL_SCRATCH,) of this member */
    real *dh, *dc;  /* (B, S) */
    real *dm;       /* (B, S) dL/dm of a step, and */
    real *dh_kept;  /* (N, h_stride) dL/dh of all steps, where h is a projection of m */
    real *dn;       /* (B, G) dL/dz of a gate that sees r h, in its place, */
    real *drh;      /* (B, S) and dL/d(r h) */
    real *dphi;     /* (B, S) with layer normalization dL/d what phi of the cell state takes, */
    real *dc_of_h;  /* (B, S) and dL/dc by way of it */
} layer_scratch;

/* In shards of few rows of a packed network. */
static int inputs_come_first(const task *t)
{
    return t->max_rows <= INPUTS_FIRST_ROWS && t->max_steps > 1;
}

static void layer_take_memory(layer *l, const task *t, arena *memory)
{
    const ptrdiff_t R = l->plan->n_outputs, S = l->plan->columns.n_padded;
    const ptrdiff_t B = t->max_rows, N = t->max_packed, kept = t->history ? N : B;
    const size_t item = sizeof(real);
    const ptrdiff_t G = l->plan->columns.n_columns;
    const int normalized = l->plan->normalized, has_c = l->plan->has_cell_state;
    l->inputs_first = l->plan->columns.packed && (normalized || inputs_come_first(t));
    l->gates_kept = t->history || (l->inputs_first && !normalized);
    l->gates = arena_take(memory, (l->gates_kept ? N : B) * G, item, 1);
    l->of_x = l->of_h = l->gates;
    if (normalized) {
        l->of_x = arena_take(memory, N * G, item, 1);
        l->of_h = arena_take(memory, kept * G, item, l->plan->recurrent);
    }
    l->norm.x_rstd = arena_take(memory, N, item, normalized);
    l->norm.h_rstd = arena_take(memory, kept, item, normalized && l->plan->recurrent);
    l->norm.rh_rstd = arena_take(memory, kept, item, normalized && l->plan->resets);
    l->norm.c_rstd = arena_take(memory, kept, item, normalized && has_c);
    l->norm.c = arena_take(memory, kept * S, item, normalized && has_c);
    l->c = arena_take(memory, (B + kept) * S, item, 1);
    l->h = arena_take(memory, (B + N) * R, item, 1);
    l->phi_c = arena_take(memory, kept * S, item, has_c);
    l->rh = arena_take(memory, kept * S, item, l->plan->resets);
    l->m = arena_take(memory, kept * l->plan->columns.n_units, item, l->plan->projects);
    l->c_last = arena_take(memory, B * S, item, 1);
    l->h_last = arena_take(memory, B * R, item, 1);
    l->mask = arena_take(memory, B * R, item, t->recurrent_dropout > 0);
}

/* Where a step of a history starts that the cell may not have. */
static real *step_of(real *history, ptrdiff_t at) { return history ? history + at : NULL; }

/* One row's initial state; zeros where `state` is NULL. */
static void layer_load_state(layer *l, ptrdiff_t r, const real *state)
{
    const ptrdiff_t H = l->plan->columns.n_units, S = l->plan->columns.n_padded;
    const ptrdiff_t R = l->plan->n_outputs;
    real *h = l->h_last + r * R, *c = l->c_last + r * S;
    memset(c, 0, (size_t)S * sizeof(real));
    if (!state) {
        memset(h, 0, (size_t)R * sizeof(real));
        return;
    }
    memcpy(h, state, (size_t)R * sizeof(real));
    memcpy(c, l->plan->has_cell_state ? state + R : state, (size_t)H * sizeof(real));
}

static void layer_store_state(const layer *l, ptrdiff_t r, real *state)
{
    const ptrdiff_t H = l->plan->columns.n_units, S = l->plan->columns.n_padded;
    const ptrdiff_t R = l->plan->n_outputs;
    memcpy(state, l->h_last + r * R, (size_t)R * sizeof(real));
    if (l->plan->has_cell_state)
        memcpy(state + R, l->c_last + r * S, (size_t)H * sizeof(real));
}

/* Put the state where a chunk reads its initial one. */
static void layer_start_chunk(layer *l, ptrdiff_t n_running)
{
    const ptrdiff_t S = l->plan->columns.n_padded, R = l->plan->n_outputs;
    memcpy(l->c, l->c_last, (size_t)(n_running * S) * sizeof(real));
    memcpy(l->h, l->h_last, (size_t)(n_running * R) * sizeof(real));
}

/* Outputs of all steps, (N, R). */
static const real *layer_outputs(const layer *l, const steps *s)
{
    return l->h + s->B * l->plan->n_outputs;
}

/* Numbers `first` to `last` of h or dL/dh of n rows times the mask of recurrent dropout. */
static void multiply_by_mask(
    const layer *l, ptrdiff_t n, ptrdiff_t first, ptrdiff_t last, const real *a, real *out,
    ptrdiff_t stride)
{
    const ptrdiff_t R = l->plan->n_outputs;
    for (ptrdiff_t r = 0; r < n; r++)
        for (ptrdiff_t j = first; j < last; j++)
            out[r * stride + j] = a[r * stride + j] * l->mask[r * R + j];
}

/* The states that step t sees, which are those of the rows from `before` on; with recurrent dropout
 * they are written to `masked_h`. */
static const real *states_before(
    const layer *l, ptrdiff_t n, ptrdiff_t before, real *masked_h)
{
    const ptrdiff_t R = l->plan->n_outputs;
    const real *h = l->h + before * R;
    if (!l->mask)
        return h;
    multiply_by_mask(l, n, 0, R, h, masked_h, R);
    return masked_h;
}

/* Where a step reads and writes; what the cell does not have is NULL. */
typedef struct {
    ptrdiff_t n; /* rows */
    const real *x, *h_prev, *c_prev;
    real *z, *c, *phi_c, *rh, *h;
    real *m; /* where the cells write: h, or what is projected to it */
    real *of_x, *of_h;
    layer_norm norm;
} layer_step;

/* Step t of a chunk, whose rows start at `now` of the states, and those it sees at `before`. */
static layer_step find_step(
    const layer *l, const steps *s, ptrdiff_t t, ptrdiff_t before, ptrdiff_t now, const real *x)
{
    const ptrdiff_t S = l->plan->columns.n_padded, G = l->plan->columns.n_columns;
    const ptrdiff_t B = s->B, R = l->plan->n_outputs, done = now - B;
    const ptrdiff_t kept = l->history ? done : 0;
    const int inputs_kept = l->gates_kept || l->plan->normalized;
    real *h = l->h + now * R;
    return (layer_step){
        .n = s->counts[t],
        .x = x + done * l->plan->n_inputs,
        .h_prev = l->h + before * R,
        .c_prev = l->c + (l->history ? before : t % 2 * B) * S,
        .z = l->gates + (l->gates_kept ? done : 0) * G,
        .c = l->c + (l->history ? now : (t + 1) % 2 * B) * S,
        .phi_c = step_of(l->phi_c, kept * S),
        .rh = step_of(l->rh, kept * S),
        .h = h,
        .m = l->m ? l->m + kept * l->plan->columns.n_units : h,
        .of_x = l->of_x + (inputs_kept ? done : 0) * G,
        .of_h = step_of(l->of_h, kept * G),
        .norm = {
            .x_rstd = step_of(l->norm.x_rstd, done),
            .h_rstd = step_of(l->norm.h_rstd, kept),
            .rh_rstd = step_of(l->norm.rh_rstd, kept),
            .c_rstd = step_of(l->norm.c_rstd, kept),
            .c = step_of(l->norm.c, kept * S),
        },
    };
}
