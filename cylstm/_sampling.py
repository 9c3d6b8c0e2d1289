"""Draws tokens from scores, each of which is the next input."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.special import softmax

from ._sequences import Sequences


def token_probabilities(scores, temperature, top_k, top_p):
    """Distributions that tokens are drawn from.

    Parameters
    ----------
    scores : float64 array of shape (n, K)
        Minus infinity for tokens that must not be drawn.
    temperature : float
        Scores are divided by it; at 0 the most likely token has probability 1.
    top_k : int or None
        Keep only the k most likely tokens (Fan et al., arXiv:1805.04833).
    top_p : float or None
        Keep only the smallest set of most likely tokens whose total probability is at
        least top_p (Holtzman et al., arXiv:1904.09751).

    Returns
    -------
    p : float64 array of shape (n, K)
        Of equally likely tokens the first counts as the most likely.
    """
    if temperature == 0:
        return np.eye(scores.shape[1])[scores.argmax(axis=1)]
    with np.errstate(over="ignore"):  # a tiny temperature makes minus infinity
        p = softmax((scores - scores.max(axis=1, keepdims=True)) / temperature, axis=1)
    if top_k is None and top_p is None:
        return p
    order = np.argsort(-p, axis=1, kind="stable")
    sorted_p = np.take_along_axis(p, order, axis=1)
    if top_k is not None:
        sorted_p[:, top_k:] = 0
        sorted_p /= sorted_p.sum(axis=1, keepdims=True)
    if top_p is not None:
        # A token is kept while those before it have less than top_p.
        before = np.cumsum(sorted_p, axis=1) - sorted_p
        sorted_p[before >= top_p] = 0
        sorted_p /= sorted_p.sum(axis=1, keepdims=True)
    np.put_along_axis(p, order, sorted_p, axis=1)
    return p


def draw_tokens(scores, uniform, temperature=1.0, top_k=None, top_p=None):
    """One token for each row of scores, from uniform random numbers in [0, 1)."""
    cumulative = np.cumsum(token_probabilities(scores, temperature, top_k, top_p), axis=1)
    # The first token where the sum exceeds the number: never one of probability 0.
    return (cumulative > uniform[:, None] * cumulative[:, -1:]).argmax(axis=1)


def write_tokens(network, read, n_tokens, n_samples, *, never, end, random_state, **limits):
    """Draw token after token from a network's scores.

    Parameters
    ----------
    network : Network
    read : int64 array
        The tokens before.
    n_tokens : int or None
        Number of tokens to draw; None means without end.
    n_samples : int
        Number of sequences to write in parallel.
    never : int or None
        A token that is never drawn.
    end : int
        The token that ends a sequence.
    random_state : RandomState
    **limits
        temperature, top_k, top_p.

    Returns
    -------
    drawn : iterator over int64 arrays of shape (n_samples,)
        -1 after the end of a sequence. `read` is run through the network at once, and later
        changes of the network do not matter.
    """
    state = np.zeros((1, network.architecture.n_state), network.dtype)
    if len(read) > 1:
        before = Sequences(None, np.zeros(1, np.int64), np.array([len(read) - 1]), read)
        network.forward(before, 1, scores=False, state_out=state)
    stream = network.stream(n_samples)
    stream.load(np.repeat(state, n_samples, axis=0))

    def draw():
        tokens = np.full(n_samples, read[-1])
        running = np.ones(n_samples, dtype=bool)
        for _ in itertools.count() if n_tokens is None else range(n_tokens):
            stream.inputs[:] = tokens
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
