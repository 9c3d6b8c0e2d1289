# cython: cdivision=True
"""A network as the kernels see it, one call's work on it, and one thread's memory."""

from libc.stdint cimport int64_t, uint64_t

from _losses cimport Loss
from _lstm cimport Layer, Steps, team_meeting
from _shards cimport Row

cdef enum:
    MAX_LAYERS = 64
    # Numbers of one cache line: buffers start on their own.
    ALIGNMENT = 16


cdef struct Model:
    Layer layers[2 * MAX_LAYERS]  # layer by layer, its directions one after the other
    Py_ssize_t n_layers
    Py_ssize_t n_directions       # 1 or 2
    Py_ssize_t n_inputs           # I of the first layer
    Py_ssize_t n_features         # D, inputs of the head
    Py_ssize_t n_scores           # K
    Py_ssize_t n_state            # S, numbers of one sequence's state
    bint per_step                 # scores for every step, not for the last alone
    Py_ssize_t vocabulary         # rows of the embedding; 0 where there is none
    bint tied                     # its weights are the head's as well
    Py_ssize_t n_dense            # parameters before the embedding, which comes last
    Py_ssize_t head_weight        # (K, D)
    Py_ssize_t head_bias          # (K,)
    Py_ssize_t widest_units       # of any layer, with padding
    Py_ssize_t widest_inputs      # of any layer
    # Layers in the flat vector, which they begin, and as the kernels hold them.
    bint packed
    int n_peepholes
    Py_ssize_t n_flat             # their parameters
    Py_ssize_t n_gradients        # numbers of their gradients
    Py_ssize_t n_weights          # of their weights, forward and backward
    Loss loss
    const double* levels          # (K,)


cdef struct Wide:
    # The head's part of a batch, where it is wide (_wide_head.pxd): M steps of all shards,
    # shard by shard.
    Py_ssize_t n_steps         # M
    Py_ssize_t* first          # (n_shards,) of each shard
    int64_t* rows              # (M,) rows of values
    double* losses             # (M,) weighted
    void* features             # (M, D)
    void* dfeatures            # (M, D)
    void* scores               # (M, K), then their gradients
    void* scratch              # (n_threads, MULTIPLY_SCRATCH)
    # The classes in the order of the scores: all K of them, or those of a sample.
    Py_ssize_t K
    const void* weights        # (K, D)
    const void* bias           # (K,)
    const int64_t* classes     # (K,), or NULL for all
    const int* slots           # (n_scores,) of each class its place among them
    Py_ssize_t n_sampled       # the others are there as targets alone
    const void* log_shares     # (n_sampled,) log of the probability to be sampled
    # Where their gradients stand.
    Py_ssize_t in_weights
    Py_ssize_t in_bias
    Py_ssize_t in_embedding


cdef struct Task:
    # What a call works on; the pointers are to numbers of the call's precision.
    const void* parameters     # (P,)
    const void* weights_of_layers  # packed, or the same
    const void* values         # (*, I) the steps of all sequences, or
    const int64_t* tokens      # (*,) their tokens
    const int64_t* starts      # (n_sequences,) first row of each in values
    const int64_t* batch       # (B,) the sequences of this batch
    # Indexed by sequence, or per step by the rows of values:
    const void* targets        # (*, n_targets)
    Py_ssize_t n_targets
    const void* weights        # (*,)
    double weight_scale        # 1 / sum of the batch's weights
    const void* state_in       # (B, S) or NULL for zeros
    void* state_out            # (B, S) or NULL
    void* scores               # (B, K), per step (*, K) by the rows of values; or NULL
    void* features             # (B, D), per step (*, D); or NULL
    double* step_losses        # (*,) by the rows of values; or NULL
    void** traces              # for each layer and direction (*, G + 2H); or NULL
    void* input_gradients      # (*, I) or NULL
    # Dropout.
    double dropout
    double recurrent_dropout
    uint64_t seed
    uint64_t update
    int64_t first_step         # of the batch within its sequences
    # How the batch is cut.
    Row* rows                  # (B,) longest first
    Py_ssize_t* bounds         # (n_shards + 1,)
    Py_ssize_t n_shards
    Py_ssize_t n_lanes
    bint ragged                # lengths differ
    # The tokens of the batch: where each one's gradient stands.
    const int* slots           # (vocabulary,)
    Py_ssize_t n_touched
    # History for each team, gradients for each lane. Those of the first lane that are in
    # the flat vector's layout go straight into the caller's.
    char* memory
    Py_ssize_t worker_bytes
    char* lanes
    Py_ssize_t lane_bytes
    void* gradients            # (n_dense + n_touched I,)
    Py_ssize_t n_members       # of a team
    Py_ssize_t portion         # blocks that its members share as one
    team_meeting* meetings     # (n_lanes,)
    Py_ssize_t max_rows        # of one shard
    Py_ssize_t max_steps       # of one chunk
    Py_ssize_t max_packed      # of one chunk of one shard
    bint training
    bint history               # all gates and cells are wanted
    double* losses             # (n_lanes,)
    Wide* wide                 # or NULL


cdef struct Buffers:
    # One team's memory. N packed rows of a chunk, B rows of a shard, M = N where there
    # are scores per step, else B; S units and G gate columns with their padding. Without
    # history gates, phi_c and c hold a step. Unused ones take no room.
    Steps* steps
    int* counts                        # (T,)
    Py_ssize_t* mirror                 # (N,) packed row of the mirrored step
    void* x[MAX_LAYERS]                # (N, I) inputs of each layer
    void* mirrored                     # (N, I) a layer's inputs from their end
    void* gates[2 * MAX_LAYERS]        # (N, G)
    void* c[2 * MAX_LAYERS]            # (B + N, S)
    void* h[2 * MAX_LAYERS]            # (B + N, H)
    void* phi_c[2 * MAX_LAYERS]        # (N, S)
    void* c_last[2 * MAX_LAYERS]       # (B, S)
    void* h_last[2 * MAX_LAYERS]       # (B, H)
    void* mask[2 * MAX_LAYERS]         # (B, H) recurrent dropout
    void* masked_h                     # (B, H)
    void* features                     # (M, D)
    void* scores                       # (M, K)
    void* dscores                      # (M, K)
    void* dfeatures                    # (B, D); per step it is dy
    void* dy                           # (N, I) dL/d outputs of a layer
    void* dx                           # (N, I) dL/d inputs of a layer
    void* part                         # (N, I) one direction's share of either
    void* h_prev                       # (N, H)
    void* dh                           # (B, S)
    void* dc                           # (B, S)
    # Of the lane: as the flat vector has them, and those of the layers as the kernels.
    void* gradients                    # (n_dense + n_touched I,)
    void* layer_gradients              # (n_gradients,)


cdef inline void* place(
    char** memory, Py_ssize_t n, Py_ssize_t item, bint wanted
) noexcept nogil:
    """The next n numbers of a thread's memory, or NULL where they are not wanted."""
    cdef void* here = memory[0]
    if not wanted:
        return NULL
    memory[0] += (n + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT * item
    return here


cdef inline bint own_inputs(const Model* model, const Task* task) noexcept nogil:
    """Whether a layer's inputs are not just the outputs of the layer below."""
    return model.n_directions == 2 or task.dropout > 0


cdef inline bint inputs_wanted(const Model* model, const Task* task) noexcept nogil:
    """Whether backward goes on to the inputs of the first layer."""
    return model.vocabulary > 0 or task.input_gradients != NULL


cdef inline Py_ssize_t lay_out(
    const Model* model, const Task* task, Py_ssize_t item, char* memory, Buffers* out
) noexcept nogil:
    """Place one team's buffers from `memory` on; return the bytes they take."""
    cdef char* at = memory
    cdef Py_ssize_t k, H, S, B = task.max_rows, N = task.max_packed
    cdef Py_ssize_t kept = N if task.history else B
    cdef Py_ssize_t M = N if model.per_step else B
    cdef bint scores = task.wide == NULL
    cdef Py_ssize_t W = max(model.widest_inputs, model.n_features)
    cdef Py_ssize_t widest = model.widest_units
    cdef bint two = model.n_directions == 2, training = task.training
    cdef bint own = own_inputs(model, task), masked = task.recurrent_dropout > 0
    out.steps = <Steps*> place(&at, 1, sizeof(Steps), True)
    out.counts = <int*> place(&at, task.max_steps, sizeof(int), True)
    out.mirror = <Py_ssize_t*> place(&at, N, sizeof(Py_ssize_t), two)
    out.mirrored = place(&at, N * model.widest_inputs, item, two)
    for k in range(model.n_layers):
        out.x[k] = place(&at, N * model.layers[k * model.n_directions].n_inputs, item,
                         k == 0 or own)
    for k in range(model.n_layers * model.n_directions):
        H, S = model.layers[k].n_units, model.layers[k].n_padded
        out.gates[k] = place(&at, kept * model.layers[k].n_gates * S, item, True)
        out.c[k] = place(&at, (B + kept) * S, item, True)
        out.h[k] = place(&at, (B + N) * H, item, True)
        out.phi_c[k] = place(&at, kept * S, item, True)
        out.c_last[k] = place(&at, B * S, item, True)
        out.h_last[k] = place(&at, B * H, item, True)
        out.mask[k] = place(&at, B * H, item, masked)
    out.masked_h = place(&at, B * widest, item, masked)
    out.features = place(&at, M * model.n_features, item, own)
    out.scores = place(&at, M * model.n_scores, item, scores)
    out.dscores = place(&at, M * model.n_scores, item, training and scores)
    if task.step_losses != NULL:  # one row of them, which nobody wants
        out.dscores = place(&at, model.n_scores, item, True)
    out.dy = place(&at, N * W, item, training and (
        model.per_step or model.n_layers > 1 or inputs_wanted(model, task)))
    out.dfeatures = place(
        &at, M * model.n_features, item, training and not model.per_step)
    out.dx = place(&at, N * W, item, training and two and (
        model.n_layers > 1 or inputs_wanted(model, task)))
    out.part = place(&at, N * W, item, training and two and (
        model.per_step or model.n_layers > 1 or inputs_wanted(model, task)))
    out.h_prev = place(&at, N * widest, item, training and (task.ragged or masked))
    out.dh = place(&at, B * widest, item, training)
    out.dc = place(&at, B * widest, item, training)
    return at - memory


cdef inline void take_gradients(
    const Model* model, const Task* task, Py_ssize_t item, Py_ssize_t lane, Buffers* out
) noexcept nogil:
    cdef char* gradients = task.lanes + lane * task.lane_bytes
    out.layer_gradients = gradients
    out.gradients = task.gradients
    if lane > 0:
        out.gradients = gradients + (model.n_gradients - model.n_flat) * item
    if not model.packed:
        out.layer_gradients = out.gradients


cdef inline void take_buffers(
    const Model* model, const Task* task, Py_ssize_t item, Py_ssize_t worker,
    Py_ssize_t lane, Buffers* out
) noexcept nogil:
    lay_out(model, task, item, task.memory + worker * task.worker_bytes, out)
    out.steps.counts = out.counts
    take_gradients(model, task, item, lane, out)
