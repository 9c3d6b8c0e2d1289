"""Which version of cylstm a pickle is of."""

from __future__ import annotations

import warnings

from sklearn.exceptions import InconsistentVersionWarning

KEY = "_cylstm_version"


def current_version() -> str:
    from . import __version__  # which stands there once all modules are imported

    return __version__


class OtherVersionWarning(InconsistentVersionWarning):
    """An object was pickled by another version of cylstm: both versions are in the attributes
    that scikit-learn's warning has for its own."""

    def __str__(self):
        return (
            f"This {self.estimator_name} was pickled by cylstm "
            f"{self.original_sklearn_version}, and this is cylstm "
            f"{self.current_sklearn_version}: it may fail or give other results. Fit it "
            "again, or unpickle it with the version that pickled it."
        )


class VersionMixin:
    """Pickles have cylstm's version, of which another one warns."""

    def __getstate__(self):
        return {**super().__getstate__(), KEY: current_version()}

    def __setstate__(self, state):
        state = dict(state)
        original, current = state.pop(KEY, "of unknown version"), current_version()
        if original != current:
            warning = OtherVersionWarning(
                estimator_name=type(self).__name__,
                current_sklearn_version=current,
                original_sklearn_version=original,
            )
            warnings.warn(warning, stacklevel=2)
        super().__setstate__(state)
