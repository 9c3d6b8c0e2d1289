"""Models in files: the same bits again, what the files hold, and files that are refused."""

import copy
import json
import os
import pickle
import re
import subprocess
import sys
import textwrap
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
from damage import edit_bytes, edit_data, edit_header, file_of, parts_of
from example_models import COLUMNS, LONG, TEXT, assert_same, models, numbers_of, used
from example_sequences import LABELS, X, Y, classifier, regressor
from example_series import PANEL, SERIES, forecaster
from peak_memory import peak
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.model_selection import KFold, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, Normalizer, StandardScaler

import cylstm
from cylstm import (
    LSTMClassifier,
    LSTMForecaster,
    LSTMLanguageModel,
    LSTMRegressor,
    TimeSeriesOrigins,
)
from cylstm._files import read_tensors, write_tensors
from cylstm._model_files import LEFT_OUT, VERSION
from cylstm._schema import PUBLIC
from cylstm._state import PRIVATE
from cylstm.preprocessing import SequenceImputer, StepwiseTransformer

MODELS = models()
GOLDEN = Path(__file__).with_name("golden_models")
every_model = pytest.mark.parametrize("name", MODELS)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


# The same model


@pytest.mark.parametrize("mmap", [False, True])
@every_model
def test_a_loaded_model_gives_the_same_bits(name, mmap, path):
    model, data = MODELS[name]
    cylstm.save(model, path)
    loaded = cylstm.load(path, mmap=mmap)
    assert_same(used(loaded, data), used(model, data))
    assert str(loaded) == str(model)
    assert type(loaded) is type(model)
    # And so does what was saved again.
    if hasattr(loaded, "save"):
        loaded.save(path)
        assert_same(used(cylstm.load(path), data), used(model, data))


@pytest.mark.parametrize("mmap", [False, True])
@every_model
def test_training_goes_on_to_the_same_bits(name, mmap, path):
    model, data = copy.deepcopy(MODELS[name])
    if name == "int8" or not hasattr(model, "loss_curve_"):
        pytest.skip("cannot be trained")
    model.save(path, optimizer=True)
    loaded = cylstm.load(path, mmap=mmap)
    assert loaded.history_ == model.history_
    model.set_params(early_stopping=False), loaded.set_params(early_stopping=False)
    more = {
        "series": (PANEL[0],),
        "list of series": (PANEL,),
        "known and past columns": (SERIES,),
        "panel": (LONG,),
        "characters": (TEXT,),
        "words": ([TEXT.split()],),
        "integers": (np.arange(6),),
        "regressor of quantiles": (X, X[:, 0, :2]),
    }.get(name)
    if more is None and data is None:
        pytest.skip("needs data of its own")
    more = more or (data, used(model, data)[0])
    for _ in range(2):
        model.partial_fit(*more)
        loaded.partial_fit(*more)
    assert_same(used(loaded, data), used(model, data))
    assert loaded.loss_curve_ == model.loss_curve_


@pytest.mark.parametrize("estimator", [regressor, classifier])
def test_without_the_optimizer_training_goes_on_with_a_new_one(estimator, path):
    y = LABELS if estimator is classifier else Y
    model = estimator(random_state=np.random.RandomState(3)).fit(X, y)
    model.save(path)
    size = os.path.getsize(path)
    loaded = cylstm.load(path)
    curve = model.loss_curve_
    loaded.partial_fit(X, y)
    assert loaded.loss_curve_[:-1] == curve
    assert loaded.loss_curve_[-1] < curve[-1] * 1.1
    # Its numbers are another's, which training must not change.
    given = cylstm.load(path).random_state
    assert_same(loaded.random_state.normal(size=9), given.normal(size=9))
    model.save(path, optimizer=True)
    assert os.path.getsize(path) > size + 2 * model._network.parameters.nbytes


def test_a_process_in_which_pickle_cannot_load(path, tmp_path):
    model, _ = MODELS["pipeline"]
    cylstm.save(model, path)
    np.save(tmp_path / "X.npy", X)
    program = """
        import pickle, sys

        def load(*args, **kwargs):
            raise AssertionError("pickle was used")

        pickle.load = pickle.loads = load
        methods = {"load": load, "dispatch": {}}
        pickle.Unpickler = pickle._Unpickler = type("Unpickler", (), methods)
        import numpy as np
        import cylstm

        folder = sys.argv[1]
        model = cylstm.load(f"{folder}/model.safetensors")
        np.save(f"{folder}/out.npy", model.predict_proba(np.load(f"{folder}/X.npy")))
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program), tmp_path], check=True)
    assert_same(np.load(tmp_path / "out.npy"), model.predict_proba(X))


def test_models_that_are_not_fitted(path):
    for model in (
        LSTMRegressor(hidden_layer_sizes=np.array([4, 5]), dtype=np.float32, random_state=7),
        LSTMClassifier(class_weight={"a": 1, 2: 0.5}, checkpoint_every=timedelta(minutes=5)),
        LSTMLanguageModel(vocabulary={"a", "b"}, checkpoint=path),
        LSTMForecaster(7, level=(80, 95), known=["x", 3], quantiles=np.array([0.1])),
        StepwiseTransformer(StandardScaler(with_mean=False)),
        SequenceImputer(fill_value=np.float64(2)),
    ):
        cylstm.save(model, path)
        loaded = cylstm.load(path)
        assert str(loaded).split("(")[0] == str(model).split("(")[0]
        for name, value in model.get_params().items():
            other = loaded.get_params()[name]
            if isinstance(value, np.ndarray):
                assert_same(other, value)
            elif name == "checkpoint":
                assert other is None  # load does not name files to be written
            elif not isinstance(value, BaseEstimator):
                assert other == value
                assert type(other) is type(value) or isinstance(value, np.generic)
        assert not hasattr(loaded, "loss_curve_")


def test_splitters_and_sequences_as_parameters(path):
    for splitter in (TimeSeriesSplit(5, gap=1), KFold(3, shuffle=True, random_state=0)):
        regressor(validation_fraction=splitter).save(path)
        assert str(cylstm.load(path).validation_fraction) == str(splitter)
    origins = TimeSeriesOrigins(3, horizon=2)
    LSTMForecaster(2, known=range(1, 3), static=pd.Index(["a"])).save(path)
    loaded = cylstm.load(path)
    assert (loaded.known, loaded.static) == ([1, 2], ["a"])
    regressor(validation_fraction=origins).save(path)
    assert vars(cylstm.load(path).validation_fraction) == vars(origins)


@pytest.mark.parametrize(
    "dtype",
    [
        "category",
        pd.CategoricalDtype(["b", "a"], ordered=True),
        "string[python]",
        "object",
        "string[pyarrow]",
    ],
    ids=str,
)
def test_ids_of_any_dtype(dtype, path):
    """Pickles keep it; files at least the values."""
    if dtype == "string[pyarrow]":
        pytest.importorskip("pyarrow")
    frame = LONG[LONG.unique_id != "c"].astype({"unique_id": dtype})
    model = forecaster().fit(frame)
    pickled = pickle.loads(pickle.dumps(model))
    assert_same(pickled.predict(), model.predict())
    model.save(path)
    expected, found = model.predict(), cylstm.load(path).predict()
    assert found.unique_id.to_list() == expected.unique_id.to_list()
    assert_same(found[["ds", "y_hat"]], expected[["ds", "y_hat"]])


def test_a_random_state_goes_on_where_it_was(path):
    given = np.random.RandomState(5)
    given.normal()
    model = regressor(random_state=given)
    model.save(path)
    assert_same(cylstm.load(path).random_state.normal(size=9), copy.copy(given).normal(size=9))
    with pytest.raises(
        TypeError, match="random_state is a RandomState of PCG64; only that of"
    ):
        regressor(random_state=np.random.RandomState(np.random.PCG64(0))).save(path)


# The file


def test_the_package_safetensors_reads_the_weights(path):
    model = classifier(cell="gru", hidden_layer_sizes=(4, 3)).fit(X, LABELS)
    model.save(path)
    read = safetensors.numpy.load_file(path)
    for name, weight in model.weights_.items():
        assert_same(read[name], weight.copy())
    with safetensors.safe_open(path, "np") as file:
        strings = file.metadata()
    assert (strings["format"], strings["format_version"]) == ("cylstm", "1")
    assert strings["library_version"] == cylstm.__version__
    metadata = json.loads(strings["cylstm"])
    assert (metadata["kind"], metadata["version"]) == ("model", 1)
    assert metadata["model"]["class"] == "LSTMClassifier"
    assert metadata["model"]["state"]["cell"] == "gru"


def test_weights_of_a_pipeline_have_the_name_of_the_step_before_theirs(path):
    model, _ = MODELS["pipeline"]
    cylstm.save(model, path)
    names = safetensors.numpy.load_file(path).keys()
    assert "lstmclassifier.layers.0.weight_ih" in names
    assert "stepwisetransformer.transformer_.mean_" in names


def test_a_file_is_written_as_a_whole_or_not_at_all(path, monkeypatch):
    regressor().fit(X, Y).save(path)
    before = path.read_bytes()

    def fail(*args):
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="the disk is full"):
        classifier().fit(X, LABELS).save(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_what_no_file_holds_is_left_out(path):
    with config_context(enable_metadata_routing=True):
        model = regressor().set_fit_request(sample_weight=True).partial_fit(X, Y)
    model.save(path)
    left_out = vars(model).keys() - vars(cylstm.load(path)).keys()
    assert left_out == {"_memory", "_metadata_request"}
    assert left_out < set(LEFT_OUT)


# Memory


def wide():
    return LSTMRegressor(400, max_iter=1, random_state=0).fit(X[:8], Y[:8])


def test_memory(path):
    """A mapped file takes none; else each array is there once."""
    wide().save(path)
    n_bytes = os.path.getsize(path)
    assert n_bytes > 2_000_000
    assert peak(lambda: cylstm.load(path)) < n_bytes + 400_000
    assert peak(lambda: cylstm.load(path, mmap=True)) < 400_000


def test_a_mapped_model_is_read_only_until_it_is_trained(path):
    model = wide()
    model.save(path, optimizer=True)
    mapped = cylstm.load(path, mmap=True)
    with pytest.raises(ValueError, match="read-only"):
        mapped.weights_["head.bias"][:] = 0
    # Saving to the same path leaves the mapped file as it was.
    regressor().fit(X, Y).save(path)
    assert_same(mapped.predict(X), model.predict(X))
    assert not mapped._network.parameters.flags.writeable
    assert_same(mapped.stream().step(X[0, 0]), model.stream().step(X[0, 0]))
    for of in (model, mapped):
        of.partial_fit(X[:8], Y[:8])
    assert_same(mapped.predict(X), model.predict(X))
    assert mapped._network.parameters.flags.writeable


# Plain states


def assert_plain(value):
    if isinstance(value, dict):
        for key, x in value.items():
            assert type(key) is str
            assert_plain(x)
    elif isinstance(value, (list, tuple)):
        for x in value:
            assert_plain(x)
    else:
        kinds = type(None), bool, int, float, str, np.ndarray, np.random.RandomState
        assert isinstance(value, kinds), type(value)


@every_model
def test_pickles_hold_plain_values(name):
    model, _ = MODELS[name]
    if not hasattr(model, "save"):
        return
    state = model.__getstate__()
    for attribute, value in state.items():
        if attribute[0] == "_":
            assert_plain(value)
        elif attribute.endswith("_"):
            assert not type(value).__module__.startswith("cylstm")


@pytest.mark.interop
@every_model
def test_skops(name):
    sio = pytest.importorskip("skops.io")
    model, data = MODELS[name]
    written = sio.dumps(model)
    unknown = sio.get_untrusted_types(data=written)
    # SimpleImputer's own.
    of_others = {"numpy.dtype"} if "Imputer" in str(model) else set()
    assert set(unknown) <= set(cylstm.SKOPS_TRUSTED) | of_others
    loaded = sio.loads(written, trusted=[*cylstm.SKOPS_TRUSTED, *of_others])
    assert_same(used(loaded, data), used(model, data))


def test_names_for_skops_are_those_of_classes():
    for name in cylstm.SKOPS_TRUSTED:
        module, kind = name.rsplit(".", 1)
        assert getattr(sys.modules[module], kind).__module__ == module
    assert not set(PRIVATE) & set(PUBLIC)


# What cannot be saved


class Doubler(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return 2 * X


class MyRegressor(LSTMRegressor):
    pass


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (MyRegressor(), "The model is of type MyRegressor, which no file of cylstm can hold."),
        (Doubler(), "The model is of type Doubler, which"),
        (StandardScaler().fit(COLUMNS).mean_, "The model is of type ndarray, which no file"),
        (None, "The model is of type NoneType, which no file of cylstm can hold"),
        ([LSTMRegressor()], "The model is of type list, which no file of cylstm can hold"),
        (MODELS["classifier"][0]._network.architecture, "it has no model"),
        (
            StepwiseTransformer(Doubler()).fit(X),
            "transformer is of type Doubler, which no file of cylstm can hold: beside "
            "cylstm's estimators, numbers, strings and arrays there may be GroupKFold, ",
        ),
        (
            make_pipeline(StepwiseTransformer(KBinsDiscretizer()), regressor()),
            "stepwisetransformer.transformer is of type KBinsDiscretizer",
        ),
        (
            regressor(scoring=lambda model, X, y: 0.0),
            "scoring is of type function, which no file of cylstm can hold. .* A parameter "
            "that is not needed any more can be changed by set_params.",
        ),
        (regressor(cell="none"), "its LSTMRegressor does not fit together: The 'cell' param"),
        (make_pipeline(StandardScaler(), regressor(), memory="x"), "a Pipeline has memory"),
    ],
)  # fmt: skip
def test_models_that_cannot_be_saved(model, message, path):
    with pytest.raises((TypeError, ValueError), match=message.replace("(", r"\(")):
        cylstm.save(model, path)
    assert not path.exists()


# Files that are refused


def edited(path, change):
    """Change the metadata, or the header, of a model's file."""
    header, data = parts_of(path.read_bytes())
    strings = header["__metadata__"]
    metadata = json.loads(strings["cylstm"])
    change(metadata, header)
    strings["cylstm"] = json.dumps(metadata)
    text = json.dumps(header).encode()
    path.write_bytes(file_of(text + b" " * (-(8 + len(text)) % 64), data))


def put(value, *keys):
    """A change of one value of the metadata, or of its removal."""

    def change(metadata, header):
        inner = metadata
        for key in keys[:-1]:
            inner = inner[key]
        if value is None:
            del inner[keys[-1]]
        else:
            inner[keys[-1]] = value

    return change


STATE = "model", "state"
NETWORK = *STATE, "_network", "state"
ARCHITECTURE = *NETWORK, "architecture", "state"
FORMAT = *STATE, "_input_format", "state"


def rename(metadata, header):
    header["layers.0.weight"] = header.pop("layers.0.weight_ih")


def reshape(metadata, header):
    entry = header["layers.0.weight_hh"]
    entry["shape"] = entry["shape"][::-1]


def retype(metadata, header):
    header["head.bias"]["dtype"] = "I32"


WRONG = {
    "kind": (put("dog", "kind"), "its kind is 'dog', of version 1"),
    "checkpoint": (put("checkpoint", "kind"), "it is the checkpoint of a fit, from which fit"),
    "version": (put("1", "version"), "its kind is 'model', of version '1'"),
    "future": (
        put(2, "version"),
        "it was written by a newer cylstm (version 2 of models; this",
    ),
    "no model": (put(None, "model"), "it has [], not a model"),
    "another key": (put(1, "author"), "it has ['author', 'model'], not a model"),
    "a number": (put(7, "model"), "it has no model"),
    "class": (put("Robot", "model", "class"), "'Robot' is none of the classes that are"),
    "private class": (
        put("os.system", "model", "class"),
        "'os.system' is none of the",
    ),
    "no state": (put([], "model", "state"), "'LSTMClassifier' is no class"),
    "no parameter": (put(None, *STATE, "cell"), "LSTMClassifier has no parameter 'cell'"),
    "wrong parameter": (
        put("tree", *STATE, "cell"),
        "does not fit together: The 'cell' param",
    ),
    "unknown field": (put(1, *STATE, "predict"), "has a field 'predict', which is not known"),
    "no field": (put(None, *STATE, "_multilabel"), "LSTMClassifier has no _multilabel"),
    "kind of field": (
        put("yes", *STATE, "_multilabel"),
        "LSTMClassifier._multilabel is 'yes'; expected True or False",
    ),
    "unknown tag": (put({"eval": "1"}, *STATE, "tol"), "{'eval': '1'} is no value"),
    "type": (put({"type": "eval"}, *STATE, "dtype"), "'eval' is no type"),
    "dtype": (put({"dtype": "|O"}, *STATE, "dtype"), "The 'dtype' parameter"),
    "no dtype": (put({"dtype": "1" * 9999 + "f4"}, *STATE, "dtype"), "is no dtype"),
    "long dtype": (put({"dtype": "U10000000"}, *STATE, "dtype"), "is no dtype"),
    "tensor missing": (rename, "it has no tensor 'layers.0.weight_ih', or that is used twice"),
    "tensor twice": (
        put({"array": "head.bias"}, *STATE, "classes_"),
        "it has no tensor 'head.bias', or that is used twice",
    ),
    "tensor of nothing": (
        put({"tuple": []}, *STATE, "_seeds"),
        "expected a list of which",
    ),
    "shape": (reshape, "'layers.0.weight_hh' is of shape (6, 24) and dtype float32; expected"),
    "dtype of weights": (
        retype,
        "'head.bias' is of shape (3,) and dtype int32; exp",
    ),
    "more units": (
        put({"tuple": [7]}, *ARCHITECTURE, "hidden_layer_sizes"),
        "is of shape (24, 3)",
    ),
    "no units": (
        put({"tuple": [0]}, *ARCHITECTURE, "hidden_layer_sizes"),
        "expected a tuple of which each is an integer of at least 1",
    ),
    "huge": (
        put(2**40, *ARCHITECTURE, "n_inputs"),
        "expected (24, 1099511627776) and",
    ),
    "layers": (
        put({"tuple": [6] * 1000}, *ARCHITECTURE, "hidden_layer_sizes"),
        "a network has more layers than tensors",
    ),
    "pooling": (put(True, *ARCHITECTURE, "per_step"), "X and network differ"),
    "levels": (put({"tuple": [0.5]}, *ARCHITECTURE, "levels"), "there are 1 levels, not 0"),
    "loss": (put("crf", *ARCHITECTURE, "loss"), "chain is False with the loss crf"),
    "features": (put(4, *FORMAT, "n_features"), "X and network differ in their features"),
    "tokens": (put("tokens", *FORMAT, "form"), "X and network differ in their features"),
    "classes": (
        put({"objects": ["a", "b"]}, *STATE, "classes_"),
        "2 classes are too many or too few for the network",
    ),
    "history": (
        put(7, *STATE, "_history", "state", "n_iter"),
        "n_iter is 7, the curves have {3}",
    ),
}


PANEL_STATE = *STATE, "_panel", "state"
LAYOUT = *STATE, "_layout", "state"
VOCABULARY = *STATE, "_vocabulary", "state"
OPTIMIZER = *STATE, "_optimizer", "state"
FORM = *PANEL_STATE, "form", "state"
IDS = ["series 0", "series 1"]


def swap(first, second):
    """A change that makes the metadata name each of two tensors in the place of the other."""

    def change(metadata, header):
        header[first], header[second] = header[second], header[first]

    return change


PARTS_OF_PCA = [f"transformer_.pca.{name}" for name in ("mean_", "explained_variance_")]

# Model -> what is wrong -> the change and a part of the message.
WRONG_OTHERS = {
    "known and past columns": {
        "horizon": (put(4, *LAYOUT, "horizon"), "horizon and network differ"),
        "targets": (put(2, *LAYOUT, "n_targets"), "ratios are not of the targets"),
        "context": (put(2**40, *LAYOUT, "context"), "a fit is not of the windows"),
        "baseline": (put("best", *LAYOUT, "baseline"), "expected one of 'zero', 'last', 'sea"),
        "calendar": (
            put({"tuple": ["hour"]}, *LAYOUT, "calendar"),
            "calendar=('hour',) needs dates",
        ),
        "gaps": (put({"dict": []}, *LAYOUT, "gaps"), "gaps are of other columns"),
        "offsets": (put({"dict": []}, *LAYOUT, "offsets"), "scales are of other columns"),
        "roles": (
            put({"tuple": [1, 2]}, *STATE, "_roles", "state", "known"),
            "there are not 2 known columns everywhere",
        ),
        "levels": (put({"tuple": [0.4]}, *STATE, "_quantile_levels"), "levels have no median"),
        "ids": (put(IDS, *PANEL_STATE, "ids"), "there are different numbers of series"),
        "series outside": (
            swap("panel.lengths", "panel.offsets"),
            "a series is outside of the rows",
        ),
        "rows": (swap("panel.known", "panel.static"), "columns differ in length"),
        "fits": (put([], *STATE, "_linear", "state", "_fits"), "not as many fits as targets"),
        "time": (
            put("Wormhole", *FORM, "library"),
            "Form has a field 'library', which is not",
        ),
    },
    "panel with a time zone": {
        "zone": (
            put("../x", *STATE, "_frequency", "state", "zone"),
            "the time zone '../x', wh",
        ),
        "library": (put("os", *FORM, "library"), "LongForm.library is 'os'; expected one of"),
        "dtype": (
            put("Time", *FORM, "time_type", "state", "dtype"),
            "times are of dtype Time",
        ),
        "ids": (
            put({"dict": [["values", ["a"]], ["dtype", "complex"]]}, *FORM, "id_values"),
            "pandas has no dtype 'complex' of ids",
        ),
    },
    "list of series": {
        "forms": (
            put([], *FORM, "forms"),
            "fit together: IndexError('list index out of range')",
        ),
    },
    "words": {
        "size": (
            put(["cat", "<unk>"], *VOCABULARY, "tokens"),
            "vocabulary and network differ",
        ),
        "twice": (
            put(["cat", "<unk>", "cat"], *VOCABULARY, "tokens"),
            "the vocabulary has a token twice",
        ),
        "unknown": (put(["cat"], *VOCABULARY, "tokens"), "fit together: KeyError('<unk>')"),
        "empty": (put([], *VOCABULARY, "tokens"), "does not fit together"),
        "kind": (put("characters", *VOCABULARY, "kind"), "does not fit together"),
        "ends": (put(False, *STATE, "_ends"), "vocabulary and network differ"),
    },
    "regressor of quantiles": {
        "outputs": (put(3, *STATE, "n_outputs_"), "a network of 4 scores does not predict 3"),
        "activation": (put("exp", *STATE, "out_activation_"), "has no exp outputs"),
        "steps": (put(2**63 - 1, *OPTIMIZER, "n_steps"), "Optimizer.n_steps is 92"),
        "keys": (
            put({"dict": [[k * (2**61 - 1), 0] for k in range(99)]}, *STATE, "tol"),
            "has a key that cannot be one",
        ),
        "scale": (put(1, *STATE, "n_outputs_"), "y_scale_ is not of the outputs"),
        "moments": (
            swap("optimizer.moments", "random_state.key"),
            "'random_state.key' is of no random state",
        ),
        "solver": (
            put(
                {"class": "SGD", "state": {"momentum": 0, "nesterovs_momentum": True}},
                *OPTIMIZER,
                "rule",
            ),
            "the moments are not those of the network",
        ),
        "random state": (
            put([700, 0, 0.0], *STATE, "_random_state", "RandomState"),
            "'random_state.key' is of no random state",
        ),
        "seeds": (put([1], *STATE, "_seeds"), "there are not two seeds"),
    },
    "tagger": {
        "loss": (put("log_loss", *STATE, "_fitted_loss"), "loss and network differ"),
        "activation": (put("exp", *STATE, "out_activation_"), "loss and network differ"),
        "form": (put("tokens", *FORMAT, "form"), "X and network differ in their features"),
    },
    "imputer": {
        "features": (put(2, *STATE, "n_features_in_"), "statistics_ are of others"),
        "indicators": (
            swap("statistics_", "indicator_features_"),
            "SequenceImputer.statistics_ is",
        ),
    },
    "stepwise Pipeline": {
        "class": (
            put("Pipeline", *STATE, "transformer_", "state", "steps", 0, "tuple", 1, "class"),
            "Pipeline has no field 'n_features_in_'",
        ),
        "attribute": (
            put(1, *STATE, "transformer_", "state", "transform"),
            "Pipeline has no field 'transform'",
        ),
        "memory": (
            put("/tmp", *STATE, "transformer_", "state", "memory"),
            "a Pipeline has memory, where other files would be read",
        ),
        "step": (
            put(7, *STATE, "transformer_", "state", "steps", 0, "tuple", 1),
            "a step of a Pipeline is no estimator",
        ),
        "components": (swap(*PARTS_OF_PCA), "its PCA does not fit together"),
    },
}


def wrong_files():
    for what, case in WRONG.items():
        yield pytest.param("classifier", *case, id=what)
    for name, cases in WRONG_OTHERS.items():
        for what, case in cases.items():
            yield pytest.param(name, *case, id=f"{name}: {what}")


@pytest.mark.parametrize(("name", "change", "message"), wrong_files())
def test_wrong_files(name, change, message, path):
    model, _ = MODELS[name]
    cylstm.save(model, path, **({"optimizer": True} if "regressor" in name else {}))
    edited(path, change)
    for mmap in (False, True):
        with pytest.raises(ValueError, match=re.escape(message)) as caught:
            cylstm.load(path, mmap=mmap)
        assert str(caught.value).startswith(f"Cannot load {path}: ")


def architecture(**changes):
    return lambda model: vars(model._network.architecture).update(changes)


def attributes(**changes):
    return lambda model: vars(model).update(changes)


def of_layout(**changes):
    return lambda model: vars(model._layout).update(changes)


def of_panel(**changes):
    return lambda model: vars(model._panel).update(changes)


def fits(fit):
    return lambda model: vars(model._linear).update(_fits=[fit])


ONE = np.ones(1)
# What does not go together in a model is found by the same checks when it is saved.
INCONSISTENT = {
    "classifier": [
        (architecture(hidden_layer_sizes=()), "hidden_layer_sizes is empty"),
        (architecture(projection=9), "projection_size=9 must be smaller"),
        (
            architecture(per_step=True, pooling="max"),
            "per_step, pooling and n_ahead do not go",
        ),
        (architecture(n_ahead=3), "the network has scores of steps ahead"),
        (architecture(loss="crf", chain=True), "a chain needs the scores of all steps"),
        (architecture(vocabulary=9, tied=True), "the head cannot be tied to the embedding"),
        (
            attributes(classes_=np.arange(2)),
            "2 classes are too many or too few for the network",
        ),
        (attributes(feature_names_in_=np.array(["a"])), "there are other names"),
    ],
    "regressor of quantiles": [
        (architecture(levels=(0.2, 1.8, 0.2, 0.8)), "the levels are (0.2, 1.8, 0.2, 0.8)"),
        (attributes(_y_is_1d=True), "y has several outputs in one dimension"),
    ],
    "words": [
        (lambda m: m._vocabulary.numbers.update({7: 9}), "Vocabulary.tokens is ["),
        (
            lambda m: m._vocabulary.numbers.clear() or setattr(m._vocabulary, "unknown", None),
            "the vocabulary is empty",
        ),
    ],
    "characters": [
        (
            lambda m: setattr(m._vocabulary, "numbers", {"ab": 0}),
            "a token is not one character",
        ),
    ],
    "known and past columns": [
        (of_layout(calendar=("noon",)), "calendar has 'noon'"),
        (of_layout(gaps={"targets": 1, "past": ONE, "known": ONE}), "columns are no arrays"),
        (of_layout(context=0), "WindowLayout.context is 0; expected an integer of at least 1"),
        (attributes(_quantile_levels=(0.9, 0.5)), "quantile levels are out of order"),
        (attributes(_levels=(120.0,)), "levels are no percents"),
        (attributes(_errors={}), "errors are of other forecasts"),
        (
            lambda m: m._errors.update(naive=np.ones((1, 2, 1))),
            "errors of naive are not of the",
        ),
        (attributes(_left_scale=np.ones((2, 1))), "units are not of the horizon"),
        (attributes(_fitted_lengths=np.arange(2)), "lengths are not of the series"),
        (
            lambda m: setattr(m._layout, "calendar", ("hour",)),
            "calendar=('hour',) needs dates",
        ),
        (lambda m: m._layout.gaps.update(past=np.array([True])), "inputs and network differ"),
        (fits((ONE, ONE)), "a fit is not three arrays"),
        (fits((np.ones((2, 3)), ONE, ONE)), "a fit is not of the windows"),
        (of_panel(changes=(np.ones((3, 2)), np.arange(3))), "changes are not of series"),
    ],
    "list of series": [
        (lambda m: m._panel.form.forms.pop(), "there are different numbers of series"),
    ],
    "imputer": [
        (attributes(indicator_features_=np.array([7])), "there are no such features"),
    ],
    "imputer of a frame": [
        (attributes(_n_step_features=3), "statistics_ are of others"),
    ],
    "stepwise PCA": [(attributes(n_features_in_=2), "transformer_ has 3 features")],
}


def inconsistent():
    for name, cases in INCONSISTENT.items():
        for change, message in cases:
            yield pytest.param(name, change, message, id=f"{name}: {message}")


@pytest.mark.parametrize(("name", "change", "message"), inconsistent())
def test_models_that_do_not_go_together(name, change, message, path):
    model = copy.deepcopy(MODELS[name][0])
    change(model)
    with pytest.raises(ValueError, match=re.escape(message)):
        model.save(path)
    assert not path.exists()


def rewritten(path, change):
    """Write the tensors and metadata of a file again after a change."""
    tensors, metadata = read_tensors(path)
    change(tensors, metadata["model"]["state"])
    write_tensors(path, tensors, metadata)


def with_another(tensors, state):
    tensors["more"] = np.ones(2)


def with_times_of_weights(tensors, state):
    state["classes_"] = {"times": "head.bias", "dtype": "M8[s]"}


def with_a_constant_key(tensors, state):
    tensors["random_state.key"][:] = 0


def with_a_float_key(tensors, state):
    tensors["random_state.key"] = tensors["random_state.key"].astype(np.float64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_another, "it has a tensor 'more' of nothing"),
        (with_times_of_weights, "'head.bias' holds no times"),
        (with_a_constant_key, "'random_state.key' is of no random state"),
        (with_a_float_key, "'random_state.key' is of no random state"),
    ],
)
def test_wrong_tensors(change, message, path):
    MODELS["classifier"][0].save(path, optimizer=True)
    rewritten(path, change)
    with pytest.raises(ValueError, match=message):
        cylstm.load(path)


def test_a_row_of_a_transformer_is_no_larger_than_its_file(path):
    model = StepwiseTransformer(Normalizer()).fit(X)
    model.save(path)
    edited(path, put(10**9, *STATE, "transformer_", "state", "n_features_in_"))
    with pytest.raises(ValueError, match="Normalizer has n_features_in_=1000000000"):
        cylstm.load(path)


def test_text_that_is_none(path):
    MODELS["classifier"][0].save(path)
    contents = bytearray(path.read_bytes())
    at = contents.index("middle".encode("utf-32-le"))
    contents[at : at + 4] = (0x110000).to_bytes(4, "little")
    path.write_bytes(contents)
    with pytest.raises(ValueError, match="'classes_' has numbers that are no characters"):
        cylstm.load(path)


def test_weights_that_are_not_finite(path):
    model = regressor().fit(X, Y)
    model.save(path)
    contents = bytearray(path.read_bytes())
    weight = model.weights_["layers.0.bias"].tobytes()
    at = contents.index(weight)
    contents[at : at + 4] = np.float32(np.inf).tobytes()
    path.write_bytes(contents)
    with pytest.raises(ValueError, match="weights are not finite"):
        cylstm.load(path)


def test_other_files(path):
    with pytest.raises(FileNotFoundError):
        cylstm.load(path)
    for contents, message in (
        (b"", "it has 0 bytes, too few for the length of a header"),
        (
            b"\x80\x04\x95" + bytes(99),
            "its header would be of .* bytes, but 94 follow",
        ),  # a pickle
    ):
        path.write_bytes(contents)
        with pytest.raises(ValueError, match=f"^Cannot read {path}: {message}"):
            cylstm.load(path)
    path.unlink()
    regressor(checkpoint=path).fit(X, Y)
    with pytest.raises(ValueError, match="it is the checkpoint of a fit, from which fit with"):
        cylstm.load(path)
    regressor().fit(X, Y).save(path)
    with pytest.raises(ValueError, match="Cannot go on from checkpoint .*: it is not a check"):
        regressor(checkpoint=path).fit(X, Y)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="tensors have .* bytes, but .* follow the header"):
        cylstm.load(path)


# Any damage


def try_out(model):
    """Use a model, if it is one after all."""
    for name, (other, data) in MODELS.items():
        if type(model) is type(other) and name not in UNLIKE:
            with suppress(TypeError, ValueError):
                used(model, data)


UNLIKE = {"pipeline of columns", "regressor of a frame", "imputer of a frame"}
DAMAGED = [
    "regressor of quantiles",
    "classifier",
    "tagger",
    "tokens",
    "words",
    "imputer",
    "pipeline",
    "stepwise Pipeline",
    "known and past columns",
    "panel",
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "n_files", [pytest.param(2_000), pytest.param(100_000, marks=pytest.mark.slow)]
)
def test_any_damage(path, n_files):
    """A damaged file is refused by a ValueError, or is that of a model that can be used."""
    files = []
    for name in DAMAGED:
        model, _ = MODELS[name]
        for optimizer in (False, True):
            cylstm.save(model, path, optimizer=optimizer)
            files.append(path.read_bytes())
    rng = np.random.default_rng(n_files)
    n_loaded, reasons = 0, set()
    for k in range(n_files):
        edit = [edit_bytes, edit_data, edit_header, edit_header][k % 4]
        path.write_bytes(edit(files[rng.integers(len(files))], rng))
        try:
            if k % 50:
                model = cylstm.load(path)
            else:
                n_bytes = peak(lambda: model_of(path))
                assert n_bytes < 20 * os.path.getsize(path) + 400_000
                continue
        except ValueError as error:
            reasons.add(str(error).removeprefix(f"Cannot load {path}: ")[:20])
        else:
            n_loaded += 1
            try_out(model)
    assert n_files / 200 < n_loaded < n_files / 4
    assert len(reasons) > 25


def model_of(path):
    with suppress(ValueError):
        cylstm.load(path)


# Files of earlier versions


GOLDEN_FILES = sorted(GOLDEN.glob("*.safetensors"))


def test_there_are_files_of_every_version():
    versions = {int(file.stem.split("@")[1]) for file in GOLDEN_FILES}
    assert versions == {*range(1, VERSION + 1)}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
@pytest.mark.parametrize("file", GOLDEN_FILES, ids=lambda f: f.stem)
def test_files_of_earlier_versions(file):
    """They are never written again: what they hold is read for ever."""
    model, data = MODELS[file.stem.split("@")[0].replace("-", " ")]
    loaded = cylstm.load(file)
    assert type(loaded) is type(model)
    with np.load(file.with_suffix(".npz")) as expected:
        for name, array in zip(expected, numbers_of(used(loaded, data)), strict=True):
            np.testing.assert_allclose(array, expected[name], rtol=1e-4, atol=1e-5)
