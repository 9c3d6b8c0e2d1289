# cython: cdivision=True
"""Rows of numbers of a shard: which steps a chunk has, where their rows come from and go to,
and dropout of them.

A layer that runs both ways has two directions. The second one reads each row from its
own last step: its inputs are the packed rows of the mirrored steps.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from _blas cimport real
from _lstm cimport Steps
from _model cimport Task
from _shards cimport Row


cdef extern from "_dropout_simd.h" nogil:
    uint64_t dropout_key(
        uint64_t seed, uint64_t update, uint64_t place, uint64_t row, uint64_t step)
    void dropout_float "dropout_float[simd_level()]" (
        Py_ssize_t H, const float* x, float* out, uint64_t key, double rate)
    void dropout_double "dropout_double[simd_level()]" (
        Py_ssize_t H, const double* x, double* out, uint64_t key, double rate)


cdef inline Py_ssize_t count_steps(
    const Task* task, const Row* rows, Py_ssize_t n_rows, int64_t first, Steps* steps
) noexcept nogil:
    """Steps from `first` on that fit the chunk; how many of the rows run at each."""
    cdef Py_ssize_t n = n_rows
    steps.first = task.first_step + first
    steps.B = n_rows
    steps.T = 0
    steps.N = 0
    while steps.T < task.max_steps:
        while n > 0 and rows[n - 1].length <= first + steps.T:
            n -= 1
        if n == 0 or steps.N + n > task.max_packed:
            break
        steps.counts[steps.T] = <int> n
        steps.N += n
        steps.T += 1
    return steps.T


cdef inline void find_mirror(
    const Row* rows, const Steps* steps, Py_ssize_t* mirror
) noexcept nogil:
    """mirror[k]: packed row of the same sequence, as far from its end as k is from its
    begin. For rows that run from step 0; the permutation is its own inverse."""
    cdef Py_ssize_t t, row, front, back, length
    for row in range(steps.counts[0]):
        length = rows[row].length
        # The row's places, in order; then turned around.
        back = row
        for t in range(length - 1):
            back += steps.counts[t]
        front = row
        for t in range(length):
            mirror[front] = back
            front += steps.counts[t]
            if t + 1 < length:
                back -= steps.counts[length - 2 - t]


cdef inline int64_t source_row(const Task* task, const Row* row) noexcept nogil:
    """Where a row's sequence begins in values."""
    return task.starts[task.batch[row.position]]


cdef inline void drop(
    const Task* task, Py_ssize_t width, const real* x, real* out, uint64_t where,
    const Row* row, int64_t step
) noexcept nogil:
    """Dropout of one row; `where` is the layer whose input it is."""
    cdef uint64_t key = dropout_key(task.seed, task.update, where, row.position, step)
    if real is float:
        dropout_float(width, x, out, key, task.dropout)
    else:
        dropout_double(width, x, out, key, task.dropout)


cdef inline void drop_packed(
    const Task* task, Py_ssize_t width, real* x, uint64_t where, const Row* rows,
    const Steps* steps
) noexcept nogil:
    """Dropout of packed rows in place, the same for their gradients."""
    cdef Py_ssize_t t, row
    for t in range(steps.T):
        for row in range(steps.counts[t]):
            drop(task, width, x, x, where, &rows[row], steps.first + t)
            x += width


cdef inline void copy_columns(
    Py_ssize_t n, Py_ssize_t width, const real* source, Py_ssize_t source_stride,
    const Py_ssize_t* order, real* out, Py_ssize_t out_stride
) noexcept nogil:
    """Row k of out = row order[k] (or k, where order is NULL) of source."""
    cdef Py_ssize_t k
    for k in range(n):
        memcpy(out + k * out_stride,
               source + (order[k] if order != NULL else k) * source_stride,
               width * sizeof(real))


cdef inline void scatter_steps(
    const Task* task, const Row* rows, const Steps* steps, int64_t first,
    Py_ssize_t width, const real* packed, Py_ssize_t packed_stride, real* out,
    Py_ssize_t out_stride, bint mirrored
) noexcept nogil:
    """Packed rows of a chunk to the rows of values that they belong to."""
    cdef Py_ssize_t t, row
    cdef int64_t step
    for t in range(steps.T):
        for row in range(steps.counts[t]):
            step = rows[row].length - 1 - t if mirrored else first + t
            memcpy(out + (source_row(task, &rows[row]) + step) * out_stride, packed,
                   width * sizeof(real))
            packed += packed_stride


cdef inline void scatter_rows(
    const Row* rows, Py_ssize_t n_rows, Py_ssize_t width, const real* ordered, real* out
) noexcept nogil:
    cdef Py_ssize_t row
    for row in range(n_rows):
        memcpy(out + rows[row].position * width, ordered + row * width,
               width * sizeof(real))
