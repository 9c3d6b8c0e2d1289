"""Whether the fields of an object of a model file go together.

Each has a value of its kind (`_schema`); what is checked here is that sizes, names and numbers
of one are those of the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._arguments import shown
from ._backtest import NAIVE
from ._checks import check_layer_norm, check_projection, check_residual
from ._dates import CALENDAR, check_zone
from ._losses import REGRESSION_LOSSES
from ._panel import ROLES
from ._schema import INTEGERS, MATRIX, VECTOR, array
from ._windows import SeriesInputs

# Steps of a context without a linear part, whose size would tell it, unless there are series
# of more.
MOST_CONTEXT = 100_000


def check(made: Any) -> None:
    """Refuse an object of which fields do not go together."""
    name = type(made).__name__
    if name in _CHECKS:
        _CHECKS[name](made)


def _need(fits: Any, what: str) -> None:
    if not fits:
        raise ValueError(what)


def _check_architecture(a):
    _need(a.hidden_layer_sizes, "hidden_layer_sizes is empty")
    check_projection(a.projection, a.cell, [*a.hidden_layer_sizes])
    check_residual(a)
    check_layer_norm(a)
    ways = bool(a.per_step), a.pooling != "last", a.n_ahead > 0
    _need(sum(ways) < 2, "per_step, pooling and n_ahead do not go together")
    n_levels = a.n_scores if a.loss == "quantile" else 0
    _need(len(a.levels) == n_levels, f"there are {len(a.levels)} levels, not {n_levels}")
    _need(all(0 < q < 1 for q in a.levels), f"the levels are {shown(a.levels)}")
    _need(a.chain == (a.loss == "crf"), f"chain is {a.chain} with the loss {a.loss}")
    _need(a.per_step or not a.chain, "a chain needs the scores of all steps")
    if a.tied:
        fits = a.n_inputs == a.n_features and a.n_scores <= a.vocabulary
        _need(fits, "the head cannot be tied to the embedding")


def _check_history(history):
    lengths = {len(curve) for curve in history.curves}
    _need(
        lengths == {history.n_iter}, f"n_iter is {history.n_iter}, the curves have {lengths}"
    )


def _check_vocabulary(vocabulary):
    tokens = [*vocabulary.numbers]
    is_text = vocabulary.kind != "integers"
    _need(tokens, "the vocabulary is empty")
    _need(all(isinstance(t, str) == is_text for t in tokens), "tokens are of another kind")
    numbers = [*vocabulary.numbers.values()]
    _need(numbers == [*range(len(numbers))], "the vocabulary has a token twice")
    if vocabulary.kind == "characters":
        _need(all(len(t) == 1 for t in tokens), "a token is not one character")


def _check_layout(layout):
    for name in layout.calendar:
        _need(name in CALENDAR, f"calendar has {shown(name)}")
    arrays = [*layout.gaps.values(), *layout.offsets.values(), *layout.scales.values()]
    _need(all(type(x) is np.ndarray and x.ndim == 1 for x in arrays), "columns are no arrays")
    _need(layout.gaps.keys() == {"targets", "past", "known"}, "gaps are of other columns")
    names = {"past", "known", "static"} | ({"year"} & set(layout.calendar))
    _need(
        names <= layout.offsets.keys() == layout.scales.keys(), "scales are of other columns"
    )
    _need(len(layout.ratios) == layout.n_targets, "ratios are not of the targets")


def _check_frequency(frequency):
    if frequency.zone is not None:
        check_zone(frequency.zone, "the frequency")


def _check_time_type(time_type):
    _need(not isinstance(time_type.dtype, str), f"times are of dtype {time_type.dtype}")
    if time_type.zone is not None:
        check_zone(time_type.zone, "the times")


def _check_panel(panel):
    rows, n = len(panel.targets), len(panel.lengths)
    of_rows = panel.known, panel.past, *(() if panel.times is None else (panel.times,))
    _need(n > 0 and all(len(x) == rows for x in of_rows), "columns differ in length")
    _need(
        n == len(panel.starts) == len(panel.offsets) == len(panel.static) == len(panel.ids),
        "there are different numbers of series",
    )
    inside = (panel.lengths >= 1) & (panel.starts >= 0) & (panel.starts < rows)
    inside &= panel.lengths <= rows - panel.starts
    _need(inside.all() and (panel.offsets >= 0).all(), "a series is outside of the rows")
    follow = (panel.starts == np.cumsum(panel.lengths) - panel.lengths).all()
    _need(follow and panel.lengths.sum() == rows, "series do not follow each other")
    ids = getattr(panel.form, "id_values", None)
    n_forms = len(getattr(panel.form, "forms", [0] if ids is None else ids))
    _need(n_forms == n, "there are different numbers of series")
    if panel.changes is not None:
        sums, counts = panel.changes
        fits = MATRIX.fits(sums) and sums.shape == (n, panel.targets.shape[1])
        _need(fits and INTEGERS.fits(counts) and len(counts) == n, "changes are not of series")


def _check_training(model):
    network, optimizer = model._network, vars(model).get("_optimizer")
    _need(len(model._seeds) == 2, "there are not two seeds")
    if optimizer is not None and optimizer.moments is not None:
        shape = optimizer.rule.n_moments, network.architecture.n_parameters
        fits = optimizer.moments.shape == shape and optimizer.moments.dtype == network.dtype
        _need(fits, "the moments are not those of the network")


def _check_supervised(model):
    _check_training(model)
    a, form = model._network.architecture, model._input_format
    _need(a.n_ahead == 0, "the network has scores of steps ahead")
    _need((form.dtype, form.per_step) == (a.dtype, a.per_step), "X and network differ")
    tokens = form.form == "tokens"
    fits = tokens == (a.vocabulary > 0) and form.vocabulary == a.vocabulary
    fits = fits and form.n_features == (1 if tokens else a.n_inputs)
    _need(fits, "X and network differ in their features")
    _check_names(model)


def _check_names(model):
    names = vars(model).get("feature_names_in_")
    _need(names is None or len(names) == model.n_features_in_, "there are other names")


def _check_regressor(model):
    _check_supervised(model)
    a, n = model._network.architecture, model.n_outputs_
    kernels = {(loss.kernel, loss.out_activation) for loss in REGRESSION_LOSSES.values()}
    fits = (a.loss, model.out_activation_) in kernels
    _need(fits, f"a network with the loss {a.loss} has no {model.out_activation_} outputs")
    fits = a.n_scores % n == 0 and (a.levels or a.n_scores == n)
    _need(fits, f"a network of {a.n_scores} scores does not predict {n} outputs")
    _need(n == 1 or not model._y_is_1d, "y has several outputs in one dimension")
    _need(len(model.y_offset_) == len(model.y_scale_) == n, "y_scale_ is not of the outputs")


def _check_classifier(model):
    _check_supervised(model)
    a, n = model._network.architecture, len(model.classes_)
    one = n == 2 and not model._multilabel and not a.chain
    fits = a.n_scores == model.n_outputs_ == (1 if one else n)
    _need(fits, f"{n} classes are too many or too few for the network")
    kernel = "logistic" if model._multilabel or one else "softmax"
    kernel = "crf" if model._fitted_loss == "crf" else kernel
    _need(a.loss == model.out_activation_ == kernel, "loss and network differ")


def _check_language_model(model):
    _check_training(model)
    a, n = model._network.architecture, len(model._vocabulary)
    fits = a.per_step and a.loss == "softmax" and a.vocabulary == n + 1
    _need(fits and a.n_scores == n + model._ends, "vocabulary and network differ")


def _check_forecaster(model):
    _check_training(model)
    layout, panel, roles = model._layout, model._panel, model._roles
    levels, a = model._quantile_levels, model._network.architecture
    h, k, n = layout.horizon, layout.n_targets, len(panel)
    _need(all(0 < q < 1 for q in levels) and 0.5 in levels, "quantile levels have no median")
    _need([*levels] == sorted(set(levels)), "quantile levels are out of order")
    fits = all(1 <= level < 100 for level in model._levels)
    _need(fits and len({*model._levels}) == len(model._levels), "levels are no percents")
    n_scores = k * len(levels) * (1 if layout.n_ahead else h)
    fits = a.n_ahead == layout.n_ahead and a.n_scores == n_scores
    _need(fits, "horizon and network differ")
    counts = {"targets": k, **{name: len(getattr(roles, name)) for name in ROLES}}
    for name, count in counts.items():
        fits = getattr(panel, name).shape[1] == count
        fits &= all(
            len(of[name]) == count
            for of in (layout.gaps, layout.offsets, layout.scales)
            if name in of
        )
        _need(fits, f"there are not {count} {name} columns everywhere")
    shapes = dict.fromkeys(NAIVE, (h, k)) | {"model": (h, k, len(levels))}
    _need(model._errors.keys() == shapes.keys(), "errors are of other forecasts")
    for name, shape in shapes.items():
        errors = model._errors[name]
        fits = type(errors) is np.ndarray and errors.dtype == np.float64
        _need(fits and errors.shape[1:] == shape, f"errors of {name} are not of the horizon")
    for x in (model._left_offset, model._left_scale):
        _need(x.shape == (h, k), "units are not of the horizon")
    for x in (model._fitted_lengths, model._trained_lengths):
        _need(len(x) == n, "lengths are not of the series")
    fits = (panel.lengths <= model._fitted_lengths).all() and (
        (model._trained_lengths >= 0) & (model._trained_lengths <= model._fitted_lengths)
    ).all()
    _need(fits, "lengths are not of the series")
    if model._linear is not None:
        _check_linear(model._linear, layout, panel.static.shape[1])
    longest = max(len(panel.targets), MOST_CONTEXT)
    _need(model._linear is not None or layout.context <= longest, "the context is too long")
    model._check_long_enough(panel)
    # What windows need of all this is seen on one of them.
    one = panel.take(np.arange(1))
    _need(SeriesInputs(layout, one).values.shape[1] == a.n_inputs, "inputs and network differ")
    future = np.zeros((1, h, len(roles.known)))
    forecasts = model._forecasts_after(one, future, model._levels)
    one.form.wrap(one, forecasts, model._output_names(model._levels), h)


def _check_linear(linear, layout, n_static):
    h, k, n = layout.horizon, layout.n_targets, layout.context + 1 + n_static
    _need(
        len(linear._units) == len(linear._fits) == k, "there are not as many fits as targets"
    )
    for fit in linear._fits:
        _need(type(fit) is tuple and len(fit) == 3, "a fit is not three arrays")
        of_window, of_step, intercepts = fit
        fits = array("f", n, h).fits(of_window) and VECTOR.fits(of_step)
        _need(fits and array("f", h).fits(intercepts), "a fit is not of the windows")


def _check_imputer(model):
    _check_names(model)
    n = len(model.statistics_)
    for chosen in (model.indicator_features_, model.elapsed_features_):
        fits = ((chosen >= 0) & (chosen < n)).all() and (np.diff(chosen) > 0).all()
        _need(fits, "there are no such features")
    _need(model._form == "columns" or model.n_features_in_ == n, "statistics_ are of others")
    _need(model._n_step_features == n or model._form != "columns", "statistics_ are of others")


def _check_stepwise(model):
    _check_names(model)
    n = getattr(model.transformer_, "n_features_in_", model.n_features_in_)
    _need(n == model.n_features_in_, f"transformer_ has {n} features")


_CHECKS: dict[str, Callable[[Any], None]] = {
    "Architecture": _check_architecture,
    "Frequency": _check_frequency,
    "History": _check_history,
    "LSTMClassifier": _check_classifier,
    "LSTMForecaster": _check_forecaster,
    "LSTMLanguageModel": _check_language_model,
    "LSTMRegressor": _check_regressor,
    "Panel": _check_panel,
    "SequenceImputer": _check_imputer,
    "StepwiseTransformer": _check_stepwise,
    "TimeType": _check_time_type,
    "Vocabulary": _check_vocabulary,
    "WindowLayout": _check_layout,
}
