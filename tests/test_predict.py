"""What predictions, probabilities and hidden states are, and the form they come in."""

import numpy as np
import pandas as pd
import pytest
from example_sequences import LABELS, N, X, Y, assert_rolls_back, classifier, regressor
from scipy.special import expit, logit
from sklearn.exceptions import NotFittedError


def test_regression_keeps_the_form_of_y():
    assert regressor().fit(X, Y).predict(X).shape == (N,)
    assert regressor().fit(X, Y[:, None]).predict(X).shape == (N, 1)
    two = regressor().fit(X, np.column_stack([Y, -Y]))
    assert two.predict(X).shape == (N, 2)
    assert two.n_outputs_ == 2


def test_two_classes_have_one_logistic_output():
    y = Y > 0
    model = classifier().fit(X, y)
    assert (model.n_outputs_, model.out_activation_) == (1, "logistic")
    scores = model.decision_function(X)
    assert scores.shape == (N,)
    p = model.predict_proba(X)
    np.testing.assert_allclose(p[:, 1], expit(scores), rtol=1e-14)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(p), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), scores > 0)


def test_several_classes_have_a_softmax():
    model = classifier(max_iter=30, learning_rate_init=0.01).fit(X, LABELS)
    assert (model.n_outputs_, model.out_activation_) == (3, "softmax")
    assert model.classes_.tolist() == ["high", "low", "middle"]
    scores = model.decision_function(X)
    assert scores.shape == (N, 3)
    p = model.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(
        logit(p[:, 0]), scores[:, 0] - np.log(np.exp(scores[:, 1:]).sum(axis=1))
    )
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(p), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), model.classes_[p.argmax(axis=1)])
    assert model.score(X, LABELS) > 0.6


def test_log_probabilities_stay_exact_where_probabilities_vanish():
    model = classifier().fit(X, Y > 0)
    model.weights_["head.bias"][...] = 1000
    log_p = model.predict_log_proba(X)
    assert (log_p[:, 0] < -900).all()
    assert np.isfinite(log_p).all()


def test_transform_gives_hidden_states():
    model = regressor().fit(X, Y)
    features = model.transform(X)
    assert features.shape == (N, 6)
    head = model.weights_["head.weight"], model.weights_["head.bias"]
    scores = features @ head[0].T + head[1]
    np.testing.assert_allclose(
        model.y_offset_ + model.y_scale_ * scores,
        model.predict(X)[:, None],
        rtol=0,
        atol=1e-6,
    )
    assert model.get_feature_names_out().tolist() == [f"lstmregressor{k}" for k in range(6)]
    frame = model.set_output(transform="pandas").transform(X)
    assert isinstance(frame, pd.DataFrame)
    np.testing.assert_array_equal(frame.to_numpy(), features)


def test_wrong_features_at_predict():
    model = regressor().fit(X, Y)
    message = "X has 2 features at every step, but LSTMRegressor was fitted with 3"
    assert_rolls_back(model, lambda: model.predict(X[:, :, :2]), message)
    assert_rolls_back(model, lambda: model.predict([x[:, :2] for x in X]), message)
    with pytest.raises(ValueError, match="X has 3 features at every step, but .* with 1"):
        regressor().fit(X[:, :, 0], Y).predict(X)
    with pytest.raises(ValueError, match=r"X has shape \(60, 7, 3, 1\); expected \(n_sampl"):
        model.predict(X[..., None])


@pytest.mark.parametrize(
    "method",
    ["predict", "predict_proba", "predict_log_proba", "decision_function", "transform"],
)
def test_unfitted(method):
    with pytest.raises(NotFittedError):
        getattr(classifier(), method)(X)
    with pytest.raises(NotFittedError):
        _ = classifier().weights_
