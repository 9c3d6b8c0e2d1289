"""Draws tokens from scores."""

import numpy as np
from scipy.special import softmax


def token_probabilities(scores, temperature, top_k, top_p):
    """Distributions that tokens are drawn from.

    Parameters
    ----------
    scores : float64 array of shape (n, K)
        Minus infinity where a token must not come.
    temperature : float
        Scores are divided by it; at 0 the most likely token gets all.
    top_k : int or None
        Only the k most likely tokens remain (Fan et al., arXiv:1805.04833).
    top_p : float or None
        Only the fewest tokens that together have this probability remain (Holtzman et al.,
        arXiv:1904.09751).

    Returns
    -------
    p : float64 array of shape (n, K)
        Of equally likely tokens the first in order counts as the most likely.
    """
    if temperature == 0:
        return np.eye(scores.shape[1])[scores.argmax(axis=1)]
    with np.errstate(over="ignore"):  # minus infinity, by a tiny temperature
        p = softmax((scores - scores.max(axis=1, keepdims=True)) / temperature, axis=1)
    if top_k is None and top_p is None:
        return p
    order = np.argsort(-p, axis=1, kind="stable")
    sorted_p = np.take_along_axis(p, order, axis=1)
    if top_k is not None:
        sorted_p[:, top_k:] = 0
        sorted_p /= sorted_p.sum(axis=1, keepdims=True)
    if top_p is not None:
        # A token stays while those before it do not have enough.
        before = np.cumsum(sorted_p, axis=1) - sorted_p
        sorted_p[before >= top_p] = 0
        sorted_p /= sorted_p.sum(axis=1, keepdims=True)
    np.put_along_axis(p, order, sorted_p, axis=1)
    return p


def draw_tokens(scores, uniform, temperature=1.0, top_k=None, top_p=None):
    """One token for each row of scores, from numbers uniform in [0, 1)."""
    cumulative = np.cumsum(token_probabilities(scores, temperature, top_k, top_p), axis=1)
    # The first token at which the sum exceeds the number: never one of probability 0.
    return (cumulative > uniform[:, None] * cumulative[:, -1:]).argmax(axis=1)
