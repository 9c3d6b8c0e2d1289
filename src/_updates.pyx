# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Gradient norm, penalty and optimizer steps, each in place on flat vectors.

The norm and the steps share long vectors among the threads block by block; the norm adds
the blocks' sums in their order, whatever the number of threads.

A batch may touch only some of the parameters (rows of an embedding, classes of the head):
its gradients come in pieces, each with where it stands among the parameters (at), where
among the gradients (of), and how many numbers it has (n). What is in no piece stays as it
is, moments and all.
"""

from cython.parallel cimport prange
from libc.math cimport sqrt
from libc.stdint cimport int64_t

import numpy as np

from _blas cimport real

cdef enum:
    # Numbers that one thread goes through in some ten microseconds.
    BLOCK = 1 << 15


cdef extern from "_steps_simd.h" nogil:
    double sum_of_squares_float "sum_of_squares_float[simd_level()]" (
        Py_ssize_t n, const float* x)
    double sum_of_squares_double "sum_of_squares_double[simd_level()]" (
        Py_ssize_t n, const double* x)
    double penalize_float "penalize_float[simd_level()]" (
        Py_ssize_t n, const float* w, float* gradient, double l1, double l2)
    double penalize_double "penalize_double[simd_level()]" (
        Py_ssize_t n, const double* w, double* gradient, double l1, double l2)
    void shrink_float "shrink_float[simd_level()]" (
        Py_ssize_t n, float* w, double factor)
    void shrink_double "shrink_double[simd_level()]" (
        Py_ssize_t n, double* w, double factor)
    void sgd_float "sgd_float[simd_level()]" (
        Py_ssize_t n, float* w, const float* gradient, float* velocity,
        double scale, double rate, double momentum, bint nesterov)
    void sgd_double "sgd_double[simd_level()]" (
        Py_ssize_t n, double* w, const double* gradient, double* velocity,
        double scale, double rate, double momentum, bint nesterov)
    void adam_float "adam_float[simd_level()]" (
        Py_ssize_t n, float* w, const float* gradient, float* m, float* v,
        double scale, double rate, double correction,
        double beta_1, double beta_2, double epsilon)
    void adam_double "adam_double[simd_level()]" (
        Py_ssize_t n, double* w, const double* gradient, double* m, double* v,
        double scale, double rate, double correction,
        double beta_1, double beta_2, double epsilon)


def cut(Py_ssize_t begin, Py_ssize_t end):
    """Pieces of the parameters from begin to end, whose gradients stand at the same places,
    small enough for threads to share."""
    at = np.arange(begin, end, BLOCK)
    return np.column_stack([at, at, np.minimum(end - at, BLOCK)]).astype(np.int64)


cdef inline bint worth_threads(
    const real[::1] w, const int64_t[:, ::1] pieces
) noexcept nogil:
    """Whether there are more numbers than one thread does while another wakes."""
    cdef Py_ssize_t k = pieces.shape[0] - 1
    return k >= 0 and pieces[k, 1] + pieces[k, 2] > BLOCK


cdef inline Py_ssize_t count_blocks(Py_ssize_t n) noexcept nogil:
    return (n + BLOCK - 1) // BLOCK


def norm(const real[::1] x, int n_threads=1):
    """Euclidean norm, summed in float64."""
    cdef Py_ssize_t k, n = x.shape[0], n_blocks = count_blocks(n)
    cdef double[::1] squares = np.empty(n_blocks)
    cdef double total = 0
    with nogil:
        for k in prange(n_blocks, num_threads=n_threads, schedule="static",
                        use_threads_if=n_blocks > 1 and n_threads > 1):
            if real is float:
                squares[k] = sum_of_squares_float(
                    min(n - k * BLOCK, BLOCK), &x[k * BLOCK])
            else:
                squares[k] = sum_of_squares_double(
                    min(n - k * BLOCK, BLOCK), &x[k * BLOCK])
        for k in range(n_blocks):
            total += squares[k]
    return sqrt(total)


def penalize(
    const real[::1] w, real[::1] gradients, segments, double l1, double l2
):
    """Add the gradient of l1 |w|_1 + l2/2 |w|_2^2 over the segments [begin, end) of w;
    return that penalty."""
    cdef Py_ssize_t begin, end
    cdef double penalty = 0
    for begin, end in segments:
        with nogil:
            if real is float:
                penalty += penalize_float(
                    end - begin, &w[begin], &gradients[begin], l1, l2)
            else:
                penalty += penalize_double(
                    end - begin, &w[begin], &gradients[begin], l1, l2)
    return penalty


def shrink(real[::1] w, segments, double factor):
    """w *= factor over the segments [begin, end)."""
    cdef Py_ssize_t begin, end
    for begin, end in segments:
        with nogil:
            if real is float:
                shrink_float(end - begin, &w[begin], factor)
            else:
                shrink_double(end - begin, &w[begin], factor)


cdef inline void sgd_piece(
    Py_ssize_t at, Py_ssize_t of, Py_ssize_t n, real[::1] w, const real[::1] gradients,
    real[::1] velocity, double scale, double rate, double momentum, bint nesterov
) noexcept nogil:
    if real is float:
        sgd_float(n, &w[at], &gradients[of], &velocity[at], scale, rate, momentum, nesterov)
    else:
        sgd_double(n, &w[at], &gradients[of], &velocity[at], scale, rate, momentum,
                   nesterov)


cdef inline void adam_piece(
    Py_ssize_t at, Py_ssize_t of, Py_ssize_t n, real[::1] w, const real[::1] gradients,
    real[::1] m, real[::1] v, double scale, double rate, double correction,
    double beta_1, double beta_2, double epsilon
) noexcept nogil:
    if real is float:
        adam_float(n, &w[at], &gradients[of], &m[at], &v[at], scale, rate, correction,
                   beta_1, beta_2, epsilon)
    else:
        adam_double(n, &w[at], &gradients[of], &m[at], &v[at], scale, rate, correction,
                    beta_1, beta_2, epsilon)


def sgd(
    real[::1] w,
    const real[::1] gradients,
    real[::1] velocity,
    const int64_t[:, ::1] pieces,
    double scale,
    double rate,
    double momentum,
    bint nesterov,
    int n_threads=1,
):
    """velocity = momentum velocity - rate g;  w += velocity, or with Nesterov's momentum
    w += momentum velocity - rate g.  g = scale * gradients."""
    cdef Py_ssize_t k, n_pieces = pieces.shape[0]
    with nogil:
        for k in prange(n_pieces, num_threads=n_threads, schedule="dynamic",
                        use_threads_if=n_threads > 1 and worth_threads(w, pieces)):
            sgd_piece(pieces[k, 0], pieces[k, 1], pieces[k, 2], w, gradients, velocity,
                      scale, rate, momentum, nesterov)


def adam(
    real[::1] w,
    const real[::1] gradients,
    real[::1] m,
    real[::1] v,
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
    cdef double unbiased = rate / (1 - beta_1 ** step)
    cdef double correction = 1 / (1 - beta_2 ** step)
    cdef Py_ssize_t k, n_pieces = pieces.shape[0]
    with nogil:
        for k in prange(n_pieces, num_threads=n_threads, schedule="dynamic",
                        use_threads_if=n_threads > 1 and worth_threads(w, pieces)):
            adam_piece(pieces[k, 0], pieces[k, 1], pieces[k, 2], w, gradients, m, v, scale,
                       unbiased, correction, beta_1, beta_2, epsilon)
