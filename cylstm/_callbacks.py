"""scikit-learn's callbacks where it has them (1.9 and later), nothing before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback import with_callbacks as _with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Replaces scikit-learn's mixin: no callbacks can be set."""

    def _with_callbacks(method):
        return method


Method = TypeVar("Method", bound=Callable[..., Any])


def with_callbacks(method: Method) -> Method:
    """scikit-learn's decorator, which would hide the type of the method."""
    return _with_callbacks(method)


class FitTasks:
    """Notifies an estimator's callbacks of its fit and of each epoch.

    Parameters
    ----------
    estimator : estimator
    X, y, sample_weight
        The training data as given to fit.
    n_epochs : int
        Maximum number of epochs; 0 if fit has none.
    """

    def __init__(self, estimator, X, y, sample_weight, n_epochs):
        self.estimator = estimator
        self.given = {
            "X": X,
            "y": y,
            "metadata": (None if sample_weight is None else {"sample_weight": sample_weight}),
        }
        self.fit = self.epoch = None
        self.listeners = bool(getattr(estimator, "_skl_callbacks", ()))
        if hasattr(estimator, "_init_callback_context"):
            self.fit = estimator._init_callback_context(max_subtasks=n_epochs)
            self.fit.call_on_fit_task_begin(estimator=estimator, **self.given)

    def begin_epoch(self):
        if self.fit is not None:
            self.epoch = self.fit.subcontext(task_name="epoch")
            self.epoch.call_on_fit_task_begin(estimator=self.estimator, **self.given)

    def end_epoch(self):
        """Return whether a callback requests to stop."""
        return self.fit is not None and self._end(self.epoch)

    def end_fit(self):
        if self.fit is not None:
            self._end(self.fit)

    def _end(self, task):
        return task.call_on_fit_task_end(
            estimator=self.estimator,
            reconstruction_attributes=dict,  # a copy of the estimator has all that it needs
            **self.given,
        )
