/* Layer normalization of a layer (layer.h; Ba et al., arXiv:1607.06450, equations 20 to 22): the
 * products with W and U each for itself and the cell state on its way to h, with a gain for each
 * number, and biases as they are:
 *
 *     z = gain LN(W x_t) + gain LN(U h_{t-1}) + b,  h_t = o phi(gain LN(c_t) + b_c)
 *
 * Mean and variance are those of a row's numbers of all gates that see the same operand (r h is an
 * operand of its own). c goes on to the next step as it is.
 *
 * Design: a member of a team has some blocks of the products, but a row's mean needs all: after a
 * barrier members share rows, and go on with those through cells and outputs. Going back, the
 * gradients of gains and biases are sums over rows, hence by blocks, and what leads from dL/dz to
 * dL/d the products is by rows again. That makes one more barrier a step going
 * forward, three going back. */

enum { MAX_RUNS = 1 + MAX_GATES };

/* The numbers of the gates that see an operand, of blocks `first` to `last`, without padding, in
 * at most MAX_RUNS runs; return how many. Packed gains are laid out like biases; others stand as
 * the rows of the weights do. */
static int find_runs(
    const layer_plan *p, const gates_seeing *seeing, ptrdiff_t first, ptrdiff_t last, run *runs)
{
    const packed_columns *c = &p->columns;
    const ptrdiff_t whole = min_of(c->n_units / c->width, last), apart = c->n_gates * c->width;
    const ptrdiff_t left_over = last > whole ? c->n_units - whole * c->width : 0;
    const ptrdiff_t n_seeing = seeing->last - seeing->first;
    const ptrdiff_t at = first * apart + seeing->first * c->width;
    int n_runs = 0;
    if (!c->packed) {
        for (ptrdiff_t gate = seeing->first; first < last && gate < seeing->last; gate++)
            runs[n_runs++] = (run){gate * c->width, seeing->rows[gate] * c->width, c->width, 0, 0};
        return n_runs;
    }
    if (first < whole && n_seeing == c->n_gates)
        runs[n_runs++] = (run){at, at, (whole - first) * apart, 0, 0};
    else if (first < whole)
        runs[n_runs++] = (run){at, at, n_seeing * c->width, whole - first - 1, apart};
    for (ptrdiff_t gate = seeing->first; left_over > 0 && gate < seeing->last; gate++)
        runs[n_runs++] = (run){whole * apart + gate * units_of_block(c, whole),
                               whole * apart + gate * c->width, left_over, 0, 0};
    return n_runs;
}

/* Those of c, whose rows are in whole blocks. */
static run run_of_units(const layer_plan *p, ptrdiff_t first, ptrdiff_t last)
{
    const ptrdiff_t start = first * p->columns.width;
    const ptrdiff_t end = min_of(last * p->columns.width, p->columns.n_units);
    return (run){start, start, max_of(0, end - start), 0, 0};
}

/* Some rows of a step, as what works row by row needs them. */
static layer_step rows_of_step(
    const layer *l, const layer_step *step, ptrdiff_t first, ptrdiff_t last)
{
    const ptrdiff_t S = l->plan->columns.n_padded, G = l->plan->columns.n_columns;
    layer_step rows = *step;
    rows.n = last - first;
    rows.c_prev += first * S;
    rows.z += first * G;
    rows.c += first * S;
    rows.phi_c = step_of(rows.phi_c, first * S);
    rows.h += first * l->plan->n_outputs;
    rows.m += first * l->plan->columns.n_units;
    rows.of_x += first * G;
    rows.of_h = step_of(rows.of_h, first * G);
    rows.norm.h_rstd = step_of(rows.norm.h_rstd, first);
    rows.norm.rh_rstd = step_of(rows.norm.rh_rstd, first);
    rows.norm.c_rstd = step_of(rows.norm.c_rstd, first);
    rows.norm.c = step_of(rows.norm.c, first * S);
    return rows;
}

/* -- Forward, of some rows -- */

/* The products of all steps with W; of this member's rows. */
static void normalize_inputs(const layer *l, const steps *s, const team_member *member)
{
    const layer_plan *p = l->plan;
    const ptrdiff_t G = p->columns.n_columns;
    ptrdiff_t first, last;
    run runs[MAX_RUNS];
    const int n_runs = find_runs(p, &p->x, 0, p->columns.n_blocks, runs);
    share_rows(member, s->N, &first, &last);
    l->kernels->normalize_rows(last - first, G, n_runs, runs, l->of_x + first * G,
                               l->norm.x_rstd + first);
}

/* Z = gain LN(X W') */
static void start_gates(const layer *l, const layer_step *step)
{
    const layer_plan *p = l->plan;
    const ptrdiff_t G = p->columns.n_columns;
    run runs[MAX_RUNS];
    const int n_runs = find_runs(p, &p->x, 0, p->columns.n_blocks, runs);
    memset(step->z, 0, (size_t)(step->n * G) * sizeof(real));
    l->kernels->add_with_gains(step->n, G, n_runs, runs, l->weights + p->norm_ih_at, step->of_x,
                               step->z);
}

/* Z += gain LN(A U') of the gates that see A, h or r h; the product is normalized in place. */
static void add_normalized_states(
    const layer *l, const layer_step *step, const gates_seeing *seeing, real *rstd)
{
    const layer_plan *p = l->plan;
    const ptrdiff_t G = p->columns.n_columns;
    run runs[MAX_RUNS];
    const int n_runs = find_runs(p, seeing, 0, p->columns.n_blocks, runs);
    l->kernels->normalize_rows(step->n, G, n_runs, runs, step->of_h, rstd);
    l->kernels->add_with_gains(step->n, G, n_runs, runs, l->weights + p->norm_hh_at, step->of_h,
                               step->z);
}

/* phi_c = phi(gain LN(c) + b) and o phi_c, in the place of what the cell has left. */
static void normalize_cell_states(const layer *l, const layer_step *step)
{
    const layer_plan *p = l->plan;
    const packed_columns *c = &p->columns;
    const run runs[] = {run_of_units(p, 0, c->n_blocks)};
    memcpy(step->norm.c, step->c, (size_t)(step->n * c->n_padded) * sizeof(real));
    l->kernels->normalize_rows(step->n, c->n_padded, 1, runs, step->norm.c, step->norm.c_rstd);
    l->kernels->normalized_outputs[p->relu](
        step->n, c->n_units, c->width, c->n_gates, l->weights + p->norm_c_at,
        l->weights + p->bias_c_at, step->z, step->norm.c, step->phi_c, step->m);
}

/* -- Backward -- */

/* dc += dL/dc by way of h, of this member's rows; dm (B, S) and dy are dL/d what the cells put
 * out. */
static void cell_states_backward(
    const layer *l, const team_member *member, const layer_step *step, const real *dy,
    const real *dm, const layer_scratch *scratch)
{
    const layer_plan *p = l->plan;
    const packed_columns *c = &p->columns;
    const ptrdiff_t H = c->n_units, S = c->n_padded;
    const run runs[] = {run_of_units(p, 0, c->n_blocks)};
    ptrdiff_t first, last;
    share_rows(member, step->n, &first, &last);
    const layer_step rows = rows_of_step(l, step, first, last);
    real *dphi = scratch->dphi + first * S, *dc_of_h = scratch->dc_of_h + first * S;
    l->kernels->normalized_slopes[p->relu](
        rows.n, H, c->width, c->n_gates, rows.z, rows.phi_c, dy ? dy + first * H : NULL,
        dm + first * S, dphi);
    l->kernels->normalize_rows_backward(rows.n, S, 1, runs, l->weights + p->norm_c_at,
                                        rows.norm.c_rstd, dphi, rows.norm.c, dc_of_h);
    for (ptrdiff_t r = 0; r < rows.n; r++)
        l->kernels->add(H, dc_of_h + r * S, scratch->dc + (first + r) * S);
}

/* dL/d a product of a step, from dZ of the gates that see the operand; of this member's rows. It may
 * take the place of dZ, or that of the product, which is normalized. */
static void normalized_product_backward(
    const layer *l, const team_member *member, const layer_step *step,
    const gates_seeing *seeing, ptrdiff_t gains_at, const real *rstd, const real *dz,
    const real *product, real *out)
{
    const layer_plan *p = l->plan;
    const ptrdiff_t G = p->columns.n_columns;
    ptrdiff_t first, last;
    run runs[MAX_RUNS];
    const int n_runs = find_runs(p, seeing, 0, p->columns.n_blocks, runs);
    share_rows(member, step->n, &first, &last);
    l->kernels->normalize_rows_backward(
        last - first, G, n_runs, runs, l->weights + gains_at, rstd + first, dz + first * G,
        product + first * G, out + first * G);
}

/* Of all products of a step, in their places. */
static void normalized_products_backward(
    const layer *l, const team_member *member, const layer_step *step)
{
    const layer_plan *p = l->plan;
    const layer_norm *norm = &step->norm;
    normalized_product_backward(l, member, step, &p->x, p->norm_ih_at, norm->x_rstd, step->z,
                                step->of_x, step->of_x);
    if (p->recurrent)
        normalized_product_backward(l, member, step, &p->h, p->norm_hh_at, norm->h_rstd, step->z,
                                    step->of_h, step->of_h);
    if (p->resets)
        normalized_product_backward(l, member, step, &p->rh, p->norm_hh_at, norm->rh_rstd,
                                    step->z, step->of_h, step->of_h);
}

/* Gradients of the gains of one operand of a step, of some blocks. */
static void product_gain_gradients(
    const layer *l, const layer_step *step, const gates_seeing *seeing, ptrdiff_t first,
    ptrdiff_t last, const real *product, ptrdiff_t gains_at)
{
    const ptrdiff_t G = l->plan->columns.n_columns;
    run runs[MAX_RUNS];
    const int n_runs = find_runs(l->plan, seeing, first, last, runs);
    l->kernels->gain_gradients(step->n, G, n_runs, runs, step->z, product,
                               l->gradients + gains_at, NULL);
}

/* Those of all gains, and of the bias of the cell state. */
static void norm_gradients(
    const layer *l, const layer_step *step, ptrdiff_t first, ptrdiff_t last,
    const layer_scratch *scratch)
{
    const layer_plan *p = l->plan;
    const run runs[] = {run_of_units(p, first, last)};
    product_gain_gradients(l, step, &p->x, first, last, step->of_x, p->norm_ih_at);
    if (p->recurrent)
        product_gain_gradients(l, step, &p->h, first, last, step->of_h, p->norm_hh_at);
    if (p->resets)
        product_gain_gradients(l, step, &p->rh, first, last, step->of_h, p->norm_hh_at);
    if (p->has_cell_state)
        l->kernels->gain_gradients(step->n, p->columns.n_padded, 1, runs, scratch->dphi,
                                   step->norm.c, l->gradients + p->norm_c_at,
                                   l->gradients + p->bias_c_at);
}
