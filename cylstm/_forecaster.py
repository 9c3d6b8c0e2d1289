"""LSTMForecaster: parameters and training. _forecasting.py has what a fitted one does."""

from __future__ import annotations

import functools
import os
from bisect import bisect_left
from collections.abc import Hashable, Sequence
from dataclasses import replace
from datetime import timedelta
from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn.utils._param_validation import Interval

from ._arguments import numbers_as_named, shown, warn_caller
from ._base import NetworkEstimator, rollback_on_error
from ._callbacks import with_callbacks
from ._checks import check_dropout
from ._conformal import errors_needed
from ._dataset import Dataset
from ._dates import CALENDAR
from ._docs import documented
from ._forecasting import ForecastingMixin
from ._linear import FARTHEST, LinearPart
from ._losses import robust_scaling
from ._panel import ROLES, ColumnRoles, Panel, read_panel
from ._parameters import PARAMETERS, Parameter, boolean, choice, integer, optional
from ._training import NonFiniteLossError
from ._window_training import AUTO_BATCH, AUTO_WINDOWS, WINDOWS_PER_HORIZON, WindowTrainer
from ._windows import BASELINES, SCALINGS, SeriesInputs, WindowLayout, WindowPool

# Windows that the linear part and the scales of its errors are learnt from, at most.
LINEAR_WINDOWS, SCALE_WINDOWS = 50_000, 5_000

# An automatic context: a part of the median length of the series, at most so many seasons,
# horizons or steps.
CONTEXT_SHARE, MOST_SEASONS, MOST_HORIZONS, MOST_STEPS = 4, 7, 3, 28

# Where there are few series, so many windows are kept for calibration that there are this many
# times the errors that the highest level needs at least.
ERRORS_PER_LEAST = 2

# Windows that each epoch is validated on, at most: chosen evenly among those held out.
VALIDATION_WINDOWS = 20_000

COLUMNS = "sequence of column names, or of indices for arrays"

OWN_PARAMETERS = {
    "horizon": integer("Number of steps that the network forecasts at once.", 1),
    "context": optional(
        integer(
            f"""Number of steps that the network reads before a forecast. If None, a quarter of
            what the horizon leaves of a series of median length, but at least two seasons and
            the horizon, and at most {MOST_SEASONS} seasons, {MOST_HORIZONS} horizons or
            {MOST_STEPS} steps, whichever is most; in whole seasons. What is more than the
            longest series has is cut off. It is kept in `context_`. With `known` the network
            also reads the value as many whole seasons before each as the horizon has.""",
            1,
        )
    ),
    "season": optional(
        integer(
            """Number of steps of one season. If None, it follows from the dates, if there are
            any (24 for hours, 7 for days, 12 for months, ...), else it is 1: no season. It is
            kept in `season_`.""",
            1,
        )
    ),
    "baseline": choice(
        ["auto", *BASELINES],
        """A simple forecast that is subtracted from what is to be forecast: "last": the last
        value; "seasonal": the values a season before; "zero": nothing but what scaling
        subtracts. "auto": "seasonal" where season > 1, else "last".""",
    ),
    "scaling": choice(
        SCALINGS,
        "What each window is divided by, after its mean was subtracted: "
        + "; ".join(f'"{name}": {what}' for name, what in SCALINGS.items())
        + """. A window that is constant is divided by the mean absolute difference of its
        series so far; a series that has always been constant is forecast to stay so.""",
    ),
    "linear": boolean(
        """Fit a linear model of the windows first (a ridge regression, solved exactly), and
        let the network learn what it leaves: the autoregressive component of LSTNet (Lai et
        al., arXiv:1703.07015).""",
    ),
    "quantiles": Parameter(
        ["array-like", None],
        "sequence of float or None",
        """Levels between 0 and 1 whose quantiles the network learns besides the median, by the
        pinball loss.""",
    ),
    "level": Parameter(
        ["array-like", Interval(Real, 0, 100, closed="neither"), None],
        "sequence of float or None",
        """Levels in percent, such as (80, 95), of intervals calibrated by split conformal
        prediction: of the values to come, as large a share is inside, at each step ahead, as
        long as they are like those that were kept for calibration (Stankeviciute et al. 2021).
        They are around the median, or where `quantiles` has both ends of a level (0.1 and 0.9
        for 80) around these (conformalized quantile regression, Romano et al. 2019). `predict`
        gives these, and others if asked to.""",
    ),
    "calibration_windows": integer(
        f"""With `level`: number of windows at the end of each series that are kept from
        training, to calibrate intervals on; where there are few series as many more as the
        highest level needs (n windows reach a level of n / (n + 1) at most;
        {ERRORS_PER_LEAST} times that are kept, where it leaves anything to train on). The
        number is kept in `calibration_windows_`.""",
        1,
    ),
    "known": Parameter(
        ["array-like", str],
        COLUMNS,
        """Columns that are known ahead, such as prices or holidays. `predict` needs their
        values over the horizon, over which the network then goes on (see Notes).""",
    ),
    "past": Parameter(["array-like", str], COLUMNS, "Columns that are known up to now only."),
    "static": Parameter(
        ["array-like", str], COLUMNS, "Columns with one value for each series."
    ),
    "calendar": Parameter(
        ["array-like", str],
        "sequence of str",
        "What the model sees of the dates, past and future: "
        + ", ".join(f'"{name}"' for name in CALENDAR)
        + """. All but the year as sine and cosine.""",
    ),
    **{
        f"{name}_column": Parameter(
            [Hashable],
            "column name",
            f"In data frames of many series, the column of {what}.",
        )
        for name, what in {
            "id": "the names of the series",
            "time": "the times",
            "target": "the values to forecast",
        }.items()
    },
    "stride": integer("Number of steps from one training window to the next.", 1),
    "max_windows": optional(
        integer(
            f"""Number of windows that an epoch draws at random, anew each time, if there are
            as many. If None, {WINDOWS_PER_HORIZON} for each horizon that fits into the series,
            up to {AUTO_WINDOWS:,}.""",
            1,
        )
    ),
    "batch_size": replace(
        PARAMETERS["batch_size"],
        description=f"""Number of windows per step of the solver. "auto": a tenth of those of
        an epoch, but at least {AUTO_BATCH[0]} and at most {AUTO_BATCH[1]}.""",
    ),
    "early_stopping": boolean(
        """Stop when the loss on held-out windows stops improving, and keep the weights with
        the smallest. These are the last windows of each series; see validation_fraction.""",
    ),
    "validation_fraction": Parameter(
        [Interval(Real, 0, 1, closed="neither")],
        "float",
        f"""Share of the windows of each series to hold out for early_stopping. No window that
        is trained on reaches into what they forecast. Of more than {VALIDATION_WINDOWS:,} so
        many are validated on.""",
    ),
    # As in the table, but for what this class lacks.
    "alpha": replace(
        PARAMETERS["alpha"],
        description="""Strength of the penalty on the weight matrices w of the network (not on
        biases, peepholes, the query of attention or the linear part): alpha * (l1_ratio *
        |w|_1 + (1 - l1_ratio) / 2 * |w|_2^2), divided by the number of windows of an epoch, is
        added to the mean loss.""",
    ),
    "dropout": replace(
        PARAMETERS["dropout"],
        description="""Fraction of the inputs of every layer but the first, and of the head,
        that is set to 0 in training (Zaremba et al., arXiv:1409.2329).""",
    ),
    "pooling": replace(
        PARAMETERS["pooling"],
        description="""How the outputs of the last layer, one for each step of a window, become
        the one vector that forecasts are made from. "last": the output of the last step (in a
        bidirectional network, of each direction's last step); "mean" or "max" over all steps;
        "attention": their weighted mean with a trained weight for each step, softmax of
        v . tanh(A h + a) (Yang et al. 2016). Only "last" with `known`.""",
    ),
    "random_state": replace(
        PARAMETERS["random_state"],
        description="""Determines the initial weights, dropout, and which windows the linear
        part and each epoch draw. Pass an int for reproducible results.""",
    ),
}

SERIES = """\
y : array, Series, data frame, or list of these
    One series: a 1-D array or Series, or a 2-D array or data frame (n_steps, n_columns),
    whose columns are forecast together unless they are `known`, `past` or `static`.
    Several series, of any lengths, which share one model: a list of these; or
    a long data frame (pandas, polars, pyarrow) with a column of ids, a column of times and
    a column of values (`id_column`, `time_column`, `target_column`), and further ones.
    Rows with times may be in any order; times must be equally spaced. NaN is a missing
    value: it is replaced by the last one, with an indicator beside it, and not trained on
    as a target.
"""

WEIGHTS = """\
weights_ : dict of str to array
    Named views of all parameters of the network; writing to them changes the model. Names
    and shapes are those of LSTMRegressor. ``head.weight`` and ``head.bias`` have a row for
    each step of the horizon, target and quantile (the median among them, by rising level):
    all rows of a step follow each other, among them those of a target. With `known` all
    steps have the same rows.
"""


@documented(OWN_PARAMETERS, series=SERIES, weights_=WEIGHTS)
class LSTMForecaster(  # type: ignore[call-arg]
    ForecastingMixin, NetworkEstimator, auto_wrap_output_keys=None
):
    """Forecasts time series: one network for one series or many, several steps at once.

    A window of each series is read by an LSTM, scaled by itself, and what follows it is
    forecast as a baseline plus a linear model of the window plus the output of the network,
    for all steps of the horizon at once. Nothing that comes after the origin of a forecast
    enters it, but for columns that are known ahead.

    The point forecast is the median: the loss is the absolute error.

    Parameters
    ----------
    %(parameters)s

    Attributes
    ----------
    context_ : int
        Number of steps that the network reads.

    season_ : int
        Number of steps of a season.

    calibration_windows_ : int
        Number of windows of each series that intervals are calibrated on; where training
        continued less those that were trained on before.

    %(weights_)s

    loss_ : float
        Mean objective over the last epoch: the absolute error (with `quantiles` the pinball
        loss) of what the linear part leaves, in units of its spread, plus penalty.

    %(loss_curve_)s

    validation_scores_ : list of float or None
        Minus the loss on the held-out windows after each epoch, with early_stopping; errors
        beyond 30 scales of a window count as that.

    %(best_validation_score_)s

    %(history_)s

    %(n_iter_)s

    t_ : int
        Number of windows trained on, over all epochs.

    See Also
    --------
    TimeSeriesOrigins : Splits series for GridSearchCV.
    cylstm.metrics : Errors of forecasts.
    cylstm.plotting.ForecastDisplay : Plots forecasts.

    Notes
    -----
    What the network reads at each step: the value and its difference from the one a season
    before, both in units of the window's scale; indicators of missing values; the logarithm of
    the window's scale over its level; past, known, calendar and static columns.

    With `known` it goes on over the steps of the horizon, and each is forecast from the state
    there: one LSTM is encoder and decoder. It then has two inputs more: the value as many
    whole seasons before as cover the horizon, and whether a step is in the horizon, where what
    is not known ahead is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from cylstm import LSTMForecaster
    >>> t = np.arange(200)
    >>> y = 10 + t / 10 + np.sin(t * 2 * np.pi / 12)
    >>> model = LSTMForecaster(horizon=6, season=12, level=[80], random_state=0).fit(y[:-6])
    >>> forecast = model.predict()
    >>> forecast.shape  # the forecast and the ends of its interval
    (6, 3)
    >>> bool(np.abs(forecast[:, 0] - y[-6:]).max() < 0.5)
    True
    """

    def __init__(
        self,
        horizon: int = 1,
        *,
        context: int | None = None,
        season: int | None = None,
        baseline: str = "auto",
        scaling: str = "differences",
        linear: bool = True,
        quantiles: Sequence[float] | None = None,
        level: Sequence[float] | float | None = None,
        calibration_windows: int = 2,
        known: Sequence[Hashable] = (),
        past: Sequence[Hashable] = (),
        static: Sequence[Hashable] = (),
        calendar: Sequence[str] = (),
        id_column: Hashable = "unique_id",
        time_column: Hashable = "ds",
        target_column: Hashable = "y",
        stride: int = 1,
        max_windows: int | None = None,
        hidden_layer_sizes: int | Sequence[int] = (40,),
        cell: str = "lstm",
        activation: str = "tanh",
        projection_size: int | None = None,
        bidirectional: bool = False,
        residual: bool = False,
        layer_norm: bool = False,
        pooling: str = "last",
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        alpha: float = 0.0,
        l1_ratio: float = 0.0,
        solver: str = "adam",
        learning_rate_init: float = 2e-3,
        learning_rate: str = "cosine",
        cosine_epochs: int | None = None,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        clip_norm: float | None = 1.0,
        batch_size: int | str = "auto",
        max_iter: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int | None = None,
        tol: float = 1e-4,
        warm_start: bool = False,
        dtype: str | type = "float32",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int | bool = 0,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int | timedelta = 1,
    ) -> None:
        self.horizon = horizon
        self.context = context
        self.season = season
        self.baseline = baseline
        self.scaling = scaling
        self.linear = linear
        self.quantiles = quantiles
        self.level = level
        self.calibration_windows = calibration_windows
        self.known = known
        self.past = past
        self.static = static
        self.calendar = calendar
        self.id_column = id_column
        self.time_column = time_column
        self.target_column = target_column
        self.stride = stride
        self.max_windows = max_windows
        self.hidden_layer_sizes = hidden_layer_sizes
        self.cell = cell
        self.activation = activation
        self.projection_size = projection_size
        self.bidirectional = bidirectional
        self.residual = residual
        self.layer_norm = layer_norm
        self.pooling = pooling
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.weight_dropout = weight_dropout
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.learning_rate = learning_rate
        self.cosine_epochs = cosine_epochs
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.clip_norm = clip_norm
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    @rollback_on_error
    @with_callbacks
    def fit(self, y: Any) -> Self:
        """Train on series.

        Ctrl-C ends training with a warning and keeps the weights reached.

        Parameters
        ----------
        %(series)s

        Returns
        -------
        self : LSTMForecaster

        Raises
        ------
        ValueError
            If a parameter or y is invalid, a series shorter than season + 1 steps, or the
            horizon longer than all series; a model fitted before stays as it was. If the loss
            becomes NaN or infinite; the model then keeps the weights from before that epoch.
        """
        self._validate_params()
        return self._fit(y, resume=self._resumes(), partial=False, n_epochs=self.max_iter)

    @rollback_on_error
    @with_callbacks
    def partial_fit(self, y: Any) -> Self:
        """Continue training with one epoch on series, which `predict` then continues.

        The first call settles context, season, the scales of all columns and the linear part.
        With `level` intervals are calibrated on the last windows of y, but for those that the
        call before trained on in the same series (of the same id and values). If these have
        new steps or `level` was the same, enough are left.

        Parameters
        ----------
        %(series)s

        Returns
        -------
        self : LSTMForecaster
        """
        self._validate_params()
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True.")
        resume = self.__sklearn_is_fitted__()
        return self._fit(y, resume=resume, partial=True, n_epochs=1)

    @property
    def context_(self) -> int:
        """The number of steps that the network reads."""
        return self._fitted_layout.context

    @property
    def season_(self) -> int:
        """The number of steps of a season."""
        return self._fitted_layout.season

    # Training

    def _fit(self, y, *, resume, partial, n_epochs):
        check_dropout(self)
        checkpoint = self._open_checkpoint(partial)
        self._quantile_levels = self._check_quantiles()
        self._levels = self._check_levels(self.level, "level")
        roles = self._check_roles()
        panel = y if isinstance(y, Panel) else read_panel(y, roles)
        if resume:
            self._check_continues(panel, roles)
        else:
            self._layout = self._settle(panel)
            self._frequency = panel.frequency
        self._roles, layout = roles, self._layout
        self._check_long_enough(panel)
        if not resume and layout.horizon > panel.lengths.max():
            raise ValueError(
                f"horizon={layout.horizon} is more than the {panel.lengths.max()} steps of "
                "the longest series."
            )
        lengths, self.calibration_windows_ = self._keep_for_calibration(panel)
        if resume:  # nothing that was trained on is calibrated on
            lengths = np.maximum(lengths, self._trained_steps(panel))
        trained, held_out = self._keep_for_validation(lengths)
        if not resume:
            layout.learn_columns(panel, trained)
        pool = self._make_pool(panel.first(trained))
        n_inputs = pool.inputs.values.shape[1]
        network = self._make_network(resume, **self._network_of(n_inputs))
        n_steps = layout.context + layout.n_ahead
        self._start_training(network, resume, checkpoint, span=n_steps)
        if not resume:
            self._learn_linear(pool)
        if checkpoint is not None:
            columns = panel.targets, panel.known, panel.past, panel.static
            checkpoint.add_data({"y": (*columns, panel.starts, panel.lengths, panel.times)})
        # Before training, so that callbacks can predict.
        self._panel, self._errors = self._end_of(panel), self._no_errors()
        self._fitted_lengths, self._trained_lengths = panel.lengths, lengths
        n_samples = self.max_windows
        if n_samples is None:
            independent = int(pool.inputs.lengths.sum()) // layout.horizon
            n_samples = min(WINDOWS_PER_HORIZON * max(independent, 1), AUTO_WINDOWS)
        n_samples = min(len(pool), int(n_samples))
        make_trainer = functools.partial(
            WindowTrainer,
            draw=functools.partial(self._draw, pool),
            n_samples=n_samples,
            n_steps=n_steps,
            batch_size=self.batch_size,
            random_state=self._random_state,
            bptt_steps=None,
        )
        try:
            self._train(
                network,
                make_trainer,
                (y, None, None),
                total_weight=float(n_samples),
                resume=resume,
                partial=partial,
                n_epochs=n_epochs,
                validate=self._make_validation(panel.first(lengths), held_out),
                checkpoint=checkpoint,
            )
        except NonFiniteLossError:
            self._calibrate(panel)  # the model keeps its last finite weights
            raise
        del pool, make_trainer
        self._calibrate(panel)
        self._warn_of_infinite_intervals()
        return self

    def _warn_of_infinite_intervals(self):
        n, counts = len(self._errors["model"]), self._count_errors().min(axis=1)
        for level in self._levels:
            steps = np.flatnonzero(np.isinf(self._radius("model", level)).any(axis=1))
            if len(steps):
                warn_caller(
                    f"Intervals of {level:g}% are infinite at step {steps[0] + 1} ahead: too "
                    "few windows kept for calibration have a finite error there "
                    f"({counts[steps[0]]} of {n})."
                )

    def _make_pool(self, panel):
        """The windows to train on."""
        inputs = SeriesInputs(self._layout, panel)
        pool = WindowPool(inputs, *self._training_origins(inputs), self.stride)
        self._check_windows(pool)
        return pool

    def _make_validation(self, panel, held_out):
        """callable() -> score on so many windows at the end of each series; None without."""
        if held_out is None:
            return None
        inputs, windows = self._last_windows(panel, held_out, VALIDATION_WINDOWS)
        if np.isnan(inputs.targets_of(windows)).all():
            raise ValueError(
                "early_stopping has nothing to validate on: no series has season + 1 = "
                f"{self._layout.least} steps that are not all the same, and the horizon after "
                "them. Set early_stopping=False."
            )
        return functools.partial(self._validate, inputs, windows)

    def _check_quantiles(self):
        """All levels that the network learns, from 0 to 1; the median among them."""
        levels = numbers_as_named(() if self.quantiles is None else self.quantiles)
        if not ((levels > 0) & (levels < 1)).all():
            raise ValueError(
                f"quantiles={shown(self.quantiles)} must be numbers between 0 and 1."
            )
        return tuple(sorted({0.5, *levels.tolist()}))

    def _check_roles(self):
        roles = {}
        for name in ("known", "past", "static"):
            columns = getattr(self, name)
            if isinstance(columns, (set, frozenset)):
                raise ValueError(f"{name}={shown(columns)} has no order; give a list.")
            columns = [columns] if isinstance(columns, str) else list(columns)
            if not all(isinstance(column, Hashable) for column in columns):
                raise ValueError(
                    f"{name}={shown(columns)} must be names or indices of columns."
                )
            roles[name] = tuple(columns)
        return ColumnRoles(
            **roles,
            id_column=self.id_column,
            time_column=self.time_column,
            target_column=self.target_column,
        )

    def _calendar_columns(self):
        return (self.calendar,) if isinstance(self.calendar, str) else tuple(self.calendar)

    def _season_of(self, panel):
        if self.season is not None:
            return int(self.season)
        return 1 if panel.frequency is None else panel.frequency.season

    def _settle(self, panel):
        """What all windows have in common."""
        season, horizon = self._season_of(panel), int(self.horizon)
        baseline = self.baseline
        if baseline == "auto":
            baseline = "seasonal" if season > 1 else "last"
        context = self.context
        if context is None:
            share = (int(np.median(panel.lengths)) - horizon) // CONTEXT_SHARE
            most = max(MOST_SEASONS * season, MOST_HORIZONS * horizon, MOST_STEPS)
            context = max(min(share, most), 2 * season, horizon)
            context -= context % season if context % season < context else 0
        self._context_of_settling = self.context
        return WindowLayout(
            min(int(context), int(panel.lengths.max())),
            horizon,
            season,
            baseline,
            self.scaling,
            self._calendar_columns(),
            panel.targets.shape[1],
        )

    def _check_continues(self, panel, roles):
        """Refuse to continue training on series of another kind, or with other windows."""
        self._check_like_fitted(panel, "y")
        layout = self._layout
        baseline = layout.baseline if self.baseline == "auto" else self.baseline
        context = self.context
        if context is None or context == self._context_of_settling:
            context = layout.context
        settings = {
            "horizon": (layout.horizon, int(self.horizon)),
            "context": (layout.context, int(context)),
            "season": (layout.season, int(self.season or layout.season)),
            "baseline": (layout.baseline, baseline),
            "scaling": (layout.scaling, self.scaling),
            "linear": (self._linear is not None, bool(self.linear)),
            **{name: (getattr(self._roles, name), getattr(roles, name)) for name in ROLES},
            "calendar": (layout.calendar, self._calendar_columns()),
        }
        changes = [
            f"{name} from {shown(was)} to {shown(now)}"
            for name, (was, now) in settings.items()
            if was != now
        ]
        if changes:
            raise ValueError(
                "Training cannot continue: parameters that shape the windows changed since "
                f"the first fit: {', '.join(changes)}. Set them back, or fit a new forecaster."
            )

    def _keep_for_calibration(self, panel):
        """Steps of each series to train and validate on, and the number of windows at the end
        of each that are for calibration."""
        if not self._levels:
            return panel.lengths, 0
        layout, needed = self._layout, errors_needed(self._levels)
        windows = np.maximum(self._seen_steps(panel) - layout.horizon - layout.least + 1, 0)
        for times in range(ERRORS_PER_LEAST, 0, -1):
            least = 1 + bisect_left(
                range(1, times * needed),
                times * needed,
                key=lambda n: np.minimum(windows, n).sum(),
            )
            n = max(int(self.calibration_windows), least)
            left = np.maximum(panel.lengths - layout.horizon - n + 1, 0)
            if left.max() > layout.least + layout.horizon:
                break
        return left, n

    def _keep_for_validation(self, lengths):
        """Steps of each series to train on, and the number of windows of each that are held
        out."""
        if not self.early_stopping:
            return lengths, None
        horizon = self._layout.horizon
        windows = np.maximum(lengths - horizon - self._layout.least + 1, 0)
        held_out = np.ceil(windows * self.validation_fraction).astype(np.int64)
        return np.where(held_out > 0, lengths - horizon - held_out + 1, lengths), held_out

    def _training_origins(self, inputs):
        """First and last origin of each series. Where the horizon is not whole after any, what
        there is of it counts."""
        first = inputs.first + self._layout.least
        last = inputs.lengths - self._layout.horizon
        return first, np.where(last < first, inputs.lengths - 1, last)

    def _check_windows(self, pool):
        if len(pool) > 0:
            return
        layout = self._layout
        kept, lower = "", False
        if self.calibration_windows_:
            kept = (
                f", and level={shown(self.level)} keeps the last "
                f"{layout.horizon + self.calibration_windows_ - 1} steps of each to calibrate"
            )
            of_one = int(pool.inputs.lengths.max()) + self.calibration_windows_ - 1
            lower = (
                self.calibration_windows_ == self.calibration_windows
                and of_one >= layout.season + 2
            )
        if self.early_stopping:
            kept += ", and early_stopping some before them"
        raise ValueError(
            f"y leaves nothing to train on: a series needs season + 2 = {layout.season + 2} "
            f"steps at least, of which the last is forecast{kept}."
            + (" Lower calibration_windows." if lower else "")
        )

    def _network_of(self, n_inputs):
        """Architecture that follows from the windows."""
        layout = self._layout
        n_outputs, levels = layout.horizon * layout.n_targets, self._quantile_levels
        if layout.n_ahead:
            n_outputs = layout.n_targets
            if self.pooling != "last":
                raise ValueError(
                    f'pooling={self.pooling!r} must be "last" with columns in known: each '
                    "step of the horizon is forecast from the state there."
                )
        several = len(levels) > 1
        return {
            "n_inputs": n_inputs,
            "n_scores": n_outputs * len(levels),
            "loss": "quantile" if several else "absolute_error",
            "levels": tuple(levels) * n_outputs if several else (),
            "bidirectional": bool(self.bidirectional),
            "pooling": self.pooling,
            "n_ahead": layout.n_ahead,
        }

    def _learn_linear(self, pool):
        """The linear part, and center and spread of what it leaves, per step and target."""
        self._warn_of_steps_beyond(pool)
        random_state = np.random.RandomState(self._split_seed)
        windows = pool.draw(min(len(pool), LINEAR_WINDOWS), random_state)
        self._linear = LinearPart(pool.inputs, windows) if self.linear else None
        left = self._left(pool.inputs, windows.take(slice(SCALE_WINDOWS)))
        self._left_offset, self._left_scale = (np.empty(left.shape[1:]) for _ in range(2))
        for k, j in np.ndindex(*left.shape[1:]):
            column = left[:, k, j]
            column = column[~np.isnan(column), None]
            if len(column) == 0:  # nothing is known of this step
                column = np.zeros((1, 1))
            offset, scale = robust_scaling(column, np.ones(len(column)))
            self._left_offset[k, j], self._left_scale[k, j] = offset[0], scale[0]

    def _warn_of_steps_beyond(self, pool):
        horizon = self._layout.horizon
        first = pool.last - (pool.counts - 1) * pool.stride
        n_ahead = int((pool.inputs.lengths - first).max())
        if n_ahead < horizon:
            warn_caller(
                f"horizon={horizon}: no window to train on has a value of step {n_ahead + 1} "
                "ahead, or of later ones. Forecasts of these are little more than the "
                "baseline."
            )

    def _left(self, inputs, windows):
        """(n, horizon, n_targets) what the linear part leaves of the targets."""
        targets = inputs.targets_of(windows)
        return (
            targets
            if self._linear is None
            else targets - self._linear.predict(inputs, windows)
        )

    def _draw(self, pool, n, random_state):
        """Dataset of n windows for the network."""
        windows = pool.draw(n, random_state)
        return self._dataset(pool.inputs, windows)

    def _dataset(self, inputs, windows):
        targets = (self._left(inputs, windows) - self._left_offset) / self._left_scale
        targets = targets.reshape(len(windows), -1).astype(self._network.dtype)
        weights = (~np.isnan(targets)).any(axis=1).astype(targets.dtype)
        return Dataset(inputs.sequences(windows), targets, weights)

    def _last_windows(self, panel, counts, most=None):
        """(inputs, windows) the last windows of each series, so many; of more than `most` in
        all so many of them."""
        horizon = self._layout.horizon
        end = self._end_of(panel, horizon + int(counts.max()) - 1)
        inputs = SeriesInputs(self._layout, end)
        last = inputs.lengths - horizon
        first = np.maximum(last - counts + 1, inputs.first + self._layout.least)
        pool = WindowPool(inputs, np.where(counts > 0, first, last + 1), last)
        n = len(pool) if most is None else min(len(pool), most)
        return inputs, pool.take(np.arange(n) * len(pool) // max(n, 1))

    def _validate(self, inputs, windows):
        """Minus the mean loss on windows, in the units of training. Errors beyond FARTHEST
        scales of a window are cut off there: windows that happen to be almost constant would
        outweigh all others."""
        values = self._forecast(inputs, windows)
        error = inputs.followed(windows)[..., None] - values
        scale = windows.scale[:, None, :, None]
        error = np.divide(error, scale, out=np.full_like(error, np.nan), where=scale > 0)
        error = np.clip(error, -FARTHEST, FARTHEST) / self._left_scale[..., None]
        q = np.array(self._quantile_levels)
        return -2 * np.nanmean(np.maximum(q * error, (q - 1) * error))

    def _progress(self, history, speed):
        yield from super()._progress(history, speed)
        yield f"{speed:,.0f} windows/s"
