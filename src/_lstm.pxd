"""One layer in one direction over the packed steps of one shard, forward and backward.

Letters: B rows (sequences) of the shard, T steps, N packed rows (sum of lengths),
I inputs, H units, G gate columns (4H, or 3H where gates are coupled).

Rows are sorted by length, longest first; packed arrays are time-major and step t
holds the counts[t] rows still running. c and h carry B rows in front of their N
packed rows: the initial state. So the state before step t of row r stands at the
same r of the block before.

    forward   Z = X W' + h_{t-1} U';  gates, c and h element-wise (_cells.h)
    backward  dh_{t-1} = dZ_t U;  dW = dZ' X;  dU = dZ' h_prev;  db = sum dZ;  dX = dZ W

With recurrent dropout, h_{t-1} is multiplied by a mask that stays the same for all
steps of a sequence (Gal & Ghahramani 2016). A layer that is not recurrent has no U.
"""

from libc.string cimport memcpy, memset

from _blas cimport gemm, real


cdef extern from "_cells_simd.h" nogil:
    void cell_forward_float(
        int cell, int relu, Py_ssize_t n, Py_ssize_t H, const float* bias,
        const float* peephole, float* gates, const float* c_prev, float* c,
        float* phi_c, float* h)
    void cell_forward_double(
        int cell, int relu, Py_ssize_t n, Py_ssize_t H, const double* bias,
        const double* peephole, double* gates, const double* c_prev, double* c,
        double* phi_c, double* h)
    void cell_backward_float(
        int cell, int relu, Py_ssize_t n, Py_ssize_t H, const float* peephole,
        float* gates, const float* c_prev, const float* c, const float* phi_c,
        const float* dy, float* dh, float* dc, float* dbias, float* dpeephole)
    void cell_backward_double(
        int cell, int relu, Py_ssize_t n, Py_ssize_t H, const double* peephole,
        double* gates, const double* c_prev, const double* c, const double* phi_c,
        const double* dy, double* dh, double* dc, double* dbias, double* dpeephole)


cdef struct Layer:
    int cell              # row of the table in _cells_simd.h
    bint relu             # phi: relu, else tanh
    bint recurrent
    Py_ssize_t n_gates
    Py_ssize_t n_inputs   # I; the bare letter is a macro of complex.h
    Py_ssize_t n_units    # H
    # Where its parameters start in the flat vector.
    Py_ssize_t weight_ih  # (G, I)
    Py_ssize_t weight_hh  # (G, H)
    Py_ssize_t bias       # (G,)
    Py_ssize_t peephole   # (3, H)


cdef struct Steps:
    Py_ssize_t first  # of them, within the sequences
    Py_ssize_t B
    Py_ssize_t T
    Py_ssize_t N
    int* counts  # (T,) rows still running at each step


cdef inline void multiply(
    Py_ssize_t n, const real* a, const real* b, real* out
) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        out[j] = a[j] * b[j]


cdef inline void lstm_forward(
    const Layer* layer,
    const real* parameters,
    const Steps* steps,
    const real* x,     # IN (N, I)
    const real* mask,  # IN (B, H) recurrent dropout, or NULL
    real* masked_h,    # (B, H) to work in, where there is a mask
    real* gates,       # OUT (N, G) activated gates
    real* c,           # INOUT (B + N, H) cell; the first B rows are the initial one
    real* phi_c,       # OUT (N, H) phi of the cell
    real* h,           # INOUT (B + N, H) hidden state; likewise
    real* c_last,      # OUT (B, H) cell after each row's last step
    real* h_last,      # OUT (B, H)
) noexcept nogil:
    cdef Py_ssize_t I = layer.n_inputs, H = layer.n_units, G = layer.n_gates * H
    cdef const real* W = parameters + layer.weight_ih
    cdef const real* U = parameters + layer.weight_hh
    cdef const real* b = parameters + layer.bias
    cdef const real* p = parameters + layer.peephole
    cdef const real* h_prev
    cdef Py_ssize_t t, n, running_on, before = 0, now = steps.B
    cdef real* z = gates

    # Z = X W'   (N x G) = (N x I) (I x G)
    gemm(False, True, steps.N, G, I, x, I, W, I, <real> 0, gates, G)
    for t in range(steps.T):
        n = steps.counts[t]
        if layer.recurrent:
            h_prev = h + before * H
            if mask != NULL:
                multiply(n * H, h_prev, mask, masked_h)
                h_prev = masked_h
            # Z_t += h_{t-1} U'   (n x G) += (n x H) (H x G)
            gemm(False, True, n, G, H, h_prev, H, U, H, <real> 1, z, G)
        if real is float:
            cell_forward_float(
                layer.cell, layer.relu, n, H, b, p, z, c + before * H,
                c + now * H, phi_c + (now - steps.B) * H, h + now * H)
        else:
            cell_forward_double(
                layer.cell, layer.relu, n, H, b, p, z, c + before * H,
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
    const real* mask,   # IN (B, H) recurrent dropout, or NULL
    real* gates,        # INOUT (N, G) activated gates, then dL/dZ
    const real* c,      # IN (B + N, H)
    const real* phi_c,  # IN (N, H)
    const real* h,      # IN (B + N, H)
    const real* dy,     # IN (N, H) dL/dh of every step from above, or NULL
    real* dh,           # INOUT (B, H) dL/dh after the last step, then dL/dh_0
    real* dc,           # INOUT (B, H) likewise for the cell
    real* scratch,      # (N, H), used where lengths differ or there is a mask
    real* dx,           # OUT (N, I) or NULL; may be the memory of dy
    real* gradients,    # INOUT flat vector: this layer's gradients are added
) noexcept nogil:
    cdef Py_ssize_t I = layer.n_inputs, H = layer.n_units, G = layer.n_gates * H
    cdef const real* W = parameters + layer.weight_ih
    cdef const real* U = parameters + layer.weight_hh
    cdef const real* p = parameters + layer.peephole
    cdef const real* h_prev = h
    # Where all rows run through all steps, the states before the steps stand in one
    # block already.
    cdef bint aligned = steps.counts[steps.T - 1] == steps.B and mask == NULL
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
            cell_backward_float(
                layer.cell, layer.relu, n, H, p, dz, c + before * H,
                c + (now + steps.B) * H, phi_c + now * H,
                dy + now * H if dy != NULL else NULL, dh, dc,
                gradients + layer.bias, gradients + layer.peephole)
        else:
            cell_backward_double(
                layer.cell, layer.relu, n, H, p, dz, c + before * H,
                c + (now + steps.B) * H, phi_c + now * H,
                dy + now * H if dy != NULL else NULL, dh, dc,
                gradients + layer.bias, gradients + layer.peephole)
        if not layer.recurrent:
            memset(dh, 0, n * H * sizeof(real))
            continue
        # dh_{t-1} = dZ_t U   (n x H) = (n x G) (G x H)
        gemm(False, False, n, H, G, dz, G, U, H, <real> 0, dh, H)
        if mask != NULL:
            multiply(n * H, dh, mask, dh)
            multiply(n * H, h + before * H, mask, scratch + now * H)
        elif not aligned:
            memcpy(scratch + now * H, h + before * H, n * H * sizeof(real))

    if layer.recurrent:
        if not aligned:
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
