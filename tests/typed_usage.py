"""Calls that mypy must accept, or, where they ignore an error, must not; mypy reads this
file, no test runs it."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from cylstm import (
    LSTMClassifier,
    LSTMForecaster,
    LSTMLanguageModel,
    LSTMRegressor,
    TimeSeriesOrigins,
)
from cylstm.inspection import permutation_importance
from cylstm.metrics import coverage, mase
from cylstm.plotting import AttentionDisplay, GateDisplay, LossCurveDisplay
from cylstm.preprocessing import (
    SequenceImputer,
    StepwiseTransformer,
    make_windows,
    unpad_sequences,
)


def usage() -> None:
    X: npt.NDArray[np.float64] = np.zeros((4, 3, 2))
    ragged: list[npt.NDArray[np.float64]] = [np.zeros((2, 1)), np.zeros((3, 1))]

    regressor: LSTMRegressor = LSTMRegressor(8, dtype=np.float32).fit(X, [1.0, 2.0, 3.0, 4.0])
    score: float = regressor.score(X, np.zeros(4), sample_weight=[1, 1, 2, 2])
    shape = regressor.fit(ragged, np.zeros(2), X_val=ragged, y_val=[0.0]).predict(ragged).shape
    classifier: LSTMClassifier = LSTMClassifier((8, 8), class_weight={"a": 2.0})
    classifier.partial_fit(X, list("abab"), classes=["a", "b"]).predict_proba(X).argmax(axis=1)
    gates = classifier.gate_values(X)["layers.0.i"]
    bias: np.ndarray = regressor.weights_["head.bias"]
    classifier.quantize("int8").predict_proba(X).argmax(axis=1)
    regressor.stream(2, weights="int8").step(X[:, 0])

    model: LSTMLanguageModel = LSTMLanguageModel(vocabulary="ab").fit("abab", X_val=["ab"])
    model.fit([["two", "words"]]).fit(np.array([1, 2, 3]))
    perplexity: float = model.perplexity("ab")
    tokens: Iterator[str] = model.iter_sample(5, prompt="a", random_state=0)

    forecaster: LSTMForecaster = LSTMForecaster(12, level=(80, 95), known=["promo"])
    forecast = forecaster.fit(ragged).partial_fit(X[0]).predict(horizon=24, future=X[0])[0]
    forecaster.predict(X[0], level=80)
    table = forecaster.evaluate(ragged, n_windows=2)["mase"]
    forecaster.backtest(ragged, step=1, refit=True)
    mase_of_series: float = -forecaster.score(ragged)
    splits = TimeSeriesOrigins(2, horizon=12).split(X[0])

    windows, targets = make_windows(np.arange(9), window=3, targets=[0])
    *_, last, X_future, _ = make_windows(
        [X[0], X[1]], 2, targets=0, known=[1], subtract_last=True, return_future=True
    )
    error = mase(targets, targets, ragged, season=2) + coverage(X[0], X[0], X[0], by_step=True)
    imputer: SequenceImputer = SequenceImputer("mean", add_indicator=True).fit(ragged)
    names = imputer.get_feature_names_out(["a"]).tolist()
    scaled = StepwiseTransformer(None).fit(windows, targets).transform(windows)
    regressor.predict(unpad_sequences(X, [3, 2, 3, 1]))
    LossCurveDisplay.from_estimator(regressor).plot()
    GateDisplay.from_estimator(regressor, X[0], reverse=True)
    AttentionDisplay.from_estimator(regressor, X[:3])
    permutation_importance(regressor, X, X[:, 0, 0], by="step")

    LSTMRegressor(hidden_layer_sizes="8")  # type: ignore[arg-type]
    LSTMClassifier(dropuot=0.5)  # type: ignore[call-arg]
    regressor.fit(X)  # type: ignore[call-arg]
    classifier.partial_fit(X, list("abab"), weights=None)  # type: ignore[call-arg]
    model.sample("5")  # type: ignore[arg-type]
    LSTMForecaster(horizon="12")  # type: ignore[arg-type]
    forecaster.predict(ragged, 12)  # type: ignore[call-arg]
    forecaster.backtest(ragged, refit="yes")  # type: ignore[arg-type]
    SequenceImputer(add_indicator="all")  # type: ignore[arg-type]
    make_windows(X, window="3")  # type: ignore[arg-type]
    mase(X, X, X, season="day")  # type: ignore[arg-type]
    unpad_sequences(X, None)  # type: ignore[arg-type]
