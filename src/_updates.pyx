# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Gradient norm, penalty and optimizer steps, each in place on flat vectors.

The norm and the steps share long vectors among the threads block by block; the norm adds
the blocks' sums in their order, whatever the number of threads.

The last rows of the parameters may be an embedding, of which a batch touches some rows
only. Gradients and parameters agree up to `n_dense`; from there on row k of the gradients
belongs to row touched[k] of the parameters. Rows that are not touched stay as they are,
moments and all.
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


cdef inline void take_piece(
    Py_ssize_t piece, Py_ssize_t n_dense, const int64_t[::1] touched, Py_ssize_t row_size,
    Py_ssize_t* n, Py_ssize_t* at, Py_ssize_t* in_gradients
) noexcept nogil:
    """A piece of the parameters: a block of the dense part, then touched row by row."""
    cdef Py_ssize_t dense_blocks = count_blocks(n_dense)
    if piece < dense_blocks:
        at[0] = in_gradients[0] = piece * BLOCK
        n[0] = min(n_dense - at[0], BLOCK)
    else:
        piece -= dense_blocks
        at[0] = n_dense + touched[piece] * row_size
        in_gradients[0] = n_dense + piece * row_size
        n[0] = row_size


cdef inline void sgd_piece(
    Py_ssize_t piece, real[::1] w, const real[::1] gradients, real[::1] velocity,
    Py_ssize_t n_dense, const int64_t[::1] touched, Py_ssize_t row_size,
    double scale, double rate, double momentum, bint nesterov
) noexcept nogil:
    cdef Py_ssize_t n, at, k
    take_piece(piece, n_dense, touched, row_size, &n, &at, &k)
    if real is float:
        sgd_float(n, &w[at], &gradients[k], &velocity[at], scale, rate, momentum, nesterov)
    else:
        sgd_double(n, &w[at], &gradients[k], &velocity[at], scale, rate, momentum,
                   nesterov)


cdef inline void adam_piece(
    Py_ssize_t piece, real[::1] w, const real[::1] gradients, real[::1] m, real[::1] v,
    Py_ssize_t n_dense, const int64_t[::1] touched, Py_ssize_t row_size,
    double scale, double rate, double correction, double beta_1, double beta_2,
    double epsilon
) noexcept nogil:
    cdef Py_ssize_t n, at, k
    take_piece(piece, n_dense, touched, row_size, &n, &at, &k)
    if real is float:
        adam_float(n, &w[at], &gradients[k], &m[at], &v[at], scale, rate, correction,
                   beta_1, beta_2, epsilon)
    else:
        adam_double(n, &w[at], &gradients[k], &m[at], &v[at], scale, rate, correction,
                    beta_1, beta_2, epsilon)


def sgd(
    real[::1] w,
    const real[::1] gradients,
    real[::1] velocity,
    Py_ssize_t n_dense,
    const int64_t[::1] touched,
    Py_ssize_t row_size,
    double scale,
    double rate,
    double momentum,
    bint nesterov,
    int n_threads=1,
):
    """velocity = momentum velocity - rate g;  w += velocity, or with Nesterov's momentum
    w += momentum velocity - rate g.  g = scale * gradients."""
    cdef Py_ssize_t k, n_blocks = count_blocks(n_dense)
    with nogil:
        for k in prange(n_blocks + touched.shape[0], num_threads=n_threads,
                        schedule="static",
                        use_threads_if=n_blocks > 1 and n_threads > 1):
            sgd_piece(k, w, gradients, velocity, n_dense, touched, row_size, scale, rate,
                      momentum, nesterov)


def adam(
    real[::1] w,
    const real[::1] gradients,
    real[::1] m,
    real[::1] v,
    Py_ssize_t n_dense,
    const int64_t[::1] touched,
    Py_ssize_t row_size,
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
    cdef Py_ssize_t k, n_blocks = count_blocks(n_dense)
    with nogil:
        for k in prange(n_blocks + touched.shape[0], num_threads=n_threads,
                        schedule="static",
                        use_threads_if=n_blocks > 1 and n_threads > 1):
            adam_piece(k, w, gradients, m, v, n_dense, touched, row_size, scale, unbiased,
                       correction, beta_1, beta_2, epsilon)
