/* The softmax loss of one sample. */

/* -log softmax(scores)[label]; dscores, which may be where the scores are, gets
 * softmax(scores), less 1 at the label. Sums are in double. A NaN among the scores reaches
 * the loss, by the sum. */
static double softmax(
    ptrdiff_t K, const real *scores, ptrdiff_t label, real *dscores)
{
    const double score = scores[label];
    real highest = scores[0];
#pragma omp simd reduction(max : highest)
    for (ptrdiff_t k = 1; k < K; k++)
        highest = scores[k] > highest ? scores[k] : highest;
    double total = 0;
#pragma omp simd reduction(+ : total)
    for (ptrdiff_t k = 0; k < K; k++) {
        const real e = exp_of(scores[k] - highest);
        dscores[k] = e;
        total += (double)e;
    }
    const real share = (real)(1 / total);
#pragma omp simd
    for (ptrdiff_t k = 0; k < K; k++)
        dscores[k] *= share;
    dscores[label] -= (real)1;
    return log(total) + (double)highest - score;
}
