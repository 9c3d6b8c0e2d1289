# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Gradient norm, penalty and optimizer steps, each in place on flat vectors.

The last rows of the parameters may be an embedding, of which a batch touches some rows
only. Gradients and parameters agree up to `n_dense`; from there on row k of the gradients
belongs to row touched[k] of the parameters. Rows that are not touched stay as they are,
moments and all.
"""

from libc.math cimport sqrt
from libc.stdint cimport int64_t

from _blas cimport real


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


def norm(const real[::1] x):
    """Euclidean norm, summed in float64."""
    cdef double squares
    with nogil:
        if real is float:
            squares = sum_of_squares_float(x.shape[0], &x[0])
        else:
            squares = sum_of_squares_double(x.shape[0], &x[0])
    return sqrt(squares)


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
):
    """velocity = momentum velocity - rate g;  w += velocity, or with Nesterov's momentum
    w += momentum velocity - rate g.  g = scale * gradients."""
    cdef Py_ssize_t k, at, n_touched = touched.shape[0]
    cdef const real* g = &gradients[0]
    with nogil:
        # The dense part, then row by row.
        for k in range(n_touched + 1):
            at = 0 if k == 0 else n_dense + touched[k - 1] * row_size
            if real is float:
                sgd_float(n_dense if k == 0 else row_size, &w[at], g, &velocity[at],
                          scale, rate, momentum, nesterov)
            else:
                sgd_double(n_dense if k == 0 else row_size, &w[at], g, &velocity[at],
                           scale, rate, momentum, nesterov)
            g += n_dense if k == 0 else row_size


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
):
    """Step number `step` (from 1) of Kingma & Ba, arXiv:1412.6980, algorithm 1:
    m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
    w -= rate m / (1 - b1^step) / (sqrt(v / (1 - b2^step)) + epsilon)."""
    cdef double unbiased = rate / (1 - beta_1 ** step)
    cdef double correction = 1 / (1 - beta_2 ** step)
    cdef Py_ssize_t k, at, n_touched = touched.shape[0]
    cdef const real* g = &gradients[0]
    with nogil:
        for k in range(n_touched + 1):
            at = 0 if k == 0 else n_dense + touched[k - 1] * row_size
            if real is float:
                adam_float(n_dense if k == 0 else row_size, &w[at], g, &m[at], &v[at],
                           scale, unbiased, correction, beta_1, beta_2, epsilon)
            else:
                adam_double(n_dense if k == 0 else row_size, &w[at], g, &m[at], &v[at],
                            scale, unbiased, correction, beta_1, beta_2, epsilon)
            g += n_dense if k == 0 else row_size
