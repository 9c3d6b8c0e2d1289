/* Best paths and marginals in double. */
#include "decode.h"

#include <string.h>

#define REAL_IS_FLOAT 0
#include "../kernels/kernels.h"

#include "arena.h"
#include "plan.h"

#include "chain.h"

static ptrdiff_t take_chain(chain **c, ptrdiff_t n_labels, ptrdiff_t longest, char *memory)
{
    arena a = {memory, 0};
    chain counted;
    *c = arena_take(&a, 1, sizeof(chain), 1);
    chain_take_memory(memory ? *c : &counted, n_labels, longest, 0, &a);
    return a.used;
}

ptrdiff_t decode_bytes(ptrdiff_t n_labels, ptrdiff_t longest)
{
    chain *c;
    return take_chain(&c, n_labels, longest, NULL);
}

void decode_open(const decode_task *t, ptrdiff_t longest, char *memory)
{
    const kernels *kernels = t->kernels;
    chain *c;
    take_chain(&c, t->n_labels, longest, memory);
    chain_read(c, t->parameters);
    kernels->chain_open(c);
}

void decode_sequence(const decode_task *t, ptrdiff_t sequence, char *memory)
{
    const kernels *kernels = t->kernels;
    const chain *c = (const chain *)memory;
    const ptrdiff_t K = c->K, T = t->lengths[sequence];
    const int64_t first = t->starts[sequence];
    for (ptrdiff_t step = 0; step < T; step++)
        memcpy(c->scores + step * c->W, t->scores + (first + step) * K,
               (size_t)K * sizeof(double));
    if (t->labels) {
        kernels->best_path(c, T, c->scores, t->labels + first);
        return;
    }
    kernels->chain_marginals(c, T, c->scores, t->logs, 0);
    for (ptrdiff_t step = 0; step < T; step++)
        memcpy(t->marginals + (first + step) * K, c->scores + step * c->W,
               (size_t)K * sizeof(double));
}
