"""scikit-learn's callbacks where it has them (1.9 and later), nothing before."""

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:
        """Stands in for scikit-learn's mixin: no callbacks can be set."""

    def with_callbacks(method):
        return method


class FitTasks:
    """Tells an estimator's callbacks of its fit and of each epoch within.

    Parameters
    ----------
    estimator : estimator
    X, y, sample_weight
        The training data as given to fit.
    n_epochs : int
        The most that there will be; 0 where fit is one piece.
    fitted_attributes : callable() -> dict
        What makes a copy of the estimator ready to predict, as of now.
    """

    def __init__(self, estimator, X, y, sample_weight, n_epochs, fitted_attributes):
        self.estimator = estimator
        self.given = {
            "X": X,
            "y": y,
            "metadata": (None if sample_weight is None else {"sample_weight": sample_weight}),
        }
        self.fitted_attributes = fitted_attributes
        self.fit = self.epoch = None
        if hasattr(estimator, "_init_callback_context"):
            self.fit = estimator._init_callback_context(max_subtasks=n_epochs)
            self.fit.call_on_fit_task_begin(estimator=estimator, **self.given)

    def begin_epoch(self):
        if self.fit is not None:
            self.epoch = self.fit.subcontext(task_name="epoch")
            self.epoch.call_on_fit_task_begin(estimator=self.estimator, **self.given)

    def end_epoch(self):
        """Return whether a callback asks to stop."""
        return self.fit is not None and self._end(self.epoch)

    def end_fit(self):
        if self.fit is not None:
            self._end(self.fit)

    def _end(self, task):
        return task.call_on_fit_task_end(
            estimator=self.estimator,
            reconstruction_attributes=self.fitted_attributes,
            **self.given,
        )
