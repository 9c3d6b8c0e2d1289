/* Best paths and marginals of the chains of many sequences, in double. Sequences are pieces that
 * threads can take in any order. */
#ifndef CYLSTM_DECODE
#define CYLSTM_DECODE

#include <stddef.h>
#include <stdint.h>

/* Either labels or marginals are wanted. */
typedef struct {
    const void *kernels;      /* of the instruction set, in double */
    ptrdiff_t n_labels;       /* K */
    const double *parameters; /* transitions (K, K), start (K,) and end (K,) */
    const double *scores;     /* (*, K) */
    const int64_t *starts;    /* (n_sequences,) the first row of each, */
    const int64_t *lengths;   /* and how many it has */
    int64_t *labels;          /* (*,), or NULL */
    double *marginals;        /* (*, K), or NULL */
    int logs;                 /* their logarithms instead */
} decode_task;

/* Bytes of memory for a thread, given the longest sequence. */
ptrdiff_t decode_bytes(ptrdiff_t n_labels, ptrdiff_t longest);

/* Make a thread's memory ready, before its first sequence. */
void decode_open(const decode_task *t, ptrdiff_t longest, char *memory);

void decode_sequence(const decode_task *t, ptrdiff_t sequence, char *memory);

#endif
