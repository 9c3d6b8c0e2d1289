/* How the units of a packed layer stand in blocks, the gates of a block side by side: BLOCK_UNITS
 * units in each, and in the last one so few that the columns of its gates are still whole vectors,
 * 4, 8, 12 or 16 of a cell with 4 gates. */
#ifndef CYLSTM_BLOCKS
#define CYLSTM_BLOCKS

#include <stddef.h>

#include "../tuning.h"

/* The fewest units whose columns are whole vectors: BLOCK_UNITS over the power of two that divides
 * n_gates. */
static inline ptrdiff_t units_together(ptrdiff_t n_gates)
{
    return BLOCK_UNITS / (n_gates & -n_gates);
}

/* Units that have columns: H and what fills up the last block. */
static inline ptrdiff_t units_with_columns(ptrdiff_t H, ptrdiff_t n_gates)
{
    const ptrdiff_t together = units_together(n_gates);
    return (H + together - 1) / together * together;
}

#endif
