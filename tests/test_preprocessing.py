"""StepwiseTransformer, from_long and unpad_sequences; padding that may be gaps."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from frame_libraries import LIBRARIES, as_library, as_lists
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from cylstm import LSTMClassifier, LSTMLanguageModel, LSTMRegressor
from cylstm._sequences import has_gaps
from cylstm.preprocessing import (
    SequenceImputer,
    StepwiseTransformer,
    from_long,
    make_windows,
    unpad_sequences,
)

RNG = np.random.default_rng(0)
X = RNG.normal(loc=3, scale=2, size=(10, 5, 4))
LENGTHS = RNG.integers(1, 6, size=10)
RAGGED = [x[:n] for x, n in zip(X, LENGTHS, strict=True)]
PADDED = np.where((np.arange(5) < LENGTHS[:, None])[:, :, None], X, np.nan)


def test_steps_are_rows():
    out = StepwiseTransformer(StandardScaler()).fit_transform(X)
    expected = StandardScaler().fit_transform(X.reshape(50, 4)).reshape(X.shape)
    np.testing.assert_array_equal(out, expected)


def test_padding_does_not_count_and_stays():
    expected = StandardScaler().fit(np.concatenate(RAGGED))
    padded = StepwiseTransformer(StandardScaler()).fit(PADDED)
    np.testing.assert_array_equal(padded.transformer_.mean_, expected.mean_)
    out = padded.transform(PADDED)
    np.testing.assert_array_equal(np.isnan(out), np.isnan(PADDED))
    ragged = StepwiseTransformer(StandardScaler()).fit_transform(RAGGED)
    for k, x in enumerate(ragged):
        np.testing.assert_array_equal(x, out[k, : LENGTHS[k]])


def test_the_form_of_x_is_kept():
    transformer = StepwiseTransformer(PCA(2)).fit(RAGGED)
    assert isinstance(transformer.transform(RAGGED), list)
    objects = np.empty(10, dtype=object)
    objects[:] = RAGGED
    out = transformer.transform(objects)
    assert out.dtype == object
    assert out[3].shape == (LENGTHS[3], 2)
    assert transformer.transform(X).shape == (10, 5, 2)
    assert transformer.get_feature_names_out().tolist() == ["pca0", "pca1"]


@pytest.mark.parametrize("dtype", [int, bool, np.float32])
def test_padding_stays_padding_whatever_the_type(dtype):
    numbers = np.where(np.isnan(PADDED), np.nan, np.arange(4.0) % 2)
    transformer = FunctionTransformer(lambda rows: rows.astype(dtype))
    out = StepwiseTransformer(transformer).fit_transform(numbers)
    np.testing.assert_array_equal(out, numbers)


def test_a_partial_fit_that_fails_leaves_it_unfitted():
    transformer = StepwiseTransformer(StandardScaler())
    with pytest.raises(ValueError, match="could not convert"):
        transformer.partial_fit([np.array([["a"]], dtype=object)])
    with pytest.raises(NotFittedError):
        transformer.transform(X)


def test_missing_values_are_filled():
    holes = X.copy()
    holes[2, 1, 0] = np.nan
    out = StepwiseTransformer(SimpleImputer()).fit_transform(holes)
    assert out[2, 1, 0] == pytest.approx(np.nanmean(holes[:, :, 0]))


def test_inverse():
    transformer = StepwiseTransformer(StandardScaler()).fit(PADDED)
    back = transformer.inverse_transform(transformer.transform(PADDED))
    np.testing.assert_allclose(back, PADDED)
    assert not hasattr(StepwiseTransformer(SelectKBest()), "partial_fit")


def test_partial_fit():
    whole = StepwiseTransformer(StandardScaler()).fit(X)
    parts = StepwiseTransformer(StandardScaler()).partial_fit(X[:4]).partial_fit(X[4:])
    np.testing.assert_allclose(parts.transformer_.mean_, whole.transformer_.mean_)


def test_targets_are_repeated_for_every_step():
    y = np.array([x[:, 2].sum() for x in RAGGED])
    selector = SelectKBest(f_regression, k=1)
    transformer = StepwiseTransformer(selector).fit(RAGGED, y)
    expected = clone(selector).fit(np.concatenate(RAGGED), np.repeat(y, LENGTHS))
    np.testing.assert_array_equal(transformer.transformer_.scores_, expected.scores_)
    with pytest.raises(ValueError, match="y has 9 samples, but X has 10"):
        StepwiseTransformer(selector).fit(RAGGED, y[:9])


def test_targets_of_every_step():
    y = [x[:, 2] for x in RAGGED]
    selector = SelectKBest(f_regression, k=1)
    transformer = StepwiseTransformer(selector).fit(RAGGED, y)
    expected = clone(selector).fit(np.concatenate(RAGGED), np.concatenate(y))
    np.testing.assert_array_equal(transformer.transformer_.scores_, expected.scores_)
    y[3] = np.zeros(LENGTHS[3] + 1)
    with pytest.raises(ValueError, match=rf"y\[3\] .* X\[3\] has {LENGTHS[3]} steps"):
        transformer.fit(RAGGED, y)


def test_sparse_and_data_frame_outputs_become_arrays():
    codes = RNG.integers(3, size=(6, 4, 1))
    assert StepwiseTransformer(OneHotEncoder()).fit_transform(codes).shape == (6, 4, 3)
    scaler = StandardScaler().set_output(transform="pandas")
    assert isinstance(StepwiseTransformer(scaler).fit_transform(X), np.ndarray)
    pipeline = make_pipeline(StepwiseTransformer(StandardScaler()))
    assert isinstance(pipeline.set_output(transform="pandas").fit_transform(X), np.ndarray)


NAMES = ["p", "q", "r", "s"]
FRAMES = [pd.DataFrame(x, columns=NAMES) for x in RAGGED]


@pytest.mark.parametrize("collection", [list, tuple, pd.Series])
def test_the_transformer_gets_one_data_frame_of_all_steps(collection):
    by_name = ColumnTransformer(
        [("scale", StandardScaler(), ["r", "p"]), ("keep", "passthrough", ["q"])]
    )
    stepwise = StepwiseTransformer(by_name).fit(collection(FRAMES))
    assert stepwise.feature_names_in_.tolist() == NAMES
    assert stepwise.n_features_in_ == 4
    assert stepwise.get_feature_names_out().tolist() == ["scale__r", "scale__p", "keep__q"]
    steps = pd.concat(FRAMES)
    expected = np.split(clone(by_name).fit_transform(steps), np.cumsum(LENGTHS)[:-1])
    out = stepwise.transform(collection(FRAMES))
    assert type(out) is (np.ndarray if collection is pd.Series else list)
    for x, same in zip(out, expected, strict=True):
        np.testing.assert_array_equal(x, same)


def test_columns_keep_their_types():
    frames = [
        pd.DataFrame({"n": np.arange(k), "kind": list("abba")[:k]}).convert_dtypes()
        for k in (4, 1, 3)
    ]
    frames[0].loc[1, "n"] = None
    by_type = ColumnTransformer(
        [
            ("fill", SimpleImputer(), make_column_selector(dtype_include="number")),
            ("codes", OneHotEncoder(), ["kind"]),
        ]
    )
    stepwise = StepwiseTransformer(by_type)
    filled = stepwise.fit_transform(frames)[0].tolist()
    assert filled == [[0, 1, 0], [8 / 7, 0, 1], [2, 0, 1], [3, 1, 0]]
    names = ["fill__n", "codes__kind_a", "codes__kind_b"]
    assert stepwise.get_feature_names_out().tolist() == names


def test_data_frames_without_names_are_arrays():
    stepwise = StepwiseTransformer(StandardScaler()).fit(FRAMES)
    nameless = [pd.DataFrame(x) for x in RAGGED]
    expected = StepwiseTransformer(StandardScaler()).fit_transform(RAGGED)
    out = stepwise.fit(nameless).transform(nameless)
    assert not hasattr(stepwise, "feature_names_in_")
    for x, same in zip(out, expected, strict=True):
        np.testing.assert_array_equal(x, same)


def test_other_data_frames_than_in_fit():
    stepwise = StepwiseTransformer(StandardScaler()).partial_fit(FRAMES)
    assert stepwise.feature_names_in_.tolist() == NAMES
    swapped = [x[["q", "p", "r", "s"]] for x in FRAMES]
    for call in (stepwise.transform, stepwise.partial_fit):
        with pytest.raises(ValueError, match="feature names should match.*\n.*same order"):
            call(swapped)
        with pytest.raises(ValueError, match=r"X\[1\] has the columns .*, but X\[0\]"):
            call([FRAMES[0], *swapped[1:]])
        with pytest.raises(ValueError, match=r"X\[1\] has no column names"):
            call([FRAMES[0], *RAGGED[1:]])
        ours, inner = warnings_of(call, RAGGED)
        assert "valid feature names, but StepwiseTransformer was" in str(ours.message)
        assert "valid feature names, but StandardScaler was" in str(inner.message)
    # What is inverted has other names.
    out = [pd.DataFrame(x, columns=list("abcd")) for x in stepwise.transform(FRAMES)]
    for x, same in zip(stepwise.inverse_transform(out), RAGGED, strict=True):
        np.testing.assert_allclose(x, same)
    nameless = StepwiseTransformer(StandardScaler()).fit(RAGGED)
    ours, _ = warnings_of(nameless.transform, FRAMES)
    assert "X has feature names, but StepwiseTransformer was" in str(ours.message)


def test_a_fit_that_fails_keeps_the_names():
    stepwise = StepwiseTransformer(StandardScaler()).fit(FRAMES)
    with pytest.raises(ValueError, match="could not convert string"):
        stepwise.fit([pd.DataFrame({"a": ["b"]})])
    assert stepwise.feature_names_in_.tolist() == NAMES
    assert stepwise.n_features_in_ == 4


def test_empty_data_frames():
    for bad, message in ((FRAMES[0][:0], "length 0"), (FRAMES[0][[]], "no column names")):
        with pytest.raises(ValueError, match=rf"X\[1\] has {message}"):
            StepwiseTransformer(StandardScaler()).fit([FRAMES[0], bad])


def test_polars():
    polars = pytest.importorskip("polars")
    frames = [polars.from_dict(dict(zip(NAMES, x.T, strict=True))) for x in RAGGED]
    stepwise = StepwiseTransformer(ColumnTransformer([("scale", StandardScaler(), ["r"])]))
    out = stepwise.fit_transform(frames)
    assert stepwise.feature_names_in_.tolist() == NAMES
    expected = StandardScaler().fit_transform(np.concatenate(RAGGED)[:, 2:3])
    np.testing.assert_allclose(np.concatenate(out), expected)


def test_data_frames_of_two_libraries():
    polars = pytest.importorskip("polars")
    other = polars.from_dict(dict(zip(NAMES, RAGGED[1].T, strict=True)))
    for X, message in (
        ([FRAMES[0], other], r"X\[1\] is a data frame of polars, but X\[0\] is .* pandas"),
        ([other, other, FRAMES[0]], r"X\[2\] is a data frame of pandas, but .* polars"),
    ):
        with pytest.raises(ValueError, match=message):
            StepwiseTransformer(StandardScaler()).fit(X)


@pytest.mark.parametrize("X", [X, RAGGED], ids=["array", "list"])
@pytest.mark.parametrize(
    "change", [lambda rows: rows[:-1], lambda rows: rows[:, 0], lambda rows: rows[None]]
)
def test_a_transformer_that_does_not_return_a_row_for_each_step(change, X):
    n_steps = sum(map(len, X))
    shape = change(np.empty((n_steps, 4))).shape
    message = rf"FunctionTransformer\.{{}} returned an array of shape {re.escape(str(shape))} "
    message += f"for {n_steps} steps; expected a row"
    function = FunctionTransformer(change, change, check_inverse=False)
    stepwise = StepwiseTransformer(function).fit(X)
    for method in ("transform", "inverse_transform"):
        with pytest.raises(ValueError, match=message.format(method)):
            getattr(stepwise, method)(X)


def test_the_given_transformer_is_not_fitted():
    scaler = StandardScaler()
    StepwiseTransformer(scaler).fit(X)
    assert not hasattr(scaler, "mean_")


@pytest.mark.parametrize("bad", [X[0], pd.DataFrame(X[0]), [[1.0, 2.0]]])
def test_two_dimensional_x(bad):
    with pytest.raises(ValueError, match="StepwiseTransformer expects sequences.*2-D"):
        StepwiseTransformer(StandardScaler()).fit(bad)


def test_unfitted_and_unfit():
    with pytest.raises(NotFittedError):
        StepwiseTransformer(StandardScaler()).transform(X)
    with pytest.raises(ValueError, match="'transformer' parameter"):
        StepwiseTransformer("scaler").fit(X)


def with_gaps(shape, fraction=0.1):
    return np.where(np.random.default_rng(0).random(shape) < fraction, np.nan, np.ones(shape))


def warnings_of(call, *args):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*args)
    return caught


@pytest.fixture(params=["stepwise", "imputer"])
def transformer(request):
    stepwise = StepwiseTransformer(StandardScaler())
    return stepwise if request.param == "stepwise" else SequenceImputer()


def test_one_warning_a_call_if_padding_may_be_gaps(transformer):
    gappy = with_gaps((67, 20, 1))
    ends = np.flatnonzero(np.isnan(gappy[:, -1, 0]))
    assert len(ends) > 5
    text = f"The last steps of {len(ends)} of 67 sequences are NaN in every feature (samples "
    for name in ("fit", "transform", "fit_transform", "partial_fit"):
        if not hasattr(transformer, name):
            continue
        (warning,) = warnings_of(getattr(transformer, name), gappy)
        assert warning.category is UserWarning
        assert str(warning.message).startswith(text + ", ".join(map(str, ends[:5])) + ", ...)")
        assert "list(X)" in str(warning.message)
        assert "unpad_sequences(X, lengths)" in str(warning.message)
        assert warning.filename == __file__
    caught = warnings_of(make_pipeline(clone(transformer)).fit_transform, gappy)
    assert [warning.filename for warning in caught] == [__file__]
    with pytest.warns(UserWarning, match=r"1 of 2 sequences .* \(sample 1\)\. They"):
        transformer.transform(
            np.array([[[1.0], [np.nan], [2.0]], [[3.0], [np.nan], [np.nan]]])
        )


# Its last step is either a missing value or padding: the sequence itself cannot tell.
ENDS_EMPTY = np.array([[[1.0], [2.0], [np.nan]]])


def test_gaps_in_fit_count_as_well(transformer):
    gappy = with_gaps((67, 20, 1))
    full = with_gaps((67, 20, 1), 0)
    for X in (gappy, list(gappy), [pd.DataFrame(x, columns=["a"]) for x in gappy]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            transformer.fit(X)
        for later, where in ((ENDS_EMPTY, "fit"), (gappy, "X")):
            caught = warnings_of(transformer.transform, later)
            (warning,) = [w for w in caught if "feature names" not in str(w.message)]
            assert f"left out, but in {where} there was NaN inside" in str(warning.message)
            assert warning.filename == __file__
    transformer.fit(full)  # which forgets them
    assert not warnings_of(transformer.transform, ENDS_EMPTY)


def test_gaps_that_the_transformer_fills_in_place():
    filling = make_pipeline(SimpleImputer(copy=False), StandardScaler(copy=False))
    stepwise = StepwiseTransformer(filling).fit(list(with_gaps((67, 20, 1))))
    with pytest.warns(UserWarning, match="in fit there was NaN inside"):
        stepwise.transform(ENDS_EMPTY)


def test_gaps_in_all_calls_of_partial_fit():
    stepwise = StepwiseTransformer(StandardScaler())
    for X in (ENDS_EMPTY, [[[1.0], [np.nan]]], [[[1.0]]]):
        assert not warnings_of(stepwise.partial_fit, X)
    for call in (stepwise.partial_fit, stepwise.transform):
        with pytest.warns(UserWarning, match="in fit there was NaN inside"):
            call(ENDS_EMPTY)
    assert not warnings_of(stepwise.fit, ENDS_EMPTY)


@pytest.mark.parametrize(
    "column",
    [[1.0, np.nan], ["b", None], pd.array([1, None], "Int64"), pd.Categorical(["b", None])],
)
def test_gaps_of_pandas(column):
    rows = pd.DataFrame({"full": [1, 2], "a": column})
    assert has_gaps(rows)
    assert not has_gaps(rows[:1])


@pytest.mark.parametrize("column", [[1.0, np.nan], [1, None], ["b", None]])
def test_gaps_of_polars(column):
    polars = pytest.importorskip("polars")
    rows = polars.DataFrame({"full": [1, 2], "a": column})
    assert has_gaps(rows)
    assert not has_gaps(rows[:1])


def test_a_pipeline_that_predicts_one_sequence():
    X = with_gaps((67, 20, 1))
    pipeline = make_pipeline(
        StepwiseTransformer(StandardScaler()),
        SequenceImputer(),
        LSTMRegressor(4, max_iter=1, random_state=0),
    )
    pipeline.fit(list(X), np.arange(67.0))
    caught = warnings_of(pipeline.predict, ENDS_EMPTY)
    assert len({str(warning.message) for warning in caught}) == 1
    assert {warning.filename for warning in caught} == {__file__}
    assert not warnings_of(pipeline.predict, list(ENDS_EMPTY))


@pytest.mark.parametrize(
    "X",
    [
        pytest.param(PADDED, id="only padding"),
        pytest.param(np.where(np.arange(5)[:, None] == 1, np.nan, X), id="only gaps"),
        pytest.param(np.ones((2, 3, 1), int), id="integers"),
        pytest.param(list(with_gaps((67, 20, 1))), id="list"),
        pytest.param(with_gaps((67, 20, 1)).tolist(), id="nested lists"),
        pytest.param(pd.Series(list(with_gaps((67, 20, 1)))), id="Series"),
    ],
)
def test_no_warning_if_padding_is_padding(transformer, X):
    assert not warnings_of(lambda: transformer.fit(X).transform(X))
    assert not warnings_of(transformer.fit_transform, X)


def test_no_warning_of_columns_in_which_every_step_is_real():
    X = with_gaps((67, 20))
    assert not warnings_of(lambda: SequenceImputer().fit(X).transform(X))


def test_both_answers_to_the_warning():
    X = np.array([[[1.0], [np.nan], [3.0]], [[3.0], [5.0], [np.nan]]])
    imputer = SequenceImputer(add_indicator=False)
    gaps = imputer.fit_transform(list(X))
    assert [x.ravel().tolist() for x in gaps] == [[1, 1, 3], [3, 5, 5]]
    padding = imputer.fit_transform(unpad_sequences(X, [3, 2]))
    assert [x.ravel().tolist() for x in padding] == [[1, 1, 3], [3, 5]]


@pytest.mark.parametrize("lengths", [LENGTHS, LENGTHS.tolist(), pd.Series(LENGTHS)])
def test_sequences_without_padding(lengths):
    padded = np.where(np.isnan(PADDED), -1, PADDED)
    sequences = unpad_sequences(padded, lengths)
    assert isinstance(sequences, list)
    for x, expected in zip(sequences, RAGGED, strict=True):
        np.testing.assert_array_equal(x, expected)
        assert np.shares_memory(x, padded)


def test_tokens_without_padding():
    tokens = unpad_sequences(np.array([[1, 2, 0], [2, 0, 0]], dtype=np.int32), [3, 1])
    assert [x.tolist() for x in tokens] == [[1, 2, 0], [2]]
    LSTMClassifier(2, embedding_dim=2, max_iter=1).fit(tokens, [0, 1])
    LSTMLanguageModel(2, max_iter=1).fit(tokens)
    assert unpad_sequences([[1, 2], [3, 4]], np.uint8([1, 2]))[0].tolist() == [1]


@pytest.mark.parametrize(
    ("X", "lengths", "message"),
    [
        (None, [1], "X is None; expected a 3-D array"),
        (np.zeros(3), [1, 1, 1], r"X has shape \(3,\); expected a 3-D array"),
        (np.zeros((0, 3, 2)), [], r"X has shape \(0, 3, 2\); expected a 3-D array"),
        (RAGGED, LENGTHS, "X cannot be read as an array"),
        (np.ma.masked_less(X, 0), LENGTHS, "X is a MaskedArray"),
        (X, 5, "lengths is of type int; expected an int per sequence"),
        (X, LENGTHS[:9], r"lengths has shape \(9,\), but X has 10 samples; expected an int"),
        (X, LENGTHS[:, None], r"lengths has shape \(10, 1\), but X has 10 samples"),
        (X, LENGTHS / 1, "lengths has dtype float64; expected integers"),
        (X, LENGTHS > 2, "lengths has dtype bool; expected integers"),
        (X, [5] * 8 + [0, 6], r"lengths\[8\] is 0, but must be from 1 to the 5 steps of X"),
        (X, [5] * 9 + [6], r"lengths\[9\] is 6, but must be from 1 to the 5 steps of X"),
    ],
)
def test_bad_lengths(X, lengths, message):
    with pytest.raises(ValueError, match=message):
        unpad_sequences(X, lengths)


LONG = pd.DataFrame(
    {
        "unique_id": list("babab"),
        "ds": [3, 2, 1, 1, 2],
        "y": [1.0, 2, 3, 4, 5],
        "price": [10, 20, 30, 40, 50],
        "kind": list("uvwxy"),
    }
)


@pytest.mark.parametrize("library", LIBRARIES)
def test_series_of_a_long_frame(library):
    frame = as_library(LONG, library)
    X, y, ids = from_long(frame)
    assert ids == ["b", "a"]
    assert [targets.tolist() for targets in y] == [[3, 5, 1], [4, 2]]
    assert {type(x) for x in X} == {type(frame)}
    assert as_lists(X[0]) == {"price": [30, 50, 10], "kind": list("wyu")}
    assert as_lists(X[1]) == {"price": [40, 20], "kind": list("xv")}
    if library == "pandas":
        assert [x.index.tolist() for x in X] == [[0, 1, 2], [0, 1]]


def test_columns_of_a_long_frame():
    frame = LONG.rename(columns={"unique_id": "shop", "ds": "day", "y": "sales"})
    X, y, ids = from_long(frame, "shop", "day", ["price"], target=None)
    assert X[0].columns.tolist() == ["price"]
    assert y is None
    X, y, _ = from_long(frame, "shop", "day", target="kind")
    assert X[0].columns.tolist() == ["sales", "price"]
    assert y[1].tolist() == ["x", "v"]
    assert from_long(LONG[["unique_id", "ds", "y"]])[0] is None
    assert from_long(LONG, features=[])[0] is None


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_target_of_integers_with_gaps(library):
    frame = LONG.assign(y=pd.array([1, None, 3, 4, 5], dtype="Int64"))
    if library == "polars":
        frame = as_library(LONG, library).with_columns(y=as_library(frame, library)["y"])
    y = from_long(frame)[1]
    assert [x.dtype for x in y] == [np.float64] * 2
    np.testing.assert_array_equal(y[1], [4, np.nan])


def test_series_of_a_long_frame_are_what_estimators_take():
    X, y, _ = from_long(LONG, features=["price"])
    scaled = StepwiseTransformer(StandardScaler()).fit(X)
    assert scaled.feature_names_in_.tolist() == ["price"]
    model = LSTMRegressor(2, return_sequences=True, max_iter=1).fit(scaled.transform(X), y)
    assert [p.shape for p in model.predict(scaled.transform(X))] == [(3,), (2,)]
    assert make_windows(y[0], window=2)[0].shape == (1, 2, 1)


@pytest.mark.parametrize(
    ("frame", "settings", "message"),
    [
        (None, {}, "frame is None; expected a long data frame"),
        (np.zeros((3, 2)), {}, "frame is of type ndarray; expected a long data frame"),
        (LONG["y"], {}, "frame is of type Series"),
        (LONG, {"id": "shop"}, "frame has no column 'shop'. It has 'unique_id', 'ds'"),
        (LONG, {"time": "day"}, "frame has no column 'day'"),
        (LONG, {"target": "sales"}, "frame has no column 'sales'"),
        (LONG, {"features": ["size"]}, "frame has no column 'size'"),
        (
            LONG,
            {"features": "price"},
            r"features='price' must be a list of col",
        ),
        (LONG, {"features": ["price", "price"]}, "features=.* has 'price' twice"),
        (LONG.assign(y=pd.Timestamp(2024, 1, 1)), {}, "column 'y' of frame holds dates"),
        (LONG, {"time": "kind"}, "column 'kind' of frame holds String values such as 'u'"),
        (LONG.iloc[:0], {}, "frame has no rows"),
        (LONG.assign(ds=1), {}, "frame has two rows of series 'b' at 1, and 2 more such rows"),
    ],
)
def test_bad_long_frames(frame, settings, message):
    with pytest.raises((ValueError, TypeError), match=message):
        from_long(frame, **settings)
