/* The phases of a call: pack the weights, go through all shards, sum the gradients, unpack them;
 * with weight dropout, drop weights first and their gradients last.
 * Lanes take their shards one after the other, and what they have gathered is added in their
 * order; shards and lanes depend on data and network alone, so that the bits do not depend on the
 * number of threads. */

static pack_purpose purpose_of(const network_plan *plan, const task *t)
{
    if (!t->training)
        return FOR_FORWARD;
    return task_wants_input_gradients(plan, t) ? FOR_INPUT_GRADIENTS : FOR_BACKWARD;
}

/* Whether the head goes with the shards. */
static int head_is_narrow(const task *t) { return t->wide == NULL; }

/* -- Pack -- */

static ptrdiff_t count_pack(const network_plan *plan, const task *t)
{
    if (t->has_packed)
        return 0;
    return count_pieces(plan, purpose_of(plan, t), t->portion, head_is_narrow(t));
}

static void pack(const network_plan *plan, const task *t, ptrdiff_t piece, int thread)
{
    (void)thread;
    pack_piece(plan, purpose_of(plan, t), t->portion, piece, layer_parameters(t), t->parameters,
               t->packed_weights);
}

static ptrdiff_t count_gather(const network_plan *plan, const task *t)
{
    (void)plan;
    return t->wide && t->wide->classes ? ceil_div(t->wide->n_classes, CLASSES_AT_ONCE) : 0;
}

static void gather_classes(const network_plan *plan, const task *t, ptrdiff_t piece, int thread)
{
    (void)thread;
    wide_gather_classes(plan, t, piece);
}

/* -- Lanes -- */

/* Gradients that shards add to: all but those of packed columns, which the first one writes where
 * every gate sees all operands, and those of projections. */
static void zero_gradients(const network_plan *plan, const task *t, real *gradients)
{
    ptrdiff_t at = 0;
    for (ptrdiff_t k = 0; plan->packed && k < plan_n_layers(plan); k++) {
        const layer_plan *l = &plan->layers[k];
        const ptrdiff_t start = l->alike ? l->columns.bias_at : l->columns.columns_at;
        at = l->end_at;
        memset(gradients + start, 0, (size_t)(at - start) * sizeof(real));
    }
    memset(gradients + at, 0, (size_t)(task_n_gradients(plan, t) - at) * sizeof(real));
}

static void run_lane(
    const network_plan *plan, const task *t, const team_member *member, ptrdiff_t worker,
    ptrdiff_t lane, int stages)
{
    network n;
    double loss = 0;
    if (t->training && stages & BACKWARD && member->number == 0) {
        const lane_gradients g = gradients_of_lane(plan, t, lane);
        zero_gradients(plan, t, g.of_weights);
        memset(g.of_embedding, 0, (size_t)task_n_other_gradients(plan, t) * sizeof(real));
    }
    for (ptrdiff_t shard = lane; shard < t->n_shards; shard += t->n_lanes) {
        /* With a wide head each shard's history waits for it. */
        network_bind(&n, plan, t, member, t->wide ? shard : worker, lane, shard == lane);
        if (t->training)
            loss += train_shard(&n, shard, stages);
        else
            predict_shard(&n, shard);
    }
    if (member->number == 0)
        t->losses[lane] = loss;
}

static void run_alone(
    const network_plan *plan, const task *t, ptrdiff_t lane, int thread, int stages)
{
    const team_member member = {0, 1, t->portion, NULL};
    run_lane(plan, t, &member, thread, lane, stages);
}

/* The lanes of a thread's team. OpenMP may have given fewer threads than were asked for: then teams
 * are smaller, or threads without a team have nothing to do. */
static void run_in_team(
    const network_plan *plan, const task *t, int thread, int n_threads, int stages)
{
    const ptrdiff_t members = max_of(1, min_of(t->n_members, n_threads / t->n_lanes));
    const ptrdiff_t n_teams = min_of(t->n_lanes, n_threads / members);
    const ptrdiff_t team = thread / members;
    if (team >= n_teams)
        return;
    const team_member member = {
        (int)(thread % members), (int)members, t->portion, &t->barriers[team]};
    for (ptrdiff_t lane = team; lane < t->n_lanes; lane += n_teams)
        run_lane(plan, t, &member, team, lane, stages);
}

static ptrdiff_t lanes_of_task(const network_plan *plan, const task *t)
{
    (void)plan;
    return t->n_lanes;
}

static ptrdiff_t lanes_before_head(const network_plan *plan, const task *t)
{
    return head_is_narrow(t) ? 0 : lanes_of_task(plan, t);
}

static void forward_lane(const network_plan *plan, const task *t, ptrdiff_t lane, int thread)
{
    run_alone(plan, t, lane, thread, FORWARD);
}

static void forward_team(const network_plan *plan, const task *t, int thread, int n_threads)
{
    run_in_team(plan, t, thread, n_threads, FORWARD);
}

static int last_stages(const task *t) { return head_is_narrow(t) ? FORWARD | BACKWARD : BACKWARD; }

static void whole_lane(const network_plan *plan, const task *t, ptrdiff_t lane, int thread)
{
    run_alone(plan, t, lane, thread, last_stages(t));
}

static void whole_team(const network_plan *plan, const task *t, int thread, int n_threads)
{
    run_in_team(plan, t, thread, n_threads, last_stages(t));
}

/* -- Wide head -- */

static ptrdiff_t count_scores(const network_plan *plan, const task *t)
{
    (void)plan;
    return t->wide ? ceil_div(t->wide->n_classes, CLASSES_AT_ONCE) : 0;
}

static ptrdiff_t count_losses(const network_plan *plan, const task *t)
{
    (void)plan;
    return t->wide ? ceil_div(t->wide->n_steps, SOFTMAX_STEPS_AT_ONCE) : 0;
}

static void score_steps(const network_plan *plan, const task *t, ptrdiff_t piece, int thread)
{
    (void)thread;
    wide_losses(plan, t, piece);
}

static ptrdiff_t count_head_gradients(const network_plan *plan, const task *t)
{
    (void)plan;
    return t->wide ? wide_count_gradients(t) : 0;
}

static ptrdiff_t count_embedding(const network_plan *plan, const task *t)
{
    return t->wide && plan->vocabulary ? ceil_div(plan->n_inputs, EMBEDDING_COLUMNS_AT_ONCE)
                                       : 0;
}

/* Some columns of the embedding's gradients, from dL/d inputs that all shards have left. Where its
 * weights are also the head's, the gradients of those stand there already. */
static void add_embedding_gradients(const network_plan *plan, const task *t, ptrdiff_t piece, int thread)
{
    const kernels *kernels = plan->kernels;
    const ptrdiff_t I = plan->n_inputs, first = piece * EMBEDDING_COLUMNS_AT_ONCE;
    const ptrdiff_t width = min_of(I - first, EMBEDDING_COLUMNS_AT_ONCE);
    real *gradients = t->gradients;
    const team_member member = {0, 1, t->portion, NULL};
    network n;
    (void)thread;
    gradients += t->wide->embedding_at + first;
    for (ptrdiff_t slot = plan->tied ? t->wide->n_classes : 0; slot < t->n_touched; slot++)
        memset(gradients + slot * I, 0, (size_t)width * sizeof(real));
    for (ptrdiff_t shard = 0; shard < t->n_shards; shard++) {
        network_bind(&n, plan, t, &member, shard, 0, 0);
        network_take_shard(&n, shard);
        const real *dx = n.stack.dy + first;
        for (ptrdiff_t step = 0; step < n.shard.steps->T; step++)
            for (ptrdiff_t r = 0; r < n.shard.steps->counts[step]; r++) {
                const int64_t at = source_row(t, &n.shard.rows[r]) + step;
                kernels->add(width, dx, gradients + I * t->slots[t->tokens[at]]);
                dx += I;
            }
    }
}

/* -- Sum and unpack -- */

static ptrdiff_t count_sums(const network_plan *plan, const task *t)
{
    if (!t->training || t->n_lanes == 1)
        return 0;
    return ceil_div(task_n_gradients(plan, t), REDUCTION_BLOCK) +
           ceil_div(task_n_other_gradients(plan, t), REDUCTION_BLOCK);
}

/* Add one block of the other lanes' gradients to those of the first, in their order. */
static void add_lanes(const network_plan *plan, const task *t, ptrdiff_t block, int thread)
{
    const kernels *kernels = plan->kernels;
    const ptrdiff_t n_blocks = ceil_div(task_n_gradients(plan, t), REDUCTION_BLOCK);
    const int of_weights = block < n_blocks;
    const ptrdiff_t n =
        of_weights ? task_n_gradients(plan, t) : task_n_other_gradients(plan, t);
    const ptrdiff_t start = (of_weights ? block : block - n_blocks) * REDUCTION_BLOCK;
    const lane_gradients sum = gradients_of_lane(plan, t, 0);
    real *out = (of_weights ? sum.of_weights : sum.of_embedding) + start;
    (void)thread;
    for (ptrdiff_t lane = 1; lane < t->n_lanes; lane++) {
        const lane_gradients g = gradients_of_lane(plan, t, lane);
        kernels->add(min_of(REDUCTION_BLOCK, n - start),
                     (of_weights ? g.of_weights : g.of_embedding) + start, out);
    }
}

static ptrdiff_t count_unpack(const network_plan *plan, const task *t)
{
    return t->training ? count_pieces(plan, FOR_FORWARD, t->portion, head_is_narrow(t)) : 0;
}

static void unpack(const network_plan *plan, const task *t, ptrdiff_t piece, int thread)
{
    (void)thread;
    unpack_piece(plan, piece, t->gradients, gradients_of_lane(plan, t, 0).of_weights);
}

static const phase phases[] = {
    {count_copies, copy_parameters, 1, NULL},
    {count_dropped, drop_weights, 1, NULL},
    {count_pack, pack, 1, NULL},
    {count_gather, gather_classes, 1, NULL},
    {lanes_before_head, forward_lane, 0, forward_team},
    {count_scores, wide_scores, 0, NULL},
    {count_losses, score_steps, 0, NULL},
    {count_head_gradients, wide_gradients, 0, NULL},
    {lanes_of_task, whole_lane, 0, whole_team},
    {count_embedding, add_embedding_gradients, 1, NULL},
    {count_sums, add_lanes, 1, NULL},
    {count_unpack, unpack, 1, NULL},
    {count_dropped_gradients, drop_gradients, 1, NULL},
};

/* -- Memory -- */

static ptrdiff_t worker_bytes(const network_plan *plan, const task *t)
{
    network n;
    return network_build(&n, plan, t, 0, NULL);
}

static ptrdiff_t lane_bytes(const network_plan *plan, const task *t)
{
    lane_gradients g;
    return lane_build(&g, plan, t, NULL);
}
