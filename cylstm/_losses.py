"""The losses: one row each, with their targets, predictions and scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.metrics import accuracy_score, d2_pinball_score, r2_score
from sklearn.preprocessing import StandardScaler


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


def standard_scaling(y, weights):
    """Weighted mean and standard deviation of each column, 1 where it is constant."""
    weights = weights.astype(np.float64) / float(weights.max())  # which may be huge
    scaler = StandardScaler().fit(y, sample_weight=weights)
    return scaler.mean_, scaler.scale_


def robust_scaling(y, weights):
    """Weighted median and normalised interquartile range of each column: outliers, for which
    these losses are taken, would stretch a standard deviation. Where half of the column is
    constant, its standard deviation."""
    low, median, high = (weighted_quantile(y, weights, level) for level in (0.25, 0.5, 0.75))
    scale = (high - low) / 1.349  # the standard deviation of a normal distribution
    return median, np.where(scale > 0, scale, standard_scaling(y, weights)[1])


def weighted_quantile(y, weights, level):
    """The smallest number of each column at which that share of the weights is reached."""
    order = np.argsort(y, axis=0)
    sums = np.cumsum(weights.astype(np.float64)[order], axis=0)
    at = (sums < level * sums[-1]).sum(axis=0)
    columns = np.arange(y.shape[1])
    return y[order[at, columns], columns]


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
