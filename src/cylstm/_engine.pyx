"""A whole network over a batch: forward, loss and gradients.

# Design:
#
# a) A shard (some rows of the batch) goes through the whole network, forward and backward
#    through all steps and layers, on one thread: no barrier per step, and its history is
#    still in cache when it is needed again (network/network.h).
# b) A lane takes its shards one after the other into one gradient buffer; lanes run in
#    parallel and are added up in their order at the end. Shards and lanes depend on the data
#    alone, so that the bits do not depend on the number of threads. A thread has its history,
#    a lane its gradients.
# c) All memory is reserved before the parallel region; nothing inside can fail.
# d) The embedding's gradient holds only the tokens of the batch, so that its cost does not
#    grow with the vocabulary.
# e) Weights are packed once per call, for prediction once until they change; gradients are
#    summed over the lanes as they are and unpacked once (network/packing.h).
# f) In int8 the layers' weights are packed for forward alone, and stay as they are in the
#    parameters.
# g) Where there are fewer shards than threads, the threads of a team go through one shard
#    together and share the units of its layers.
"""

from cython cimport floating, no_gc_clear
from cython.parallel cimport parallel, prange, threadid
from libc.math cimport INFINITY, frexp
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

import numpy as np

from _blas cimport gemm_double, gemm_float
from cylstm._plan cimport (
    LOSS_softmax,
    MAX_LAYERS,
    Plan,
    network_plan,
    plan_n_layer_parameters,
)
from cylstm._simd cimport kernels_in_use

# A fused function by the type of its numbers: forward[PRECISIONS[dtype]].
PRECISIONS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}

HAS_OPENMP = bool(CYLSTM_HAS_OPENMP)

# Threads that teams may have together: members that wait for each other at every step must
# all be running.
cdef Py_ssize_t team_threads = omp_get_num_procs()
# Whether a call whose batch may be shared by teams is: 1 or 0, or -1 if the faster way is to
# be found out.
cdef int teams_are_used = -1


cdef struct team_record:
    # How long calls with about as much work in a step have taken. On a busy machine a member
    # waits for one that has lost its core, and on some machines it takes long for one core to
    # see what another has written. Read and written under the GIL.
    double[2] ns      # for each step of a sequence: without teams and with; 0: not known yet
    int n_first       # of the first calls, which take both ways in turn
    int n_calls       # until the slower way is tried again
    int apart         # calls from one trial to the next
    int since         # calls since the last trial that was won
    int left          # calls of the present trial
    double trial      # the shortest of its calls


cdef team_record[128] team_records
cdef Py_ssize_t wide_scores = WIDE_SCORES


def allow_team_threads(Py_ssize_t n, int used=1):
    """Let teams have n threads together, for tests. They share the batches that they may (1),
    none (0), or as is faster (-1). Return what was set before."""
    global team_threads, teams_are_used
    before = team_threads, teams_are_used
    team_threads = n
    teams_are_used = used
    return before


def wide_heads_from(Py_ssize_t n_scores):
    """Let heads be wide from so many scores, for tests; return from how many they were
    before."""
    global wide_scores
    before = wide_scores
    wide_scores = n_scores
    return before


def max_threads():
    """Threads that OpenMP allows the calling thread now."""
    return omp_get_max_threads()


@no_gc_clear  # its bytes are needed until the end
cdef class Memory:
    """Bytes that start on a cache line and grow when more are asked for."""

    cdef object owner
    cdef char* start
    cdef Py_ssize_t n_bytes

    cdef char* reserve(self, Py_ssize_t n_bytes) except NULL:
        cdef unsigned char[::1] view
        if self.owner is None or self.n_bytes < n_bytes:
            self.release()  # the old memory goes before the new one comes
            self.owner = np.empty(n_bytes + CACHE_LINE, dtype=np.uint8)
            view = self.owner
            self.start = <char*> (
                (<size_t> &view[0] + CACHE_LINE - 1) // CACHE_LINE * CACHE_LINE)
            self.n_bytes = n_bytes
        arena_limit(self.start, n_bytes, self.n_bytes)
        return self.start

    cdef void release(self):
        if self.start != NULL:
            arena_limit(self.start, self.n_bytes, self.n_bytes)
        self.start = NULL
        self.owner = None

    def __dealloc__(self):
        self.release()


cdef class PackedWeights:
    """The parameters in the layout of the products, as a forward pass leaves them here for
    others of the same plan and parameters."""

    cdef Memory memory
    cdef bint filled

    def __cinit__(self):
        self.memory = Memory()


cdef class Workspace:
    """What the kernels work in, kept from one call to the next; for one caller at a
    time."""

    cdef Memory schedule, threads, head, dropped
    cdef PackedWeights weights
    cdef wide_head wide
    cdef readonly Py_ssize_t n_members  # of a team, in the last call
    cdef int[::1] slots  # of every token, -1 for those that are not in the batch
    cdef int[::1] class_slots  # of the classes in the batch

    def __cinit__(self):
        self.slots = self.class_slots = np.empty(0, dtype=np.intc)
        self.schedule, self.threads = Memory(), Memory()
        self.weights, self.head, self.dropped = PackedWeights(), Memory(), Memory()

    @property
    def n_bytes(self):
        """Bytes that it holds, packed weights not counted."""
        return (self.schedule.n_bytes + self.threads.n_bytes + self.head.n_bytes
                + self.dropped.n_bytes)


cdef const engine* engine_of(Py_ssize_t item) noexcept nogil:
    return &engine_float if item == sizeof(float) else &engine_double


cdef void set_precision(task* t, Py_ssize_t item) noexcept nogil:
    t.item = item
    if item == sizeof(float):
        t.gemm = gemm_float
    else:
        t.gemm = gemm_double


cdef void run_phases(
    const engine* e, const network_plan* plan, const task* t
) noexcept nogil:
    """All phases of a call, one after the other, their pieces shared by the threads."""
    cdef int k = 0
    cdef Py_ssize_t piece, n = 0
    with parallel(num_threads=t.n_threads, use_threads_if=t.n_threads > 1):
        for k in range(e.n_phases):
            n = e.phases[k].count(plan, t)
            if n == 0:
                continue
            if t.n_members > 1 and e.phases[k].team_work != NULL:
                e.phases[k].team_work(plan, t, threadid(), omp_get_num_threads())
            elif e.phases[k].even:
                for piece in prange(n, schedule="static"):
                    e.phases[k].work(plan, t, piece, threadid())
            else:
                for piece in prange(n, schedule="dynamic", chunksize=1):
                    e.phases[k].work(plan, t, piece, threadid())
            wait_for_all()  # which prange does not do within a parallel block


cdef team_record* record_of(const network_plan* p, const task* t) noexcept:
    cdef int exponent
    frexp(p.layers_work * t.n_rows, &exponent)
    return &team_records[64 * t.training + max(0, min(63, exponent))]


cdef bint choose(team_record* r) noexcept:
    """Whether teams are to share the next call: the faster way, now and then the other."""
    if r.n_first < FIRST_CALLS:
        return r.n_first % 2 == 0
    if r.left == 0:
        r.n_calls -= 1
        if r.n_calls <= 0:
            r.left = TRIAL_CALLS
            r.trial = INFINITY
    return (r.ns[1] <= r.ns[0]) == (r.left == 0)


cdef void learn(team_record* r, bint team, double ns) noexcept:
    """A call has taken so long for each step of a sequence."""
    cdef bint lucky, faster = r.ns[1] <= r.ns[0]
    if r.n_first < FIRST_CALLS:
        r.ns[team] = ns if r.ns[team] == 0 else min(r.ns[team], ns)
        r.n_first += 1
        r.apart = r.n_calls = TRIALS_APART
    elif r.left == 0 or team == faster:
        r.ns[team] += (ns - r.ns[team]) / 4
        r.since += 1
        if (r.ns[1] <= r.ns[0]) != faster:
            # A trial that was won soon turns out to have been luck.
            lucky = r.since < r.apart
            r.apart = min(2 * r.apart, MAX_TRIALS_APART) if lucky else TRIALS_APART
            r.n_calls = r.apart
            r.since = 0
    else:
        r.trial = min(r.trial, ns)
        r.left -= 1
        if r.left == 0:
            r.ns[team] = r.trial
            if (r.ns[1] <= r.ns[0]) != faster:
                r.since = 0
            else:
                r.apart = min(2 * r.apart, MAX_TRIALS_APART)
            r.n_calls = r.apart


def choices(const double[:, ::1] ns):
    """For tests: whether teams share each of some calls that take ns[k, 0] without them and
    ns[k, 1] with them."""
    cdef team_record record
    cdef Py_ssize_t k
    memset(&record, 0, sizeof(record))
    chosen = []
    for k in range(ns.shape[0]):
        chosen.append(bool(choose(&record)))
        learn(&record, chosen[k], ns[k, <Py_ssize_t> chosen[k]])
    return chosen


cdef int run(
    Plan plan, task* t, Workspace workspace, PackedWeights packed, Py_ssize_t n_threads
) except -1:
    """Schedule the batch, reserve memory and run."""
    cdef const network_plan* p = &plan.plan
    cdef const engine* e = engine_of(t.item)
    cdef Py_ssize_t n_workers
    cdef char* schedule = workspace.schedule.reserve(schedule_bytes(p, t, n_threads))
    cdef team_record* record = NULL
    cdef int64_t began, elapsed
    cdef Py_ssize_t k, n_steps = 0
    cdef double n_bytes
    schedule_batch(p, t, schedule, n_threads, team_threads)
    if t.n_members > 1:
        if teams_are_used < 0:
            record = record_of(p, t)
        if not (teams_are_used if record == NULL else choose(record)):
            schedule_batch(p, t, schedule, n_threads, 1)
    workspace.n_members = t.n_members
    n_workers = schedule_n_workers(t)
    # In floating point, where no product overflows.
    n_bytes = 64.0 * t.max_packed * p.n_layers * n_workers * (
        p.widest_units + p.widest_inputs + p.head.n_scores)
    if n_bytes > 2.0 ** 60 or t.max_packed > 0x7fffffff:
        raise MemoryError(
            f"{t.n_rows} sequences of up to {t.rows[0].length} steps are too much for one "
            "batch. Use shorter sequences or a smaller batch_size."
        )
    if t.wide != NULL:
        schedule_wide_head(
            p, t, workspace.head.reserve(schedule_wide_head(p, t, NULL)))
    t.worker_bytes = e.worker_bytes(p, t)
    t.lane_bytes = e.lane_bytes(p, t)
    t.workers = workspace.threads.reserve(
        n_workers * t.worker_bytes + t.n_lanes * t.lane_bytes)
    t.lanes = t.workers + n_workers * t.worker_bytes
    t.packed_weights = <void*> t.parameters
    if t.weight_dropout > 0:
        t.dropped_parameters = workspace.dropped.reserve(
            plan_n_layer_parameters(p) * t.item)
    if p.packed:
        t.has_packed = packed.filled and t.weight_dropout == 0
        t.packed_weights = packed.memory.reserve(
            (p.n_weights if t.training else p.n_columns) * t.item)
    with nogil:  # whose end waits for other threads of Python
        began = team_clock()
        run_phases(e, p, t)
        elapsed = team_clock() - began
    if record != NULL:
        for k in range(t.n_rows):
            n_steps += t.rows[k].length
        learn(record, t.n_members > 1, <double> elapsed / n_steps)
    # The next call of training has other parameters, another update other masks.
    packed.filled = not t.training and t.weight_dropout == 0
    return 0


cdef void check_scaling(
    const network_plan* plan,
    const double[:, ::1] shift,
    const double[:, ::1] scale,
    Py_ssize_t n_sequences,
) except *:
    """Refuse a shift and a scale that are not those of all sequences."""
    if plan.vocabulary > 0:
        raise ValueError("Tokens have no shift and no scale.")
    if shift is None or scale is None:
        raise ValueError("Sequences have a shift and a scale, or neither.")
    if not (shift.shape[0] == scale.shape[0] == n_sequences
            and shift.shape[1] == scale.shape[1] == plan.n_inputs):
        raise ValueError(
            f"shift has shape ({shift.shape[0]}, {shift.shape[1]}) and scale has shape "
            f"({scale.shape[0]}, {scale.shape[1]}); expected (n_sequences, n_features) = "
            f"({n_sequences}, {plan.n_inputs})."
        )


cdef void check_seams(
    const network_plan* plan, task* t, const int64_t[::1] seams, const double[::1] beyond,
    Py_ssize_t n_sequences,
) except *:
    """Refuse seams, and what is read beyond them, that are not those of all sequences."""
    if t.shift == NULL or seams is None or beyond is None:
        raise ValueError(
            "Sequences have seams and what is read beyond them, or neither; only with a shift "
            "and a scale."
        )
    if seams.shape[0] != n_sequences or beyond.shape[0] != plan.n_inputs:
        raise ValueError(
            f"seams has length {seams.shape[0]} and beyond has length {beyond.shape[0]}; "
            f"expected {n_sequences} sequences and {plan.n_inputs} features."
        )
    t.seams = &seams[0]
    t.beyond = &beyond[0]


cdef void set_common_arguments(
    const network_plan* plan,
    task* t,
    const floating[::1] parameters,
    values,
    const int64_t[::1] tokens,
    const double[:, ::1] shift,
    const double[:, ::1] scale,
    const int64_t[::1] seams,
    const double[::1] beyond,
    const int64_t[::1] starts,
    const int64_t[::1] lengths,
    const int64_t[::1] batch,
    const floating[:, ::1] state_in,
    floating[:, ::1] state_out,
    double dropout,
    double recurrent_dropout,
    double weight_dropout,
    double embedding_dropout,
    uint64_t seed,
    uint64_t update,
    uint64_t parameter_update,
    int64_t first_step,
) except *:
    """Set the arguments common to training and prediction, and everything else to zero."""
    cdef const floating[:, ::1] inputs
    cdef const double[:, ::1] unscaled
    memset(t, 0, sizeof(task))
    set_precision(t, sizeof(floating))
    t.parameters = &parameters[0]
    if shift is not None or scale is not None:
        check_scaling(plan, shift, scale, starts.shape[0])
        unscaled = values
        t.values = &unscaled[0, 0]
        t.shift = &shift[0, 0]
        t.scale = &scale[0, 0]
    elif plan.vocabulary > 0:
        t.tokens = &tokens[0]
        t.embedding_dropout = embedding_dropout
    else:
        inputs = values
        t.values = &inputs[0, 0]
    if values is not None and values.shape[1] != plan.n_inputs:
        raise ValueError(f"Steps have {values.shape[1]} numbers, not {plan.n_inputs}.")
    if seams is not None or beyond is not None:
        check_seams(plan, t, seams, beyond, starts.shape[0])
    elif plan.n_ahead > 0:
        raise ValueError("A network with scores of steps ahead needs the seams before them.")
    t.starts = &starts[0]
    t.lengths = &lengths[0]
    t.batch = &batch[0]
    t.n_rows = batch.shape[0]
    if state_in is not None:
        t.state_in = &state_in[0, 0]
    if state_out is not None:
        t.state_out = &state_out[0, 0]
    t.dropout = dropout
    t.recurrent_dropout = recurrent_dropout
    t.weight_dropout = weight_dropout
    t.seed = seed
    t.update = update
    t.parameter_update = parameter_update
    t.first_step = first_step


cdef double sum_weights(
    const network_plan* plan, const task* t, const floating[::1] weights
) except? -1:
    """Of the batch's sequences, or of their steps."""
    cdef Py_ssize_t k, step
    cdef double total = 0
    for k in range(t.n_rows):
        if plan.per_step:
            for step in range(t.lengths[t.batch[k]]):
                total += weights[t.starts[t.batch[k]] + step]
        else:
            total += weights[t.batch[k]]
    return total


cdef double sum_losses(const task* t) noexcept:
    cdef Py_ssize_t k
    cdef double loss = 0
    if t.wide == NULL:
        for k in range(t.n_lanes):
            loss += t.losses[k]
    else:
        for k in range(t.wide.n_steps):
            loss += t.wide.losses[k]
    return loss


def loss_and_gradients(
    Plan plan not None,
    Workspace workspace not None,
    const floating[::1] parameters,        # IN (P,)
    values,                                # IN (n_rows, I) or None
    const int64_t[::1] tokens,             # IN (n_rows,) or None
    const int64_t[::1] starts,             # IN (n_sequences,)
    const int64_t[::1] lengths,            # IN (n_sequences,)
    const floating[:, ::1] targets,        # IN (n_sequences or n_rows, n_targets)
    const floating[::1] weights,           # IN (n_sequences or n_rows,)
    const int64_t[::1] batch,              # IN (B,)
    floating[::1] gradients,               # OUT (P,)
    int64_t[::1] touched,                  # OUT (n,) or None
    Py_ssize_t n_threads,
    double dropout=0,
    double recurrent_dropout=0,
    double weight_dropout=0,
    double embedding_dropout=0,
    uint64_t seed=0,
    uint64_t update=0,
    uint64_t parameter_update=0,
    int64_t first_step=0,
    const floating[:, ::1] state_in=None,  # IN (B, n_state)
    floating[:, ::1] state_out=None,       # OUT (B, n_state)
    floating[:, ::1] input_gradients=None,  # OUT (n_rows, I)
    const int64_t[::1] classes=None,       # IN (n,)
    const floating[::1] log_shares=None,   # IN (n_sampled,)
    const double[:, ::1] shift=None,       # IN (n_sequences, I)
    const double[:, ::1] scale=None,       # IN (n_sequences, I)
    const int64_t[::1] seams=None,         # IN (n_sequences,)
    const double[::1] beyond=None,         # IN (I,)
):
    """Weighted mean loss of a batch; its gradient goes into `gradients`.

    Parameters
    ----------
    plan, workspace
        The network and memory to work in.
    parameters
        The flat vector.
    values, tokens, starts, lengths
        Sequence k is values[starts[k]:starts[k] + lengths[k]], or those tokens where the
        network has an embedding.
    targets
        What the loss expects of each sequence, or per step of each row: K numbers, or fewer,
        each of which K / n_targets scores in a row share; with n_ahead for each step ahead.
        NaN is missing and counts nothing, but among labels.
    weights
        The loss is sum(weight loss) / sum(weight) over the batch (and its steps), 0 where
        all weights are.
    batch
        The sequences to train on.
    gradients
        With an embedding, its rows in `gradients` are those of `touched`, and only as many
        as there are different tokens in the batch.
    touched
        The different tokens of the batch; there must be room for all.
    n_threads
        Maximum number of threads; small batches run on one.
    dropout, recurrent_dropout, weight_dropout, embedding_dropout
        Rates: of inputs of the layers and the head, of hidden states, of weight_hh, and of
        tokens.
    seed, update, parameter_update, first_step
        What the masks are drawn from besides row, step and unit; those of weight_hh and of
        tokens, which all rows and steps share, from parameter_update instead of update.
        first_step: where the batch starts within its sequences.
    state_in, state_out
        Initial and final state of each layer and direction in turn, in the batch's order.
    input_gradients
        Written where the batch has steps: dL / d inputs (or embedded tokens).
    classes
        Of a softmax per step: the only classes to normalise over. `gradients` then has
        theirs alone, one after the other. The first len(log_shares) are a sample, the others
        are there as targets.
    log_shares
        Logarithms of the probabilities with which the sampled classes were drawn.
    shift, scale
        With them values are float64 in either precision, and the network reads (value -
        shift[k]) * scale[k] of sequence k, rounded at the end.
    seams, beyond
        From step seams[k] on it reads the numbers in `beyond`, where they are not NaN, in
        place of those, whatever they are. A network with n_ahead has scores for the steps from
        there on, n_ahead K in a row; where a sequence has fewer the rest mean nothing.

    Returns
    -------
    loss, total_weight : float
    n_touched : int
    """
    cdef const network_plan* p = &plan.plan
    cdef task t
    cdef Py_ssize_t k
    cdef const int64_t* first_class = NULL
    cdef Py_ssize_t n_classes = p.head.n_scores
    cdef double total_weight, n_steps
    cdef int64_t longest
    set_common_arguments(
        p, &t, parameters, values, tokens, shift, scale, seams, beyond, starts, lengths,
        batch, state_in, state_out, dropout, recurrent_dropout, weight_dropout,
        embedding_dropout, seed, update, parameter_update, first_step)
    total_weight = sum_weights(p, &t, weights)
    if total_weight == 0:
        return 0.0, 0.0, 0
    if p.int8 != NULL:
        raise ValueError("A network with int8 weights has no gradients.")
    if classes is not None and not (p.per_step and p.loss == LOSS_softmax):
        raise ValueError("A sample of classes needs a softmax per step.")
    t.training = True
    t.gradients = &gradients[0]
    t.targets = &targets[0, 0]
    t.n_targets = targets.shape[1] // max(p.n_ahead, 1)
    t.weights = &weights[0]
    t.weight_scale = 1 / total_weight
    if input_gradients is not None:
        t.input_gradients = &input_gradients[0, 0]
    if classes is not None:
        first_class = &classes[0]
        n_classes = classes.shape[0]
        if workspace.class_slots.shape[0] != p.head.n_scores:
            workspace.class_slots = np.zeros(p.head.n_scores, dtype=np.intc)
        for k in range(n_classes):
            workspace.class_slots[first_class[k]] = <int> k
    if workspace.slots.shape[0] < p.vocabulary:
        workspace.slots = np.full(p.vocabulary, -1, dtype=np.intc)
    schedule_count_steps(&t, &n_steps, &longest)
    try:
        if p.vocabulary > 0:
            schedule_tokens(
                p, &t, first_class, n_classes, &workspace.slots[0], &touched[0])
        if classes is not None or schedule_wants_wide_head(
                p, &t, wide_scores, n_steps, longest):
            schedule_classes(p, &t, &workspace.wide, first_class, n_classes)
        if classes is not None:
            t.wide.slots = &workspace.class_slots[0]
            t.wide.n_sampled = log_shares.shape[0]
            if log_shares.shape[0]:
                t.wide.log_shares = &log_shares[0]
        run(plan, &t, workspace, workspace.weights, n_threads)
    finally:
        for k in range(t.n_touched):
            workspace.slots[touched[k]] = -1
    return sum_losses(&t), total_weight, t.n_touched


def forward(
    Plan plan not None,
    Workspace workspace not None,
    PackedWeights packed not None,         # IN, or OUT
    const floating[::1] parameters,        # IN (P,)
    values,                                # IN (n_rows, I) or None
    const int64_t[::1] tokens,             # IN (n_rows,) or None
    const int64_t[::1] starts,             # IN (n_sequences,)
    const int64_t[::1] lengths,            # IN (n_sequences,)
    const int64_t[::1] batch,              # IN (B,)
    Py_ssize_t n_threads,
    floating[:, ::1] scores=None,          # OUT (B, K) or (B, n_ahead K), or (n_rows, K)
    floating[:, ::1] features=None,        # OUT (B, D) or (B, n_ahead D), or (n_rows, D)
    const floating[:, ::1] state_in=None,  # IN (B, n_state)
    floating[:, ::1] state_out=None,       # OUT (B, n_state)
    traces=None,                           # OUT for each layer (n_rows, (n_gates + 1) H + R)
    const floating[:, ::1] targets=None,   # IN (n_rows, n_targets)
    double[::1] losses=None,               # OUT (n_rows,)
    double dropout=0,
    double recurrent_dropout=0,
    double weight_dropout=0,
    double embedding_dropout=0,
    uint64_t seed=0,
    uint64_t update=0,
    uint64_t parameter_update=0,
    int64_t first_step=0,
    const double[:, ::1] shift=None,       # IN (n_sequences, I)
    const double[:, ::1] scale=None,       # IN (n_sequences, I)
    const int64_t[::1] seams=None,         # IN (n_sequences,)
    const double[::1] beyond=None,         # IN (I,)
):
    """Fill what is given: scores, features, final states, traces (gates, c and h of each
    layer and direction, side by side) and, of networks per step, losses from targets. Rows of
    values that belong to no sequence of the batch stay as they are. The first call packs the
    parameters into `packed`, later ones read them there. The other arguments are those of
    loss_and_gradients."""
    cdef const network_plan* p = &plan.plan
    cdef task t
    cdef Py_ssize_t k
    cdef floating[:, ::1] trace
    cdef void* trace_starts[2 * MAX_LAYERS]
    set_common_arguments(
        p, &t, parameters, values, tokens, shift, scale, seams, beyond, starts, lengths,
        batch, state_in, state_out, dropout, recurrent_dropout, weight_dropout,
        embedding_dropout, seed, update, parameter_update, first_step)
    if scores is not None:
        t.scores = &scores[0, 0]
    if features is not None:
        t.features = &features[0, 0]
    if traces is not None:
        for k in range(p.n_layers * p.n_directions):
            trace = traces[k]
            trace_starts[k] = &trace[0, 0]
        t.traces = trace_starts
    if losses is not None:
        t.targets = &targets[0, 0]
        t.n_targets = targets.shape[1]
        t.step_losses = &losses[0]
    run(plan, &t, workspace, packed, n_threads)


def decode(
    const double[:, ::1] scores,           # IN (n_rows, K)
    const int64_t[::1] starts,             # IN (n_sequences,)
    const int64_t[::1] lengths,            # IN (n_sequences,)
    const double[::1] chain,               # IN (K (K + 2),)
    Py_ssize_t n_threads,
    int64_t[::1] labels=None,              # OUT (n_rows,)
    double[:, ::1] marginals=None,         # OUT (n_rows, K)
    bint logs=False,
):
    """Fill the labels of the best paths, or the marginal probabilities (their logarithms with
    `logs`), of a CRF whose chain is transitions (K, K), start (K,) and end (K,).

    Sequence k is scores[starts[k]:starts[k] + lengths[k]].
    """
    cdef decode_task t
    cdef Memory memory = Memory()
    cdef Py_ssize_t n_sequences = starts.shape[0], K = scores.shape[1]
    cdef Py_ssize_t k, longest = 0, n_bytes
    cdef char* start
    cdef double work = 4.0 * scores.shape[0] * K * K
    memset(&t, 0, sizeof(decode_task))
    t.kernels = kernels_in_use(sizeof(double)).kernels
    t.n_labels = K
    t.parameters = &chain[0]
    t.scores = &scores[0, 0]
    t.starts = &starts[0]
    t.lengths = &lengths[0]
    if labels is not None:
        t.labels = &labels[0]
    else:
        t.marginals = &marginals[0, 0]
    t.logs = logs
    for k in range(n_sequences):
        longest = max(longest, lengths[k])
    n_threads = 1 if work < PARALLEL_WORK else min(n_threads, n_sequences)
    n_bytes = decode_bytes(K, longest)
    start = memory.reserve(n_threads * n_bytes)
    with nogil:
        for k in range(n_threads):
            decode_open(&t, longest, start + k * n_bytes)
        for k in prange(
            n_sequences, num_threads=n_threads, schedule="dynamic",
            use_threads_if=n_threads > 1,
        ):
            decode_sequence(&t, k, start + threadid() * n_bytes)


cdef class Stream:
    """A network that goes through its sequences one step at a time.

    Parameters
    ----------
    plan : Plan
        Of a network with one direction.
    parameters : array of shape (P,)
        Not to be changed while the stream is in use.
    n_sequences : int (B)

    Attributes
    ----------
    inputs : array of shape (B, I), or int64 array of shape (B,) of tokens
        To be filled before a step.
    scores : array of shape (B, K)
        Written by a step.
    """

    cdef Plan plan
    cdef task t
    cdef const engine* engine
    cdef Memory schedule, network, buffers, weights
    cdef char* stream
    cdef object owners
    cdef readonly object inputs, scores

    def __init__(self, Plan plan not None, parameters, Py_ssize_t n_sequences):
        cdef const network_plan* p = &plan.plan
        cdef task* t = &self.t
        if p.n_ahead > 0:
            raise ValueError("A network with scores of steps ahead has no stream.")
        index = np.arange(n_sequences, dtype=np.int64)
        ones = np.ones(n_sequences, dtype=np.int64)
        self.plan = plan
        self.schedule, self.network = Memory(), Memory()
        self.buffers, self.weights = Memory(), Memory()
        self.owners = (parameters, index, ones)
        self.scores = np.zeros((n_sequences, p.head.n_scores), parameters.dtype)
        memset(t, 0, sizeof(task))
        set_precision(t, parameters.dtype.itemsize)
        self.engine = engine_of(t.item)
        t.parameters = self.address(parameters)
        if p.vocabulary > 0:
            self.inputs = np.zeros(n_sequences, np.int64)
            t.tokens = <const int64_t*> self.address(self.inputs)
        else:
            self.inputs = np.zeros((n_sequences, p.n_inputs), parameters.dtype)
            t.values = self.address(self.inputs)
        t.starts = t.batch = <const int64_t*> self.address(index)
        t.lengths = <const int64_t*> self.address(ones)
        t.n_rows = n_sequences
        t.scores = self.address(self.scores)
        schedule_stream(
            p, t, self.schedule.reserve(schedule_bytes(p, t, 1)))
        t.worker_bytes = self.engine.worker_bytes(p, t)
        t.workers = self.buffers.reserve(t.worker_bytes)
        t.packed_weights = <void*> t.parameters
        if p.packed:
            t.packed_weights = self.weights.reserve(p.n_columns * t.item)
        self.stream = self.network.reserve(self.engine.stream_bytes)
        self.engine.stream_open(self.stream, p, t)

    cdef void* address(self, array) except NULL:
        cdef size_t start = array.ctypes.data
        return <void*> start

    def step(self):
        """Go on by one step, from `inputs` to `scores`."""
        with nogil:
            self.engine.stream_step(self.stream)

    def load(self, state):
        """Set the state (B, n_state)."""
        self.t.state_in = self.address(state)
        self.engine.stream_load(self.stream)
        self.t.state_in = NULL

    def store(self, state):
        """Write the state (B, n_state)."""
        self.t.state_out = self.address(state)
        self.engine.stream_store(self.stream)
        self.t.state_out = NULL
