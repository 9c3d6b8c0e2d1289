/* Transposes a square of numbers in registers: VECTOR_SIZE rows of a vector each.
 *
 * At each of log2(VECTOR_SIZE) stages, with a distance d of half the vector, a quarter, ... 1,
 * rows r and r + d swap the squares of d columns that stand off the diagonal. */

#define LANES (SIMD_BYTES / (REAL_IS_FLOAT ? 4 : 8))

/* What a lane takes of rows a and b, counted through both, to become row r or row r + d. */
#define FIRST_OF(d, lane) ((lane) & (d) ? LANES + (lane) - (d) : (lane))
#define SECOND_OF(d, lane) ((lane) & (d) ? LANES + (lane) : (lane) + (d))
#define LANES_2(of, d, lane) of(d, lane), of(d, (lane) + 1)
#define LANES_4(of, d, lane) LANES_2(of, d, lane), LANES_2(of, d, (lane) + 2)
#define LANES_8(of, d, lane) LANES_4(of, d, lane), LANES_4(of, d, (lane) + 4)
#define LANES_16(of, d, lane) LANES_8(of, d, lane), LANES_8(of, d, (lane) + 8)
#if LANES == 16
#define ALL_LANES(of, d) LANES_16(of, d, 0)
#elif LANES == 8
#define ALL_LANES(of, d) LANES_8(of, d, 0)
#elif LANES == 4
#define ALL_LANES(of, d) LANES_4(of, d, 0)
#else
#define ALL_LANES(of, d) LANES_2(of, d, 0)
#endif

#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
/* Integers of the size of a number. */
#if REAL_IS_FLOAT
typedef int32_t lane_numbers __attribute__((vector_size(SIMD_BYTES)));
#else
typedef int64_t lane_numbers __attribute__((vector_size(SIMD_BYTES)));
#endif
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (lane_numbers){__VA_ARGS__})
#endif

#define STAGE(d)                                                       \
UNROLL(16)                                                             \
    for (int r = 0; r < LANES; r++)                                    \
        if (!(r & (d))) {                                              \
            const vec a = rows[r], b = rows[r + (d)];                  \
            rows[r] = SHUFFLE(a, b, ALL_LANES(FIRST_OF, d));           \
            rows[r + (d)] = SHUFFLE(a, b, ALL_LANES(SECOND_OF, d));    \
        }

INLINE void transpose(vec *rows)
{
#if LANES > 8
    STAGE(8)
#endif
#if LANES > 4
    STAGE(4)
#endif
#if LANES > 2
    STAGE(2)
#endif
    STAGE(1)
}

#undef STAGE
#undef SHUFFLE
#undef ALL_LANES
#undef LANES_16
#undef LANES_8
#undef LANES_4
#undef LANES_2
#undef SECOND_OF
#undef FIRST_OF

/* packed (n x units) = weights' (units x n, rows `stride` apart). Rows of weights of a wide layer are
 * pages apart, which hardware prefetchers do not cross. */
static void transpose_weights(
    ptrdiff_t n, ptrdiff_t units, const real *weights, ptrdiff_t stride, real *packed,
    ptrdiff_t width)
{
    ptrdiff_t unit = 0;
    for (; unit + VECTOR_SIZE <= units; unit += VECTOR_SIZE) {
        const real *w = weights + unit * stride;
        real *p = packed + unit;
        ptrdiff_t k = 0;
        for (; k + VECTOR_SIZE <= n; k += VECTOR_SIZE) {
            vec square[VECTOR_SIZE];
UNROLL(16)
            for (int r = 0; r < VECTOR_SIZE; r++) {
                square[r] = *(const vec_in_memory *)(w + r * stride + k);
                __builtin_prefetch(w + r * stride + k + WEIGHTS_AHEAD);
            }
            transpose(square);
UNROLL(16)
            for (int r = 0; r < VECTOR_SIZE; r++)
                *(vec_in_memory *)(p + (k + r) * width) = square[r];
        }
        for (; k < n; k++)
            for (int r = 0; r < VECTOR_SIZE; r++)
                p[k * width + r] = w[r * stride + k];
    }
    for (; unit < units; unit++)
        for (ptrdiff_t k = 0; k < n; k++) {
            packed[k * width + unit] = weights[unit * stride + k];
            NOT_IN_VECTORS;
        }
}

/* weights (units x n) = packed' (n x units), or += with `accumulate`. */
static void transpose_gradients(
    ptrdiff_t n, ptrdiff_t units, real *weights, const real *packed, ptrdiff_t width,
    int accumulate)
{
    ptrdiff_t unit = 0;
    for (; unit + VECTOR_SIZE <= units; unit += VECTOR_SIZE) {
        real *w = weights + unit * n;
        const real *p = packed + unit;
        ptrdiff_t k = 0;
        for (; k + VECTOR_SIZE <= n; k += VECTOR_SIZE) {
            vec square[VECTOR_SIZE];
UNROLL(16)
            for (int r = 0; r < VECTOR_SIZE; r++) {
                square[r] = *(const vec_in_memory *)(p + (k + r) * width);
                __builtin_prefetch(w + r * n + k + WEIGHTS_AHEAD, 1);
            }
            transpose(square);
UNROLL(16)
            for (int r = 0; r < VECTOR_SIZE; r++) {
                vec_in_memory *row = (vec_in_memory *)(w + r * n + k);
                if (accumulate)
                    square[r] += *row;
                *row = square[r];
            }
        }
        for (; k < n; k++)
            for (int r = 0; r < VECTOR_SIZE; r++)
                w[r * n + k] = p[k * width + r] + (accumulate ? w[r * n + k] : 0);
    }
    for (; unit < units; unit++)
        for (ptrdiff_t k = 0; k < n; k++) {
            weights[unit * n + k] =
                packed[k * width + unit] + (accumulate ? weights[unit * n + k] : 0);
            NOT_IN_VECTORS;
        }
}
