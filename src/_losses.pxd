# cython: cdivision=True
"""Losses of one sample (or step) with their gradients, from the scores of the head.

K scores; targets as _estimators encodes them. Every function returns the loss and
writes d loss / d score; both are exact derivatives of one another.
"""

from libc.math cimport exp, fabs, log1p

from _blas cimport real


cdef extern from "_softmax_simd.h" nogil:
    double softmax_float "softmax_float[simd_level()]" (
        Py_ssize_t K, const float* scores, Py_ssize_t label, float* dscores)
    double softmax_double "softmax_double[simd_level()]" (
        Py_ssize_t K, const double* scores, Py_ssize_t label, double* dscores)


cdef enum Loss:
    # Means over the K outputs, with the residual r = score - y:
    SQUARED_ERROR   # r^2 / 2
    ABSOLUTE_ERROR  # |r|
    HUBER           # r^2 / 2 where |r| <= 1, else |r| - 1/2
    POISSON         # exp(score) - y score
    QUANTILE        # -q r where r < 0, else (1 - q) r, q the level of the output
    # Sums:
    LOGISTIC        # K labels, y in {0, 1}: log(1 + exp(score)) - y score
    SOFTMAX         # y a class index: log sum exp(scores) - scores[y]
    LINEAR          # y score: its gradient is y, whatever the scores are


cdef inline double logistic(double score, double y, double* slope) noexcept nogil:
    # exp of a negative number only: nothing overflows, and log1p keeps small losses.
    cdef double e = exp(-score if score > 0 else score)
    slope[0] = (1 / (1 + e) if score > 0 else e / (1 + e)) - y
    return log1p(e) + (score if score > 0 else 0) - y * score


cdef inline double loss_and_gradient(
    Loss loss,
    const double* levels,     # (K,) of QUANTILE
    Py_ssize_t K,
    const real* scores,       # (K,)
    Py_ssize_t n_targets,     # K, or 1 where all outputs share it
    const real* y,            # (n_targets,)
    real* dscores,            # OUT (K,)
) noexcept nogil:
    cdef Py_ssize_t k
    cdef double total = 0, score, target, r, value, slope
    cdef double share = 1 if loss == LOGISTIC or loss == LINEAR else 1.0 / K
    if loss == SOFTMAX:
        if real is float:
            return softmax_float(K, scores, <Py_ssize_t> y[0], dscores)
        else:
            return softmax_double(K, scores, <Py_ssize_t> y[0], dscores)
    for k in range(K):
        score = scores[k]
        target = y[k] if n_targets == K else y[0]
        r = score - target
        if loss == SQUARED_ERROR:
            value = r * r / 2
            slope = r
        elif loss == ABSOLUTE_ERROR:
            value = fabs(r)
            slope = (r > 0) - (r < 0)
        elif loss == HUBER:
            value = r * r / 2 if fabs(r) <= 1 else fabs(r) - 0.5
            slope = r if fabs(r) <= 1 else (r > 0) - (r < 0)
        elif loss == POISSON:
            slope = exp(score)
            value = slope - target * score
            slope -= target
        elif loss == QUANTILE:
            slope = (1 - levels[k]) * (r > 0) - levels[k] * (r < 0)
            # Not slope * r, in which a NaN would vanish.
            value = -levels[k] * r if r < 0 else (1 - levels[k]) * r
        elif loss == LINEAR:
            value = target * score
            slope = target
        else:
            value = logistic(score, target, &slope)
        total += value
        dscores[k] = <real> (slope * share)
    return total * share
