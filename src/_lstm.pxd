"""One LSTM layer over the packed steps of one shard, forward and backward.

Letters: B rows (sequences) of the shard, T steps, N packed rows (sum of lengths),
I inputs, H units, G = 4H gate columns.

Rows are sorted by length, longest first; packed arrays are time-major and step t
holds the counts[t] rows still running. c and h carry B rows in front of their N
packed rows: the initial state. So the state before step t of row r stands at the
same r of the block before.

    forward   Z = X W' + b + h_{t-1} U';  i, f, g, o, c, h element-wise
    backward  dh_{t-1} = dZ_t U;  dW = dZ' X;  dU = dZ' h_prev;  db = sum dZ;  dX = dZ W
"""

from libc.string cimport memcpy

from _blas cimport gemm, real


cdef extern from "_cells_simd.h" nogil:
    void lstm_cell_forward_float "lstm_cell_forward_float[simd_level()]" (
        Py_ssize_t n, Py_ssize_t H, const float* bias, float* gates,
        const float* c_prev, float* c, float* phi_c, float* h)
    void lstm_cell_forward_double "lstm_cell_forward_double[simd_level()]" (
        Py_ssize_t n, Py_ssize_t H, const double* bias, double* gates,
        const double* c_prev, double* c, double* phi_c, double* h)
    void lstm_cell_backward_float "lstm_cell_backward_float[simd_level()]" (
        Py_ssize_t n, Py_ssize_t H, float* gates, const float* c_prev,
        const float* phi_c, const float* dy, float* dh, float* dc, float* dbias)
    void lstm_cell_backward_double "lstm_cell_backward_double[simd_level()]" (
        Py_ssize_t n, Py_ssize_t H, double* gates, const double* c_prev,
        const double* phi_c, const double* dy, double* dh, double* dc, double* dbias)


cdef struct Layer:
    Py_ssize_t n_inputs  # I; the bare letter is a macro of complex.h
    Py_ssize_t n_units   # H
    # Where its parameters start in the flat vector.
    Py_ssize_t weight_ih  # (G, I)
    Py_ssize_t weight_hh  # (G, H)
    Py_ssize_t bias       # (G,)


cdef struct Steps:
    Py_ssize_t B
    Py_ssize_t T
    Py_ssize_t N
    int* counts  # (T,) rows still running at each step


cdef inline void lstm_forward(
    const Layer* layer,
    const real* parameters,
    const Steps* steps,
    const real* x,     # IN (N, I)
    real* gates,       # OUT (N, G) activated gates
    real* c,           # INOUT (B + N, H) cell; the first B rows are the initial one
    real* phi_c,       # OUT (N, H) tanh of the cell
    real* h,           # INOUT (B + N, H) hidden state; likewise
    real* c_last,      # OUT (B, H) cell after each row's last step
    real* h_last,      # OUT (B, H)
) noexcept nogil:
    cdef Py_ssize_t I = layer.n_inputs, H = layer.n_units, G = 4 * layer.n_units
    cdef const real* W = parameters + layer.weight_ih
    cdef const real* U = parameters + layer.weight_hh
    cdef const real* b = parameters + layer.bias
    cdef Py_ssize_t t, n, running_on, before = 0, now = steps.B
    cdef real* z = gates

    # Z = X W'   (N x G) = (N x I) (I x G)
    gemm(False, True, steps.N, G, I, x, I, W, I, <real> 0, gates, G)
    for t in range(steps.T):
        n = steps.counts[t]
        # Z_t += h_{t-1} U'   (n x G) += (n x H) (H x G)
        gemm(False, True, n, G, H, h + before * H, H, U, H, <real> 1, z, G)
        if real is float:
            lstm_cell_forward_float(
                n, H, b, z, c + before * H,
                c + now * H, phi_c + (now - steps.B) * H, h + now * H)
        else:
            lstm_cell_forward_double(
                n, H, b, z, c + before * H,
                c + now * H, phi_c + (now - steps.B) * H, h + now * H)
        running_on = steps.counts[t + 1] if t + 1 < steps.T else 0
        if running_on < n:
            memcpy(c_last + running_on * H, c + (now + running_on) * H,
                   (n - running_on) * H * sizeof(real))
            memcpy(h_last + running_on * H, h + (now + running_on) * H,
                   (n - running_on) * H * sizeof(real))
        before = now
        now += n
        z += n * G


cdef inline void lstm_backward(
    const Layer* layer,
    const real* parameters,
    const Steps* steps,
    const real* x,      # IN (N, I)
    real* gates,        # INOUT (N, G) activated gates, then dL/dZ
    const real* c,      # IN (B + N, H)
    const real* phi_c,  # IN (N, H)
    const real* h,      # IN (B + N, H)
    const real* dy,     # IN (N, H) dL/dh of every step from above, or NULL
    real* dh,           # INOUT (B, H) dL/dh after the last step, then dL/dh_0
    real* dc,           # INOUT (B, H) likewise for the cell
    real* scratch,      # (N, H), used where lengths differ
    real* dx,           # OUT (N, I) or NULL; may be the memory of dy
    real* gradients,    # INOUT flat vector: this layer's gradients are added
) noexcept nogil:
    cdef Py_ssize_t I = layer.n_inputs, H = layer.n_units, G = 4 * layer.n_units
    cdef const real* W = parameters + layer.weight_ih
    cdef const real* U = parameters + layer.weight_hh
    cdef const real* h_prev = h
    cdef Py_ssize_t t, n, n_before, now = steps.N, before
    cdef real* dz

    # dh and dc wait in their rows until the step at which each row ends.
    for t in range(steps.T - 1, -1, -1):
        n = steps.counts[t]
        n_before = steps.counts[t - 1] if t > 0 else steps.B
        now -= n
        before = now + steps.B - n_before
        dz = gates + now * G
        if real is float:
            lstm_cell_backward_float(
                n, H, dz, c + before * H, phi_c + now * H,
                dy + now * H if dy != NULL else NULL, dh, dc,
                gradients + layer.bias)
        else:
            lstm_cell_backward_double(
                n, H, dz, c + before * H, phi_c + now * H,
                dy + now * H if dy != NULL else NULL, dh, dc,
                gradients + layer.bias)
        # dh_{t-1} = dZ_t U   (n x H) = (n x G) (G x H)
        gemm(False, False, n, H, G, dz, G, U, H, <real> 0, dh, H)
        if scratch != NULL:
            memcpy(scratch + now * H, h + before * H, n * H * sizeof(real))

    if scratch != NULL:
        h_prev = scratch
    # dU += dZ' h_prev   (G x H) += (G x N) (N x H)
    gemm(True, False, G, H, steps.N, gates, G, h_prev, H,
         <real> 1, gradients + layer.weight_hh, H)
    # dW += dZ' X   (G x I) += (G x N) (N x I)
    gemm(True, False, G, I, steps.N, gates, G, x, I,
         <real> 1, gradients + layer.weight_ih, I)
    if dx != NULL:
        # dX = dZ W   (N x I) = (N x G) (G x I)
        gemm(False, False, steps.N, I, G, gates, G, W, I, <real> 0, dx, I)
