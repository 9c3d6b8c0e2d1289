"""Gradient norm, penalty and optimizer steps, each in place on flat vectors; copies of
vectors, and whether their numbers are finite.

Norm, steps and copies share long vectors among the threads block by block; the norm adds
the sums of the blocks in their order, whatever the number of threads.

A batch may touch only some of the parameters (rows of an embedding, classes of the head):
its gradients come in pieces, each with where it starts among the parameters (at), where
among the gradients (of), and how many numbers it has (n). What is in no piece stays as it
is, moments included.
"""

from cython cimport floating
from cython.parallel cimport prange
from libc.math cimport sqrt
from libc.stdint cimport int64_t
from libc.string cimport memcpy

import numpy as np

from cylstm._simd cimport kernels_in_use, simd_isa, update_kernels

cdef extern from "tuning.h":
    Py_ssize_t UPDATE_BLOCK


def cut(Py_ssize_t start, Py_ssize_t end):
    """Pieces of the parameters from start to end, whose gradients stand at the same places,
    small enough for threads to share."""
    at = np.arange(start, end, UPDATE_BLOCK)
    return np.column_stack([at, at, np.minimum(end - at, UPDATE_BLOCK)]).astype(np.int64)


cdef inline bint worth_threads(const int64_t[:, ::1] pieces) noexcept nogil:
    """Whether there are more numbers than one thread updates while another wakes."""
    cdef Py_ssize_t k = pieces.shape[0] - 1
    return k >= 0 and pieces[k, 1] + pieces[k, 2] > UPDATE_BLOCK


def own(array):
    """The array itself if it may be changed in place, a copy if it lies in a file or is
    read-only."""
    foreign = isinstance(array, np.memmap) or not array.flags.writeable
    return np.array(array) if foreign else array


def copy(const floating[::1] source, floating[::1] target, int n_threads=1):
    """target = source."""
    cdef Py_ssize_t k, n = source.shape[0], n_blocks = (n + UPDATE_BLOCK - 1) // UPDATE_BLOCK
    if target.shape[0] != n:
        raise ValueError(f"{n} numbers do not fit into {target.shape[0]}.")
    with nogil:
        for k in prange(n_blocks, num_threads=n_threads, schedule="static",
                        use_threads_if=n_blocks > 1 and n_threads > 1):
            memcpy(&target[k * UPDATE_BLOCK], &source[k * UPDATE_BLOCK],
                   min(n - k * UPDATE_BLOCK, UPDATE_BLOCK) * sizeof(floating))


def norm(const floating[::1] x, int n_threads=1):
    """Euclidean norm, summed in float64."""
    cdef update_kernels kernels = kernels_in_use(sizeof(floating)).updates
    cdef Py_ssize_t k, n = x.shape[0], n_blocks = (n + UPDATE_BLOCK - 1) // UPDATE_BLOCK
    cdef double[::1] squares = np.empty(n_blocks)
    cdef double total = 0
    with nogil:
        for k in prange(n_blocks, num_threads=n_threads, schedule="static",
                        use_threads_if=n_blocks > 1 and n_threads > 1):
            squares[k] = kernels.sum_of_squares(
                min(n - k * UPDATE_BLOCK, UPDATE_BLOCK), &x[k * UPDATE_BLOCK])
        for k in range(n_blocks):
            total += squares[k]
    return sqrt(total)


def all_finite(const floating[::1] x):
    """Whether no number is NaN or infinite."""
    cdef const simd_isa* kernels = kernels_in_use(sizeof(floating))
    cdef Py_ssize_t n = x.shape[0]
    cdef bint finite
    if n == 0:
        return True
    with nogil:
        finite = kernels.all_finite(n, &x[0])
    return finite


def penalize(
    const floating[::1] w, floating[::1] gradients, segments, double l1, double l2
):
    """Add the gradient of l1 |w|_1 + l2/2 |w|_2^2 over the segments [start, end) of w;
    return that penalty."""
    cdef update_kernels kernels = kernels_in_use(sizeof(floating)).updates
    cdef Py_ssize_t start, end
    cdef double penalty = 0
    for start, end in segments:
        with nogil:
            penalty += kernels.penalize(end - start, &w[start], &gradients[start], l1, l2)
    return penalty


def shrink(floating[::1] w, segments, double factor):
    """w *= factor over the segments [start, end)."""
    cdef update_kernels kernels = kernels_in_use(sizeof(floating)).updates
    cdef Py_ssize_t start, end
    for start, end in segments:
        with nogil:
            kernels.scale(end - start, &w[start], factor)


def sgd(
    floating[::1] w,
    const floating[::1] gradients,
    floating[::1] velocity,
    const int64_t[:, ::1] pieces,
    double scale,
    double rate,
    double momentum,
    bint nesterov,
    int n_threads=1,
):
    """velocity = momentum velocity - rate g;  w += velocity, or with Nesterov's momentum
    w += momentum velocity - rate g.  g = scale * gradients."""
    cdef update_kernels kernels = kernels_in_use(sizeof(floating)).updates
    cdef Py_ssize_t k, at, of, n_pieces = pieces.shape[0]
    with nogil:
        for k in prange(n_pieces, num_threads=n_threads, schedule="dynamic",
                        use_threads_if=n_threads > 1 and worth_threads(pieces)):
            at = pieces[k, 0]
            of = pieces[k, 1]
            kernels.sgd(pieces[k, 2], &w[at], &gradients[of], &velocity[at], scale, rate,
                        momentum, nesterov)


def adam(
    floating[::1] w,
    const floating[::1] gradients,
    floating[::1] m,
    floating[::1] v,
    const int64_t[:, ::1] pieces,
    double scale,
    double rate,
    double beta_1,
    double beta_2,
    double epsilon,
    long step,
    int n_threads=1,
):
    """Step number `step` (from 1) of Kingma & Ba, arXiv:1412.6980, algorithm 1:
    m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
    w -= rate m / (1 - b1^step) / (sqrt(v / (1 - b2^step)) + epsilon)."""
    cdef update_kernels kernels = kernels_in_use(sizeof(floating)).updates
    cdef double unbiased = rate / (1 - beta_1 ** step)
    cdef double correction = 1 / (1 - beta_2 ** step)
    cdef Py_ssize_t k, at, of, n_pieces = pieces.shape[0]
    with nogil:
        for k in prange(n_pieces, num_threads=n_threads, schedule="dynamic",
                        use_threads_if=n_threads > 1 and worth_threads(pieces)):
            at = pieces[k, 0]
            of = pieces[k, 1]
            kernels.adam(pieces[k, 2], &w[at], &gradients[of], &m[at], &v[at], scale,
                         unbiased, correction, beta_1, beta_2, epsilon)
