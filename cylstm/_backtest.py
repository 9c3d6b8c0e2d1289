"""Backtests of a forecaster: forecasts from earlier origins, beside naive ones."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone
from sklearn.utils._param_validation import Interval, validate_parameter_constraints
from sklearn.utils.validation import check_is_fitted

from ._arguments import check_64_bits, warn_caller
from ._docs import fill_docstrings
from ._panel import Panel, read_panel
from ._windows import SeriesInputs
from .metrics import coverage, mase, nd, smape

if TYPE_CHECKING:
    from ._base import NetworkEstimator as _Base
else:
    _Base = object

# Columns of naive forecasts, and which baseline they are.
NAIVE = {"naive": "last", "seasonal_naive": "seasonal"}


@dataclass
class Forecasts:
    """Forecasts of series from some of their steps.

    Parameters
    ----------
    panel : Panel
    series, origins : int arrays of shape (n,)
    followed : array of shape (n, horizon, n_targets)
        The values that came.
    columns : dict of str to array
        "y_hat", "y_hat-lo-80", ..., "naive", "naive-lo-80", ...: each of the shape of
        `followed`.
    season : int
    levels : tuple of float
        Of the intervals, in percent.
    """

    panel: Panel
    series: np.ndarray
    origins: np.ndarray
    followed: np.ndarray
    columns: dict[str, np.ndarray]
    season: int
    levels: tuple[float, ...]

    def histories(self) -> list[np.ndarray]:
        """The values before each origin, for each target in turn: what MASE is scaled by."""
        panel = self.panel
        return [
            panel.targets[panel.starts[k] : panel.starts[k] + origin, j]
            for j in range(panel.targets.shape[1])
            for k, origin in zip(self.series, self.origins, strict=True)
        ]

    def by_target(self, values: np.ndarray) -> np.ndarray:
        """(n_targets * n, horizon) values in the order of `histories`."""
        return values.transpose(2, 0, 1).reshape(-1, values.shape[1])

    def to_frame(self) -> Any:
        """A long frame with a row for each forecast value, by series, origin and step."""
        panel, (n, horizon, n_targets) = self.panel, self.followed.shape
        order = np.lexsort((self.origins, self.series))
        times = panel.times
        if times is None:  # steps are numbered
            times = np.concatenate([np.arange(length) for length in panel.lengths])
        starts = panel.starts if panel.times is not None else _starts(panel.lengths)
        ends = (starts[self.series] + self.origins)[order]
        rows = np.repeat(ends[:, None] + np.arange(horizon), n_targets, axis=1).ravel()
        cutoffs = np.repeat(ends - 1, horizon * n_targets)
        columns = {}
        if n_targets > 1:
            columns["target"] = panel.form.target_names(n_targets) * (n * horizon)
        columns["y"] = self.followed[order].ravel()
        for name, values in self.columns.items():
            if name in NAIVE or name.startswith("y_hat"):
                columns[name] = values[order].ravel()
        return panel.to_frame(
            np.repeat(self.series[order], horizon * n_targets),
            {panel.form.time_column: times[rows], "cutoff": times[cutoffs]},
            columns,
        )


def _starts(lengths):
    return np.cumsum(lengths) - lengths


@fill_docstrings()
class BacktestMixin(_Base):
    """backtest, evaluate and score of a forecaster."""

    def backtest(
        self, y: Any, n_windows: int = 3, step: int | None = None, refit: bool = False
    ) -> Any:
        """Forecast from earlier origins what is known by now.

        Parameters
        ----------
        y : in any form that fit takes
        n_windows : int, default=3
            Number of origins. The last one leaves just the horizon.
        step : int, default=None
            Number of steps from one origin to the next. If None, the horizon.
        refit : bool, default=False
            Whether to fit a new model before each origin. If False, one is fitted on what was
            before the first, and forecasts from all of them at once. This forecaster is not
            fitted and need not be.

        Returns
        -------
        frame : data frame
            A row for each series, origin and step: id and time (without dates the number of
            the step), "cutoff" (the time of the last step before the origin), "y", the columns
            of `predict`, "naive" (the last value) and "seasonal_naive" (the values a season
            before). With several targets "target" has the name of each, of arrays its number.
            Of the library of y, or pandas.
        """
        return self._backtest(y, n_windows, step, refit).to_frame()

    def evaluate(
        self, y: Any, n_windows: int = 3, step: int | None = None, refit: bool = False
    ) -> Any:
        """Errors of `backtest`, beside those of naive forecasts.

        Parameters
        ----------
        y, n_windows, step, refit
            As `backtest` takes them.

        Returns
        -------
        frame : data frame
            A row for this forecaster, the last value and the values a season before, with the
            columns "mae", "rmse", "mase", "smape" and "nd" (see cylstm.metrics; mase and smape
            are means over series and origins), and for each level the share of values inside
            the intervals, "coverage-80", and their mean width, "width-80", calibrated in the
            same way for all three.
        """
        forecasts = self._backtest(y, n_windows, step, refit)
        actual = forecasts.by_target(forecasts.followed)
        if np.isnan(actual).all():
            raise ValueError("y has no value in the steps that are forecast.")
        histories, season = forecasts.histories(), forecasts.season
        rows: dict[str, list[Any]] = {"model": []}
        for name in ("y_hat", *NAIVE):
            predicted = forecasts.by_target(forecasts.columns[name])
            error = predicted - actual
            measures = {
                "mae": np.nanmean(np.abs(error)),
                "rmse": np.sqrt(np.nanmean(error**2)),
                "mase": mase(actual, predicted, histories, season),
                "smape": smape(actual, predicted),
                "nd": nd(actual, predicted),
            }
            for level in forecasts.levels:
                lower, upper = (
                    forecasts.by_target(forecasts.columns[f"{name}-{end}-{level:g}"])
                    for end in ("lo", "hi")
                )
                measures[f"coverage-{level:g}"] = coverage(actual, lower, upper)
                measures[f"width-{level:g}"] = np.mean(upper - lower)
            rows["model"].append(type(self).__name__ if name == "y_hat" else name)
            for measure, value in measures.items():
                rows.setdefault(measure, []).append(float(value))
        from ._frames import long_frame

        return long_frame(rows, forecasts.panel.form.library)

    def score(self, y: Any) -> float:
        """Minus the mean MASE of forecasts of the last horizon of each series from what was
        before it; higher is better. With TimeSeriesOrigins of the same horizon, grid searches
        score what comes after what was fitted; a warning says if some of these steps, but not
        all, were trained on.

        Parameters
        ----------
        y : in any form that fit takes

        Returns
        -------
        score : float
        """
        check_is_fitted(self)
        panel = self._read(y, "y")
        series = np.arange(len(panel))
        origins = panel.lengths - self._layout.horizon
        forecasts = self._forecasts(panel, series, origins)
        self._warn_of_scored_steps(panel, self._trained_steps(panel) - origins)
        return -float(
            mase(
                forecasts.by_target(forecasts.followed),
                forecasts.by_target(forecasts.columns["y_hat"]),
                forecasts.histories(),
                self._layout.season,
            )
        )

    def _warn_of_scored_steps(self, panel, n_trained):
        """Warn if the scored horizon begins before the end of what was trained on, by so many
        steps, and ends after it."""
        horizon = self._layout.horizon
        partly = np.flatnonzero((n_trained > 0) & (n_trained < horizon))
        if len(partly):
            k = partly[0]
            warn_caller(
                f"{n_trained[k]} of the {horizon} steps of {panel.name(k)} that are scored "
                "were trained on. Leave the whole horizon out of fit: "
                f"TimeSeriesOrigins(horizon={horizon})."
            )

    def _backtest(self, y, n_windows, step, refit):
        """Forecasts from the last origins of each series."""
        settings = {"n_windows": n_windows, "step": step, "refit": refit}
        check_64_bits(settings)
        at_least_1 = Interval(Integral, 1, None, closed="left")
        validate_parameter_constraints(
            {"n_windows": [at_least_1], "step": [at_least_1, None], "refit": ["boolean"]},
            settings,
            caller_name="backtest",
        )
        self._validate_params()
        horizon = int(self.horizon)
        panel = read_panel(y, self._check_roles())
        back = horizon + np.arange(n_windows)[::-1] * int(step or horizon)
        origins = panel.lengths - back[:, None]  # (n_windows, n_series)
        least = self._season_of(panel) + 1
        seen = self._seen_steps(panel)
        short = np.flatnonzero(seen - back[0] < least)
        if len(short):
            k = short[0]
            raise ValueError(
                f"{panel.name(k)} has {seen[k]} steps, too few for n_windows={n_windows}: "
                f"these origins leave the last {back[0]} to forecast, and season + 1 = "
                f"{least} are needed before. Choose fewer, or a smaller step."
            )
        series = np.arange(len(panel))
        model = clone(self).set_params(checkpoint=None)  # each file is of one fit
        if not refit:
            model.fit(panel.first(origins[0]))
            return model._forecasts(panel, np.tile(series, n_windows), origins.ravel())
        parts = []
        for of_window in origins:
            fitted = clone(model).fit(panel.first(of_window))
            parts.append(fitted._forecasts(panel, series, of_window))
        return Forecasts(
            panel,
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("series", "origins", "followed")
            ),
            {
                name: np.concatenate([part.columns[name] for part in parts])
                for name in parts[0].columns
            },
            parts[0].season,
            parts[0].levels,
        )

    def _forecasts(self, panel, series, origins):
        """Of the fitted model, from any steps of series."""
        layout = self._layout
        inputs = SeriesInputs(layout, panel)
        early = np.flatnonzero(origins - inputs.first[series] < layout.least)
        if len(early):
            k = series[early[0]]
            n = int(inputs.lengths[k] - inputs.first[k])
            raise ValueError(
                f"{panel.name(k)} has {n} step{'s' * (n != 1)}: too few to forecast the last "
                f"{inputs.lengths[k] - origins[early[0]]} from season + 1 = {layout.least} or "
                "more before them."
            )
        windows = inputs.make_windows(series, origins)
        values = self._with_intervals(
            self._forecast(inputs, windows), windows.scale, self._levels
        )
        columns = dict(
            zip(self._output_names(self._levels), np.moveaxis(values, -1, 0), strict=True)
        )
        for name, baseline in NAIVE.items():
            columns[name] = inputs.baseline(baseline, series, origins)
            for level in self._levels:
                columns[f"{name}-lo-{level:g}"], columns[f"{name}-hi-{level:g}"] = (
                    self._interval(name, level, columns[name], columns[name], windows.scale)
                )
        return Forecasts(
            panel,
            series,
            origins,
            inputs.followed(windows),
            columns,
            layout.season,
            self._levels,
        )
