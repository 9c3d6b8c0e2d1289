/* One layer in one direction over the packed steps of a shard: its parameters, state and history,
 * forward and backward.
 *
 * c and h carry B rows in front of their N packed rows, the initial state, so that the state
 * before step t of row r stands at the same r of the block before.
 *
 *     forward   Z = X W' + h_{t-1} U';  gates, c and h element-wise (kernels/cells.h)
 *     backward  dh_{t-1} = dZ_t U;  dW = dZ' X;  dU = dZ' h_prev;  db = sum dZ;  dX = dZ W
 *
 * With recurrent dropout h_{t-1} is multiplied by a mask. A layer that is not recurrent has no U.
 * Where a cell's state is h alone, c is a copy of it that goes from step to step element-wise.
 * A gate that sees r h_{t-1}, r being another gate, waits for it: its product with U comes second
 * in a step, and the gradient of r h_{t-1} first in a step of backward.
 *
 * Design: products are computed in one of two ways.
 *
 * a) A packed layer has [W U] as the columns of one packed matrix. Its units stand in blocks of
 *    16 (S in all), the gates of a block side by side, for fewer units in the last one (G columns;
 *    kernels/blocks.h): a step multiplies x_t and h_{t-1} by the columns of some blocks and updates
 *    their cells while the sums are in cache.
 * b) Otherwise (S = H, one block) BLAS multiplies. It is the reference.
 *
 * The members of a team share the blocks of a packed layer and wait for each other at each step.
 * A sum is always one member's, so that the bits do not depend on their number. */

typedef struct {
    const layer_plan *plan;
    const kernels *kernels;
    const int8_kernels *int8; /* where its weights are in int8, else NULL */
    gemm_function *gemm;
    const real *weights; /* in the kernels' layout, */
    real *gradients;     /* both of the whole network: the plan has the places */
    /* Of a lane's first shard the gradients of packed columns are written, not added. */
    int first_of_lane;
    /* State after each row's last step, from which the next chunk starts. */
    real *c_last;        /* (B, S) */
    real *h_last;        /* (B, H) */
    real *mask;          /* (B, H) recurrent dropout, or NULL */
    /* History of a chunk; without it phi_c and rh hold one step, c two, and gates one, unless
     * inputs come first. */
    int history;
    int inputs_first;    /* X W' of all steps of a chunk comes before h U' of the first one */
    real *gates;         /* (N, G) activated gates, in backward dL/dz */
    real *c;             /* (B + N, S) */
    real *h;             /* (B + N, H) */
    real *phi_c;         /* (N, S) where there is a cell state besides h */
    real *rh;            /* (N, S) where a gate sees it, r h_{t-1} */
} layer;

/* Memory that the layers use one after the other. */
typedef struct {
    real *masked_h; /* (B, H) of this member */
    int8_scratch int8; /* of this member */
    real *inputs;   /* (STEPS_AT_ONCE, I + H) of [X h_prev], packed; for BLAS (N, H) h_prev */
    real *panel;    /* (PANEL_SCRATCH,) of this member */
    real *dh, *dc;  /* (B, S) */
    real *dn, *drh; /* (B, S) dL/dz of a gate that sees r h, and dL/d(r h) */
} layer_scratch;

/* In shards of few rows of a packed network. */
static int inputs_come_first(const task *t)
{
    return t->max_rows <= INPUTS_FIRST_ROWS && t->max_steps > 1;
}

static void layer_take_memory(layer *l, const task *t, arena *memory)
{
    const ptrdiff_t H = l->plan->columns.n_units, S = l->plan->columns.n_padded;
    const ptrdiff_t B = t->max_rows, N = t->max_packed, kept = t->history ? N : B;
    const size_t item = sizeof(real);
    l->inputs_first = l->plan->columns.packed && inputs_come_first(t);
    l->gates = arena_take(
        memory, (l->inputs_first ? N : kept) * l->plan->columns.n_columns, item, 1);
    l->c = arena_take(memory, (B + kept) * S, item, 1);
    l->h = arena_take(memory, (B + N) * H, item, 1);
    l->phi_c = arena_take(memory, kept * S, item, l->plan->has_cell_state);
    l->rh = arena_take(memory, kept * S, item, l->plan->resets);
    l->c_last = arena_take(memory, B * S, item, 1);
    l->h_last = arena_take(memory, B * H, item, 1);
    l->mask = arena_take(memory, B * H, item, t->recurrent_dropout > 0);
}

/* Where a step of a history starts that the cell may not have. */
static real *step_of(real *history, ptrdiff_t at) { return history ? history + at : NULL; }

/* Numbers of one row's state: h, and c where the cell has it. */
static ptrdiff_t layer_n_state(const layer *l)
{
    return l->plan->columns.n_units * (1 + l->plan->has_cell_state);
}

/* One row's initial state; zeros where `state` is NULL. */
static void layer_load_state(layer *l, ptrdiff_t r, const real *state)
{
    const ptrdiff_t H = l->plan->columns.n_units, S = l->plan->columns.n_padded;
    real *h = l->h_last + r * H, *c = l->c_last + r * S;
    memset(c, 0, (size_t)S * sizeof(real));
    if (!state) {
        memset(h, 0, (size_t)H * sizeof(real));
        return;
    }
    memcpy(h, state, (size_t)H * sizeof(real));
    memcpy(c, l->plan->has_cell_state ? state + H : state, (size_t)H * sizeof(real));
}

static void layer_store_state(const layer *l, ptrdiff_t r, real *state)
{
    const ptrdiff_t H = l->plan->columns.n_units, S = l->plan->columns.n_padded;
    memcpy(state, l->h_last + r * H, (size_t)H * sizeof(real));
    if (l->plan->has_cell_state)
        memcpy(state + H, l->c_last + r * S, (size_t)H * sizeof(real));
}

/* Put the state where a chunk reads its initial one. */
static void layer_start_chunk(layer *l, ptrdiff_t n_running)
{
    const ptrdiff_t H = l->plan->columns.n_units, S = l->plan->columns.n_padded;
    memcpy(l->c, l->c_last, (size_t)(n_running * S) * sizeof(real));
    memcpy(l->h, l->h_last, (size_t)(n_running * H) * sizeof(real));
}

/* Outputs of all steps, (N, H). */
static const real *layer_outputs(const layer *l, const steps *s)
{
    return l->h + s->B * l->plan->columns.n_units;
}

/* Units `first` to `last` of h or dL/dh of n rows times the mask of recurrent dropout. */
static void multiply_by_mask(
    const layer *l, ptrdiff_t n, ptrdiff_t first, ptrdiff_t last, const real *a, real *out,
    ptrdiff_t stride)
{
    const ptrdiff_t H = l->plan->columns.n_units;
    for (ptrdiff_t r = 0; r < n; r++)
        for (ptrdiff_t j = first; j < last; j++)
            out[r * stride + j] = a[r * stride + j] * l->mask[r * H + j];
}

/* The states that step t sees, which are those of the rows from `before` on; with recurrent dropout
 * they are written to `masked_h`. */
static const real *states_before(
    const layer *l, ptrdiff_t n, ptrdiff_t before, real *masked_h)
{
    const ptrdiff_t H = l->plan->columns.n_units;
    const real *h = l->h + before * H;
    if (!l->mask)
        return h;
    multiply_by_mask(l, n, 0, H, h, masked_h, H);
    return masked_h;
}

static void layer_cells_forward(
    const layer *l, ptrdiff_t n, ptrdiff_t first, ptrdiff_t last, real *z, const real *c_prev,
    real *c, real *phi_c, real *h)
{
    const layer_plan *p = l->plan;
    l->kernels->cell_forward[p->cell][p->relu](
        n, p->columns.n_units, p->columns.width, first, last, l->weights + p->columns.bias_at,
        l->weights + p->peephole_at, z, c_prev, c, phi_c, h);
}

/* Rows of the packed columns that multiply x, h and r h. */
static packed_rows rows_of_operand(const layer_plan *p, const gates_seeing *seeing)
{
    const gate_range seen = {seeing->first, seeing->last, p->columns.n_gates};
    const ptrdiff_t I = p->n_inputs;
    return seeing == &p->x ? (packed_rows){0, I, seen}
                           : (packed_rows){I, p->columns.n_units, seen};
}

/* Packed, some blocks: Z = A W' or Z += A W', with the weights of the gates that see A. */
static void multiply_blocks(
    const layer *l, ptrdiff_t n, int n_parts, const columns *a, packed_rows rows,
    int accumulate, ptrdiff_t first, ptrdiff_t last, real *z)
{
    const packed_columns *c = &l->plan->columns;
    const ptrdiff_t G = c->n_columns, block_gates = c->width * c->n_gates;
    l->kernels->product(n, n_parts, a, c->depth, rows.at, accumulate, rows.seen,
                        l->weights + c->columns_at, block_gates, first * block_gates,
                        last * block_gates, G, z, G);
}

/* Packed, some blocks: Z_t = x_t W' + h_{t-1} U'   (n x G) = (n x (I + H)) ((I + H) x G), of the
 * operands from `operand` on, 0 for x and 1 for h; those before are in Z. Where the weights are in
 * int8, x_t and h_{t-1} are so as well. */
static void gates_of_blocks(
    const layer *l, ptrdiff_t n, int operand, int n_operands, const columns *operands,
    const int8_rows *quantized, ptrdiff_t first, ptrdiff_t last, real *z)
{
    const layer_plan *p = l->plan;
    const packed_columns *c = &p->columns;
    if (l->int8 && n_operands > 0) {
        const ptrdiff_t block_gates = c->width * c->n_gates;
        const int8_columns packed = columns_in_int8(p, l->weights, operand);
        l->int8->product(n, n_operands, quantized + operand, p->int8_depth,
                         operand ? in_quads(p->n_inputs) : 0, &packed, block_gates,
                         first * block_gates, last * block_gates, c->n_columns, z);
        return;
    }
    const packed_rows rows[] = {rows_of_operand(p, &p->x), rows_of_operand(p, &p->h)};
    const int at_once = p->alike ? n_operands : 1;
    for (int k = operand; k < operand + n_operands; k += at_once)
        multiply_blocks(l, n, at_once, operands + k, rows[k], k > 0, first, last, z);
}

/* Some blocks of r h_{t-1}, as products take it; the reset gate is not activated yet. */
static void reset_states(
    const layer *l, ptrdiff_t n, ptrdiff_t first, ptrdiff_t last, const real *z,
    const real *h_prev, real *rh)
{
    const packed_columns *c = &l->plan->columns;
    const ptrdiff_t H = c->n_units;
    l->kernels->reset_forward(n, H, c->width, first, last, l->weights + c->bias_at, z, h_prev,
                              rh);
    if (l->mask)
        multiply_by_mask(l, n, first * c->width, min_of(last * c->width, H), rh, rh,
                         c->n_padded);
}

/* Runs of gates that follow each other both in Z and in the weights, where rows[gate] is a gate's
 * place or -1: *gate becomes the first of the next run; return its length, 0 after the last. */
static int next_run(const signed char *rows, ptrdiff_t n_gates, int *gate)
{
    int n = 0;
    while (*gate < n_gates && rows[*gate] < 0)
        (*gate)++;
    while (*gate + n < n_gates && rows[*gate + n] == rows[*gate] + n)
        n++;
    return n;
}

/* BLAS, gates that see the operand: Z = beta Z + A weights'   (n x G) = (n x depth) (depth x G) */
static void gates_by_blas(
    const layer *l, const signed char *rows, ptrdiff_t n, ptrdiff_t depth, const real *a,
    const real *weights, double beta, real *z)
{
    const ptrdiff_t H = l->plan->columns.n_units, n_gates = l->plan->columns.n_gates;
    for (int gate = 0, run; (run = next_run(rows, n_gates, &gate)); gate += run)
        l->gemm(0, 1, n, run * H, depth, a, depth, weights + rows[gate] * H * depth, depth, beta,
                z + gate * H, n_gates * H);
}

/* BLAS: A = dZ weights   (n x depth) = (n x G) (G x depth), with a_stride numbers to a row of A */
static void inputs_by_blas(
    const layer *l, const signed char *rows, ptrdiff_t n, ptrdiff_t depth, const real *dz,
    const real *weights, real *a, ptrdiff_t a_stride)
{
    const ptrdiff_t H = l->plan->columns.n_units, n_gates = l->plan->columns.n_gates;
    double beta = 0;
    for (int gate = 0, run; (run = next_run(rows, n_gates, &gate)); gate += run) {
        l->gemm(0, 0, n, depth, run * H, dz + gate * H, n_gates * H,
                weights + rows[gate] * H * depth, depth, beta, a, a_stride);
        beta = 1;
    }
}

/* BLAS: gradients += dZ' A   (G x depth) += (G x N) (N x depth) */
static void gradients_by_blas(
    const layer *l, const signed char *rows, ptrdiff_t N, ptrdiff_t depth, const real *dz,
    const real *a, real *gradients)
{
    const ptrdiff_t H = l->plan->columns.n_units, n_gates = l->plan->columns.n_gates;
    for (int gate = 0, run; (run = next_run(rows, n_gates, &gate)); gate += run)
        l->gemm(1, 0, run * H, depth, N, dz + gate * H, n_gates * H, a, depth, 1,
                gradients + rows[gate] * H * depth, depth);
}

/* All steps of a chunk, from the state in c_last and h_last to the new one. x: (N, I). */
static void layer_forward(
    const layer *l, const steps *s, const team_member *member, const real *x,
    const layer_scratch *scratch)
{
    const layer_plan *p = l->plan;
    const ptrdiff_t I = p->n_inputs, H = p->columns.n_units, S = p->columns.n_padded;
    const ptrdiff_t G = p->columns.n_columns, B = s->B;
    const ptrdiff_t block_gates = p->columns.width * p->columns.n_gates;
    const ptrdiff_t T = s->T;
    ptrdiff_t before = 0, now = B, first, last;
    share_blocks(member, p->columns.n_blocks, &first, &last);
    if (!p->columns.packed) {
        for (ptrdiff_t gate = 0; gate < p->columns.n_gates; gate++)
            for (ptrdiff_t n = 0; p->x.rows[gate] < 0 && n < s->N; n++)
                memset(l->gates + n * G + gate * H, 0, (size_t)H * sizeof(real));
        gates_by_blas(l, p->x.rows, s->N, I, x, l->weights + p->weight_ih, 0, l->gates);
    }
    if (l->inputs_first) { /* Z = X W'   (N x G) = (N x I) (I x G) */
        const columns inputs = {x, I, 1, I, 0, 0};
        int8_rows quantized;
        if (l->int8)
            quantized = quantize_inputs(p, l->int8, s->N, x, &scratch->int8);
        gates_of_blocks(l, s->N, 0, 1, &inputs, &quantized, first, last, l->gates);
    }
    for (ptrdiff_t t = 0; t < T; t++) {
        const ptrdiff_t n = s->counts[t];
        real *z = l->gates, *phi_c = l->phi_c, *rh = l->rh;
        real *c_prev = l->c + t % 2 * B * S, *c = l->c + (t + 1) % 2 * B * S;
        real *h = l->h + now * H;
        const real *h_prev = states_before(l, n, before, scratch->masked_h);
        if (l->history || l->inputs_first)
            z += (now - B) * G;
        if (l->history) {
            phi_c = step_of(phi_c, (now - B) * S);
            rh = step_of(rh, (now - B) * S);
            c_prev = l->c + before * S;
            c = l->c + now * S;
        }
        if (p->columns.packed) {
            const real *x_t = x + (now - B) * I;
            const columns operands[] = {{x_t, I, 1, I, 0, 0}, {h_prev, H, 1, H, 0, 0}};
            const ptrdiff_t at_once = max_of(1, GATES_AT_ONCE / (n * block_gates));
            int8_rows quantized[2];
            if (l->int8 && !l->inputs_first)
                quantized[0] = quantize_inputs(p, l->int8, n, x_t, &scratch->int8);
            if (l->int8 && p->recurrent)
                quantized[1] = quantize_states(p, l->int8, n, h_prev, &scratch->int8);
            for (ptrdiff_t block = first, end; block < last; block = end) {
                end = min_of(block + at_once, last);
                gates_of_blocks(l, n, l->inputs_first, 1 + p->recurrent - l->inputs_first,
                                operands, quantized, block, end, z);
                if (p->resets)
                    reset_states(l, n, block, end, z, c_prev, rh);
                else
                    layer_cells_forward(l, n, block, end, z, c_prev, c, phi_c, h);
            }
            if (p->resets)
                barrier_wait(member);
            for (ptrdiff_t block = first, end; p->resets && block < last; block = end) {
                const columns operand = {rh, S, 1, H, 0, 0};
                end = min_of(block + at_once, last);
                multiply_blocks(l, n, 1, &operand, rows_of_operand(p, &p->rh), 1, block, end, z);
                layer_cells_forward(l, n, block, end, z, c_prev, c, phi_c, h);
            }
        }
        else {
            const real *U = l->weights + p->weight_hh;
            if (p->recurrent) /* Z_t += h_{t-1} U'   (n x G) += (n x H) (H x G) */
                gates_by_blas(l, p->h.rows, n, H, h_prev, U, 1, z);
            if (p->resets) {
                reset_states(l, n, 0, 1, z, c_prev, rh);
                gates_by_blas(l, p->rh.rows, n, H, rh, U, 1, z);
            }
            layer_cells_forward(l, n, 0, 1, z, c_prev, c, phi_c, h);
        }
        barrier_wait(member);
        if (member->number == 0) { /* rows that end here */
            const ptrdiff_t on = t + 1 < T ? s->counts[t + 1] : 0;
            memcpy(l->c_last + on * S, c + on * S, (size_t)((n - on) * S) * sizeof(real));
            memcpy(l->h_last + on * H, h + on * H, (size_t)((n - on) * H) * sizeof(real));
        }
        before = now;
        now += n;
    }
}

/* The columns of dZ of the gates that see an operand, without padding: at most 1 + MAX_GATES
 * parts; return how many. */
static int parts_of_dz(
    const layer_plan *p, const gates_seeing *seeing, const real *dz, columns *parts)
{
    const ptrdiff_t n_gates = p->columns.n_gates, stride = p->columns.n_columns;
    const ptrdiff_t whole = p->columns.n_units / BLOCK_UNITS;
    const ptrdiff_t left_over = p->columns.n_units - whole * BLOCK_UNITS;
    const ptrdiff_t units = left_over ? units_of_block(&p->columns, whole) : 0;
    const ptrdiff_t apart = n_gates * BLOCK_UNITS;
    const ptrdiff_t n_seeing = seeing->last - seeing->first;
    int n_parts = 0;
    if (n_seeing == n_gates)
        parts[n_parts++] = (columns){dz, stride, 1, whole * apart, 0, 0};
    else if (whole > 0)
        parts[n_parts++] = (columns){dz + seeing->first * BLOCK_UNITS, stride, 1,
                                     n_seeing * BLOCK_UNITS, whole - 1, apart};
    for (ptrdiff_t gate = seeing->first; left_over > 0 && gate < seeing->last; gate++)
        parts[n_parts++] =
            (columns){dz + whole * apart + gate * units, stride, 1, left_over, 0, 0};
    return n_parts;
}

/* out (n x n_columns) = dZ weights of the gates that see an operand, packed as rows; this member's
 * blocks of columns. */
static void product_with_dz(
    const layer *l, const team_member *member, ptrdiff_t n, const gates_seeing *seeing,
    const real *dz, ptrdiff_t rows_at, ptrdiff_t n_columns, ptrdiff_t first, ptrdiff_t last,
    real *out, ptrdiff_t out_width)
{
    columns parts[1 + MAX_GATES];
    const int n_parts = parts_of_dz(l->plan, seeing, dz, parts);
    l->kernels->product(
        n, n_parts, parts, l->plan->columns.n_units * (seeing->last - seeing->first), 0, 0,
        ALL_GATES, l->weights + rows_at, member->portion * BLOCK_UNITS, first * BLOCK_UNITS,
        last * BLOCK_UNITS, n_columns, out, out_width);
}

/* Whether the states before all steps are one block of h: all rows run through all steps. */
static int states_are_aligned(const layer *l, const steps *s)
{
    return s->counts[s->T - 1] == s->B && !l->mask;
}

/* BLAS: the states before all steps (N, H). */
static const real *gather_states(const layer *l, const steps *s, const layer_scratch *scratch)
{
    const ptrdiff_t H = l->plan->columns.n_units;
    if (states_are_aligned(l, s))
        return l->h;
    for (ptrdiff_t t = 0, before = 0, now = 0; t < s->T; t++) {
        const ptrdiff_t n = s->counts[t];
        memcpy(scratch->inputs + now * H, states_before(l, n, before, scratch->masked_h),
               (size_t)(n * H) * sizeof(real));
        before = now + s->B;
        now += n;
    }
    return scratch->inputs;
}

/* Steps `start` to `end` of [X h_prev] into scratch->inputs, as the gradients of the weights take
 * them; each member copies some. */
static void pack_inputs(
    const layer *l, const steps *s, const team_member *member, ptrdiff_t start, ptrdiff_t end,
    const real *x, const layer_scratch *scratch)
{
    const ptrdiff_t I = l->plan->n_inputs, H = l->plan->columns.n_units;
    const ptrdiff_t S = l->plan->columns.n_padded;
    const int n_parts = 1 + l->plan->recurrent + l->plan->resets;
    columns parts[] = {{NULL, I, 1, I, 0, 0}, {NULL, H, 1, H, 0, 0}, {NULL, S, 1, H, 0, 0}};
    ptrdiff_t first, last;
    share_rows(member, end - start, &first, &last);
    if (states_are_aligned(l, s)) {
        parts[0].start = x + (start + first) * I;
        parts[1].start = l->h + (start + first) * H;
        parts[2].start = step_of(l->rh, (start + first) * S);
        l->kernels->pack_steps(end - start, first, last, n_parts, parts, scratch->inputs);
        return;
    }
    first += start;
    last += start;
    for (ptrdiff_t t = 0, before = 0, now = 0; now < last; t++) {
        const ptrdiff_t n = s->counts[t];
        const ptrdiff_t from = max_of(first, now), to = min_of(last, now + n);
        if (from < to) {
            parts[0].start = x + from * I;
            parts[1].start =
                states_before(l, n, before, scratch->masked_h) + (from - now) * H;
            parts[2].start = step_of(l->rh, from * S);
            l->kernels->pack_steps(end - start, from - start, to - start, n_parts, parts,
                                   scratch->inputs);
        }
        before = now + s->B;
        now += n;
    }
}

/* Gradients of the weights are added (those of packed columns written by a lane's first shard,
 * where every gate sees all operands); dX is written where dx is not NULL (it may be dy). */
static void layer_weight_gradients(
    const layer *l, const steps *s, const team_member *member, const real *x,
    const layer_scratch *scratch, real *dx)
{
    const layer_plan *p = l->plan;
    const ptrdiff_t I = p->n_inputs, H = p->columns.n_units, N = s->N;
    const ptrdiff_t G = p->columns.n_columns;
    const ptrdiff_t block_gates = p->columns.width * p->columns.n_gates;
    ptrdiff_t first, last;
    if (!p->columns.packed) {
        if (p->recurrent)
            gradients_by_blas(l, p->h.rows, N, H, l->gates, gather_states(l, s, scratch),
                              l->gradients + p->weight_hh);
        if (p->resets)
            gradients_by_blas(l, p->rh.rows, N, H, l->gates, l->rh, l->gradients + p->weight_hh);
        gradients_by_blas(l, p->x.rows, N, I, l->gates, x, l->gradients + p->weight_ih);
        if (dx)
            inputs_by_blas(l, p->x.rows, N, I, l->gates, l->weights + p->weight_ih, dx, I);
        return;
    }
    /* [dW dU]' += [X h_prev]' dZ   ((I + H) x G) += ((I + H) x N) (N x G) */
    const packed_rows rows[] = {
        rows_of_operand(p, &p->x), rows_of_operand(p, &p->h), rows_of_operand(p, &p->rh)};
    share_blocks(member, p->columns.n_blocks, &first, &last);
    for (ptrdiff_t start = 0, end; start < N; start = end) {
        end = min_of(start + STEPS_AT_ONCE, N);
        pack_inputs(l, s, member, start, end, x, scratch);
        barrier_wait(member);
        l->kernels->transposed_product(
            end - start, 1 + p->recurrent + p->resets, rows, p->columns.depth, scratch->inputs,
            l->gates + start * G, G, l->gradients + p->columns.columns_at, block_gates,
            first * block_gates, min_of(last * block_gates, G),
            start > 0 || !(l->first_of_lane && p->alike), scratch->panel);
        barrier_wait(member);
    }
    if (dx) { /* dX = dZ W   (N x I) = (N x G) (G x I) */
        share_blocks(member, ceil_div(I, BLOCK_UNITS), &first, &last);
        product_with_dz(l, member, N, &p->x, l->gates, p->rows_x_at, I, first, last, dx, I);
    }
    barrier_wait(member);
}

/* d(r h_{t-1}) = dn U of a step's candidate gates   (n x H) = (n x H) (H x H), this member's
 * blocks. */
static void reset_backward(
    const layer *l, ptrdiff_t n, const team_member *member, ptrdiff_t first, ptrdiff_t last,
    const real *gates, const real *dy, const layer_scratch *scratch)
{
    const layer_plan *p = l->plan;
    const ptrdiff_t H = p->columns.n_units, S = p->columns.n_padded, width = p->columns.width;
    const columns dn = {scratch->dn, S, 1, H, 0, 0};
    l->kernels->candidate_backward[p->relu](n, H, width, first, last, gates, dy, scratch->dh,
                                            scratch->dc, scratch->dn);
    barrier_wait(member);
    if (p->columns.packed)
        l->kernels->product(n, 1, &dn, H, 0, 0, ALL_GATES, l->weights + p->rows_rh_at,
                            member->portion * BLOCK_UNITS, first * BLOCK_UNITS,
                            last * BLOCK_UNITS, S, scratch->drh, S);
    else
        l->gemm(0, 0, n, H, H, scratch->dn, H,
                l->weights + p->weight_hh + p->rh.rows[p->rh.first] * H * H, H, 0, scratch->drh,
                H);
    if (l->mask)
        multiply_by_mask(l, n, first * width, min_of(last * width, H), scratch->drh,
                         scratch->drh, S);
}

/* Back through all steps. x: (N, I) as in forward. dy: (N, H) dL/dh of every step from above, or
 * NULL. scratch->dh, dc: dL/dh and dL/dc after the last step, overwritten. */
static void layer_backward(
    const layer *l, const steps *s, const team_member *member, const real *x, const real *dy,
    const layer_scratch *scratch, real *dx)
{
    const layer_plan *p = l->plan;
    const ptrdiff_t H = p->columns.n_units, S = p->columns.n_padded, B = s->B;
    const ptrdiff_t G = p->columns.n_columns, width = p->columns.width;
    ptrdiff_t now = s->N, first, last;
    share_blocks(member, p->columns.n_blocks, &first, &last);
    /* dh and dc wait in their rows until the step at which each row ends. */
    for (ptrdiff_t t = s->T - 1; t >= 0; t--) {
        const ptrdiff_t n = s->counts[t], n_before = t > 0 ? s->counts[t - 1] : B;
        now -= n;
        const ptrdiff_t before = now + B - n_before;
        const real *dy_t = dy ? dy + now * H : NULL;
        real *dz = l->gates + now * G;
        if (p->resets)
            reset_backward(l, n, member, first, last, dz, dy_t, scratch);
        l->kernels->cell_backward[p->cell][p->relu](
            n, H, width, first, last, l->weights + p->peephole_at, dz, l->c + before * S,
            l->c + (now + B) * S, step_of(l->phi_c, now * S), scratch->drh, dy_t, scratch->dh,
            scratch->dc, l->gradients + p->columns.bias_at, l->gradients + p->peephole_at);
        barrier_wait(member);
        if (t == 0)
            break;
        if (!p->recurrent) {
            for (ptrdiff_t r = 0; r < n; r++)
                memset(scratch->dh + r * S + first * width, 0,
                       (size_t)((last - first) * width) * sizeof(real));
            continue;
        }
        /* dh_{t-1} = dZ_t U   (n x H) = (n x G) (G x H) */
        if (p->columns.packed)
            product_with_dz(l, member, n, &p->h, dz, p->rows_h_at, S, first, last, scratch->dh,
                            S);
        else
            inputs_by_blas(l, p->h.rows, n, H, dz, l->weights + p->weight_hh, scratch->dh, S);
        if (l->mask)
            multiply_by_mask(l, n, first * width, min_of(last * width, H), scratch->dh,
                             scratch->dh, S);
    }
    layer_weight_gradients(l, s, member, x, scratch, dx);
}
