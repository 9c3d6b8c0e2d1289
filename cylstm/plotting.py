"""Pictures of what was learnt, in the way of scikit-learn's displays. Only drawing needs
matplotlib (``pip install cylstm[plot]``)."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

__all__ = ["GateDisplay", "LossCurveDisplay"]


def _new_axes(n):
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('Drawing needs matplotlib: pip install "cylstm[plot]".') from error
    _, axes = plt.subplots(n, 1, sharex=True, squeeze=False, figsize=(8, 1.5 + 1.8 * n))
    return axes[:, 0]


class LossCurveDisplay:
    """Loss, and validation score if there is one, by epoch.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
    validation_scores : array-like of shape (n_epochs,), default=None

    Attributes
    ----------
    ax_ : matplotlib Axes
    line_ : matplotlib Line2D
        The loss.
    score_ax_, score_line_
        Axes and line of the validation score, None without.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from cylstm import LSTMRegressor
    >>> from cylstm.plotting import LossCurveDisplay
    >>> X = np.random.default_rng(0).normal(size=(20, 5, 2))
    >>> model = LSTMRegressor(8, max_iter=3).fit(X, X[:, :, 0].sum(axis=1))
    >>> display = LossCurveDisplay.from_estimator(model)
    """

    def __init__(self, *, loss_curve, validation_scores=None):
        self.loss_curve = loss_curve
        self.validation_scores = validation_scores

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, **kwargs):
        """Draw the curves of a fitted estimator.

        Parameters
        ----------
        estimator : fitted LSTMRegressor or LSTMClassifier
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **kwargs
            Of matplotlib's plot, for the loss.

        Returns
        -------
        display : LossCurveDisplay
        """
        check_is_fitted(estimator)
        return cls(
            loss_curve=estimator.loss_curve_,
            validation_scores=estimator.validation_scores_,
        ).plot(ax=ax, **kwargs)

    def plot(self, *, ax=None, **kwargs):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        **kwargs
            Of matplotlib's plot, for the loss.

        Returns
        -------
        display : LossCurveDisplay
        """
        self.ax_ = _new_axes(1)[0] if ax is None else ax
        self.figure_ = self.ax_.figure
        epochs = np.arange(1, len(self.loss_curve) + 1)
        (self.line_,) = self.ax_.plot(
            epochs, self.loss_curve, **{"label": "training loss", **kwargs}
        )
        self.ax_.set(xlabel="epoch", ylabel="loss")
        self.score_ax_ = self.score_line_ = None
        lines = [self.line_]
        if self.validation_scores is not None:
            self.score_ax_ = self.ax_.twinx()
            # Epochs before the first with validation data have no score.
            (self.score_line_,) = self.score_ax_.plot(
                epochs[-len(self.validation_scores) :],
                self.validation_scores,
                color="C1",
                label="validation score",
            )
            self.score_ax_.set_ylabel("validation score")
            lines.append(self.score_line_)
        self.ax_.legend(handles=lines)
        return self


class GateDisplay:
    """Heat maps of gates, cell and hidden state of one sequence over its steps.

    Parameters
    ----------
    values : dict of str to array of shape (n_timesteps, n_units)
        What to draw, by name.

    Attributes
    ----------
    axes_ : array of matplotlib Axes
    images_ : list of matplotlib AxesImage
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from cylstm import LSTMRegressor
    >>> from cylstm.plotting import GateDisplay
    >>> X = np.random.default_rng(0).normal(size=(20, 5, 2))
    >>> model = LSTMRegressor(8, max_iter=3).fit(X, X[:, :, 0].sum(axis=1))
    >>> display = GateDisplay.from_estimator(model, X[0])
    """

    def __init__(self, *, values):
        self.values = values

    @classmethod
    def from_estimator(cls, estimator, x, *, layer=0, reverse=False, axes=None, **kwargs):
        """Draw the gates of a fitted estimator on one sequence.

        Parameters
        ----------
        estimator : fitted LSTMRegressor or LSTMClassifier
        x : array-like of shape (n_timesteps, n_features), or (n_timesteps,) tokens
        layer : int, default=0
        reverse : bool, default=False
            The backward direction of a bidirectional layer.
        axes : six matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **kwargs
            Of matplotlib's imshow.

        Returns
        -------
        display : GateDisplay
        """
        prefix = f"layers.{layer}." + ("reverse." if reverse else "")
        # As a ragged list of one, whatever the model was fitted on.
        values = estimator.gate_values([np.asarray(x)])
        chosen = {name: values.get(prefix + name) for name in "ifgoch"}
        if chosen["i"] is None:
            known = sorted({name.rpartition(".")[0] for name in values})
            raise ValueError(f"There is no {prefix[:-1]!r}; the model has {known}.")
        return cls(values={name: v[0] for name, v in chosen.items()}).plot(axes=axes, **kwargs)

    def plot(self, *, axes=None, **kwargs):
        """Draw.

        Parameters
        ----------
        axes : matplotlib Axes, one for each of the values, default=None
        **kwargs
            Of matplotlib's imshow.

        Returns
        -------
        display : GateDisplay
        """
        self.axes_ = _new_axes(len(self.values)) if axes is None else np.asarray(axes)
        self.figure_ = self.axes_[0].figure
        self.images_ = []
        titles = {
            "i": "input gate",
            "f": "forget gate",
            "g": "candidate",
            "o": "output gate",
            "c": "cell",
            "h": "hidden state",
        }
        for ax, (name, value) in zip(self.axes_, self.values.items(), strict=True):
            limits = {"vmin": 0, "vmax": 1, "cmap": "viridis"}
            if name in "gch":  # around zero
                largest = np.abs(value).max()
                limits = {"vmin": -largest, "vmax": largest, "cmap": "RdBu_r"}
            image = ax.imshow(
                np.asarray(value).T,
                **{"aspect": "auto", "interpolation": "nearest", **limits, **kwargs},
            )
            ax.set(ylabel="unit", title=titles.get(name, name))
            self.figure_.colorbar(image, ax=ax)
            self.images_.append(image)
        self.axes_[-1].set_xlabel("step")
        return self
