/* Cuts a batch into shards of rows, shards into lanes, and forms teams.
 *
 * The cut depends on the lengths and the layers' sizes alone, never on the number of threads:
 * that is what makes every sum, and so every bit of a fit, the same on any number of threads. */
#include "schedule.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "losses.h"

static int longer_first(const void *a, const void *b)
{
    const row *p = a, *q = b;
    if (p->length != q->length)
        return p->length > q->length ? -1 : 1;
    return p->position < q->position ? -1 : 1;
}

/* Rows of a full shard. A step of a shard reads all weights of a layer: where they are more than a
 * core's own cache holds, it takes more rows to keep the core busy meanwhile, and a batch with too
 * few of them is one shard, whose units a team shares. */
static ptrdiff_t rows_of_shard(const network_plan *plan, ptrdiff_t n_rows)
{
    if (plan->packed && plan->most_weights >= MANY_WEIGHTS)
        return VERY_WIDE_SHARD_ROWS;
    if (plan->packed && plan->most_weights >= WIDE_WEIGHTS)
        return WIDE_SHARD_ROWS;
    return n_rows < FEW_ROWS ? SMALL_SHARD_ROWS : SHARD_ROWS;
}

/* An even number where there are several, for two threads or four to share. */
static ptrdiff_t count_shards(const network_plan *plan, ptrdiff_t n_rows)
{
    const ptrdiff_t rows = rows_of_shard(plan, n_rows);
    return n_rows <= rows ? 1 : 2 * max_of(1, (n_rows + rows) / (2 * rows));
}

/* Consecutive rows, longest first, in shards of about equal work: sums of lengths. */
static void cut(row *rows, ptrdiff_t n_rows, ptrdiff_t n_shards, ptrdiff_t *bounds)
{
    int sorted = 1;
    double total = 0, running = 0;
    ptrdiff_t shard = 0;
    for (ptrdiff_t k = 0; k < n_rows; k++) {
        total += (double)rows[k].length;
        if (k > 0 && rows[k].length > rows[k - 1].length)
            sorted = 0;
    }
    if (!sorted)
        qsort(rows, (size_t)n_rows, sizeof(row), longer_first);
    bounds[0] = 0;
    for (ptrdiff_t k = 0; k < n_rows; k++) {
        /* Close a shard at its share of the work, or where only one row is left for each shard
         * still to come. */
        running += (double)rows[k].length;
        if (shard < n_shards - 1 && (running >= total * (double)(shard + 1) / (double)n_shards ||
                                     n_rows - (k + 1) == n_shards - 1 - shard))
            bounds[++shard] = k + 1;
    }
    bounds[n_shards] = n_rows;
}

static ptrdiff_t count_lanes(const network_plan *plan, const task *t, ptrdiff_t n_threads)
{
    const ptrdiff_t n_shards = count_shards(plan, t->n_rows);
    if (!t->training) /* prediction sums nothing over rows: a lane a thread is enough */
        return min_of(n_shards, max_of(1, n_threads));
    const ptrdiff_t n = task_n_gradients(plan, t) + task_n_other_gradients(plan, t);
    return min_of(min_of(n_shards, MAX_LANES), max_of(2, LANE_BUDGET / max_of(1, n)));
}

void schedule_count_steps(const task *t, double *n_steps, int64_t *longest)
{
    *n_steps = 0;
    *longest = 0;
    for (ptrdiff_t k = 0; k < t->n_rows; k++) {
        const int64_t length = t->lengths[t->batch[k]];
        *n_steps += (double)length;
        if (length > *longest)
            *longest = length;
    }
}

/* Place the schedule of n_shards and n_lanes; return the bytes it takes. */
static ptrdiff_t take_schedule(task *t, char *memory)
{
    arena a = {memory, 0};
    t->barriers = arena_take(&a, t->n_lanes, sizeof(team_barrier), 1);
    t->rows = arena_take(&a, t->n_rows, sizeof(row), 1);
    t->bounds = arena_take(&a, t->n_shards + 1, sizeof(ptrdiff_t), 1);
    t->losses = arena_take(&a, t->n_lanes, sizeof(double), 1);
    return a.used;
}

ptrdiff_t schedule_bytes(const network_plan *plan, const task *t, ptrdiff_t n_threads)
{
    task counted = *t;
    counted.n_shards = count_shards(plan, t->n_rows);
    counted.n_lanes = count_lanes(plan, t, n_threads);
    return take_schedule(&counted, NULL);
}

/* A team has the threads that the shards leave over, at most as many as a step of a shard has
 * work for and as every layer has blocks. */
static void form_teams(
    const network_plan *plan, task *t, ptrdiff_t n_threads, ptrdiff_t team_threads,
    double n_steps)
{
    const ptrdiff_t n_layers = plan_n_layers(plan);
    const double rows = n_steps / ((double)t->rows[0].length * (double)t->n_shards);
    ptrdiff_t members = min_of(n_threads, team_threads) / t->n_lanes;
    ptrdiff_t fewest = plan->layers[0].columns.n_blocks;
    for (ptrdiff_t k = 0; k < n_layers; k++)
        fewest = min_of(fewest, plan->layers[k].columns.n_blocks);
    members = min_of(members, fewest);
    members = min_of(members, (ptrdiff_t)(rows * plan->layers_work /
                                          ((double)n_layers * MEMBER_WORK)));
    if (!plan->packed || members < 1)
        members = 1;
    t->n_members = members;
    t->portion = members > 1 ? max_of(1, min_of(PORTION, fewest / members)) : PORTION;
}

static void measure_shards(const network_plan *plan, task *t)
{
    const ptrdiff_t B = t->n_rows;
    t->max_packed = t->max_rows = 0;
    for (ptrdiff_t shard = 0; shard < t->n_shards; shard++) {
        ptrdiff_t packed = 0;
        for (ptrdiff_t k = t->bounds[shard]; k < t->bounds[shard + 1]; k++)
            packed += t->rows[k].length;
        t->max_packed = max_of(t->max_packed, packed);
        t->max_rows = max_of(t->max_rows, t->bounds[shard + 1] - t->bounds[shard]);
    }
    t->max_steps = t->rows[0].length;
    t->ragged = t->rows[0].length != t->rows[B - 1].length;
    /* Prediction goes through a shard in chunks of steps and carries its state, so that memory
     * does not grow with T. A backward direction starts at the end, so there a chunk is the
     * whole sequence. */
    if (!t->training && plan->n_directions == 1) {
        t->max_packed = min_of(t->max_packed, max_of(CHUNK_ROWS, t->max_rows));
        t->max_steps = min_of(t->max_steps, t->max_packed);
    }
    /* BLAS multiplies x W over all steps of a chunk, into the history. */
    t->history = t->training || t->traces != NULL || !plan->packed;
}

/* `memory` becomes the schedule of n_shards and n_lanes. */
static void cut_batch(task *t, char *memory)
{
    take_schedule(t, memory);
    memset(t->barriers, 0, (size_t)t->n_lanes * sizeof(team_barrier));
    memset(t->losses, 0, (size_t)t->n_lanes * sizeof(double));
    for (ptrdiff_t k = 0; k < t->n_rows; k++) {
        t->rows[k].position = k;
        t->rows[k].length = t->lengths[t->batch[k]];
    }
    cut(t->rows, t->n_rows, t->n_shards, t->bounds);
}

void schedule_stream(const network_plan *plan, task *t, char *memory)
{
    t->n_shards = t->n_lanes = t->n_members = t->n_threads = 1;
    t->portion = PORTION;
    cut_batch(t, memory);
    measure_shards(plan, t);
}

void schedule_batch(
    const network_plan *plan, task *t, char *memory, ptrdiff_t n_threads,
    ptrdiff_t team_threads)
{
    double n_steps, work = plan->layers_work;
    int64_t longest;
    t->n_shards = count_shards(plan, t->n_rows);
    t->n_lanes = count_lanes(plan, t, n_threads);
    cut_batch(t, memory);
    measure_shards(plan, t);
    schedule_count_steps(t, &n_steps, &longest);
    form_teams(plan, t, n_threads, team_threads, n_steps);
    n_threads = max_of(1, n_threads);
    if (plan->per_step)
        work += 2.0 * (double)plan->head.n_features * (double)plan->head.n_scores;
    work += 2.0 * (double)plan->n_tail;
    if (n_steps * work * (t->training ? 3 : 1) < PARALLEL_WORK)
        n_threads = t->n_members = 1;
    if (!t->wide) /* whose pieces are more than the lanes */
        n_threads = min_of(n_threads, t->n_lanes * t->n_members);
    t->n_threads = (int)n_threads;
}

ptrdiff_t schedule_n_workers(const task *t)
{
    /* With a wide head all shards keep their history. */
    return t->wide ? t->n_shards : max_of(1, t->n_threads / t->n_members);
}

int schedule_wants_wide_head(
    const network_plan *plan, const task *t, ptrdiff_t wide_from, double n_steps,
    int64_t longest)
{
    const double K = (double)plan->head.n_scores;
    /* A CRF needs all steps of a sequence together. */
    return plan->per_step && plan->loss != LOSS_crf && K >= (double)wide_from &&
           n_steps * K <= MAX_SCORES &&
           /* Every shard's history takes the room of the largest one's. */
           (double)longest * (double)t->n_rows <=
               (4 * n_steps > FEW_STEPS ? 4 * n_steps : FEW_STEPS);
}

void schedule_tokens(
    const network_plan *plan, task *t, const int64_t *classes, ptrdiff_t n_classes, int *slots,
    int64_t *touched)
{
    ptrdiff_t n = 0;
    for (; plan->tied && n < n_classes; n++) {
        touched[n] = classes ? classes[n] : n;
        slots[touched[n]] = (int)n;
    }
    for (ptrdiff_t k = 0; k < t->n_rows; k++)
        for (int64_t step = 0; step < t->lengths[t->batch[k]]; step++) {
            const int64_t token = t->tokens[t->starts[t->batch[k]] + step];
            if (slots[token] < 0) {
                slots[token] = (int)n;
                touched[n++] = token;
            }
        }
    t->slots = slots;
    t->n_touched = n;
}

void schedule_classes(
    const network_plan *plan, task *t, wide_head *wide, const int64_t *classes,
    ptrdiff_t n_classes)
{
    const head_plan *head = &plan->head;
    const char *parameters = t->parameters;
    *wide = (wide_head){.n_classes = n_classes, .classes = classes};
    wide->weights = parameters + head->weight * t->item;
    wide->bias = parameters + head->bias * t->item;
    wide->weights_at = head->weight;
    wide->bias_at = head->bias;
    wide->embedding_at = plan->n_dense;
    if (classes) { /* the gradients of the others are left out */
        wide->weights_at = plan->tied ? head->bias : head->weight;
        wide->bias_at = wide->weights_at + (plan->tied ? 0 : n_classes * head->n_features);
        wide->embedding_at = wide->bias_at + n_classes;
    }
    if (plan->tied)
        wide->weights_at = wide->embedding_at;
    t->wide = wide;
}

/* Place a wide head's buffers; return the bytes they take. */
static ptrdiff_t take_wide_head(
    wide_head *wide, const network_plan *plan, const task *t, char *memory)
{
    arena a = {memory, 0};
    const size_t item = (size_t)t->item;
    const ptrdiff_t M = wide->n_steps, D = plan->head.n_features, K = wide->n_classes;
    wide->first = arena_take(&a, t->n_shards, sizeof(ptrdiff_t), 1);
    wide->rows = arena_take(&a, M, sizeof(int64_t), 1);
    wide->losses = arena_take(&a, M, sizeof(double), 1);
    wide->features = arena_take(&a, M * D, item, 1);
    wide->dfeatures = arena_take(&a, M * D, item, 1);
    wide->scores = arena_take(&a, M * K, item, 1);
    wide->scratch = arena_take(&a, t->n_threads * MULTIPLY_SCRATCH, item, 1);
    if (wide->classes) { /* gathered from the parameters */
        wide->weights = wide->gathered_weights = arena_take(&a, K * D, item, 1);
        wide->bias = wide->gathered_bias = arena_take(&a, K, item, 1);
    }
    return a.used;
}

ptrdiff_t schedule_wide_head(const network_plan *plan, task *t, char *memory)
{
    wide_head *wide = t->wide, counted = *t->wide;
    ptrdiff_t n = 0;
    double n_steps;
    int64_t longest;
    schedule_count_steps(t, &n_steps, &longest);
    wide->n_steps = counted.n_steps = (ptrdiff_t)n_steps;
    if (!memory)
        return take_wide_head(&counted, plan, t, NULL);
    const ptrdiff_t n_bytes = take_wide_head(wide, plan, t, memory);
    for (ptrdiff_t shard = 0; shard < t->n_shards; shard++) {
        wide->first[shard] = n;
        for (ptrdiff_t k = t->bounds[shard]; k < t->bounds[shard + 1]; k++)
            n += t->rows[k].length;
    }
    return n_bytes;
}
