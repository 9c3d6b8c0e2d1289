# cython: cdivision=True
"""One shard forward through the whole network, in chunks of steps.

Letters: B rows (sequences) of the shard, T steps and N packed rows of a chunk, D
features, K scores, M = N where there are scores per step, else B. An unused argument
`kind` picks the precision.

All members of a team run the same functions. In the layers they share the work, all else
is the first member's, and they meet wherever one needs what another has written.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memset

from _blas cimport gemm, real
from _lstm cimport Steps, Team, lstm_forward, meet
from _model cimport MAX_LAYERS, Buffers, Model, Task, own_inputs
from _rows cimport (
    copy_columns, drop, drop_packed, dropout_double, dropout_float, dropout_key,
    find_mirror, source_row
)
from _shards cimport Row


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


cdef inline void begin_shard(
    const Model* model, const Task* task, const Row* rows, Py_ssize_t n_rows,
    const Buffers* buffers, real* kind
) noexcept nogil:
    load_states(model, task, rows, n_rows, buffers, kind)
    if task.recurrent_dropout > 0:
        draw_masks(model, task, rows, n_rows, buffers, kind)
