/* Live sequences: a network that advances one step at a time, on one thread. */

typedef struct {
    network network;
} stream;

/* The weights are packed here, once. */
static void stream_open(void *memory, const network_plan *plan, const task *t)
{
    stream *s = memory;
    const team_member member = {0, 1, t->portion, NULL};
    for (ptrdiff_t piece = 0; piece < count_pack(plan, t); piece++)
        pack(plan, t, piece, 0);
    network_bind(&s->network, plan, t, &member, 0, 0, 0);
    network_take_shard(&s->network, 0);
    count_steps(t, s->network.shard.rows, s->network.shard.n_rows, 0, s->network.shard.steps);
}

/* Scores (B, K) of the task after one more step of each sequence. */
static void stream_step(void *memory)
{
    network *n = &((stream *)memory)->network;
    const head_plan *p = &n->shard.plan->head;
    network_forward(n);
    head_forward(&n->shard, &n->head, n->shard.n_rows,
                 head_features(&n->shard, &n->stack, &n->pooling, &n->head));
    scatter_rows(n->shard.rows, n->shard.n_rows, 1, p->n_scores, n->head.scores,
                 p->columns.n_padded, n->shard.task->scores);
}

static void stream_load(void *memory)
{
    network *n = &((stream *)memory)->network;
    network_load_states(n);
}

static void stream_store(void *memory)
{
    network *n = &((stream *)memory)->network;
    network_store_states(n);
}
