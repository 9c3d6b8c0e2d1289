"""Distributions that tokens are drawn from."""

import numpy as np
import pytest
from scipy.special import softmax

from cylstm._sampling import draw_tokens, token_probabilities

P = np.array([[0.1, 0.4, 0.2, 0.3], [0.25, 0.25, 0.25, 0.25]])
SCORES = np.log(P)


def test_without_limits_probabilities_are_the_softmax():
    np.testing.assert_allclose(token_probabilities(SCORES + 7, 1, None, None), P)


def test_temperature_divides_the_scores():
    for temperature in (0.5, 3.0):
        expected = softmax(SCORES / temperature, axis=1)
        np.testing.assert_allclose(
            token_probabilities(SCORES, temperature, None, None), expected
        )


@pytest.mark.parametrize("temperature", [0, 1e-300])
def test_at_temperature_zero_the_most_likely_token_is_certain(temperature):
    p = token_probabilities(SCORES[:1], temperature, 3, 0.9)
    np.testing.assert_array_equal(p, [[0, 1, 0, 0]])


def test_top_k():
    np.testing.assert_allclose(
        token_probabilities(SCORES, 1, 2, None),
        [[0, 4 / 7, 0, 3 / 7], [0.5, 0.5, 0, 0]],  # of equal ones the first
    )
    np.testing.assert_allclose(token_probabilities(SCORES, 1, 9, None), P)
    np.testing.assert_allclose(
        token_probabilities(SCORES, 1, 1, None), [[0, 1, 0, 0], [1, 0, 0, 0]]
    )


@pytest.mark.parametrize(
    ("top_p", "expected"),
    [
        (0.3, [0, 1, 0, 0]),
        (0.5, [0, 4 / 7, 0, 3 / 7]),
        (0.85, [0, 4 / 9, 2 / 9, 3 / 9]),
        (1.0, [0.1, 0.4, 0.2, 0.3]),
        (1e-9, [0, 1, 0, 0]),
    ],
)
def test_top_p_keeps_the_fewest_tokens_that_reach_it(top_p, expected):
    np.testing.assert_allclose(token_probabilities(SCORES[:1], 1, None, top_p), [expected])


def test_top_p_takes_no_token_beyond_it():
    p = token_probabilities(SCORES[1:], 1, None, 0.5)
    np.testing.assert_array_equal(p, [[0.5, 0.5, 0, 0]])


def test_top_p_applies_to_what_top_k_leaves():
    # 4/7 and 3/7 remain, of which the first has 0.55.
    p = token_probabilities(SCORES[:1], 1, 2, 0.55)
    np.testing.assert_allclose(p, [[0, 1, 0, 0]])


def test_tokens_are_drawn_by_their_probabilities():
    uniform = (np.arange(1000) + 0.5) / 1000
    scores = np.repeat(SCORES[:1], 1000, axis=0)
    counts = np.bincount(draw_tokens(scores, uniform), minlength=4)
    np.testing.assert_array_equal(counts, [100, 400, 200, 300])


@pytest.mark.parametrize("uniform", [0.0, np.nextafter(1, 0)])
def test_forbidden_tokens_are_never_drawn(uniform):
    scores = np.array([[-np.inf, 0.0, 1.0, -np.inf]])
    assert draw_tokens(scores, np.array([uniform]))[0] in (1, 2)
