"""Losses of one sample with their gradients, from the scores of the linear head.

K scores, targets as _estimators encodes them. Every function returns the loss and
writes d loss / d score; both are exact derivatives of one another.
"""

from libc.math cimport exp, log, log1p

from _blas cimport real

cdef enum Loss:
    SQUARED_ERROR  # mean over the K outputs of (score - y)^2 / 2
    LOGISTIC       # K = 1, y in {0, 1}: log(1 + exp(score)) - y score
    SOFTMAX        # y a class index: log sum exp(scores) - scores[y]


cdef inline double squared_error(
    Py_ssize_t K, const real* scores, const real* y, real* dscores
) noexcept nogil:
    cdef Py_ssize_t k
    cdef double loss = 0, residual
    for k in range(K):
        residual = <double> scores[k] - <double> y[k]
        loss += residual * residual
        dscores[k] = <real> (residual / K)
    return loss / (2 * K)


cdef inline double logistic(
    const real* score, const real* y, real* dscore
) noexcept nogil:
    # exp of a negative number only: nothing overflows, and log1p keeps small losses.
    cdef double s = score[0], target = y[0]
    cdef double e = exp(-s if s > 0 else s)
    cdef double probability = 1 / (1 + e) if s > 0 else e / (1 + e)
    dscore[0] = <real> (probability - target)
    return log1p(e) + (s if s > 0 else 0) - target * s


cdef inline double softmax(
    Py_ssize_t K, const real* scores, const real* y, real* dscores
) noexcept nogil:
    cdef Py_ssize_t k, label = <Py_ssize_t> y[0]
    cdef double highest = scores[0], total = 0
    for k in range(1, K):
        # Written so that a NaN score is kept and reaches the loss.
        highest = highest if scores[k] <= highest else scores[k]
    for k in range(K):
        total += exp(scores[k] - highest)
    for k in range(K):
        dscores[k] = <real> (exp(scores[k] - highest) / total)
    dscores[label] -= 1
    return log(total) + highest - scores[label]


cdef inline double loss_and_gradient(
    Loss loss, Py_ssize_t K, const real* scores, const real* y, real* dscores
) noexcept nogil:
    if loss == SQUARED_ERROR:
        return squared_error(K, scores, y, dscores)
    elif loss == LOGISTIC:
        return logistic(scores, y, dscores)
    return softmax(K, scores, y, dscores)
