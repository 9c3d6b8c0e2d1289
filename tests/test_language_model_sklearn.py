"""LSTMLanguageModel as a scikit-learn estimator."""

import numpy as np
from example_texts import DOCUMENTS, IDS, model
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from cylstm import LSTMLanguageModel


def test_its_states_feed_a_classifier():
    labels = ["question" in document or "that" in document for document in DOCUMENTS]
    pipeline = make_pipeline(model(max_iter=10), LogisticRegression(C=100))
    assert pipeline.fit(DOCUMENTS, labels).score(DOCUMENTS, labels) > 0.9
    assert list(pipeline[0].get_feature_names_out()[:2]) == [
        "lstmlanguagemodel0",
        "lstmlanguagemodel1",
    ]


def test_grid_search():
    search = GridSearchCV(
        model(vocabulary=sorted(set("".join(DOCUMENTS)))),
        {"hidden_layer_sizes": [4, (8, 8)], "dropout": [0.0, 0.2]},
        cv=2,
    ).fit(DOCUMENTS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.score(DOCUMENTS) == search.score(DOCUMENTS)


def test_estimator_contract():
    estimator = model(max_iter=1, vocabulary=["a", "b"])
    copy = clone(estimator)
    assert copy.get_params() == estimator.get_params()
    before = dict(vars(estimator))
    fitted = estimator.fit("ab")
    assert fitted is estimator
    assert {name: vars(fitted)[name] for name in before} == before
    assert set(LSTMLanguageModel._parameter_constraints) == set(estimator.get_params())
    tags = estimator.__sklearn_tags__()
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array
    assert not tags.target_tags.required


def test_texts_are_never_written_to():
    ids = IDS.copy()
    ids.flags.writeable = False
    fitted = model(max_iter=1).fit(ids)
    fitted.predict_proba(ids)
    fitted.sample(2, prompt=ids[:5])
    np.testing.assert_array_equal(ids, IDS)
