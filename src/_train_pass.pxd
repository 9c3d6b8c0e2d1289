# cython: cdivision=True
"""One shard forward and backward through the network: its loss and gradients. The letters
are those of _forward_pass.pxd."""

from libc.stdint cimport int64_t
from libc.string cimport memset

from _blas cimport gemm, real
from _forward_pass cimport (
    begin_shard, forward_chunk, head_forward, head_inputs, layer_inputs, store_states
)
from _losses cimport loss_and_gradient
from _lstm cimport Steps, Team, lstm_backward, meet
from _model cimport Buffers, Model, Task, inputs_wanted
from _rows cimport copy_columns, count_steps, drop, drop_packed, scatter_steps, source_row
from _shards cimport Row
from _wide_head cimport put_features, take_dfeatures


cdef inline double weigh_losses(
    const Model* model, const Task* task, const Row* rows, const Steps* steps,
    const Buffers* buffers, real* kind
) noexcept nogil:
    """Loss of the shard; weighted gradients of its scores go into dscores."""
    cdef Py_ssize_t t, row, k, n_steps = steps.T if model.per_step else 1
    cdef Py_ssize_t n_rows, K = model.n_scores
    cdef real* scores = <real*> buffers.scores
    cdef real* dscores = <real*> buffers.dscores
    cdef const real* targets = <const real*> task.targets
    cdef const real* weights = <const real*> task.weights
    cdef double weight, loss = 0
    cdef int64_t at
    for t in range(n_steps):
        n_rows = steps.counts[t] if model.per_step else steps.B
        for row in range(n_rows):
            at = (source_row(task, &rows[row]) + t if model.per_step
                  else task.batch[rows[row].position])
            weight = weights[at] * task.weight_scale
            loss += weight * loss_and_gradient(
                model.loss, model.levels, K, scores, task.n_targets,
                targets + at * task.n_targets, dscores)
            for k in range(K):
                dscores[k] *= <real> weight
            scores += K
            dscores += K
    return loss


cdef inline void head_backward(
    const Model* model, const Task* task, Py_ssize_t M, const real* features,
    const Buffers* buffers, real* dfeatures
) noexcept nogil:
    cdef Py_ssize_t K = model.n_scores, D = model.n_features, row, k
    cdef real* gradients = <real*> buffers.gradients
    cdef const real* dscores = <real*> buffers.dscores
    for row in range(M):
        for k in range(K):
            gradients[model.head_bias + k] += dscores[row * K + k]
    # dW += dS' F   (K x D) += (K x M) (M x D)
    gemm(True, False, K, D, M, dscores, K, features, D,
         <real> 1, gradients + model.head_weight, D)
    # dF = dS W   (M x D) = (M x K) (K x D)
    gemm(False, False, M, D, K, dscores, K,
         <const real*> task.parameters + model.head_weight, D, <real> 0, dfeatures, D)


cdef inline void layers_backward(
    const Model* model, const Task* task, const Row* rows, const Steps* steps,
    const Team* team, const Buffers* buffers, real* kind
) noexcept nogil:
    """From dy (per step) or dfeatures (last states) down to all gradients; where wanted,
    dL/d inputs of the first layer are left in dy."""
    cdef Py_ssize_t layer, direction, k, j, row, H, S, I, D
    cdef Py_ssize_t N = steps.N, B = steps.B
    cdef bint at_top, two = model.n_directions == 2, dx_wanted, leads = team.member == 0
    cdef const real* x
    cdef const real* inputs
    cdef const real* dy
    cdef real* dx
    cdef real* dh = <real*> buffers.dh
    cdef real* part = <real*> buffers.part
    cdef real* below
    for layer in range(model.n_layers - 1, -1, -1):
        at_top = layer == model.n_layers - 1
        dx_wanted = layer > 0 or inputs_wanted(model, task)
        x = layer_inputs(model, task, steps, buffers, layer, kind)
        for direction in range(model.n_directions):
            k = layer * model.n_directions + direction
            H, I = model.layers[k].n_units, model.layers[k].n_inputs
            S, D = model.layers[k].n_padded, H * model.n_directions
            if leads:
                memset(buffers.dc, 0, B * S * sizeof(real))
                memset(dh, 0, B * S * sizeof(real))
            if at_top and not model.per_step:
                if leads:
                    copy_columns(B, H, <real*> buffers.dfeatures + direction * H, D,
                                 <const Py_ssize_t*> NULL, dh, S)
                dy = NULL
            else:
                dy = <real*> buffers.dy
            inputs = x
            dx = <real*> buffers.dy
            if two:
                if dy != NULL:
                    if leads:
                        copy_columns(N, H, dy + direction * H, D,
                                     buffers.mirror if direction == 1 else NULL, part, H)
                    dy = part
                if direction == 1:
                    inputs = <real*> buffers.mirrored
                    if leads:
                        copy_columns(N, I, x, I, buffers.mirror,
                                     <real*> buffers.mirrored, I)
                # The other direction still needs dy.
                dx = part if direction == 1 else <real*> buffers.dx
            meet(team)
            lstm_backward(
                &model.layers[k], <const real*> task.weights_of_layers, steps, team,
                inputs, <const real*> buffers.mask[k], <real*> buffers.gates[k],
                <real*> buffers.c[k], <real*> buffers.phi_c[k], <real*> buffers.h[k],
                dy, dh, <real*> buffers.dc, <real*> buffers.h_prev,
                dx if dx_wanted else NULL, <real*> buffers.layer_gradients)
        if not dx_wanted:
            return
        if not leads:
            continue
        if two:
            # Both directions' shares, into dy.
            below = <real*> buffers.dy
            for row in range(N):
                for j in range(I):
                    below[row * I + j] = (
                        (<real*> buffers.dx)[row * I + j]
                        + part[buffers.mirror[row] * I + j])
        if task.dropout > 0 and (layer > 0 or model.vocabulary > 0):
            drop_packed(task, I, <real*> buffers.dy, layer, rows, steps)


cdef inline void embedding_backward(
    const Model* model, const Task* task, const Row* rows, const Steps* steps,
    const Buffers* buffers, real* kind
) noexcept nogil:
    """Add dL/d inputs to the gradients of their tokens."""
    cdef Py_ssize_t t, row, i, I = model.n_inputs
    cdef const real* dx = <real*> buffers.dy
    cdef real* gradient
    for t in range(steps.T):
        for row in range(steps.counts[t]):
            gradient = <real*> buffers.gradients + model.n_dense + I * (
                task.slots[task.tokens[source_row(task, &rows[row]) + t]])
            for i in range(I):
                gradient[i] += dx[i]
            dx += I


cdef inline void drop_dfeatures(
    const Model* model, const Task* task, const Row* rows, const Steps* steps,
    const Buffers* buffers, real* kind
) noexcept nogil:
    cdef Py_ssize_t row, D = model.n_features
    cdef real* dfeatures = <real*> buffers.dfeatures
    if task.dropout == 0:
        return
    if model.per_step:
        drop_packed(task, D, <real*> buffers.dy, model.n_layers, rows, steps)
        return
    for row in range(steps.B):
        drop(task, D, dfeatures + row * D, dfeatures + row * D, model.n_layers, &rows[row],
             0)


cdef inline double learn_head(
    const Model* model, const Task* task, const Row* rows, const Steps* steps,
    const Buffers* buffers, real* kind
) noexcept nogil:
    """Weighted loss of a shard; its gradients of the head are added, and those of the
    head's inputs left in dy (per step) or dfeatures."""
    cdef Py_ssize_t M = steps.N if model.per_step else steps.B
    cdef const real* features = head_inputs(model, task, rows, steps, buffers, kind)
    cdef real* dfeatures = <real*> (buffers.dy if model.per_step else buffers.dfeatures)
    cdef double loss
    head_forward(model, task, M, features, <real*> buffers.scores)
    loss = weigh_losses(model, task, rows, steps, buffers, kind)
    head_backward(model, task, M, features, buffers, dfeatures)
    drop_dfeatures(model, task, rows, steps, buffers, kind)
    return loss


cdef enum Stage:
    # Of a shard's way; both at once where its head is not wide.
    FORWARD = 1
    BACKWARD = 2


cdef inline double train_shard(
    const Model* model, const Task* task, const Buffers* buffers, const Team* team,
    Py_ssize_t shard, int stages, real* kind
) noexcept nogil:
    """Add the shard's gradients to its lane's; return its weighted loss, the first member
    of the team alone. A wide head stands between the stages, and has the loss."""
    cdef Steps* steps = buffers.steps
    cdef const Row* rows = task.rows + task.bounds[shard]
    cdef Py_ssize_t n_rows = task.bounds[shard + 1] - task.bounds[shard]
    cdef bint leads = team.member == 0
    cdef double loss = 0
    if stages & FORWARD:
        if leads:
            begin_shard(model, task, rows, n_rows, buffers, kind)
            count_steps(task, rows, n_rows, 0, steps)
        meet(team)
        forward_chunk(model, task, rows, steps, 0, team, buffers, kind)
        if leads:
            store_states(model, task, rows, n_rows, buffers, kind)
            if task.wide != NULL:
                put_features(model, task, rows, shard, buffers, kind)
    if stages & BACKWARD:
        if leads and task.wide != NULL:
            take_dfeatures(model, task, shard, buffers, kind)
            drop_dfeatures(model, task, rows, steps, buffers, kind)
        elif leads:
            loss = learn_head(model, task, rows, steps, buffers, kind)
        layers_backward(model, task, rows, steps, team, buffers, kind)
        if leads:
            if model.vocabulary > 0 and task.wide == NULL:
                embedding_backward(model, task, rows, steps, buffers, kind)
            if task.input_gradients != NULL:
                scatter_steps(task, rows, steps, 0, model.n_inputs, <real*> buffers.dy,
                              model.n_inputs, <real*> task.input_gradients,
                              model.n_inputs, False)
    meet(team)
    return loss
