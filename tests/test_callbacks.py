"""scikit-learn's callbacks, on the estimators themselves and inside meta-estimators."""

import pickle

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cylstm import LSTMClassifier, LSTMForecaster, LSTMLanguageModel, LSTMRegressor
from cylstm.preprocessing import SequenceImputer, StepwiseTransformer

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 5, 2))
Y = X[:, :, 0].sum(axis=1)


class Recorder:
    """Records its calls; can stop training after some epochs."""

    def __init__(self, stop_after=None, predict=lambda fitted: fitted.predict(X)):
        self.predict = predict
        self.calls = []
        self.predictions = []
        self.stop_after = stop_after

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.calls.append(f"end {context.task_name}")
        self.predictions.append(self.predict(fitted_estimator))
        return context.task_id + 1 == self.stop_after


def test_hooks_of_every_epoch():
    recorder = Recorder()
    settings = {"learning_rate": "constant", "random_state": 0}
    model = LSTMRegressor(4, max_iter=3, **settings).set_callbacks(recorder)
    model.fit(X, Y)
    epochs = ["begin epoch", "end epoch"] * 3
    assert recorder.calls == ["setup", "begin fit", *epochs, "end fit", "teardown"]
    for k, predicted in enumerate(recorder.predictions[:3]):
        same = LSTMRegressor(4, max_iter=k + 1, **settings).fit(X, Y)
        np.testing.assert_array_equal(predicted, same.predict(X))


def test_hooks_of_a_language_model():
    text = "to be or not to be " * 20
    recorder = Recorder(2, lambda fitted: (fitted.perplexity(text), fitted.sample(9, "to ")))
    settings = {"learning_rate": "constant", "random_state": 0}
    model = LSTMLanguageModel(8, max_iter=9, **settings).set_callbacks(recorder)
    assert model.fit(text).n_iter_ == 2
    assert recorder.calls.count("end epoch") == 2
    for k, (perplexity, written) in enumerate(recorder.predictions[:2]):
        same = LSTMLanguageModel(8, max_iter=k + 1, **settings).fit(text)
        assert perplexity == same.perplexity(text)
        assert len(written) == 9


def test_hooks_of_a_forecaster():
    y = np.sin(np.arange(80) / 2)
    settings = {"context": 8, "learning_rate": "constant", "random_state": 0}
    for level in (None, 80):
        recorder = Recorder(2, lambda fitted: (fitted.predict(level=()), fitted.predict()))
        model = LSTMForecaster(3, max_iter=9, level=level, **settings).set_callbacks(recorder)
        assert model.fit(y).n_iter_ == 2
        for k, (forecast, intervals) in enumerate(recorder.predictions[:2]):
            same = LSTMForecaster(3, max_iter=k + 1, level=level, **settings).fit(y)
            np.testing.assert_array_equal(forecast, same.predict(level=()))
            if level:  # calibrated once training has ended
                assert (intervals[:, 1:] == [-np.inf, np.inf]).all()
        assert np.isfinite(model.predict()).all()


def test_a_callback_can_stop_training():
    model = LSTMRegressor(4, max_iter=10).set_callbacks(Recorder(stop_after=2))
    assert model.fit(X, Y).n_iter_ == 2


def test_callbacks_are_torn_down_and_the_model_kept_after_an_error():
    recorder = Recorder()
    model = LSTMRegressor(4, max_iter=2).fit(X, Y)
    expected = model.predict(X)
    model.set_callbacks(recorder)

    def fail(*args, **kwargs):
        raise RuntimeError("from a callback")

    recorder.on_fit_task_end = fail
    with pytest.raises(RuntimeError, match="from a callback"):
        model.fit(X, Y)
    assert recorder.calls[-1] == "teardown"
    np.testing.assert_array_equal(model.predict(X), expected)


@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 2, 60)])
def test_scoring_monitor(weights):
    monitor = callback.ScoringMonitor(scoring="r2")
    model = LSTMRegressor(4, max_iter=3).set_callbacks(monitor)
    model.fit(X, Y, sample_weight=weights)
    logged = monitor.get_logs().data
    assert [row["task_name"] for row in logged] == ["fit", "epoch", "epoch", "epoch"]
    assert logged[-1]["r2"] == pytest.approx(model.score(X, Y, weights), abs=1e-6)


def pipeline():
    return make_pipeline(
        StepwiseTransformer(StandardScaler()),
        SequenceImputer(),
        LSTMClassifier(2, max_iter=2),
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: LSTMClassifier(2, max_iter=2),
        pipeline,
        lambda: GridSearchCV(pipeline(), {"lstmclassifier__alpha": [0, 1e-3]}, cv=2, n_jobs=2),
    ],
    ids=["alone", "in a pipeline", "in a grid search"],
)
def test_progress_bar_and_scoring_monitor(make, capsys):
    pytest.importorskip("rich")
    monitor = callback.ScoringMonitor(scoring="accuracy")
    model = make().set_callbacks(callback.ProgressBar())
    last = model
    while not isinstance(last, LSTMClassifier):
        last = last.estimator if isinstance(last, GridSearchCV) else last[-1]
    last.set_callbacks(*getattr(last, "_skl_callbacks", []), monitor)
    model.fit(X, Y > 0)
    assert type(model).__name__ in capsys.readouterr().out
    epochs = [
        row
        for log in monitor.get_logs("all")
        for row in log.data
        if row["task_name"] == "epoch"
    ]
    # One fit, or two settings in two folds and one on all.
    assert len(epochs) == 2 * (5 if isinstance(model, GridSearchCV) else 1)
    assert all(0 <= row["accuracy"] <= 1 for row in epochs)


@pytest.mark.parametrize("resume", [False, True])
def test_the_model_that_a_callback_gets_stays_as_it_is(resume):
    def model():
        settings = {"learning_rate": "constant", "random_state": 0, "batch_size": 16}
        return LSTMRegressor(4, max_iter=1, warm_start=True, **settings)

    recorder = Recorder(predict=lambda fitted: fitted)
    trained = model()
    if resume:
        trained.fit(X, Y)
    trained.set_params(max_iter=3).set_callbacks(recorder).fit(X, Y)
    for k, fitted in enumerate(recorder.predictions[:3]):
        n_epochs = k + 1 + resume
        same = model().set_params(max_iter=n_epochs).fit(X, Y)
        assert fitted.n_iter_ == n_epochs
        np.testing.assert_array_equal(fitted.predict(X), same.predict(X))
        fitted.set_callbacks().partial_fit(X, Y)  # continues where it was taken
        np.testing.assert_array_equal(fitted.predict(X), same.partial_fit(X, Y).predict(X))


def test_a_teardown_that_fails_undoes_the_training():
    recorder = Recorder()
    model = LSTMRegressor(4).partial_fit(X, Y).set_callbacks(recorder)
    before = pickle.dumps(model.weights_["head.bias"]), model.loss_curve_

    def fail(*args, **kwargs):
        raise RuntimeError("from a teardown")

    recorder.teardown = fail
    with pytest.raises(RuntimeError, match="from a teardown"):
        model.partial_fit(X, Y)
    assert recorder.calls[-1] == "end fit"
    assert (pickle.dumps(model.weights_["head.bias"]), model.loss_curve_) == before
