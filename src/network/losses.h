/* The table of losses with their derivatives, in double. Targets are as the estimators encode them.
 *
 * X(name, reduction over the K scores). Where there are fewer targets than scores, K / n_targets
 * scores in a row share one: the quantiles of an output. The softmax (kernels/softmax.h) is one
 * loss of all scores together, the CRF (kernels/crf.h) one of all steps of a sequence. */
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
#define LOSSES(X) SCORE_LOSSES(X) X(softmax, JOINT) X(crf, JOINT)

enum loss {
#define LOSS_NUMBER(name, ...) LOSS_##name,
    LOSSES(LOSS_NUMBER)
#undef LOSS_NUMBER
};

/* Each returns its value and writes d value / d score. r = score - y; q is the level of
 * the score's quantile. */

/* r^2 / 2 */
static inline double squared_error(double score, double y, double q, double *slope)
{
    (void)q;
    *slope = score - y;
    return *slope * *slope / 2;
}

/* |r| */
static inline double absolute_error(double score, double y, double q, double *slope)
{
    (void)q;
    *slope = (score > y) - (score < y);
    return fabs(score - y);
}

/* r^2 / 2 where |r| <= 1, |r| - 1/2 beyond */
static inline double huber(double score, double y, double q, double *slope)
{
    const double r = score - y;
    (void)q;
    *slope = fabs(r) <= 1 ? r : (r > 0) - (r < 0);
    return fabs(r) <= 1 ? r * r / 2 : fabs(r) - 0.5;
}

/* exp(score) - y score */
static inline double poisson(double score, double y, double q, double *slope)
{
    const double mean = exp(score);
    (void)q;
    *slope = mean - y;
    return mean - y * score;
}

/* -q r where r < 0, (1 - q) r above */
static inline double quantile(double score, double y, double q, double *slope)
{
    const double r = score - y;
    *slope = (1 - q) * (r > 0) - q * (r < 0);
    /* Not slope * r, in which a NaN would vanish. */
    return r < 0 ? -q * r : (1 - q) * r;
}

/* log(1 + exp(score)) - y score, y in {0, 1} */
static inline double logistic(double score, double y, double q, double *slope)
{
    /* exp of a negative number only: nothing overflows, and log1p keeps small losses. */
    const double e = exp(score > 0 ? -score : score);
    (void)q;
    *slope = (score > 0 ? 1 / (1 + e) : e / (1 + e)) - y;
    return log1p(e) + (score > 0 ? score : 0) - y * score;
}

/* y score: its gradient is y, whatever the scores are */
static inline double linear(double score, double y, double q, double *slope)
{
    (void)q;
    *slope = y;
    return y * score;
}

#endif
