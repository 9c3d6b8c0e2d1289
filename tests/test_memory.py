"""Memory held by a fit and by a prediction, counted by tracemalloc (NumPy reports to it)."""

import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peak_memory import peak
from problem import PRODUCT, as_parameters

from cylstm import LSTMClassifier, LSTMRegressor, _plan

N, T, I, H = 16, 1000, 8, 64  # noqa: E741  I inputs, as everywhere
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, T, I)).astype(np.float32)
Y = RNG.normal(size=(N, T)).astype(np.float32)


def history(n_steps=N * T, **settings):
    """Bytes that backpropagation has to keep of so many steps, in float32, with a model of
    these settings."""
    p = {**LSTMRegressor().get_params(), "hidden_layer_sizes": H, **settings}
    cell = _plan.CELLS[p["cell"]]
    directions = 1 + p["bidirectional"]
    # c, phi(c) and the output, or of a GRU h and its copy, and r h where a gate sees it.
    n_vectors = (3 if "c" in cell.state else 2) + bool(cell.see_rh)
    n_gates = len(cell.gates)
    if p["layer_norm"]:
        # Products with both weights, normalized, and c, normalized.
        n_gates *= 3 if cell.see_h else 2
        n_vectors += "c" in cell.state
    projected = p["projection_size"] or 0
    per_step, n_inputs = 0, I
    for n_units in np.atleast_1d(p["hidden_layer_sizes"]):
        per_step += n_inputs + directions * ((n_gates + n_vectors) * n_units + projected)
        n_inputs = directions * (projected or n_units)
    # dL/dh of every step: of projections, since the gradients of all steps wait for it, and of
    # outputs.
    per_step += projected
    of_all_steps = p["return_sequences"] or p["pooling"] != "last"
    if of_all_steps or np.size(p["hidden_layer_sizes"]) > 1:
        per_step += n_inputs
    # What the scores of attention are made of; outputs that are joined or added up.
    per_step += n_inputs * (p["pooling"] == "attention")
    per_step += n_inputs * (of_all_steps and (p["bidirectional"] or p["residual"]))
    return n_steps * per_step * 4


def fit(X, y, **settings):
    """A model, and the most memory that a fit took in which two threads hold a shard each:
    with one thread half of the batch would never be in memory."""
    model = LSTMRegressor(
        **{"hidden_layer_sizes": H, "max_iter": 1, "batch_size": N, "n_jobs": 2, **settings}
    )
    return model, peak(lambda: model.fit(X, y))


# Columns of gates are whole vectors (kernels/blocks.h), with three gates those of 16 units: 20
# units take the room of 32.
OF_32 = 32 / 20


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        ({}, 1.3),
        ({"cell": "coupled"}, 1.3),
        ({"hidden_layer_sizes": 20}, 1.3),
        ({"hidden_layer_sizes": 20, "cell": "gru"}, 1.3),
        ({"hidden_layer_sizes": 20, "cell": "coupled"}, OF_32),
        ({"hidden_layer_sizes": 20, "cell": "gru_v1"}, OF_32),
        ({"bidirectional": True}, 1.3),
        ({"cell": "gru"}, 1.3),
        ({"cell": "gru_v1"}, 1.3),
        ({"projection_size": 16}, 1.3),
        ({"layer_norm": True}, 1.3),
        ({"cell": "gru", "layer_norm": True}, 1.3),
        ({"pooling": "max"}, 1.3),
        ({"pooling": "attention"}, 1.3),
        ({"pooling": "attention", "bidirectional": True}, 1.3),
        ({"hidden_layer_sizes": (H, H)}, 1.3),
        ({"return_sequences": True}, 1.3),
    ],
    ids=[
        "plain",
        "coupled",
        "few units",
        "few units of gru",
        "few units of coupled",
        "few units of gru_v1",
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
    ],
)
def test_a_fit_holds_little_more_than_its_history(settings, limit):
    _, most = fit(X, Y if "return_sequences" in settings else Y[:, 0], **settings)
    assert most < limit * history(**settings)


def test_a_fit_in_chunks_holds_the_history_of_one():
    _, most = fit(X, Y, return_sequences=True, bptt_steps=T // 10)
    # y and weights are per step.
    assert most < 1.3 * (history(N * T // 10, return_sequences=True) + 6 * Y.nbytes)


def room_of_steps(lengths):
    """Steps that two shards have room for: both have that of the longer one. Rows, longest
    first, fill the first one until it has half of the steps."""
    ends = np.cumsum(np.sort(lengths)[::-1])
    first = ends[np.searchsorted(ends, ends[-1] / 2)]
    return 2 * max(first, ends[-1] - first)


@pytest.mark.parametrize(
    "lengths", [[300] * N, [*range(300, 60, -15)]], ids=["equal", "ragged"]
)
@settings(deadline=None, max_examples=60, derandomize=True)
@given(around=st.sampled_from(PRODUCT))
def test_any_network_holds_little_more_than_its_history(lengths, around):
    parameters = {**as_parameters(around), "hidden_layer_sizes": (H, H)}
    xs = [x[:n] for x, n in zip(X, lengths, strict=True)]
    y = [y[:n] for y, n in zip(Y, lengths, strict=True)] if around["per_step"] else Y[:, 0]
    model, most = fit(xs, y, **parameters)
    # Of each parameter: itself, its gradient and two moments, the first and the last two in a
    # snapshot, too; packed, itself and gradients of two lanes; and scratch.
    of_parameters = 12 * model._network.parameters.nbytes
    assert most < 1.3 * history(room_of_steps(lengths), **parameters) + of_parameters


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
