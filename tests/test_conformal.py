"""Split conformal prediction: worked examples, and the guarantee."""

import numpy as np
import pytest
from scipy.stats import binom

from cylstm._conformal import distances, errors_needed, radii


def column(*errors):
    return np.array(errors, dtype=float)[:, None, None]


class TestRadii:
    def test_worked_example(self):
        errors = column(0.4, 0.1, 0.3, 0.2)
        # The ceil(5 * level)-th smallest of 4.
        assert radii(errors, [20, 40, 50, 60, 80]).ravel().tolist() == [
            0.1,
            0.2,
            0.3,
            0.3,
            0.4,
        ]
        assert radii(errors, [81]).ravel().tolist() == [np.inf]

    @pytest.mark.parametrize(("level", "n"), [(80, 4), (90, 9), (95, 19), (99, 99), (50, 1)])
    def test_as_many_errors_as_a_level_needs(self, level, n):
        assert errors_needed([10, level]) == n
        errors = np.arange(n, dtype=float)[:, None, None]
        assert radii(errors, [level]).item() == n - 1
        assert radii(errors[1:], [level]).item() == np.inf

    def test_missing_errors_do_not_count(self):
        errors = np.full((9, 2, 1), np.nan)
        errors[::2, 0, 0] = [5, 1, 4, 2, 3]
        errors[:3, 1, 0] = 1
        assert radii(errors, [80, 50])[:, :, 0].tolist() == [[5, np.inf], [3, 1]]

    def test_no_errors(self):
        assert (radii(np.empty((0, 3, 2)), [80, 10]) == np.inf).all()

    def test_of_quantiles_they_may_be_negative(self):
        assert radii(column(-3, -2, -1, -4), [80]).item() == -1

    def test_each_step_and_target_has_its_own(self):
        errors = np.random.default_rng(0).normal(size=(20, 3, 2)) ** 2
        found = radii(errors, [80])[0]
        for k, j in np.ndindex(3, 2):
            assert found[k, j] == radii(errors[:, k : k + 1, j : j + 1], [80]).item()


class TestDistances:
    def test_around_one_value_it_is_the_absolute_error(self):
        errors = np.array([-1.0, 2, 0])
        assert distances(errors, errors).tolist() == [1, 2, 0]

    def test_inside_an_interval_it_is_negative(self):
        y = np.array([0.0, 4, 5, 7])  # and the interval [2, 6]
        assert distances(y - 2, y - 6).tolist() == [2, -2, -1, 1]

    def test_missing_values_have_none(self):
        assert np.isnan(distances(np.array([np.nan]), np.array([np.nan]))).all()


@pytest.mark.parametrize(("n", "level"), [(9, 80), (19, 95), (50, 80), (33, 60)])
def test_coverage_of_exchangeable_errors(n, level):
    """Between level and level + 1 / (n + 1), over many draws of errors to calibrate on and one
    to come."""
    draws = 20_000
    errors = np.random.default_rng(n).exponential(size=(n + 1, draws, 1))
    radius = radii(errors[:n], [level])[0]
    inside = int((errors[n] <= radius).sum())
    low, high = level / 100, level / 100 + 1 / (n + 1)
    assert binom.ppf(1e-4, draws, low) <= inside <= binom.ppf(1 - 1e-4, draws, high)
