/* The packed steps of a chunk: which rows run at each step, where their numbers come from and go
 * to.
 *
 * Rows are sorted by length, longest first; packed arrays are time-major, and step t holds the
 * counts[t] rows still running. */

typedef struct {
    int64_t first;  /* step of this chunk within its sequences */
    ptrdiff_t B, T, N;
    int counts[];   /* (T,) */
} steps;

/* Steps from `first` on, as many as fit into a chunk. */
static void count_steps(const task *t, const row *rows, ptrdiff_t n_rows, int64_t first, steps *s)
{
    ptrdiff_t n = n_rows;
    s->first = first;
    s->B = n_rows;
    s->T = s->N = 0;
    while (s->T < t->max_steps) {
        while (n > 0 && rows[n - 1].length <= first + s->T)
            n--;
        if (n == 0 || s->N + n > t->max_packed)
            break;
        s->counts[s->T++] = (int)n;
        s->N += n;
    }
}

/* Where a row's sequence starts in values. */
static inline int64_t source_row(const task *t, const row *r)
{
    return t->starts[t->batch[r->position]];
}

/* mirror[k]: the packed row of the same sequence that is as far from its end as k is from its
 * start; for chunks of whole sequences. The permutation is its own inverse. */
static void find_mirror(const row *rows, const steps *s, ptrdiff_t *mirror)
{
    for (ptrdiff_t r = 0; r < s->counts[0]; r++) {
        const int64_t length = rows[r].length;
        ptrdiff_t front = r, back = r;
        for (int64_t t = 0; t < length - 1; t++)
            back += s->counts[t];
        for (int64_t t = 0; t < length; t++) {
            mirror[front] = back;
            front += s->counts[t];
            if (t + 1 < length)
                back -= s->counts[length - 2 - t];
        }
    }
}

/* Row k of out becomes row order[k] of source, or row k where order is NULL. */
static void gather_rows(
    ptrdiff_t n, ptrdiff_t width, const real *source, ptrdiff_t source_stride,
    const ptrdiff_t *order, real *out, ptrdiff_t out_stride)
{
    for (ptrdiff_t k = 0; k < n; k++)
        memcpy(out + k * out_stride, source + (order ? order[k] : k) * source_stride,
               (size_t)width * sizeof(real));
}

/* Packed rows of a chunk to the rows of values that they belong to; mirrored ones were read from
 * the end. */
static void scatter_steps(
    const task *t, const row *rows, const steps *s, ptrdiff_t width, const real *packed,
    ptrdiff_t packed_stride, real *out, ptrdiff_t out_stride, int mirrored)
{
    for (ptrdiff_t step = 0; step < s->T; step++)
        for (ptrdiff_t r = 0; r < s->counts[step]; r++) {
            const int64_t at = mirrored ? rows[r].length - 1 - step : s->first + step;
            memcpy(out + (source_row(t, &rows[r]) + at) * out_stride, packed,
                   (size_t)width * sizeof(real));
            packed += packed_stride;
        }
}

/* Rows of a shard, n_each in a row for each sequence, to their places in the batch. */
static void scatter_rows(
    const row *rows, ptrdiff_t n_rows, ptrdiff_t n_each, ptrdiff_t width, const real *ordered,
    ptrdiff_t ordered_stride, real *out)
{
    for (ptrdiff_t r = 0; r < n_rows; r++)
        for (ptrdiff_t k = 0; k < n_each; k++, ordered += ordered_stride)
            memcpy(out + (rows[r].position * n_each + k) * width, ordered,
                   (size_t)width * sizeof(real));
}
