# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, nonecheck=False
"""A whole network over a batch: forward, loss and gradients.

Letters: B sequences of the batch, T steps, N packed rows (sum of lengths), I inputs,
H units, K scores.

# Design:
#
# a) A shard (some rows of the batch) goes through the whole network, forward and
#    backward through all steps and layers, on one thread: no barrier per step, and
#    its history is still in cache when it is needed again.
# b) A lane takes its shards one after the other into one gradient buffer; lanes run
#    in parallel and are added in their order at the end. Shards and lanes depend on
#    the data only, so the bits do not depend on the number of threads.
# c) All memory is reserved before the parallel region; nothing inside can fail.
# d) Prediction keeps no history: a shard goes through the network in chunks of
#    steps, carrying its state, so that memory does not grow with T.
"""

from cython.parallel cimport prange
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

import numpy as np

from _blas cimport gemm, real
from _losses cimport LOGISTIC, SOFTMAX, SQUARED_ERROR, Loss, loss_and_gradient
from _lstm cimport Layer, Steps, lstm_backward, lstm_forward
from _shards cimport MAX_LANES, Row, count_shards, cut

cdef extern from "_simd.h" nogil:
    int simd_highest()
    int simd_level()
    const char** simd_level_names

cdef extern from "_openmp.h" nogil:
    int omp_get_max_threads()
    bint CYLSTM_HAS_OPENMP

LOSSES = {
    "squared_error": SQUARED_ERROR,
    "logistic": LOGISTIC,
    "softmax": SOFTMAX,
}

# A fused function by the type of its numbers: forward[PRECISIONS[dtype]].
PRECISIONS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}

cdef enum:
    MAX_LAYERS = 64
    # Packed rows that prediction holds of one shard: some hundred are enough for the
    # input product to run at full speed.
    CHUNK_ROWS = 512
    # Numbers of one cache line: buffers start on their own.
    ALIGNMENT = 16
    REDUCTION_BLOCK = 4096

# Lanes may hold this many gradient numbers together (256 MiB in float32).
cdef Py_ssize_t LANE_BUDGET = 1 << 26

# Floating point operations below which waking a second thread costs more than it
# saves: some 50 microseconds of one core.
cdef double PARALLEL_WORK = 2e6


def simd():
    """Names of the instruction level in use and of the highest this CPU has."""
    return (
        (<bytes> simd_level_names[simd_level()]).decode(),
        (<bytes> simd_level_names[simd_highest()]).decode(),
    )


def max_threads():
    """Threads that OpenMP allows the calling thread now."""
    return omp_get_max_threads()


HAS_OPENMP = bool(CYLSTM_HAS_OPENMP)


cdef class Plan:
    """The layers of a network as the kernels see them.

    Parameters
    ----------
    layers : list of (I, H, weight_ih, weight_hh, bias)
        Sizes, and offsets into the flat parameter vector.
    head : (D, K, weight, bias)
        Likewise for the linear head.
    loss : str
        A key of LOSSES.
    n_parameters : int
        Length of the flat vector.
    """

    cdef Layer layers[MAX_LAYERS]
    cdef readonly Py_ssize_t n_layers, n_inputs, n_features, n_scores
    cdef readonly Py_ssize_t n_parameters, n_state
    cdef Py_ssize_t head_weight, head_bias, widest
    cdef Loss loss

    def __init__(self, layers, head, loss, Py_ssize_t n_parameters):
        if len(layers) > MAX_LAYERS:
            raise ValueError(
                f"{len(layers)} layers were given, at most {MAX_LAYERS} are possible."
            )
        self.n_layers = len(layers)
        self.n_inputs = layers[0][0]
        self.n_features, self.n_scores, self.head_weight, self.head_bias = head
        self.loss = LOSSES[loss]
        self.n_parameters = n_parameters
        self.n_state = 0
        self.widest = 0
        cdef Py_ssize_t k
        for k, sizes in enumerate(layers):
            (self.layers[k].n_inputs, self.layers[k].n_units, self.layers[k].weight_ih,
             self.layers[k].weight_hh, self.layers[k].bias) = sizes
            self.n_state += 2 * self.layers[k].n_units
            self.widest = max(self.widest, self.layers[k].n_units)

    cdef double step_work(self) noexcept nogil:
        """Floating point operations of one step of one sequence, forward."""
        cdef Py_ssize_t k, I, H
        cdef double work = 0
        for k in range(self.n_layers):
            I, H = self.layers[k].n_inputs, self.layers[k].n_units
            work += 8.0 * H * (I + H + 8)
        return work


cdef class Memory:
    """Bytes that start on a cache line and grow when more are asked for."""

    cdef object owner
    cdef char* start
    cdef Py_ssize_t n_bytes

    cdef char* reserve(self, Py_ssize_t n_bytes) except NULL:
        cdef unsigned char[::1] view
        if self.owner is None or self.n_bytes < n_bytes:
            self.owner = None  # the old memory goes before the new one comes
            self.owner = np.empty(n_bytes + 64, dtype=np.uint8)
            view = self.owner
            self.start = <char*> ((<size_t> &view[0] + 63) & ~(<size_t> 63))
            self.n_bytes = n_bytes
        return self.start


cdef class Workspace:
    """What the kernels work in, kept from one call to the next; for one caller at a
    time."""

    cdef Memory order, lanes

    def __cinit__(self):
        self.order = Memory()
        self.lanes = Memory()


cdef struct Task:
    # What a call works on; the pointers are to numbers of the call's precision.
    const void* parameters    # (P,)
    const void* values        # (*, I) the steps of all sequences
    const int64_t* starts     # (n_sequences,) first row of each in values
    const int64_t* batch      # (B,) the sequences of this batch
    const void* targets       # (n_sequences, n_targets) or NULL
    Py_ssize_t n_targets
    const void* weights       # (n_sequences,) or NULL
    double weight_scale       # 1 / sum of the batch's weights
    const void* state_in      # (B, S) or NULL for zeros
    void* state_out           # (B, S) or NULL
    void* scores              # (B, K) or NULL
    void* features            # (B, D) or NULL
    # How the batch is cut.
    Row* rows                 # (B,) longest first
    Py_ssize_t* bounds        # (n_shards + 1,)
    Py_ssize_t n_shards
    Py_ssize_t n_lanes
    # Memory of the lanes.
    char* memory
    Py_ssize_t lane_bytes
    Py_ssize_t max_rows       # of one shard
    Py_ssize_t max_steps      # of one chunk
    Py_ssize_t max_packed     # of one chunk of one shard
    bint training
    double* losses            # (n_lanes,)


cdef inline Py_ssize_t aligned(Py_ssize_t n) noexcept nogil:
    return (n + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


cdef struct Buffers:
    # One lane's memory. Chunk buffers hold max_packed rows, state buffers max_rows.
    int* counts                    # (max_steps,)
    void* x                        # (N, I)
    void* gates[MAX_LAYERS]        # (N, 4H)
    void* c[MAX_LAYERS]            # (B + N, H)
    void* h[MAX_LAYERS]            # (B + N, H)
    void* phi_c[MAX_LAYERS]        # (N, H)
    void* c_last[MAX_LAYERS]       # (B, H)
    void* h_last[MAX_LAYERS]       # (B, H)
    void* dy                       # (N, widest)
    void* h_prev                   # (N, widest)
    void* dh                       # (B, widest)
    void* dc                       # (B, widest)
    void* scores                   # (B, K)
    void* dscores                  # (B, K)
    void* gradients                # (P,)


cdef Py_ssize_t lay_out(
    Plan plan, const Task* task, Py_ssize_t item, char* memory, Buffers* out
) noexcept nogil:
    """Place one lane's buffers from `memory` on; return the bytes they take."""
    cdef Py_ssize_t k, at = 0, H
    cdef Py_ssize_t B = task.max_rows, N = task.max_packed
    out.counts = <int*> memory
    at += aligned(task.max_steps) * sizeof(int)
    out.x = memory + at
    at += aligned(N * plan.n_inputs) * item
    for k in range(plan.n_layers):
        H = plan.layers[k].n_units
        out.gates[k] = memory + at
        at += aligned(N * 4 * H) * item
        out.c[k] = memory + at
        at += aligned((B + N) * H) * item
        out.h[k] = memory + at
        at += aligned((B + N) * H) * item
        out.phi_c[k] = memory + at
        at += aligned(N * H) * item
        out.c_last[k] = memory + at
        at += aligned(B * H) * item
        out.h_last[k] = memory + at
        at += aligned(B * H) * item
    out.scores = memory + at
    at += aligned(B * plan.n_scores) * item
    if task.training:
        out.dscores = memory + at
        at += aligned(B * plan.n_scores) * item
        out.dh = memory + at
        at += aligned(B * plan.widest) * item
        out.dc = memory + at
        at += aligned(B * plan.widest) * item
        out.dy = memory + at
        at += aligned(N * plan.widest) * item
        out.h_prev = memory + at
        at += aligned(N * plan.widest) * item
        out.gradients = memory + at
        at += aligned(plan.n_parameters) * item
    return at


cdef inline void load_states(
    Plan plan, const Task* task, const Row* rows, Py_ssize_t n_rows,
    const Buffers* buffers, real* kind
) noexcept nogil:
    """Initial states from the caller's order into the shard's; zeros without."""
    cdef Py_ssize_t k, row, H, at = 0
    cdef const real* state
    for k in range(plan.n_layers):
        H = plan.layers[k].n_units
        if task.state_in == NULL:
            memset(buffers.h_last[k], 0, n_rows * H * sizeof(real))
            memset(buffers.c_last[k], 0, n_rows * H * sizeof(real))
            continue
        for row in range(n_rows):
            state = <const real*> task.state_in + rows[row].position * plan.n_state + at
            memcpy(<real*> buffers.h_last[k] + row * H, state, H * sizeof(real))
            memcpy(<real*> buffers.c_last[k] + row * H, state + H, H * sizeof(real))
        at += 2 * H


cdef inline void store_states(
    Plan plan, const Task* task, const Row* rows, Py_ssize_t n_rows,
    const Buffers* buffers, real* kind
) noexcept nogil:
    cdef Py_ssize_t k, row, H, at = 0
    cdef real* state
    for k in range(plan.n_layers):
        H = plan.layers[k].n_units
        for row in range(n_rows):
            state = <real*> task.state_out + rows[row].position * plan.n_state + at
            memcpy(state, <real*> buffers.h_last[k] + row * H, H * sizeof(real))
            memcpy(state + H, <real*> buffers.c_last[k] + row * H, H * sizeof(real))
        at += 2 * H


cdef inline Py_ssize_t count_steps(
    const Row* rows, Py_ssize_t n_rows, int64_t first, Py_ssize_t max_steps,
    Py_ssize_t max_packed, Steps* steps
) noexcept nogil:
    """Steps from `first` on that fit the chunk; how many of the rows run at each."""
    cdef Py_ssize_t n = n_rows
    steps.B = n_rows
    steps.T = 0
    steps.N = 0
    while steps.T < max_steps:
        while n > 0 and rows[n - 1].length <= first + steps.T:
            n -= 1
        if n == 0 or steps.N + n > max_packed:
            break
        steps.counts[steps.T] = <int> n
        steps.N += n
        steps.T += 1
    return steps.T


cdef inline void gather(
    Plan plan, const Task* task, const Row* rows, const Steps* steps, int64_t first,
    real* x
) noexcept nogil:
    """Inputs of the chunk's steps, packed."""
    cdef Py_ssize_t t, row, i, I = plan.n_inputs
    cdef const real* values = <const real*> task.values
    cdef const real* source
    for t in range(steps.T):
        for row in range(steps.counts[t]):
            source = values + (
                task.starts[task.batch[rows[row].position]] + first + t) * I
            for i in range(I):
                x[i] = source[i]
            x += I


cdef inline void forward_chunk(
    Plan plan, const Task* task, const Row* rows, const Steps* steps, int64_t first,
    const Buffers* buffers, real* kind
) noexcept nogil:
    """All layers over some steps, from the states in c_last, h_last and back to them."""
    cdef Py_ssize_t k, H, running = steps.counts[0]
    cdef const real* x = <real*> buffers.x
    gather(plan, task, rows, steps, first, <real*> buffers.x)
    for k in range(plan.n_layers):
        H = plan.layers[k].n_units
        memcpy(buffers.c[k], buffers.c_last[k], running * H * sizeof(real))
        memcpy(buffers.h[k], buffers.h_last[k], running * H * sizeof(real))
        lstm_forward(
            &plan.layers[k], <const real*> task.parameters, steps, x,
            <real*> buffers.gates[k], <real*> buffers.c[k], <real*> buffers.phi_c[k],
            <real*> buffers.h[k], <real*> buffers.c_last[k], <real*> buffers.h_last[k])
        x = <real*> buffers.h[k] + steps.B * H


cdef inline void head_forward(
    Plan plan, const Task* task, Py_ssize_t n_rows, const Buffers* buffers, real* kind
) noexcept nogil:
    cdef Py_ssize_t K = plan.n_scores, D = plan.n_features, row
    cdef const real* parameters = <const real*> task.parameters
    cdef real* scores = <real*> buffers.scores
    for row in range(n_rows):
        memcpy(scores + row * K, parameters + plan.head_bias, K * sizeof(real))
    # S = H W' + b   (B x K) = (B x D) (D x K)
    gemm(False, True, n_rows, K, D, <real*> buffers.h_last[plan.n_layers - 1], D,
         parameters + plan.head_weight, D, <real> 1, scores, K)


cdef void predict_shard(
    Plan plan, const Task* task, Py_ssize_t lane, Py_ssize_t shard, real* kind
) noexcept nogil:
    cdef Buffers buffers
    cdef Steps steps
    cdef const Row* rows = task.rows + task.bounds[shard]
    cdef Py_ssize_t n_rows = task.bounds[shard + 1] - task.bounds[shard]
    cdef Py_ssize_t row, K = plan.n_scores, D = plan.n_features
    cdef int64_t first = 0
    lay_out(plan, task, sizeof(real), task.memory + lane * task.lane_bytes, &buffers)
    steps.counts = buffers.counts
    load_states(plan, task, rows, n_rows, &buffers, kind)
    while count_steps(rows, n_rows, first, task.max_steps, task.max_packed, &steps) > 0:
        forward_chunk(plan, task, rows, &steps, first, &buffers, kind)
        first += steps.T
    if task.scores != NULL:
        head_forward(plan, task, n_rows, &buffers, kind)
        for row in range(n_rows):
            memcpy(<real*> task.scores + rows[row].position * K,
                   <real*> buffers.scores + row * K, K * sizeof(real))
    if task.features != NULL:
        for row in range(n_rows):
            memcpy(<real*> task.features + rows[row].position * D,
                   <real*> buffers.h_last[plan.n_layers - 1] + row * D,
                   D * sizeof(real))
    if task.state_out != NULL:
        store_states(plan, task, rows, n_rows, &buffers, kind)


cdef double train_shard(
    Plan plan, const Task* task, Py_ssize_t lane, Py_ssize_t shard, real* kind
) noexcept nogil:
    """Add the shard's gradients to its lane's; return its weighted loss."""
    cdef Buffers buffers
    cdef Steps steps
    cdef const Row* rows = task.rows + task.bounds[shard]
    cdef Py_ssize_t n_rows = task.bounds[shard + 1] - task.bounds[shard]
    cdef Py_ssize_t row, k, H, K = plan.n_scores, D = plan.n_features
    cdef Py_ssize_t top = plan.n_layers - 1
    cdef int64_t sequence
    cdef double loss = 0, weight
    cdef real* gradients
    cdef real* dscores
    cdef real* scratch = NULL
    cdef const real* x
    lay_out(plan, task, sizeof(real), task.memory + lane * task.lane_bytes, &buffers)
    steps.counts = buffers.counts
    gradients = <real*> buffers.gradients
    dscores = <real*> buffers.dscores

    load_states(plan, task, rows, n_rows, &buffers, kind)
    count_steps(rows, n_rows, 0, task.max_steps, task.max_packed, &steps)
    forward_chunk(plan, task, rows, &steps, 0, &buffers, kind)
    head_forward(plan, task, n_rows, &buffers, kind)
    if task.state_out != NULL:
        store_states(plan, task, rows, n_rows, &buffers, kind)

    for row in range(n_rows):
        sequence = task.batch[rows[row].position]
        weight = (<const real*> task.weights)[sequence] * task.weight_scale
        loss += weight * loss_and_gradient(
            plan.loss, K, <real*> buffers.scores + row * K,
            <const real*> task.targets + sequence * task.n_targets, dscores + row * K)
        for k in range(K):
            dscores[row * K + k] *= <real> weight
            gradients[plan.head_bias + k] += dscores[row * K + k]

    # dW += dS' H   (K x D) += (K x B) (B x D)
    gemm(True, False, K, D, n_rows, dscores, K, <real*> buffers.h_last[top], D,
         <real> 1, gradients + plan.head_weight, D)
    # dH = dS W   (B x D) = (B x K) (K x D)
    gemm(False, False, n_rows, D, K, dscores, K,
         <const real*> task.parameters + plan.head_weight, D,
         <real> 0, <real*> buffers.dh, D)

    if steps.counts[steps.T - 1] < n_rows:
        scratch = <real*> buffers.h_prev
    for k in range(top, -1, -1):
        H = plan.layers[k].n_units
        memset(buffers.dc, 0, n_rows * H * sizeof(real))
        if k < top:
            memset(buffers.dh, 0, n_rows * H * sizeof(real))
        x = (<real*> buffers.h[k - 1] + n_rows * plan.layers[k - 1].n_units if k > 0
             else <real*> buffers.x)
        lstm_backward(
            &plan.layers[k], <const real*> task.parameters, &steps, x,
            <real*> buffers.gates[k], <real*> buffers.c[k], <real*> buffers.phi_c[k],
            <real*> buffers.h[k], <real*> buffers.dy if k < top else NULL,
            <real*> buffers.dh, <real*> buffers.dc, scratch,
            <real*> buffers.dy if k > 0 else NULL, gradients)
    return loss


cdef void train_lane(
    Plan plan, const Task* task, Py_ssize_t lane, real* kind
) noexcept nogil:
    cdef Buffers buffers
    cdef Py_ssize_t shard
    lay_out(plan, task, sizeof(real), task.memory + lane * task.lane_bytes, &buffers)
    memset(buffers.gradients, 0, plan.n_parameters * sizeof(real))
    task.losses[lane] = 0
    shard = lane
    while shard < task.n_shards:
        task.losses[lane] += train_shard(plan, task, lane, shard, kind)
        shard += task.n_lanes


cdef void predict_lane(
    Plan plan, const Task* task, Py_ssize_t lane, real* kind
) noexcept nogil:
    cdef Py_ssize_t shard = lane
    while shard < task.n_shards:
        predict_shard(plan, task, lane, shard, kind)
        shard += task.n_lanes


cdef void add_lanes(
    Plan plan, const Task* task, Py_ssize_t block, real* gradients
) noexcept nogil:
    """Sum one block of the gradient vector over the lanes, in their order."""
    cdef Buffers buffers
    cdef Py_ssize_t lane, j, begin = block * REDUCTION_BLOCK
    cdef Py_ssize_t end = min(begin + REDUCTION_BLOCK, plan.n_parameters)
    cdef const real* of_lane
    for lane in range(task.n_lanes):
        lay_out(plan, task, sizeof(real), task.memory + lane * task.lane_bytes, &buffers)
        of_lane = <const real*> buffers.gradients
        if lane == 0:
            memcpy(gradients + begin, of_lane + begin, (end - begin) * sizeof(real))
        else:
            for j in range(begin, end):
                gradients[j] += of_lane[j]


cdef int prepare(
    Plan plan, Task* task, Workspace workspace, const int64_t[::1] lengths,
    const int64_t[::1] batch, Py_ssize_t item, Py_ssize_t n_threads
) except -1:
    """Cut the batch into shards, reserve memory; return the number of threads."""
    cdef Py_ssize_t B = batch.shape[0], k, shard, packed
    cdef Py_ssize_t rows_bytes, bounds_bytes
    cdef double work = 0, n_bytes
    cdef char* memory
    cdef Buffers unused
    task.n_shards = count_shards(B)
    if task.training:
        task.n_lanes = min(task.n_shards, <Py_ssize_t> MAX_LANES)
        task.n_lanes = min(task.n_lanes, max(2, LANE_BUDGET // plan.n_parameters))
    else:
        # Prediction sums nothing over rows: a lane a thread is enough.
        task.n_lanes = min(task.n_shards, max(1, n_threads))

    rows_bytes = B * sizeof(Row)
    bounds_bytes = (task.n_shards + 1) * sizeof(Py_ssize_t)
    memory = workspace.order.reserve(
        rows_bytes + bounds_bytes + task.n_lanes * sizeof(double))
    task.rows = <Row*> memory
    task.bounds = <Py_ssize_t*> (memory + rows_bytes)
    task.losses = <double*> (memory + rows_bytes + bounds_bytes)
    for k in range(B):
        task.rows[k].position = k
        task.rows[k].length = lengths[batch[k]]
        work += lengths[batch[k]]
    cut(task.rows, B, task.n_shards, task.bounds)

    for shard in range(task.n_shards):
        packed = 0
        for k in range(task.bounds[shard], task.bounds[shard + 1]):
            packed += task.rows[k].length
        task.max_packed = max(task.max_packed, packed)
        task.max_rows = max(task.max_rows, task.bounds[shard + 1] - task.bounds[shard])
    task.max_steps = task.rows[0].length
    if not task.training:
        task.max_packed = min(
            task.max_packed, max(<Py_ssize_t> CHUNK_ROWS, task.max_rows))
        task.max_steps = min(task.max_steps, task.max_packed)
    # In floating point, where no product overflows.
    n_bytes = 64.0 * task.max_packed * plan.widest * plan.n_layers * task.n_lanes
    if n_bytes > 2.0 ** 60 or task.max_packed > 0x7fffffff:
        raise MemoryError(
            f"{B} sequences of up to {task.rows[0].length} steps are too much for one "
            "batch. Use shorter sequences or a smaller batch_size."
        )
    task.lane_bytes = lay_out(plan, task, item, NULL, &unused)
    task.memory = workspace.lanes.reserve(task.n_lanes * task.lane_bytes)

    work *= plan.step_work() * (3 if task.training else 1)
    return 1 if work < PARALLEL_WORK else <int> max(1, min(n_threads, task.n_lanes))


def loss_and_gradients(
    Plan plan not None,
    Workspace workspace not None,
    const real[::1] parameters,
    const real[:, ::1] values,
    const int64_t[::1] starts,
    const int64_t[::1] lengths,
    const real[:, ::1] targets,
    const real[::1] weights,
    const int64_t[::1] batch,
    real[::1] gradients,
    Py_ssize_t n_threads,
    const real[:, ::1] state_in=None,
    real[:, ::1] state_out=None,
):
    """Weighted mean loss of a batch; its gradient goes into `gradients`.

    Parameters
    ----------
    plan, workspace
        The network and memory to work in.
    parameters : (P,)
        The flat vector.
    values : (n_steps of all sequences, I)
        Sequence k is values[starts[k]:starts[k] + lengths[k]].
    starts, lengths : (n_sequences,)
    targets : (n_sequences, n_targets)
        What the loss expects: K numbers, or one class index.
    weights : (n_sequences,)
        Sample weights; the loss is sum(weight loss) / sum(weight) over the batch,
        zero where all weights are.
    batch : (B,)
        The sequences to learn from.
    gradients : (P,)
        Written.
    n_threads : int
        At most so many threads; small batches run on one.
    state_in, state_out : (B, 2 sum(H)), optional
        Initial and final h and c of each layer in turn, in the batch's order.

    Returns
    -------
    loss, total_weight : float
    """
    cdef Task task
    cdef int threads
    cdef Py_ssize_t k, lane, block, n_blocks
    cdef double loss = 0, total_weight = 0
    cdef real* kind = NULL
    memset(&task, 0, sizeof(Task))
    for k in range(batch.shape[0]):
        total_weight += weights[batch[k]]
    if total_weight == 0:
        gradients[:] = 0
        return 0.0, 0.0
    task.training = True
    task.parameters = &parameters[0]
    task.values = &values[0, 0]
    task.starts = &starts[0]
    task.batch = &batch[0]
    task.targets = &targets[0, 0]
    task.n_targets = targets.shape[1]
    task.weights = &weights[0]
    task.weight_scale = 1 / total_weight
    if state_in is not None:
        task.state_in = &state_in[0, 0]
    if state_out is not None:
        task.state_out = &state_out[0, 0]
    threads = prepare(plan, &task, workspace, lengths, batch, sizeof(real), n_threads)
    n_blocks = (plan.n_parameters + REDUCTION_BLOCK - 1) // REDUCTION_BLOCK
    with nogil:
        for lane in prange(task.n_lanes, num_threads=threads, schedule="dynamic",
                           chunksize=1, use_threads_if=threads > 1):
            train_lane(plan, &task, lane, kind)
        for block in prange(n_blocks, num_threads=threads, schedule="static",
                            use_threads_if=threads > 1):
            add_lanes(plan, &task, block, &gradients[0])
        for lane in range(task.n_lanes):
            loss += task.losses[lane]
    return loss, total_weight


def forward(
    Plan plan not None,
    Workspace workspace not None,
    const real[::1] parameters,
    const real[:, ::1] values,
    const int64_t[::1] starts,
    const int64_t[::1] lengths,
    const int64_t[::1] batch,
    Py_ssize_t n_threads,
    real[:, ::1] scores=None,
    real[:, ::1] features=None,
    const real[:, ::1] state_in=None,
    real[:, ::1] state_out=None,
):
    """Fill what is given: scores (B, K), features (B, D) = last hidden state of the
    top layer, state_out. The other arguments are those of loss_and_gradients."""
    cdef Task task
    cdef int threads
    cdef Py_ssize_t lane
    cdef real* kind = NULL
    memset(&task, 0, sizeof(Task))
    task.parameters = &parameters[0]
    task.values = &values[0, 0]
    task.starts = &starts[0]
    task.batch = &batch[0]
    if scores is not None:
        task.scores = &scores[0, 0]
    if features is not None:
        task.features = &features[0, 0]
    if state_in is not None:
        task.state_in = &state_in[0, 0]
    if state_out is not None:
        task.state_out = &state_out[0, 0]
    threads = prepare(plan, &task, workspace, lengths, batch, sizeof(real), n_threads)
    with nogil:
        for lane in prange(task.n_lanes, num_threads=threads, schedule="dynamic",
                           chunksize=1, use_threads_if=threads > 1):
            predict_lane(plan, &task, lane, kind)
