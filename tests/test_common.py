"""scikit-learn's own checks of an estimator's behaviour, with the default parameters."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from cylstm import LSTMClassifier, LSTMRegressor

# Some checks fit on features around 100.
# Some set n_iter_no_change.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The features of X are large"),
    pytest.mark.filterwarnings("ignore:Training ended after epoch"),
]


# Two trainings that sum the same numbers in different orders, compared to 1e-7: 50 epochs
# make more of the first rounding that differs. test_sample_weights compares three epochs.
ROUNDING = {
    "check_sample_weight_equivalence_on_dense_data": "two trainings, summed in other orders",
}


@parametrize_with_checks(
    [
        LSTMRegressor(),
        LSTMClassifier(),
        LSTMRegressor(dtype="float64"),
        LSTMClassifier(dtype="float64"),
    ],
    expected_failed_checks=lambda estimator: ROUNDING,
)
def test_contract(estimator, check):
    check(estimator)
