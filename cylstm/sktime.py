"""SktimeLSTMForecaster: LSTMForecaster as a forecaster of sktime
(``pip install cylstm[sktime]``)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sktime.datatypes import update_data
from sktime.forecasting.base import BaseForecaster

from ._arguments import shown, warn_caller
from ._forecaster import LSTMForecaster

__all__ = ["SktimeLSTMForecaster"]

# The level of intervals where none is asked for, in percent: sktime's default.
LEVEL = 90

# LSTMForecaster's narrowest interval; quantiles still closer to the median are its ends.
LEAST_LEVEL = 1.0


class SktimeLSTMForecaster(BaseForecaster):
    """LSTMForecaster as a forecaster of sktime.

    Panels and hierarchies of series share one model. Of several columns of y each gets a model
    of its own. Missing values of y, and of X up to the end of y, may be NaN.

    Parameters
    ----------
    forecaster : LSTMForecaster, default=None
        What is fitted, a clone of it; its parameters are ``forecaster__context`` and so on. If
        None, ``LSTMForecaster(level=90)``. Where sktime has a say of its own:

        - `horizon`: the last step of the ``fh`` of fit, if that is later. Any other ``fh`` can
          be predicted; steps beyond the horizon are forecast block by block.
        - `level`: the level that intervals are calibrated for. predict_interval and
          predict_quantiles can be asked for any up to the highest that the windows which this
          keeps from training suffice for; with None there are no intervals.
        - `known`: if empty, all columns of X that `past` and `static` do not name.
        - `id_column`, `time_column`, `target_column`: names of series, time and y in messages;
          no column of X may have them.

    Attributes
    ----------
    forecaster_ : LSTMForecaster
        The fitted one.

    Notes
    -----
    ``update`` trains for one more epoch on all that was seen, with ``update_params=False`` or
    ``early_stopping=True`` not at all; forecasts start from the end of what was seen either
    way.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from cylstm import LSTMForecaster
    >>> from cylstm.sktime import SktimeLSTMForecaster
    >>> months = pd.period_range("2010-01", periods=120, freq="M")
    >>> y = pd.Series(np.sin(np.arange(120) * 2 * np.pi / 12) + 5, index=months)
    >>> model = SktimeLSTMForecaster(LSTMForecaster(level=80, random_state=0))
    >>> forecast = model.fit(y[:-6], fh=[1, 2, 3, 4, 5, 6]).predict()
    >>> bool(abs(forecast - y[-6:]).max() < 0.1)
    True
    >>> model.predict_interval(coverage=[0.5, 0.8]).shape
    (6, 4)
    """

    _tags = {
        "authors": "The cylstm developers",
        "maintainers": "The cylstm developers",
        "y_inner_mtype": ["pd.DataFrame", "pd-multiindex", "pd_multiindex_hier"],
        "X_inner_mtype": ["pd.DataFrame", "pd-multiindex", "pd_multiindex_hier"],
        "capability:multivariate": False,
        "capability:exogenous": True,
        "capability:categorical_in_X": False,
        "capability:non_contiguous_X": False,
        "capability:insample": False,
        "capability:pred_int": True,
        "capability:pred_int:insample": False,
        "capability:missing_values": True,
        "capability:update": True,
        "requires-fh-in-fit": False,
    }
    # What was seen is in _cur_y and _cur_X; sktime need not keep it, unless it is told to.
    _config = {"remember_data": False}
    _y = _X = None

    def __init__(self, forecaster: LSTMForecaster | None = None) -> None:
        self.forecaster = forecaster
        super().__init__()

    def _fit(self, y, X, fh):
        model = LSTMForecaster(level=LEVEL) if self.forecaster is None else self.forecaster
        model = clone(model)
        self._cur_y, self._cur_X = y, X
        if fh is not None:
            steps, _ = self._ahead(fh)
            model.horizon = max(model.horizon, int(steps.max()))
        if X is not None and not model.known:
            named = {*model.past, *model.static}
            model.known = [column for column in X.columns if column not in named]
        self.forecaster_ = model.fit(_long_frame(y, X, model))
        self._continued = None
        return self

    def _update(self, y, X=None, update_params=True):
        seen = update_data(self._cur_y, y)
        # The cutoff may also have gone back: nothing after it may be seen.
        self._cur_y = seen[seen.index.get_level_values(-1) <= self.cutoff[-1]]
        if self._cur_X is not None and X is not None:
            self._cur_X = update_data(self._cur_X, X)
        self._continued = _long_frame(self._cur_y, self._cur_X, self.forecaster_)
        if not update_params:
            return self
        if self.forecaster_.early_stopping:
            warn_caller("With early_stopping=True update does not train.")
        else:
            self.forecaster_.partial_fit(self._continued)
        return self

    def _update_predict_single(self, y, fh, X=None, update_params=True):
        self._update(y, X, update_params)
        return self._predict(fh, X)

    def _predict(self, fh, X):
        return self._forecast(fh, X, ["y_hat"], (), self._get_columns())

    def _predict_quantiles(self, fh, X, alpha):
        names, levels = [], set()
        for a in alpha:
            # sktime asks for the end of 90% by 0.5 - 0.9 / 2, which is 0.05 but for rounding.
            level = float(f"{100 * abs(1 - 2 * a):g}")
            if level == 0:
                names.append("y_hat")
            else:
                level = max(level, LEAST_LEVEL)
                levels.add(level)
                names.append(f"y_hat-{'lo' if a < 0.5 else 'hi'}-{level:g}")
        columns = self._get_columns("predict_quantiles", alpha=alpha)
        return self._forecast(fh, X, names, sorted(levels), columns)

    def _forecast(self, fh, X, names, levels, columns):
        """The forecasts of these names at the times of fh."""
        model = self.forecaster_
        steps, index = self._ahead(fh)
        future = _long_frame(None, X, model) if X is not None and model.known else None
        forecasts = model.predict(
            self._continued, horizon=int(steps.max()), future=future, level=levels
        )
        values = forecasts[names].to_numpy().reshape(len(steps), -1, len(names))
        values = np.take_along_axis(values, steps[:, :, None] - 1, axis=1)
        return pd.DataFrame(values.reshape(-1, len(names)), index, columns)

    def _ahead(self, fh):
        """The steps of fh after the end of each series, from 1 on, of shape (n_series, n), and
        the index of forecasts of them."""
        index = self._cur_y.index
        if not isinstance(index, pd.MultiIndex):
            steps, times = _steps_and_times(fh, self.cutoff)
            return steps[None], pd.Index(times, name=index.name)
        by = list(range(index.nlevels - 1))
        series = self._cur_y.groupby(level=by, sort=False).ngroup().to_numpy()
        last = np.empty(series.max() + 1, dtype=np.intp)
        last[series] = np.arange(len(series))
        if fh.freq is None and isinstance(index.levels[-1], pd.DatetimeIndex):
            longest = np.bincount(series).argmax()
            fh.freq = pd.infer_freq(index.get_level_values(-1)[series == longest])
        which, cutoffs = pd.factorize(index.get_level_values(-1)[last])
        ahead = [_steps_and_times(fh, cutoffs[k : k + 1]) for k in range(len(cutoffs))]
        steps = np.stack([steps for steps, _ in ahead])
        times = ahead[0][1].append([times for _, times in ahead[1:]])
        places = np.arange(steps.size).reshape(steps.shape)[which].ravel()
        instances = index[last].repeat(steps.shape[1])
        levels = [*(instances.get_level_values(k) for k in by), times[places]]
        return steps[which], pd.MultiIndex.from_arrays(levels, names=index.names)

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Parameters with which sktime tests this class."""
        # 9 windows at least are kept, few enough for the shortest series that sktime has.
        tiny: dict[str, Any] = {"season": 1, "level": 90, "hidden_layer_sizes": 2}
        tiny |= {"max_iter": 1, "random_state": 0}
        return [
            {"forecaster": LSTMForecaster(**tiny)},
            {"forecaster": LSTMForecaster(2, context=4, quantiles=[0.05, 0.95], **tiny)},
        ]


def _steps_and_times(fh, cutoff):
    """A ForecastingHorizon after the end of one series, as numbers of steps and as times."""
    times = fh.to_absolute_index(cutoff)
    if fh.is_relative and fh.to_pandas().dtype.kind != "i":  # differences of times
        fh = fh.to_absolute(cutoff)
    return fh.to_relative(cutoff).to_numpy(), times


def _long_frame(y, X, model):
    """y and X, or one of them, as a long frame for LSTMForecaster."""
    index = X.index if y is None else y.index
    several = isinstance(index, pd.MultiIndex)
    columns = {model.id_column: index.droplevel(-1).to_flat_index() if several else "y"}
    columns[model.time_column] = index.get_level_values(-1)
    if y is not None:
        columns[model.target_column] = y.iloc[:, 0].to_numpy()
    if X is not None:
        X = X.reindex(index)
        for column in X.columns:
            if column in columns:
                raise ValueError(
                    f"X has a column {shown(column)}, which is the id_column, time_column or "
                    "target_column of the LSTMForecaster. Rename it, or choose another name "
                    "there."
                )
            columns[column] = X[column].to_numpy()
    return pd.DataFrame(columns)
