"""Memory held by a fit and by a prediction, counted by tracemalloc (NumPy reports to it)."""

import pickle
import tracemalloc

import numpy as np
import pytest
from peak_memory import peak

from cylstm import LSTMClassifier, LSTMRegressor

N, T, I, H = 16, 1000, 8, 64  # noqa: E741  I inputs, as everywhere
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, T, I)).astype(np.float32)
Y = RNG.normal(size=(N, T)).astype(np.float32)


def history(n_layers=1, directions=1, n_gates=4, n_units=H, n_vectors=3, n_projected=0):
    """Bytes that backpropagation has to keep: of each step its inputs, gates and states (c,
    phi(c) and h, of a GRU h and its copy; where h is a projection, also what it is of, and
    dL/dh, which the gradients of all steps wait for), in float32."""
    per_step = 0
    n_inputs = I
    for _ in range(n_layers):
        per_step += n_inputs + directions * ((n_gates + n_vectors) * n_units + 2 * n_projected)
        n_inputs = n_units * directions
    return N * T * per_step * 4


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ({}, history()),
        ({"cell": "coupled"}, history(n_gates=3)),
        ({"hidden_layer_sizes": 20}, history(n_units=20)),
        ({"bidirectional": True}, history(directions=2)),
        ({"cell": "gru"}, history(n_vectors=2)),
        ({"cell": "gru_v1"}, history(n_gates=3)),  # with r h
        ({"projection_size": 16}, history(n_projected=16)),
        # Products with both weights, normalized, and c, normalized.
        ({"layer_norm": True}, history(n_gates=12, n_vectors=4)),
        ({"cell": "gru", "layer_norm": True}, history(n_gates=12, n_vectors=2)),
        # dL/dh of every step; of attention also the numbers that scores are made of.
        ({"pooling": "max"}, history() + N * T * H * 4),
        ({"pooling": "attention"}, history() + 2 * N * T * H * 4),
        # The same, and the outputs of both directions side by side.
        (
            {"pooling": "attention", "bidirectional": True},
            history(directions=2) + 3 * N * T * 2 * H * 4,
        ),
        # dL/dh of every step is passed from layer to layer.
        ({"hidden_layer_sizes": (H, H)}, history(2) + N * T * H * 4),
        ({"return_sequences": True}, history() + N * T * H * 4),
        # Chunks of a tenth of the steps hold a tenth of the history; y and weights per step.
        (
            {"return_sequences": True, "bptt_steps": T // 10},
            history() / 10 + N * T * H / 10 * 4 + 6 * Y.nbytes,
        ),
    ],
    ids=[
        "plain",
        "coupled",
        "few units",
        "bidirectional",
        "gru",
        "gru_v1",
        "projection",
        "layer norm",
        "gru with layer norm",
        "max",
        "attention",
        "bidirectional attention",
        "two layers",
        "per step",
        "chunks",
    ],
)
def test_a_fit_holds_little_more_than_its_history(settings, needed):
    model = LSTMRegressor(
        **{"hidden_layer_sizes": H, "max_iter": 1, "batch_size": N, **settings}
    )
    y = Y if model.return_sequences else Y[:, 0]
    assert peak(lambda: model.fit(X, y)) < 1.3 * needed


def test_only_the_shards_at_work_hold_history():
    # Four shards in one batch; two threads, so two at work.
    many, y = np.tile(X[:, :300], (4, 1, 1)), np.tile(Y[:, 0], 4)
    for n_jobs in (1, 2):
        model = LSTMRegressor(H, max_iter=1, batch_size=4 * N, n_jobs=n_jobs)
        assert peak(lambda model=model: model.fit(many, y)) < 1.3 * n_jobs * history() * 0.3


def left(function):
    """Bytes that a call leaves behind."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("how", ["fit", "warm start", "after partial_fit"])
def test_a_fit_leaves_the_model_alone_behind(how):
    model = LSTMRegressor(H, max_iter=2, warm_start=how == "warm start")

    def fit():
        if how != "fit":
            model.partial_fit(X, Y[:, 0])
        model.fit(X, Y[:, 0])

    n_parameters = 4 * H * (I + H + 1) + H + 1
    # Weights and two moments, and some thousand small objects.
    assert left(fit) < 3 * n_parameters * 4 + 100_000
    assert len(pickle.dumps(model.partial_fit(X, Y[:, 0]))) < 3 * n_parameters * 4 + 20_000


def test_partial_fit_keeps_its_memory_for_the_next_call():
    # On one thread, since a team, which the engine may change to, takes other memory.
    model = LSTMRegressor(H, n_jobs=1, batch_size=32)
    # One of two shards.
    assert left(lambda: model.partial_fit(X, Y[:, 0])) > history() / 2
    model.partial_fit(X, Y[:, 0])
    assert peak(lambda: model.partial_fit(X, Y[:, 0])) < history() / 100
    with pytest.raises(ValueError, match="infinity"):
        model.partial_fit(X, np.full(N, np.inf))
    assert peak(lambda: model.partial_fit(X, Y[:, 0])) < history() / 100


def test_prediction_does_not_grow_with_the_number_of_steps():
    model = LSTMRegressor(H, max_iter=1).fit(X[:, :10], Y[:, 0])
    short, long = (peak(lambda t=t: model.predict(X[:, :t].copy())) for t in (200, 1000))
    inputs = X[:, :1000].nbytes - X[:, :200].nbytes
    assert long - short < inputs + 100_000
    assert long < history() / 4


def test_a_long_sequence_trains_in_chunks():
    long = RNG.normal(size=(1, 100_000, I)).astype(np.float32)
    signs = np.where(long[:, :, 0] > 0, 1, 0)
    model = LSTMClassifier(H, return_sequences=True, bptt_steps=200, max_iter=1)
    # The whole history would be 182 MB.
    assert peak(lambda: model.fit(long, signs)) < 20e6


# Much larger than a network of 4 units and what it needs for a batch.
MANY = RNG.normal(size=(4000, 50, 16)).astype(np.float32)
MANY_Y = MANY[:, -1, 0]


def padded(X):
    X = X.copy()
    X[::2, 30:] = np.nan
    return X


def mapped(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: MANY,
        lambda folder: padded(MANY),
        lambda folder: MANY.astype(np.float64),
        lambda folder: MANY.reshape(len(MANY), -1),
        lambda folder: mapped(MANY, folder),
        lambda folder: mapped(padded(MANY), folder),
        lambda folder: mapped(MANY.reshape(len(MANY), -1), folder),
    ],
    ids=["array", "padded", "float64", "columns", "file", "padded file", "columns in a file"],
)
def test_large_data_is_not_copied(make, tmp_path):
    many = make(tmp_path)
    settings = {"max_iter": 1, "dtype": many.dtype.name, "n_step_features": MANY.shape[2]}
    model = LSTMRegressor(4, **settings)
    stopping = LSTMRegressor(4, early_stopping=True, **settings)
    validated = {"X_val": many, "y_val": MANY_Y}
    few = many[:10], MANY_Y[:10]
    for call in (
        lambda: model.fit(many, MANY_Y),
        lambda: model.partial_fit(many, MANY_Y),
        lambda: model.predict(many),
        lambda: model.score(many, MANY_Y),
        lambda: stopping.fit(many, MANY_Y),
        lambda: stopping.fit(*few, **validated),
    ):
        assert peak(call) < many.nbytes / 8
