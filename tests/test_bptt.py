"""Truncated backpropagation through time."""

import numpy as np
import pytest
from example_sequences import RAGGED, SUMS, SUMS_RAGGED, N, T, X, regressor, weights_of


def test_chunks_as_long_as_the_sequences_change_nothing():
    for return_sequences, y in ((False, SUMS[:, -1]), (True, SUMS)):
        settings = {"return_sequences": return_sequences, "dropout": 0.2}
        whole = regressor(**settings).fit(X, y)
        chunked = regressor(bptt_steps=T, **settings).fit(X, y)
        assert weights_of(chunked) == weights_of(whole)


def test_the_state_is_carried_from_chunk_to_chunk():
    # The learning rate is so small that the weights stand still: the loss over chunks is
    # that of whole sequences if states and predictions are the same.
    for return_sequences, y in ((False, [s[-1] for s in SUMS_RAGGED]), (True, SUMS_RAGGED)):
        settings = {
            "return_sequences": return_sequences,
            "learning_rate_init": 1e-12,
            "max_iter": 1,
            "dtype": "float64",
            "hidden_layer_sizes": (5, 4),
        }
        whole = regressor(**settings).fit(RAGGED, y)
        chunked = regressor(bptt_steps=2, **settings).fit(RAGGED, y)
        assert chunked.loss_ == pytest.approx(whole.loss_, rel=1e-8)


@pytest.mark.parametrize("return_sequences", [False, True])
def test_masks_stay_with_their_sequences_from_chunk_to_chunk(return_sequences):
    # Sorted as the chunks sort them, so that the whole sees the same masks.
    data = sorted(RAGGED, key=len, reverse=True)
    y = [np.cumsum(x[:, 0]) for x in data]
    y = y if return_sequences else [s[-1] for s in y]
    settings = {
        "return_sequences": return_sequences,
        "learning_rate_init": 1e-12,
        "max_iter": 1,
        "dtype": "float64",
        "hidden_layer_sizes": (5, 4),
        "recurrent_dropout": 0.5,
        "dropout": 0.3 if return_sequences else 0.0,
        "shuffle": False,
        "batch_size": N,
    }
    whole = regressor(**settings).fit(data, y)
    for n_steps in (1, 2, 3):
        chunked = regressor(bptt_steps=n_steps, **settings).fit(data, y)
        assert chunked.loss_ == pytest.approx(whole.loss_, rel=1e-8)
        turned = regressor(bptt_steps=n_steps, **settings).fit(data[::-1], y[::-1])
        assert np.isfinite(turned.loss_)


def test_chunks_without_weight_still_carry_the_state(monkeypatch):
    # Memory that was never written to would show as NaN.
    monkeypatch.setattr(np, "empty_like", lambda a, **_: np.full(a.shape, np.nan, a.dtype))
    weights = np.ones((N, T))
    losses = []
    for first in (0, 1e-200):
        weights[:, :4] = first
        model = regressor(
            return_sequences=True,
            bptt_steps=2,
            max_iter=1,
            learning_rate_init=1e-12,
            dtype="float64",
        ).fit(X, SUMS, weights)
        losses.append(model.loss_)
    whole = regressor(
        return_sequences=True, max_iter=1, learning_rate_init=1e-12, dtype="float64"
    ).fit(X, SUMS, weights)
    np.testing.assert_allclose(losses, whole.loss_, rtol=1e-8)


def test_chunks_learn():
    settings = {"return_sequences": True, "max_iter": 60, "learning_rate_init": 0.01}
    model = regressor(bptt_steps=3, **settings).fit(RAGGED, SUMS_RAGGED)
    assert model.score(RAGGED, SUMS_RAGGED) > 0.8
