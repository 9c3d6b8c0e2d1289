"""Inside scikit-learn's pipelines, searches and meta-estimators."""

import re

import numpy as np
import pytest
from example_sequences import LABELS, RAGGED, Y_RAGGED, N, X, Y, classifier, regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cylstm import LSTMClassifier, LSTMRegressor
from cylstm.preprocessing import StepwiseTransformer


@pytest.mark.parametrize("data", [X, RAGGED], ids=["3-D", "ragged"])
def test_grid_search_over_a_pipeline(data):
    pipeline = make_pipeline(StepwiseTransformer(StandardScaler()), classifier())
    search = GridSearchCV(
        pipeline, {"lstmclassifier__hidden_layer_sizes": [2, (3, 2)]}, cv=3, n_jobs=2
    ).fit(data, LABELS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(data).shape == (N,)


def test_other_meta_estimators():
    assert cross_val_score(regressor(), RAGGED, Y_RAGGED, cv=3).shape == (3,)
    scaled = TransformedTargetRegressor(regressor(), transformer=StandardScaler())
    assert scaled.fit(X, 100 * Y).predict(X).shape == (N,)
    columns = X[:, :, 0]
    assert BaggingRegressor(regressor(), 2).fit(columns, Y).predict(columns).shape == (N,)
    many = np.column_stack([Y, Y**2])
    assert MultiOutputRegressor(regressor()).fit(X, many).predict(X).shape == (N, 2)
    labels = np.column_stack([LABELS, LABELS])
    assert MultiOutputClassifier(classifier()).fit(X, labels).predict(X).shape == (N, 2)


def test_hidden_states_feed_a_pipeline():
    pipeline = make_pipeline(regressor(), StandardScaler()).fit(X, Y)
    assert pipeline.transform(X).shape == (N, 6)


def test_every_parameter_is_documented():
    for model in (LSTMRegressor, LSTMClassifier):
        heads = re.findall(r"^    ([\w, ]+) : ", model.__doc__, re.MULTILINE)
        documented = {name for head in heads for name in head.split(", ")}
        assert set(model().get_params()) <= documented
        for name in ("fit", "partial_fit", "predict", "score", "transform"):
            assert "<<" not in getattr(model, name).__doc__
        assert "<<" not in model.__doc__
        assert "class labels" in model.fit.__doc__  # one docstring serves both
