"""Every accepted form of series, the forms in which forecasts come back, and the errors."""

import importlib
import pickle
import subprocess
import sys
from datetime import timedelta, timezone

import numpy as np
import pandas as pd
import pytest
from frame_libraries import LIBRARIES, as_library, as_lists
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from cylstm import _frames
from cylstm._dates import Frequency
from cylstm._future import read_future
from cylstm._panel import ColumnRoles, Panel, read_panel

PLAIN = ColumnRoles()
ROLES = ColumnRoles(known=("promo",), past=("visits",), static=("size",))
INDICES = ColumnRoles(known=(1,), past=(-2,), static=(-1,))
HOUR = 3_600 * 10**9
DAY = 24 * HOUR

# Two series of 4 and 3 steps: y, promo, visits, size.
A = np.array([[1, 5, 9, 7], [2, 6, np.nan, 7], [np.nan, 7, 9, 7], [4, 8, 9, 7.0]])
B = np.array([[10, 15, 19, 8], [20, 16, 19, 8], [30, 17, 19, 8.0]])
NAMES = ["y", "promo", "visits", "size"]
FUTURE = np.array([[[1.0], [2]], [[3], [4]]])  # promo


def dates(n, start="2024-01-30", freq="D", **kwargs):
    return pd.date_range(start, periods=n, freq=freq, **kwargs)


def wide(values, index=None, names=NAMES):
    return pd.DataFrame(values, columns=names, index=index)


def long(index_of=dates, ids=("b", "a"), n_after=0, values=(A, B)):
    """The two series as rows of a frame; b comes first."""
    parts = [
        wide(v, names=NAMES[: v.shape[1]]).assign(unique_id=an_id, ds=index_of(len(v)))
        for an_id, v in zip(ids, values, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def long_future(index_of=dates, ids=("b", "a")):
    parts = [
        pd.DataFrame({"promo": f[:, 0], "unique_id": i, "ds": index_of(len(v) + 2)[-2:]})
        for i, f, v in zip(ids, FUTURE, (A, B), strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def shuffled(frame, seed=0):
    return frame.sample(frac=1, random_state=seed, ignore_index=True)


def assert_equal_numbers(panel, expected):
    for name in ("targets", "known", "past", "static", "starts", "lengths"):
        np.testing.assert_array_equal(getattr(panel, name), getattr(expected, name))
        assert getattr(panel, name).dtype == getattr(expected, name).dtype


def wrapped(panel, names=("y_hat",), horizon=2):
    """Numbers 0, 1, ... as forecasts of the panel, in the user's form."""
    shape = (len(panel), horizon, panel.targets.shape[1], len(names))
    forecasts = np.arange(np.prod(shape), dtype=float).reshape(shape)
    return panel.form.wrap(panel, forecasts, names, horizon)


THREE = ["y_hat", "y_hat-lo-80", "y_hat-hi-80"]


class TestForms:
    @pytest.mark.parametrize(
        "y",
        [[1, 2, 3], (1.0, 2, 3), np.arange(1, 4, dtype=np.int8), np.array([1, 2, 3], object)],
    )
    def test_one_array(self, y):
        panel = read_panel(y, PLAIN)
        assert len(panel) == 1
        assert panel.targets.dtype == np.float64
        assert panel.targets.tolist() == [[1], [2], [3]]
        assert panel.known.shape == panel.past.shape == (3, 0)
        assert panel.static.shape == (1, 0)
        assert panel.times is panel.frequency is panel.zone is None
        assert (panel.starts.tolist(), panel.lengths.tolist()) == ([0], [3])
        assert (panel.ids, panel.name(0)) == (["y"], "y")
        assert wrapped(panel).tolist() == [0, 1]
        assert wrapped(panel, THREE).tolist() == [[0, 1, 2], [3, 4, 5]]

    def test_an_array_is_not_copied(self):
        y = np.arange(6.0)
        assert np.shares_memory(read_panel(y, PLAIN).targets, y)
        y = y.reshape(3, 2)
        assert np.shares_memory(read_panel(y, PLAIN).targets, y)

    def test_columns_of_an_array(self):
        panel = read_panel(A, INDICES)
        np.testing.assert_array_equal(panel.targets, A[:, :1])
        np.testing.assert_array_equal(panel.known, A[:, 1:2])
        np.testing.assert_array_equal(panel.past, A[:, 2:3])
        assert panel.static.tolist() == [[7]]
        assert wrapped(panel).tolist() == [[0], [1]]
        assert wrapped(panel, THREE).shape == (2, 1, 3)
        assert wrapped(read_panel(A, PLAIN)).shape == (2, 4)

    def test_an_array_with_more_columns_than_steps(self):
        with pytest.warns(UserWarning, match="y has 4 columns .*, of 3 steps. .* transpose"):
            read_panel(B, PLAIN)

    def test_a_list_of_arrays(self):
        panel = read_panel([A, B], INDICES)
        np.testing.assert_array_equal(panel.targets[panel.series(1)], B[:, :1])
        assert (panel.starts.tolist(), panel.lengths.tolist()) == ([0, 4], [4, 3])
        assert panel.static.tolist() == [[7], [8]]
        assert (panel.ids[1], panel.name(1)) == ("series 1", "series 1")
        assert [out.tolist() for out in wrapped(panel)] == [[[0], [1]], [[2], [3]]]
        assert panel.future_times(2).tolist() == [[4, 5], [3, 4]]
        assert panel.last_times().tolist() == [3, 2]

    @pytest.mark.parametrize("as_list", [list, tuple])
    def test_a_list_of_1d_series(self, as_list):
        panel = read_panel(as_list([[1, 2], np.arange(3), (5,)]), PLAIN)
        assert panel.targets.ravel().tolist() == [1, 2, 0, 1, 2, 5]
        assert [out.tolist() for out in wrapped(panel)] == [[0, 1], [2, 3], [4, 5]]

    def test_an_object_array_of_series_is_a_list(self):
        y = np.empty(2, dtype=object)
        y[:] = [np.arange(2), np.arange(3)]
        assert read_panel(y, PLAIN).lengths.tolist() == [2, 3]

    def test_missing_values(self):
        for y in ([1, None], [1, np.nan], pd.Series([1, pd.NA], dtype="Int64")):
            np.testing.assert_array_equal(read_panel(y, PLAIN).targets, [[1], [np.nan]])
        y = pd.Series([1, pd.NA], dtype=object)
        np.testing.assert_array_equal(read_panel(y, PLAIN).targets, [[1], [np.nan]])
        assert np.isnan(read_panel([np.nan], PLAIN).targets).all()

    @pytest.mark.parametrize(
        ("index", "frequency"),
        [
            (dates(4), Frequency("fixed", DAY)),
            (dates(4, freq="ME"), Frequency("months", 1, month_end=True)),
            (dates(4, tz="Europe/Berlin"), Frequency("fixed", DAY, zone="Europe/Berlin")),
            (dates(4, freq="h", tz="America/New_York"), Frequency("fixed", HOUR)),
            (dates(4, freq="h", tz="+01:00"), Frequency("fixed", HOUR)),
            (dates(4).astype("M8[s]"), Frequency("fixed", DAY)),
            (pd.period_range("2024Q4", periods=4, freq="Q"), Frequency("months", 3)),
            (pd.period_range("2024-01", periods=4, freq="M"), Frequency("months", 1)),
            (pd.RangeIndex(4), Frequency("integers", 1)),
            (pd.Index([7, 9, 11, 13], dtype="int32"), Frequency("integers", 2)),
        ],
    )
    def test_an_index_of_times_goes_on(self, index, frequency):
        index = index.rename("when")
        y = pd.Series([1, 2, 3, 4], index, name="sales")
        panel = read_panel(y.iloc[[1, 0]], PLAIN)  # in any order
        assert panel.targets.ravel().tolist() == [1, 2]
        assert panel.frequency == frequency or frequency.month_end
        expected = pd.Series([0.0, 1.0], index[2:], name="sales")
        out = wrapped(panel)
        pd.testing.assert_series_equal(out, expected, check_freq=False)
        assert type(out.index) is type(index) or isinstance(index, pd.RangeIndex)
        out = wrapped(panel, THREE)
        assert out.columns.tolist() == THREE
        assert out.to_numpy().tolist() == [[0, 1, 2], [3, 4, 5]]
        pd.testing.assert_index_equal(out.index, index[2:], exact="equiv")

    @pytest.mark.parametrize("index", [list("abc"), [0.5, 1.5, 2.5]])
    def test_an_index_of_no_times_is_left_out(self, index):
        panel = read_panel(pd.Series([1, 2, 3.0], index), PLAIN)
        assert panel.times is None
        assert wrapped(panel).index.tolist() == [3, 4]

    def test_a_wide_frame(self):
        index = dates(6)
        panel = read_panel(wide(A, index[:4]).iloc[::-1], ROLES)
        assert_equal_numbers(panel, read_panel(A, INDICES))
        pd.testing.assert_frame_equal(
            wrapped(panel), pd.DataFrame({"y": [0.0, 1]}, index[4:]), check_freq=False
        )
        panel = read_panel(wide(A, index[:4]), ColumnRoles(static=("size",), past=("promo",)))
        out = wrapped(panel, THREE[:2])
        assert out.columns.tolist() == [
            "y_hat",
            "y_hat-lo-80",
            "visits_hat",
            "visits_hat-lo-80",
        ]
        assert out.to_numpy().tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
        assert wrapped(panel).columns.tolist() == ["y", "visits"]

    def test_a_wide_frame_of_numbered_columns(self):
        panel = read_panel(pd.DataFrame(A), INDICES)
        assert_equal_numbers(panel, read_panel(A, INDICES))
        assert wrapped(panel).columns.tolist() == [0]

    def test_a_wide_frame_without_index(self):
        polars = pytest.importorskip("polars")
        panel = read_panel(polars.DataFrame(A, schema=NAMES), ROLES)
        assert_equal_numbers(panel, read_panel(A, INDICES))
        out = wrapped(panel, THREE)
        assert isinstance(out, polars.DataFrame)
        assert out.columns == THREE
        out = wrapped(read_panel(polars.Series("sales", [1, 2, None]), PLAIN))
        assert isinstance(out, polars.Series)
        assert (out.name, out.to_list()) == ("sales", [0, 1])

    def test_a_list_of_frames_and_series(self):
        panel = read_panel([wide(A, dates(4)), wide(B, dates(3, "2023-05-01"))], ROLES)
        assert_equal_numbers(panel, read_panel([A, B], INDICES))
        first, second = wrapped(panel)
        assert first.index[0] == pd.Timestamp("2024-02-03")
        assert second.index[0] == pd.Timestamp("2023-05-04")
        assert second["y"].tolist() == [2, 3]
        y = [pd.Series([1, 2], dates(2), name=name) for name in ("b", "a")]
        assert [out.name for out in wrapped(read_panel(y, PLAIN))] == ["b", "a"]

    @pytest.mark.parametrize("library", LIBRARIES)
    @pytest.mark.parametrize(
        "index_of",
        [
            dates,
            np.arange,
            lambda n: dates(n, freq="h", tz="America/New_York"),
            lambda n: dates(n, freq="ME").astype("M8[us]"),
        ],
    )
    def test_a_long_frame(self, library, index_of):
        frame = as_library(shuffled(long(index_of), seed=3), library)
        # The order of ids is that of their first rows.
        panel = read_panel(frame, ROLES)
        assert panel.ids == list("ab")
        panel = panel.take(np.array([1, 0]))
        expected = read_panel([A, B], INDICES)
        for k, values in enumerate((A, B)):
            np.testing.assert_array_equal(panel.targets[panel.series(k)], values[:, :1])
            np.testing.assert_array_equal(panel.known[panel.series(k)], values[:, 1:2])
        np.testing.assert_array_equal(panel.static, expected.static)
        assert panel.name(0) == "series 'b'"
        out = wrapped(panel, THREE)
        assert type(out) is type(frame)
        assert as_lists(out) == {
            "unique_id": list("bbaa"),
            "ds": [*index_of(6)[-2:], *index_of(5)[-2:]],
            **dict(zip(THREE, np.arange(12.0).reshape(4, 3).T.tolist(), strict=True)),
        }
        assert getattr(out["ds"], "dtype", None) == getattr(frame["ds"], "dtype", None)

    def test_all_forms_give_one_panel(self):
        expected = read_panel([A, B], INDICES)
        frames = [wide(A, dates(4)), wide(B, dates(3))]
        for y in (
            frames,
            [frame.rename_axis("ds").reset_index() for frame in frames],
            long(),
            as_library(long(), "polars"),
            as_library(long(), "pyarrow"),
        ):
            panel = read_panel(y, ROLES)
            assert_equal_numbers(panel, expected)
            np.testing.assert_array_equal(panel.times, np.r_[dates(4), dates(3)])
            assert panel.frequency == Frequency("fixed", DAY)

    def test_a_frame_with_times_and_no_ids_is_one_series(self):
        frame = wide(A, dates(4, name="ds")).reset_index()
        panel = read_panel(shuffled(frame), ROLES)
        assert_equal_numbers(panel, read_panel(A, INDICES))
        assert panel.name(0) == "y"
        out = wrapped(panel, THREE)
        assert out.columns.tolist() == ["ds", *THREE]
        assert out["ds"].tolist() == [*dates(6)[4:]]

    def test_other_names_and_columns_that_are_not_used(self):
        roles = ColumnRoles(id_column="shop", time_column="day", target_column="sales")
        names = {"unique_id": "shop", "ds": "day", "y": "sales"}
        panel = read_panel(long().rename(columns=names).assign(note="text"), roles)
        np.testing.assert_array_equal(panel.targets, np.r_[A, B][:, :1])
        assert wrapped(panel).columns.tolist() == ["shop", "day", "y_hat"]

    def test_names_of_columns_that_need_not_be_there(self):
        roles = ColumnRoles(id_column="shop", time_column="day")
        for y in (A, pd.Series([1, 2.0]), wide(A, dates(4, name="day"))):
            assert len(read_panel([y, y], roles)) == 2
        assert len(read_panel(y, ColumnRoles(time_column="day"))) == 1

    @pytest.mark.parametrize(
        "ids", [(3, 1), ("b", 1), (("x", 1), ("x", 2)), (2.5, 1.5), (True, False)]
    )
    def test_ids_of_any_type(self, ids):
        frame = pd.DataFrame({"ds": [1, 2, 2, 1], "y": 1.0})
        frame["unique_id"] = pd.Series([ids[0], ids[0], ids[1], ids[1]])
        panel = read_panel(frame, PLAIN)
        assert panel.ids == list(ids)
        assert wrapped(panel)["unique_id"].tolist() == [ids[0]] * 2 + [ids[1]] * 2
        assert wrapped(panel)["unique_id"].dtype == frame["unique_id"].dtype

    @pytest.mark.parametrize("dtype", ["category", "string", "datetime64[ns]"])
    def test_ids_keep_their_dtype(self, dtype):
        frame = long(ids=["2020-01-02", "2020-01-01"]).astype({"unique_id": dtype})
        out = wrapped(read_panel(frame, PLAIN))
        pd.testing.assert_series_equal(
            out["unique_id"], frame["unique_id"].iloc[[0, 0, 4, 4]].reset_index(drop=True)
        )

    @pytest.mark.parametrize("freq", ["M", "Q", "D"])
    def test_periods_of_a_long_frame(self, freq):
        frame = long(lambda n: pd.period_range("2024-01-01", periods=n, freq=freq))
        out = wrapped(read_panel(frame, PLAIN))
        assert out["ds"].dtype == frame["ds"].dtype
        assert out["ds"].iloc[0] == frame["ds"].iloc[3] + 1

    @pytest.mark.parametrize("library", ["pandas", "polars"])
    @pytest.mark.parametrize(
        ("dtype", "start", "after"),
        [("int8", 123, "int8"), ("int8", 124, "int64"), ("uint16", 65_533, "int64")],
    )
    def test_times_that_grow_out_of_small_integers(self, library, dtype, start, after):
        times = pd.Series(np.arange(3) + start).astype(dtype)
        frame = as_library(pd.DataFrame({"ds": times, "y": 1.0}), library)
        out = wrapped(read_panel(frame, PLAIN))["ds"]
        assert out.to_list() == [start + 3, start + 4]
        assert str(out.dtype).lower() == after

    def test_dates_without_time(self):
        polars = pytest.importorskip("polars")
        day = polars.Series([0, 1, 2]).cast(polars.Date)
        out = wrapped(read_panel(polars.DataFrame({"ds": day, "y": [1, 2, 3]}), PLAIN))
        assert out["ds"].dtype == polars.Date
        assert out["ds"].to_physical().to_list() == [3, 4]

    def test_columns_of_other_numbers(self):
        frame = pd.DataFrame(
            {
                "a": [True, False],
                "b": pd.array([1, None], dtype="Int64"),
                "c": pd.array([True, None], dtype="boolean"),
                "d": np.array([1, None], dtype=object),
                "e": pd.arrays.SparseArray([1.0, 0]),
                "f": np.array([1, 2], dtype=np.float32),
            }
        )
        np.testing.assert_array_equal(
            read_panel(frame, PLAIN).targets,
            [[1] * 6, [0, np.nan, np.nan, np.nan, 0, 2]],
        )

    def test_columns_of_other_numbers_of_polars(self):
        polars = pytest.importorskip("polars")
        frame = polars.DataFrame({"a": [True, None], "b": [1, None], "c": ["1.5", "2"]})
        frame = frame.with_columns(polars.col("c").cast(polars.Decimal(10, 2)))
        np.testing.assert_array_equal(
            read_panel(frame, PLAIN).targets, [[1, 1, 1.5], [np.nan, np.nan, 2]]
        )

    @settings(deadline=None, max_examples=60, derandomize=True)
    @given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
    def test_rows_of_a_long_frame_may_be_in_any_order(self, lengths, seed):
        rng = np.random.default_rng(seed)
        series = [rng.normal(size=n) for n in lengths]
        first = rng.integers(-5, 5, size=len(lengths))
        frame = pd.concat(
            pd.DataFrame({"unique_id": k, "ds": np.arange(n) + first[k], "y": series[k]})
            for k, n in enumerate(lengths)
        ).sample(frac=1, random_state=seed)
        panel = read_panel(frame, PLAIN)
        assert panel.ids == [*dict.fromkeys(frame["unique_id"])]
        assert panel.lengths.sum() == len(frame)
        for k, an_id in enumerate(panel.ids):
            rows = panel.series(k)
            np.testing.assert_array_equal(panel.targets[rows, 0], series[an_id])
            np.testing.assert_array_equal(
                panel.times[rows], first[an_id] + np.arange(lengths[an_id])
            )


class TestPanel:
    def test_first_and_take_copy_no_steps(self):
        panel = read_panel(long(), ROLES)
        first = panel.first([2, 3])
        assert np.shares_memory(first.targets, panel.targets)
        assert first.lengths.tolist() == [2, 3]
        assert wrapped(first)["ds"].tolist() == [*dates(4)[2:], *dates(5)[3:]]
        taken = first.take([1, 1])
        assert np.shares_memory(taken.targets, panel.targets)
        assert taken.ids == ["a", "a"]
        assert taken.static.tolist() == [[8], [8]]
        assert wrapped(taken)["unique_id"].tolist() == ["a"] * 4

    def test_take_of_a_list(self):
        y = [pd.Series([1, 2], name="b"), pd.Series([1, 2, 3], name="a")]
        panel = read_panel(y, PLAIN).take([1])
        assert panel.ids == ["series 1"]
        assert [(out.name, out.index[0]) for out in wrapped(panel)] == [("a", 3)]

    @pytest.mark.parametrize("tz", [None, "Europe/Berlin"])
    def test_a_long_frame_about_series(self, tz):
        def index_of(n):
            return dates(n, tz=tz, name="ds")

        for y in (long(index_of), [wide(A, index_of(4)), wide(B, index_of(3))]):
            panel = read_panel(y, ROLES)
            assert panel.zone == tz
            series = np.array([0, 1, 0])
            times = {
                "ds": panel.future_times(1)[series, 0],
                "cutoff": panel.last_times()[series],
            }
            out = panel.to_frame(series, times, {"y": np.arange(3.0)})
            ids = (
                ["b", "a", "b"] if panel.ids == ["b", "a"] else [panel.ids[k] for k in series]
            )
            expected = pd.DataFrame({"unique_id": ids, "ds": index_of(5)[[4, 3, 4]]})
            expected = expected.assign(cutoff=index_of(5)[[3, 2, 3]], y=[0.0, 1, 2])
            pd.testing.assert_frame_equal(out, expected)

    def test_a_long_frame_about_arrays(self):
        panel = read_panel(A, INDICES)
        out = panel.to_frame([0], {"ds": panel.last_times()}, {"y": [2.0]})
        assert out.to_dict("list") == {"unique_id": ["y"], "ds": [3], "y": [2.0]}

    def test_a_long_frame_about_polars(self):
        frame = as_library(long(), "polars")
        panel = read_panel(frame, ROLES)
        out = panel.to_frame([1, 0], {"ds": panel.last_times()}, {"y": np.zeros(2)})
        assert out.schema == {**frame.select("unique_id", "ds", "y").schema}

    def test_steps_that_were_cut_off_count(self):
        panel = read_panel([np.arange(5.0), np.arange(3.0)], PLAIN)
        end = panel.last(2).take(np.array([0, 1])).first([2, 1])
        assert end.lengths.tolist() == [2, 1]
        assert end.last_times().tolist() == [4, 1]
        assert end.future_times(2).tolist() == [[5, 6], [2, 3]]
        longer = end.followed_by(np.zeros((2, 2, 1)), np.zeros((2, 2, 0)))
        assert longer.future_times(1).tolist() == [[7], [4]]
        assert longer.last(1).last_times().tolist() == [6, 3]

    def test_times_after_one_step_are_not_known(self):
        panel = read_panel(pd.Series([1], dates(1)), PLAIN)
        assert panel.frequency is None
        with pytest.raises(ValueError, match="times after 2024-01-30, the end of y, are not"):
            panel.future_times(2)

    @pytest.mark.parametrize("y", [A, [A, B], wide(A, dates(4)), long()])
    def test_panels_are_pickled(self, y):
        roles = INDICES if not isinstance(y, pd.DataFrame) else ROLES
        panel = read_panel(y, roles)
        copy = pickle.loads(pickle.dumps(panel))
        assert_equal_numbers(copy, panel)
        assert str(wrapped(copy)) == str(wrapped(panel))

    def test_show_time(self):
        panel = read_panel(pd.Series([1, 2], dates(2, tz="Asia/Tokyo")), PLAIN)
        assert panel.show_time(panel.last_times()[0]) == "2024-01-31"
        assert read_panel([1, 2], PLAIN).show_time(np.int64(3)) == "3"


def with_value(row, column, value, frame=None):
    frame = long() if frame is None else frame
    values = frame[column].astype(object).to_list()
    values[row] = value
    return frame.assign(**{column: pd.Series(values, frame.index, dtype=object)})


BAD = [
    (None, PLAIN, "y is None; expected one series .* long data frame"),
    (3.0, PLAIN, "y is of type float"),
    ("text", PLAIN, "y is of type str"),
    ({"y": [1]}, PLAIN, "y is of type dict"),
    (np.float64(3), PLAIN, "y is a scalar"),
    (csr_array(A), PLAIN, "Sparse data was passed for y"),
    ([], PLAIN, "y has length 0. Every series"),
    (np.zeros((0, 3)), PLAIN, "y has length 0"),
    (np.zeros((3, 0)), PLAIN, r"y has shape \(3, 0\); at least one column"),
    (np.zeros((2, 3, 1)), PLAIN, r"y has shape \(2, 3, 1\).* make a list: list\(y\)"),
    ([np.zeros((2, 3, 1))], PLAIN, r"y\[0\] has shape \(2, 3, 1\)"),
    ([[1.0], []], PLAIN, r"y\[1\] has length 0"),
    ([[1.0], 2.0], PLAIN, r"y\[1\] is of type float; expected numbers of shape"),
    ([[1.0], None], PLAIN, r"y\[1\] is None"),
    ([[1.0], "ab"], PLAIN, r"y\[1\] is of type str"),
    ([[1j, 2]], PLAIN, r"y\[0\] has dtype complex128: Complex data not supported"),
    (np.ma.array([1.0], mask=[True]), PLAIN, "y is a MaskedArray .* Use NaN"),
    (["a", "b"], PLAIN, "y holds strings, such as 'a'. Convert .* pandas.to_numeric"),
    (np.array([1, "b"], dtype=object), PLAIN, "y holds strings, such as 'b'"),
    (np.array([[1, "b"]], dtype=object), ColumnRoles(past=(1,)), "'b'. .* OneHotEncoder"),
    (["1,5", "2,5"], PLAIN, "such as '1,5'. Convert .* pandas.to_numeric"),
    (["2020-01-01"], PLAIN, "If they are the time .* pandas.to_datetime .* as time_column"),
    (long().assign(promo="red"), ROLES, "column 'promo' .* 'red'. Encode .* OneHotEncoder"),
    (long().assign(promo="2020.5"), ROLES, "such as '2020.5'. Convert .* pandas.to_numeric"),
    (wide(A).assign(month="2020-01"), ROLES, "column 'month' .* as time_column"),
    (long().assign(y="a"), ROLES, "column 'y' of y .* 'a'. Convert .* pandas.to_numeric"),
    (long().assign(ds="2020"), ROLES, "pandas.to_datetime .in polars str.to_datetime"),
    (np.array(["2020"], dtype="M8[D]"), PLAIN, "y is an array of datetime64"),
    ([object()], PLAIN, "y must hold numbers"),
    ([10**400], PLAIN, "y has a number beyond the range of float64"),
    ([1, np.inf], PLAIN, "y contains infinity .* at step 1, in column 0"),
    ([A, np.where(B == 20, -np.inf, B)], INDICES, "series 1 contains infinity .* step 1"),
    (np.where(A == 8, np.inf, A), INDICES, "y contains infinity .* at step 3, in column 1"),
    ([A, B[:, :3]], PLAIN, r"y\[1\] has the columns \[0, 1, 2\], but y\[0\]"),
    ([A, wide(B)], PLAIN, r"y\[1\] has the columns \['y', 'promo'"),
    (
        [pd.Series([1, 2], dates(2)), [1, 2]],
        PLAIN,
        r"y\[1\] has no times, but y\[0\] has",
    ),
    (
        [pd.Series([1, 2], dates(2)), pd.Series([1, 2], dates(2, tz="UTC"))],
        PLAIN,
        r"y\[1\] has dates in the time zone UTC, but y\[0\] has dates: all",
    ),
    ([long(), long()], ROLES, r"y\[0\] has a column 'unique_id' of ids: give one long"),
    # Roles.
    (A, ColumnRoles(known=(4,)), "known has 4, but the columns of y are 0, 1, 2, 3"),
    (A, ColumnRoles(known=(-5,)), "known has -5, but"),
    (A, ROLES, "known has 'promo', but the columns of y are 0, 1, 2, 3"),
    (A, ColumnRoles(known=(True,)), "known has True, but the columns of y are 0, 1, 2, 3"),
    (A, ColumnRoles(past=(1.0,)), "past has 1.0, but the columns of y are 0, 1, 2, 3"),
    (A, ColumnRoles(static=(np.float64(1),)), "static has .*1.0.*, but the columns of y are"),
    (wide(A), ColumnRoles(past=("x",)), "past has 'x', but the columns of y are 'y', 'promo'"),
    (
        A,
        ColumnRoles(known=(1,), past=(-3,)),
        "past has .* 1, which is in known already",
    ),
    (A, ColumnRoles(known=(0, 1), past=(2, 3)), "y has no column left to forecast"),
    ([1, 2], ColumnRoles(known=(0,)), "y has no column left to forecast"),
    (A, ColumnRoles(static=(1,)), "static has the column 1, but y has .*: 5 and 8"),
    (long(), ColumnRoles(static=("promo",)), "'promo', but series 'b' has .*: 5 and 8"),
    (
        long(),
        ColumnRoles(known=("y",)),
        "known has .* 'y', which is the target",
    ),
    (
        long(),
        ColumnRoles(known=("ds",)),
        "known has .* 'ds', which is the time",
    ),
    (long(), ColumnRoles(known=("x",)), "y has no column 'x'. It has 'y', 'promo', "),
    (long().drop(columns="ds"), ROLES, "y has no column 'ds'. It has"),
    (long().drop(columns="y"), ROLES, "y has no column 'y'"),
    # Rows of frames.
    (long().iloc[:0], ROLES, "y has no rows"),
    (wide(A).iloc[:0], ROLES, "y has length 0"),
    (with_value(2, "unique_id", None), ROLES, "column 'unique_id' of y is missing in row 2"),
    (
        with_value(2, "unique_id", []),
        ROLES,
        "'unique_id' of y must hold ids that are",
    ),
    (long().assign(ds=[pd.NaT, *dates(6)]), ROLES, "column 'ds' of y is missing in row 0"),
    (
        long().assign(ds="2024"),
        ROLES,
        "ds.* holds String values such as '2024'.*to_datetime",
    ),
    (
        long().assign(ds=0.5),
        ROLES,
        "'ds' of y holds numbers such as 0.5, but dates",
    ),
    (
        long().assign(ds=dates(1)[0].date()),
        ROLES,
        "'ds' of y holds Object .*to_datetime",
    ),
    (with_value(1, "promo", "x"), ROLES, "column 'promo' of y holds strings, such as 'x'"),
    (
        long().assign(promo=dates(7)),
        ROLES,
        "'promo' of y holds dates .* as time_column",
    ),
    (long().assign(promo=1j), ROLES, "column 'promo' of y has dtype complex128"),
    (with_value(1, "promo", {}), ROLES, "column 'promo' of y must hold numbers"),
    (
        with_value(5, "promo", np.inf),
        ROLES,
        "series 'a' contains inf.* step 1, .* 'promo'",
    ),
    (wide(A, names=[*"aabc"]), PLAIN, "y has several columns of one name"),
    (wide(A, dates(4)).assign(x="b"), ROLES, "column 'x' of y holds strings"),
    (wide(A, dates(4)).reset_index(), ROLES, "column 'index' of y holds dates"),
    (
        pd.concat([long(), long().iloc[[4, 5]]]),
        ROLES,
        "y has two rows of series 'a' at 2024-01-30, and 1 more such rows",
    ),
    (pd.Series([1, 2], dates(1).repeat(2)), PLAIN, r"y has two rows at 2024-01-30\.$"),
    (
        long().rename(columns={"unique_id": "shop"}),
        ROLES,
        "at 2024-01-30, and 2 more such rows. It has no column 'unique_id' of ids .it has "
        "'y', .* 'shop', 'ds'.: name yours by id_column",
    ),
    (
        long().set_index("ds").drop(columns="unique_id"),
        ROLES,
        "at 2024-01-30.* 'unique_id' of ids .* by id_column",
    ),
    (long(), ColumnRoles(id_column="shop"), "y has no column 'shop', which is id_column. It"),
    (long(), ColumnRoles(time_column="day"), "y has no column 'day', which is time"),
    (wide(A), ColumnRoles(time_column="day"), "no column 'day', which is time_column. It has"),
    ([wide(A)], ColumnRoles(time_column="day"), r"y\[0\] has no column 'day', which is time"),
    (wide(A), ColumnRoles(target_column="sales"), "no column 'sales', which is target_column"),
    (
        long().drop(index=1),
        ROLES,
        "series 'b' is not equally spaced: 2024-02-01 follows 2024-01-30",
    ),
    (
        [pd.Series([1, 2, 3], dates(3)), pd.Series([1, 2], dates(4)[[0, 2]])],
        PLAIN,
        "series 1 is not equally spaced",
    ),
    (
        pd.Series([1, 2, 3], [1, 2, 4]),
        PLAIN,
        "y is not .*number the steps without gaps",
    ),
    (
        long().set_index(["unique_id", "ds"])["y"],
        PLAIN,
        r"index of y has 2 levels, \['unique_id', 'ds'\].* reset_index\(\), .* id_column",
    ),
    (
        pd.Series([1, 2], ["2010-01-01", "2010-01-02"]),
        PLAIN,
        r"index of y holds str values such as '2010-01-01'.*to_datetime, or .*drop=True",
    ),
    (pd.Series([1, 2], dates(2).date), PLAIN, "index of y holds date values"),
    (pd.Series([1, 2], dates(2) - dates(1)[0]), PLAIN, "index of y holds Timedelta"),
    (wide(A, dates(4).strftime("%d.%m.%Y").astype("category")), ROLES, "such as '30.01.2024'"),
    (
        pd.Series([1, 2], dates(2, tz=timezone(timedelta(hours=9), "Here"))),
        PLAIN,
        "the index of y has the time zone .* not known",
    ),
]


@pytest.mark.parametrize(("y", "roles", "message"), BAD)
def test_bad_series(y, roles, message):
    with pytest.raises((ValueError, TypeError), match=message):
        read_panel(y, roles)


def test_names_of_other_arguments():
    with pytest.raises(ValueError, match=r"Y_new\[0\] has length 0"):
        read_panel([[]], PLAIN, name="Y_new")


class TestFuture:
    def test_none_where_none_is_known(self):
        panel = read_panel([1, 2], PLAIN)
        assert read_future(None, panel, PLAIN, 3).shape == (1, 3, 0)
        with pytest.raises(ValueError, match=r"future was given, but known=\(\) names no"):
            read_future([1, 2, 3], panel, PLAIN, 3)

    @pytest.mark.parametrize(
        "y", [[A, B], [wide(A), wide(B)], [wide(A, list("abcd")), wide(B)]]
    )
    def test_none_where_some_is_known(self, y):
        roles = ROLES if isinstance(y[0], pd.DataFrame) else INDICES
        y = y[0] if isinstance(y[0], pd.DataFrame) and y[0].index[0] == "a" else y
        panel = read_panel(y, roles)
        message = r"future is missing: a forecast of 2 steps needs as many rows .*known=\("
        with pytest.raises(ValueError, match=message):
            read_future(None, panel, roles, 2)

    def test_arrays(self):
        panel = read_panel([A, B], INDICES)
        future = [FUTURE[0][:, 0].tolist(), FUTURE[1]]  # of one column it may be 1-D
        np.testing.assert_array_equal(read_future(future, panel, INDICES, 2), FUTURE)
        one = read_panel(A, INDICES)
        np.testing.assert_array_equal(read_future(FUTURE[0], one, INDICES, 2), FUTURE[:1])
        frame = pd.DataFrame(FUTURE[0])
        np.testing.assert_array_equal(read_future(frame, one, INDICES, 2), FUTURE[:1])

    def test_columns_in_the_order_of_known(self):
        roles = ColumnRoles(known=("visits", "promo"), static=("size",))
        panel = read_panel(wide(A, dates(4)), roles)
        frame = pd.DataFrame({"promo": [1, 2], "visits": [3, 4], "x": "text"}, dates(6)[4:])
        assert read_future(frame, panel, roles, 2).tolist() == [[[3, 1], [4, 2]]]
        assert read_future([[3, 1], [4, 2]], panel, roles, 2).tolist() == [[[3, 1], [4, 2]]]

    @pytest.mark.parametrize("library", LIBRARIES)
    @pytest.mark.parametrize(
        "index_of", [dates, np.arange, lambda n: dates(n, tz="Asia/Tokyo")]
    )
    def test_long_frames(self, library, index_of):
        panel = read_panel(as_library(long(index_of), library), ROLES)
        other = long(index_of, ids=["c", "d"])
        frame = shuffled(pd.concat([long(index_of), long_future(index_of), other]))
        future = as_library(frame[["ds", "unique_id", "promo"]], library)
        np.testing.assert_array_equal(read_future(future, panel, ROLES, 2), FUTURE)
        np.testing.assert_array_equal(read_future(future, panel, ROLES, 1), FUTURE[:, :1])
        some = panel.take([1, 1, 0])
        np.testing.assert_array_equal(read_future(future, some, ROLES, 2), FUTURE[[1, 1, 0]])
        earlier = read_future(future, panel.first([2, 1]), ROLES, 2)
        assert earlier.tolist() == [[[7], [8]], [[16], [17]]]

    def test_zones_may_differ(self):
        panel = read_panel(long(lambda n: dates(n, freq="h", tz="Asia/Tokyo")), ROLES)
        future = long_future(lambda n: dates(n, freq="h", tz="Asia/Tokyo").tz_convert("UTC"))
        np.testing.assert_array_equal(read_future(future, panel, ROLES, 2), FUTURE)

    def test_frames_with_an_index(self):
        panel = read_panel(wide(A, dates(4)), ROLES)
        frame = wide(np.r_[A, A], dates(8))
        assert read_future(frame.iloc[::-1], panel, ROLES, 2).tolist() == [[[5], [6]]]
        panel = read_panel([wide(A, dates(4)), wide(B, dates(3))], ROLES)
        assert read_future([frame, frame], panel, ROLES, 2).tolist() == [
            [[5], [6]],
            [[8], [5]],
        ]

    def test_frames_with_numbered_rows(self):
        panel = read_panel(wide(A), ROLES)
        # Numbered anew, or going on.
        assert read_future(wide(B[:2]), panel, ROLES, 2).tolist() == [[[15], [16]]]
        assert read_future(wide(np.r_[A, B]), panel, ROLES, 2).tolist() == [[[15], [16]]]
        with pytest.raises(ValueError, match="no row for y at 4, and 1 more"):
            read_future(wide(B), panel, ROLES, 2)

    def test_frames_with_a_column_of_times(self):
        frames = [
            f.rename_axis("ds").reset_index() for f in (wide(A, dates(4)), wide(B, dates(3)))
        ]
        future = shuffled(wide(np.r_[A, A], dates(8)).rename_axis("ds").reset_index())
        panel = read_panel(frames[0], ROLES)
        assert read_future(future, panel, ROLES, 2).tolist() == [[[5], [6]]]
        panel = read_panel(frames, ROLES)
        assert read_future([future] * 2, panel, ROLES, 2).tolist() == [[[5], [6]], [[8], [5]]]

    def test_frames_without_index(self):
        polars = pytest.importorskip("polars")
        panel = read_panel(polars.DataFrame(A, schema=NAMES), ROLES)
        future = polars.DataFrame({"x": [1, 2], "promo": [7, 8]})
        assert read_future(future, panel, ROLES, 2).tolist() == [[[7], [8]]]
        assert read_future(future["promo"], panel, ROLES, 2).tolist() == [[[7], [8]]]

    def test_a_series_of_the_one_known_column(self):
        panel = read_panel(wide(A, dates(4)), ROLES)
        promo = pd.Series(np.arange(6.0), dates(6), name="promo")
        for series in (promo, promo[::-1], promo.rename(None)):
            assert read_future(series, panel, ROLES, 2).tolist() == [[[4], [5]]]
        panel = read_panel([wide(A, dates(4)), wide(B, dates(3))], ROLES)
        assert read_future([promo] * 2, panel, ROLES, 2).tolist() == [[[4], [5]], [[3], [4]]]


def missing_value(frame, row):
    return with_value(row, "promo", None, frame)


INDEXED = wide(A, dates(4))
BAD_FUTURES = [
    (A, [[1.0]], r"future has the shape \(1, 1\); expected 2 rows, .*known=\(1,\)"),
    (A, np.r_[FUTURE[0], FUTURE[0]], r"future has the shape \(4, 1\); expected 2 rows"),
    (wide(A, dates(4)), pd.Series([1, 2], name="price"), "named 'price', but known=.'promo'"),
    (wide(A, dates(4)), pd.Series([1, 2]), "future has integers, but the series have dates"),
    (A, [[1.0, 2], [3, 4]], r"future has the shape \(2, 2\)"),
    (A, [1, np.nan], "future has no finite value in column 1 for y at step 5"),
    (A, [np.inf, np.nan], "future has no .* for y at step 4, and 1 more"),
    (A, 3.0, "future is of type float; expected the known columns"),
    (A, ["a", "b"], "future holds strings"),
    ([A, B], FUTURE[0], "future is of type ndarray, but y is a list of 2 series"),
    (
        [A, B],
        [FUTURE[0]],
        "future is a list of 1, but y is a list of 2 series; expected a list",
    ),
    ([A, B], [FUTURE[0], 3], r"future\[1\] is of type int"),
    ([A, B], [FUTURE[0], FUTURE[1][:1]], r"future\[1\] has the shape \(1, 1\)"),
    ([A, B], [FUTURE[0], [3, np.nan]], "for series 1 at step 4"),
    (wide(A), pd.DataFrame({"x": [1, 2]}), "future has no column 'promo'. It has 'x'"),
    (INDEXED, wide(A, dates(5)[1:]), "future has no row for y at 2024-02-04"),
    (INDEXED, wide(A), "future has integers, but the series have dates"),
    (INDEXED, wide(A, list("abcd")), "future has no times, but the series have dates"),
    (INDEXED, wide(A, dates(4, tz="UTC")), "future has dates in the time zone UTC, but"),
    (INDEXED, wide(A, dates(6)[[4, 4, 5, 5]]), "future has 2 rows for 2024-02-03"),
    (long(), FUTURE[0], "future is of type ndarray, but y is a long data frame; expected one"),
    (long(), [long_future()], "future is of type list"),
    (long(), long_future().drop(columns="unique_id"), "future has no column 'unique_id'"),
    (long(), long_future().drop(columns="ds"), "future has no column 'ds'"),
    (long(), long_future().drop(columns="promo"), "future has no column 'promo'"),
    (long(), long_future().drop(index=1), "no row for series 'b' at 2024-02-04\\."),
    (long(), long_future().drop(index=[1, 2, 3]), "'b' at 2024-02-04, and 2 more"),
    (long(), long_future(ids=["b", "c"]), "no row for series 'a' at 2024-02-02, and 1 more"),
    (long(), long_future(ids=["B", "A"]), r"no row of any series: its ids are \['B', 'A'\]"),
    (long(), missing_value(long_future(), 2), "'promo' for series 'a' at 2024-02-02\\."),
    (long(), long_future(np.arange), "future has integers, but the series have dates"),
    (long(), pd.concat([long_future()] * 2), "2 rows for series 'b' at 2024-02-03"),
    (long(np.arange), long_future(np.arange).drop(index=0), "series 'b' at 4\\."),
]


@pytest.mark.parametrize(("y", "future", "message"), BAD_FUTURES)
def test_bad_futures(y, future, message):
    is_array = isinstance(y, (np.ndarray, list))
    roles = INDICES if is_array else ROLES
    panel = read_panel(y, roles)
    with pytest.raises(ValueError, match=message):
        read_future(future, panel, roles, 2)


class TestLibraries:
    @pytest.mark.parametrize("library", LIBRARIES)
    def test_a_frame_of_columns(self, library):
        pytest.importorskip(library)
        columns = {
            "a": np.arange(2),
            "b": ["x", "y"],
            "c": np.array(["2020", "2021"], "M8[us]"),
        }
        out = _frames.long_frame(columns, library)
        assert type(out).__module__.partition(".")[0] == library
        assert as_lists(out) == {
            **columns,
            "a": [0, 1],
            "c": [*pd.DatetimeIndex(columns["c"])],
        }

    def test_without_pandas(self, monkeypatch):
        def import_module(name, *args):
            if name == "pandas":
                raise ImportError(name)
            return importlib.import_module(name, *args)

        monkeypatch.setattr(_frames, "import_module", import_module)
        panel = read_panel([A, B], INDICES)
        assert [out.shape for out in wrapped(panel, THREE)] == [(2, 1, 3)] * 2
        assert read_future(list(FUTURE), panel, INDICES, 2).shape == (2, 2, 1)
        with pytest.raises(ImportError, match="a data frame .* needs pandas: pip install"):
            panel.to_frame([0], {}, {})

    def test_arrays_need_neither_pandas_nor_narwhals(self):
        # scikit-learn may import both where they are installed.
        script = (
            "import sys, cylstm; before = {*sys.modules}\n"
            "import numpy as np; from cylstm._panel import ColumnRoles, read_panel\n"
            "y = [np.arange(4), np.arange(3)]\n"
            "panel = read_panel(y, ColumnRoles())\n"
            "panel.form.wrap(panel, np.zeros((2, 3, 1, 1)), ['y_hat'], 3)\n"
            "assert 'cylstm._frames' not in sys.modules\n"
            "assert not {'pandas', 'narwhals', 'polars'} & ({*sys.modules} - before)\n"
        )
        subprocess.run([sys.executable, "-c", script], check=True)


def test_a_panel_is_what_its_fields_say():
    panel = read_panel(long(), ROLES)
    assert isinstance(panel, Panel)
    for name in ("targets", "known", "past"):
        assert getattr(panel, name).shape == (7, 1)
        assert getattr(panel, name).dtype == np.float64
    assert panel.starts.dtype == panel.lengths.dtype == np.int64
    assert panel.times.dtype.kind == "M"
