/* The softmax loss of one sample. */

typedef __typeof__((vec){0} > (vec){0}) vec_mask;

/* In whole vectors by hand: clang vectorises no reduction to a maximum where there may be NaN. */
static inline real highest_of(ptrdiff_t K, const real *x)
{
    vec most = x[0] - (vec){0};
    ptrdiff_t k = 0;
    for (; k + VECTOR_SIZE <= K; k += VECTOR_SIZE) {
        const vec y = *(const vec_in_memory *)(x + k);
        const vec_mask more = y > most;
        most = (vec)(((vec_mask)y & more) | ((vec_mask)most & ~more));
    }
    real highest = most[0];
    for (int j = 1; j < VECTOR_SIZE; j++)
        highest = most[j] > highest ? most[j] : highest;
    for (; k < K; k++)
        highest = x[k] > highest ? x[k] : highest;
    return highest;
}

/* Returns -log softmax(scores)[label]; scores become weight (softmax(scores), less 1 at the label).
 * Sums are in double. A NaN among the scores reaches the loss through the sum. */
static double softmax(ptrdiff_t K, real *scores, ptrdiff_t label, double weight)
{
    const double score = (double)scores[label];
    const real highest = highest_of(K, scores);
    double total = 0;
#pragma omp simd reduction(+ : total)
    for (ptrdiff_t k = 0; k < K; k++) {
        const real e = exp_nonpositive(scores[k] - highest);
        scores[k] = e;
        total += (double)e;
    }
    const real share = (real)(weight / total);
#pragma omp simd
    for (ptrdiff_t k = 0; k < K; k++)
        scores[k] *= share;
    scores[label] -= (real)weight;
    return log(total) + (double)highest - score;
}
