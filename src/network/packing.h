/* Weights into the kernels' layout, and gradients back into the flat vector's. The
 * work is cut into pieces that threads can do in any order: of each layer its blocks of units and
 * of its projection, then for backward blocks of the rows of U, W and W_hr; last the head
 * likewise. */

static gate_shape shape_of(const packed_columns *c, const signed char *stacked)
{
    return (gate_shape){(int)c->n_gates, stacked, c->n_units, c->width};
}

/* Rows in their order: of the one gate of a head, of biases and peepholes. */
static const signed char in_order[] = {0, 1, 2, 3};
_Static_assert(sizeof(in_order) >= MAX_GATES, "a row for each gate");
_Static_assert(sizeof(in_order) >= MAX_PEEPHOLES, "a row for each peephole");

static ptrdiff_t count_layer_blocks(const layer_plan *l)
{
    return l->columns.n_blocks + l->projection.n_blocks;
}

/* Weights that are packed as rows: `wanted` for the gradient of an operand of n numbers. */
typedef struct {
    gate_shape shape;
    ptrdiff_t n, weights, at; /* their places in the flat vector and packed */
    int wanted;
} row_weights;

enum { N_ROW_WEIGHTS = 4 };

static void list_row_weights(
    const network_plan *plan, ptrdiff_t k, pack_purpose purpose, row_weights *rows)
{
    const layer_plan *l = &plan->layers[k];
    const packed_columns *c = &l->columns, *projection = &l->projection;
    const int backward = purpose != FOR_FORWARD, first_level = k < plan->n_directions;
    const int to_inputs = purpose == FOR_INPUT_GRADIENTS || (backward && !first_level);
    rows[0] = (row_weights){shape_of(c, l->h.rows), l->n_outputs, l->weight_hh, l->rows_h_at,
                            backward && l->recurrent};
    rows[1] = (row_weights){shape_of(c, l->rh.rows), l->n_outputs, l->weight_hh, l->rows_rh_at,
                            backward && l->resets};
    rows[2] = (row_weights){shape_of(c, l->x.rows), l->n_inputs, l->weight_ih, l->rows_x_at,
                            to_inputs};
    rows[3] = (row_weights){shape_of(projection, in_order), c->n_units, l->weight_hr,
                            l->rows_m_at, backward && l->projects};
}

static ptrdiff_t count_row_pieces(const row_weights *rows, ptrdiff_t portion)
{
    return rows->wanted ? ceil_div(rows->n, portion * BLOCK_UNITS) : 0;
}

static ptrdiff_t count_layer_pieces(
    const network_plan *plan, ptrdiff_t k, pack_purpose purpose, ptrdiff_t portion)
{
    ptrdiff_t total = count_layer_blocks(&plan->layers[k]);
    row_weights rows[N_ROW_WEIGHTS];
    list_row_weights(plan, k, purpose, rows);
    for (int j = 0; j < N_ROW_WEIGHTS; j++)
        total += count_row_pieces(&rows[j], portion);
    return total;
}

static ptrdiff_t count_head_pieces(const network_plan *plan, pack_purpose purpose)
{
    const head_plan *h = &plan->head;
    const ptrdiff_t rows = ceil_div(h->n_features, HEAD_BLOCK);
    return h->columns.n_blocks + (purpose == FOR_FORWARD || h->thin ? 0 : rows);
}

/* With `head` also those of the head. */
static ptrdiff_t count_pieces(
    const network_plan *plan, pack_purpose purpose, ptrdiff_t portion, int with_head)
{
    ptrdiff_t total = 0;
    if (!plan->packed)
        return 0;
    for (ptrdiff_t k = 0; k < plan_n_layers(plan); k++)
        total += count_layer_pieces(plan, k, purpose, portion);
    return total + (with_head ? count_head_pieces(plan, purpose) : 0);
}

/* A block of n vectors, the rows[k] of some (*, H) each, or zeros where rows[k] is negative. */
static void pack_vectors(
    const packed_columns *c, ptrdiff_t n, const signed char *rows, const real *vectors,
    real *packed, ptrdiff_t block)
{
    const ptrdiff_t H = c->n_units, start = block * c->width;
    const ptrdiff_t width = min_of(c->width, c->n_padded - start);
    packed += start * n;
    for (ptrdiff_t k = 0; k < n; k++)
        for (ptrdiff_t j = 0; j < width; j++)
            packed[k * width + j] =
                rows[k] >= 0 && start + j < H ? vectors[rows[k] * H + start + j] : 0;
}

static void unpack_vectors(
    const packed_columns *c, ptrdiff_t n, const signed char *rows, real *vectors,
    const real *packed, ptrdiff_t block)
{
    const ptrdiff_t H = c->n_units, start = block * c->width;
    const ptrdiff_t width = min_of(c->width, c->n_padded - start);
    packed += start * n;
    for (ptrdiff_t k = 0; k < n; k++)
        for (ptrdiff_t j = 0; j < width && rows[k] >= 0 && start + j < H; j++)
            vectors[rows[k] * H + start + j] = packed[k * width + j];
}

/* Vectors of a layer that are packed as they are: where they stand. */
typedef struct {
    ptrdiff_t n;
    const signed char *rows;
    ptrdiff_t flat, packed;
} layer_vectors;

enum { MAX_VECTORS = 6 };

/* Return how many there are. */
static int find_vectors(const layer_plan *l, layer_vectors *v)
{
    const ptrdiff_t n_gates = l->columns.n_gates;
    v[0] = (layer_vectors){n_gates, in_order, l->bias, l->columns.bias_at};
    v[1] = (layer_vectors){l->n_peepholes, in_order, l->peephole, l->peephole_at};
    v[2] = (layer_vectors){n_gates, l->x.rows, l->norm_ih, l->norm_ih_at};
    v[3] = (layer_vectors){n_gates, l->state.rows, l->norm_hh, l->norm_hh_at};
    v[4] = (layer_vectors){1, in_order, l->norm_c, l->norm_c_at};
    v[5] = (layer_vectors){1, in_order, l->bias_c, l->bias_c_at};
    return !l->normalized ? 2 : l->has_cell_state ? 6 : 4;
}

/* Block of count_layer_blocks; those of the projection, which has no vectors, come last. */
static void pack_layer_block(
    const kernels *k, const int8_kernels *int8, const layer_plan *l, const real *flat,
    real *packed, ptrdiff_t block)
{
    const packed_columns *c = &l->columns;
    const ptrdiff_t I = l->n_inputs, R = l->n_outputs;
    const gate_shape ih = shape_of(c, l->x.rows), hh = shape_of(c, l->state.rows);
    const gate_shape hr = shape_of(&l->projection, in_order);
    layer_vectors v[MAX_VECTORS];
    const int n_vectors = find_vectors(l, v);
    if (block >= c->n_blocks) {
        k->pack_gates(&hr, c->n_units, flat + l->weight_hr, c->n_units, 0,
                      packed + l->projection.columns_at, block - c->n_blocks);
        return;
    }
    if (int8) {
        const int8_columns of_x = columns_in_int8(l, packed, 0);
        const int8_columns of_h = columns_in_int8(l, packed, 1);
        int8->pack(&ih, I, flat + l->weight_ih, l->int8_depth, 0, &of_x, block);
        if (l->recurrent)
            int8->pack(&hh, R, flat + l->weight_hh, l->int8_depth, in_quads(I), &of_h, block);
    }
    else {
        real *columns = packed + c->columns_at;
        k->pack_gates(&ih, I, flat + l->weight_ih, c->depth, 0, columns, block);
        if (l->recurrent)
            k->pack_gates(&hh, R, flat + l->weight_hh, c->depth, I, columns, block);
    }
    for (int k = 0; k < n_vectors; k++)
        pack_vectors(c, v[k].n, v[k].rows, flat + v[k].flat, packed + v[k].packed, block);
}

static void unpack_layer_block(
    const kernels *k, const layer_plan *l, real *flat, const real *packed, ptrdiff_t block)
{
    const packed_columns *c = &l->columns;
    const ptrdiff_t I = l->n_inputs, R = l->n_outputs;
    const gate_shape ih = shape_of(c, l->x.rows), hh = shape_of(c, l->state.rows);
    const gate_shape hr = shape_of(&l->projection, in_order);
    layer_vectors v[MAX_VECTORS];
    const int n_vectors = find_vectors(l, v);
    const real *columns = packed + c->columns_at;
    if (block >= c->n_blocks) {
        k->unpack_gates(&hr, c->n_units, flat + l->weight_hr, c->n_units, 0,
                        packed + l->projection.columns_at, block - c->n_blocks, 0);
        return;
    }
    k->unpack_gates(&ih, I, flat + l->weight_ih, c->depth, 0, columns, block, 0);
    if (l->recurrent)
        k->unpack_gates(&hh, R, flat + l->weight_hh, c->depth, I, columns, block, 0);
    for (int k = 0; k < n_vectors; k++)
        unpack_vectors(c, v[k].n, v[k].rows, flat + v[k].flat, packed + v[k].packed, block);
}

static void pack_layer_piece(
    const network_plan *plan, ptrdiff_t k, pack_purpose purpose, ptrdiff_t portion,
    ptrdiff_t piece, const real *flat, real *packed)
{
    const kernels *kernels = plan->kernels;
    const layer_plan *l = &plan->layers[k];
    row_weights rows[N_ROW_WEIGHTS];
    if (piece < count_layer_blocks(l)) {
        pack_layer_block(kernels, plan->int8, l, flat, packed, piece);
        return;
    }
    piece -= count_layer_blocks(l);
    list_row_weights(plan, k, purpose, rows);
    for (int j = 0; j < N_ROW_WEIGHTS; j++) {
        const row_weights *w = &rows[j];
        const ptrdiff_t n = count_row_pieces(w, portion);
        if (piece < n) {
            kernels->pack_rows(&w->shape, w->n, flat + w->weights, packed + w->at,
                               portion * BLOCK_UNITS, piece);
            return;
        }
        piece -= n;
    }
}

static void pack_head_piece(
    const network_plan *plan, ptrdiff_t piece, const real *flat, real *packed)
{
    const kernels *kernels = plan->kernels;
    const head_plan *h = &plan->head;
    const gate_shape head = shape_of(&h->columns, in_order);
    if (h->thin) {
        memcpy(packed + h->columns.columns_at, flat + h->weight,
               (size_t)(h->n_scores * h->n_features) * sizeof(real));
        memcpy(packed + h->columns.bias_at, flat + h->bias,
               (size_t)h->n_scores * sizeof(real));
        return;
    }
    if (piece < h->columns.n_blocks) {
        kernels->pack_gates(&head, h->n_features, flat + h->weight, h->n_features, 0,
                            packed + h->columns.columns_at, piece);
        pack_vectors(&h->columns, 1, in_order, flat + h->bias, packed + h->columns.bias_at,
                     piece);
        return;
    }
    kernels->pack_rows(&head, h->n_features, flat + h->weight, packed + h->rows_at, HEAD_BLOCK,
                       piece - h->columns.n_blocks);
}

/* Piece of count_pieces, from the flat vector to its packed place; layers from one of their own. */
static void pack_piece(
    const network_plan *plan, pack_purpose purpose, ptrdiff_t portion, ptrdiff_t piece,
    const real *of_layers, const real *flat, real *packed)
{
    for (ptrdiff_t k = 0; k < plan_n_layers(plan); k++) {
        const ptrdiff_t n = count_layer_pieces(plan, k, purpose, portion);
        if (piece < n) {
            pack_layer_piece(plan, k, purpose, portion, piece, of_layers, packed);
            return;
        }
        piece -= n;
    }
    pack_head_piece(plan, piece, flat, packed);
}

/* Piece of count_pieces for FOR_FORWARD, gradients from their packed place to the flat vector. */
static void unpack_piece(
    const network_plan *plan, ptrdiff_t piece, real *flat, const real *packed)
{
    const kernels *kernels = plan->kernels;
    const head_plan *h = &plan->head;
    const gate_shape head = shape_of(&h->columns, in_order);
    for (ptrdiff_t k = 0; k < plan_n_layers(plan); k++) {
        const ptrdiff_t n = count_layer_blocks(&plan->layers[k]);
        if (piece < n) {
            unpack_layer_block(kernels, &plan->layers[k], flat, packed, piece);
            return;
        }
        piece -= n;
    }
    if (piece == 0)
        memcpy(flat + plan->tail, packed + plan->tail_at, (size_t)plan->n_tail * sizeof(real));
    /* Tied weights have gradients from the inputs there already. */
    if (h->thin) {
        if (!plan->tied)
            memset(flat + h->weight, 0,
                   (size_t)(h->n_scores * h->n_features) * sizeof(real));
        kernels->add(h->n_scores * h->n_features, packed + h->columns.columns_at,
                     flat + h->weight);
        memcpy(flat + h->bias, packed + h->columns.bias_at,
               (size_t)h->n_scores * sizeof(real));
        return;
    }
    kernels->unpack_gates(&head, h->n_features, flat + h->weight, h->n_features, 0,
                          packed + h->columns.columns_at, piece, plan->tied);
    unpack_vectors(&h->columns, 1, in_order, flat + h->bias, packed + h->columns.bias_at, piece);
}
