"""A network as the kernels see it, and the tables of cells and losses."""

from libc.string cimport memset

import os
from collections import namedtuple

from cylstm._simd cimport kernels_in_use

POOLINGS = {(<bytes> pooling_names[k]).decode(): k for k in range(N_POOLINGS)}
LOSSES = {(<bytes> loss_names[k]).decode(): k for k in range(n_losses)}


# A row of the table of cells: its number, and the letters of its gates (in the order in which
# they are stacked), of those that see the inputs, the hidden state, the reset gate times that
# state and the cell state, and of the vectors of its state.
Cell = namedtuple("Cell", "number gates see_x see_h see_rh see_c state")

CELLS = {
    (<bytes> cell_table[k].name).decode(): Cell(
        k,
        (<bytes> cell_table[k].gates).decode(),
        (<bytes> cell_table[k].see_x).decode(),
        (<bytes> cell_table[k].see_h).decode(),
        (<bytes> cell_table[k].see_rh).decode(),
        (<bytes> cell_table[k].see_c).decode(),
        (<bytes> cell_table[k].state).decode(),
    )
    for k in range(N_CELLS)
}


def products():
    """"packed", or "blas" where CYLSTM_PRODUCTS asks for it: what multiplies in networks made
    from now on."""
    chosen = os.environ.get("CYLSTM_PRODUCTS") or "packed"
    if chosen not in ("packed", "blas"):
        raise ValueError(f"CYLSTM_PRODUCTS={chosen!r} must be 'packed' or 'blas'.")
    return chosen


def check_int8(products, layers, cell, dtype, layer_norm):
    """Refuse int8 weights where there are no kernels for them."""
    if layer_norm:
        raise ValueError(
            "weights='int8' is not possible with layer_norm=True, which normalizes the "
            "products with inputs and hidden state apart; those in int8 are added up at once."
        )
    if CELLS[cell].see_rh:
        raise ValueError(
            f"weights='int8' is not possible with cell={cell!r}, which multiplies by "
            "recurrent weights after its reset gate; cell='gru' can be quantized."
        )
    if dtype.name != "float32":
        raise ValueError(
            f"weights='int8' needs dtype='float32', but the model has dtype='{dtype.name}'."
        )
    if products != "packed":
        raise ValueError("weights='int8' is not possible with CYLSTM_PRODUCTS='blas'.")
    largest = max(max(d[0], d[2]) for layer in layers for d in layer)
    if largest > MAX_INT8_DEPTH:
        raise ValueError(
            f"weights='int8' allows at most {MAX_INT8_DEPTH} inputs and numbers of the hidden "
            f"state of a layer, but one has {largest}."
        )


cdef class Plan:
    """A network as the kernels see it.

    Parameters
    ----------
    layers : list of list of tuple of 12 int
        For each layer its directions: I, H and R (which is H, or less where there is a
        projection); then where weight_ih, weight_hh, bias, peephole, weight_hr, norm_ih,
        norm_hh, norm_c and bias_c start in the flat parameter vector.
    cell, activation, loss : str
        A key of CELLS; "tanh" or "relu"; a key of LOSSES.
    head : (D, K, weight, bias)
        Sizes and offsets of the linear head.
    per_step : bool
        Scores for every step, not only for the last.
    vocabulary : int
        Tokens of the embedding, 0 without. Its weights are the end of the vector.
    tied : bool
        The head's weights are those of the embedding.
    n_parameters : int
        Length of the flat vector.
    dtype : dtype
        float32 or float64.
    levels : float64 array of shape (K,) or None
        Levels of the quantile loss.
    weights : "int8" or None
        What the layers' matrices are packed as, for prediction alone; None is dtype.
    pooling : str
        A key of POOLINGS; "last" with per_step.
    residual : bool
        A layer's inputs are added to its outputs where they are as many.
    layer_norm : bool
        Products and cell states are normalized, with gains.
    n_ahead : int
        Scores for so many steps from each sequence's seam on, instead of the last; or 0.
        Without per_step, and with the pooling "last".

    Raises
    ------
    ValueError
        If there are too many layers, or int8 is not possible.
    """

    def __init__(
        self, layers, cell, activation, head, loss, per_step, Py_ssize_t vocabulary,
        bint tied, Py_ssize_t n_parameters, dtype, levels=None,
        weights=None, pooling="last", residual=False, layer_norm=False, n_ahead=0
    ):
        if len(layers) > MAX_LAYERS:
            raise ValueError(
                f"{len(layers)} layers were given, at most {MAX_LAYERS} are possible."
            )
        if n_ahead and (per_step or pooling != "last"):
            raise ValueError("n_ahead goes with neither per_step nor pooling.")
        cdef network_plan* plan = &self.plan
        cdef layer_plan* layer
        memset(plan, 0, sizeof(network_plan))
        self.products = products()
        plan.packed = self.products == "packed"
        plan.kernels = kernels_in_use(dtype.itemsize).kernels
        if weights == "int8":
            check_int8(self.products, layers, cell, dtype, layer_norm)
            plan.int8 = kernels_in_use(dtype.itemsize).int8
        plan.n_layers = len(layers)
        plan.n_directions = len(layers[0])
        plan.n_inputs = layers[0][0][0]
        (plan.head.n_features, plan.head.n_scores, plan.head.weight,
         plan.head.bias) = head
        plan.per_step = per_step
        plan.n_ahead = n_ahead
        plan.pooling = POOLINGS[pooling]
        plan.residual = residual
        plan.vocabulary = vocabulary
        plan.tied = tied
        plan.n_dense = n_parameters - vocabulary * plan.n_inputs
        plan.loss = LOSSES[loss]
        if levels is not None:
            self.levels = levels
            plan.levels = &self.levels[0]
        for k, direction in enumerate([d for layer_ in layers for d in layer_]):
            layer = &plan.layers[k]
            layer.cell = CELLS[cell].number
            layer.relu = activation == "relu"
            (layer.n_inputs, layer.columns.n_units, layer.n_outputs, layer.weight_ih,
             layer.weight_hh, layer.bias, layer.peephole, layer.weight_hr, layer.norm_ih,
             layer.norm_hh, layer.norm_c, layer.bias_c) = direction
            layer.normalized = layer_norm
        plan_layout(plan)
