"""cylstm on dask: the bits of one process, whatever a search or X is cut into."""

import joblib
import numpy as np
import pandas as pd
import pytest
from example_sequences import (
    HAS_SEVEN,
    LABELS,
    PADDED,
    RAGGED,
    SIGNS,
    SUMS,
    TOKENS,
    Y_RAGGED,
    N,
    T,
    X,
    Y,
    classifier,
    regressor,
)
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

pytest.importorskip("dask.array")
pytest.importorskip("distributed")

import dask
import dask.array as da
from dask import bag
from distributed import Client, LocalCluster

from cylstm import LSTMForecaster, LSTMRegressor, _engine
from cylstm._threads import effective_n_threads
from cylstm.dask import predict
from cylstm.preprocessing import StepwiseTransformer

COLUMNS = X[:, :, 0]
PADDED_TOKENS = np.random.default_rng(0).integers(12, size=(N, T))


@pytest.fixture(scope="module")
def client():
    """Of two worker processes with one thread each."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


def chunked(X, n=25):
    return da.from_array(X, chunks=(n, *X.shape[1:]))


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def scaled(model):
    return make_pipeline(StepwiseTransformer(StandardScaler()), model)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "X", "y"),
    [(classifier(), X, LABELS), (regressor(), RAGGED, Y_RAGGED)],
    ids=["3-D", "ragged"],
)
def test_searches_have_the_same_scores_everywhere(client, model, X, y):
    sizes = f"{type(model).__name__.lower()}__hidden_layer_sizes"

    def search():
        return GridSearchCV(scaled(model), {sizes: [2, (3, 2)]}, cv=3, n_jobs=2).fit(X, y)

    with joblib.parallel_config("sequential"):
        expected = search()
    for backend in ("loky", "dask"):
        with joblib.parallel_config(backend):
            found = search()
        for k in range(3):
            name = f"split{k}_test_score"
            assert same_bits(found.cv_results_[name], expected.cv_results_[name]), backend
        assert same_bits(found.predict(X), expected.predict(X)), backend


@pytest.mark.slow
def test_workers_get_the_model_once(client, monkeypatch):
    pickled = []
    getstate = LSTMRegressor.__getstate__

    def counted(model):
        pickled.append(model)
        return getstate(model)

    def n_pickled(blocks):
        pickled.clear()
        client.gather(client.compute(predict(model, blocks)))
        return len(pickled)

    model = regressor().fit(X, Y)
    monkeypatch.setattr(LSTMRegressor, "__getstate__", counted)
    # By the client and by the scheduler, which is in this process too.
    assert n_pickled(chunked(X, 3)) == n_pickled(chunked(X, 30)) <= 2
    some = [dask.delayed(RAGGED[k::9]) for k in range(9)]
    assert n_pickled(some) == n_pickled(some[:2]) <= 2
    assert n_pickled(bag.from_sequence(RAGGED, npartitions=9)) <= 2


@pytest.mark.slow
def test_workers_predict_the_same_bits(client):
    model = regressor().fit(X, Y)
    found = client.compute(predict(model, chunked(X, 7))).result()
    assert same_bits(found, model.predict(X))
    some = client.compute(predict(model, [dask.delayed(RAGGED[k::9]) for k in range(9)]))
    for k, found in enumerate(client.gather(some)):
        assert same_bits(found, model.predict(RAGGED[k::9]))


CASES = {
    "numbers": (regressor(), X, Y, ["predict", "transform"]),
    "quantiles": (regressor(loss="quantile", quantile=[0.1, 0.9]), X, Y, ["predict"]),
    "several outputs": (regressor(), X, X[:, -1, :2], ["predict"]),
    "labels": (
        classifier(),
        X,
        LABELS,
        ["predict", "predict_proba", "predict_log_proba", "decision_function", "transform"],
    ),
    "per step": (regressor(return_sequences=True), X, SUMS, ["predict", "transform"]),
    "labels per step": (
        classifier(return_sequences=True),
        X,
        SIGNS,
        ["predict", "predict_proba"],
    ),
    "padding": (regressor(), PADDED, Y, ["predict"]),
    "pipeline": (scaled(classifier()), X, LABELS, ["predict", "predict_proba"]),
    "transformer": (StepwiseTransformer(StandardScaler()), X, None, ["transform"]),
    "columns": (regressor(n_step_features=1), COLUMNS, Y, ["predict"]),
    "tokens": (classifier(embedding_dim=3), PADDED_TOKENS, LABELS, ["predict"]),
}


@pytest.mark.parametrize("case", CASES)
def test_arrays(case):
    model, X, y, methods = CASES[case]
    model.fit(X, y)
    for method in methods:
        expected = getattr(model, method)(X)
        lazy = predict(model, chunked(X), method=method)
        assert (lazy.shape, lazy.dtype) == (expected.shape, expected.dtype)
        assert lazy.chunks[0] == (25, 25, 10)
        assert same_bits(lazy.compute(scheduler="synchronous"), expected)
        assert same_bits(lazy[30:50].compute(scheduler="threads"), expected[30:50])


def test_chunks_with_and_without_padding():
    some = np.concatenate([X[:25], PADDED[25:]])
    model = regressor(return_sequences=True).fit(X, SUMS)
    found = predict(model, chunked(some)).compute(scheduler="synchronous")
    assert same_bits(found, model.predict(some))
    for labels in (SIGNS, SUMS > 0, (SUMS > 0).astype(int)):
        tagger = classifier(return_sequences=True).fit(X, labels)
        for method in ("predict_proba", "decision_function"):
            found = predict(tagger, chunked(some), method=method)
            expected = getattr(tagger, method)(some)
            assert same_bits(found.compute(scheduler="synchronous"), expected)
        lazy = predict(tagger, chunked(some))  # of a dtype without NaN
        with pytest.raises(ValueError, match="padding"):
            lazy.compute(scheduler="synchronous")


def test_chunks_may_be_empty_and_of_unknown_length():
    model, lazy = classifier().fit(X, LABELS), chunked(X)
    keep = np.arange(N) % 2 == 0
    keep[25:50] = False
    some = predict(model, lazy[da.from_array(keep, chunks=25)], method="predict_proba")
    assert same_bits(some.compute(scheduler="synchronous"), model.predict_proba(X[keep]))
    assert predict(model, lazy[:0]).compute(scheduler="synchronous").shape == (0,)


def test_bags():
    model = regressor().fit(RAGGED, Y_RAGGED)
    sequences = bag.from_sequence(RAGGED, npartitions=4)
    found = predict(model, sequences).compute(scheduler="synchronous")
    assert same_bits(np.array(found), model.predict(RAGGED))
    none = sequences.filter(lambda x: len(x) > T)
    assert predict(model, none).compute(scheduler="synchronous") == []
    per_step = classifier(return_sequences=True).fit(X, SIGNS)
    found = predict(per_step, sequences, method="predict_proba")
    for a, b in zip(found, per_step.predict_proba(RAGGED), strict=True):
        assert same_bits(a, b)
    tagger = classifier(embedding_dim=3).fit(TOKENS, HAS_SEVEN)
    found = predict(tagger, bag.from_sequence(TOKENS, npartitions=2))
    assert found.compute(scheduler="synchronous") == tagger.predict(TOKENS).tolist()


def test_delayed_series():
    series = pd.DataFrame(
        {
            "unique_id": np.repeat(range(6), 40),
            "ds": np.tile(range(40), 6),
            "y": np.sin(np.arange(240)) + np.repeat(range(6), 40),
        }
    )
    model = LSTMForecaster(3, hidden_layer_sizes=3, max_iter=1, random_state=0).fit(series)
    parts = [dask.delayed(series[series["unique_id"] % 2 == k]) for k in range(2)]
    found = pd.concat(dask.compute(*predict(model, parts), scheduler="synchronous"))
    expected = model.predict(series)
    pd.testing.assert_frame_equal(
        found.sort_values(["unique_id", "ds"], ignore_index=True), expected, check_exact=True
    )


def test_a_task_runs_on_one_thread_or_as_many_as_the_model_says(monkeypatch):
    def n_threads(model, X):
        return np.full(len(X), effective_n_threads(model.n_jobs))

    monkeypatch.setattr(LSTMRegressor, "predict", n_threads)
    model = regressor().fit(X, Y)
    with threadpool_limits(limits=3, user_api="openmp"):
        allowed = _engine.max_threads()
        for n_jobs, expected in ((None, 1), (5, 5)):
            lazy = predict(model.set_params(n_jobs=n_jobs), chunked(X))
            assert set(lazy.compute(scheduler="synchronous")) == {expected}
        assert _engine.max_threads() == allowed


def test_what_is_refused():
    model, lazy = regressor().fit(X, Y), chunked(X)
    with pytest.raises(ValueError, match=r"along axes \[1\].*blocks.rechunk\({1: -1}\)"):
        predict(model, lazy.rechunk({1: 3}))
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        predict(model, lazy[:, da.from_array(np.arange(T) < 3)])
    with pytest.raises(ValueError, match=r"blocks has shape \(60,\)"):
        predict(model, lazy[:, 0, 0])
    with pytest.raises(ValueError, match="2 features"):
        predict(model, lazy[:, :, :2])
    for method in ("predict_proba", "fit", None):
        with pytest.raises(ValueError, match="LSTMRegressor has"):
            predict(model, lazy, method=method)
    for blocks in (X, RAGGED, iter([]), dask.delayed(RAGGED), [lazy]):
        with pytest.raises(TypeError, match="expected a dask array"):
            predict(model, blocks)
    for blocks in (lazy, bag.from_sequence(RAGGED), []):
        with pytest.raises(NotFittedError):
            predict(regressor(), blocks)
