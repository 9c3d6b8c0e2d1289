/* What a call does, as the bindings see it: phases of pieces that threads share, and the steps of a
 * stream. One table for each precision; the pieces of a phase can be done in any order, and all
 * threads wait for each other between phases. */
#ifndef CYLSTM_ENGINE
#define CYLSTM_ENGINE

#include "task.h"

/* One phase of a call. */
typedef struct {
    /* How many pieces it has for this task; 0 skips it. */
    ptrdiff_t (*count)(const network_plan *plan, const task *t);
    /* Does one of them on a thread. */
    void (*work)(const network_plan *plan, const task *t, ptrdiff_t piece, int thread);
    /* Pieces of equal work: each thread gets the same ones at every call, whose memory its caches
     * may still hold. Else a thread takes the next one when it is free. */
    int even;
    /* Runs all lanes instead when the task has teams; every thread calls it once. NULL for phases
     * without lanes. */
    void (*team_work)(const network_plan *plan, const task *t, int thread, int n_threads);
} phase;

typedef struct {
    const phase *phases;
    int n_phases;
    /* Bytes of one worker's history and buffers, and of one lane's gradients. */
    ptrdiff_t (*worker_bytes)(const network_plan *plan, const task *t);
    ptrdiff_t (*lane_bytes)(const network_plan *plan, const task *t);
    /* A stream goes through the task's one shard step by step; the caller provides `stream_bytes`
     * bytes for it. */
    ptrdiff_t stream_bytes;
    void (*stream_open)(void *stream, const network_plan *plan, const task *t);
    void (*stream_step)(void *stream);
    void (*stream_load)(void *stream);  /* from the task's state_in */
    void (*stream_store)(void *stream); /* to its state_out */
} engine;

extern const engine engine_float, engine_double;

#endif
