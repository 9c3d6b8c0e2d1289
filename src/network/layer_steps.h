/* A layer (layer.h) going forward through the steps of a chunk, and back. */

static void layer_cells_forward(
    const layer *l, const layer_step *step, ptrdiff_t first, ptrdiff_t last)
{
    const layer_plan *p = l->plan;
    l->kernels->cell_forward[p->cell][p->relu](
        step->n, p->columns.n_units, p->columns.width, first, last,
        l->weights + p->columns.bias_at, l->weights + p->peephole_at, step->z, step->c_prev,
        step->c, step->phi_c, step->m);
}

/* Some blocks of r h_{t-1}, as products take it; the reset gate is not activated yet. */
static void reset_states(
    const layer *l, const layer_step *step, ptrdiff_t first, ptrdiff_t last)
{
    const packed_columns *c = &l->plan->columns;
    const ptrdiff_t H = c->n_units;
    l->kernels->reset_forward(step->n, H, c->width, first, last, l->weights + c->bias_at, step->z,
                              step->c_prev, step->rh);
    if (l->mask)
        multiply_by_mask(l, step->n, first * c->width, min_of(last * c->width, H), step->rh,
                         step->rh, c->n_padded);
}

/* Z = X W' of all steps, where it comes before all else; of this member's blocks. */
static void inputs_of_gates(
    const layer *l, const steps *s, const real *x, ptrdiff_t first, ptrdiff_t last,
    const layer_scratch *scratch)
{
    const layer_plan *p = l->plan;
    const ptrdiff_t I = p->n_inputs, H = p->columns.n_units, G = p->columns.n_columns;
    if (!p->columns.packed) {
        for (ptrdiff_t gate = 0; gate < p->columns.n_gates; gate++)
            for (ptrdiff_t n = 0; p->x.rows[gate] < 0 && n < s->N; n++)
                memset(l->of_x + n * G + gate * H, 0, (size_t)H * sizeof(real));
        gates_by_blas(l, p->x.rows, s->N, I, x, l->weights + p->weight_ih, 0, l->of_x);
    }
    else if (l->inputs_first) { /* (N x G) = (N x I) (I x G) */
        const columns inputs = {x, I, 1, I, 0, 0};
        int8_rows quantized;
        if (l->int8)
            quantized = quantize_inputs(p, l->int8, s->N, x, &scratch->int8);
        gates_of_blocks(l, s->N, 0, 1, &inputs, &quantized, first, last, l->of_x);
    }
}

/* One step: gates, c and h of some blocks, so many at once as stay in cache. */
static void packed_step(
    const layer *l, const team_member *member, const layer_step *step, ptrdiff_t first,
    ptrdiff_t last, const layer_scratch *scratch)
{
    const layer_plan *p = l->plan;
    const ptrdiff_t I = p->n_inputs, R = p->n_outputs, S = p->columns.n_padded;
    const ptrdiff_t n = step->n, block_gates = p->columns.width * p->columns.n_gates;
    const ptrdiff_t at_once = max_of(1, GATES_AT_ONCE / (n * block_gates));
    const columns operands[] = {{step->x, I, 1, I, 0, 0}, {step->h_prev, R, 1, R, 0, 0}};
    int8_rows quantized[2];
    if (l->int8 && !l->inputs_first)
        quantized[0] = quantize_inputs(p, l->int8, n, step->x, &scratch->int8);
    if (l->int8 && p->recurrent)
        quantized[1] = quantize_states(p, l->int8, n, step->h_prev, &scratch->int8);
    for (ptrdiff_t block = first, end; block < last; block = end) {
        end = min_of(block + at_once, last);
        gates_of_blocks(l, n, l->inputs_first, 1 + p->recurrent - l->inputs_first, operands,
                        quantized, block, end, step->z);
        if (p->resets)
            reset_states(l, step, block, end);
        else
            layer_cells_forward(l, step, block, end);
    }
    if (!p->resets)
        return;
    barrier_wait(member);
    for (ptrdiff_t block = first, end; block < last; block = end) {
        const columns operand = {step->rh, S, 1, R, 0, 0};
        end = min_of(block + at_once, last);
        multiply_blocks(l, n, 1, &operand, rows_of_operand(p, &p->rh), 1, block, end, step->z);
        layer_cells_forward(l, step, block, end);
    }
}

/* The same by BLAS. */
static void blas_step(const layer *l, const layer_step *step)
{
    const layer_plan *p = l->plan;
    const ptrdiff_t R = p->n_outputs;
    const real *U = l->weights + p->weight_hh;
    if (p->recurrent) /* Z_t += h_{t-1} U'   (n x G) += (n x R) (R x G) */
        gates_by_blas(l, p->h.rows, step->n, R, step->h_prev, U, 1, step->z);
    if (p->resets) {
        reset_states(l, step, 0, 1);
        gates_by_blas(l, p->rh.rows, step->n, R, step->rh, U, 1, step->z);
    }
    layer_cells_forward(l, step, 0, 1);
}

/* The same with layer normalization: products by blocks, what follows by rows. */
static void normalized_step(
    const layer *l, const team_member *member, const layer_step *step, ptrdiff_t first,
    ptrdiff_t last)
{
    const layer_plan *p = l->plan;
    ptrdiff_t first_row, last_row;
    share_rows(member, step->n, &first_row, &last_row);
    const layer_step rows = rows_of_step(l, step, first_row, last_row);
    if (p->recurrent)
        product_with_states(l, step->n, &p->h, step->h_prev, first, last, step->of_h);
    barrier_wait(member);
    start_gates(l, &rows);
    if (p->recurrent)
        add_normalized_states(l, &rows, &p->h, rows.norm.h_rstd);
    if (p->resets) {
        barrier_wait(member);
        reset_states(l, step, first, last);
        barrier_wait(member);
        product_with_states(l, step->n, &p->rh, step->rh, first, last, step->of_h);
        barrier_wait(member);
        add_normalized_states(l, &rows, &p->rh, rows.norm.rh_rstd);
    }
    layer_cells_forward(l, &rows, 0, p->columns.n_blocks);
    if (p->has_cell_state)
        normalize_cell_states(l, &rows);
}

/* All steps of a chunk, from the state in c_last and h_last to the new one. x: (N, I). */
static void layer_forward(
    const layer *l, const steps *s, const team_member *member, const real *x,
    const layer_scratch *scratch)
{
    const packed_columns *p = &l->plan->columns;
    const ptrdiff_t R = l->plan->n_outputs, S = p->n_padded, T = s->T;
    ptrdiff_t before = 0, now = s->B, first, last;
    share_blocks(member, p->n_blocks, &first, &last);
    inputs_of_gates(l, s, x, first, last, scratch);
    if (l->plan->normalized) {
        barrier_wait(member);
        normalize_inputs(l, s, member);
    }
    for (ptrdiff_t t = 0; t < T; t++) {
        layer_step step = find_step(l, s, t, before, now, x);
        step.h_prev = states_before(l, step.n, before, scratch->masked_h);
        if (l->plan->normalized)
            normalized_step(l, member, &step, first, last);
        else if (p->packed)
            packed_step(l, member, &step, first, last, scratch);
        else
            blas_step(l, &step);
        barrier_wait(member);
        if (l->plan->projects) {
            project_forward(l, member, step.n, step.m, step.h);
            barrier_wait(member);
        }
        if (member->number == 0) { /* rows that end here */
            const ptrdiff_t on = t + 1 < T ? s->counts[t + 1] : 0, n = step.n - on;
            memcpy(l->c_last + on * S, step.c + on * S, (size_t)(n * S) * sizeof(real));
            memcpy(l->h_last + on * R, step.h + on * R, (size_t)(n * R) * sizeof(real));
        }
        before = now;
        now += step.n;
    }
}

/* d(r h_{t-1}) = dn U of a step's candidate gates   (n x H) = (n x H) (H x H), this member's
 * blocks. */
static void reset_backward(
    const layer *l, const layer_step *step, const team_member *member, ptrdiff_t first,
    ptrdiff_t last, const real *dy, const layer_scratch *scratch)
{
    const layer_plan *p = l->plan;
    const ptrdiff_t H = p->columns.n_units, S = p->columns.n_padded, width = p->columns.width;
    const ptrdiff_t n = step->n;
    l->kernels->candidate_backward[p->relu](n, H, width, first, last, step->z, dy, scratch->dh,
                                            scratch->dc, scratch->dn);
    barrier_wait(member);
    if (p->normalized) {
        normalized_product_backward(l, member, step, &p->rh, p->norm_hh_at, step->norm.rh_rstd,
                                    scratch->dn, step->of_h, scratch->dn);
        barrier_wait(member);
    }
    if (p->columns.packed)
        product_with_dz(l, member, n, &p->rh, scratch->dn, p->rows_rh_at, S, first, last,
                        scratch->drh, S);
    else
        inputs_by_blas(l, p->rh.rows, n, H, scratch->dn, l->weights + p->weight_hh,
                       scratch->drh, H);
    if (l->mask)
        multiply_by_mask(l, n, first * width, min_of(last * width, H), scratch->drh,
                         scratch->drh, S);
}

/* dh_{t-1} = dZ_t U   (n x R) = (n x G) (G x R), this member's numbers of h. */
static void states_backward(
    const layer *l, ptrdiff_t n, const team_member *member, const real *dz,
    const layer_scratch *scratch)
{
    const layer_plan *p = l->plan;
    const ptrdiff_t R = p->n_outputs, W = p->h_stride;
    ptrdiff_t first, last;
    share_blocks(member, ceil_div(R, BLOCK_UNITS), &first, &last);
    const ptrdiff_t start = first * BLOCK_UNITS, end = min_of(last * BLOCK_UNITS, R);
    if (!p->recurrent)
        for (ptrdiff_t r = 0; r < n && start < end; r++)
            memset(scratch->dh + r * W + start, 0, (size_t)(end - start) * sizeof(real));
    else if (p->columns.packed)
        product_with_dz(l, member, n, &p->h, dz, p->rows_h_at, W, first, last, scratch->dh, W);
    else
        inputs_by_blas(l, p->h.rows, n, R, dz, l->weights + p->weight_hh, scratch->dh, W);
    if (p->recurrent && l->mask)
        multiply_by_mask(l, n, start, end, scratch->dh, scratch->dh, W);
}

/* Back through all steps. x: (N, I) as in forward. dy: (N, R) dL/dh of every step from above, or
 * NULL. scratch->dh, dc: dL/dh and dL/dc after the last step, overwritten. */
static void layer_backward(
    const layer *l, const steps *s, const team_member *member, const real *x, const real *dy,
    const layer_scratch *scratch, real *dx)
{
    const layer_plan *p = l->plan;
    const ptrdiff_t H = p->columns.n_units, width = p->columns.width, B = s->B;
    ptrdiff_t now = s->N, first, last;
    share_blocks(member, p->columns.n_blocks, &first, &last);
    /* The cells add dL/dc by way of h, unless it is normalized. */
    const real by_h = p->normalized ? 0 : 1;
    /* dh and dc wait in their rows until the step at which each row ends. */
    for (ptrdiff_t t = s->T - 1; t >= 0; t--) {
        const ptrdiff_t n = s->counts[t], n_before = t > 0 ? s->counts[t - 1] : B;
        now -= n;
        const ptrdiff_t before = now + B - n_before;
        const layer_step step = find_step(l, s, t, before, now + B, x);
        const real *dy_t = dy ? dy + now * p->n_outputs : NULL;
        real *dm = scratch->dh; /* of what the cells put out */
        if (p->projects) {
            project_backward(l, member, n, dy_t, scratch->dh_kept + now * p->h_stride, scratch);
            dm = scratch->dm;
            dy_t = NULL; /* is in it */
        }
        if (p->normalized && p->has_cell_state) {
            barrier_wait(member); /* dm and dc are by blocks */
            cell_states_backward(l, member, &step, dy_t, dm, scratch);
            barrier_wait(member);
        }
        if (p->resets)
            reset_backward(l, &step, member, first, last, dy_t, scratch);
        l->kernels->cell_backward[p->cell][p->relu](
            n, H, width, first, last, by_h, l->weights + p->peephole_at, step.z, step.c_prev,
            step.c, step.phi_c, scratch->drh, dy_t, dm, scratch->dc,
            l->gradients + p->columns.bias_at, l->gradients + p->peephole_at);
        if (p->normalized)
            norm_gradients(l, &step, first, last, scratch);
        barrier_wait(member);
        if (p->normalized) {
            normalized_products_backward(l, member, &step);
            barrier_wait(member);
        }
        if (t > 0)
            states_backward(l, n, member, step.of_h, scratch);
    }
    if (p->projects)
        projection_gradients(l, s->N, member, scratch);
    layer_weight_gradients(l, s, member, x, scratch, dx);
}
