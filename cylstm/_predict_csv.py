"""What `python -m cylstm predict` does: predictions of a model in a file from a CSV file."""

from numbers import Number

import narwhals as nw
import numpy as np
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from . import _frames
from ._arguments import shown
from ._files import explained
from ._forecaster import LSTMForecaster
from ._forms import ArrayForm, ListForm, LongForm
from ._future import read_future
from ._model_files import load
from ._supervised import BaseLSTM
from .preprocessing import from_long

OFFSET = r"(?:Z|[+-]\d\d:?\d\d)$"


def predict(args):
    """The predictions as CSV; `args` are those of the command line."""
    model = load(args.model)
    last = model.steps[-1][1] if isinstance(model, Pipeline) else model
    of_series, name = isinstance(model, LSTMForecaster), type(last).__name__
    if not of_series and not isinstance(last, BaseLSTM):
        raise ValueError(f"{name} predicts nothing from a CSV file: use it in Python.")
    check_is_fitted(last)
    refused = ["id", "time"] if of_series else ["horizon", "level", "future"]
    refused += [] if is_classifier(last) else ["proba"]
    for option in refused:
        if getattr(args, option) not in (None, False):
            raise ValueError(f"--{option} does not go with {name}.")
    if args.data is None and not of_series:
        raise ValueError(f"{name} needs DATA to predict from.")
    table = _forecasts(model, args) if of_series else _predictions(model, last, args)
    return nw.from_native(table).write_csv()


def _read_csv(path, id_column):
    """A data frame of pandas whose ids are text: 007 stays 007."""
    pandas = _frames.pandas_for("A CSV file")
    with explained(f"Cannot read {path}"):
        return pandas.read_csv(path, float_precision="round_trip", dtype={id_column: str})


def _check_columns(columns, frame, path):
    _frames.check_columns(columns, nw.from_native(frame), path)


def _read_dates(frame, name, path, zone):
    """Dates in ISO 8601 become times of a zone; without one they have no offsets."""
    pandas, text = _frames.pandas_for("A CSV file"), frame[name].astype(str)
    example = f"2030-12-31T23:00+01:00, in {zone}" if zone else "2030-12-31, without offset"
    with explained(f"Column {shown(name)} of {path} must hold dates such as {example}"):
        wrong = text[text.str.contains(OFFSET) != bool(zone)]
        if len(wrong):
            raise ValueError(f"it has {shown(wrong.iloc[0])}")
        dates = pandas.to_datetime(text, format="ISO8601", utc=bool(zone))
    frame[name] = dates.dt.tz_convert(zone) if zone else dates


def _forecasts(model, args):
    """A row for each series and step."""
    if args.data is not None:
        model._panel = model._read(_read_series(model, args.data), args.data)
    panel, horizon = model._panel, model._check_horizon(args.horizon)
    model._check_long_enough(panel)
    levels = model._chosen_levels(args.level)
    future = args.future and _read_series(model, args.future, of_future=True)
    future = read_future(future, panel, model._roles, horizon)
    values = model._forecasts_after(panel, future, levels)
    names, targets = model._output_names(levels), panel.form.target_names(values.shape[2])
    if len(targets) > 1:
        targets = [f"y{k}" if target == k else target for k, target in enumerate(targets)]
        names = [f"{target}{name[1:]}" for target in targets for name in names]
    columns = dict(zip(names, values.reshape(-1, len(names)).T, strict=True))
    time = getattr(panel.form, "index_name", None) or panel.form.time_column
    times = {time: panel.future_times(horizon).reshape(-1)}
    frame = panel.to_frame(np.repeat(np.arange(len(panel)), horizon), times, columns)
    has_ids = len(panel) > 1 or getattr(panel.form, "has_ids", False)
    return frame if has_ids else nw.from_native(frame).drop(panel.form.id_column)


def _read_series(model, path, of_future=False):
    """Series in the form of the fitted ones, one where these were a list; of the future only
    what is known ahead."""
    roles, form = model._roles, model._panel.form
    form = form.forms[0] if isinstance(form, ListForm) else form
    has_numbers = isinstance(model._panel.ids[0], Number)
    frame = _read_csv(path, None if has_numbers else roles.id_column)
    numbers, is_long = frame.select_dtypes("number"), isinstance(form, LongForm)
    if isinstance(form, ArrayForm):
        return numbers.to_numpy()
    time, has_dates = roles.time_column, form.time_type and form.time_type.kind == "dates"
    if not is_long:
        columns = [*roles.known, *roles.past, *roles.static]
        columns = [*roles.known] if of_future else [*form.targets, *columns]
        if form.is_series and form.targets[0] not in frame:
            columns = [*numbers]
        _check_columns(columns, frame, path)
        others = [name for name in frame if name not in columns]
        time = form.index_name
        if time not in others:
            time = others[0] if others and has_dates else None
    if has_dates and time in frame:
        _read_dates(frame, time, path, form.time_type.zone)
    if is_long:
        return frame
    if time is not None:
        frame = frame.set_index(time).rename_axis(form.index_name)
    return frame[columns]


def _predictions(model, last, args):
    """A row for each sequence, or each of its steps."""
    X, ids = _read_X(model, last, args)
    values = [model.predict(X)]
    if args.proba:
        values.append(model.predict_proba(X))
    index = {args.id or "sequence": ids}
    if last._input_format.per_step:
        lengths = [len(y) for y in values[0]]
        index = {name: np.repeat(ids, lengths) for name in index}
        index["step"] = np.concatenate([np.arange(n) for n in lengths])
        values = [np.concatenate([*of_steps]) for of_steps in values]
    levels = () if is_classifier(last) else last._several_levels()
    ends = [f"-q{level:g}" for level in levels] or [""]
    values[0] = values[0].reshape(len(values[0]), -1)
    outputs = [f"y{k}" for k in range(values[0].shape[1] // len(ends))]
    outputs = outputs if len(outputs) > 1 else ["prediction"]
    names = [output + end for output in outputs for end in ends]
    if args.proba:
        names += [f"p_{label}" for label in last.classes_]
    columns = [column for table in values for column in table.T]
    return _frames.long_frame({**index, **dict(zip(names, columns, strict=True))})


def _read_X(model, last, args):
    """X as the model reads it, and the ids of its sequences."""
    path, form = args.data, last._input_format.form
    frame = _read_csv(path, args.id)
    used = [name for name in (args.id, args.time) if name is not None]
    others = [name for name in frame if name not in used]
    named = hasattr(model, "feature_names_in_")
    features = [*model.feature_names_in_] if named else others
    _check_columns([*used, *features], frame, path)
    # Without --id a column of ids might be overlooked.
    surplus = args.id is None and form != "columns" and len(others) > len(features)
    if len(features) != model.n_features_in_ or surplus:
        raise ValueError(
            f"{path} has the columns {shown(others)}, but this {type(last).__name__} reads "
            f"{model.n_features_in_} features. Name others by --id or --time, or drop them."
        )
    if form == "columns":
        X, ids = [frame[features]], frame[args.id] if args.id else np.arange(len(frame))
    else:
        name, order = args.id or "the sequence", args.time or "the row"
        if args.id is None:
            frame[name] = 0
        if args.time is None:
            frame[order] = np.arange(len(frame))
        elif frame[order].dtype.kind != "i":
            has_offset = frame[order].astype(str).str.contains(OFFSET).any()
            _read_dates(frame, order, path, "UTC" if has_offset else None)
        X, _, ids = from_long(frame, name, order, features, None)
    if not named:
        X = [x.to_numpy() for x in X]
    if form == "tokens":
        X = [x[:, 0] for x in X]
    return X[0] if form == "columns" else X, ids
