# cython: cdivision=True
"""One shard through the network for what the caller wants of it: scores, features, states,
gates. The letters are those of _forward_pass.pxd."""

from libc.stdint cimport int64_t

from _blas cimport real
from _forward_pass cimport (
    begin_shard, forward_chunk, head_forward, head_inputs, store_states
)
from _losses cimport loss_and_gradient
from _lstm cimport Layer, Steps, Team, meet
from _model cimport Buffers, Model, Task
from _rows cimport count_steps, scatter_rows, scatter_steps, source_row
from _shards cimport Row


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


cdef inline void put_out_losses(
    const Model* model, const Task* task, const Row* rows, int64_t first,
    const Buffers* buffers, real* kind
) noexcept nogil:
    """Losses of a chunk's steps, from their scores."""
    cdef const Steps* steps = buffers.steps
    cdef Py_ssize_t t, row
    cdef int64_t at
    cdef const real* scores = <real*> buffers.scores
    cdef const real* targets = <const real*> task.targets
    for t in range(steps.T):
        for row in range(steps.counts[t]):
            at = source_row(task, &rows[row]) + first + t
            task.step_losses[at] = loss_and_gradient(
                model.loss, model.levels, model.n_scores, scores, task.n_targets,
                targets + at * task.n_targets, <real*> buffers.dscores)
            scores += model.n_scores


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
    if task.scores != NULL or task.step_losses != NULL:
        head_forward(model, task, steps.N, features, <real*> buffers.scores)
    if task.scores != NULL:
        scatter_steps(task, rows, steps, first, K, <real*> buffers.scores, K,
                      <real*> task.scores, K, False)
    if task.step_losses != NULL:
        put_out_losses(model, task, rows, first, buffers, kind)
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
