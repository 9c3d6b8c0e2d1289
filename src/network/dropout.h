/* Dropout of rows of numbers. A mask depends on seed, update, place, row and step; the place is
 * the layer whose inputs are dropped (n_layers is the head), or beyond 2 MAX_LAYERS the layer
 * whose hidden state is. */

/* One round of SplitMix64 (Steele et al. 2014). */
static inline uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Hashes seed, update, place, row and step into 64 bits. */
static inline uint64_t dropout_key(
    const task *t, ptrdiff_t place, const row *r, int64_t step)
{
    uint64_t key = mix(t->seed);
    key = mix(key ^ t->update);
    key = mix(key ^ (uint64_t)place);
    key = mix(key ^ (uint64_t)r->position);
    return mix(key ^ (uint64_t)step);
}

/* One row in place: of inputs going forward, of their gradients going back. */
static inline void drop_row(
    const kernels *k, const task *t, ptrdiff_t width, real *x, ptrdiff_t place, const row *r,
    int64_t step)
{
    k->dropout(width, x, dropout_key(t, place, r, step), t->dropout);
}

/* All packed rows of a chunk. */
static void drop_steps(
    const kernels *k, const task *t, ptrdiff_t width, real *x, ptrdiff_t place,
    const row *rows, const steps *s)
{
    for (ptrdiff_t step = 0; step < s->T; step++)
        for (ptrdiff_t r = 0; r < s->counts[step]; r++) {
            drop_row(k, t, width, x, place, &rows[r], t->first_step + s->first + step);
            x += width;
        }
}

/* What multiplies the hidden state of a layer on its way to the next step: the same for all
 * steps of a sequence (Gal & Ghahramani 2016). */
static void draw_recurrent_mask(
    const kernels *k, const task *t, ptrdiff_t layer, ptrdiff_t H, const row *rows,
    ptrdiff_t n_rows, real *mask)
{
    for (ptrdiff_t j = 0; j < n_rows * H; j++)
        mask[j] = 1;
    for (ptrdiff_t r = 0; r < n_rows; r++)
        k->dropout(H, mask + r * H,
                   dropout_key(t, 2 * MAX_LAYERS + layer, &rows[r], 0), t->recurrent_dropout);
}
