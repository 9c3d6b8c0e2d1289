"""LSTMs on the CPU with a scikit-learn face."""

from . import _load  # noqa: F401  first of all: it loads the engine
from ._classifier import LSTMClassifier
from ._forecaster import LSTMForecaster
from ._language_model import LSTMLanguageModel
from ._origins import TimeSeriesOrigins
from ._regressor import LSTMRegressor

__version__ = "0.1.0"

__all__ = [
    "LSTMClassifier",
    "LSTMForecaster",
    "LSTMLanguageModel",
    "LSTMRegressor",
    "TimeSeriesOrigins",
]
