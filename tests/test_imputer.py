"""SequenceImputer against loops over steps, and as a part of scikit-learn's pipelines."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from cylstm import LSTMClassifier
from cylstm.preprocessing import SequenceImputer, StepwiseTransformer

RNG = np.random.default_rng(0)
NAN = np.nan
T, F = 6, 3
# Of tests whose X has padding and gaps.
AMBIGUOUS = "ignore:The last steps of .* sequences are NaN"
LENGTHS = [6, 1, 4, 2, 6, 3, 5, 1]


def with_gaps(shape, fraction=0.4):
    """Random numbers; the last feature has no gaps."""
    x = RNG.normal(loc=2, size=shape)
    x[..., :-1][RNG.random(x[..., :-1].shape) < fraction] = NAN
    return x


RAGGED = [with_gaps((n, F)) for n in LENGTHS]
X = with_gaps((8, T, F))


def padded(sequences):
    out = np.full((len(sequences), max(map(len, sequences)), sequences[0].shape[1]), NAN)
    for row, x in zip(out, sequences, strict=True):
        row[: len(x)] = x
    return out


def fill_step_by_step(x, fills, strategy, indicators, elapsed_of):
    """One sequence, step by step. delta is that of Che et al. (2018), equation (2), with
    steps as times."""
    out = []
    carried, delta, gap = np.full(x.shape[1], NAN), np.full(x.shape[1], -1.0), True
    for step in x:
        delta = 1 + np.where(gap, delta, 0)
        gap = np.isnan(step)
        carried = np.where(gap & (strategy == "forward"), carried, step)
        filled = np.where(np.isnan(carried), fills, carried)
        out.append([*filled, *gap[indicators], *delta[elapsed_of]])
    return np.array(out, dtype=float)


@st.composite
def sequences_with_gaps(draw):
    n_features = draw(st.integers(1, 3))
    step = st.lists(
        st.sampled_from([NAN, NAN, -1.0, 2.0, 5.0]), min_size=n_features, max_size=n_features
    )
    sequence = st.lists(step, min_size=1, max_size=6).map(np.array)
    return draw(st.lists(sequence, min_size=1, max_size=4))


@settings(deadline=None, max_examples=60)
@given(
    train=sequences_with_gaps(),
    strategy=st.sampled_from(["forward", "mean", "constant"]),
    add_indicator=st.sampled_from(["auto", True, False]),
    add_elapsed=st.booleans(),
    data=st.data(),
)
def test_against_a_loop_over_steps(train, strategy, add_indicator, add_elapsed, data):
    n_features = train[0].shape[1]
    test = data.draw(sequences_with_gaps().filter(lambda X: X[0].shape[1] == n_features))
    imputer = SequenceImputer(
        strategy, add_indicator=add_indicator, add_elapsed=add_elapsed, fill_value=-3
    ).fit(train)
    steps = np.concatenate(train)
    fills = np.full(n_features, -3.0)
    gappy = []
    for k, column in enumerate(steps.T):
        values = column[~np.isnan(column)]
        if strategy != "constant" and len(values):
            fills[k] = values.mean()
        if add_indicator is True or len(values) < len(column):
            gappy.append(k)
    indicators, elapsed = gappy if add_indicator else [], gappy if add_elapsed else []
    np.testing.assert_allclose(imputer.statistics_, fills, rtol=1e-14)
    assert imputer.indicator_features_.tolist() == indicators
    assert imputer.elapsed_features_.tolist() == elapsed
    for x, filled in zip(test, imputer.transform(test), strict=True):
        expected = fill_step_by_step(x, imputer.statistics_, strategy, indicators, elapsed)
        np.testing.assert_array_equal(filled, expected)


def test_values_delta_and_order_of_columns():
    x = np.array([[NAN, 7.0], [1.0, NAN], [NAN, NAN], [NAN, 8.0], [2.0, 9.0], [3.0, 9.0]])
    imputer = SequenceImputer(add_elapsed=True).fit([x, np.array([[4.0, 0.0]])])
    np.testing.assert_allclose(imputer.statistics_, [2.5, 6.6])
    expected = [
        [2.5, 7, 1, 0, 0, 0],
        [1, 7, 0, 1, 1, 1],
        [1, 7, 1, 1, 1, 2],
        [1, 8, 1, 0, 2, 3],
        [2, 9, 0, 0, 3, 1],
        [3, 9, 0, 0, 1, 1],
    ]
    np.testing.assert_array_equal(imputer.transform([x])[0], expected)
    names = ["a", "b", "missingindicator_a", "missingindicator_b", "elapsed_a", "elapsed_b"]
    assert imputer.get_feature_names_out(["a", "b"]).tolist() == names


@pytest.mark.parametrize("strategy", ["forward", "mean", "constant"])
def test_nothing_comes_from_the_future_or_from_other_sequences(strategy):
    imputer = SequenceImputer(strategy, add_elapsed=True).fit(RAGGED)
    together = imputer.transform(RAGGED)
    for k, x in enumerate(RAGGED):
        for t in range(1, len(x) + 1):
            changed = [with_gaps(other.shape) for other in RAGGED]
            changed[k][:t] = x[:t]
            np.testing.assert_array_equal(imputer.transform(changed)[k][:t], together[k][:t])
    reordered = imputer.transform(RAGGED[::-1])[::-1]
    for expected, x in zip(together, reordered, strict=True):
        np.testing.assert_array_equal(x, expected)


def test_the_mean_is_that_of_simple_imputer():
    imputer = SequenceImputer("mean").fit(RAGGED)
    simple = StepwiseTransformer(SimpleImputer(add_indicator=True)).fit(RAGGED)
    for x, expected in zip(imputer.transform(RAGGED), simple.transform(RAGGED), strict=True):
        np.testing.assert_allclose(x, expected, rtol=1e-14)
    names = simple.get_feature_names_out().tolist()
    assert imputer.get_feature_names_out().tolist() == names


def test_all_forms_of_X_are_filled_alike():
    imputer = SequenceImputer(add_elapsed=True)
    expected = imputer.fit(list(X)).transform(list(X))
    objects = np.empty(len(X), dtype=object)
    objects[:] = list(X)
    for form in (objects, tuple(X), [pd.DataFrame(x) for x in X], pd.Series(list(X))):
        filled = clone(imputer).fit(form).transform(form)
        assert type(filled) is (np.ndarray if hasattr(form, "dtype") else list)
        np.testing.assert_array_equal(np.stack(list(filled)), expected)
    for array in (X, np.asfortranarray(X), X.tolist(), X.astype(object)):
        np.testing.assert_array_equal(clone(imputer).fit(array).transform(array), expected)
    # In columns every feature has an indicator, whatever the data.
    expected = clone(imputer).set_params(add_indicator=True).fit_transform(X)
    columns = X.reshape(len(X), T * F)
    for form in (columns, columns.tolist(), pd.DataFrame(columns)):
        by_columns = clone(imputer).set_params(n_step_features=F).fit(form)
        filled = by_columns.transform(form)
        np.testing.assert_array_equal(filled.reshape(np.shape(expected)), expected)
        assert by_columns.n_features_in_ == T * F
        # Fitted to one form, it reads the others too.
        np.testing.assert_array_equal(by_columns.transform(X), expected)


@pytest.mark.filterwarnings(AMBIGUOUS)
def test_only_a_three_dimensional_X_has_padding():
    imputer = SequenceImputer(add_elapsed=True).fit(RAGGED)
    expected = padded(imputer.transform(RAGGED))
    np.testing.assert_array_equal(imputer.transform(padded(RAGGED)), expected)
    same = clone(imputer).fit(padded(RAGGED))
    np.testing.assert_array_equal(same.statistics_, imputer.statistics_)
    # Steps that are NaN in every feature: inside a sequence gaps, at its end padding,
    # unless they are in a list or in columns.
    x = np.array([[NAN], [1.0], [NAN], [3.0], [NAN]])
    filled = [2.0, 1.0, 1.0, 3.0, 3.0]
    imputer = SequenceImputer(add_indicator=False)
    assert imputer.fit_transform([x])[0].ravel().tolist() == filled
    assert imputer.fit_transform(x.T).ravel().tolist() == filled
    np.testing.assert_array_equal(imputer.fit_transform(x[None]).ravel(), [*filled[:4], NAN])


def test_padding_does_not_count_as_a_gap():
    full = [np.ones((n, 2)) for n in LENGTHS]
    imputer = SequenceImputer(add_elapsed=True).fit(padded(full))
    assert imputer.indicator_features_.size == imputer.elapsed_features_.size == 0
    np.testing.assert_array_equal(imputer.transform(padded(full)), padded(full))


def test_features_with_gaps_only_in_fit_or_only_later():
    full, gappy = np.ones((2, 2)), np.array([[1.0, 1.0], [NAN, 1.0]])
    imputer = SequenceImputer().fit([full])
    assert imputer.transform([gappy])[0].tolist() == [[1, 1], [1, 1]]
    imputer.fit([gappy])
    assert imputer.transform([full])[0].tolist() == [[1, 1, 0], [1, 1, 0]]
    assert imputer.transform([full * 7, gappy])[1].tolist() == [[1, 1, 0], [1, 1, 1]]


@pytest.mark.parametrize("strategy", ["forward", "mean", "constant"])
def test_a_feature_without_values_is_kept(strategy):
    empty = np.array([[NAN, 1.0], [NAN, 2.0]])
    imputer = SequenceImputer(strategy, fill_value=9).fit([empty])
    assert imputer.transform([empty])[0].tolist() == [[9, 1, 1], [9, 2, 1]]


@pytest.mark.filterwarnings(AMBIGUOUS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("strategy", ["forward", "mean", "constant"])
def test_precision_is_kept_and_the_input_unchanged(dtype, strategy):
    imputer = SequenceImputer(strategy, add_elapsed=True)
    ragged = [x.astype(dtype) for x in RAGGED]
    array = padded(RAGGED).astype(dtype)
    columns = X[:, :, 0].astype(dtype)
    for data in (ragged, array, columns, pd.DataFrame(columns)):
        before = pickle.dumps(data)
        filled = imputer.fit(data).transform(data)
        assert np.asarray(filled[0] if isinstance(filled, list) else filled).dtype == dtype
        assert pickle.dumps(data) == before
    ones = imputer.fit_transform([np.ones((2, 2), dtype=int)])[0]
    assert ones.dtype == np.float64


def test_read_only_input_of_any_layout():
    frozen = [np.asfortranarray(x) for x in RAGGED]
    for x in frozen:
        x.flags.writeable = False
    imputer = SequenceImputer()
    for x, same in zip(
        imputer.fit_transform(frozen), imputer.fit_transform(RAGGED), strict=True
    ):
        np.testing.assert_array_equal(x, same)


# Names and data frames


def test_names_of_columns_step_by_step():
    frame = pd.DataFrame(
        [[1.0, 5.0, NAN, 6.0], [2.0, 7.0, 3.0, 8.0]], columns=["a0", "b0", "a1", "b1"]
    )
    imputer = SequenceImputer(n_step_features=2, add_elapsed=True)
    imputer.set_output(transform="pandas").fit(frame)
    assert imputer.feature_names_in_.tolist() == [*frame.columns]
    out = imputer.transform(frame.set_axis([5, 6]))
    kinds = ("missingindicator", "elapsed")
    first = ["a0", "b0", *(f"{kind}_{name}" for kind in kinds for name in ("a0", "b0"))]
    assert [*out.columns] == [*first, *(name.replace("0", "1") for name in first)]
    assert [*out.columns] == imputer.get_feature_names_out().tolist()
    assert [*out.index] == [5, 6]
    assert out.loc[5, "a1":].tolist() == [1, 6, 1, 0, 1, 1]
    with pytest.raises(ValueError, match="feature names should match"):
        imputer.transform(frame[["b0", "a0", "a1", "b1"]])
    step = clone(imputer).fit(frame).transform([X[0, :, :2]])[0]
    assert [*step.columns] == [name.replace("a0", "x0").replace("b0", "x1") for name in first]


@pytest.mark.parametrize("as_objects", [False, True])
def test_lists_of_data_frames(as_objects):
    frames = [pd.DataFrame(x, columns=["p", "q", "r"]).iloc[::-1] for x in RAGGED]
    if as_objects:
        frames = pd.Series(frames, index=range(3, 3 + len(frames)))
    imputer = SequenceImputer().set_output(transform="pandas").fit(frames)
    assert imputer.n_features_in_ == 3
    names = ["p", "q", "r", "missingindicator_p", "missingindicator_q"]
    assert imputer.get_feature_names_out().tolist() == names
    filled = clone(imputer).fit(frames).transform(frames)
    plain = imputer.set_output(transform="default").transform(frames)
    for frame, out, x in zip(frames, filled, plain, strict=True):
        pd.testing.assert_frame_equal(out, pd.DataFrame(x, columns=names, index=frame.index))
    with pytest.raises(ValueError, match="feature names should match"):
        imputer.transform([frame[["q", "p", "r"]] for frame in frames])
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        imputer.transform(X)


def test_output_follows_the_global_setting_and_arrays_stay_arrays():
    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(SequenceImputer().fit_transform(X[:, :, 0]), pd.DataFrame)
        assert isinstance(SequenceImputer().fit_transform(X), np.ndarray)
        imputer = SequenceImputer().set_output(transform="default")
        assert isinstance(imputer.set_output().fit_transform(X[:, :, 0]), np.ndarray)


def test_missing_values_of_pandas():
    frame = pd.DataFrame({"a": [1, None, 3], "b": [None, 5, 6]}).convert_dtypes()
    x = np.array([[1, NAN], [NAN, 5], [3, 6]])
    expected = SequenceImputer().fit_transform([x])[0]
    np.testing.assert_array_equal(SequenceImputer().fit_transform([frame])[0], expected)
    by_columns = SequenceImputer(n_step_features=2)
    np.testing.assert_array_equal(by_columns.fit_transform(frame), by_columns.fit_transform(x))


# Inside scikit-learn


@parametrize_with_checks([SequenceImputer(), SequenceImputer("mean", add_elapsed=True)])
def test_contract(estimator, check):
    check(estimator)


def test_pickles_and_clones():
    imputer = SequenceImputer("constant", fill_value=4, add_elapsed=True).fit(RAGGED)
    again = pickle.loads(pickle.dumps(imputer))
    refitted = clone(imputer).fit(RAGGED)
    for expected, *others in zip(
        imputer.transform(RAGGED),
        again.transform(RAGGED),
        refitted.transform(RAGGED),
        strict=True,
    ):
        for other in others:
            np.testing.assert_array_equal(other, expected)


@pytest.mark.filterwarnings(AMBIGUOUS)
@pytest.mark.parametrize("X", [RAGGED, padded(RAGGED)], ids=["ragged", "padded"])
def test_before_a_network(X):
    y = np.arange(len(X)) % 2
    pipeline = make_pipeline(
        StepwiseTransformer(StandardScaler()),
        SequenceImputer(),
        LSTMClassifier(2, max_iter=1, random_state=0),
    )
    search = GridSearchCV(pipeline, {"sequenceimputer__add_elapsed": [False, True]}, cv=2)
    search.fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    pipeline.fit(X, y)
    assert pipeline[-1].n_features_in_ == F + 2
    # The scaler leaves gaps as gaps, of which the mean is then 0.
    np.testing.assert_allclose(pipeline[1].statistics_, 0, atol=1e-12)


def test_parameters_set_after_fit_do_not_change_it():
    imputer = SequenceImputer(add_elapsed=True).fit(RAGGED)
    expected = imputer.transform(RAGGED)[0]
    imputer.set_params(strategy="mean", add_indicator=False, n_step_features=9)
    np.testing.assert_array_equal(imputer.transform(RAGGED)[0], expected)


# Errors


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"strategy": "backward"}, "'strategy' parameter of SequenceImputer"),
        ({"add_indicator": "all"}, "'add_indicator' parameter"),
        ({"add_elapsed": "auto"}, "'add_elapsed' parameter"),
        ({"fill_value": NAN}, "'fill_value' parameter"),
        ({"fill_value": np.inf}, "'fill_value' parameter"),
        ({"fill_value": "0"}, "'fill_value' parameter"),
        ({"n_step_features": 0}, "'n_step_features' parameter"),
        ({"n_step_features": 2**70}, "n_step_features must fit in 64 bits"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        SequenceImputer(**parameters).fit(X)


BAD_X = [
    (None, "X is None; expected a 3-D array"),
    ([], "X is empty"),
    (np.full((2, 3), "a"), "X must hold numbers: could not convert string"),
    (np.full((2, 3, 1), "a"), "X must hold numbers: could not convert string"),
    ([np.array([["a"]])], r"X\[0\] has dtype <U1: not numbers"),
    (np.ma.masked_less(X, 0), "X is a MaskedArray .* Use NaN for missing"),
    (np.zeros((2, 2, 2, 2)), r"X has shape \(2, 2, 2, 2\)"),
    ([np.zeros((2, 3)), np.zeros((0, 3))], r"X\[1\] has length 0"),
    ([np.zeros((2, 3)), np.zeros((2, 4))], r"X\[1\] has 4 features"),
    (np.where(np.arange(8)[:, None, None] == 5, NAN, X), r"X\[5\] has length 0: all .* NaN"),
    (np.where(X[3, 2, 2] == X, np.inf, X), "contains infinity .* sample 3 at step 2"),
    ([RAGGED[0], -np.inf * RAGGED[2]], "contains infinity .* sample 1 at step 0"),
    (np.where(X[3, 2, 2] == X, np.inf, X)[:, :, 2], "infinity .* sample 3 at step 2"),
    (
        [pd.DataFrame({"a": [1.0]}), pd.DataFrame({"b": [1.0]})],
        r"X\[1\] has other columns than X\[0\]: only X\[1\] has \['b'\], only X\[0\] has",
    ),
]


@pytest.mark.parametrize(("bad", "message"), BAD_X)
def test_bad_X(bad, message):
    with pytest.raises(ValueError, match=message):
        SequenceImputer().fit(bad)
    fitted = SequenceImputer(add_elapsed=True).fit(RAGGED)
    before = pickle.dumps(fitted)
    with pytest.raises(ValueError, match=message):
        fitted.fit(bad)
    assert pickle.dumps(fitted) == before


def test_X_that_does_not_fit_the_fitted_imputer():
    imputer = SequenceImputer().fit(RAGGED)
    with pytest.raises(ValueError, match="X has 2 features at every step.*fitted with 3"):
        imputer.transform(X[:, :, :2])
    with pytest.raises(ValueError, match="SequenceImputer was fitted on sequences.* X = "):
        imputer.transform(X[0])
    with pytest.raises(ValueError, match="18 columns, .* not a multiple of n_step_features=4"):
        SequenceImputer(n_step_features=4).fit(X.reshape(8, T * F))
    by_columns = SequenceImputer().fit(X[:, :, 0])
    with pytest.raises(ValueError, match="X has 5 features, but SequenceImputer is expecting"):
        by_columns.transform(X[:, :5, 0])


def test_fills_that_overflow():
    with pytest.raises(ValueError, match="feature 0 .* 1e[+]300, which overflows float32"):
        SequenceImputer("constant", fill_value=1e300).fit([np.float32(RAGGED[0])])
    huge = [np.full((2, 1), 1e308)]
    with pytest.raises(ValueError, match="feature 0 .* inf, which overflows float64"):
        SequenceImputer().fit(huge)
    fitted = SequenceImputer().fit([huge[0][:1]])
    with pytest.raises(ValueError, match="with 1e[+]308, which overflows float32"):
        fitted.transform([np.float32([[NAN]])])
