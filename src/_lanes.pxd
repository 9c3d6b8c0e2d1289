# cython: cdivision=True
"""The threads of a call: lanes take their shards one after the other, and what they have
learnt is added in their order. Shards and lanes depend on the data alone, so that the bits
do not depend on the number of threads."""

from cython.parallel cimport parallel, prange, threadid
from libc.string cimport memset

from _blas cimport real
from _lstm cimport Team, team_meeting
from _model cimport Buffers, Model, Task, inputs_wanted, take_buffers, take_gradients
from _packing cimport COLUMNS, ROWS, ROWS_TO_INPUT, Wanted, count_items, move_item
from _predict_pass cimport predict_shard
from _train_pass cimport BACKWARD, FORWARD, train_shard
from _wide_head cimport (
    CLASSES, INPUTS, SOFTMAX_STEPS, count_backward, gather_classes, pieces, wide_backward,
    wide_embedding, wide_losses, wide_scores
)


cdef extern from "_openmp.h" nogil:
    int omp_get_num_threads()
    void wait_for_all()

cdef enum:
    REDUCTION_BLOCK = 4096


cdef inline Py_ssize_t rest(const Model* model, const Task* task) noexcept nogil:
    """Gradients of a lane beside those of the layers."""
    if task.wide != NULL:
        return 0
    return model.n_dense - model.n_flat + task.n_touched * model.n_inputs


cdef inline void train_lane(
    const Model* model, const Task* task, Py_ssize_t worker, const Team* team,
    Py_ssize_t lane, int stages, real* kind
) noexcept nogil:
    cdef Buffers buffers
    cdef Py_ssize_t shard = lane
    cdef double loss = 0
    take_gradients(model, task, sizeof(real), lane, &buffers)
    if team.member == 0 and stages & BACKWARD:
        memset(buffers.layer_gradients, 0, model.n_gradients * sizeof(real))
        memset(<real*> buffers.gradients + model.n_flat, 0,
               rest(model, task) * sizeof(real))
    while shard < task.n_shards:
        # Where the head is wide, each shard's own: its history waits for the head.
        take_buffers(model, task, sizeof(real), worker if task.wide == NULL else shard,
                     lane, &buffers)
        loss += train_shard(model, task, &buffers, team, shard, stages, kind)
        shard += task.n_lanes
    if team.member == 0:
        task.losses[lane] = loss


cdef inline void predict_lane(
    const Model* model, const Task* task, Py_ssize_t worker, const Team* team,
    Py_ssize_t lane, real* kind
) noexcept nogil:
    cdef Buffers buffers
    cdef Py_ssize_t shard = lane
    take_buffers(model, task, sizeof(real), worker, 0, &buffers)
    while shard < task.n_shards:
        predict_shard(model, task, &buffers, team, shard, kind)
        shard += task.n_lanes


cdef inline void run_lane(
    const Model* model, const Task* task, Py_ssize_t worker, Py_ssize_t lane, int stages,
    real* kind
) noexcept nogil:
    """A lane on one thread."""
    cdef team_meeting alone
    cdef Team team
    alone.members = 1
    team.member = 0
    team.portion = task.portion
    team.meeting = &alone
    if task.training:
        train_lane(model, task, worker, &team, lane, stages, kind)
    else:
        predict_lane(model, task, worker, &team, lane, kind)


cdef inline void run_team(
    const Model* model, const Task* task, int thread, int n_threads, int stages, real* kind
) noexcept nogil:
    """The lanes of a thread's team. OpenMP may have given fewer threads than were asked
    for: then teams are smaller, or threads without a team go free."""
    cdef int members = max(1, min(<int> task.n_members, n_threads // <int> task.n_lanes))
    cdef Py_ssize_t n_teams = min(task.n_lanes, <Py_ssize_t> (n_threads // members))
    cdef Py_ssize_t worker = thread // members, lane = worker
    cdef Team team
    if worker >= n_teams:
        return
    team.member = thread % members
    team.portion = task.portion
    team.meeting = &task.meetings[worker]
    team.meeting.members = members
    while lane < task.n_lanes:
        if task.training:
            train_lane(model, task, worker, &team, lane, stages, kind)
        else:
            predict_lane(model, task, worker, &team, lane, kind)
        lane += n_teams


cdef inline void add_lanes(
    const Model* model, const Task* task, Py_ssize_t block, real* kind
) noexcept nogil:
    """Add one block of the other lanes' gradients to those of the first, in their order:
    blocks of the layers' come first, then those of the rest."""
    cdef Py_ssize_t blocks = (model.n_gradients + REDUCTION_BLOCK - 1) // REDUCTION_BLOCK
    cdef bint layers = block < blocks
    cdef Py_ssize_t n = model.n_gradients if layers else rest(model, task)
    cdef Py_ssize_t begin = (block if layers else block - blocks) * REDUCTION_BLOCK
    cdef Py_ssize_t end = min(begin + REDUCTION_BLOCK, n), lane, j
    cdef Buffers of_lane
    cdef const real* source
    cdef real* out = NULL
    for lane in range(task.n_lanes):
        take_gradients(model, task, sizeof(real), lane, &of_lane)
        source = (<const real*> of_lane.layer_gradients if layers
                  else <const real*> of_lane.gradients + model.n_flat)
        if lane == 0:
            out = <real*> source
            continue
        for j in range(begin, end):
            out[j] += source[j]


cdef inline Wanted weights_wanted(const Model* model, const Task* task) noexcept nogil:
    if not task.training:
        return COLUMNS
    return ROWS_TO_INPUT if inputs_wanted(model, task) else ROWS


cdef inline void run(
    const Model* model, Task* task, int threads, real* kind
) noexcept nogil:
    """Pack the weights, go through all shards, sum the gradients and unpack them."""
    cdef Py_ssize_t k, n_packed, n_sums = 0, n_unpacked = 0, n_embedding = 0
    cdef Py_ssize_t n_gathered = 0
    cdef int stages = FORWARD | BACKWARD
    cdef Wanted wanted = weights_wanted(model, task)
    cdef real* weights = <real*> task.weights_of_layers
    cdef real* flat = <real*> task.parameters
    n_packed = count_items(model, wanted, task.portion)
    if task.training:
        n_unpacked = count_items(model, COLUMNS, task.portion)
        if task.n_lanes > 1:
            n_sums = ((model.n_gradients + REDUCTION_BLOCK - 1) // REDUCTION_BLOCK
                      + (rest(model, task) + REDUCTION_BLOCK - 1) // REDUCTION_BLOCK)
    if task.wide != NULL:
        stages = BACKWARD
        if task.wide.classes != NULL:
            n_gathered = pieces(task.wide.K, CLASSES)
        if model.vocabulary > 0:
            n_embedding = pieces(model.n_inputs, INPUTS)
    with parallel(num_threads=threads, use_threads_if=threads > 1):
        for k in prange(n_packed, schedule="static"):
            move_item(model, k, wanted, task.portion, flat, weights, False)
        wait_for_all()  # which prange does not within a parallel block
        if task.wide != NULL:
            for k in prange(n_gathered, schedule="static"):
                gather_classes(model, task, k, kind)
            if task.n_members > 1:
                run_team(model, task, threadid(), omp_get_num_threads(), FORWARD, kind)
            else:
                for k in prange(task.n_lanes, schedule="dynamic", chunksize=1):
                    run_lane(model, task, threadid(), k, FORWARD, kind)
            wait_for_all()
            for k in prange(pieces(task.wide.K, CLASSES), schedule="dynamic"):
                wide_scores(model, task, k, threadid(), kind)
            wait_for_all()
            for k in prange(pieces(task.wide.n_steps, SOFTMAX_STEPS), schedule="dynamic"):
                wide_losses(model, task, k, kind)
            wait_for_all()
            for k in prange(count_backward(model, task), schedule="dynamic"):
                wide_backward(model, task, k, threadid(), kind)
            wait_for_all()
        if task.n_members > 1:
            run_team(model, task, threadid(), omp_get_num_threads(), stages, kind)
        else:
            for k in prange(task.n_lanes, schedule="dynamic", chunksize=1):
                run_lane(model, task, threadid(), k, stages, kind)
        wait_for_all()
        for k in prange(n_embedding, schedule="static"):
            wide_embedding(model, task, k, kind)
        for k in prange(n_sums, schedule="static"):
            add_lanes(model, task, k, kind)
        wait_for_all()
        for k in prange(n_unpacked, schedule="static"):
            move_item(model, k, COLUMNS, task.portion, <real*> task.gradients,
                      <real*> task.lanes, True)
