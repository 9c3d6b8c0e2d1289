/* The products of a layer (layer.h) with W and U, packed or by BLAS: forward, back to the operands,
 * and the gradients of W and U. */

/* Rows of the packed columns that multiply x, h and r h. */
static packed_rows rows_of_operand(const layer_plan *p, const gates_seeing *seeing)
{
    const gate_range seen = {seeing->first, seeing->last, p->columns.n_gates};
    const ptrdiff_t I = p->n_inputs;
    return seeing == &p->x ? (packed_rows){0, I, seen}
                           : (packed_rows){I, p->n_outputs, seen};
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

/* Packed, some blocks: Z_t = x_t W' + h_{t-1} U'   (n x G) = (n x (I + R)) ((I + R) x G), of the
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

/* Some blocks of A U' alone, of the gates that see A: h, then r h, for which the product with h has
 * left zeros. */
static void product_with_states(
    const layer *l, ptrdiff_t n, const gates_seeing *seeing, const real *a, ptrdiff_t first,
    ptrdiff_t last, real *out)
{
    const layer_plan *p = l->plan;
    const ptrdiff_t R = p->n_outputs;
    const int second = seeing == &p->rh;
    const columns operand = {a, second ? p->columns.n_padded : R, 1, R, 0, 0};
    if (p->columns.packed)
        multiply_blocks(l, n, 1, &operand, rows_of_operand(p, seeing), second, first, last, out);
    else
        gates_by_blas(l, seeing->rows, n, R, a, l->weights + p->weight_hh, 0, out);
}

/* The columns of dZ of the gates that see an operand, without padding: at most MAX_PARTS parts;
 * return how many. */
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
    columns parts[MAX_PARTS];
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

/* BLAS: the states before all steps (N, R). */
static const real *gather_states(const layer *l, const steps *s, const layer_scratch *scratch)
{
    const ptrdiff_t R = l->plan->n_outputs;
    if (states_are_aligned(l, s))
        return l->h;
    for (ptrdiff_t t = 0, before = 0, now = 0; t < s->T; t++) {
        const ptrdiff_t n = s->counts[t];
        memcpy(scratch->inputs + now * R, states_before(l, n, before, scratch->masked_h),
               (size_t)(n * R) * sizeof(real));
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
    const ptrdiff_t I = l->plan->n_inputs, R = l->plan->n_outputs;
    const ptrdiff_t S = l->plan->columns.n_padded;
    const int n_parts = 1 + l->plan->recurrent + l->plan->resets;
    columns parts[] = {{NULL, I, 1, I, 0, 0}, {NULL, R, 1, R, 0, 0}, {NULL, S, 1, R, 0, 0}};
    ptrdiff_t first, last;
    share_rows(member, end - start, &first, &last);
    if (states_are_aligned(l, s)) {
        parts[0].start = x + (start + first) * I;
        parts[1].start = l->h + (start + first) * R;
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
                states_before(l, n, before, scratch->masked_h) + (from - now) * R;
            parts[2].start = step_of(l->rh, from * S);
            l->kernels->pack_steps(end - start, from - start, to - start, n_parts, parts,
                                   scratch->inputs);
        }
        before = now + s->B;
        now += n;
    }
}

/* Gradients of packed columns, of some blocks, from steps `start` to `end` as pack_inputs left
 * them: [dW dU]' += [X h_prev]' dZ   ((I + R) x G) += ((I + R) x N) (N x G) */
static void gradients_of_blocks(
    const layer *l, ptrdiff_t start, ptrdiff_t end, ptrdiff_t first, ptrdiff_t last,
    const layer_scratch *scratch)
{
    const layer_plan *p = l->plan;
    const packed_columns *c = &p->columns;
    const ptrdiff_t G = c->n_columns, block_gates = c->width * c->n_gates;
    const packed_rows rows[] = {
        rows_of_operand(p, &p->x), rows_of_operand(p, &p->h), rows_of_operand(p, &p->rh)};
    const int n_operands = 1 + p->recurrent + p->resets;
    const int at_once = p->normalized ? 1 : n_operands; /* as have the same dZ */
    const real *inputs = scratch->inputs;
    for (int k = 0; k < n_operands; k += at_once) {
        l->kernels->transposed_product(
            end - start, at_once, rows + k, c->depth, inputs,
            (k ? l->of_h : l->of_x) + start * G, G, l->gradients + c->columns_at, block_gates,
            first * block_gates, min_of(last * block_gates, G),
            start > 0 || !(l->first_of_lane && p->alike), scratch->panel);
        inputs += (end - start) * rows[k].n;
    }
}

/* Gradients of the weights are added (those of packed columns written by a lane's first shard,
 * where every gate sees all operands); dX is written where dx is not NULL (it may be dy). */
static void layer_weight_gradients(
    const layer *l, const steps *s, const team_member *member, const real *x,
    const layer_scratch *scratch, real *dx)
{
    const layer_plan *p = l->plan;
    const ptrdiff_t I = p->n_inputs, R = p->n_outputs, N = s->N;
    ptrdiff_t first, last;
    if (!p->columns.packed) {
        if (p->recurrent)
            gradients_by_blas(l, p->h.rows, N, R, l->of_h, gather_states(l, s, scratch),
                              l->gradients + p->weight_hh);
        if (p->resets)
            gradients_by_blas(l, p->rh.rows, N, R, l->of_h, l->rh, l->gradients + p->weight_hh);
        gradients_by_blas(l, p->x.rows, N, I, l->of_x, x, l->gradients + p->weight_ih);
        if (dx)
            inputs_by_blas(l, p->x.rows, N, I, l->of_x, l->weights + p->weight_ih, dx, I);
        return;
    }
    share_blocks(member, p->columns.n_blocks, &first, &last);
    for (ptrdiff_t start = 0, end; start < N; start = end) {
        end = min_of(start + STEPS_AT_ONCE, N);
        pack_inputs(l, s, member, start, end, x, scratch);
        barrier_wait(member);
        gradients_of_blocks(l, start, end, first, last, scratch);
        barrier_wait(member);
    }
    if (dx) { /* dX = dZ W   (N x I) = (N x G) (G x I) */
        share_blocks(member, ceil_div(I, BLOCK_UNITS), &first, &last);
        product_with_dz(l, member, N, &p->x, l->of_x, p->rows_x_at, I, first, last, dx, I);
    }
    barrier_wait(member);
}
