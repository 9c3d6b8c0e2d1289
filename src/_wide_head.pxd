# cython: cdivision=True
"""The head over all steps of a batch, where it has many scores per step.

Letters: M steps of all shards, D features, K classes: all, or a sample of them.

# Design: a lane's gradients of the head of a large vocabulary would be megabytes, to be
# zeroed, added up and read again for a few hundred steps each; and rows, of which a batch
# of text has twenty, are hard to share evenly. So all shards go forward first, then threads
# share the head's products by classes or by steps, then all shards go backward. A sum is
# always one thread's and runs in order, whoever has which classes.
#
# In a sample each class is with a probability of its own, q. Those that are there count as
# 1 / q in the sum over all classes, which is right in the mean (Horvitz & Thompson 1952):
# log 1 / q is added to their scores. The target of a step counts as 1, the targets of others
# that are not sampled as 0.
"""

from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from _blas cimport real
from _forward_pass cimport head_inputs
from _losses cimport SOFTMAX, loss_and_gradient
from _lstm cimport Steps
from _model cimport Buffers, Model, Task, Wide, take_buffers
from _rows cimport source_row
from _shards cimport Row


cdef extern from "_products_simd.h" nogil:
    enum:
        MULTIPLY_SCRATCH
    void multiply_float "multiply_float[simd_level()]" (
        bint transpose_a, bint transpose_b, Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
        const float* a, Py_ssize_t lda, const float* b, Py_ssize_t ldb, float* c,
        Py_ssize_t ldc, float* scratch)
    void multiply_double "multiply_double[simd_level()]" (
        bint transpose_a, bint transpose_b, Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
        const double* a, Py_ssize_t lda, const double* b, Py_ssize_t ldb, double* c,
        Py_ssize_t ldc, double* scratch)

cdef extern from "_steps_simd.h" nogil:
    void add_float "add_float[simd_level()]" (Py_ssize_t n, const float* x, float* out)
    void add_double "add_double[simd_level()]" (Py_ssize_t n, const double* x, double* out)
    void shrink_float "shrink_float[simd_level()]" (Py_ssize_t n, float* w, double factor)
    void shrink_double "shrink_double[simd_level()]" (
        Py_ssize_t n, double* w, double factor)

cdef enum:
    MAX_SCORES = 1 << 26  # of a batch (256 MiB in float32)
    # What a thread takes at a time.
    CLASSES = 384
    STEPS = 192
    SOFTMAX_STEPS = 16
    INPUTS = 64           # columns of the embedding
    ABSENT = -1000000     # a score with next to no probability


cdef inline void multiply(
    bint transpose_a, bint transpose_b, Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
    const real* a, Py_ssize_t lda, const real* b, Py_ssize_t ldb, real* c,
    Py_ssize_t ldc, real* scratch
) noexcept nogil:
    """C (m x n) = op(A) (m x k) op(B) (k x n), row-major."""
    if real is float:
        multiply_float(transpose_a, transpose_b, m, n, k, a, lda, b, ldb, c, ldc, scratch)
    else:
        multiply_double(transpose_a, transpose_b, m, n, k, a, lda, b, ldb, c, ldc, scratch)


cdef inline void add(Py_ssize_t n, const real* x, real* out) noexcept nogil:
    if real is float:
        add_float(n, x, out)
    else:
        add_double(n, x, out)


cdef inline Py_ssize_t pieces(Py_ssize_t n, Py_ssize_t size) noexcept nogil:
    return (n + size - 1) // size


cdef inline void gather_classes(
    const Model* model, const Task* task, Py_ssize_t piece, real* kind
) noexcept nogil:
    """Weights and biases of some classes of a sample."""
    cdef Py_ssize_t k, D = model.n_features, first = piece * CLASSES
    cdef const real* parameters = <const real*> task.parameters
    for k in range(first, min(task.wide.K, first + <Py_ssize_t> CLASSES)):
        memcpy(<real*> task.wide.weights + k * D,
               parameters + model.head_weight + task.wide.classes[k] * D, D * sizeof(real))
        (<real*> task.wide.bias)[k] = parameters[model.head_bias + task.wide.classes[k]]


cdef inline void put_features(
    const Model* model, const Task* task, const Row* rows, Py_ssize_t shard,
    const Buffers* buffers, real* kind
) noexcept nogil:
    """A shard's features among all."""
    cdef const Steps* steps = buffers.steps
    cdef Py_ssize_t t, row, D = model.n_features, at = task.wide.first[shard]
    cdef const real* features = head_inputs(model, task, rows, steps, buffers, kind)
    memcpy(<real*> task.wide.features + at * D, features, steps.N * D * sizeof(real))
    for t in range(steps.T):
        for row in range(steps.counts[t]):
            task.wide.rows[at] = source_row(task, &rows[row]) + t
            at += 1


cdef inline void take_dfeatures(
    const Model* model, const Task* task, Py_ssize_t shard, const Buffers* buffers,
    real* kind
) noexcept nogil:
    cdef Py_ssize_t D = model.n_features
    memcpy(buffers.dy, <real*> task.wide.dfeatures + task.wide.first[shard] * D,
           buffers.steps.N * D * sizeof(real))


cdef inline void wide_scores(
    const Model* model, const Task* task, Py_ssize_t piece, Py_ssize_t thread, real* kind
) noexcept nogil:
    """Some classes' scores of all steps, without bias."""
    cdef Py_ssize_t first = piece * CLASSES, D = model.n_features, K = task.wide.K
    # S = F W'   (M x K) = (M x D) (D x K)
    multiply(False, True, task.wide.n_steps, min(K - first, <Py_ssize_t> CLASSES), D,
             <const real*> task.wide.features, D,
             <const real*> task.wide.weights + first * D, D,
             <real*> task.wide.scores + first, K,
             <real*> task.wide.scratch + thread * MULTIPLY_SCRATCH)


cdef inline double sampled_loss(
    const Wide* wide, Py_ssize_t label, real* scores
) noexcept nogil:
    """Loss of one step from a sample of the classes; scores become gradients."""
    cdef Py_ssize_t k
    cdef real target = wide.slots[label], score = scores[wide.slots[label]]
    cdef double loss
    for k in range(wide.n_sampled):
        scores[k] -= (<const real*> wide.log_shares)[k]
    for k in range(wide.n_sampled, wide.K):
        scores[k] = ABSENT
    scores[wide.slots[label]] = score
    loss = loss_and_gradient(SOFTMAX, NULL, wide.K, scores, 1, &target, scores)
    # Not next to nothing, of which sums would be slow.
    for k in range(wide.n_sampled, wide.K):
        if k != wide.slots[label]:
            scores[k] = 0
    return loss


cdef inline void wide_losses(
    const Model* model, const Task* task, Py_ssize_t piece, real* kind
) noexcept nogil:
    """Weighted losses of some steps; their scores become weighted gradients."""
    cdef Py_ssize_t step, K = task.wide.K, first = piece * SOFTMAX_STEPS
    cdef Py_ssize_t last = min(task.wide.n_steps, first + <Py_ssize_t> SOFTMAX_STEPS)
    cdef const real* bias = <const real*> task.wide.bias
    cdef const real* targets
    cdef real* scores = <real*> task.wide.scores + first * K
    cdef double weight, loss
    cdef int64_t at
    for step in range(first, last):
        at = task.wide.rows[step]
        targets = <const real*> task.targets + at * task.n_targets
        weight = (<const real*> task.weights)[at] * task.weight_scale
        add(K, bias, scores)
        if task.wide.classes == NULL:
            loss = loss_and_gradient(
                model.loss, model.levels, K, scores, task.n_targets, targets, scores)
        else:
            loss = sampled_loss(task.wide, <Py_ssize_t> targets[0], scores)
        task.wide.losses[step] = weight * loss
        if real is float:
            shrink_float(K, scores, weight)
        else:
            shrink_double(K, scores, weight)
        scores += K


cdef inline Py_ssize_t count_backward(const Model* model, const Task* task) noexcept nogil:
    return pieces(task.wide.n_steps, STEPS) + pieces(task.wide.K, CLASSES)


cdef inline void wide_backward(
    const Model* model, const Task* task, Py_ssize_t piece, Py_ssize_t thread, real* kind
) noexcept nogil:
    """Gradients of some steps' features, or of some classes' weights."""
    cdef Py_ssize_t M = task.wide.n_steps, D = model.n_features, K = task.wide.K
    cdef Py_ssize_t first = piece * STEPS, n, step
    cdef const real* dscores = <const real*> task.wide.scores
    cdef const real* weights = <const real*> task.wide.weights
    cdef real* gradients = <real*> task.gradients
    cdef real* dbias
    cdef real* scratch = <real*> task.wide.scratch + thread * MULTIPLY_SCRATCH
    if first < M:
        # dF = dS W   (M x D) = (M x K) (K x D)
        multiply(False, False, min(M - first, <Py_ssize_t> STEPS), D, K,
                 dscores + first * K, K, weights, D,
                 <real*> task.wide.dfeatures + first * D, D, scratch)
        return
    first = (piece - pieces(M, STEPS)) * CLASSES
    n = min(K - first, <Py_ssize_t> CLASSES)
    # dW = dS' F   (K x D) = (K x M) (M x D)
    multiply(True, False, n, D, M, dscores + first, K,
             <const real*> task.wide.features, D,
             gradients + task.wide.in_weights + first * D, D, scratch)
    dbias = gradients + task.wide.in_bias + first
    memset(dbias, 0, n * sizeof(real))
    for step in range(M):
        add(n, dscores + step * K + first, dbias)


cdef inline void wide_embedding(
    const Model* model, const Task* task, Py_ssize_t piece, real* kind
) noexcept nogil:
    """Some columns of the embedding's gradients, from dL/d inputs that all shards have
    left. Where the weights are the head's as well, its gradients stand there already."""
    cdef Py_ssize_t I = model.n_inputs, first = piece * INPUTS
    cdef Py_ssize_t n = min(I - first, <Py_ssize_t> INPUTS), shard, t, row, slot
    cdef real* gradients = <real*> task.gradients + task.wide.in_embedding + first
    cdef real* gradient
    cdef const real* dx
    cdef const Row* rows
    cdef Buffers buffers
    for slot in range(task.wide.K if model.tied else 0, task.n_touched):
        memset(gradients + slot * I, 0, n * sizeof(real))
    for shard in range(task.n_shards):
        take_buffers(model, task, sizeof(real), shard, 0, &buffers)
        rows = task.rows + task.bounds[shard]
        dx = <const real*> buffers.dy + first
        for t in range(buffers.steps.T):
            for row in range(buffers.steps.counts[t]):
                gradient = gradients + I * (
                    task.slots[task.tokens[source_row(task, &rows[row]) + t]])
                add(n, dx, gradient)
                dx += I
