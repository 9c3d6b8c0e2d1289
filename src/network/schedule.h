/* How a batch is cut into shards, lanes and teams, and the memory that this takes. */
#ifndef CYLSTM_SCHEDULE
#define CYLSTM_SCHEDULE

#include "task.h"

/* Bytes for schedule_batch to work in. */
ptrdiff_t schedule_bytes(const network_plan *plan, const task *t, ptrdiff_t n_threads);

/* Number the different tokens of the batch in the order of their appearance, before them, where
 * the head's weights are theirs, its n_classes `classes` (NULL: all). `slots` (vocabulary,), all -1,
 * becomes each one's number, `touched` the tokens in that order. */
void schedule_tokens(
    const network_plan *plan, task *t, const int64_t *classes, ptrdiff_t n_classes, int *slots,
    int64_t *touched);

/* Let the task's head be wide, over n_classes `classes` (NULL: all): their places, and those of
 * their gradients. */
void schedule_classes(
    const network_plan *plan, task *t, wide_head *wide, const int64_t *classes,
    ptrdiff_t n_classes);

/* Sum of the lengths of the batch, and the longest. */
void schedule_count_steps(const task *t, double *n_steps, int64_t *longest);

/* Whether the head of such a batch goes over all its steps at once. */
int schedule_wants_wide_head(
    const network_plan *plan, const task *t, ptrdiff_t wide_from, double n_steps,
    int64_t longest);

/* Cut the batch; `memory` becomes its rows, bounds, barriers and losses. At most n_threads, of
 * which teams may have team_threads together. */
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
