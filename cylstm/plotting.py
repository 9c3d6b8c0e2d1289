"""Plots of fitted models, with the interface of scikit-learn's displays. Drawing needs
matplotlib (``pip install cylstm[plot]``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ._arguments import as_array, check_collection, shown
from ._plot_axes import check_has, make_axes, plain_numbers
from ._plot_forecasts import ForecastDisplay

__all__ = ["AttentionDisplay", "ForecastDisplay", "GateDisplay", "LossCurveDisplay"]


class LossCurveDisplay:
    """Loss and, if there is one, validation score per epoch.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
    validation_scores : array-like of shape (n_epochs,), default=None
        Those of the last epochs, if there are fewer than losses; NaN where there is none.

    Attributes
    ----------
    ax_ : matplotlib Axes
    line_ : matplotlib Line2D
        The loss.
    score_ax_, score_line_
        Axes and line of the validation score; None if there is none.
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

    def __init__(
        self, *, loss_curve: npt.ArrayLike, validation_scores: npt.ArrayLike | None = None
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_scores = validation_scores

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the curves of a fitted estimator.

        Parameters
        ----------
        estimator : fitted LSTMRegressor, LSTMClassifier, LSTMLanguageModel or LSTMForecaster
        ax : matplotlib Axes or None, default=None
            Where to draw. If None, in a new figure.
        **kwargs
            Passed to matplotlib's plot for the loss.

        Returns
        -------
        display : LossCurveDisplay
        """
        check_has(estimator, "loss_curve_", cls.__name__)
        return cls(
            loss_curve=estimator.loss_curve_,
            validation_scores=estimator.history_.get("validation_score"),
        ).plot(ax=ax, **kwargs)

    def plot(self, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw. If None, in a new figure.
        **kwargs
            Passed to matplotlib's plot for the loss.

        Returns
        -------
        display : LossCurveDisplay
        """
        losses = plain_numbers(self.loss_curve, "loss_curve", "(n_epochs,)")
        scores = None
        if self.validation_scores is not None:
            scores = plain_numbers(self.validation_scores, "validation_scores", "(n_epochs,)")
            if len(scores) > len(losses):
                raise ValueError(
                    f"validation_scores has {len(scores)} entries, but loss_curve only "
                    f"{len(losses)}."
                )
        self.ax_ = make_axes(1, ax, "ax")[0]
        self.figure_ = self.ax_.figure
        epochs = np.arange(1, len(losses) + 1)
        (self.line_,) = self.ax_.plot(epochs, losses, **{"label": "training loss", **kwargs})
        self.ax_.set(xlabel="epoch", ylabel="loss")
        self.score_ax_ = self.score_line_ = None
        lines = [self.line_]
        if scores is not None:
            self.score_ax_ = self.ax_.twinx()
            # Epochs before the first with validation data have no score.
            (self.score_line_,) = self.score_ax_.plot(
                epochs[-len(scores) :],
                scores,
                color="C1",
                label="validation score",
            )
            self.score_ax_.set_ylabel("validation score")
            lines.append(self.score_line_)
        self.ax_.legend(handles=lines)
        return self


class AttentionDisplay:
    """Heat map of how much each step counts in the pooled features of its sequence, a row for
    each sequence.

    Parameters
    ----------
    weights : array-like of shape (n_sequences, n_timesteps), or list of arrays (n_timesteps,)
        As `attention_weights` returns them.
    labels : list of lists of str or None, default=None
        A word for each step of each sequence, to be written into the map.

    Attributes
    ----------
    ax_ : matplotlib Axes
    image_ : matplotlib AxesImage
    texts_ : list of matplotlib Text
        The labels, sequence by sequence.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from cylstm import LSTMRegressor
    >>> from cylstm.plotting import AttentionDisplay
    >>> X = np.random.default_rng(0).normal(size=(20, 5, 2))
    >>> model = LSTMRegressor(8, pooling="attention", max_iter=3).fit(X, X[:, 2, 0])
    >>> display = AttentionDisplay.from_estimator(model, X[:4])
    """

    def __init__(self, *, weights: Any, labels: Any = None) -> None:
        self.weights = weights
        self.labels = labels

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, *, labels: Any = None, ax: Any = None, **kwargs: Any
    ) -> Self:
        """Draw the attention of a fitted estimator on some sequences.

        Parameters
        ----------
        estimator : fitted LSTMRegressor or LSTMClassifier with pooling="attention"
        X : sequences in any form that its `predict` takes
        labels : list of lists of str or None, default=None
            A word for each step of each sequence, to be written into the map.
        ax : matplotlib Axes or None, default=None
            Where to draw. If None, in a new figure.
        **kwargs
            Passed to matplotlib's imshow.

        Returns
        -------
        display : AttentionDisplay

        Raises
        ------
        ValueError
            If the estimator has no attention, or labels do not fit the sequences.
        """
        check_has(estimator, "attention_weights", cls.__name__)
        weights = estimator.attention_weights(X)
        return cls(weights=weights, labels=labels).plot(ax=ax, **kwargs)

    def plot(self, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw. If None, in a new figure.
        **kwargs
            Passed to matplotlib's imshow.

        Returns
        -------
        display : AttentionDisplay
        """
        check_collection(self.weights, "weights", "one array of weights for each sequence")
        rows = [
            self._without_padding(plain_numbers(row, f"weights[{k}]", "(n_timesteps,)"), k)
            for k, row in enumerate(getattr(self.weights, "values", self.weights))
        ]
        if not rows:
            raise ValueError("weights is empty; expected an array for each sequence.")
        labels = self._check_labels(rows)
        image = np.full((len(rows), max(map(len, rows))), np.nan)
        for k, row in enumerate(rows):
            image[k, : len(row)] = row
        self.ax_ = make_axes(1, ax, "ax")[0]
        self.figure_ = self.ax_.figure
        defaults = {"aspect": "auto", "interpolation": "nearest", "cmap": "Blues"}
        lowest = {} if "norm" in kwargs else {"vmin": 0}
        self.image_ = self.ax_.imshow(image, **{**defaults, **lowest, **kwargs})
        self.ax_.set(xlabel="step", ylabel="sequence")
        for axis in (self.ax_.xaxis, self.ax_.yaxis):
            axis.get_major_locator().set_params(integer=True)
        self.figure_.colorbar(self.image_, ax=self.ax_, label="weight")
        self.texts_ = [
            self.ax_.text(
                step,
                k,
                label,
                ha="center",
                va="center",
                color=self._text_color(row[step]),
                parse_math=False,
            )
            for k, (row, of_sequence) in enumerate(zip(rows, labels, strict=False))
            for step, label in enumerate(of_sequence)
        ]
        return self

    def _text_color(self, weight):
        """Black or white, whatever is read better on the colour of a weight."""
        red, green, blue, _ = self.image_.cmap(self.image_.norm(weight))
        return "white" if 0.3 * red + 0.6 * green + 0.1 * blue < 0.5 else "black"

    @staticmethod
    def _without_padding(row, k):
        real = np.flatnonzero(~np.isnan(row))
        if len(real) == 0:
            raise ValueError(f"weights[{k}] is NaN at every step.")
        return row[: real[-1] + 1]

    def _check_labels(self, rows):
        if self.labels is None:
            return []
        check_collection(self.labels, "labels", "a list of words for each sequence")
        for k, words in enumerate(self.labels):
            if not isinstance(words, str):
                check_collection(words, f"labels[{k}]", "a word for each step")
        labels = [list(words) for words in self.labels]
        if len(labels) != len(rows):
            raise ValueError(
                f"labels has {len(labels)} lists of words, but there are {len(rows)} "
                "sequences."
            )
        for k, (words, row) in enumerate(zip(labels, rows, strict=True)):
            if len(words) != len(row):
                raise ValueError(
                    f"labels[{k}] has {len(words)} words, but the sequence has {len(row)} "
                    "steps."
                )
        return labels


class GateDisplay:
    """Heat maps of the gates, cell state and hidden state over the steps of one sequence.

    Parameters
    ----------
    values : dict of str to array of shape (n_timesteps, n_units)
        What to draw, by title.

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

    def __init__(self, *, values: Mapping[str, npt.ArrayLike]) -> None:
        self.values = values

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        x: npt.ArrayLike,
        *,
        layer: int = 0,
        reverse: bool = False,
        axes: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the gates of a fitted estimator on one sequence.

        Parameters
        ----------
        estimator : fitted LSTMRegressor or LSTMClassifier
        x : array-like of shape (n_timesteps, n_features), or (n_timesteps,) tokens
        layer : int, default=0
        reverse : bool, default=False
            The backward direction of a bidirectional layer.
        axes : matplotlib Axes or None, default=None
            Where to draw: one for each gate and state vector, which are six for an LSTM and
            four for a GRU. If None, in a new figure.
        **kwargs
            Passed to matplotlib's imshow.

        Returns
        -------
        display : GateDisplay
        """
        check_has(estimator, "gate_values", cls.__name__)
        check_collection(x, "x", "one sequence of shape (n_timesteps, n_features)")
        prefix = f"layers.{layer}." + ("reverse." if reverse else "")
        # A list with one sequence is read the same way by every fitted model.
        # Data frames have names, which it checks.
        values = estimator.gate_values([x if hasattr(x, "columns") else as_array(x, "x")])
        layers = [name.rpartition(".") for name in values]
        chosen = {
            name: values[prefix + name][0]
            for layer_of, _, name in layers
            if f"{layer_of}." == prefix
        }
        if not chosen:
            known = sorted({layer_of for layer_of, _, _ in layers})
            raise ValueError(f"There is no {prefix[:-1]!r}; the model has {known}.")
        return cls(values=chosen).plot(axes=axes, **kwargs)

    def plot(self, *, axes: Any = None, **kwargs: Any) -> Self:
        """Draw.

        Parameters
        ----------
        axes : one matplotlib Axes for each of the values or None, default=None
            Where to draw. If None, in a new figure.
        **kwargs
            Passed to matplotlib's imshow.

        Returns
        -------
        display : GateDisplay
        """
        if not isinstance(self.values, Mapping) or not self.values:
            raise ValueError(
                f"values={shown(self.values)} must be a dict of arrays (n_timesteps, "
                "n_units), not empty."
            )
        values = {
            name: plain_numbers(value, f"values[{name!r}]", "(n_timesteps, n_units)")
            for name, value in self.values.items()
        }
        self.axes_ = make_axes(len(values), axes, "axes")
        self.figure_ = self.axes_[0].figure
        self.images_ = []
        titles = {
            "i": "input gate",
            "f": "forget gate",
            "g": "candidate",
            "o": "output gate",
            "r": "reset gate",
            "z": "update gate",
            "n": "candidate",
            "c": "cell",
            "h": "hidden state",
        }
        for ax, (name, value) in zip(self.axes_, values.items(), strict=True):
            limits = {"vmin": 0, "vmax": 1, "cmap": "viridis"}
            if name in ("g", "n", "c", "h"):  # around zero
                largest = np.abs(value).max()
                limits = {"vmin": -largest, "vmax": largest, "cmap": "RdBu_r"}
            image = ax.imshow(
                value.T,
                **{"aspect": "auto", "interpolation": "nearest", **limits, **kwargs},
            )
            ax.set(ylabel="unit", title=titles.get(name, name))
            self.figure_.colorbar(image, ax=ax)
            self.images_.append(image)
        self.axes_[-1].set_xlabel("step")
        return self
