"""The losses: one row each, with their targets, predictions and scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.metrics import accuracy_score, d2_pinball_score, r2_score


def score_regression(y, predicted, levels, weights):
    """R^2, or for several quantiles the mean of D^2 of the pinball loss over outputs and
    levels.

    Parameters
    ----------
    y : array of shape (n,) or (n, n_outputs)
    predicted : array of the shape of y, or (n, n_levels), (n, n_outputs, n_levels)
    levels : sequence of float
        The levels of the last axis of `predicted`; empty unless there are several quantiles.
    weights : array of shape (n,) or None
    """
    if not len(levels):
        return r2_score(y, predicted, sample_weight=weights)
    return np.mean(
        [
            d2_pinball_score(y, predicted[..., k], sample_weight=weights, alpha=level)
            for k, level in enumerate(levels)
        ]
    )


def score_classification(y, predicted, weights):
    """Accuracy; of indicator matrices the share of rows with every label right."""
    return accuracy_score(y, predicted, sample_weight=weights)


# A column whose numbers differ by no more than some roundings of them is constant.
ROUNDING = 10 * np.finfo(np.float64).eps


def standard_scaling(y, weights):
    """Weighted mean and standard deviation of each column, 1 where it is constant."""
    mean, deviation = _mean_and_deviation(y, weights)
    return mean, np.where(deviation > 0, deviation, 1)


def robust_scaling(y, weights):
    """Weighted median and normalised interquartile range of each column: outliers, for which
    these losses are taken, would stretch a standard deviation.

    Where most of a column is equal or nearly so, the quartiles say nothing of the rest: the
    scale is at least a tenth of the standard deviation without the outer percents."""
    low, median, high = (weighted_quantile(y, weights, level) for level in (0.25, 0.5, 0.75))
    ends = (weighted_quantile(y, weights, level) for level in (0.01, 0.99))
    _, inner = _mean_and_deviation(np.clip(y, *ends), weights)
    # 1.349 of a normal distribution's standard deviations are between its quartiles.
    scale = np.maximum((high - low) / 1.349, inner / 10)
    negligible = scale <= ROUNDING * np.abs(y).max(axis=0)
    return median, np.where(negligible, standard_scaling(y, weights)[1], scale)


def _mean_and_deviation(y, weights):
    """Of each column; the deviation is 0 where the column is constant."""
    weights = weights.astype(np.float64)[:, None] / float(weights.max())  # which may be huge
    total = weights.sum()

    def average(numbers):
        # In more precision than the weights have: an integer weight equals that many copies.
        return (np.sum(weights * numbers, axis=0, dtype=np.longdouble) / total).astype(float)

    mean = average(y)
    differences = y - mean
    largest = np.abs(differences).max(axis=0)
    constant = largest <= ROUNDING * np.abs(y).max(axis=0)
    largest[constant] = 1
    differences /= largest  # squares of tiny ones would vanish
    deviation = largest * np.sqrt(average(differences**2))
    return mean, np.where(constant, 0, deviation)


def weighted_quantile(y, weights, level):
    """Number of each column below which there is that share of the weights: between two
    where it is any of theirs, their mean."""
    order = np.argsort(y, axis=0)
    sums = np.cumsum(weights.astype(np.float64)[order], axis=0)
    columns = np.arange(y.shape[1])
    last = len(y) - 1
    ends = [
        y[order[np.minimum((sums < bound).sum(axis=0), last), columns], columns]
        for bound in (level * sums[-1] * factor for factor in (1 - 1e-12, 1 + 1e-12))
    ]
    return ends[0] / 2 + ends[1] / 2


@dataclass(frozen=True)
class RegressionLoss:
    """A loss of LSTMRegressor.

    Parameters
    ----------
    kernel : str
        Its name in the engine, a key of _plan.LOSSES.
    description : str
        For the docstring, in terms of the residual r = y - p.
    out_activation : str
        Name of the function that turns a score into a prediction.
    inverse_link : callable(scores) -> predictions, or None
        That function; None is the identity.
    in_domain : callable(y) -> bool array, or None
        Which targets the loss is defined for; None is all finite ones.
    domain_error : str
        What is wrong with the others, as the end of a sentence that starts with the
        name of y.
    has_levels : bool
        Whether there is a level (a quantile) for each score.
    scaling : callable(y, weights) -> (offset, scale), or None
        Of the targets, each column apart; None learns them as they are.
    score : callable(y, predicted, levels, weights) -> float
        What LSTMRegressor.score returns; higher is better.
    """

    kernel: str
    description: str
    out_activation: str = "identity"
    inverse_link: Callable | None = None
    in_domain: Callable | None = None
    domain_error: str = ""
    has_levels: bool = False
    scaling: Callable | None = robust_scaling
    score: Callable = score_regression

    def predict(self, scores: np.ndarray) -> np.ndarray:
        return scores if self.inverse_link is None else self.inverse_link(scores)

    def check_domain(self, y: np.ndarray, name: str) -> None:
        if self.in_domain is not None and not self.in_domain(y).all():
            raise ValueError(f"{name} {self.domain_error}")


REGRESSION_LOSSES: dict[str, RegressionLoss] = {
    "squared_error": RegressionLoss("squared_error", "r^2 / 2", scaling=standard_scaling),
    "absolute_error": RegressionLoss("absolute_error", "|r|"),
    "huber": RegressionLoss(
        "huber", "r^2 / 2 where |r| <= 1 and |r| - 1/2 elsewhere (Huber 1964)"
    ),
    "quantile": RegressionLoss(
        "quantile", "the pinball loss (Koenker & Bassett 1978)", has_levels=True
    ),
    "poisson": RegressionLoss(
        "poisson",
        "exp(s) - y s with the score s = log(p), for counts",
        out_activation="exp",
        inverse_link=np.exp,
        in_domain=lambda y: y >= 0,
        domain_error='has negative numbers, but loss="poisson" counts.',
        scaling=None,
    ),
}


@dataclass(frozen=True)
class ClassificationLoss:
    """A loss of LSTMClassifier for one kind of targets.

    Parameters
    ----------
    kernel : str
        Its name in the engine, a key of _plan.LOSSES.
    out_activation : str
        Name of the function that turns scores into probabilities.
    probabilities, log_probabilities : callable(scores) -> array
        None where they follow from the scores of all steps of a sequence.
    score : callable(y, predicted, weights) -> float
        What LSTMClassifier.score returns; higher is better.
    """

    kernel: str
    out_activation: str
    probabilities: Callable | None
    log_probabilities: Callable | None
    score: Callable = score_classification


# Public name -> by whether each score has a probability of its own (two classes, or an
# indicator matrix), all scores share one distribution, or those of all steps of a sequence do.
CLASSIFICATION_LOSSES: dict[str, dict[str, ClassificationLoss]] = {
    "log_loss": {
        "logistic": ClassificationLoss("logistic", "logistic", expit, log_expit),
        "softmax": ClassificationLoss(
            "softmax",
            "softmax",
            lambda scores: softmax(scores, axis=-1),
            lambda scores: log_softmax(scores, axis=-1),
        ),
    },
    "crf": {"crf": ClassificationLoss("crf", "crf", None, None)},
}
