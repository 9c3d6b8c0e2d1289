/* The table of losses with their derivatives, in double. Targets are as the estimators encode them.
 *
 * X(name, how the losses of its K scores make that of a sample). The softmax (kernels/softmax.h) is
 * one loss of all scores together. */
#ifndef CYLSTM_LOSSES
#define CYLSTM_LOSSES

#include <math.h>

#define SCORE_LOSSES(X)        \
    X(squared_error, MEAN)     \
    X(absolute_error, MEAN)    \
    X(huber, MEAN)             \
    X(poisson, MEAN)           \
    X(quantile, MEAN)          \
    X(logistic, SUM)           \
    X(linear, SUM)
#define LOSSES(X) SCORE_LOSSES(X) X(softmax, JOINT)

enum loss {
#define LOSS_NUMBER(name, ...) LOSS_##name,
    LOSSES(LOSS_NUMBER)
#undef LOSS_NUMBER
};

/* Each returns its value and writes d value / d score. r = score - y; `level` is that of the
 * score's quantile. */

/* r^2 / 2 */
static inline double squared_error(double score, double y, double level, double *slope)
{
    (void)level;
    *slope = score - y;
    return *slope * *slope / 2;
}

/* |r| */
static inline double absolute_error(double score, double y, double level, double *slope)
{
    (void)level;
    *slope = (score > y) - (score < y);
    return fabs(score - y);
}

/* r^2 / 2 where |r| <= 1, |r| - 1/2 beyond */
static inline double huber(double score, double y, double level, double *slope)
{
    const double r = score - y;
    (void)level;
    *slope = fabs(r) <= 1 ? r : (r > 0) - (r < 0);
    return fabs(r) <= 1 ? r * r / 2 : fabs(r) - 0.5;
}

/* exp(score) - y score */
static inline double poisson(double score, double y, double level, double *slope)
{
    const double mean = exp(score);
    (void)level;
    *slope = mean - y;
    return mean - y * score;
}

/* -level r where r < 0, (1 - level) r above */
static inline double quantile(double score, double y, double level, double *slope)
{
    const double r = score - y;
    *slope = (1 - level) * (r > 0) - level * (r < 0);
    /* Not slope * r, in which a NaN would vanish. */
    return r < 0 ? -level * r : (1 - level) * r;
}

/* log(1 + exp(score)) - y score, y in {0, 1} */
static inline double logistic(double score, double y, double level, double *slope)
{
    /* exp of a negative number only: nothing overflows, and log1p keeps small losses. */
    const double e = exp(score > 0 ? -score : score);
    (void)level;
    *slope = (score > 0 ? 1 / (1 + e) : e / (1 + e)) - y;
    return log1p(e) + (score > 0 ? score : 0) - y * score;
}

/* y score: its gradient is y, whatever the scores are */
static inline double linear(double score, double y, double level, double *slope)
{
    (void)level;
    *slope = y;
    return y * score;
}

#endif
