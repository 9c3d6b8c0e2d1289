"""LSTMs on the CPU with a scikit-learn face."""

from ._estimators import LSTMClassifier, LSTMRegressor

__version__ = "0.1.0"

__all__ = ["LSTMClassifier", "LSTMRegressor"]
