/* The softmax loss of one sample. */

/* Returns -log softmax(scores)[label]; scores become weight (softmax(scores), less 1 at the label).
 * Sums are in double. A NaN among the scores reaches the loss through the sum. */
static double softmax(ptrdiff_t K, real *scores, ptrdiff_t label, double weight)
{
    const double score = (double)scores[label];
    real highest = scores[0];
#pragma omp simd reduction(max : highest)
    for (ptrdiff_t k = 1; k < K; k++)
        highest = scores[k] > highest ? scores[k] : highest;
    double total = 0;
#pragma omp simd reduction(+ : total)
    for (ptrdiff_t k = 0; k < K; k++) {
        const real e = exp_of(scores[k] - highest);
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
