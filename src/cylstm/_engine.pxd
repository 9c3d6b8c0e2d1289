"""What the bindings see of the network's C."""

from libc.stdint cimport int64_t, uint64_t

from cylstm._plan cimport network_plan

cdef extern from "tuning.h" nogil:
    enum:
        CACHE_LINE
        PARALLEL_WORK
        WIDE_SCORES
        FIRST_CALLS
        TRIAL_CALLS
        TRIALS_APART
        MAX_TRIALS_APART

cdef extern from "network/team.h" nogil:
    int64_t team_clock()

cdef extern from "network/task.h" nogil:
    ctypedef struct row:
        int64_t length

    ctypedef void gemm_function(
        int transpose_a, int transpose_b, Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
        const void* a, Py_ssize_t lda, const void* b, Py_ssize_t ldb, double beta, void* c,
        Py_ssize_t ldc) noexcept nogil

    ctypedef struct wide_head:
        Py_ssize_t n_steps, n_sampled
        double* losses
        const int* slots
        const void* log_shares

    ctypedef struct task:
        const void* parameters
        const void* values
        const int64_t* tokens
        const double* shift
        const double* scale
        const int64_t* seams
        const double* beyond
        const int64_t* starts
        const int64_t* lengths
        const int64_t* batch
        Py_ssize_t n_rows
        const void* targets
        Py_ssize_t n_targets
        const void* weights
        double weight_scale
        const void* state_in
        void* state_out
        void* scores
        void* features
        double* step_losses
        void** traces
        void* input_gradients
        void* gradients
        const int* slots
        Py_ssize_t n_touched
        double dropout, recurrent_dropout, weight_dropout, embedding_dropout
        uint64_t seed, update, parameter_update
        int64_t first_step
        int training
        gemm_function* gemm
        Py_ssize_t item
        row* rows
        Py_ssize_t n_lanes, n_members
        double* losses
        int n_threads
        Py_ssize_t max_packed
        int has_packed
        wide_head* wide
        void* dropped_parameters
        void* packed_weights
        char* workers
        Py_ssize_t worker_bytes
        char* lanes
        Py_ssize_t lane_bytes

cdef extern from "network/schedule.h" nogil:
    void schedule_tokens(
        const network_plan* plan, task* t, const int64_t* classes, Py_ssize_t n_classes,
        int* slots, int64_t* touched)
    void schedule_classes(
        const network_plan* plan, task* t, wide_head* wide, const int64_t* classes,
        Py_ssize_t n_classes)
    Py_ssize_t schedule_bytes(
        const network_plan* plan, const task* t, Py_ssize_t n_threads)
    void schedule_count_steps(const task* t, double* n_steps, int64_t* longest)
    bint schedule_wants_wide_head(
        const network_plan* plan, const task* t, Py_ssize_t wide_from, double n_steps,
        int64_t longest)
    void schedule_batch(
        const network_plan* plan, task* t, char* memory, Py_ssize_t n_threads,
        Py_ssize_t team_threads)
    void schedule_stream(const network_plan* plan, task* t, char* memory)
    Py_ssize_t schedule_n_workers(const task* t)
    Py_ssize_t schedule_wide_head(const network_plan* plan, task* t, char* memory)

cdef extern from "network/decode.h" nogil:
    ctypedef struct decode_task:
        const void* kernels
        Py_ssize_t n_labels
        const double* parameters
        const double* scores
        const int64_t* starts
        const int64_t* lengths
        int64_t* labels
        double* marginals
        int logs

    Py_ssize_t decode_bytes(Py_ssize_t n_labels, Py_ssize_t longest)
    void decode_open(const decode_task* t, Py_ssize_t longest, char* memory)
    void decode_sequence(const decode_task* t, Py_ssize_t sequence, char* memory)

cdef extern from "network/arena.h" nogil:
    void arena_limit(char* memory, Py_ssize_t n_bytes, Py_ssize_t capacity)

cdef extern from "network/engine.h" nogil:
    ctypedef struct phase:
        Py_ssize_t (*count)(const network_plan* plan, const task* t) noexcept nogil
        void (*work)(
            const network_plan* plan, const task* t, Py_ssize_t piece, int thread
        ) noexcept nogil
        int even
        void (*team_work)(
            const network_plan* plan, const task* t, int thread, int n_threads
        ) noexcept nogil

    ctypedef struct engine:
        const phase* phases
        int n_phases
        Py_ssize_t (*worker_bytes)(const network_plan* plan, const task* t) noexcept nogil
        Py_ssize_t (*lane_bytes)(const network_plan* plan, const task* t) noexcept nogil
        Py_ssize_t stream_bytes
        void (*stream_open)(
            void* stream, const network_plan* plan, const task* t) noexcept nogil
        void (*stream_step)(void* stream) noexcept nogil
        void (*stream_load)(void* stream) noexcept nogil
        void (*stream_store)(void* stream) noexcept nogil

    const engine engine_float, engine_double

cdef extern from "openmp.h" nogil:
    int omp_get_max_threads()
    int omp_get_num_procs()
    int omp_get_num_threads()
    void wait_for_all()
    bint CYLSTM_HAS_OPENMP
