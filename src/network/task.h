/* One call: what it works on, how its batch is cut, and the memory of its threads. Numbers are of
 * the call's precision; the pointers to them are untyped here, so that the bindings and the
 * schedule serve both precisions. */
#ifndef CYLSTM_TASK
#define CYLSTM_TASK

#include <stddef.h>
#include <stdint.h>

#include "../tuning.h"
#include "plan.h"
#include "team.h"

/* One sequence of a batch. */
typedef struct {
    int64_t length;
    int64_t position; /* in the batch */
} row;

/* C (m x n) = op(A) (m x k) op(B) (k x n) + beta C, all row-major: SciPy's BLAS. */
typedef void gemm_function(
    int transpose_a, int transpose_b, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const void *a,
    ptrdiff_t lda, const void *b, ptrdiff_t ldb, double beta, void *c, ptrdiff_t ldc);

/* The head of a batch where it is wide (wide_head.h): M steps of all shards, shard by shard. */
typedef struct {
    ptrdiff_t n_steps;   /* M */
    ptrdiff_t *first;    /* (n_shards,) each shard's first step */
    int64_t *rows;       /* (M,) rows of values */
    double *losses;      /* (M,) weighted */
    void *features;      /* (M, D) */
    void *dfeatures;     /* (M, D) */
    void *scores;        /* (M, K), then their gradients */
    void *scratch;       /* (n_threads, MULTIPLY_SCRATCH) */
    /* The classes in the order of the scores: all K of them, or those of a sample. */
    ptrdiff_t n_classes; /* K */
    const void *weights; /* (K, D) of the parameters, or gathered */
    const void *bias;    /* (K,) */
    void *gathered_weights, *gathered_bias;
    const int64_t *classes;    /* (K,), or NULL for all */
    const int *slots;          /* (n_scores,) the place of each class among them */
    ptrdiff_t n_sampled;       /* the rest were added as targets */
    const void *log_shares;    /* (n_sampled,) log of the probability of being sampled */
    /* Places of their gradients. */
    ptrdiff_t weights_at, bias_at, embedding_at;
} wide_head;

typedef struct {
    /* -- Given by the caller -- */
    const void *parameters;    /* (P,) */
    const void *values;        /* (*, I) the steps of all sequences, or */
    const int64_t *tokens;     /* (*,) their tokens */
    /* (n_sequences, I) with which each reads (value - shift) scale, of values in double whatever
     * the precision; or NULL */
    const double *shift, *scale;
    /* (n_sequences,) the step of each from which on it reads `beyond` (I,), where that is not NaN,
     * whatever the values are; or NULL. Only with a shift and a scale. */
    const int64_t *seams;
    const double *beyond;
    const int64_t *starts;     /* (n_sequences,) first row of each in values */
    const int64_t *lengths;    /* (n_sequences,) */
    const int64_t *batch;      /* (B,) the sequences of this batch */
    ptrdiff_t n_rows;          /* B */
    /* Indexed by sequence; per step by the rows of values: */
    const void *targets;       /* (*, n_targets) */
    ptrdiff_t n_targets;       /* K, or a divisor of it (losses.h) */
    const void *weights;       /* (*,) */
    double weight_scale;       /* 1 / sum of the batch's weights */
    const void *state_in;      /* (B, n_state), or NULL for zeros */
    void *state_out;           /* (B, n_state), or NULL */
    void *scores;              /* (B, K), per step (*, K) by the rows of values; or NULL */
    void *features;            /* (B, D), per step (*, D); or NULL */
    /* (With n_ahead targets, scores and features have a row for each step ahead of each
     * sequence.) */
    double *step_losses;       /* (*,) by the rows of values; or NULL */
    void **traces;             /* for each layer (*, (n_gates + 1) H + R): gates, c, h; or NULL */
    void *input_gradients;     /* (*, I), or NULL */
    void *gradients;           /* (n_dense + n_touched I,) */
    const int *slots;          /* (vocabulary,) where each token's gradient stands */
    ptrdiff_t n_touched;       /* tokens of the batch */
    double dropout, recurrent_dropout, weight_dropout, embedding_dropout;
    uint64_t seed, update;     /* what masks are drawn from, besides row, step and unit; */
    uint64_t parameter_update; /* in the place of `update` those of weights and tokens */
    int64_t first_step;        /* of the batch within its sequences */
    int training;
    gemm_function *gemm;
    ptrdiff_t item;            /* bytes of an element */

    /* -- Planned by schedule.c -- */
    row *rows;                 /* (B,) longest first */
    ptrdiff_t *bounds;         /* (n_shards + 1,) shard s is rows bounds[s] to bounds[s + 1] */
    ptrdiff_t n_shards;
    ptrdiff_t n_lanes;
    ptrdiff_t n_members;       /* of a team */
    ptrdiff_t portion;         /* blocks that a member takes at a time */
    team_barrier *barriers;    /* (n_lanes,) */
    double *losses;            /* (n_lanes,) */
    int n_threads;
    int ragged;                /* lengths differ */
    int history;               /* all gates and cells are kept, not only those of a step */
    ptrdiff_t max_rows;        /* of one shard */
    ptrdiff_t max_steps;       /* of one chunk */
    ptrdiff_t max_packed;      /* packed rows of one chunk of one shard */
    wide_head *wide;           /* or NULL */

    /* -- Memory -- */
    void *dropped_parameters;  /* (plan_n_layer_parameters,) with weight_dropout, else NULL */
    void *packed_weights;      /* (n_weights,), or the parameters where nothing is packed */
    int has_packed;            /* they are there already */
    char *workers;             /* history and buffers of each worker */
    ptrdiff_t worker_bytes;
    char *lanes;               /* gradients of each lane */
    ptrdiff_t lane_bytes;
} task;

/* Whether backward goes on to the inputs of the first layer. */
static inline int task_wants_input_gradients(const network_plan *plan, const task *t)
{
    return plan->vocabulary > 0 || t->input_gradients != NULL;
}

/* Size of a lane's embedding gradients. With a wide head they, and its own, are in the caller's
 * vector. */
static inline ptrdiff_t task_n_other_gradients(const network_plan *plan, const task *t)
{
    return t->wide ? 0 : t->n_touched * plan->n_inputs;
}

/* Size of a lane's gradients in the kernels' layout. */
static inline ptrdiff_t task_n_gradients(const network_plan *plan, const task *t)
{
    return t->wide ? plan->n_layer_gradients : plan->n_gradients;
}

#endif
