"""LSTMs on the CPU with a scikit-learn face."""

from . import _load  # noqa: F401  first of all: it loads the engine
from ._classifier import LSTMClassifier
from ._forecaster import LSTMForecaster
from ._language_model import LSTMLanguageModel
from ._model_files import load, save
from ._origins import TimeSeriesOrigins
from ._regressor import LSTMRegressor
from ._schema import PUBLIC as _PUBLIC

__version__ = "0.1.0"

# What skops.io.load may be told to trust: there is nothing else of cylstm in its files.
SKOPS_TRUSTED = [f"{module}.{name}" for name, module in _PUBLIC.items()]
SKOPS_TRUSTED += [f"{TimeSeriesOrigins.__module__}.{TimeSeriesOrigins.__name__}"]

__all__ = [
    "SKOPS_TRUSTED",
    "LSTMClassifier",
    "LSTMForecaster",
    "LSTMLanguageModel",
    "LSTMRegressor",
    "TimeSeriesOrigins",
    "load",
    "save",
]
