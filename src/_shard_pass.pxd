# cython: cdivision=True
"""One shard through the whole network: forward in chunks of steps, and backward.

Letters: B rows (sequences) of the shard, T steps and N packed rows of a chunk, D
features, K scores, M = N where there are scores per step, else B.

A layer that runs both ways has two directions. The second one reads each row from its
own last step: its inputs are the packed rows of the mirrored steps, and its outputs are
mirrored back. An unused argument `kind` picks the precision.

All members of a team run the same functions. In the layers they share the work, all else
is the first member's, and they meet wherever one needs what another has written.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memset

from _blas cimport gemm, real
from _losses cimport loss_and_gradient
from _lstm cimport Layer, Steps, Team, lstm_backward, lstm_forward, meet
from _model cimport MAX_LAYERS, Buffers, Model, Task, inputs_wanted, own_inputs
from _shards cimport Row


cdef extern from "_dropout_simd.h" nogil:
    uint64_t dropout_key(
        uint64_t seed, uint64_t update, uint64_t place, uint64_t row, uint64_t step)
    void dropout_float "dropout_float[simd_level()]" (
        Py_ssize_t H, const float* x, float* out, uint64_t key, double rate)
    void dropout_double "dropout_double[simd_level()]" (
        Py_ssize_t H, const double* x, double* out, uint64_t key, double rate)


# Steps

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


# Rows of numbers

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


# Forward

cdef inline void gather(
    const Model* model, const Task* task, const Row* rows, const Steps* steps,
    int64_t first, real* x
) noexcept nogil:
    """Inputs of the chunk's steps, packed: values, or embedded tokens."""
    cdef Py_ssize_t t, row, i, I = model.n_inputs
    cdef const real* source
    cdef const real* embedding = <const real*> task.parameters + model.n_dense
    cdef int64_t k
    for t in range(steps.T):
        for row in range(steps.counts[t]):
            k = source_row(task, &rows[row]) + first + t
            if model.vocabulary == 0:
                source = <const real*> task.values + k * I
            else:
                source = embedding + task.tokens[k] * I
            for i in range(I):
                x[i] = source[i]
            if model.vocabulary > 0 and task.dropout > 0:
                drop(task, I, x, x, 0, &rows[row], steps.first + t)
            x += I


cdef inline const real* join_outputs(
    const Model* model, const Task* task, const Row* rows, const Steps* steps,
    const Buffers* buffers, Py_ssize_t layer, real* out
) noexcept nogil:
    """Outputs of a layer at every step, as the layer above (or the head) reads them."""
    cdef Py_ssize_t first = layer * model.n_directions
    cdef Py_ssize_t H = model.layers[first].n_units
    cdef const real* h = <real*> buffers.h[first] + steps.B * H
    cdef Py_ssize_t width = H * model.n_directions
    if not own_inputs(model, task):
        return h
    copy_columns(steps.N, H, h, H, <const Py_ssize_t*> NULL, out, width)
    if model.n_directions == 2:
        copy_columns(steps.N, H, <real*> buffers.h[first + 1] + steps.B * H, H,
                     buffers.mirror, out + H, width)
    if task.dropout > 0:
        drop_packed(task, width, out, layer + 1, rows, steps)
    return out


cdef inline const real* layer_inputs(
    const Model* model, const Task* task, const Steps* steps, const Buffers* buffers,
    Py_ssize_t layer, real* kind
) noexcept nogil:
    """The inputs that forward_chunk left for a layer."""
    if layer == 0 or own_inputs(model, task):
        return <const real*> buffers.x[layer]
    return <const real*> buffers.h[layer - 1] + steps.B * model.layers[layer - 1].n_units


cdef inline void draw_masks(
    const Model* model, const Task* task, const Row* rows, Py_ssize_t n_rows,
    const Buffers* buffers, real* kind
) noexcept nogil:
    """Recurrent dropout: one mask per sequence and layer for all steps."""
    cdef Py_ssize_t k, row, j, H
    cdef real* mask
    cdef uint64_t key
    for k in range(model.n_layers * model.n_directions):
        H = model.layers[k].n_units
        mask = <real*> buffers.mask[k]
        for j in range(n_rows * H):
            mask[j] = 1
        for row in range(n_rows):
            # Beyond the places of the layers' inputs.
            key = dropout_key(task.seed, task.update, 2 * MAX_LAYERS + k,
                              rows[row].position, 0)
            if real is float:
                dropout_float(H, mask + row * H, mask + row * H, key,
                              task.recurrent_dropout)
            else:
                dropout_double(H, mask + row * H, mask + row * H, key,
                               task.recurrent_dropout)


cdef inline void forward_chunk(
    const Model* model, const Task* task, const Row* rows, const Steps* steps,
    int64_t first, const Team* team, const Buffers* buffers, real* kind
) noexcept nogil:
    """All layers over some steps, from the states in c_last, h_last and back to them."""
    cdef Py_ssize_t layer, direction, k, H, I, running = steps.counts[0]
    cdef const real* x
    cdef const real* inputs
    cdef bint leads = team.member == 0
    if leads:
        gather(model, task, rows, steps, first, <real*> buffers.x[0])
        if model.n_directions == 2:
            find_mirror(rows, steps, buffers.mirror)
    for layer in range(model.n_layers):
        if layer > 0 and leads:
            join_outputs(model, task, rows, steps, buffers, layer - 1,
                         <real*> buffers.x[layer])
        x = layer_inputs(model, task, steps, buffers, layer, kind)
        for direction in range(model.n_directions):
            k = layer * model.n_directions + direction
            H, I = model.layers[k].n_units, model.layers[k].n_inputs
            inputs = x if direction == 0 else <const real*> buffers.mirrored
            if leads:
                if direction == 1:
                    copy_columns(steps.N, I, x, I, buffers.mirror,
                                 <real*> buffers.mirrored, I)
                memcpy(buffers.c[k], buffers.c_last[k],
                       running * model.layers[k].n_padded * sizeof(real))
                memcpy(buffers.h[k], buffers.h_last[k], running * H * sizeof(real))
            meet(team)
            lstm_forward(
                &model.layers[k], <const real*> task.weights_of_layers, steps, team,
                task.history, inputs, <const real*> buffers.mask[k], <real*> buffers.masked_h,
                <real*> buffers.gates[k], <real*> buffers.c[k],
                <real*> buffers.phi_c[k], <real*> buffers.h[k],
                <real*> buffers.c_last[k], <real*> buffers.h_last[k])


cdef inline const real* head_inputs(
    const Model* model, const Task* task, const Row* rows, const Steps* steps,
    const Buffers* buffers, real* kind
) noexcept nogil:
    """(M, D) features: outputs of the last layer at every step, or its last states."""
    cdef Py_ssize_t top = model.n_layers - 1, direction, row, k
    cdef Py_ssize_t D = model.n_features, H = D // model.n_directions
    cdef real* out = <real*> buffers.features
    if model.per_step:
        return join_outputs(model, task, rows, steps, buffers, top, out)
    if not own_inputs(model, task):
        return <const real*> buffers.h_last[top]
    for direction in range(model.n_directions):
        k = top * model.n_directions + direction
        copy_columns(steps.B, H, <const real*> buffers.h_last[k], H,
                     <const Py_ssize_t*> NULL, out + direction * H, D)
    if task.dropout > 0:
        for row in range(steps.B):
            drop(task, D, out + row * D, out + row * D, top + 1, &rows[row], 0)
    return out


cdef inline void head_forward(
    const Model* model, const Task* task, Py_ssize_t M, const real* features,
    real* scores
) noexcept nogil:
    cdef Py_ssize_t K = model.n_scores, D = model.n_features, row
    cdef const real* parameters = <const real*> task.parameters
    for row in range(M):
        memcpy(scores + row * K, parameters + model.head_bias, K * sizeof(real))
    # S = F W' + b   (M x K) = (M x D) (D x K)
    gemm(False, True, M, K, D, features, D, parameters + model.head_weight, D,
         <real> 1, scores, K)


cdef inline void load_states(
    const Model* model, const Task* task, const Row* rows, Py_ssize_t n_rows,
    const Buffers* buffers, real* kind
) noexcept nogil:
    """Initial states from the caller's order into the shard's; zeros without."""
    cdef Py_ssize_t k, row, H, S, at = 0
    cdef const real* state
    for k in range(model.n_layers * model.n_directions):
        H, S = model.layers[k].n_units, model.layers[k].n_padded
        memset(buffers.c_last[k], 0, n_rows * S * sizeof(real))
        if task.state_in == NULL:
            memset(buffers.h_last[k], 0, n_rows * H * sizeof(real))
            continue
        for row in range(n_rows):
            state = <const real*> task.state_in + rows[row].position * model.n_state + at
            memcpy(<real*> buffers.h_last[k] + row * H, state, H * sizeof(real))
            memcpy(<real*> buffers.c_last[k] + row * S, state + H, H * sizeof(real))
        at += 2 * H


cdef inline void store_states(
    const Model* model, const Task* task, const Row* rows, Py_ssize_t n_rows,
    const Buffers* buffers, real* kind
) noexcept nogil:
    cdef Py_ssize_t k, row, H, S, at = 0
    cdef real* state
    if task.state_out == NULL:
        return
    for k in range(model.n_layers * model.n_directions):
        H, S = model.layers[k].n_units, model.layers[k].n_padded
        for row in range(n_rows):
            state = <real*> task.state_out + rows[row].position * model.n_state + at
            memcpy(state, <real*> buffers.h_last[k] + row * H, H * sizeof(real))
            memcpy(state + H, <real*> buffers.c_last[k] + row * S, H * sizeof(real))
        at += 2 * H


# Prediction

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


cdef inline void trace_chunk(
    const Model* model, const Task* task, const Row* rows, const Steps* steps,
    int64_t first, const Buffers* buffers, real* kind
) noexcept nogil:
    """Gates, c and h of every layer and direction, side by side."""
    cdef Py_ssize_t k, H, S, G, gate, block, width, B = steps.B
    cdef const Layer* layer
    cdef bint mirrored
    cdef const real* gates
    cdef real* out
    for k in range(model.n_layers * model.n_directions):
        layer = &model.layers[k]
        H, S, G = layer.n_units, layer.n_padded, layer.n_gates * layer.n_units
        mirrored = k % model.n_directions == 1
        out = <real*> task.traces[k]
        for block in range(layer.n_blocks):
            width = min(layer.width, H - block * layer.width)
            for gate in range(layer.n_gates):
                gates = <real*> buffers.gates[k] + (
                    block * layer.n_gates + gate) * layer.width
                scatter_steps(task, rows, steps, first, width, gates, S * layer.n_gates,
                              out + gate * H + block * layer.width, G + 2 * H, mirrored)
        scatter_steps(task, rows, steps, first, H, <real*> buffers.c[k] + B * S, S,
                      out + G, G + 2 * H, mirrored)
        scatter_steps(task, rows, steps, first, H, <real*> buffers.h[k] + B * H, H,
                      out + G + H, G + 2 * H, mirrored)


cdef inline void begin_shard(
    const Model* model, const Task* task, const Row* rows, Py_ssize_t n_rows,
    const Buffers* buffers, real* kind
) noexcept nogil:
    load_states(model, task, rows, n_rows, buffers, kind)
    if task.recurrent_dropout > 0:
        draw_masks(model, task, rows, n_rows, buffers, kind)


cdef inline void put_out_steps(
    const Model* model, const Task* task, const Row* rows, int64_t first,
    const Buffers* buffers, real* kind
) noexcept nogil:
    """What the caller wants of a chunk's steps."""
    cdef const Steps* steps = buffers.steps
    cdef Py_ssize_t K = model.n_scores, D = model.n_features
    cdef const real* features
    if task.traces != NULL:
        trace_chunk(model, task, rows, steps, first, buffers, kind)
    if not model.per_step:
        return
    features = head_inputs(model, task, rows, steps, buffers, kind)
    if task.scores != NULL:
        head_forward(model, task, steps.N, features, <real*> buffers.scores)
        scatter_steps(task, rows, steps, first, K, <real*> buffers.scores, K,
                      <real*> task.scores, K, False)
    if task.features != NULL:
        scatter_steps(task, rows, steps, first, D, features, D, <real*> task.features, D,
                      False)


cdef inline void put_out_rows(
    const Model* model, const Task* task, const Row* rows, Py_ssize_t n_rows,
    const Buffers* buffers, real* kind
) noexcept nogil:
    """What the caller wants of the last states."""
    cdef Py_ssize_t K = model.n_scores, D = model.n_features
    cdef const real* features
    store_states(model, task, rows, n_rows, buffers, kind)
    if model.per_step:
        return
    features = head_inputs(model, task, rows, buffers.steps, buffers, kind)
    if task.scores != NULL:
        head_forward(model, task, n_rows, features, <real*> buffers.scores)
        scatter_rows(rows, n_rows, K, <real*> buffers.scores, <real*> task.scores)
    if task.features != NULL:
        scatter_rows(rows, n_rows, D, features, <real*> task.features)


cdef inline void predict_shard(
    const Model* model, const Task* task, const Buffers* buffers, const Team* team,
    Py_ssize_t shard, real* kind
) noexcept nogil:
    cdef const Row* rows = task.rows + task.bounds[shard]
    cdef Py_ssize_t n_rows = task.bounds[shard + 1] - task.bounds[shard]
    cdef int64_t first = 0  # the first member's alone
    cdef bint leads = team.member == 0
    if leads:
        begin_shard(model, task, rows, n_rows, buffers, kind)
    while True:
        if leads:
            count_steps(task, rows, n_rows, first, buffers.steps)
        meet(team)
        if buffers.steps.T == 0:
            break
        forward_chunk(model, task, rows, buffers.steps, first, team, buffers, kind)
        if leads:
            put_out_steps(model, task, rows, first, buffers, kind)
            first += buffers.steps.T
    if leads:
        put_out_rows(model, task, rows, n_rows, buffers, kind)
    meet(team)


cdef inline void stream_step(
    const Model* model, const Task* task, const Buffers* buffers, const Team* team,
    real* kind
) noexcept nogil:
    """One step of all rows, from the states in c_last, h_last and back to them."""
    cdef const Steps* steps = buffers.steps
    cdef const real* features
    forward_chunk(model, task, task.rows, steps, 0, team, buffers, kind)
    features = head_inputs(model, task, task.rows, steps, buffers, kind)
    head_forward(model, task, steps.B, features, <real*> task.scores)


# Learning

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


cdef inline double learn_head(
    const Model* model, const Task* task, const Row* rows, const Steps* steps,
    const Buffers* buffers, real* kind
) noexcept nogil:
    """Weighted loss of a shard; its gradients of the head are added, and those of the
    head's inputs left in dy (per step) or dfeatures."""
    cdef Py_ssize_t row, D = model.n_features, M = steps.N if model.per_step else steps.B
    cdef const real* features = head_inputs(model, task, rows, steps, buffers, kind)
    cdef real* dfeatures = <real*> (buffers.dy if model.per_step else buffers.dfeatures)
    cdef double loss
    head_forward(model, task, M, features, <real*> buffers.scores)
    loss = weigh_losses(model, task, rows, steps, buffers, kind)
    head_backward(model, task, M, features, buffers, dfeatures)
    if task.dropout > 0:
        if model.per_step:
            drop_packed(task, D, dfeatures, model.n_layers, rows, steps)
        else:
            for row in range(steps.B):
                drop(task, D, dfeatures + row * D, dfeatures + row * D, model.n_layers,
                     &rows[row], 0)
    return loss


cdef inline double train_shard(
    const Model* model, const Task* task, const Buffers* buffers, const Team* team,
    Py_ssize_t shard, real* kind
) noexcept nogil:
    """Add the shard's gradients to its lane's; return its weighted loss, the first member
    of the team alone."""
    cdef Steps* steps = buffers.steps
    cdef const Row* rows = task.rows + task.bounds[shard]
    cdef Py_ssize_t n_rows = task.bounds[shard + 1] - task.bounds[shard]
    cdef bint leads = team.member == 0
    cdef double loss = 0
    if leads:
        begin_shard(model, task, rows, n_rows, buffers, kind)
        count_steps(task, rows, n_rows, 0, steps)
    meet(team)
    forward_chunk(model, task, rows, steps, 0, team, buffers, kind)
    if leads:
        store_states(model, task, rows, n_rows, buffers, kind)
        loss = learn_head(model, task, rows, steps, buffers, kind)
    layers_backward(model, task, rows, steps, team, buffers, kind)
    if leads:
        if model.vocabulary > 0:
            embedding_backward(model, task, rows, steps, buffers, kind)
        if task.input_gradients != NULL:
            scatter_steps(task, rows, steps, 0, model.n_inputs, <real*> buffers.dy,
                          model.n_inputs, <real*> task.input_gradients, model.n_inputs,
                          False)
    meet(team)
    return loss
