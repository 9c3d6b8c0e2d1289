/* Stacked layers: directions and dropout composed around them.
 *
 * A level of the stack is a layer, or two that run in opposite directions over the same inputs and
 * whose outputs are joined. The second direction reads each row from its last step: its packed
 * rows are those of the mirrored steps. Between levels there is dropout.
 *
 * With residual connections (Prakash et al. 2016) the inputs of a level, as they are after dropout,
 * are added to its outputs where they are as many. */

typedef struct {
    layer directions[2];
    real *inputs; /* (N, I), NULL if they are the outputs of the level below */
} level;

typedef struct {
    level levels[MAX_LAYERS];
    ptrdiff_t n_levels, n_directions;
    int joined;          /* outputs of a level are copied: to join directions, to drop some, or to
                          * add its inputs */
    ptrdiff_t *mirror;   /* (N,) packed row of the mirrored step */
    real *mirrored;      /* (N, I) inputs of a level, mirrored */
    real *dy;            /* (N, I) dL/d outputs of a level, then of the one below */
    real *dx;            /* (N, I) the first direction's dL/d inputs, where dy is still needed */
    real *last_inputs;   /* (B, D) what is added to the last states of the last level */
    real *part;          /* (N, I) one direction's share of either */
    layer_scratch scratch;
} stack;

/* The view of one member of a team. */
static void stack_take_memory(
    stack *st, const network_plan *plan, const task *t, int member, arena *memory)
{
    const ptrdiff_t B = t->max_rows, N = t->max_packed;
    const ptrdiff_t W = max_of(plan->widest_inputs, plan->head.n_features);
    const size_t item = sizeof(real);
    const int two = plan->n_directions == 2;
    /* dL/d outputs or inputs of some level */
    const int inner = t->training && (plan->n_layers > 1 || task_wants_input_gradients(plan, t));
    const int outer = t->training && plan_has_outputs(plan);
    const int masked = t->recurrent_dropout > 0;
    /* All layers have the same cell. */
    const int resets = plan->layers[0].resets;
    const int projects = plan->widest_projection > 0;
    const int normalized = plan->layers[0].normalized && plan->layers[0].has_cell_state;
    st->n_levels = plan->n_layers;
    st->n_directions = plan->n_directions;
    st->joined = two || t->dropout > 0 || plan->residual;
    st->mirror = arena_take(memory, N, sizeof(ptrdiff_t), two);
    st->mirrored = arena_take(memory, N * plan->widest_inputs, item, two);
    for (ptrdiff_t k = 0; k < st->n_levels; k++) {
        level *l = &st->levels[k];
        l->inputs = arena_take(memory, N * plan->layers[k * st->n_directions].n_inputs, item,
                               k == 0 || st->joined);
        for (ptrdiff_t d = 0; d < st->n_directions; d++)
            layer_take_memory(&l->directions[d], t, memory);
    }
    st->dy = arena_take(memory, N * W, item, inner || outer);
    st->dx = arena_take(memory, N * W, item, (two || plan->residual) && inner);
    st->last_inputs = arena_take(memory, B * plan->head.n_features, item,
                                 plan->residual && !plan_has_outputs(plan));
    st->part = arena_take(memory, N * W, item, two && (inner || outer));
    /* Some is each member's own. */
    for (ptrdiff_t k = 0; k < t->n_members; k++) {
        real *masked_h = arena_take(memory, B * plan->widest_units, item, masked);
        real *panel = arena_take(memory, PANEL_SCRATCH, item, t->training && plan->packed);
        int8_scratch int8;
        int8_take_memory(&int8, plan, inputs_come_first(t) ? N : B, B, memory);
        if (k == member) {
            st->scratch.int8 = int8;
            st->scratch.masked_h = masked_h;
            st->scratch.panel = panel;
        }
    }
    if (plan->packed) /* for rows of layers or of the head */
        st->scratch.inputs = arena_take(
            memory, min_of(max_of(N, B * plan_n_head_rows(plan)), STEPS_AT_ONCE) * plan->deepest,
            item, t->training);
    else
        st->scratch.inputs = arena_take(memory, N * plan->widest_units, item,
                                        t->training && (t->ragged || masked));
    st->scratch.dh = arena_take(memory, B * plan->widest_units, item, t->training);
    st->scratch.dc = arena_take(memory, B * plan->widest_units, item, t->training);
    st->scratch.dn = arena_take(memory, B * plan->widest_units * plan->layers[0].columns.n_gates,
                                item, t->training && resets);
    st->scratch.drh = arena_take(memory, B * plan->widest_units, item, t->training && resets);
    st->scratch.dm = arena_take(memory, B * plan->widest_units, item, t->training && projects);
    st->scratch.dh_kept =
        arena_take(memory, N * plan->widest_projection, item, t->training && projects);
    st->scratch.dphi = arena_take(memory, B * plan->widest_units, item, t->training && normalized);
    st->scratch.dc_of_h =
        arena_take(memory, B * plan->widest_units, item, t->training && normalized);
}

/* Of one direction. */
static ptrdiff_t level_width(const level *l) { return l->directions[0].plan->n_outputs; }

/* Whether the inputs of a level are added to its outputs. */
static int is_residual(const shard *s, const stack *st, const level *l)
{
    return s->plan->residual &&
           l->directions[0].plan->n_inputs == level_width(l) * st->n_directions;
}

/* Outputs of a level at every step, (N, R of all directions), in `out`. */
static void join_outputs(const shard *s, const stack *st, const level *l, real *out)
{
    const ptrdiff_t R = level_width(l);
    for (ptrdiff_t d = 0; d < st->n_directions; d++)
        gather_rows(s->steps->N, R, layer_outputs(&l->directions[d], s->steps), R,
                    d == 1 ? st->mirror : NULL, out + d * R, R * st->n_directions);
    if (is_residual(s, st, l))
        s->kernels->add(s->steps->N * R * st->n_directions, l->inputs, out);
}

/* The same as what is above reads them: its place in the dropout is `place`. Only where they have
 * to be joined are they written to `out`. */
static const real *level_outputs(
    const shard *s, const stack *st, const level *l, ptrdiff_t place, real *out)
{
    if (!st->joined)
        return layer_outputs(&l->directions[0], s->steps);
    join_outputs(s, st, l, out);
    if (s->task->dropout > 0)
        drop_steps(s->kernels, s->task, level_width(l) * st->n_directions, out, place, s->rows,
                   s->steps);
    return out;
}

/* The inputs of a level, as the forward pass left them. */
static const real *level_inputs(const shard *s, const stack *st, ptrdiff_t k)
{
    if (k == 0 || st->joined)
        return st->levels[k].inputs;
    return layer_outputs(&st->levels[k - 1].directions[0], s->steps);
}

/* The inputs of one direction of a level. */
static const real *direction_inputs(
    const shard *s, const stack *st, const level *l, ptrdiff_t d, const real *x)
{
    const ptrdiff_t I = l->directions[d].plan->n_inputs;
    if (d == 0)
        return x;
    if (is_leader(s))
        gather_rows(s->steps->N, I, x, I, st->mirror, st->mirrored, I);
    return st->mirrored;
}

/* The packed row of a direction's last step in a chunk, for row r, which runs through `length`
 * of its steps; the second direction ends at the first one, of a whole sequence. */
static ptrdiff_t last_row(const steps *s, ptrdiff_t r, ptrdiff_t length, ptrdiff_t d)
{
    ptrdiff_t n = r;
    for (ptrdiff_t t = 0; d == 0 && t < length - 1; t++)
        n += s->counts[t];
    return n;
}

/* Steps of a chunk that row r runs through. */
static ptrdiff_t steps_of_row(const steps *s, ptrdiff_t r)
{
    ptrdiff_t T = s->T;
    while (T > 0 && s->counts[T - 1] <= r)
        T--;
    return T;
}

/* What a residual connection adds to the last states of the last level, of rows in this chunk. */
static void keep_last_inputs(const shard *s, stack *st)
{
    const level *top = &st->levels[st->n_levels - 1];
    const ptrdiff_t R = level_width(top), D = R * st->n_directions;
    if (!is_residual(s, st, top)) {
        memset(st->last_inputs, 0, (size_t)(s->n_rows * D) * sizeof(real));
        return;
    }
    for (ptrdiff_t r = 0; r < s->steps->counts[0]; r++)
        for (ptrdiff_t d = 0; d < st->n_directions; d++) {
            const ptrdiff_t n = last_row(s->steps, r, steps_of_row(s->steps, r), d);
            memcpy(st->last_inputs + r * D + d * R, top->inputs + n * D + d * R,
                   (size_t)R * sizeof(real));
        }
}

/* All levels over the steps of a chunk, whose inputs stand in the first level's; from each
 * layer's state and back to it. */
static void stack_forward(const shard *s, stack *st)
{
    if (is_leader(s) && st->n_directions == 2)
        find_mirror(s->rows, s->steps, st->mirror);
    for (ptrdiff_t k = 0; k < st->n_levels; k++) {
        level *l = &st->levels[k];
        if (k > 0 && is_leader(s))
            level_outputs(s, st, &st->levels[k - 1], k, l->inputs);
        for (ptrdiff_t d = 0; d < st->n_directions; d++) {
            const real *x = direction_inputs(s, st, l, d, level_inputs(s, st, k));
            if (is_leader(s))
                layer_start_chunk(&l->directions[d], s->steps->counts[0]);
            barrier_wait(&s->member);
            layer_forward(&l->directions[d], s->steps, &s->member, x, &st->scratch);
        }
    }
    if (is_leader(s) && st->last_inputs)
        keep_last_inputs(s, st);
}

/* dL/dh of one direction's outputs at every step, out of those of the level in dy. */
static const real *direction_gradients(
    const shard *s, const stack *st, const level *l, ptrdiff_t d)
{
    const ptrdiff_t R = level_width(l);
    if (st->n_directions == 1)
        return st->dy;
    if (is_leader(s))
        gather_rows(s->steps->N, R, st->dy + d * R, 2 * R, d == 1 ? st->mirror : NULL, st->part,
                    R);
    return st->part;
}

/* dL/d states after each row's last step, of one direction: zero, except that a head on the last
 * states supplies dL/dh. */
static void start_backward(
    const shard *s, const stack *st, const level *l, ptrdiff_t d, const real *dfeatures)
{
    const layer_plan *p = l->directions[d].plan;
    const ptrdiff_t R = p->n_outputs, W = p->h_stride, B = s->steps->B;
    memset(st->scratch.dc, 0, (size_t)(B * p->columns.n_padded) * sizeof(real));
    memset(st->scratch.dh, 0, (size_t)(B * W) * sizeof(real));
    if (dfeatures)
        gather_rows(B, R, dfeatures + d * R, R * st->n_directions, NULL, st->scratch.dh, W);
}

/* dL/d outputs of a level are also dL/d inputs where those were added: from dy, or from
 * `dfeatures` where only the last states have them, into dx. */
static void add_residual_gradients(
    const shard *s, const stack *st, const level *l, const real *dfeatures)
{
    const ptrdiff_t R = level_width(l), D = R * st->n_directions;
    if (!is_residual(s, st, l))
        return;
    if (!dfeatures) {
        s->kernels->add(s->steps->N * D, st->dy, st->dx);
        return;
    }
    for (ptrdiff_t r = 0; r < s->n_rows; r++)
        for (ptrdiff_t d = 0; d < st->n_directions; d++) {
            const ptrdiff_t n = last_row(s->steps, r, s->rows[r].length, d);
            s->kernels->add(R, dfeatures + r * D + d * R, st->dx + n * D + d * R);
        }
}

/* dL/d inputs of a level into dy: of one direction they are there or in dx, of two they are added
 * up. */
static void join_input_gradients(const shard *s, const stack *st, const level *l, ptrdiff_t k)
{
    const ptrdiff_t I = l->directions[0].plan->n_inputs, N = s->steps->N;
    if (st->n_directions == 2)
        for (ptrdiff_t n = 0; n < N; n++)
            for (ptrdiff_t j = 0; j < I; j++)
                st->dy[n * I + j] = st->dx[n * I + j] + st->part[st->mirror[n] * I + j];
    else if (st->dx)
        memcpy(st->dy, st->dx, (size_t)(N * I) * sizeof(real));
    if (s->task->dropout > 0 && (k > 0 || s->plan->vocabulary > 0))
        drop_steps(s->kernels, s->task, I, st->dy, k, s->rows, s->steps);
}

/* From dL/d outputs of the last level, in dy at every step or in `dfeatures` (B, D) of its last
 * states, down to all gradients; dL/d inputs of the first level are left in dy where wanted. */
static void stack_backward(const shard *s, stack *st, const real *dfeatures)
{
    for (ptrdiff_t k = st->n_levels - 1; k >= 0; k--) {
        level *l = &st->levels[k];
        const int of_last_states = k == st->n_levels - 1 && !plan_has_outputs(s->plan);
        const int inputs_wanted = k > 0 || task_wants_input_gradients(s->plan, s->task);
        for (ptrdiff_t d = 0; d < st->n_directions; d++) {
            if (is_leader(s))
                start_backward(s, st, l, d, of_last_states ? dfeatures : NULL);
            const real *dy = of_last_states ? NULL : direction_gradients(s, st, l, d);
            const real *x = direction_inputs(s, st, l, d, level_inputs(s, st, k));
            /* The second direction still needs dy. */
            real *dx = d == 1 ? st->part : st->dx ? st->dx : st->dy;
            barrier_wait(&s->member);
            layer_backward(&l->directions[d], s->steps, &s->member, x, dy, &st->scratch,
                           inputs_wanted ? dx : NULL);
        }
        if (inputs_wanted && is_leader(s)) {
            add_residual_gradients(s, st, l, of_last_states ? dfeatures : NULL);
            join_input_gradients(s, st, l, k);
        }
    }
}

/* Where a layer's state starts within a row's: h and c of each layer and direction in turn. */
static void stack_load_states(const shard *s, stack *st)
{
    const real *states = s->task->state_in;
    ptrdiff_t at = 0;
    for (ptrdiff_t k = 0; k < st->n_levels; k++)
        for (ptrdiff_t d = 0; d < st->n_directions; d++) {
            layer *l = &st->levels[k].directions[d];
            for (ptrdiff_t r = 0; r < s->n_rows; r++)
                layer_load_state(
                    l, r, states ? states + s->rows[r].position * s->plan->n_state + at : NULL);
            if (l->mask)
                draw_recurrent_mask(s->kernels, s->task, k * st->n_directions + d,
                                    l->plan->n_outputs, s->rows, s->n_rows, l->mask);
            at += layer_n_state(l->plan);
        }
}

static void stack_store_states(const shard *s, const stack *st)
{
    real *states = s->task->state_out;
    ptrdiff_t at = 0;
    for (ptrdiff_t k = 0; states && k < st->n_levels; k++)
        for (ptrdiff_t d = 0; d < st->n_directions; d++) {
            const layer *l = &st->levels[k].directions[d];
            for (ptrdiff_t r = 0; r < s->n_rows; r++)
                layer_store_state(
                    l, r, states + s->rows[r].position * s->plan->n_state + at);
            at += layer_n_state(l->plan);
        }
}
