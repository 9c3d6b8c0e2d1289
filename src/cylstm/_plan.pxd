"""What other modules see of a plan."""

cdef extern from "network/plan.h" nogil:
    ctypedef struct cell_facts:
        const char* name
        const char* gates
        const char* see_x
        const char* see_h
        const char* see_rh
        const char* see_c
        const char* state
    enum:
        N_CELLS
    const cell_facts* cell_table
    enum:
        N_POOLINGS
    const char** pooling_names
    int n_losses
    const char** loss_names

    ctypedef struct packed_columns:
        Py_ssize_t n_units

    ctypedef struct layer_plan:
        int cell
        int relu
        packed_columns columns
        Py_ssize_t n_inputs, n_outputs, weight_ih, weight_hh, bias, peephole, weight_hr
        int normalized
        Py_ssize_t norm_ih, norm_hh, norm_c, bias_c

    ctypedef struct head_plan:
        Py_ssize_t n_scores, n_features, weight, bias

    ctypedef struct network_plan:
        layer_plan* layers
        Py_ssize_t n_layers, n_directions
        head_plan head
        Py_ssize_t n_inputs
        int per_step
        Py_ssize_t n_ahead
        int residual
        int pooling
        Py_ssize_t vocabulary
        int tied
        Py_ssize_t n_dense
        int packed
        double layers_work
        Py_ssize_t n_weights, n_columns, widest_units, widest_inputs
        int loss
        const double* levels
        const void* kernels
        const void* int8

    void plan_layout(network_plan* plan)
    Py_ssize_t plan_n_layer_parameters(const network_plan* plan)

cdef extern from "network/losses.h" nogil:
    enum:
        LOSS_softmax

cdef extern from "tuning.h" nogil:
    enum:
        MAX_INT8_DEPTH
        MAX_LAYERS

cdef class Plan:
    cdef network_plan plan
    cdef const double[::1] levels
    cdef readonly str products
