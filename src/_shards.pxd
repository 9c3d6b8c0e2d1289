# cython: cdivision=True
"""Cuts a batch of sequences into shards of rows.

The cut depends on the lengths alone, never on the number of threads: that is what
makes every sum, and so every bit of a fit, the same on any machine size.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport qsort

# Rows of a full shard. Fewer rows read the weights more often than they need to, which
# costs 4 to 10% at half as many; more leave threads idle and history outside the cache.
# Batches of fewer than FEW_ROWS are cut into smaller shards, to be shared by more threads.
cdef enum:
    SHARD_ROWS = 16
    SMALL_SHARD_ROWS = 8
    FEW_ROWS = 64
    MAX_LANES = 16


cdef struct Row:
    int64_t length
    int64_t position  # in the batch


cdef inline int longer_first(const void* a, const void* b) noexcept nogil:
    cdef const Row* p = <const Row*> a
    cdef const Row* q = <const Row*> b
    if p.length != q.length:
        return -1 if p.length > q.length else 1
    return -1 if p.position < q.position else 1


cdef inline Py_ssize_t count_shards(Py_ssize_t n_rows) noexcept nogil:
    """An even number, where there are several, for two threads or four to share."""
    cdef Py_ssize_t rows = SMALL_SHARD_ROWS if n_rows < FEW_ROWS else SHARD_ROWS
    return 1 if n_rows <= rows else 2 * max(<Py_ssize_t> 1, (n_rows + rows) // (2 * rows))


cdef inline void cut(
    Row* rows,           # INOUT (n_rows,) in batch order, then longest first
    Py_ssize_t n_rows,
    Py_ssize_t n_shards,
    Py_ssize_t* bounds,  # OUT (n_shards + 1,) shard s is rows[bounds[s]:bounds[s + 1]]
) noexcept nogil:
    """Consecutive sorted rows of about equal work: sums of lengths, not of rows."""
    cdef Py_ssize_t k, shard = 0
    cdef bint sorted_already = True
    cdef double total = 0, running = 0
    for k in range(n_rows):
        total += rows[k].length
        if k > 0 and rows[k].length > rows[k - 1].length:
            sorted_already = False
    if not sorted_already:
        qsort(rows, n_rows, sizeof(Row), longer_first)
    bounds[0] = 0
    for k in range(n_rows):
        # Close a shard at its share of the work, or where only one row is left for
        # each shard still to come.
        running += rows[k].length
        if shard < n_shards - 1 and (
            running >= total * (shard + 1) / n_shards
            or n_rows - (k + 1) == n_shards - 1 - shard
        ):
            shard += 1
            bounds[shard] = k + 1
    bounds[n_shards] = n_rows
