/* Adds one number too many to the first of two buffers of an arena. The number behind it is the
 * first of the second one, which no allocator guards: without the red zones of network/arena.h
 * nobody would notice. Built with AddressSanitizer this must not come to its end. */
#include <stdio.h>
#include <stdlib.h>

#include "kernels/kernels.h"
#include "kernels/simd.h"
#include "network/arena.h"

int main(void)
{
    const kernels *k = simd_kernels(simd_highest(), sizeof(real))->kernels;
    const ptrdiff_t n = CACHE_LINE / (ptrdiff_t)sizeof(real), n_bytes = 4 * CACHE_LINE;
    char *memory = aligned_alloc(CACHE_LINE, (size_t)n_bytes);
    if (!memory)
        return 2;
    arena a = {memory, 0};
    real *first = arena_take(&a, n, sizeof(real), 1);
    real *second = arena_take(&a, n, sizeof(real), 1);
    real ones[CACHE_LINE / sizeof(real) + 1];
    for (ptrdiff_t j = 0; j <= n; j++)
        ones[j] = 1;
    for (ptrdiff_t j = 0; j < n; j++)
        first[j] = second[j] = 0;
    k->add(n + 1, ones, first);
    printf("not noticed: the neighbour is %g\n", (double)second[0]);
    arena_limit(memory, n_bytes, n_bytes);
    free(memory);
    return 0;
}
