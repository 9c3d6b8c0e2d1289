# cython: cdivision=True
"""The layers' weights as the kernels hold them, packed once per call, and their gradients
back into the flat vector's layout.

A packed layer has, one after the other, its columns [W U], bias and peepholes, block by
block, and for the backward pass the rows of U and of W. Gradients have the first three.
What is done is cut into items, which threads can do in any order: of each layer and
direction its blocks, then those of the columns of U and of W.
"""

from _blas cimport real
from _lstm cimport BLOCK_UNITS, Layer
from _model cimport Model


cdef extern from "_products_simd.h" nogil:
    void pack_gates_float "pack_gates_float[simd_level()]" (
        int n_gates, Py_ssize_t H, Py_ssize_t n, float* weights, Py_ssize_t K,
        Py_ssize_t at, float* packed, Py_ssize_t block, bint back)
    void pack_gates_double "pack_gates_double[simd_level()]" (
        int n_gates, Py_ssize_t H, Py_ssize_t n, double* weights, Py_ssize_t K,
        Py_ssize_t at, double* packed, Py_ssize_t block, bint back)
    void pack_rows_float "pack_rows_float[simd_level()]" (
        int n_gates, Py_ssize_t H, Py_ssize_t n, const float* weights, float* packed,
        Py_ssize_t block_columns, Py_ssize_t block)
    void pack_rows_double "pack_rows_double[simd_level()]" (
        int n_gates, Py_ssize_t H, Py_ssize_t n, const double* weights, double* packed,
        Py_ssize_t block_columns, Py_ssize_t block)


cdef inline Py_ssize_t whole_blocks(Py_ssize_t n) noexcept nogil:
    return (n + BLOCK_UNITS - 1) // BLOCK_UNITS * BLOCK_UNITS


cdef inline void plan_layers(Model* model, bint packed) noexcept nogil:
    """Where everything stands."""
    cdef Py_ssize_t k, at = 0
    cdef Layer* layer
    model.packed = packed
    for k in range(model.n_layers * model.n_directions):
        layer = &model.layers[k]
        layer.packed = packed
        layer.width = BLOCK_UNITS if packed else layer.n_units
        layer.n_padded = whole_blocks(layer.n_units) if packed else layer.n_units
        layer.n_blocks = layer.n_padded // layer.width
        layer.in_bias, layer.in_peephole = layer.bias, layer.peephole
        if packed:
            layer.in_columns = at
            at += layer.n_padded * layer.n_gates * (
                layer.n_inputs + (layer.n_units if layer.recurrent else 0))
            layer.in_bias = at
            at += layer.n_padded * layer.n_gates
            layer.in_peephole = at
            at += layer.n_padded * model.n_peepholes
    model.n_gradients = at if packed else model.n_flat
    for k in range(model.n_layers * model.n_directions):
        layer = &model.layers[k]
        if packed:
            layer.in_rows_hh = at
            if layer.recurrent:
                at += layer.n_padded * layer.n_gates * layer.n_units
            layer.in_rows_ih = at
            at += whole_blocks(layer.n_inputs) * layer.n_gates * layer.n_units
    model.n_weights = at


cdef enum Wanted:
    COLUMNS        # what forward needs; gradients have nothing else
    ROWS           # and what backward needs
    ROWS_TO_INPUT  # down to the inputs of the first layer


cdef inline void count_layer(
    const Model* model, Py_ssize_t k, Wanted wanted, Py_ssize_t portion, Py_ssize_t* counts
) noexcept nogil:
    """Items of one layer and direction: blocks of units, of columns of U, and of W."""
    cdef const Layer* layer = &model.layers[k]
    cdef Py_ssize_t columns = portion * BLOCK_UNITS
    counts[0] = layer.n_blocks
    counts[1] = counts[2] = 0
    if wanted != COLUMNS and layer.recurrent:
        counts[1] = (layer.n_units + columns - 1) // columns
    if wanted == ROWS_TO_INPUT or (wanted == ROWS and k >= model.n_directions):
        counts[2] = (layer.n_inputs + columns - 1) // columns


cdef inline Py_ssize_t count_items(
    const Model* model, Wanted wanted, Py_ssize_t portion
) noexcept nogil:
    cdef Py_ssize_t k, n = 0
    cdef Py_ssize_t counts[3]
    if not model.packed:
        return 0
    for k in range(model.n_layers * model.n_directions):
        count_layer(model, k, wanted, portion, counts)
        n += counts[0] + counts[1] + counts[2]
    return n


cdef inline void move_gates(
    const Layer* layer, Py_ssize_t n, real* weights, Py_ssize_t K, Py_ssize_t at,
    real* packed, Py_ssize_t block, bint back
) noexcept nogil:
    if real is float:
        pack_gates_float(<int> layer.n_gates, layer.n_units, n, weights, K, at, packed,
                         block, back)
    else:
        pack_gates_double(<int> layer.n_gates, layer.n_units, n, weights, K, at, packed,
                          block, back)


cdef inline void move_vectors(
    Py_ssize_t n, Py_ssize_t H, real* vectors, real* packed, Py_ssize_t block, bint back
) noexcept nogil:
    """Block of n vectors (n, H)."""
    cdef Py_ssize_t k, j, begin = block * BLOCK_UNITS
    packed += begin * n
    for k in range(n):
        for j in range(BLOCK_UNITS):
            if not back:
                packed[j] = vectors[k * H + begin + j] if begin + j < H else 0
            elif begin + j < H:
                vectors[k * H + begin + j] = packed[j]
        packed += BLOCK_UNITS


cdef inline void move_block(
    const Layer* layer, int n_peepholes, real* flat, real* packed, Py_ssize_t block,
    bint back
) noexcept nogil:
    """A block of units into its packed place, or back."""
    cdef Py_ssize_t I = layer.n_inputs, H = layer.n_units
    cdef Py_ssize_t K = I + (H if layer.recurrent else 0)
    move_gates(layer, I, flat + layer.weight_ih, K, 0, packed + layer.in_columns, block,
               back)
    if layer.recurrent:
        move_gates(layer, H, flat + layer.weight_hh, K, I, packed + layer.in_columns,
                   block, back)
    move_vectors(layer.n_gates, H, flat + layer.bias, packed + layer.in_bias, block, back)
    move_vectors(n_peepholes, H, flat + layer.peephole, packed + layer.in_peephole, block,
                 back)


cdef inline void pack_columns(
    const Layer* layer, Py_ssize_t n, const real* weights, real* packed,
    Py_ssize_t portion, Py_ssize_t block
) noexcept nogil:
    if real is float:
        pack_rows_float(<int> layer.n_gates, layer.n_units, n, weights, packed,
                        portion * BLOCK_UNITS, block)
    else:
        pack_rows_double(<int> layer.n_gates, layer.n_units, n, weights, packed,
                         portion * BLOCK_UNITS, block)


cdef inline void move_item(
    const Model* model, Py_ssize_t item, Wanted wanted, Py_ssize_t portion, real* flat,
    real* packed, bint back
) noexcept nogil:
    """Item of count_items: from the flat vector into its packed place, or back."""
    cdef Py_ssize_t k
    cdef Py_ssize_t counts[3]
    cdef const Layer* layer
    for k in range(model.n_layers * model.n_directions):
        layer = &model.layers[k]
        count_layer(model, k, wanted, portion, counts)
        if item < counts[0]:
            move_block(layer, model.n_peepholes, flat, packed, item, back)
            return
        item -= counts[0]
        if item < counts[1]:
            pack_columns(layer, layer.n_units, <const real*> flat + layer.weight_hh,
                         packed + layer.in_rows_hh, portion, item)
            return
        item -= counts[1]
        if item < counts[2]:
            pack_columns(layer, layer.n_inputs, <const real*> flat + layer.weight_ih,
                         packed + layer.in_rows_ih, portion, item)
            return
        item -= counts[2]
