"""Draws tokens from scores, and goes on with them."""

import itertools
from contextlib import nullcontext as _n

import numpy as np
from scipy.special import softmax

from ._sequences import Sequences


def blas_for(*_):
    return _n


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


def write_tokens(network, read, n_tokens, n_samples, *, never, end, random_state, **limits):
    """Draw token after token from a network's scores.

    Parameters
    ----------
    network : Network
    read : int64 array
        Tokens that come before.
    n_tokens : int or None
        How many to draw; None is without end.
    n_samples : int
        Sequences that are written side by side.
    never : int or None
        A token that is not drawn.
    end : int
        The token after which a sequence has ended.
    random_state : RandomState
    **limits
        temperature, top_k, top_p.

    Returns
    -------
    drawn : iterator over int64 arrays of shape (n_samples,)
        -1 where a sequence has ended. The network is read at once, `read` as well.
    """
    one_blas_thread = blas_for(n_samples, network.architecture)
    state = np.zeros((1, network.architecture.n_state), network.dtype)
    if len(read) > 1:
        before = Sequences(None, np.zeros(1, np.int64), np.array([len(read) - 1]), read)
        with one_blas_thread():
            network.forward(before, 1, scores=False, state_out=state)
    stream = network.stream(n_samples)
    stream.load(np.repeat(state, n_samples, axis=0))

    def draw():
        tokens = np.full(n_samples, read[-1])
        running = np.ones(n_samples, dtype=bool)
        for _ in itertools.count() if n_tokens is None else range(n_tokens):
            stream.inputs[:] = tokens
            with one_blas_thread():
                stream.step()
            scores = stream.scores.astype(np.float64)
            if never is not None:
                scores[:, never] = -np.inf
            tokens = draw_tokens(scores, random_state.uniform(size=n_samples), **limits)
            running &= tokens != end
            if not running.any():
                return
            yield np.where(running, tokens, -1)

    return draw()
