"""scikit-learn's own checks of an estimator's behaviour, with the default parameters."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from cylstm import LSTMClassifier, LSTMRegressor

# Some checks fit on features around 100.
pytestmark = pytest.mark.filterwarnings("ignore:The features of X are far from unit variance")


@parametrize_with_checks([LSTMRegressor(dtype="float64"), LSTMClassifier(dtype="float64")])
def test_contract_in_float64(estimator, check):
    check(estimator)


# Compared to 1e-7, which is less than one rounding error in float32.
ROUNDING = {
    "check_sample_weight_equivalence_on_dense_data": "two trainings, summed in other orders",
}


@parametrize_with_checks(
    [LSTMRegressor(), LSTMClassifier()],
    expected_failed_checks=lambda estimator: ROUNDING,
)
def test_contract_in_float32(estimator, check):
    check(estimator)
