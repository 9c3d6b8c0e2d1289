"""The forms in which series are given, and in which forecasts are given back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from ._frames import TimeType
    from ._panel import Panel


class Form:
    """What knows the user's form.

    Attributes
    ----------
    time_type : TimeType, or None if there are no times
    id_column, time_column : str
        Names for results that are long frames.
    library : str
        "pandas", "polars", "pyarrow", ...
    """

    time_type: TimeType | None = None
    id_column: Any
    time_column: Any
    library: str = "pandas"

    def wrap(
        self, panel: Panel, forecasts: np.ndarray, names: Sequence[str], horizon: int
    ) -> Any:
        """Forecasts of the steps after the end of each series.

        Parameters
        ----------
        panel : Panel
            Of this form.
        forecasts : float64 array of shape (n_series, horizon, n_targets, n_names)
        names : sequence of str
            What is given for each target: "y_hat", "y_hat-lo-80", ...
        horizon : int

        Returns
        -------
        forecasts : in the form of the series
            Arrays: (horizon,) or (horizon, n_names); of 2-D ones (horizon, n_targets) or
            (horizon, n_targets, n_names), the first of each if there is one name. Series:
            a series, or a data frame of the names. Data frames of columns: one of the
            targets, or of each target's names, "y" being that of the target. Long frames:
            one with the id, the time and the names. Of a list a list of these.
        """
        raise NotImplementedError

    def take(self, indices: np.ndarray) -> Self:
        """The form of some of the series."""
        return self

    def target_names(self, n: int) -> list[Any]:
        """What the n targets are called; their numbers where they have no names."""
        return [*range(n)]

    def to_frame(
        self,
        panel: Panel,
        series: np.ndarray,
        times: Mapping[Any, np.ndarray],
        columns: Mapping[Any, Any],
    ) -> Any:
        """A long frame about series of the panel.

        Parameters
        ----------
        panel : Panel
        series : int array of shape (n,)
            The series of each row.
        times : mapping
            Name of a column -> times of shape (n,), as the panel has them.
        columns : mapping
            Name of a column -> its values, of shape (n,).

        Returns
        -------
        frame : data frame
            Of the library that the series came in, or pandas. Its columns are the id, the
            times and the others.
        """
        from . import _frames

        restored = {name: self._restore(values, name) for name, values in times.items()}
        ids = {self.id_column: self._ids(panel, series)}
        return _frames.long_frame({**ids, **restored, **columns}, self.library)

    def _restore(self, times, name):
        if self.time_type is None:
            return times
        return self.time_type.restore(times, name, self.library)

    def _ids(self, panel, series):
        return [panel.ids[k] for k in series]


@dataclass(frozen=True)
class OneSeries(Form):
    """The form of a single series."""

    id_column: Any
    time_column: Any

    def wrap(self, panel, forecasts, names, horizon):
        return self.wrap_one(forecasts[0], names, panel.future_times(horizon)[0])

    def wrap_one(self, forecast: np.ndarray, names: Sequence[str], times: np.ndarray) -> Any:
        """The forecast of shape (horizon, n_targets, n_names) of one series."""
        raise NotImplementedError


@dataclass(frozen=True)
class ArrayForm(OneSeries):
    """An array of one or two dimensions."""

    n_dimensions: int

    def wrap_one(self, forecast, names, times):
        forecast = forecast[..., 0] if len(names) == 1 else forecast
        return forecast[:, 0] if self.n_dimensions == 1 else forecast


@dataclass(frozen=True)
class TableForm(OneSeries):
    """A series, or a data frame with a column for each variable.

    Parameters
    ----------
    targets : tuple
        Names of the targets; of a series its own name.
    is_series : bool
    library : str
    has_index : bool
        Whether rows have labels, as in pandas.
    index_name : str or None
    time_type : TimeType or None
        Of the labels, where these are times.
    """

    targets: tuple[Any, ...]
    is_series: bool
    library: str
    has_index: bool = False
    index_name: Any = None
    time_type: TimeType | None = None

    def wrap_one(self, forecast, names, times):
        from . import _frames

        if self.is_series and len(names) == 1:
            out = _frames.new_series(self.targets[0], forecast[:, 0, 0], self.library)
        else:
            columns = {
                name: forecast[:, k, i]
                for k, target in enumerate(self.targets)
                for i, name in enumerate(self._labels(target, names))
            }
            out = _frames.long_frame(columns, self.library)
        if not self.has_index:
            return out
        return _frames.labelled(out, self._restore(times, self.index_name), self.index_name)

    def target_names(self, n):
        return [*self.targets]

    def _labels(self, target, names):
        """What to call the columns of a target."""
        if self.is_series:
            return names
        return (
            [target] if len(names) == 1 else [f"{target}{n.removeprefix('y')}" for n in names]
        )


@dataclass(frozen=True)
class ListForm(Form):
    """A list of series."""

    forms: list[OneSeries]

    def __getstate__(self):
        # Of many series few forms differ.
        different = list(dict.fromkeys(self.forms))
        number_of = {form: k for k, form in enumerate(different)}
        which = np.array([number_of[form] for form in self.forms])
        return {"forms": different, "which": which}

    def __setstate__(self, state):
        vars(self)["forms"] = [state["forms"][k] for k in state["which"]]

    @property
    def id_column(self):
        return self.forms[0].id_column

    @property
    def time_column(self):
        return self.forms[0].time_column

    @property
    def library(self):
        return self.forms[0].library

    @property
    def time_type(self):
        return self.forms[0].time_type

    def wrap(self, panel, forecasts, names, horizon):
        times = panel.future_times(horizon)
        return [
            form.wrap_one(forecast, names, t)
            for form, forecast, t in zip(self.forms, forecasts, times, strict=True)
        ]

    def take(self, indices):
        return ListForm([self.forms[k] for k in indices])

    def target_names(self, n):
        return self.forms[0].target_names(n)


@dataclass(frozen=True)
class LongForm(OneSeries):
    """A data frame with a column of times, and one of ids unless it is of one series.

    Parameters
    ----------
    id_values : series of shape (n_series,), or None
        The ids, of the library's own type.
    """

    library: str
    time_type: TimeType
    id_values: Any = None

    def __getstate__(self):
        return self._state(exact=True)

    def approximate_state(self):
        """The state in which ids have values and a dtype that files know, if not their own."""
        return self._state(exact=False)

    def _state(self, exact):
        from . import _frames

        ids = _frames.plain_series(self.id_values, exact) if self.has_ids else None
        return {**vars(self), "id_values": ids}

    def __setstate__(self, state):
        ids = state["id_values"]
        if isinstance(ids, dict):
            from . import _frames

            ids = _frames.series_of(ids["values"], ids["dtype"], state["library"])
        vars(self).update({**state, "id_values": ids})

    @property
    def has_ids(self):
        return self.id_values is not None

    def wrap(self, panel, forecasts, names, horizon):
        if not self.has_ids:
            return super().wrap(panel, forecasts, names, horizon)
        return self.to_frame(
            panel,
            np.repeat(np.arange(len(panel)), horizon),
            {self.time_column: panel.future_times(horizon).reshape(-1)},
            dict(zip(names, forecasts.reshape(-1, len(names)).T, strict=True)),
        )

    def wrap_one(self, forecast, names, times):
        from . import _frames

        columns = dict(zip(names, forecast[:, 0].T, strict=True))
        return _frames.long_frame(
            {self.time_column: self._restore(times, self.time_column), **columns},
            self.library,
        )

    def take(self, indices):
        if not self.has_ids:
            return self
        from . import _frames

        return replace(self, id_values=_frames.gather(self.id_values, indices))

    def _ids(self, panel, series):
        if not self.has_ids:
            return super()._ids(panel, series)
        from . import _frames

        return _frames.gather(self.id_values, series)
