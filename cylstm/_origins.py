"""TimeSeriesOrigins: splits series at the origins of forecasts."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils._param_validation import Interval, validate_parameter_constraints

from ._arguments import check_64_bits, check_collection, shown
from ._panel import FORMS, check_named_columns, frame_of, is_list_of_series


class TimeSeriesOrigins(BaseCrossValidator):
    """Split series at the origins of forecasts, for GridSearchCV over LSTMForecaster.

    An origin is the step before which everything is known. For each of the last `n_windows`
    origins, the earliest first, there is a split:

    - train: all steps before the origin;
    - test: the same steps and the `horizon` ones from the origin on.

    Train and test overlap, since a forecast needs the past of what it forecasts: the `score`
    of a forecaster forecasts the last `horizon` steps that it is given from those before them,
    so that exactly the steps that are not in train are scored. (Other estimators, which score
    all rows of test, need scikit-learn's TimeSeriesSplit.)

    Parameters
    ----------
    n_windows : int, default=3
        Number of origins.

    horizon : int, default=1
        Number of steps to forecast from each; that of the forecaster.

    step : int or None, default=None
        Number of steps from one origin to the next. If None, `horizon`: no step is scored
        twice.

    id_column, time_column : str, default="unique_id", "ds"
        The columns of a long data frame that tell which series a row is of, and when.

    See Also
    --------
    sklearn.model_selection.TimeSeriesSplit : Splits whose parts do not overlap.

    Examples
    --------
    >>> import numpy as np
    >>> from cylstm import TimeSeriesOrigins
    >>> origins = TimeSeriesOrigins(n_windows=2, horizon=2)
    >>> for train, test in origins.split(np.arange(6)):
    ...     print(train, test)
    [0 1] [0 1 2 3]
    [0 1 2 3] [0 1 2 3 4 5]
    """

    def __init__(
        self,
        n_windows: int = 3,
        *,
        horizon: int = 1,
        step: int | None = None,
        id_column: Hashable = "unique_id",
        time_column: Hashable = "ds",
    ) -> None:
        settings = {"n_windows": n_windows, "horizon": horizon, "step": step}
        check_64_bits(settings)
        at_least_1 = Interval(Integral, 1, None, closed="left")
        validate_parameter_constraints(
            {"n_windows": [at_least_1], "horizon": [at_least_1], "step": [at_least_1, None]},
            settings,
            caller_name="TimeSeriesOrigins",
        )
        self.n_windows = n_windows
        self.horizon = horizon
        self.step = step
        self.id_column = id_column
        self.time_column = time_column

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Indices of rows for each origin, the earliest first.

        Parameters
        ----------
        X : array, Series or data frame
            One series: an array of shape (n_steps,) or (n_steps, n_columns), a Series, or a
            data frame with a column for each variable. Or a data frame with a column of times,
            and one of ids where there are several series, each of which is split at its own
            last steps. Rows with times, also as labels of pandas, may be in any order.
        y, groups : object, default=None
            Ignored; they exist for scikit-learn.

        Yields
        ------
        train : int array of shape (n_train,)
            Places of the rows before the origin, in increasing order.
        test : int array of shape (n_test,)
            Places of those and of the `horizon` rows from the origin on, of each series.

        Raises
        ------
        ValueError
            If a series is too short, or X is a list of series.
        """
        order, lengths, name = self._read(X)
        step = self.horizon if self.step is None else self.step
        n_needed = self.horizon + (self.n_windows - 1) * step + 1
        if lengths.min() < n_needed:
            k = lengths.argmin()
            raise ValueError(
                f"{name(k)} has {lengths[k]} steps, but n_windows={self.n_windows}, "
                f"horizon={self.horizon} and step={step} need at least {n_needed}."
            )
        ends = np.repeat(np.cumsum(lengths), lengths)
        to_the_end = ends - np.arange(len(ends))  # of its series, from each row on
        for window in reversed(range(self.n_windows)):
            n_after = window * step
            yield (
                np.sort(order[to_the_end > n_after + self.horizon]),
                np.sort(order[to_the_end > n_after]),
            )

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """The number of origins.

        Parameters
        ----------
        X, y, groups : object, default=None
            Ignored; they exist for scikit-learn.

        Returns
        -------
        n_splits : int
        """
        return self.n_windows

    def _read(self, X):
        """(places of rows by series and time, lengths, callable(k) -> name of series k)."""
        check_collection(X, "X", FORMS)
        if is_list_of_series(X):
            raise ValueError(
                "X is a list of series, whose steps have no indices to split by. Make one "
                f"long data frame of them, with the columns {shown(self.id_column)} and "
                f"{shown(self.time_column)}."
            )
        frame = frame_of(X, "X")
        places = np.arange(len(X if frame is None else frame))
        if frame is None:
            return places, np.array([len(places)]), lambda k: "X"
        from . import _frames

        check_named_columns(
            frame, {"id_column": self.id_column, "time_column": self.time_column}, "X"
        )
        columns = getattr(frame, "columns", ())
        if self.id_column in columns:
            rows = _frames.read_long(frame, self.id_column, self.time_column, "X")
            return places[rows.order], rows.lengths, lambda k: f"series {shown(rows.ids[k])}"
        if self.time_column in columns:
            order = _frames.read_long(frame, self.id_column, self.time_column, "X").order
        else:
            order = _frames.order_of_index(frame, "X", self.id_column)[0]
        return places[order], np.array([len(places)]), lambda k: "X"
