"""The same bits on any number of threads."""

import numpy as np
import pytest
from example_sequences import regressor, weights_of


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("data", ["equal", "ragged"])
def test_fits_have_the_same_bits_with_any_number_of_threads(data, dtype):
    # Large enough to run on several threads.
    rng = np.random.default_rng(0)
    big = rng.normal(size=(200, 30, 4))
    if data == "ragged":
        big = [x[:n] for x, n in zip(big, rng.integers(1, 31, size=200), strict=True)]
    y = rng.normal(size=200)
    settings = {"hidden_layer_sizes": (24, 12), "batch_size": 100, "dtype": dtype}
    models = [regressor(n_jobs=n, **settings).fit(big, y) for n in (1, 2, 4, 2)]
    for model in models[1:]:
        assert weights_of(model) == weights_of(models[0])
        assert model.loss_curve_ == models[0].loss_curve_
        assert model.predict(big).tobytes() == models[0].predict(big).tobytes()


EVERYTHING = {
    "hidden_layer_sizes": (6, 5),
    "cell": "peephole",
    "bidirectional": True,
    "dropout": 0.2,
    "recurrent_dropout": 0.2,
    "weight_dropout": 0.2,
    "alpha": 1e-3,
    "l1_ratio": 0.5,
    "solver": "adamw",
    "learning_rate": "cosine",
}


@pytest.mark.parametrize("tokens", [False, True])
def test_bits_do_not_depend_on_threads_with_every_option(tokens):
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 40, size=200)
    if tokens:
        data = [rng.integers(30, size=n) for n in lengths]
        settings = {**EVERYTHING, "embedding_dim": 8}
    else:
        data = [rng.normal(size=(n, 5)) for n in lengths]
        settings = {**EVERYTHING, "bidirectional": False, "bptt_steps": 16}
    y = [np.arange(n) / 10 for n in lengths]
    settings |= {"return_sequences": True, "batch_size": 100, "max_iter": 2}
    models = [regressor(n_jobs=n, **settings).fit(data, y) for n in (1, 2, 4)]
    for model in models[1:]:
        assert weights_of(model) == weights_of(models[0])
        for a, b in zip(model.predict(data), models[0].predict(data), strict=True):
            assert a.tobytes() == b.tobytes()
