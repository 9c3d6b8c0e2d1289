"""Fitted models of every kind, small ones, and what each does with its data."""

import numpy as np
import pandas as pd
from example_sequences import LABELS, RAGGED, SIGNS, TOKENS, X, Y, classifier, regressor
from example_series import FUTURE, INDICES, PANEL, SERIES, dates, forecaster, long
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from cylstm import LSTMLanguageModel
from cylstm.preprocessing import SequenceImputer, StepwiseTransformer

TEXT = "the cat sat on the mat. " * 4
COLUMNS = X.reshape(len(X), -1)
FRAME = pd.DataFrame(COLUMNS, columns=[f"x{k}" for k in range(COLUMNS.shape[1])])
GAPS = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)
LONG = long()[["unique_id", "ds", "y"]]
MONTHS = pd.Series(PANEL[1], dates(50, freq="MS"), name="sales")
YEARS = np.array(["2024", "2025"], "M8[Y]")
TRANSFORMERS = [
    StandardScaler(),
    MinMaxScaler(),
    MaxAbsScaler(),
    RobustScaler(),
    Normalizer(),
    QuantileTransformer(n_quantiles=10),
    PowerTransformer(),
    PCA(2),
    SimpleImputer(add_indicator=True),
    make_pipeline(SimpleImputer(), "passthrough", PCA(1)),
]


def text_model(**settings):
    return LSTMLanguageModel(5, max_iter=2, random_state=0, **settings)


def models():
    """Name -> (fitted model, data it predicts or transforms)."""
    found = {
        "regressor": (regressor().fit(X, Y), X),
        "regressor of quantiles": (
            regressor(loss="quantile", quantile=np.array([0.2, 0.8])).fit(X, X[:, 0, :2]),
            X,
        ),
        "regressor in float64": (regressor(dtype=np.float64, solver="sgd").fit(X, Y), X),
        "regressor of a frame": (
            regressor(n_step_features=3, hidden_layer_sizes=[4, 3]).fit(FRAME, Y),
            FRAME,
        ),
        "int8": (regressor().fit(X, Y).quantize(), X),
        "classifier": (classifier(class_weight={"low": 2.0}).fit(X, LABELS), X),
        "two classes": (classifier(solver="adamw", alpha=0.1).fit(RAGGED, Y > 0), RAGGED),
        "classes of strings": (
            classifier(cell="peephole", bidirectional=True).fit(X, LABELS.astype(object)),
            X,
        ),
        "classes of times": (
            classifier(early_stopping=True).fit(X, YEARS[1 * (Y > 0)]),
            X,
        ),
        "multilabel": (classifier().fit(X, 1 * (X[:, 0] > 0)), X),
        "tagger": (
            classifier(loss="crf", return_sequences=True, cell="gru").fit(X, SIGNS),
            X,
        ),
        "tokens": (
            classifier(embedding_dim=4, pooling="attention", layer_norm=True).fit(
                TOKENS, LABELS
            ),
            TOKENS,
        ),
        "characters": (text_model().fit(TEXT), TEXT),
        "words": (text_model(min_count=2).fit([TEXT.split(), ["cat", "dog"]]), [["cat"]]),
        "integers": (text_model(vocabulary=[*range(9)]).fit(np.arange(40) % 7), np.arange(5)),
        "imputer": (SequenceImputer(add_elapsed=True).fit(GAPS), GAPS),
        "imputer of a frame": (
            SequenceImputer().set_output(transform="pandas").fit(FRAME),
            FRAME,
        ),
        "pipeline": (
            make_pipeline(StepwiseTransformer(StandardScaler()), classifier()).fit(X, LABELS),
            X,
        ),
        "pipeline of columns": (
            make_pipeline(StandardScaler(), regressor(n_step_features=3)).fit(FRAME, Y),
            FRAME,
        ),
        "series": (forecaster(level=[80]).fit(PANEL[0]), None),
        "list of series": (forecaster(quantiles=(0.1, 0.9)).fit(PANEL), None),
        "known and past columns": (forecaster(**INDICES).fit(SERIES), FUTURE),
        "panel": (forecaster(calendar="hour", solver="sgd").fit(LONG), None),
        "panel with a time zone": (
            forecaster(linear=False).fit(
                LONG.assign(ds=LONG.ds.dt.tz_localize("Europe/Berlin"))
            ),
            None,
        ),
        "Series of months": (
            forecaster().fit(MONTHS.to_period()),
            None,
        ),
        "table": (forecaster().fit(pd.DataFrame({"a": PANEL[0], 7: PANEL[0] ** 2})), None),
    }
    for transformer in TRANSFORMERS:
        name = f"stepwise {type(transformer).__name__}"
        given = GAPS if "Imputer" in str(transformer) else X
        found[name] = StepwiseTransformer(transformer).fit(given), X
    return found


def used(model, data):
    """What a model makes of data."""
    if hasattr(model, "horizon"):
        return model.predict(future=data)
    if isinstance(model, LSTMLanguageModel):
        return model.predict_proba(data), model.sample(20, random_state=0), model.vocabulary_
    outputs = []
    for method in ("predict", "predict_proba", "decision_function", "transform"):
        if hasattr(model, method):
            outputs.append(getattr(model, method)(data))
    return outputs


def assert_same(a, b):
    """The same bits, labels and types."""
    assert type(a) is type(b)
    if isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b, check_exact=True)
    elif isinstance(a, pd.Series):
        pd.testing.assert_series_equal(a, b, check_exact=True)
    elif isinstance(a, np.ndarray) and a.dtype != object:
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tobytes() == b.tobytes()
    else:
        np.testing.assert_array_equal(a, b)


def numbers_of(output):
    """The numbers of all that `used` gave, array by array."""
    if isinstance(output, dict):
        output = list(output.values())
    if (
        isinstance(output, (list, tuple))
        and output
        and isinstance(output[0], (str, float, int))
    ):
        output = np.array(output)
    if isinstance(output, (list, tuple)):
        return [array for part in output for array in numbers_of(part)]
    if isinstance(output, pd.DataFrame):
        output = output.select_dtypes("number")
    array = np.asarray(output)
    return [array] if array.dtype.kind in "biuf" else []
