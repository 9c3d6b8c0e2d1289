/* The projection of a layer (layer.h), where there is one: h is R numbers of the cells' H outputs m
 * (Sak, Senior & Beaufays 2014, arXiv:1402.1128).
 *
 *     forward   h_t = m_t W_hr'
 *     backward  dm_t = dh_t W_hr;  dW_hr = dh' m, over all steps at once
 *
 * Packed or by BLAS, like the products with W and U. Members of a team share columns: of h, of dh
 * and dm, of dW_hr'. */

/* h = m W_hr'   (n x R) = (n x H) (H x R) of a step, this member's blocks. */
static void project_forward(
    const layer *l, const team_member *member, ptrdiff_t n, const real *m, real *h)
{
    const layer_plan *p = l->plan;
    const packed_columns *c = &p->projection;
    const ptrdiff_t H = p->columns.n_units, R = p->n_outputs;
    const columns operand = {m, H, 1, H, 0, 0};
    ptrdiff_t first, last;
    if (!c->packed) {
        l->gemm(0, 1, n, R, H, m, H, l->weights + p->weight_hr, H, 0, h, R);
        return;
    }
    share_rows(member, c->n_blocks, &first, &last);
    l->kernels->product(n, 1, &operand, H, 0, 0, ALL_GATES, l->weights + c->columns_at, c->width,
                        first * c->width, last * c->width, R, h, R);
}

/* A step's dL/dh into `dh` (n, h_stride), where it stays for the gradient of W_hr: what
 * scratch->dh has of the steps after it, and dy (n, R) unless that is NULL. This member's blocks of
 * it and, after those of all members, of
 *
 *     dm = dh W_hr   (n x H) = (n x R) (R x H), into scratch->dm. */
static void project_backward(
    const layer *l, const team_member *member, ptrdiff_t n, const real *dy, real *dh,
    const layer_scratch *scratch)
{
    const layer_plan *p = l->plan;
    const ptrdiff_t R = p->n_outputs, W = p->h_stride;
    const ptrdiff_t H = p->columns.n_units, S = p->columns.n_padded;
    const columns operand = {dh, W, 1, R, 0, 0};
    ptrdiff_t first, last;
    share_blocks(member, ceil_div(R, BLOCK_UNITS), &first, &last);
    for (ptrdiff_t r = 0; r < n; r++) {
        for (ptrdiff_t j = first * BLOCK_UNITS; j < min_of(last * BLOCK_UNITS, W); j++)
            dh[r * W + j] = scratch->dh[r * W + j];
        for (ptrdiff_t j = first * BLOCK_UNITS; dy && j < min_of(last * BLOCK_UNITS, R); j++)
            dh[r * W + j] += dy[r * R + j];
    }
    barrier_wait(member);
    if (!p->columns.packed) {
        l->gemm(0, 0, n, H, R, dh, W, l->weights + p->weight_hr, H, 0, scratch->dm, S);
        return;
    }
    share_blocks(member, p->columns.n_blocks, &first, &last);
    l->kernels->product(n, 1, &operand, R, 0, 0, ALL_GATES, l->weights + p->rows_m_at,
                        member->portion * BLOCK_UNITS, first * BLOCK_UNITS, last * BLOCK_UNITS, S,
                        scratch->dm, S);
}

/* dW_hr' += m' dh   (H x R) += (H x N) (N x R) over the steps of a chunk, this member's blocks;
 * written by a lane's first shard. */
static void projection_gradients(
    const layer *l, ptrdiff_t N, const team_member *member, const layer_scratch *scratch)
{
    const layer_plan *p = l->plan;
    const packed_columns *c = &p->projection;
    const ptrdiff_t H = p->columns.n_units, R = p->n_outputs, W = p->h_stride;
    const packed_rows rows = {0, H, ALL_GATES};
    ptrdiff_t first, last;
    if (!c->packed) {
        l->gemm(1, 0, R, H, N, scratch->dh_kept, W, l->m, H, 1, l->gradients + p->weight_hr, H);
        return;
    }
    for (ptrdiff_t start = 0, n; start < N; start += n) {
        n = min_of(STEPS_AT_ONCE, N - start);
        share_rows(member, n, &first, &last);
        const columns m = {l->m + (start + first) * H, H, 1, H, 0, 0};
        l->kernels->pack_steps(n, first, last, 1, &m, scratch->inputs);
        barrier_wait(member);
        share_rows(member, c->n_blocks, &first, &last);
        l->kernels->transposed_product(
            n, 1, &rows, H, scratch->inputs, scratch->dh_kept + start * W, W,
            l->gradients + c->columns_at, c->width, first * c->width,
            min_of(last * c->width, W), start > 0 || !l->first_of_lane, scratch->panel);
        barrier_wait(member);
    }
}
