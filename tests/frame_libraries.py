"""Data frames of pandas as those of other libraries, where these are installed."""

import pytest

LIBRARIES = ["pandas", "polars", "pyarrow"]


def as_library(frame, library):
    """The columns of a frame of pandas: numbers, str, dates, maybe with a time zone."""
    if library == "pandas":
        return frame
    polars = pytest.importorskip("polars")
    columns = []
    for name, values in frame.items():
        zone = getattr(values.dtype, "tz", None)
        values = values if zone is None else values.dt.tz_convert("UTC").dt.tz_localize(None)
        values = values.to_numpy() if values.dtype.kind in "iufM" else values.to_list()
        column = polars.Series(name, values)
        if zone is not None:
            column = column.dt.replace_time_zone("UTC").dt.convert_time_zone(str(zone))
        columns.append(column)
    out = polars.DataFrame(columns)
    if library == "pyarrow":
        pytest.importorskip("pyarrow")
        return out.to_arrow()
    return out


def as_lists(frame):
    """Column -> list of its values."""
    if hasattr(frame, "iloc"):
        return frame.to_dict("list")
    return frame.to_pydict() if hasattr(frame, "to_pydict") else frame.to_dict(as_series=False)
