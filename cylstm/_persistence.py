"""What estimators leave in pickles, plain values and the version of cylstm, and in files."""

from __future__ import annotations

import os
import warnings

from sklearn.exceptions import InconsistentVersionWarning

from ._state import plain, rebuilt

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


class PersistentMixin:
    """Pickles, in which attributes are plain values, have cylstm's version, of which another
    one warns; files have no pickle."""

    def save(self, path: str | os.PathLike[str], *, optimizer: bool = False) -> None:
        """Write the model to a file, which needs no pickle and which `cylstm.load` reads.

        Parameters
        ----------
        path : str or path-like
            The file appears as a whole or not at all, and replaces one that is there. The
            layout is that of safetensors, whose package reads the weights by the names that
            `weights_` has.
        optimizer : bool, default=False
            Whether to write what training needs to go on to the same bits: the running state
            of the optimizer, about twice as large as the weights, and the random state. What
            has no optimizer is written as it is.

        Raises
        ------
        TypeError
            If an attribute is nothing that a file can hold.
        ValueError
            If a parameter is invalid.
        OSError
            If the file cannot be written.

        See Also
        --------
        cylstm.save : Writes Pipelines too.
        """
        from ._model_files import save  # which knows all estimators

        save(self, path, optimizer=optimizer)

    def __getstate__(self):
        state = super().__getstate__()
        # Parameters and public attributes are what users know.
        state = {name: plain(x) if name[0] == "_" else x for name, x in state.items()}
        return {**state, KEY: current_version()}

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
        super().__setstate__(
            {name: rebuilt(x) if name[0] == "_" else x for name, x in state.items()}
        )
