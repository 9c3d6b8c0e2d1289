# cython: cdivision=True
"""One layer in one direction over the packed steps of one shard, forward and backward.

Letters: B rows (sequences) of the shard, T steps, N packed rows (sum of lengths),
I inputs, H units, S units with padding, G = 4S gate columns (3S where gates are coupled).

Rows are sorted by length, longest first; packed arrays are time-major and step t
holds the counts[t] rows still running. c and h carry B rows in front of their N
packed rows: the initial state. So the state before step t of row r stands at the
same r of the block before.

    forward   Z = X W' + h_{t-1} U';  gates, c and h element-wise (_cells.h)
    backward  dh_{t-1} = dZ_t U;  dW = dZ' X;  dU = dZ' h_prev;  db = sum dZ;  dX = dZ W

With recurrent dropout, h_{t-1} is multiplied by a mask that stays the same for all
steps of a sequence (Gal & Ghahramani 2016). A layer that is not recurrent has no U.

# Design: there are two ways to the products.
#
# a) A packed layer (_products.h) has its weights packed once per batch, [W U] as the
#    columns of one matrix. The units stand in blocks of 16, the last one padded (S
#    units with the padding), the gates of a block side by side: a step multiplies x_t
#    and h_{t-1} by the columns of some blocks and goes on to their cells while the sums
#    are in cache. Its gradients have the layout of its weights.
# b) Without (S = H, one block), BLAS multiplies. It is the reference.
# c) The members of a team share the blocks of a packed layer and meet at each step. A
#    sum is always one member's, so that the bits do not depend on their number.
"""

from libc.string cimport memcpy, memset

from _blas cimport gemm, real


cdef extern from "_cells_simd.h" nogil:
    const Py_ssize_t BLOCK_UNITS
    void cell_forward_float(
        int cell, int relu, Py_ssize_t n, Py_ssize_t H, Py_ssize_t width,
        Py_ssize_t first, Py_ssize_t last, const float* bias, const float* peephole,
        float* gates, const float* c_prev, float* c, float* phi_c, float* h)
    void cell_forward_double(
        int cell, int relu, Py_ssize_t n, Py_ssize_t H, Py_ssize_t width,
        Py_ssize_t first, Py_ssize_t last, const double* bias, const double* peephole,
        double* gates, const double* c_prev, double* c, double* phi_c, double* h)
    void cell_backward_float(
        int cell, int relu, Py_ssize_t n, Py_ssize_t H, Py_ssize_t width,
        Py_ssize_t first, Py_ssize_t last, const float* peephole, float* gates,
        const float* c_prev, const float* c, const float* phi_c, const float* dy,
        float* dh, float* dc, float* dbias, float* dpeephole)
    void cell_backward_double(
        int cell, int relu, Py_ssize_t n, Py_ssize_t H, Py_ssize_t width,
        Py_ssize_t first, Py_ssize_t last, const double* peephole, double* gates,
        const double* c_prev, const double* c, const double* phi_c, const double* dy,
        double* dh, double* dc, double* dbias, double* dpeephole)

cdef extern from "_products_simd.h" nogil:
    ctypedef struct product_part:
        const void* start
        Py_ssize_t row, step, n
    void product_float "product_float[simd_level()]" (
        Py_ssize_t n, int n_parts, const product_part* parts, Py_ssize_t K,
        const float* packed, Py_ssize_t block, Py_ssize_t first, Py_ssize_t last,
        Py_ssize_t columns, float* out, Py_ssize_t out_width)
    void product_double "product_double[simd_level()]" (
        Py_ssize_t n, int n_parts, const product_part* parts, Py_ssize_t K,
        const double* packed, Py_ssize_t block, Py_ssize_t first, Py_ssize_t last,
        Py_ssize_t columns, double* out, Py_ssize_t out_width)
    void add_transposed_product_float "add_transposed_product_float[simd_level()]" (
        Py_ssize_t N, int n_parts, const product_part* parts, Py_ssize_t K,
        const float* z, Py_ssize_t z_width, float* packed, Py_ssize_t block,
        Py_ssize_t first, Py_ssize_t last)
    void add_transposed_product_double "add_transposed_product_double[simd_level()]" (
        Py_ssize_t N, int n_parts, const product_part* parts, Py_ssize_t K,
        const double* z, Py_ssize_t z_width, double* packed, Py_ssize_t block,
        Py_ssize_t first, Py_ssize_t last)

cdef extern from "_team.h" nogil:
    ctypedef struct team_meeting:
        int members
    void team_meet(team_meeting* meeting)

cdef enum:
    # Blocks that a panel of columns, in products with dZ, reaches over at most.
    PORTION = 4
    # Numbers of gates that a step computes before it goes on to their cells: half of
    # the smallest first-level cache in use.
    GATES_AT_ONCE = 4096


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
    # Its units in blocks.
    bint packed
    Py_ssize_t width      # of a block: BLOCK_UNITS, or H where it is not packed
    Py_ssize_t n_blocks
    Py_ssize_t n_padded   # S = n_blocks * width
    # Where the kernels find its weights, and their gradients at the same places.
    Py_ssize_t in_columns     # ((I + H) x G) packed
    Py_ssize_t in_bias        # block by block (n_gates, width)
    Py_ssize_t in_peephole    # block by block (3, width)
    # Weights alone.
    Py_ssize_t in_rows_hh     # (G x H) packed
    Py_ssize_t in_rows_ih     # (G x I) packed


cdef struct Steps:
    Py_ssize_t first  # of them, within the sequences
    Py_ssize_t B
    Py_ssize_t T
    Py_ssize_t N
    int* counts  # (T,) rows still running at each step


cdef struct Team:
    int member
    Py_ssize_t portion  # blocks of units (or of inputs) that are shared as one
    team_meeting* meeting


cdef inline void share(
    const Team* team, Py_ssize_t n_blocks, Py_ssize_t* first, Py_ssize_t* last
) noexcept nogil:
    """A member's part of some blocks, in whole portions."""
    cdef Py_ssize_t portions = (n_blocks + team.portion - 1) // team.portion
    cdef Py_ssize_t members = team.meeting.members
    first[0] = min(n_blocks, team.member * portions // members * team.portion)
    last[0] = min(n_blocks, (team.member + 1) * portions // members * team.portion)


cdef inline void meet(const Team* team) noexcept nogil:
    if team.meeting.members > 1:
        team_meet(team.meeting)


cdef inline void mask_rows(
    Py_ssize_t n, Py_ssize_t H, const real* a, Py_ssize_t a_stride, const real* mask,
    real* out, Py_ssize_t out_stride
) noexcept nogil:
    cdef Py_ssize_t row, j
    for row in range(n):
        for j in range(H):
            out[row * out_stride + j] = a[row * a_stride + j] * mask[row * H + j]


cdef inline product_part part(
    const real* start, Py_ssize_t row, Py_ssize_t n
) noexcept nogil:
    """n columns of a row-major matrix, its rows `row` numbers apart."""
    cdef product_part columns
    columns.start = start
    columns.row = row
    columns.step = 1
    columns.n = n
    return columns


cdef inline void multiply(
    Py_ssize_t n, int n_parts, const product_part* parts, Py_ssize_t K,
    const real* packed, Py_ssize_t block, Py_ssize_t first, Py_ssize_t last,
    Py_ssize_t columns, real* out, Py_ssize_t out_width
) noexcept nogil:
    if real is float:
        product_float(n, n_parts, parts, K, packed, block, first, last, columns, out,
                      out_width)
    else:
        product_double(n, n_parts, parts, K, packed, block, first, last, columns, out,
                       out_width)


cdef inline int parts_of_dz(
    const Layer* layer, const real* dz, product_part* parts
) noexcept nogil:
    """The columns of dZ without their padding; at most 5 parts."""
    cdef Py_ssize_t row = layer.n_padded * layer.n_gates
    cdef Py_ssize_t whole = layer.n_units // BLOCK_UNITS * BLOCK_UNITS
    cdef Py_ssize_t gate, rest = layer.n_units - whole
    parts[0] = part(dz, row, whole * layer.n_gates)
    if rest == 0:
        return 1
    for gate in range(layer.n_gates):
        parts[1 + gate] = part(
            dz + whole * layer.n_gates + gate * BLOCK_UNITS, row, rest)
    return <int> (1 + layer.n_gates)


cdef inline void cells_forward(
    const Layer* layer, const real* weights, Py_ssize_t n, Py_ssize_t first,
    Py_ssize_t last, real* z, const real* c_prev, real* c, real* phi_c, real* h
) noexcept nogil:
    if real is float:
        cell_forward_float(
            layer.cell, layer.relu, n, layer.n_units, layer.width, first, last,
            weights + layer.in_bias, weights + layer.in_peephole, z, c_prev, c, phi_c, h)
    else:
        cell_forward_double(
            layer.cell, layer.relu, n, layer.n_units, layer.width, first, last,
            weights + layer.in_bias, weights + layer.in_peephole, z, c_prev, c, phi_c, h)


cdef inline void cells_backward(
    const Layer* layer, const real* weights, Py_ssize_t n, Py_ssize_t first,
    Py_ssize_t last, real* z, const real* c_prev, const real* c, const real* phi_c,
    const real* dy, real* dh, real* dc, real* gradients
) noexcept nogil:
    if real is float:
        cell_backward_float(
            layer.cell, layer.relu, n, layer.n_units, layer.width, first, last,
            weights + layer.in_peephole, z, c_prev, c, phi_c, dy, dh, dc,
            gradients + layer.in_bias, gradients + layer.in_peephole)
    else:
        cell_backward_double(
            layer.cell, layer.relu, n, layer.n_units, layer.width, first, last,
            weights + layer.in_peephole, z, c_prev, c, phi_c, dy, dh, dc,
            gradients + layer.in_bias, gradients + layer.in_peephole)


cdef inline void lstm_forward(
    const Layer* layer,
    const real* weights,
    const Steps* steps,
    const Team* team,
    bint history,      # whether backward (or the caller) wants all gates and cells;
                       # without, those of a step take the place of those before
    const real* x,     # IN (N, I)
    const real* mask,  # IN (B, H) recurrent dropout, or NULL
    real* masked_h,    # (B, H) to work in, where there is a mask
    real* gates,       # OUT (N, S n_gates) activated gates; (B, ...) without history
    real* c,           # INOUT (B + N, S) cell; the first B rows are the initial one;
                       # (2B, S) without history
    real* phi_c,       # OUT (N, S) phi of the cell; (B, S) without history
    real* h,           # INOUT (B + N, H) hidden state; as c
    real* c_last,      # OUT (B, S) cell after each row's last step
    real* h_last,      # OUT (B, H)
) noexcept nogil:
    cdef Py_ssize_t I = layer.n_inputs, H = layer.n_units, S = layer.n_padded
    cdef Py_ssize_t G = S * layer.n_gates, block_gates = layer.width * layer.n_gates
    cdef Py_ssize_t B = steps.B, K = I + (H if layer.recurrent else 0)
    cdef Py_ssize_t t, n, running_on, before = 0, now = B
    cdef Py_ssize_t first, last, block, end, at_once
    cdef const real* h_prev
    cdef real* z
    cdef real* c_prev
    cdef real* c_now
    cdef real* phi
    cdef product_part parts[2]
    share(team, layer.n_blocks, &first, &last)
    if not layer.packed:
        # Z = X W'   (N x G) = (N x I) (I x G)
        gemm(False, True, steps.N, G, I, x, I, weights + layer.weight_ih, I,
             <real> 0, gates, G)
    for t in range(steps.T):
        n = steps.counts[t]
        if history:
            z, phi = gates + (now - B) * G, phi_c + (now - B) * S
            c_prev, c_now = c + before * S, c + now * S
        else:
            z, phi = gates, phi_c
            c_prev, c_now = c + t % 2 * B * S, c + (t + 1) % 2 * B * S
        h_prev = h + before * H
        if mask != NULL:
            mask_rows(n, H, h_prev, H, mask, masked_h, H)
            h_prev = masked_h
        if layer.packed:
            parts[0] = part(x + (now - B) * I, I, I)
            parts[1] = part(h_prev, H, H)
            at_once = max(<Py_ssize_t> 1, GATES_AT_ONCE // (n * block_gates))
            block = first
            while block < last:
                end = min(block + at_once, last)
                # Z_t = x_t W' + h_{t-1} U'   (n x G) = (n x (I + H)) ((I + H) x G)
                multiply(n, 1 + layer.recurrent, parts, K, weights + layer.in_columns,
                         block_gates, block * block_gates, end * block_gates, G, z, G)
                cells_forward(layer, weights, n, block, end, z, c_prev, c_now, phi,
                              h + now * H)
                block = end
        else:
            if layer.recurrent:
                # Z_t += h_{t-1} U'   (n x G) += (n x H) (H x G)
                gemm(False, True, n, G, H, h_prev, H, weights + layer.weight_hh, H,
                     <real> 1, z, G)
            cells_forward(layer, weights, n, 0, 1, z, c_prev, c_now, phi, h + now * H)
        meet(team)
        if team.member == 0:
            running_on = steps.counts[t + 1] if t + 1 < steps.T else 0
            memcpy(c_last + running_on * S, c_now + running_on * S,
                   (n - running_on) * S * sizeof(real))
            memcpy(h_last + running_on * H, h + (now + running_on) * H,
                   (n - running_on) * H * sizeof(real))
        before = now
        now += n


cdef inline void lstm_backward(
    const Layer* layer,
    const real* weights,
    const Steps* steps,
    const Team* team,
    const real* x,      # IN (N, I)
    const real* mask,   # IN (B, H) recurrent dropout, or NULL
    real* gates,        # INOUT (N, S n_gates) activated gates, then dL/dZ
    const real* c,      # IN (B + N, S)
    const real* phi_c,  # IN (N, S)
    const real* h,      # IN (B + N, H)
    const real* dy,     # IN (N, H) dL/dh of every step from above, or NULL
    real* dh,           # INOUT (B, S) dL/dh after the last step, then used up
    real* dc,           # INOUT (B, S) likewise for the cell
    real* scratch,      # (N, H), used where lengths differ or there is a mask
    real* dx,           # OUT (N, I) or NULL; may be the memory of dy
    real* gradients,    # INOUT this layer's gradients are added
) noexcept nogil:
    cdef Py_ssize_t I = layer.n_inputs, H = layer.n_units, S = layer.n_padded
    cdef Py_ssize_t G = S * layer.n_gates, block_gates = layer.width * layer.n_gates
    cdef Py_ssize_t N = steps.N, B = steps.B, K = I + (H if layer.recurrent else 0)
    cdef const real* h_prev = h
    # Where all rows run through all steps, the states before the steps stand in one
    # block already.
    cdef bint aligned = steps.counts[steps.T - 1] == B and mask == NULL
    cdef Py_ssize_t t, n, n_before, row, now = N, before
    cdef Py_ssize_t first, last
    cdef int n_parts
    cdef real* dz
    cdef product_part parts[5]
    share(team, layer.n_blocks, &first, &last)

    # dh and dc wait in their rows until the step at which each row ends.
    for t in range(steps.T - 1, -1, -1):
        n = steps.counts[t]
        n_before = steps.counts[t - 1] if t > 0 else B
        now -= n
        before = now + B - n_before
        dz = gates + now * G
        cells_backward(
            layer, weights, n, first, last, dz, c + before * S, c + (now + B) * S,
            phi_c + now * S, dy + now * H if dy != NULL else NULL, dh, dc, gradients)
        if team.member == 0 and layer.recurrent:
            if mask != NULL:
                mask_rows(n, H, h + before * H, H, mask, scratch + now * H, H)
            elif not aligned:
                memcpy(scratch + now * H, h + before * H, n * H * sizeof(real))
        meet(team)
        if t == 0:
            break
        if not layer.recurrent:
            for row in range(n):
                memset(dh + row * S + first * layer.width, 0,
                       (last - first) * layer.width * sizeof(real))
            continue
        # dh_{t-1} = dZ_t U   (n x H) = (n x G) (G x H)
        if layer.packed:
            n_parts = parts_of_dz(layer, dz, parts)
            multiply(n, n_parts, parts, H * layer.n_gates, weights + layer.in_rows_hh,
                     team.portion * BLOCK_UNITS, first * layer.width,
                     last * layer.width, S, dh, S)
        else:
            gemm(False, False, n, H, G, dz, G, weights + layer.weight_hh, H,
                 <real> 0, dh, S)
        if mask != NULL:
            mask_rows(n, H, dh, S, mask, dh, S)

    if not aligned:
        h_prev = scratch
    if layer.packed:
        # [dW dU]' += [X h_prev]' dZ   ((I + H) x G) += ((I + H) x N) (N x G)
        parts[0] = part(x, I, I)
        parts[1] = part(h_prev, H, H)
        if real is float:
            add_transposed_product_float(
                N, 1 + layer.recurrent, parts, K, gates, G, gradients + layer.in_columns,
                block_gates, first * block_gates, last * block_gates)
        else:
            add_transposed_product_double(
                N, 1 + layer.recurrent, parts, K, gates, G, gradients + layer.in_columns,
                block_gates, first * block_gates, last * block_gates)
        if dx != NULL:
            # dX = dZ W   (N x I) = (N x G) (G x I)
            n_parts = parts_of_dz(layer, gates, parts)
            share(team, (I + BLOCK_UNITS - 1) // BLOCK_UNITS, &first, &last)
            multiply(N, n_parts, parts, H * layer.n_gates, weights + layer.in_rows_ih,
                     team.portion * BLOCK_UNITS, first * BLOCK_UNITS, last * BLOCK_UNITS,
                     I, dx, I)
        meet(team)
        return
    if layer.recurrent:
        # dU += dZ' h_prev   (G x H) += (G x N) (N x H)
        gemm(True, False, G, H, N, gates, G, h_prev, H,
             <real> 1, gradients + layer.weight_hh, H)
    # dW += dZ' X   (G x I) += (G x N) (N x I)
    gemm(True, False, G, I, N, gates, G, x, I,
         <real> 1, gradients + layer.weight_ih, I)
    if dx != NULL:
        # dX = dZ W   (N x I) = (N x G) (G x I)
        gemm(False, False, N, I, G, gates, G, weights + layer.weight_ih, I,
             <real> 0, dx, I)
