"""scikit-learn's own checks of an estimator's behaviour."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from cylstm import LSTMClassifier, LSTMRegressor

# All sequences in one batch, in order: only then can an integer weight equal that many
# copies of a row, which scikit-learn checks.
SETTINGS = {
    "hidden_layer_sizes": 8,
    "learning_rate_init": 0.03,
    "batch_size": 10_000,
    "shuffle": False,
    "max_iter": 50,
    "random_state": 0,
}


@parametrize_with_checks(
    [
        LSTMRegressor(dtype="float64", **SETTINGS),
        LSTMClassifier(dtype="float64", **SETTINGS),
    ]
)
def test_contract_in_float64(estimator, check):
    check(estimator)


# Compared to 1e-7, which is less than one rounding error in float32.
ROUNDING = {
    "check_sample_weight_equivalence_on_dense_data": "two trainings, summed in other orders",
}


@parametrize_with_checks(
    [LSTMRegressor(**SETTINGS), LSTMClassifier(**SETTINGS)],
    expected_failed_checks=lambda estimator: ROUNDING,
)
def test_contract_in_float32(estimator, check):
    check(estimator)
