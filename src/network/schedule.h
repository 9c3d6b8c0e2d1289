/* How a batch is cut into shards, lanes and teams, and the memory that this takes. */
#ifndef CYLSTM_SCHEDULE
#define CYLSTM_SCHEDULE

#include "task.h"

/* Bytes for schedule_batch to work in. */
ptrdiff_t schedule_bytes(const network_plan *plan, const task *t, ptrdiff_t n_threads);

/* Number the distinct tokens of the batch in order of appearance; with tied weights the head's
 * n_classes `classes` (NULL: all) come first. `slots` (vocabulary,), all -1, becomes the number of
 * each, `touched` the tokens in that order. */
void schedule_tokens(
    const network_plan *plan, task *t, const int64_t *classes, ptrdiff_t n_classes, int *slots,
    int64_t *touched);

/* Make the task's head wide, restricted to n_classes `classes` (NULL: all), and set the places of
 * their weights and gradients. */
void schedule_classes(
    const network_plan *plan, task *t, wide_head *wide, const int64_t *classes,
    ptrdiff_t n_classes);

/* Sum of the lengths of the batch, and the longest. */
void schedule_count_steps(const task *t, double *n_steps, int64_t *longest);

/* Whether the head of such a batch goes over all its steps at once. */
int schedule_wants_wide_head(
    const network_plan *plan, const task *t, ptrdiff_t wide_from, double n_steps,
    int64_t longest);

/* Cut the batch; `memory` becomes its rows, bounds, barriers and losses. It uses at most n_threads
 * threads, of which teams use at most team_threads in total. */
void schedule_batch(
    const network_plan *plan, task *t, char *memory, ptrdiff_t n_threads,
    ptrdiff_t team_threads);

/* One shard of all rows, one step at a time on one thread, for a stream. */
void schedule_stream(const network_plan *plan, task *t, char *memory);

/* Workers, each with memory of its own: threads or teams; with a wide head shards. Valid after
 * schedule_batch. */
ptrdiff_t schedule_n_workers(const task *t);

/* Bytes for a wide head; with memory, take them. */
ptrdiff_t schedule_wide_head(const network_plan *plan, task *t, char *memory);

#endif
