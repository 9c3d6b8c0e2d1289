/* Sums of vectors. */

/* out += x */
static void add(ptrdiff_t n, const real *restrict x, real *restrict out)
{
#pragma omp simd
    for (ptrdiff_t j = 0; j < n; j++)
        out[j] += x[j];
}

/* Every row of out (n_rows, n) += x */
static void add_to_rows(ptrdiff_t n_rows, ptrdiff_t n, const real *restrict x, real *restrict out)
{
    for (ptrdiff_t r = 0; r < n_rows; r++) {
#pragma omp simd
        for (ptrdiff_t j = 0; j < n; j++)
            out[r * n + j] += x[j];
    }
}

/* out += the sum over the rows of x (n_rows, n), in their order */
static void add_rows(ptrdiff_t n_rows, ptrdiff_t n, const real *restrict x, real *restrict out)
{
    for (ptrdiff_t r = 0; r < n_rows; r++) {
#pragma omp simd
        for (ptrdiff_t j = 0; j < n; j++)
            out[j] += x[r * n + j];
    }
}
