"""Pickles of other versions warn, and nothing else does."""

import copy
import io
import pickle
import warnings

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.preprocessing import StandardScaler

import cylstm
from cylstm import LSTMClassifier, LSTMForecaster, LSTMLanguageModel, LSTMRegressor
from cylstm.preprocessing import SequenceImputer, StepwiseTransformer

X = np.random.default_rng(0).normal(size=(12, 4, 2))
y = np.arange(12) % 3


def fitted():
    return [
        LSTMRegressor(3, max_iter=1, random_state=0).fit(X, y),
        LSTMClassifier(3, max_iter=1, random_state=0).fit(X, y),
        LSTMLanguageModel(3, max_iter=1, random_state=0).fit("abcab"),
        LSTMForecaster(2, max_iter=1, random_state=0).fit(np.sin(np.arange(60.0))),
        StepwiseTransformer(StandardScaler()).fit(X),
        SequenceImputer().fit(X),
        LSTMRegressor(),
    ]


MODELS = fitted()
NAMES = [
    f"{type(m).__name__}, {'' if vars(m).keys() - m.get_params() else 'not '}fitted"
    for m in MODELS
]


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_a_pickle_of_another_version_warns_once_and_works(model, monkeypatch):
    with monkeypatch.context() as other:
        other.setattr(cylstm, "__version__", "0.0.7")
        data = pickle.dumps(model)
    with pytest.warns(InconsistentVersionWarning) as caught:
        loaded = pickle.loads(data)
    assert len(caught) == 1
    warning = caught[0].message
    assert str(warning) == (
        f"This {type(model).__name__} was pickled by cylstm 0.0.7, and this is cylstm "
        f"{cylstm.__version__}: it may fail or give other results. Fit it again, or unpickle "
        "it with the version that pickled it."
    )
    assert warning.estimator_name == type(model).__name__
    assert warning.original_sklearn_version == "0.0.7"
    assert warning.current_sklearn_version == cylstm.__version__
    assert caught[0].filename == __file__
    assert vars(loaded).keys() == vars(model).keys() - {"_memory"}
    if isinstance(model, LSTMClassifier):
        np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_this_version_does_not_warn(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert vars(pickle.loads(pickle.dumps(model))).keys() == vars(model).keys()
        for other in (copy.copy(model), copy.deepcopy(model), clone(model)):
            assert "_cylstm_version" not in vars(other)
        file = io.BytesIO()
        joblib.dump(model, file)
        file.seek(0)
        joblib.load(file)


def test_a_pickle_that_has_no_version_warns():
    model = LSTMRegressor()
    state = model.__getstate__()
    assert state.pop("_cylstm_version") == cylstm.__version__
    with pytest.warns(InconsistentVersionWarning, match="by cylstm of unknown version, and"):
        object.__new__(LSTMRegressor).__setstate__(state)
    assert state.keys() == vars(model).keys()


def test_copies_and_streams_of_a_model_do_not_warn(monkeypatch):
    model = MODELS[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "_cylstm_version" not in vars(model.quantize())
        stream = copy.copy(model.stream())
        np.testing.assert_array_equal(stream.step(X[0, 0]), model.predict(X[:1, :1]))
