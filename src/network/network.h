/* A network at work: inputs, stack and head with the memory of one worker, the shard that goes
 * through them, and the outputs that a caller requests. */

typedef struct {
    shard shard;
    stack stack;
    pooling pooling;
    head head;
    real *embedding_gradients; /* (n_touched, I) of the lane */
} network;

/* Stages of training a shard: both at once, unless a wide head stands between them. */
enum { FORWARD = 1, BACKWARD = 2 };

static layer *network_layer(network *n, ptrdiff_t k)
{
    const ptrdiff_t n_directions = n->shard.plan->n_directions;
    return &n->stack.levels[k / n_directions].directions[k % n_directions];
}

/* Build the network of a plan, with a worker's buffers one after the other in `memory`; return the
 * bytes they take. Without memory it only counts. */
static ptrdiff_t network_build(
    network *n, const network_plan *plan, const task *t, int member, char *memory)
{
    arena a = {memory, 0};
    n->shard.plan = plan;
    for (ptrdiff_t k = 0; k < plan_n_layers(plan); k++)
        network_layer(n, k)->plan = &plan->layers[k];
    n->head.plan = &plan->head;
    n->shard.steps =
        arena_take(&a, 1, sizeof(steps) + (size_t)t->max_steps * sizeof(int), 1);
    stack_take_memory(&n->stack, plan, t, member, &a);
    pooling_take_memory(&n->pooling, plan, t, member, &a);
    head_take_memory(&n->head, plan, t, &a);
    return a.used;
}

/* A lane's gradients: of the weights in the kernels' layout, and of the embedding. */
typedef struct {
    real *of_weights, *of_embedding;
} lane_gradients;

/* Place them in a lane's memory; return the bytes they take. Without packing they are one block, as
 * in the flat vector, where the gradients of a tied head are among those of the embedding. */
static ptrdiff_t lane_build(
    lane_gradients *g, const network_plan *plan, const task *t, char *memory)
{
    arena a = {memory, 0};
    const ptrdiff_t n = task_n_gradients(plan, t), n_other = task_n_other_gradients(plan, t);
    if (!t->training)
        return 0;
    g->of_weights = arena_take(&a, n + (plan->packed ? 0 : n_other), sizeof(real), 1);
    g->of_embedding = arena_take(&a, n_other, sizeof(real), plan->packed);
    if (memory && !plan->packed)
        g->of_embedding = g->of_weights + n;
    return a.used;
}

/* Those of the first lane that are in the caller's layout go straight into the caller's vector. */
static lane_gradients gradients_of_lane(
    const network_plan *plan, const task *t, ptrdiff_t lane)
{
    lane_gradients g = {NULL, NULL};
    real *caller = t->gradients;
    lane_build(&g, plan, t, t->lanes + lane * t->lane_bytes);
    if (lane == 0 && t->training) {
        g.of_embedding = caller + plan->n_dense;
        if (!plan->packed)
            g.of_weights = caller;
    }
    return g;
}

/* The network of one worker, whose gradients go to a lane, for the lane's first shard or another
 * one. */
static void network_bind(
    network *n, const network_plan *plan, const task *t, const team_member *member,
    ptrdiff_t worker, ptrdiff_t lane, int first_of_lane)
{
    const lane_gradients gradients = gradients_of_lane(plan, t, lane);
    network_build(n, plan, t, member->number, t->workers + worker * t->worker_bytes);
    n->shard.task = t;
    n->shard.kernels = plan->kernels;
    n->shard.member = *member;
    n->embedding_gradients = gradients.of_embedding;
    for (ptrdiff_t k = 0; k < plan_n_layers(plan); k++) {
        layer *l = network_layer(n, k);
        l->kernels = plan->kernels;
        l->int8 = plan->int8;
        l->gemm = t->gemm;
        l->weights = plan->packed ? t->packed_weights : layer_parameters(t);
        l->gradients = gradients.of_weights;
        l->first_of_lane = first_of_lane;
        l->history = t->history;
    }
    n->head.kernels = plan->kernels;
    n->head.gemm = t->gemm;
    n->head.weights = t->packed_weights;
    n->head.gradients = gradients.of_weights;
}

static void network_take_shard(network *n, ptrdiff_t number)
{
    const task *t = n->shard.task;
    n->shard.rows = t->rows + t->bounds[number];
    n->shard.n_rows = t->bounds[number + 1] - t->bounds[number];
}

/* What pooling reads, (N, D); the first member joins the directions of a new chunk. */
static const real *pooled_outputs(const network *n, int join)
{
    const shard *s = &n->shard;
    const level *top = &n->stack.levels[n->stack.n_levels - 1];
    if (!n->pooling.joined)
        return layer_outputs(&top->directions[0], s->steps);
    if (join && is_leader(s))
        join_outputs(s, &n->stack, top, n->pooling.joined);
    if (join)
        barrier_wait(&s->member);
    return n->pooling.joined;
}

/* States of all rows: those of the layers, then that of pooling. */
static void network_load_states(network *n)
{
    const shard *s = &n->shard;
    const real *states = s->task->state_in;
    const ptrdiff_t n_state = s->plan->n_state, at = n_state - s->plan->n_pool_state;
    stack_load_states(s, &n->stack);
    for (ptrdiff_t r = 0; r < s->n_rows; r++)
        pooling_load_state(&n->pooling, s->plan, r,
                           states ? states + s->rows[r].position * n_state + at : NULL);
}

static void network_store_states(const network *n)
{
    const shard *s = &n->shard;
    real *states = s->task->state_out;
    const ptrdiff_t n_state = s->plan->n_state, at = n_state - s->plan->n_pool_state;
    stack_store_states(s, &n->stack);
    for (ptrdiff_t r = 0; states && r < s->n_rows; r++)
        pooling_store_state(&n->pooling, s->plan, r,
                            states + s->rows[r].position * n_state + at);
}

static void network_forward(network *n)
{
    if (is_leader(&n->shard)) {
        inputs_forward(&n->shard, n->stack.levels[0].inputs);
        drop_tokens(&n->shard, n->stack.levels[0].inputs);
    }
    stack_forward(&n->shard, &n->stack);
    if (n->shard.plan->pooling != POOL_last)
        pooling_forward(&n->shard, &n->pooling, pooled_outputs(n, 1));
}

/* -- Training -- */

/* Loss of a shard, for the first member; gradients of the head are added. */
static double train_head(network *n)
{
    const shard *s = &n->shard;
    const ptrdiff_t M =
        s->plan->per_step ? s->steps->N : s->n_rows * plan_n_head_rows(s->plan);
    const real *features = head_features(s, &n->stack, &n->pooling, &n->head);
    real *dfeatures = s->plan->per_step ? n->stack.dy : n->head.dfeatures;
    head_forward(s, &n->head, M, features);
    double loss = 0;
    if (is_leader(s))
        loss = s->plan->loss == LOSS_crf ? weighted_chain_loss(s, &n->head)
                                     : weighted_loss(s, &n->head);
    head_backward(s, &n->head, &n->stack.scratch, M, features, dfeatures);
    if (is_leader(s))
        drop_dfeatures(s, &n->head, dfeatures);
    if (s->plan->pooling != POOL_last) {
        barrier_wait(&s->member);
        pooling_backward(s, &n->pooling, pooled_outputs(n, 0), dfeatures,
                         n->head.gradients + s->plan->tail_at, n->stack.dy);
    }
    return loss;
}

/* Add a shard's gradients to its lane's; return its weighted loss, to the first member of a team
 * only. With a wide head the loss is computed there. */
static double train_shard(network *n, ptrdiff_t number, int stages)
{
    const shard *s = &n->shard;
    const task *t = s->task;
    const int leads = is_leader(s);
    double loss = 0;
    network_take_shard(n, number);
    if (stages & FORWARD) {
        if (leads) {
            network_load_states(n);
            count_steps(t, s->rows, s->n_rows, 0, s->steps);
        }
        barrier_wait(&s->member);
        network_forward(n);
        if (leads) {
            network_store_states(n);
            if (t->wide)
                wide_write_features(s, number, head_features(s, &n->stack, &n->pooling, &n->head));
        }
    }
    if (stages & BACKWARD) {
        if (!t->wide)
            loss = train_head(n);
        else if (leads) {
            wide_read_dfeatures(s, number, n->stack.dy);
            drop_dfeatures(s, &n->head, n->stack.dy);
        }
        stack_backward(s, &n->stack, n->head.dfeatures);
        if (leads)
            drop_tokens(s, n->stack.dy);
        if (leads && s->plan->vocabulary > 0 && !t->wide)
            embedding_backward(s, n->stack.dy, n->embedding_gradients);
        if (leads && t->input_gradients)
            scatter_steps(t, s->rows, s->steps, s->plan->n_inputs, n->stack.dy,
                          s->plan->n_inputs, t->input_gradients, s->plan->n_inputs, 0);
    }
    barrier_wait(&s->member);
    return loss;
}

/* -- Prediction -- */

/* Gates, c and h of every layer side by side, where the caller wants them. */
static void write_traces(const network *n)
{
    const shard *s = &n->shard;
    for (ptrdiff_t k = 0; s->task->traces && k < plan_n_layers(s->plan); k++) {
        const int direction = (int)(k % s->plan->n_directions);
        const layer *l = &n->stack.levels[k / s->plan->n_directions].directions[direction];
        const packed_columns *c = &l->plan->columns;
        const ptrdiff_t H = c->n_units, R = l->plan->n_outputs;
        const ptrdiff_t stride = (c->n_gates + 1) * H + R;
        real *out = s->task->traces[k];
        for (ptrdiff_t block = 0; block < c->n_blocks; block++) {
            const ptrdiff_t start = block * c->width, units = units_of_block(c, block);
            for (ptrdiff_t gate = 0; gate < c->n_gates; gate++)
                scatter_steps(s->task, s->rows, s->steps, min_of(units, H - start),
                              l->gates + start * c->n_gates + gate * units, c->n_columns,
                              out + gate * H + start, stride, direction);
        }
        out += c->n_gates * H;
        scatter_steps(s->task, s->rows, s->steps, H, l->c + s->steps->B * c->n_padded,
                      c->n_padded, out, stride, direction);
        scatter_steps(s->task, s->rows, s->steps, R, layer_outputs(l, s->steps), R, out + H,
                      stride, direction);
    }
}

/* Losses of a chunk's steps, from their scores, which are overwritten. */
static void write_losses(const network *n)
{
    const shard *s = &n->shard;
    const task *t = s->task;
    const real *targets = t->targets;
    real *scores = n->head.scores;
    for (ptrdiff_t step = 0; step < s->steps->T; step++)
        for (ptrdiff_t r = 0; r < s->steps->counts[step]; r++) {
            const int64_t at = source_row(t, &s->rows[r]) + s->steps->first + step;
            t->step_losses[at] =
                sample_loss(s->kernels, s->plan, s->plan->head.n_scores, t->n_targets,
                            targets + at * t->n_targets, 1, scores);
            scores += s->plan->head.columns.n_padded;
        }
}

/* Writes the requested outputs of a chunk's steps. */
static void write_steps(network *n)
{
    const shard *s = &n->shard;
    const task *t = s->task;
    const head_plan *p = &s->plan->head;
    if (is_leader(s))
        write_traces(n);
    if (!s->plan->per_step || !(t->scores || t->features || t->step_losses))
        return;
    const real *features = head_features(s, &n->stack, &n->pooling, &n->head);
    if (t->features && is_leader(s))
        scatter_steps(t, s->rows, s->steps, p->n_features, features, p->n_features,
                      t->features, p->n_features, 0);
    if (t->scores || t->step_losses)
        head_forward(s, &n->head, s->steps->N, features);
    if (!is_leader(s))
        return;
    if (t->scores)
        scatter_steps(t, s->rows, s->steps, p->n_scores, n->head.scores, p->columns.n_padded,
                      t->scores, p->n_scores, 0);
    if (t->step_losses)
        write_losses(n);
}

/* Writes the requested outputs of the last states. */
static void write_rows(network *n)
{
    const shard *s = &n->shard;
    const task *t = s->task;
    const head_plan *p = &s->plan->head;
    const ptrdiff_t n_each = plan_n_head_rows(s->plan);
    if (is_leader(s))
        network_store_states(n);
    if (s->plan->per_step || !(t->scores || t->features))
        return;
    const real *features = head_features(s, &n->stack, &n->pooling, &n->head);
    if (t->features && is_leader(s))
        scatter_rows(s->rows, s->n_rows, n_each, p->n_features, features, p->n_features,
                     t->features);
    if (t->scores)
        head_forward(s, &n->head, s->n_rows * n_each, features);
    if (t->scores && is_leader(s))
        scatter_rows(s->rows, s->n_rows, n_each, p->n_scores, n->head.scores,
                     p->columns.n_padded, t->scores);
}

static void predict_shard(network *n, ptrdiff_t number)
{
    const shard *s = &n->shard;
    int64_t first = 0;
    network_take_shard(n, number);
    if (is_leader(s))
        network_load_states(n);
    for (;;) {
        if (is_leader(s))
            count_steps(s->task, s->rows, s->n_rows, first, s->steps);
        barrier_wait(&s->member);
        if (s->steps->T == 0)
            break;
        network_forward(n);
        write_steps(n);
        first += s->steps->T;
        barrier_wait(&s->member);
    }
    write_rows(n);
    barrier_wait(&s->member);
}
