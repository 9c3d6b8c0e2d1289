"""What a fitted LSTMForecaster does: forecasts, intervals, scores, backtests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._arguments import check_64_bits, numbers_as_named, shown
from ._backtest import NAIVE, BacktestMixin
from ._conformal import distances, errors_needed, radii
from ._docs import fill_docstrings
from ._future import read_future
from ._panel import read_panel
from ._windows import SeriesInputs, first_seen

if TYPE_CHECKING:
    from ._base import NetworkEstimator as _Base
else:
    _Base = object


@fill_docstrings()
class ForecastingMixin(BacktestMixin, _Base):
    """Forecasts of a fitted forecaster, which has its layout of windows, linear part, network,
    quantile levels and the errors that its intervals are calibrated on."""

    def predict(
        self,
        y: Any = None,
        *,
        horizon: int | None = None,
        future: Any = None,
        level: Sequence[float] | float | None = None,
    ) -> Any:
        """Forecast what comes after the end of series.

        Parameters
        ----------
        y : in any form that fit takes, default=None
            Series to forecast, the fitted ones or others, without training on them. If None,
            those of the last call of fit or partial_fit.
        horizon : int, default=None
            Number of steps. If None, that of the forecaster. More than it learnt are forecast
            block by block, each from the forecasts (the medians) of those before it; intervals
            and quantiles move away from the median with each block as if the errors of blocks
            were independent, which is not calibrated. Not with columns in `past`, whose future
            is not known.
        future : array, data frame, or list of these, default=None
            Values of the columns in `known` for these steps. For a long data frame one with
            its columns of ids and times; else an array (horizon, n_known) or data frame for
            each series.
        level : sequence of float, default=None
            Which intervals to give, in percent: those of the parameter `level` if None, none
            if (). Others are possible too, up to the level of n / (n + 1) that the n windows
            kept for calibration reach. Each contains those of lower levels.

        Returns
        -------
        forecasts : in the form of the series
            For each series the forecasts "y_hat" (the medians), then the ends of its intervals
            "y_hat-lo-80", "y_hat-hi-80", ..., then the other quantiles "y_hat-q0.1", ...
            A long data frame has a row for each series and time, with these columns. A 1-D
            array has the shape (horizon,), or (horizon, n) if there are n of these; a 2-D one
            (horizon, n_targets) or (horizon, n_targets, n). A Series gives a Series or data
            frame, a list a list.

        Raises
        ------
        ValueError
            If a series is shorter than season + 1 steps, or future lacks rows.
        """
        check_is_fitted(self)
        horizon = self._check_horizon(horizon)
        levels = self._chosen_levels(level)
        panel = self._panel if y is None else self._read(y, "y")
        self._check_long_enough(panel)
        future = read_future(future, panel, self._roles, horizon)
        forecasts = self._forecasts_after(panel, future, levels)
        return panel.form.wrap(panel, forecasts, self._output_names(levels), horizon)

    def _forecasts_after(self, panel, future, levels):
        """(n_series, horizon, n_targets, n_names) forecasts of the steps after each series, of
        which `future` has the known columns."""
        layout, horizon = self._layout, future.shape[1]
        ahead = bool(self._roles.known or layout.calendar)
        blocks = -(-horizon // layout.horizon)
        n_names = len(self._output_names(levels))
        out = np.empty((len(panel), blocks * layout.horizon, layout.n_targets, n_names))
        rest, scale = panel if blocks == 1 else self._end_of(panel), None
        for block in range(blocks):
            steps = slice(block * layout.horizon, (block + 1) * layout.horizon)
            inputs = SeriesInputs(layout, rest, future[:, steps] if ahead else None)
            windows = inputs.make_windows(np.arange(len(panel)), rest.lengths)
            values = self._forecast(inputs, windows)
            # Later windows hold forecasts, which change less than values do.
            scale = windows.scale if scale is None else scale
            out[:, steps] = self._with_intervals(values, scale, levels)
            if block + 1 < blocks:
                rest = rest.followed_by(self._median(values), future[:, steps])
        return self._widened(out, levels)[:, :horizon]

    def transform(self, y: Any, *, future: Any = None) -> np.ndarray:
        """Hidden state of the last layer after the end of each series (or pooled over its
        window, as `pooling` says; with `known` after the horizon): a vector that describes it.

        Parameters
        ----------
        y : in any form that fit takes
        future : in any form that predict takes, default=None
            Values of the columns in `known` for the horizon of the forecaster, which the
            network sees.

        Returns
        -------
        features : array of shape (n_series, n_units)
        """
        check_is_fitted(self)
        panel = self._read(y, "y")
        self._check_long_enough(panel)
        layout = self._layout
        future = read_future(future, panel, self._roles, layout.horizon)
        ahead = bool(self._roles.known or layout.calendar)
        inputs = SeriesInputs(layout, panel, future if ahead else None)
        windows = inputs.make_windows(np.arange(len(panel)), panel.lengths)
        _, features = self._forward_sequences(
            inputs.sequences(windows), scores=False, features=True
        )
        return features[:, -self._n_features_out :]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = None
        tags.target_tags.required = False
        tags.input_tags.allow_nan = True
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        return tags

    @property
    def _fitted_layout(self):
        check_is_fitted(self)
        return self._layout

    # Reading

    def _read(self, y, name):
        """Series that are to be forecast by the fitted model."""
        panel = read_panel(y, self._roles, name)
        self._check_like_fitted(panel, name)
        if panel.frequency is None:
            panel = replace(panel, frequency=self._frequency)
        return panel

    def _check_like_fitted(self, panel, name):
        """Refuse other targets and steps of time. Where those of a short series also fit the
        fitted step, as Monday to Friday business days, the panel gets that."""
        n_targets = panel.targets.shape[1]
        if n_targets != self._layout.n_targets:
            raise ValueError(
                f"{name} has {n_targets} columns to forecast, but {type(self).__name__} was "
                f"fitted with {self._layout.n_targets}."
            )
        now, was = panel.frequency, self._frequency
        if now is None or was is None:
            return
        if (now.kind == "integers") != (was.kind == "integers"):
            return  # dates in one, numbered steps in the other
        if now.name == was.name:
            return
        if not was.fits(panel.times[panel.rows()], panel.lengths):
            raise ValueError(
                f"{name} has a step of {now.in_words} between its times, but "
                f"{type(self).__name__} was fitted with {was.in_words}."
            )
        panel.frequency = was

    def _seen_steps(self, panel):
        """(n_series,) steps of each series from its first value of any target on."""
        known = ~np.isnan(panel.targets[panel.rows()])
        return panel.lengths - first_seen(known.any(axis=1), panel.lengths)

    def _check_long_enough(self, panel):
        """Refuse series from which nothing can be forecast."""
        least = self._layout.least
        known = ~np.isnan(panel.targets[panel.rows()])
        seen = self._seen_steps(panel)
        first = panel.lengths - seen
        short = np.flatnonzero(seen < least)
        if len(short):
            k = short[0]
            named = ", ".join(panel.name(k) for k in short[:5])
            named += ", ..." if len(short) > 5 else ""
            steps = f"{seen[k]} step" + ("" if seen[k] == 1 else "s")
            steps += " from its first value on" if first[k] else ""
            raise ValueError(
                f"{named}: too short. A series needs season + 1 = {least} steps at least, but "
                f"{panel.name(k)} has {steps}. Leave such series out, or choose a smaller "
                "season."
            )
        for j, of_target in enumerate(known.T):
            empty = np.flatnonzero(first_seen(of_target, panel.lengths) == panel.lengths)
            if len(empty):
                raise ValueError(
                    f"{panel.name(empty[0])} has no value of target {j} (the first is 0) to "
                    "forecast it from. Leave it out."
                )

    def _trained_steps(self, panel):
        """(n_series,) how many of the first steps of each series the last call of fit or
        partial_fit trained (or validated) on: of those that had a series of the same id whose
        last values are there."""
        fitted = self._panel
        number_of = {an_id: k for k, an_id in enumerate(fitted.ids)}
        out = np.zeros(len(panel), dtype=np.int64)
        for k, an_id in enumerate(panel.ids):
            was = number_of.get(an_id)
            if was is None or panel.lengths[k] < self._fitted_lengths[was]:
                continue
            end = panel.starts[k] + self._fitted_lengths[was]
            there = panel.targets[end - fitted.lengths[was] : end]
            if np.array_equal(there, fitted.targets[fitted.series(was)], equal_nan=True):
                out[k] = self._trained_lengths[was]
        return out

    def _check_horizon(self, horizon):
        if horizon is None:
            return self._layout.horizon
        check_64_bits({"horizon": horizon})
        if isinstance(horizon, bool) or not isinstance(horizon, Integral) or horizon < 1:
            raise ValueError(f"horizon={shown(horizon)} must be an int of at least 1.")
        if horizon > self._layout.horizon and self._roles.past:
            raise ValueError(
                f"horizon={horizon} is more than the {self._layout.horizon} steps that were "
                f"learnt, and past={shown(self._roles.past)} is not known for the steps "
                f"between. Fit with horizon={horizon}."
            )
        return int(horizon)

    def _check_levels(self, level, name):
        """Levels in percent, in the order given."""
        if level is None:
            return ()
        levels = numbers_as_named(level)
        if not ((levels >= 1) & (levels < 100)).all():
            raise ValueError(
                f"{name}={shown(level)} must be percents from 1 to below 100, as in (80, 95)."
            )
        return tuple(dict.fromkeys(levels.tolist()))

    def _chosen_levels(self, level):
        if level is None:
            return self._levels
        levels = self._check_levels(level, "level")
        n_errors = int(self._count_errors().min())
        needed = errors_needed(levels) if levels else 0
        if needed > n_errors:
            raise ValueError(
                f"level={shown(level)}: an interval of {max(levels):g}% needs {needed} "
                f"windows to calibrate it on, but fit kept {n_errors}. Fit with "
                f"level={max(levels):g}; it was {shown(self.level)}."
            )
        return levels

    def _count_errors(self):
        """(horizon, n_targets) how many finite errors there are to calibrate intervals on."""
        return np.isfinite(self._errors["model"][..., 0]).sum(axis=0)

    # Forecasting

    def _forecast(self, inputs, windows):
        """(n, horizon, n_targets, n_quantiles) forecasts on the scale of the series, by rising
        quantile."""
        layout = self._layout
        shape = len(windows), layout.horizon, layout.n_targets, len(self._quantile_levels)
        scores, _ = self._forward_sequences(inputs.sequences(windows))
        left = scores.astype(np.float64).reshape(shape) * self._left_scale[..., None]
        left += self._left_offset[..., None]
        if self._linear is not None:
            left += self._linear.predict(inputs, windows)[..., None]
        values = windows.baseline[..., None] + windows.scale[:, None, :, None] * left
        return np.sort(values, axis=-1)

    def _median(self, values):
        return values[..., self._quantile_levels.index(0.5)]

    def _ends(self, values, level):
        """What the interval of a level is put around: two quantiles, or twice the median."""
        tails = (100 - level) / 200, (100 + level) / 200
        found = [
            next((k for k, q in enumerate(self._quantile_levels) if np.isclose(q, tail)), None)
            for tail in tails
        ]
        if None in found:
            median = self._median(values)
            return median, median
        return tuple(values[..., k] for k in found)

    def _no_errors(self):
        """Errors of a model that has not been calibrated: none, and intervals are infinite."""
        layout = self._layout
        shape = 0, layout.horizon, layout.n_targets
        errors = {name: np.empty(shape) for name in NAIVE}
        return {"model": np.empty((*shape, len(self._quantile_levels))), **errors}

    def _calibrate(self, panel):
        """Errors on the last windows, of each quantile and of naive forecasts, in units of the
        scale; infinite where that is 0 and there is an error. Of them the radii of all
        intervals follow."""
        self._errors = self._no_errors()
        if not self._levels:
            return
        counts = panel.lengths - self._layout.horizon - self._trained_lengths + 1
        inputs, windows = self._last_windows(panel, counts)
        followed, scale = inputs.followed(windows), windows.scale[:, None]
        values = self._forecast(inputs, windows)
        self._errors["model"] = _in_scales(followed[..., None] - values, scale[..., None])
        for name, baseline in NAIVE.items():
            forecast = inputs.baseline(baseline, windows.series, windows.origins)
            self._errors[name] = _in_scales(followed - forecast, scale)

    def _radius(self, name, level):
        """(horizon, n_targets) by how many scales an interval of the model, or of a naive
        forecast, reaches beyond its ends."""
        errors = self._errors[name]
        ends = self._ends(errors, level) if name == "model" else (errors, errors)
        return radii(distances(*ends), [level])[0]

    def _output_names(self, levels):
        ends = [f"y_hat-{end}-{level:g}" for level in levels for end in ("lo", "hi")]
        return ["y_hat", *ends, *(f"y_hat-q{q:g}" for q in self._quantile_levels if q != 0.5)]

    def _with_intervals(self, values, scale, levels):
        """(n, horizon, n_targets, n_names) forecasts, ends of intervals and quantiles."""
        median = self._median(values)
        columns = [median]
        for level in levels:
            lower, upper = self._interval("model", level, *self._ends(values, level), scale)
            columns += [np.minimum(lower, median), np.maximum(upper, median)]
        # Of levels around quantiles and others around the median a higher one may be narrower.
        rising = [1 + 2 * k for k in np.argsort(levels, kind="stable")]
        for inner, outer in pairwise(rising):
            columns[outer] = np.minimum(columns[outer], columns[inner])
            columns[outer + 1] = np.maximum(columns[outer + 1], columns[inner + 1])
        columns += [values[..., k] for k, q in enumerate(self._quantile_levels) if q != 0.5]
        return np.stack(columns, axis=-1)

    def _widened(self, forecasts, levels):
        """(n, steps, n_targets, n_names) forecasts whose ends of intervals and quantiles in
        later blocks are as far from the median as if the errors of blocks were independent:
        variances add up, to that of a step in its block that of the last step of the first
        block for each block before."""
        n = self._layout.horizon
        if forecasts.shape[1] <= n:
            return forecasts
        signs = [-1.0, 1.0] * len(levels)
        signs += [np.sign(q - 0.5) for q in self._quantile_levels if q != 0.5]
        median = forecasts[..., :1]
        distances = forecasts[..., 1:] - median
        blocks = np.arange(n, forecasts.shape[1])[:, None, None] // n
        variances = distances[:, n:] ** 2 + blocks * distances[:, n - 1 : n] ** 2
        out = forecasts.copy()
        out[:, n:, :, 1:] = median[:, n:] + signs * np.sqrt(variances)
        return out

    def _interval(self, name, level, lower, upper, scale):
        """Both ends, widened by the calibrated radius."""
        radius = self._radius(name, level)
        # A constant window's scale is 0, and its interval is of no width.
        with np.errstate(invalid="ignore"):
            reach = np.where(scale[:, None] > 0, radius * scale[:, None], 0)
        return [lower - reach, upper + reach]

    def _end_of(self, panel, n=0):
        """A copy of the last steps of each series, as many as forecasts from its end, or from
        up to n steps before it, depend on."""
        columns = panel.targets, panel.past, panel.known
        if any(np.isnan(array).any() for array in columns):
            # What is missing now may have been there long ago.
            return panel.last(int(panel.lengths.max()))
        layout, season = self._layout, self._layout.season
        end = panel.last(layout.context + max(season, layout.back) + n)
        n_cut = panel.lengths - end.lengths
        sums, counts = np.zeros((len(panel), panel.targets.shape[1])), np.zeros_like(n_cut)
        if panel.changes is not None:
            sums, counts = (of.copy() for of in panel.changes)
        for k in np.flatnonzero(n_cut):
            y = panel.targets[panel.series(k)]
            changes = np.abs(y[season : season + n_cut[k]] - y[: n_cut[k]])
            sums[k] = np.cumsum(np.concatenate([sums[k : k + 1], changes]), axis=0)[-1]
        return replace(end, changes=(sums, counts + n_cut))


def _in_scales(errors, scale):
    """Errors over scales; infinite where a scale is 0, but there is an error."""
    without = np.where(errors == 0, 0, np.copysign(np.inf, errors))
    without[np.isnan(errors)] = np.nan
    return np.divide(errors, scale, out=without, where=scale > 0)
