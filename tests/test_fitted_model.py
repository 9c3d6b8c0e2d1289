"""A fitted model: its weights, and what changes it."""

import copy
import pickle

import numpy as np
import pytest
from example_sequences import SUMS, TOKENS, F, N, X, Y, regressor, weights_of

from cylstm._sequences import ragged_to_sequences


def test_writing_through_weights_changes_the_model():
    model = regressor().fit(X, Y)
    assert list(model.weights_) == [
        "layers.0.weight_ih",
        "layers.0.weight_hh",
        "layers.0.bias",
        "head.weight",
        "head.bias",
    ]
    assert model.weights_["layers.0.weight_ih"].shape == (24, F)
    model.weights_["head.weight"][...] = 0
    model.weights_["head.bias"][...] = 5
    offset, scale = model.y_offset_[0], model.y_scale_[0]
    assert (model.predict(X) == offset + scale * 5).all()
    again = pickle.loads(pickle.dumps(model))
    again.weights_["head.bias"][...] = 6
    assert (again.predict(X) == offset + scale * 6).all()
    assert (model.predict(X) == offset + scale * 5).all()


def fresh_predictions(model):
    """Those of a copy that has predicted nothing yet."""
    return pickle.loads(pickle.dumps(model)).predict(X)


@pytest.mark.parametrize("when", ["before", "after"])
def test_predictions_follow_weights_that_are_written_to(when):
    # Packed weights are kept from the first prediction on.
    model = regressor().fit(X, Y)
    weights = model.weights_ if when == "before" else None
    model.predict(X)
    model.predict(X)
    weights = weights or model.weights_
    for value in (5, 6):
        weights["layers.0.weight_hh"][...] += value
        weights["head.bias"][...] = value
        np.testing.assert_array_equal(model.predict(X), fresh_predictions(model))


def test_a_look_at_the_model_keeps_its_packed_weights():
    model = regressor().fit(X, Y)
    model._repr_html_()
    assert hasattr(model, "weights_")
    assert "head.bias" in model.weights_
    assert repr(model.weights_).count("(") == len(model.weights_)
    assert not model._network._exposed
    assert list(model.weights_.values())[-1].shape == (1,)
    assert model._network._exposed


def test_predictions_follow_training():
    model = regressor(early_stopping=False).fit(X, Y)
    for target in (Y, -Y, np.full(N, np.inf)):
        before = model.predict(X)
        try:
            model.partial_fit(X, target)
            assert (model.predict(X) != before).any()
        except ValueError:  # the last one, which changes nothing
            np.testing.assert_array_equal(model.predict(X), before)
        np.testing.assert_array_equal(model.predict(X), fresh_predictions(model))


def test_validation_and_the_best_weights_are_those_of_the_moment():
    model = regressor(max_iter=30, early_stopping=True, learning_rate_init=0.1)
    model.fit(X, Y, X_val=X, y_val=Y)
    assert model.score(X, Y) == model.best_validation_score_
    assert len(set(model.validation_scores_)) > 1
    np.testing.assert_array_equal(model.predict(X), fresh_predictions(model))


def test_packed_weights_are_kept_until_the_parameters_change():
    network = regressor().fit(X, Y)._network
    sequences = ragged_to_sequences(list(X), network.dtype)
    before, _ = network.forward(sequences, 1)
    network.parameters[:] = 0  # unseen
    np.testing.assert_array_equal(network.forward(sequences, 1)[0], before)
    network.changed()
    assert (network.forward(sequences, 1)[0] == 0).all()


def test_views_of_the_weights_follow_a_training_that_resumes():
    model = regressor(warm_start=True).partial_fit(X, Y)
    views = dict(model.weights_)
    before = {name: view.copy() for name, view in views.items()}
    for resume in (model.partial_fit, model.fit):
        resume(X, Y)
        for name, view in model.weights_.items():
            np.testing.assert_array_equal(views[name], view)
            assert (view != before[name]).any()
    after = {name: view.copy() for name, view in views.items()}
    model.set_params(warm_start=False).fit(X, Y)  # makes a new network
    for name, view in views.items():
        np.testing.assert_array_equal(view, after[name])


@pytest.mark.parametrize(
    "twin",
    [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))],
    ids=["copy", "deepcopy", "pickle"],
)
@pytest.mark.parametrize("n_calls", [1, 2])
def test_a_copy_does_not_share_what_training_changes(twin, n_calls):
    model, expected = regressor(batch_size=16), regressor(batch_size=16)
    for _ in range(n_calls):
        model.partial_fit(X, Y)
        expected.partial_fit(X, Y)
    other = twin(model)
    before = pickle.dumps(other)
    model.partial_fit(X, -Y)
    assert pickle.dumps(other) == before
    # Each continues as if it were alone.
    other.partial_fit(X, Y)
    expected.partial_fit(X, Y)
    assert weights_of(other) == weights_of(expected)
    assert other.loss_curve_ == expected.loss_curve_
    before = pickle.dumps(model)
    other.partial_fit(X, Y)
    assert pickle.dumps(model) == before


def test_an_estimator_that_is_not_fitted_can_be_copied():
    model = copy.copy(regressor(alpha=0.5))
    assert model.get_params() == regressor(alpha=0.5).get_params()
    assert not hasattr(model, "weights_")


def test_weights_cannot_be_replaced_by_mistake():
    model = regressor().fit(X, Y)
    with pytest.raises(TypeError):
        model.weights_["head.bias"] = np.zeros(1)


def test_a_new_dtype_takes_effect_at_the_next_fit():
    model = regressor().fit(X, Y)
    expected = model.predict(X)
    np.testing.assert_array_equal(model.set_params(dtype="float64").predict(X), expected)
    assert model.fit(X, Y).weights_["head.bias"].dtype == np.float64


@pytest.mark.parametrize(
    ("fitted", "changed"),
    [
        ({"loss": "quantile", "quantile": [0.1, 0.9]}, {"quantile": 0.5}),
        ({}, {"loss": "quantile", "quantile": [0.4, 0.6]}),
        ({"return_sequences": True}, {"return_sequences": False}),
        ({"embedding_dim": 3}, {"embedding_dim": None}),
        ({"n_step_features": 3}, {"n_step_features": 1}),
        ({"bidirectional": True}, {"bidirectional": False, "cell": "coupled"}),
    ],
    ids=str,
)
def test_new_parameters_leave_a_fitted_model_unchanged(fitted, changed):
    data = TOKENS if "embedding_dim" in fitted else X
    data = X.reshape(N, -1) if "n_step_features" in fitted else data
    y = SUMS if "return_sequences" in fitted else SUMS[:, -1]
    model = regressor(**fitted).fit(data, y)
    expected, score = model.predict(data), model.score(data, y)
    model.set_params(**changed)
    np.testing.assert_array_equal(model.predict(data), expected)
    assert model.score(data, y) == score
