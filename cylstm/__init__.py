"""LSTMs on the CPU with a scikit-learn face."""

from . import _load  # noqa: F401  first of all: it loads the engine
from ._classifier import LSTMClassifier
from ._language_model import LSTMLanguageModel
from ._origins import TimeSeriesOrigins
from ._regressor import LSTMRegressor

__version__ = "0.1.0"

__all__ = ["LSTMClassifier", "LSTMLanguageModel", "LSTMRegressor", "TimeSeriesOrigins"]
