"""The commands of python -m cylstm about model files: predict, show and export."""

import io
import sys

import numpy as np
import pandas as pd
import pytest
from example_sequences import (
    LABELS,
    RAGGED,
    SIGNS_RAGGED,
    SUMS,
    TOKENS,
    Y_RAGGED,
    X,
    Y,
    classifier,
    regressor,
)
from example_series import ROLES, dates, forecaster, long, long_future
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import cylstm
from cylstm import LSTMForecaster, LSTMLanguageModel
from cylstm.__main__ import main
from cylstm.preprocessing import StepwiseTransformer

NAMES = ["a", "b", "c"]
FRAMES = [pd.DataFrame(x, columns=NAMES) for x in RAGGED]
FLAT = X.reshape(len(X), -1)
PAIRS = np.column_stack([Y, -2 * Y])
# What no CSV file may take for numbers.
IDS = [f"{k:03d}" for k in range(len(RAGGED))]


@pytest.fixture
def cli(tmp_path, capsys, monkeypatch):
    """Runs a command in a folder of its own; what is no str becomes a file first."""
    monkeypatch.chdir(tmp_path)

    def written(k, x):
        if isinstance(x, str):
            return x
        path = f"{k}.csv" if isinstance(x, pd.DataFrame) else f"{k}.model"
        if isinstance(x, pd.DataFrame):
            x.to_csv(path, index=isinstance(x.index, pd.DatetimeIndex))
        else:
            cylstm.save(x, path)
        return path

    def run(*arguments):
        main([written(k, x) for k, x in enumerate(arguments)])
        return capsys.readouterr().out

    return run


@pytest.fixture
def table(cli):
    """The same of predict, as a data frame of which ids are text."""

    def run(*arguments):
        return pd.read_csv(
            io.StringIO(cli("predict", *arguments)),
            float_precision="round_trip",
            dtype={"who": str, "unique_id": str},
        )

    return run


@pytest.fixture
def refused(cli, capsys):
    """The one line that a command ends with."""

    def run(*arguments):
        with pytest.raises(SystemExit) as exit:
            cli(*arguments)
        assert exit.value.code == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        return err

    return run


def steps(frames, **columns):
    """One frame of all steps, with their sequence in the column "who"."""
    return pd.concat(
        [frame.assign(who=who, **columns) for who, frame in zip(IDS, frames, strict=True)],
        ignore_index=True,
    )


def assert_columns(table, **columns):
    """A table has these columns, of the same bits, and no others."""
    assert [*table] == [*columns]
    for name, values in columns.items():
        np.testing.assert_array_equal(table[name].to_numpy(), np.asarray(values), name)


# Sequences


def test_sequences_in_long_form(table):
    model = regressor().fit(RAGGED, Y_RAGGED)
    found = table(model, steps(FRAMES), "--id", "who")
    assert_columns(found, who=IDS, prediction=model.predict(RAGGED))


def test_steps_are_sorted_by_time(table):
    model = regressor().fit(FRAMES, Y_RAGGED)
    data = steps(FRAMES)
    order = np.random.default_rng(0).permutation(len(data))
    of_each = data.groupby("who").cumcount()
    for at in (
        of_each,
        pd.to_datetime("2030-12-31T23:59:58Z") + pd.to_timedelta(of_each, "s"),
    ):
        shuffled = data.assign(at=at).iloc[order]
        found = table(model, shuffled, "--id", "who", "--time", "at")
        expected = dict(zip(IDS, model.predict(FRAMES), strict=True))
        first = shuffled.who.unique()
        assert_columns(found, who=first, prediction=[expected[who] for who in first])


def test_features_are_found_by_their_names(table):
    model = regressor().fit(FRAMES, Y_RAGGED)
    data = steps(FRAMES, more="text")[["c", "more", "who", "b", "a"]]
    found = table(model, data, "--id", "who")
    assert_columns(found, who=IDS, prediction=model.predict(FRAMES))


def test_one_sequence(table):
    model = classifier().fit(X, LABELS)
    found = table(model, FRAMES[0])
    assert_columns(found, sequence=[0], prediction=model.predict(RAGGED[:1]))


def test_probabilities_and_steps(table):
    model = classifier(return_sequences=True).fit(RAGGED, SIGNS_RAGGED)
    found = table(model, steps(FRAMES), "--id", "who", "--proba")
    p = np.concatenate(model.predict_proba(RAGGED))
    assert_columns(
        found,
        who=np.repeat(IDS, [len(x) for x in RAGGED]),
        step=np.concatenate([np.arange(len(x)) for x in RAGGED]),
        prediction=np.concatenate(model.predict(RAGGED)),
        p_down=p[:, 0],
        p_up=p[:, 1],
    )


@pytest.mark.parametrize("named", [False, True])
def test_a_row_for_each_sequence(table, named):
    columns = [f"x{k}" for k in range(FLAT.shape[1])]
    frame = pd.DataFrame(FLAT, columns=columns)
    given = frame if named else FLAT
    model = make_pipeline(StandardScaler(), regressor(n_step_features=3)).fit(given, PAIRS)
    y = model.predict(given)
    assert_columns(table(model, frame), sequence=np.arange(len(X)), y0=y[:, 0], y1=y[:, 1])
    found = table(model, frame.assign(who=IDS), "--id", "who")
    assert_columns(found, who=IDS, y0=y[:, 0], y1=y[:, 1])


def test_rows_of_which_each_step_is_predicted(table):
    model = regressor(return_sequences=True, n_step_features=3).fit(FLAT, SUMS)
    found = table(model, pd.DataFrame(FLAT).add_prefix("x"))
    n, n_steps = SUMS.shape
    assert_columns(
        found,
        sequence=np.repeat(np.arange(n), n_steps),
        step=np.tile(np.arange(n_steps), n),
        prediction=model.predict(FLAT).ravel(),
    )


def test_quantiles(table):
    one = regressor(loss="quantile", quantile=[0.1, 0.9]).fit(X, Y)
    y = one.predict(X[:1])
    found = table(one, pd.DataFrame(X[0], columns=NAMES))
    assert_columns(
        found, sequence=[0], **{"prediction-q0.1": y[:, 0], "prediction-q0.9": y[:, 1]}
    )
    two = regressor(loss="quantile", quantile=[0.1, 0.9]).fit(X, PAIRS)
    y = two.predict(X[:1])
    names = ["y0-q0.1", "y0-q0.9", "y1-q0.1", "y1-q0.9"]
    found = table(two, pd.DataFrame(X[0], columns=NAMES))
    assert_columns(found, sequence=[0], **dict(zip(names, y.ravel()[:, None], strict=True)))


def test_stepwise_transformers(table):
    model = make_pipeline(StepwiseTransformer(StandardScaler()), classifier())
    model.fit(FRAMES, Y_RAGGED > 0)
    found = table(model, steps(FRAMES), "--id", "who")
    assert_columns(found, who=IDS, prediction=model.predict(FRAMES))


def test_tokens(table):
    model = regressor(embedding_dim=3, vocabulary_size=12).fit(TOKENS, Y_RAGGED)
    data = steps([pd.DataFrame({"token": x}) for x in TOKENS])
    assert_columns(
        table(model, data, "--id", "who"), who=IDS, prediction=model.predict(TOKENS)
    )


def test_output_is_written_to_a_file(cli, tmp_path):
    model = regressor().fit(X, Y)
    printed = cli("predict", model, FRAMES[0])
    assert cli("predict", model, FRAMES[0], "-o", "out.csv") == ""
    assert (tmp_path / "out.csv").read_text() == printed


# Forecasters


def assert_forecast(table, expected, **index):
    """A table has these columns in front, and the forecasts of predict, to the last bit."""
    n = len(index)
    assert [*table][:n] == [*index]
    for name, values in index.items():
        assert table[name].astype(str).tolist() == [str(value) for value in values]
    np.testing.assert_array_equal(
        table.iloc[:, n:], np.asarray(expected).reshape(len(table), -1)
    )


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_long_frames(table, zone):
    data, future = long(), long_future()
    for frame in (data, future):  # through the night when clocks change
        frame["ds"] += pd.Timedelta(days=89)
        if zone:
            frame["ds"] = frame.ds.dt.tz_localize("UTC").dt.tz_convert(zone)
    model = forecaster(
        level=[80], known=ROLES["known"], static=ROLES["static"], calendar=["hour"]
    )
    model.fit(data)
    part = data.groupby("unique_id").head(45).sample(frac=1, random_state=0)
    for given, ahead in ((data, future), (part, data)):
        y = model.predict(given, future=ahead, horizon=2, level=(80, 60))
        options = "--future", ahead, "--horizon", "2", "--level", "80,60"
        found = table(model, given, *options)
        assert [*found] == [*y]
        assert_forecast(found, y.iloc[:, 2:], unique_id=y.unique_id, ds=y.ds)


def test_fitted_series_go_on(table):
    model = forecaster(level=[80]).fit(long())
    y = model.predict()
    assert_forecast(table(model), y.iloc[:, 2:], unique_id=y.unique_id, ds=y.ds)
    assert [*table(model, "--level", "")] == ["unique_id", "ds", "y_hat"]


def test_ids_stay_what_they_are(table):
    data = long()[["unique_id", "ds", "y"]].replace(
        {"unique_id": {"a": "01", "b": "1", "c": "2"}}
    )
    model = forecaster().fit(data)
    assert table(model, data).unique_id.unique().tolist() == ["1", "2", "01"]
    data["unique_id"] = data.unique_id.map({"01": 3, "1": 1, "2": 2})
    data["promo"] = 0.5
    model = forecaster(known=["promo"]).fit(data)
    future = long_future().assign(unique_id=np.repeat([1, 2, 3], 3))
    assert table(model, "--future", future).unique_id.unique().tolist() == [
        "1",
        "2",
        "3",
    ]


def test_months(table):
    data = pd.DataFrame({"month": dates(60, freq="MS"), "sold": np.arange(60.0) % 7})
    model = forecaster(time_column="month", target_column="sold").fit(data)
    expected = model.predict(data[:50])
    found = table(model, data[:50].assign(month=data.month.dt.strftime("%Y-%m")))
    assert_forecast(found, expected.y_hat, month=expected.month.dt.date)


@pytest.mark.parametrize("name", [None, "when"])
def test_tables_and_series_with_an_index_of_dates(table, name):
    index = dates(60, freq="D").rename(name)
    frame = pd.DataFrame(long()[["y", "promo"]][:60].to_numpy(), index, ["y", "promo"])
    days = dates(62, freq="D")[-2:].date
    for given in (frame, frame.y):
        model = forecaster(horizon=2).fit(given)
        expected = model.predict(given * 2)
        found = table(model, pd.DataFrame(given * 2))
        assert_forecast(found, expected, **{name or "ds": days})
        names = ["y_hat"] if given is not frame else ["y_hat", "promo_hat"]
        assert [*found][1:] == names


@pytest.mark.parametrize("name", [None, "t"])
def test_tables_with_numbered_rows(table, name):
    frame = long()[:60][["y", "promo"]].rename_axis(name)
    model = forecaster(known=["promo"]).fit(frame)
    data, future = frame[5:], pd.DataFrame({"promo": [0.1, 0.2, 0.3]})
    if name:
        future.index = pd.RangeIndex(60, 63, name=name)
        data = data.reset_index()
        found = table(model, data[::-1], "--future", future.reset_index())
        data = data.set_index(name)
    else:
        found = table(model, data.assign(note="none"), "--future", future)
        data = data.reset_index(drop=True)
    expected = model.predict(data, future=future)
    assert_forecast(found, expected, **{name or "ds": expected.index})


def test_known_columns_of_a_table(table):
    frame = long()[:60].set_index("ds")[["y", "promo"]]
    future = pd.DataFrame(
        {"promo": [0.1, 0.2, 0.3]}, dates(63, "2024-01-01")[-3:].rename("ds")
    )
    model = forecaster(known=["promo"]).fit(frame)
    expected = model.predict(frame, future=future)
    found = table(model, frame, "--future", future)
    assert_forecast(found, expected, ds=future.index)


def test_arrays_and_lists(table):
    x = long()[["y", "promo"]][:60]
    one = forecaster().fit(x.y.to_numpy())
    assert_forecast(table(one, x[["y"]]), one.predict(), ds=[60, 61, 62])
    two = forecaster().fit(x.to_numpy())
    found = table(two, x.assign(day="Monday"))
    assert [*found] == ["ds", "y0_hat", "y1_hat"]
    assert_forecast(found, two.predict(), ds=[60, 61, 62])
    several = forecaster(level=80).fit([x.y.to_numpy(), x.promo.to_numpy()[:50]])
    ids, at = np.repeat(["series 0", "series 1"], 3), [60, 61, 62, 50, 51, 52]
    assert_forecast(table(several), several.predict(), unique_id=ids, ds=at)
    found = table(several, x[["promo"]][:40])
    assert_forecast(found, several.predict(x.promo.to_numpy()[:40]), ds=[40, 41, 42])


# Errors


def test_files_that_are_none(refused, tmp_path):
    model = regressor().fit(X, Y)
    for command in ("predict", "show", "export"):
        more = ["out"] if command == "export" else []
        assert "predict: no.model: No such" in refused("predict", "no.model", FRAMES[0])
        assert f"{command}: no.model: No such file" in refused(command, "no.model", *more)
        (tmp_path / "text.txt").write_text("some text and no model")
        assert "Cannot read text.txt: it was not written by cylstm" in refused(
            command, "text.txt", *more
        )
    assert "no.csv: No such file" in refused("predict", model, "no.csv")
    (tmp_path / "empty.csv").write_text("")
    assert "Cannot read empty.csv: No columns" in refused("predict", model, "empty.csv")
    (tmp_path / "ragged.csv").write_text("a,b\n1,2\n1,2,3\n")
    assert "Cannot read ragged.csv: Error tok" in refused("predict", model, "ragged.csv")
    out = refused("predict", model, FRAMES[0], "-o", "no/out.csv")
    assert "no/out.csv: No such file or directory" in out


def test_data_that_do_not_fit(refused):
    named, unnamed = regressor().fit(FRAMES, Y_RAGGED), regressor().fit(RAGGED, Y_RAGGED)
    data = steps(FRAMES)
    assert "2.csv has no column 'c'. It has 'a', 'b'." in refused(
        "predict", named, FRAMES[0][["a", "b"]]
    )
    assert "has no column 'whom'" in refused("predict", named, data, "--id", "whom")
    for model in (named, unnamed):
        text = refused("predict", model, data)
        assert "has the columns ['a', 'b', 'c', 'who'], but this LSTMRegressor reads 3" in text
        assert "--id" in text
    text = data.assign(b="high")
    assert "high" in refused("predict", unnamed, text, "--id", "who")
    gaps = data.assign(who=data.who.where(data.index != 3))
    assert "column 'who' of frame is missing in row 3" in refused(
        "predict", unnamed, gaps, "--id", "who"
    )
    text = refused("predict", unnamed, data.assign(at="noon"), "--id", "who", "--time", "at")
    assert "Column 'at' of 2.csv must hold dates such as 2030-12-31" in text
    assert "LSTMRegressor needs DATA" in refused("predict", unnamed)


def test_series_that_do_not_fit(refused):
    data = long()
    model = forecaster().fit(data)
    assert "2.csv has no column 'ds'" in refused("predict", model, data.drop(columns="ds"))
    wrong = data.assign(ds=data.ds.dt.strftime("%d/%m/%Y"))
    assert "Column 'ds' of 2.csv must hold dates" in refused("predict", model, wrong)
    wrong = data.assign(ds=data.ds.dt.tz_localize("UTC"))
    assert "must hold dates such as 2030-12-31, without offset: it has" in refused(
        "predict", model, wrong
    )
    assert "too short" in refused("predict", model, data[:2])
    assert "needs 80" not in refused("predict", model, "--level", "80")
    model = forecaster(known=["promo"]).fit(wrong)
    assert "future is missing" in refused("predict", model)
    assert "such as 2030-12-31T23:00+01:00, in UTC: it has" in refused("predict", model, data)
    assert "no column 'promo'" in refused("predict", model, wrong.drop(columns="promo"))
    frame = data[:60].set_index("ds")[["y"]]
    other = frame.rename(columns={"y": "x"})
    assert "2.csv has no column 'y'" in refused("predict", forecaster().fit(frame), other)
    array = forecaster().fit(frame.y.to_numpy())
    text = refused("predict", array, data[:60][["y", "promo"]])
    assert "2.csv has 2 columns to forecast, but LSTMForecaster was fitted with 1" in text


def test_options_of_other_models(refused):
    model, of_series = regressor().fit(X, Y), forecaster().fit(long())
    for option in (["--horizon", "3"], ["--level", "80"], ["--future", "x.csv"], ["--proba"]):
        text = refused("predict", model, FRAMES[0], *option)
        assert f"{option[0]} does not go with LSTMRegressor" in text
    for option in (["--id", "x"], ["--time", "x"], ["--proba"]):
        text = refused("predict", of_series, *option)
        assert f"{option[0]} does not go with LSTMForecaster" in text


@pytest.mark.parametrize(
    "model",
    [
        LSTMLanguageModel(4, max_iter=1).fit("abcabc"),
        StepwiseTransformer(StandardScaler()).fit(X),
    ],
    ids=lambda model: type(model).__name__,
)
def test_models_that_predict_nothing_from_a_table(refused, model):
    text = refused("predict", model, FRAMES[0])
    assert f"{type(model).__name__} predicts nothing from a CSV file" in text


def test_models_that_are_not_fitted(refused, cli):
    assert "not fitted" in refused("predict", regressor(), FRAMES[0])
    assert "not fitted" in refused("predict", LSTMForecaster())
    assert cli("show", LSTMForecaster(3)).endswith("\nLSTMForecaster(horizon=3)\n")


def test_without_pandas(refused, monkeypatch):
    model = regressor().fit(X, Y)
    cylstm.save(model, "x.model")
    FRAMES[0].to_csv("x.csv")
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert "needs pandas: pip install pandas" in refused("predict", "x.model", "x.csv")


# Show


def test_show_a_classifier(cli):
    model = classifier(bidirectional=True, hidden_layer_sizes=(6, 4), max_iter=25)
    model = make_pipeline(StepwiseTransformer(StandardScaler()), model).fit(
        FRAMES, Y_RAGGED > 0
    )
    shown = cli("show", model)
    for text in (
        f"format 1, cylstm {cylstm.__version__}\n",
        "Pipeline(steps=[('stepwisetransformer', ",
        "\nLayers: 6 + 4 units, lstm, both directions\n",
        f"{sum(w.size for w in model[1].weights_.values()):,}, float32\n",
        "\nInput: sequences, 3 features a step\n",
        "\nOutput: classes [False, True] for each sequence\n",
        "\nFeatures: ['a', 'b', 'c']\n",
        "Training: 25 epochs, ",
        " without optimizer's state\n",
    ):
        assert text in shown, text
    table = shown[shown.index("epoch ") :].splitlines()
    assert table[0].split() == ["epoch", "loss", "learning_rate", "seconds"]
    assert [int(line.split()[0]) for line in table[1:]] == [1, 4, 6, 9, 12, 14, 17, 20, 22, 25]
    for line in table[1:]:
        epoch, loss = line.split()[:2]
        assert float(loss) == pytest.approx(model[1].loss_curve_[int(epoch) - 1], rel=1e-5)


def test_show_others(cli):
    quantiles = regressor(loss="quantile", quantile=[0.1, 0.9], early_stopping=True).fit(X, Y)
    shown = cli("show", quantiles)
    assert "1 number, quantiles (0.1, 0.9) for each sequence" in shown
    assert "validation_score" in shown
    shown = cli("show", forecaster(level=[80], known=["promo"]).fit(long()))
    for text in (
        "Series: 3, up to 2024-01-05 11:00\n",
        "Columns: known=('promo',), id_column='unique_id', time_column='ds', target",
        "Context: 8 steps, season 4\n",
        "Forecasts: 3 steps, y_hat, y_hat-lo-80, y_hat-hi-80\n",
    ):
        assert text in shown, text
    table = long()[:60].set_index("ds")[["y", "promo", "size"]]
    shown = cli("show", forecaster(static=["size"]).fit(table))
    assert "Columns: static=('size',), targets=['y', 'promo']\n" in shown
    assert "Vocabulary: 3 characters" in cli(
        "show", LSTMLanguageModel(4, max_iter=1).fit("abc")
    )
    assert "StandardScaler" in cli("show", StepwiseTransformer(StandardScaler()).fit(X))


def test_show_the_optimizer(cli):
    cylstm.save(regressor().fit(X, Y), "x.model", optimizer=True)
    assert ", with optimizer's state\n" in cli("show", "x.model")


def test_show_a_checkpoint(cli):
    regressor(checkpoint="x.checkpoint").fit(X, Y)
    text = "Checkpoint of a fit of 'LSTMRegressor' after 3 epochs\n"
    assert cli("show", "x.checkpoint").endswith(text)


# Export


@pytest.mark.interop
def test_export(cli, tmp_path):
    onnx = pytest.importorskip("onnx")
    from cylstm.onnx import to_onnx

    model = regressor().fit(X, Y)
    assert cli("export", model, "model.onnx", "--opset", "19") == ""
    assert onnx.load(tmp_path / "model.onnx") == to_onnx(model, opset=19)


@pytest.mark.interop
def test_what_is_not_exported(refused):
    pytest.importorskip("onnx")
    assert "got LSTMForecaster" in refused("export", forecaster().fit(long()), "model.onnx")
    text = refused("export", regressor().fit(X, Y), "model.onnx", "--opset", "3")
    assert "opset=3 must be an int from 18" in text


def test_export_without_onnx(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    text = refused("export", regressor().fit(X, Y), "model.onnx")
    assert 'needs onnx: pip install "cylstm[onnx]"' in text
