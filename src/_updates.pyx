# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Gradient norm, penalty and optimizer steps, each in place on flat vectors."""

from libc.math cimport sqrt

from _blas cimport real

cdef extern from "_steps_simd.h" nogil:
    double sum_of_squares_float "sum_of_squares_float[simd_level()]" (
        Py_ssize_t n, const float* x)
    double sum_of_squares_double "sum_of_squares_double[simd_level()]" (
        Py_ssize_t n, const double* x)
    double penalize_float "penalize_float[simd_level()]" (
        Py_ssize_t n, const float* w, float* gradient, double l2)
    double penalize_double "penalize_double[simd_level()]" (
        Py_ssize_t n, const double* w, double* gradient, double l2)
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
    if real is float:
        return sqrt(sum_of_squares_float(x.shape[0], &x[0]))
    else:
        return sqrt(sum_of_squares_double(x.shape[0], &x[0]))


def penalize(const real[::1] w, real[::1] gradients, segments, double alpha):
    """Add the gradient of alpha/2 |w|^2 over the segments [begin, end) of w; return
    that penalty."""
    cdef Py_ssize_t begin, end
    cdef double squares = 0
    for begin, end in segments:
        if real is float:
            squares += penalize_float(end - begin, &w[begin], &gradients[begin], alpha)
        else:
            squares += penalize_double(end - begin, &w[begin], &gradients[begin], alpha)
    return alpha * squares / 2


def sgd(
    real[::1] w,
    const real[::1] gradients,
    real[::1] velocity,
    double scale,
    double rate,
    double momentum,
    bint nesterov,
):
    """velocity = momentum velocity - rate g;  w += velocity, or with Nesterov's momentum
    w += momentum velocity - rate g.  g = scale * gradients."""
    with nogil:
        if real is float:
            sgd_float(w.shape[0], &w[0], &gradients[0], &velocity[0],
                      scale, rate, momentum, nesterov)
        else:
            sgd_double(w.shape[0], &w[0], &gradients[0], &velocity[0],
                       scale, rate, momentum, nesterov)


def adam(
    real[::1] w,
    const real[::1] gradients,
    real[::1] m,
    real[::1] v,
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
    with nogil:
        if real is float:
            adam_float(w.shape[0], &w[0], &gradients[0], &m[0], &v[0], scale,
                       unbiased, correction, beta_1, beta_2, epsilon)
        else:
            adam_double(w.shape[0], &w[0], &gradients[0], &m[0], &v[0], scale,
                        unbiased, correction, beta_1, beta_2, epsilon)
