/* Steps of the optimizers on n numbers in place. `scale` multiplies the gradient first (clipping).
 * Pointers are untyped: one declaration serves both precisions. */

/* x *= factor */
static void scale(ptrdiff_t n, void *numbers, double factor)
{
    real *restrict x = numbers;
#pragma omp simd
    for (ptrdiff_t j = 0; j < n; j++)
        x[j] *= (real)factor;
}

static double sum_of_squares(ptrdiff_t n, const void *numbers)
{
    const real *restrict x = numbers;
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (ptrdiff_t j = 0; j < n; j++)
        sum += (double)x[j] * (double)x[j];
    return sum;
}

/* gradient += l1 sign(w) + l2 w; returns l1 |w|_1 + l2/2 |w|_2^2. */
static double penalize(ptrdiff_t n, const void *weights, void *gradients, double l1, double l2)
{
    const real *restrict w = weights;
    real *restrict gradient = gradients;
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (ptrdiff_t j = 0; j < n; j++) {
        const real sign = (real)((w[j] > 0) - (w[j] < 0));
        const double size = w[j] < 0 ? -(double)w[j] : (double)w[j];
        sum += l1 * size + l2 / 2 * size * size;
        gradient[j] += (real)l1 * sign + (real)l2 * w[j];
    }
    return sum;
}

/* velocity = momentum velocity - rate g;  w += velocity, or with Nesterov's momentum
 * w += momentum velocity - rate g. */
static void sgd(
    ptrdiff_t n, void *weights, const void *gradients, void *velocities, double scale,
    double rate, double momentum, int nesterov)
{
    real *restrict w = weights, *restrict velocity = velocities;
    const real *restrict gradient = gradients;
    const real step = (real)(rate * scale), m = (real)momentum;
    if (m == 0) { /* the velocity stays 0, and out of the cache */
#pragma omp simd
        for (ptrdiff_t j = 0; j < n; j++)
            w[j] -= step * gradient[j];
        return;
    }
    const real ahead = nesterov ? m : (real)1, direct = nesterov ? step : (real)0;
#pragma omp simd
    for (ptrdiff_t j = 0; j < n; j++) {
        velocity[j] = m * velocity[j] - step * gradient[j];
        w[j] += ahead * velocity[j] - direct * gradient[j];
    }
}

/* m and v are the running means of g and g^2; `rate` and `correction` hold their bias
 * corrections: w -= rate m / (sqrt(v correction) + epsilon). beta_1 = 0 is RMSprop. */
static void adam(
    ptrdiff_t n, void *weights, const void *gradients, void *means, void *squares,
    double scale, double rate, double correction, double beta_1, double beta_2,
    double epsilon)
{
    real *restrict w = weights, *restrict m = means, *restrict v = squares;
    const real *restrict gradient = gradients;
    const real s = (real)scale, step = (real)rate, root = (real)sqrt(correction);
    const real b1 = (real)beta_1, b2 = (real)beta_2, eps = (real)epsilon;
    const real one_b1 = (real)(1 - beta_1), one_b2 = (real)(1 - beta_2);
#pragma omp simd
    for (ptrdiff_t j = 0; j < n; j++) {
        const real g = s * gradient[j];
        m[j] = b1 * m[j] + one_b1 * g;
        v[j] = b2 * v[j] + one_b2 * g * g;
        const real root_v = sizeof(real) == sizeof(float) ? (real)sqrtf((float)v[j])
                                                          : (real)sqrt((double)v[j]);
        w[j] -= step * m[j] / (root_v * root + eps);
    }
}
