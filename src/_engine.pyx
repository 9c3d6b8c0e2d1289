# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, nonecheck=False
"""A whole network over a batch: forward, loss and gradients.

Letters: B sequences of the batch, T steps, N packed rows (sum of lengths), I inputs,
H units, D features and K scores of the head, S numbers of a state, P parameters.

# Design:
#
# a) A shard (some rows of the batch) goes through the whole network, forward and
#    backward through all steps and layers, on one thread: no barrier per step, and
#    its history is still in cache when it is needed again (_train_pass.pxd).
# b) A lane takes its shards one after the other into one gradient buffer; lanes run
#    in parallel and are added in their order at the end. Shards and lanes depend on
#    the data only, so the bits do not depend on the number of threads.
#    History is a thread's, gradients are a lane's.
# c) All memory is reserved before the parallel region; nothing inside can fail.
# d) Prediction keeps no history: a shard goes through the network in chunks of
#    steps, carrying its state, so that memory does not grow with T. Only where layers
#    run both ways a chunk is the whole sequence.
# e) The embedding's gradient holds the tokens of the batch alone, so that its cost does
#    not grow with the vocabulary.
# f) Weights are packed once per call (_packing.pxd), gradients summed over the lanes as
#    they are and unpacked once.
# g) Where there are fewer shards than threads, the threads of a team go through one shard
#    together and share the units of its layers.
"""

from cython.parallel cimport prange
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

import os

import numpy as np

from _blas cimport real
from _losses cimport (
    ABSOLUTE_ERROR, HUBER, LINEAR, LOGISTIC, POISSON, QUANTILE, SOFTMAX, SQUARED_ERROR
)
from _forward_pass cimport load_states, store_states
from _lanes cimport rest, run
from _lstm cimport PORTION, Team, team_meeting
from _model cimport MAX_LAYERS, Buffers, Model, Task, Wide, lay_out, take_buffers
from _packing cimport COLUMNS, count_items, move_item, plan_layers
from _predict_pass cimport stream_step
from _shards cimport MAX_LANES, Row, count_shards, cut
from _wide_head cimport MAX_SCORES, MULTIPLY_SCRATCH


cdef extern from "_simd.h" nogil:
    int simd_highest()
    int simd_level()
    const char** simd_level_names

cdef extern from "_cells_simd.h" nogil:
    ctypedef struct cell_facts:
        const char* name
        const char* gates
        int n_gates
        int n_peepholes
        int recurrent
    const cell_facts* cells
    int n_cells

cdef extern from "_peak_simd.h" nogil:
    double multiply_adds_float "multiply_adds_float[simd_level()]" (long rounds)

cdef extern from "_openmp.h" nogil:
    int omp_get_max_threads()
    int omp_get_num_procs()
    bint CYLSTM_HAS_OPENMP

LOSSES = {
    "squared_error": SQUARED_ERROR,
    "absolute_error": ABSOLUTE_ERROR,
    "huber": HUBER,
    "poisson": POISSON,
    "quantile": QUANTILE,
    "logistic": LOGISTIC,
    "softmax": SOFTMAX,
    "linear": LINEAR,
}

# Name -> (row of the table, gates in their order, peephole vectors, recurrent product).
CELLS = {
    (<bytes> cells[k].name).decode(): (
        k, (<bytes> cells[k].gates).decode(), cells[k].n_peepholes,
        bool(cells[k].recurrent))
    for k in range(n_cells)
}

# A fused function by the type of its numbers: forward[PRECISIONS[dtype]].
PRECISIONS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}

HAS_OPENMP = bool(CYLSTM_HAS_OPENMP)

cdef enum:
    # Packed rows that prediction holds of one shard: some hundred are enough for the
    # input product to run at full speed.
    CHUNK_ROWS = 512
    # Steps of a batch, all as long as the longest, of which the history is small.
    FEW_STEPS = 1 << 18

# Lanes may hold this many gradient numbers together (256 MiB in float32).
cdef Py_ssize_t LANE_BUDGET = 1 << 26

# Floating point operations below which waking a second thread costs more than it
# saves: some 50 microseconds of one core.
cdef double PARALLEL_WORK = 2e6

# Likewise those of one member and one step, between two meetings of a team.
cdef double MEMBER_WORK = 5e4

# Threads that teams may have together: members that wait for each other at every step
# must all be running.
cdef int team_threads = omp_get_num_procs()

# Scores per step from which on a head is wide (_wide_head.pxd).
cdef Py_ssize_t wide_scores = 512


def simd():
    """Names of the instruction level in use and of the highest this CPU has."""
    return (
        (<bytes> simd_level_names[simd_level()]).decode(),
        (<bytes> simd_level_names[simd_highest()]).decode(),
    )


def products():
    """"packed", or "blas" where CYLSTM_PRODUCTS asks for it: who multiplies in the layers
    of networks made from now on."""
    return "blas" if os.environ.get("CYLSTM_PRODUCTS") == "blas" else "packed"


def multiply_adds(long rounds, int n_threads):
    """Do multiply-adds in registers, float32, at the level in use, on each thread; return
    how many floating point operations that were. For benchmarks."""
    cdef double done = 0
    cdef int _thread
    with nogil:
        for _thread in prange(n_threads, num_threads=n_threads, schedule="static"):
            done += multiply_adds_float(rounds)
    return done


def allow_team_threads(int n):
    """Let teams have n threads together, for tests; return how many they had before."""
    global team_threads
    before = team_threads
    team_threads = n
    return before


def wide_heads_from(Py_ssize_t n_scores):
    """Let heads be wide from so many scores on, for tests; return from how many they
    were."""
    global wide_scores
    before = wide_scores
    wide_scores = n_scores
    return before


def max_threads():
    """Threads that OpenMP allows the calling thread now."""
    return omp_get_max_threads()


cdef class Plan:
    """The layers of a network as the kernels see them.

    Parameters
    ----------
    layers : list of list of (I, H, weight_ih, weight_hh, bias, peephole)
        For each layer its directions: sizes, and offsets into the flat parameter vector.
    cell, activation, loss : str
        A key of CELLS; "tanh" or "relu"; a key of LOSSES.
    head : (D, K, weight, bias)
        Sizes and offsets of the linear head.
    per_step : bool
        Scores for every step, not for the last alone.
    vocabulary : int
        Tokens of the embedding, 0 without. Its weights stand at the end of the vector.
    tied : bool
        The head's weights are those of the embedding.
    n_parameters : int
        Length of the flat vector.
    levels : float64 array of shape (K,) or None
        Levels of the quantile loss.
    """

    cdef Model model
    cdef const double[::1] levels

    def __init__(
        self, layers, cell, activation, head, loss, per_step, Py_ssize_t vocabulary,
        bint tied, Py_ssize_t n_parameters, levels=None
    ):
        if len(layers) > MAX_LAYERS:
            raise ValueError(
                f"{len(layers)} layers were given, at most {MAX_LAYERS} are possible."
            )
        cdef Model* model = &self.model
        cdef Py_ssize_t k
        memset(model, 0, sizeof(Model))
        index, gates, model.n_peepholes, recurrent = CELLS[cell]
        model.n_layers = len(layers)
        model.n_directions = len(layers[0])
        model.n_inputs = layers[0][0][0]
        model.n_features, model.n_scores, model.head_weight, model.head_bias = head
        model.per_step = per_step
        model.vocabulary = vocabulary
        model.tied = tied
        model.n_dense = n_parameters - vocabulary * model.n_inputs
        model.loss = LOSSES[loss]
        if levels is not None:
            self.levels = levels
            model.levels = &self.levels[0]
        for k, direction in enumerate([d for layer in layers for d in layer]):
            model.layers[k].cell = index
            model.layers[k].relu = activation == "relu"
            model.layers[k].recurrent = recurrent
            model.layers[k].n_gates = len(gates)
            (model.layers[k].n_inputs, model.layers[k].n_units,
             model.layers[k].weight_ih, model.layers[k].weight_hh,
             model.layers[k].bias, model.layers[k].peephole) = direction
            model.n_state += 2 * model.layers[k].n_units
        model.n_flat = model.head_bias if tied else model.head_weight
        plan_layers(model, products() == "packed")
        for k in range(model.n_layers * model.n_directions):
            model.widest_units = max(model.widest_units, model.layers[k].n_padded)
            model.widest_inputs = max(model.widest_inputs, model.layers[k].n_inputs)


cdef double layers_work(const Model* model) noexcept nogil:
    """Floating point operations of one step of one sequence, forward."""
    cdef Py_ssize_t k, I, H
    cdef double work = 0
    for k in range(model.n_layers * model.n_directions):
        I, H = model.layers[k].n_inputs, model.layers[k].n_units
        work += 2.0 * model.layers[k].n_gates * H * (I + H + 8)
    return work


cdef double step_work(const Model* model) noexcept nogil:
    """Likewise with the head."""
    cdef double work = layers_work(model)
    if model.per_step:
        work += 2.0 * model.n_features * model.n_scores
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

    cdef Memory order, lanes, weights, head
    cdef Wide wide
    cdef readonly Py_ssize_t n_members  # of a team, in the last call
    cdef int[::1] slots  # of every token, -1 for those that are not in the batch
    cdef int[::1] class_slots  # of the classes in the batch

    def __cinit__(self):
        self.slots = self.class_slots = np.empty(0, dtype=np.intc)
        self.order = Memory()
        self.lanes = Memory()
        self.weights = Memory()
        self.head = Memory()


cdef void touch_tokens(
    const Model* model, const Task* task, const int64_t[::1] lengths,
    const int64_t[::1] batch, const int64_t[::1] classes, int* slots, int64_t[::1] touched,
    Py_ssize_t* n_touched
) noexcept:
    """Number the different tokens of the batch, in the order of their coming; before them
    the classes of the head, where its weights are theirs."""
    cdef Py_ssize_t k, t
    cdef int64_t token
    n_touched[0] = 0
    if model.tied:
        n_touched[0] = model.vocabulary if classes is None else classes.shape[0]
        for k in range(n_touched[0]):
            touched[k] = k if classes is None else classes[k]
            slots[touched[k]] = <int> k
    for k in range(batch.shape[0]):
        for t in range(lengths[batch[k]]):
            token = task.tokens[task.starts[batch[k]] + t]
            if slots[token] < 0:
                slots[token] = <int> n_touched[0]
                touched[n_touched[0]] = token
                n_touched[0] += 1


cdef void form_teams(
    const Model* model, Task* task, Py_ssize_t n_threads, double n_steps
) noexcept nogil:
    """A team has the threads that the shards leave over, as many as a step of a shard has
    work for and as every layer has blocks."""
    cdef Py_ssize_t k, n_layers = model.n_layers * model.n_directions
    cdef Py_ssize_t members = min(n_threads, <Py_ssize_t> team_threads) // task.n_lanes
    cdef Py_ssize_t fewest = model.layers[0].n_blocks
    cdef double rows = n_steps / (<double> task.rows[0].length * task.n_shards)
    for k in range(n_layers):
        fewest = min(fewest, model.layers[k].n_blocks)
    members = min(members, fewest)
    members = min(members, <Py_ssize_t> (
        rows * layers_work(model) / (n_layers * MEMBER_WORK)))
    # Members of a team would draw the same masks.
    if not model.packed or task.recurrent_dropout > 0 or members < 1:
        members = 1
    task.n_members = members
    task.portion = PORTION
    if members > 1:
        task.portion = max(<Py_ssize_t> 1, min(
            <Py_ssize_t> PORTION, fewest // members))


cdef int prepare_head(
    const Model* model, Task* task, Workspace workspace, Py_ssize_t n_steps,
    Py_ssize_t item, Py_ssize_t n_threads
) except -1:
    """Memory for a wide head, where the task has one."""
    cdef Wide* wide = task.wide
    cdef Py_ssize_t k, shard, M = 0
    cdef Py_ssize_t sizes[9]
    cdef Py_ssize_t starts[10]
    cdef char* memory
    if wide == NULL:
        return 0
    wide.n_steps = n_steps
    sizes[0] = task.n_shards * sizeof(Py_ssize_t)
    sizes[1] = n_steps * sizeof(int64_t)
    sizes[2] = n_steps * sizeof(double)
    sizes[3] = sizes[4] = n_steps * model.n_features * item
    sizes[5] = n_steps * wide.K * item
    sizes[6] = n_threads * MULTIPLY_SCRATCH * item
    sizes[7] = 0 if wide.classes == NULL else wide.K * model.n_features * item
    sizes[8] = 0 if wide.classes == NULL else wide.K * item
    starts[0] = 0
    for k in range(9):
        starts[k + 1] = starts[k] + (sizes[k] + 63) // 64 * 64
    memory = workspace.head.reserve(starts[9])
    wide.first = <Py_ssize_t*> memory
    wide.rows = <int64_t*> (memory + starts[1])
    wide.losses = <double*> (memory + starts[2])
    wide.features = memory + starts[3]
    wide.dfeatures = memory + starts[4]
    wide.scores = memory + starts[5]
    wide.scratch = memory + starts[6]
    if wide.classes != NULL:
        wide.weights = memory + starts[7]
        wide.bias = memory + starts[8]
    for shard in range(task.n_shards):
        wide.first[shard] = M
        for k in range(task.bounds[shard], task.bounds[shard + 1]):
            M += task.rows[k].length
    return 0


cdef int plan_head(
    const Model* model, Task* task, Workspace workspace, double n_steps,
    double n_padded, const int64_t[::1] classes, Py_ssize_t item
) except -1:
    """Whether the head is wide, and then its classes and the places of their gradients."""
    cdef Wide* wide = &workspace.wide
    cdef Py_ssize_t K = model.n_scores if classes is None else classes.shape[0]
    if classes is None and not (
        model.packed and model.per_step and model.n_scores >= wide_scores
        and n_steps * model.n_scores <= MAX_SCORES
        # Every shard's history has the room of the largest one's.
        and n_padded <= max(4 * n_steps, <double> FEW_STEPS)
    ):
        return 0
    task.wide = wide
    wide.K = K
    wide.weights = <const char*> task.parameters + model.head_weight * item
    wide.bias = <const char*> task.parameters + model.head_bias * item
    wide.classes = NULL if classes is None else &classes[0]
    wide.in_weights = model.head_weight
    wide.in_bias = model.head_bias
    wide.in_embedding = model.n_dense
    if classes is not None:
        wide.in_bias = model.n_flat + (0 if model.tied else K * model.n_features)
        wide.in_embedding = wide.in_bias + K
    if model.tied:
        wide.in_weights = wide.in_embedding
    return 0


cdef int prepare(
    const Model* model, Task* task, Workspace workspace, const int64_t[::1] lengths,
    const int64_t[::1] batch, Py_ssize_t item, Py_ssize_t n_threads
) except -1:
    """Cut the batch into shards, reserve memory; return the number of threads."""
    cdef Py_ssize_t B = batch.shape[0], k, shard, packed
    cdef Py_ssize_t rows_bytes, bounds_bytes
    cdef Py_ssize_t n_gradients = 0, n_workers
    cdef double work = 0, n_bytes
    cdef char* memory
    cdef Buffers unused
    cdef Py_ssize_t meetings_bytes
    task.n_shards = count_shards(B)
    for k in range(B):
        work += lengths[batch[k]]
    if task.training:
        task.n_lanes = min(task.n_shards, <Py_ssize_t> MAX_LANES)
        n_gradients = model.n_gradients + rest(model, task)
        task.n_lanes = min(task.n_lanes, max(2, LANE_BUDGET // n_gradients))
    else:
        # Prediction sums nothing over rows: a lane a thread is enough.
        task.n_lanes = min(task.n_shards, max(1, n_threads))

    meetings_bytes = task.n_lanes * sizeof(team_meeting)
    rows_bytes = B * sizeof(Row)
    bounds_bytes = (task.n_shards + 1) * sizeof(Py_ssize_t)
    memory = workspace.order.reserve(
        meetings_bytes + rows_bytes + bounds_bytes + task.n_lanes * sizeof(double))
    memset(memory, 0, meetings_bytes)
    task.meetings = <team_meeting*> memory
    task.rows = <Row*> (memory + meetings_bytes)
    task.bounds = <Py_ssize_t*> (memory + meetings_bytes + rows_bytes)
    task.losses = <double*> (memory + meetings_bytes + rows_bytes + bounds_bytes)
    for k in range(B):
        task.rows[k].position = k
        task.rows[k].length = lengths[batch[k]]
    cut(task.rows, B, task.n_shards, task.bounds)

    for shard in range(task.n_shards):
        packed = 0
        for k in range(task.bounds[shard], task.bounds[shard + 1]):
            packed += task.rows[k].length
        task.max_packed = max(task.max_packed, packed)
        task.max_rows = max(task.max_rows, task.bounds[shard + 1] - task.bounds[shard])
    task.max_steps = task.rows[0].length
    task.ragged = task.rows[0].length != task.rows[B - 1].length
    if not task.training and model.n_directions == 1:
        task.max_packed = min(
            task.max_packed, max(<Py_ssize_t> CHUNK_ROWS, task.max_rows))
        task.max_steps = min(task.max_steps, task.max_packed)
    # BLAS multiplies x W over all steps of a chunk, into the history.
    task.history = task.training or task.traces != NULL or not model.packed
    form_teams(model, task, n_threads, work)
    n_threads = max(1, n_threads)
    if work * step_work(model) * (3 if task.training else 1) < PARALLEL_WORK:
        n_threads = task.n_members = 1
    workspace.n_members = task.n_members
    if task.wide == NULL:
        n_threads = min(n_threads, task.n_lanes * task.n_members)
        n_workers = max(1, n_threads // task.n_members)
    else:  # its pieces are more than the lanes, and all shards keep their history
        n_workers = task.n_shards
    prepare_head(model, task, workspace, <Py_ssize_t> work, item, n_threads)
    # In floating point, where no product overflows.
    n_bytes = 64.0 * task.max_packed * model.n_layers * n_workers * (
        model.widest_units + model.widest_inputs + model.n_scores)
    if n_bytes > 2.0 ** 60 or task.max_packed > 0x7fffffff:
        raise MemoryError(
            f"{B} sequences of up to {task.rows[0].length} steps are too much for one "
            "batch. Use shorter sequences or a smaller batch_size."
        )
    # Whole cache lines, so that no two threads share one.
    task.worker_bytes = (lay_out(model, task, item, NULL, &unused) + 63) // 64 * 64
    task.lane_bytes = (n_gradients * item + 63) // 64 * 64
    task.memory = workspace.lanes.reserve(
        n_workers * task.worker_bytes + task.n_lanes * task.lane_bytes)
    task.lanes = task.memory + n_workers * task.worker_bytes
    task.weights_of_layers = task.parameters
    if model.packed:
        task.weights_of_layers = workspace.weights.reserve(
            (model.n_weights if task.training else model.n_gradients) * item)
    return <int> n_threads


def loss_and_gradients(
    Plan plan not None,
    Workspace workspace not None,
    const real[::1] parameters,
    const real[:, ::1] values,
    const int64_t[::1] tokens,
    const int64_t[::1] starts,
    const int64_t[::1] lengths,
    const real[:, ::1] targets,
    const real[::1] weights,
    const int64_t[::1] batch,
    real[::1] gradients,
    int64_t[::1] touched,
    Py_ssize_t n_threads,
    double dropout=0,
    double recurrent_dropout=0,
    uint64_t seed=0,
    uint64_t update=0,
    int64_t first_step=0,
    const real[:, ::1] state_in=None,
    real[:, ::1] state_out=None,
    real[:, ::1] input_gradients=None,
    const int64_t[::1] classes=None,
    const real[::1] log_shares=None,
):
    """Weighted mean loss of a batch; its gradient goes into `gradients`.

    Parameters
    ----------
    plan, workspace
        The network and memory to work in.
    parameters : (P,)
        The flat vector.
    values : (n_steps of all sequences, I) or None
        Sequence k is values[starts[k]:starts[k] + lengths[k]].
    tokens : (n_steps of all sequences,) or None
        Likewise where the network has an embedding.
    starts, lengths : (n_sequences,)
    targets : (n_sequences, n_targets), per step (n_steps of all sequences, n_targets)
        What the loss expects: K numbers, or one that all outputs share.
    weights : (n_sequences,), per step (n_steps of all sequences,)
        The loss is sum(weight loss) / sum(weight) over the batch (and its steps), zero
        where all weights are.
    batch : (B,)
        The sequences to learn from.
    gradients : (P,)
        Written. With an embedding, its rows in `gradients` are those of `touched`, and
        only as many as there are different tokens in the batch.
    touched : (n,) or None
        Written: the different tokens of the batch; n must be enough.
    n_threads : int
        At most so many threads; small batches run on one.
    dropout, recurrent_dropout, seed, update, first_step
        Rates, and what the masks are drawn from besides row, step and unit. first_step:
        where the batch starts within its sequences.
    state_in, state_out : (B, S), optional
        Initial and final h and c of each layer and direction in turn, in the batch's
        order.
    input_gradients : (n_steps of all sequences, I), optional
        Written where the batch has steps: dL / d inputs (or embedded tokens).
    classes : (n,), optional
        Of a softmax per step: the only classes that are looked at. `gradients` then has
        theirs alone, one after the other. The first len(log_shares) are a sample, the others
        there as targets.
    log_shares : (n_sampled,)
        Logarithms of the probabilities with which the sampled classes are there.

    Returns
    -------
    loss, total_weight : float
    n_touched : int
    """
    cdef const Model* model = &plan.model
    cdef Task task
    cdef int threads
    cdef Py_ssize_t k, t, lane
    cdef double loss = 0, total_weight = 0, n_steps = 0
    cdef int64_t longest = 0
    cdef real* kind = NULL
    memset(&task, 0, sizeof(Task))
    for k in range(batch.shape[0]):
        n_steps += lengths[batch[k]]
        longest = max(longest, lengths[batch[k]])
        if model.per_step:
            for t in range(lengths[batch[k]]):
                total_weight += weights[starts[batch[k]] + t]
        else:
            total_weight += weights[batch[k]]
    if total_weight == 0:
        return 0.0, 0.0, 0
    if classes is not None and not (
            model.packed and model.per_step and model.loss == SOFTMAX):
        raise ValueError(
            "A sample of classes needs a softmax per step, and other products than "
            "CYLSTM_PRODUCTS=blas.")
    task.training = True
    task.gradients = &gradients[0]
    task.parameters = &parameters[0]
    task.starts = &starts[0]
    task.batch = &batch[0]
    task.targets = &targets[0, 0]
    task.n_targets = targets.shape[1]
    task.weights = &weights[0]
    task.weight_scale = 1 / total_weight
    task.dropout = dropout
    task.recurrent_dropout = recurrent_dropout
    task.seed = seed
    task.update = update
    task.first_step = first_step
    if state_in is not None:
        task.state_in = &state_in[0, 0]
    if state_out is not None:
        task.state_out = &state_out[0, 0]
    if input_gradients is not None:
        task.input_gradients = &input_gradients[0, 0]
    if model.vocabulary > 0:
        task.tokens = &tokens[0]
        if workspace.slots.shape[0] < model.vocabulary:
            workspace.slots = np.full(model.vocabulary, -1, dtype=np.intc)
        task.slots = &workspace.slots[0]
        touch_tokens(model, &task, lengths, batch, classes, &workspace.slots[0], touched,
                     &task.n_touched)
    else:
        task.values = &values[0, 0]
    plan_head(model, &task, workspace, n_steps, <double> longest * batch.shape[0], classes,
              sizeof(real))
    if classes is not None:
        if workspace.class_slots.shape[0] != model.n_scores:
            workspace.class_slots = np.zeros(model.n_scores, dtype=np.intc)
        for k in range(classes.shape[0]):
            workspace.class_slots[classes[k]] = <int> k
        task.wide.slots = &workspace.class_slots[0]
        task.wide.n_sampled = log_shares.shape[0]
        if log_shares.shape[0]:
            task.wide.log_shares = &log_shares[0]
    try:
        threads = prepare(
            model, &task, workspace, lengths, batch, sizeof(real), n_threads)
        with nogil:
            run(model, &task, threads, kind)
        if task.wide == NULL:
            for lane in range(task.n_lanes):
                loss += task.losses[lane]
        else:
            for k in range(task.wide.n_steps):
                loss += task.wide.losses[k]
    finally:
        for k in range(task.n_touched):
            workspace.slots[touched[k]] = -1
    return loss, total_weight, task.n_touched


def forward(
    Plan plan not None,
    Workspace workspace not None,
    const real[::1] parameters,
    const real[:, ::1] values,
    const int64_t[::1] tokens,
    const int64_t[::1] starts,
    const int64_t[::1] lengths,
    const int64_t[::1] batch,
    Py_ssize_t n_threads,
    real[:, ::1] scores=None,
    real[:, ::1] features=None,
    const real[:, ::1] state_in=None,
    real[:, ::1] state_out=None,
    traces=None,
    const real[:, ::1] targets=None,
    double[::1] losses=None,
    double dropout=0,
    double recurrent_dropout=0,
    uint64_t seed=0,
    uint64_t update=0,
    int64_t first_step=0,
):
    """Fill what is given: scores (B, K), features (B, D), state_out (B, S), traces: for
    each layer and direction (n_steps of all sequences, G + 2H), gates, c and h side by
    side; losses, of networks per step alone, from targets. Scores, features and losses per
    step have a row for each row of values; those that belong to no sequence of the batch
    stay as they are. The other arguments are those of loss_and_gradients."""
    cdef const Model* model = &plan.model
    cdef Task task
    cdef int threads
    cdef Py_ssize_t k
    cdef real* kind = NULL
    cdef real[:, ::1] trace
    cdef void* trace_starts[2 * MAX_LAYERS]
    memset(&task, 0, sizeof(Task))
    task.parameters = &parameters[0]
    if model.vocabulary > 0:
        task.tokens = &tokens[0]
    else:
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
    task.dropout = dropout
    task.recurrent_dropout = recurrent_dropout
    task.seed = seed
    task.update = update
    task.first_step = first_step
    if traces is not None:
        for k in range(model.n_layers * model.n_directions):
            trace = traces[k]
            trace_starts[k] = &trace[0, 0]
        task.traces = trace_starts
    if losses is not None:
        task.targets = &targets[0, 0]
        task.n_targets = targets.shape[1]
        task.step_losses = &losses[0]
    threads = prepare(model, &task, workspace, lengths, batch, sizeof(real), n_threads)
    with nogil:
        run(model, &task, threads, kind)


cdef class Stream:
    """A network that goes through its sequences one step at a time.

    Parameters
    ----------
    plan : Plan
        Of a network that runs one way.
    parameters : array of shape (P,)
    n_sequences : int (B)

    Attributes
    ----------
    inputs : array of shape (B, I), or int64 array of shape (B,) of tokens
        To be filled before a step.
    scores : array of shape (B, K)
        Written by a step.
    """

    cdef Plan plan
    cdef Task task
    cdef Buffers buffers
    cdef Team team
    cdef team_meeting alone
    cdef bint double_precision
    cdef Memory memory, order, weights
    cdef object owners
    cdef readonly object inputs, scores

    def __init__(self, Plan plan not None, parameters, Py_ssize_t n_sequences):
        cdef const Model* model = &plan.model
        cdef Py_ssize_t k, item = parameters.dtype.itemsize
        cdef Row* rows
        self.plan = plan
        self.double_precision = parameters.dtype == np.float64
        self.memory, self.order, self.weights = Memory(), Memory(), Memory()
        self.alone.members = 1
        self.team.portion = PORTION
        self.team.meeting = &self.alone
        index = np.arange(n_sequences, dtype=np.int64)
        self.scores = np.zeros((n_sequences, model.n_scores), parameters.dtype)
        if model.vocabulary > 0:
            self.inputs = np.zeros(n_sequences, np.int64)
        else:
            self.inputs = np.zeros((n_sequences, model.n_inputs), parameters.dtype)
        memset(&self.task, 0, sizeof(Task))
        self.task.parameters = self.address(parameters)
        if model.vocabulary > 0:
            self.task.tokens = <const int64_t*> self.address(self.inputs)
        else:
            self.task.values = self.address(self.inputs)
        self.task.starts = <const int64_t*> self.address(index)
        self.task.batch = self.task.starts
        self.task.scores = self.address(self.scores)
        self.task.max_rows = self.task.max_packed = n_sequences
        self.task.max_steps = 1
        self.task.history = not model.packed
        rows = <Row*> self.order.reserve(n_sequences * sizeof(Row))
        for k in range(n_sequences):
            rows[k].position = k
            rows[k].length = 1
        self.task.rows = rows
        self.task.memory = self.memory.reserve(
            lay_out(model, &self.task, item, NULL, &self.buffers))
        take_buffers(model, &self.task, item, 0, 0, &self.buffers)
        self.buffers.steps.counts[0] = <int> n_sequences
        self.buffers.steps.B = self.buffers.steps.N = n_sequences
        self.buffers.steps.T = 1
        self.buffers.steps.first = 0
        self.task.weights_of_layers = self.task.parameters
        if model.packed:
            self.task.weights_of_layers = self.weights.reserve(model.n_gradients * item)
            for k in range(count_items(model, COLUMNS, PORTION)):
                if self.double_precision:
                    move_item(model, k, COLUMNS, PORTION, <double*> self.task.parameters,
                              <double*> self.task.weights_of_layers, False)
                else:
                    move_item(model, k, COLUMNS, PORTION, <float*> self.task.parameters,
                              <float*> self.task.weights_of_layers, False)
        self.owners = (parameters, index)

    cdef void* address(self, array) except NULL:
        cdef size_t start = array.ctypes.data
        return <void*> start

    def step(self):
        """Go one step on, from `inputs` to `scores`."""
        with nogil:
            if self.double_precision:
                stream_step[double](
                    &self.plan.model, &self.task, &self.buffers, &self.team, NULL)
            else:
                stream_step[float](
                    &self.plan.model, &self.task, &self.buffers, &self.team, NULL)

    def load(self, state):
        """Set the state (B, S)."""
        self.task.state_in = self.address(state)
        if self.double_precision:
            load_states[double](&self.plan.model, &self.task, self.task.rows,
                                self.task.max_rows, &self.buffers, NULL)
        else:
            load_states[float](&self.plan.model, &self.task, self.task.rows,
                               self.task.max_rows, &self.buffers, NULL)
        self.task.state_in = NULL

    def store(self, state):
        """Write the state (B, S)."""
        self.task.state_out = self.address(state)
        if self.double_precision:
            store_states[double](&self.plan.model, &self.task, self.task.rows,
                                 self.task.max_rows, &self.buffers, NULL)
        else:
            store_states[float](&self.plan.model, &self.task, self.task.rows,
                                self.task.max_rows, &self.buffers, NULL)
        self.task.state_out = NULL
