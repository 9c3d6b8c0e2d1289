"""LSTMs on the CPU with a scikit-learn face."""

try:
    import cylstm._engine  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "cylstm._engine":
        raise
    raise ImportError(
        "cylstm's compiled modules are not here. In a source tree, build them with "
        "`pip install -e .`, or leave the directory to import an installed cylstm."
    ) from error

from ._estimators import LSTMClassifier, LSTMRegressor

__version__ = "0.1.0"

__all__ = ["LSTMClassifier", "LSTMRegressor"]
