"""Fits that go on from a checkpoint: the same bits as if nothing had happened, and errors that
say why a file is refused."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from example_sequences import (
    LABELS,
    RAGGED,
    SIGNS_RAGGED,
    TOKENS,
    N,
    X,
    Y,
    classifier,
    regressor,
    training_of,
    weights_of,
)
from example_series import INDICES, PANEL, SERIES, forecaster
from sklearn.base import clone
from sklearn.model_selection import KFold, ShuffleSplit

from cylstm import LSTMLanguageModel, _files
from cylstm._training import History

TEXT = "to be or not to be, that is the question. " * 5


@pytest.fixture(autouse=True)
def fast_disk(monkeypatch):
    """Waiting for the disk takes milliseconds, and only matters where the power fails."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


class Crash(BaseException):
    """No Exception, since a killed process does not clean up either."""


def crash_after(monkeypatch, model, n_epochs):
    """Let the fits of this kind of estimator crash in the epoch after so many."""
    report, seen = type(model)._report, []

    def counted(self, *args):
        seen.append(None)
        if len(seen) > n_epochs:
            raise Crash
        report(self, *args)

    monkeypatch.setattr(type(model), "_report", counted)


def language_model(**settings):
    return LSTMLanguageModel(
        **{"hidden_layer_sizes": 6, "max_iter": 6, "batch_size": 4, "random_state": 0}
        | settings
    )


LONG = {"max_iter": 6, "n_iter_no_change": 10}
CASES = {
    "regressor": (regressor(**LONG), (X, Y)),
    "columns in order": (regressor(**LONG, shuffle=False, solver="sgd"), (X[:, :, 0], Y)),
    "dropout": (
        classifier(**LONG, embedding_dim=4, dropout=0.3, weight_dropout=0.2, solver="rmsprop"),
        (TOKENS, LABELS),
    ),
    "held out": (
        classifier(**LONG, early_stopping=True, learning_rate="cosine", solver="adamw"),
        (RAGGED, LABELS),
    ),
    "split": (
        regressor(
            **LONG,
            early_stopping=True,
            validation_fraction=KFold(4),
            scoring="neg_mean_squared_error",
        ),
        (X, Y),
    ),
    "plateaus": (
        regressor(max_iter=8, learning_rate="adaptive", n_iter_no_change=2, tol=1e9),
        (X, Y),
    ),
    "chain": (classifier(**LONG, loss="crf", return_sequences=True), (RAGGED, SIGNS_RAGGED)),
    "chunks": (regressor(**LONG, bptt_steps=2, dtype="float64"), (X, Y)),
    "series": (
        forecaster(max_iter=6, max_windows=40, early_stopping=True, dropout=0.2, level=80),
        (PANEL,),
    ),
    "series and what is known ahead": (forecaster(max_iter=6, **INDICES), (SERIES,)),
    "text": (language_model(early_stopping=True, embedding_dropout=0.1), (TEXT,)),
    "sampled": (language_model(softmax_samples=4, learning_rate="exponential"), (TEXT,)),
}


@pytest.mark.parametrize("n_epochs", [0, 3, 5])
@pytest.mark.parametrize("name", CASES)
def test_a_fit_goes_on_to_the_same_bits(tmp_path, monkeypatch, name, n_epochs):
    model, data = CASES[name]
    whole = clone(model).fit(*data)
    path = tmp_path / "fit"
    model = clone(model).set_params(checkpoint=path)
    with monkeypatch.context() as patch:
        crash_after(patch, model, n_epochs)
        with pytest.raises(Crash):
            clone(model).fit(*data)
    assert training_of(model.fit(*data)) == training_of(whole)
    assert [file.name for file in tmp_path.iterdir()] == ["fit"]
    # It has ended, so the same call trains no more.
    with monkeypatch.context() as patch:
        crash_after(patch, model, 0)
        assert training_of(clone(model).fit(*data)) == training_of(whole)


@pytest.mark.parametrize("random_state", [None, np.random.RandomState])
def test_without_a_seed_it_goes_on_with_what_was_drawn(tmp_path, monkeypatch, random_state):
    def unseeded():
        generator = random_state and random_state(5)
        return regressor(
            max_iter=6,
            random_state=generator,
            early_stopping=True,
            dropout=0.2,
            n_iter_no_change=9,
            checkpoint=tmp_path / "fit",
        )

    losses = []
    with monkeypatch.context() as patch:
        model = unseeded()
        crash_after(patch, model, 4)
        with pytest.raises(Crash):
            model.fit(X, Y)
        losses = _files.read_tensors(tmp_path / "fit")[0]["loss_curve"].tolist()
    model = unseeded().fit(X, Y)
    assert (len(losses), model.n_iter_) == (4, 6)
    assert model.loss_curve_[:4] == losses
    if random_state:
        whole = unseeded().set_params(checkpoint=None)
        assert training_of(whole.fit(X, Y)) == training_of(model)
        assert whole.random_state.rand() == model.random_state.rand()


def test_numpys_generator_is_left_alone_once_a_fit_has_ended(tmp_path):
    drawn = []
    for seed in (1, 2):
        np.random.seed(seed)  # noqa: NPY002
        regressor(random_state=None, checkpoint=tmp_path / "fit").fit(X, Y)
        drawn.append(np.random.rand())  # noqa: NPY002
    assert drawn[0] != drawn[1]


def test_another_held_out_part_is_refused(tmp_path):
    path = tmp_path / "fit"

    def fit(groups=None, **settings):
        model = regressor(early_stopping=True, checkpoint=path, **settings)
        return model.fit(X, Y, groups=groups)

    fit(groups=np.arange(N) % 6)
    with pytest.raises(ValueError, match="other data: the held-out part of X differ"):
        fit(groups=np.arange(N) % 7)
    path.unlink()
    fit(validation_fraction=ShuffleSplit(1, random_state=np.random.RandomState(0)))
    with pytest.raises(ValueError, match="validation_fraction was ShuffleSplit"):
        fit(validation_fraction=ShuffleSplit(1, random_state=np.random.RandomState(1)))


def test_a_checkpoint_that_cannot_be_written_later_is_no_end(tmp_path, monkeypatch):
    write = _files.write_tensors

    def disk_full_after_two(path, tensors, metadata):
        if metadata["n_done"] > 2:
            raise OSError(28, "No space left on device")
        write(path, tensors, metadata)

    whole = regressor(max_iter=4).fit(X, Y)
    model = regressor(max_iter=4, checkpoint=tmp_path / "fit")
    with monkeypatch.context() as patch:
        patch.setattr(_files, "write_tensors", disk_full_after_two)
        with pytest.warns(
            UserWarning, match=r"not written after epoch (3|4): .*No space left"
        ):
            model.fit(X, Y)
    assert training_of(model) == training_of(whole)
    assert _files.read_tensors(tmp_path / "fit")[1]["n_done"] == 2


@pytest.mark.parametrize("n_written", [0, 1])
def test_a_failed_single_step_with_a_checkpoint_changes_nothing(
    tmp_path, monkeypatch, n_written
):
    model = regressor(warm_start=True, max_iter=1, batch_size=N).fit(X, Y)
    before, write = training_of(model), _files.write_tensors
    model.set_params(checkpoint=tmp_path / "fit")

    def fail(path, tensors, metadata):
        if metadata["n_done"] == n_written:
            raise MemoryError
        write(path, tensors, metadata)

    monkeypatch.setattr(_files, "write_tensors", fail)
    with pytest.raises(MemoryError):
        model.fit(X, Y)
    assert training_of(model) == before


def test_a_warm_start_goes_on_from_its_own_file(tmp_path, monkeypatch):
    def trained_before():
        return regressor(warm_start=True, max_iter=4).fit(X, Y)

    whole = trained_before().fit(X, Y)
    path = tmp_path / "second"
    with monkeypatch.context() as patch:
        model = trained_before().set_params(checkpoint=path)
        first = weights_of(model)
        crash_after(patch, model, 2)
        with pytest.raises(Crash):
            model.fit(X, Y)
        assert weights_of(model) == first
    assert training_of(model.fit(X, Y)) == training_of(whole)
    with pytest.raises(ValueError, match="went on from another model"):
        model.fit(X, Y)


def test_ctrl_c_keeps_the_weights_and_the_file(tmp_path, monkeypatch):
    model = regressor(max_iter=6, checkpoint=tmp_path / "fit", checkpoint_every=2)
    with monkeypatch.context() as patch:
        patch.setattr(f"{__name__}.Crash", KeyboardInterrupt)
        crash_after(patch, model, 3)
        with pytest.warns(UserWarning, match="interrupted after 4 epochs"):
            model.fit(X, Y)
    assert model.n_iter_ == 4
    assert _files.read_tensors(tmp_path / "fit")[1]["n_done"] == 2
    assert training_of(model.fit(X, Y)) == training_of(regressor(max_iter=6).fit(X, Y))


@pytest.mark.parametrize(
    ("every", "written"),
    [
        (1, [0, 1, 2, 3, 4, 5]),
        (2, [0, 2, 4, 5]),
        (9, [0, 5]),
        (timedelta(microseconds=1), [0, 1, 2, 3, 4, 5]),
        (timedelta(hours=1), [0, 5]),
    ],
)
def test_checkpoint_every(tmp_path, monkeypatch, every, written):
    seen, write = [], _files.write_tensors

    def record(path, tensors, metadata):
        seen.append(metadata["n_done"])
        write(path, tensors, metadata)

    monkeypatch.setattr(_files, "write_tensors", record)
    regressor(max_iter=5, checkpoint=tmp_path / "fit", checkpoint_every=every).fit(X, Y)
    assert seen == written


def test_progress_says_where_it_goes_on(tmp_path, capsys):
    model = regressor(verbose=1, checkpoint=tmp_path / "fit").fit(X, Y)
    capsys.readouterr()
    model.set_params(n_jobs=1, verbose=2).fit(X, Y)
    assert capsys.readouterr().out == f"{tmp_path / 'fit'}: the fit has ended after epoch 3\n"
    tensors, metadata = _files.read_tensors(tmp_path / "fit")
    _files.write_tensors(tmp_path / "fit", tensors, metadata | {"finished": False})
    model.set_params(n_jobs=1, verbose=2).fit(X, Y)
    assert "going on after epoch 3" in capsys.readouterr().out


def test_errors_of_the_path_come_before_training(tmp_path, monkeypatch):
    model = regressor(checkpoint=tmp_path / "missing" / "fit")
    crash_after(monkeypatch, model, 0)
    with pytest.raises(FileNotFoundError):
        model.fit(X, Y)
    with pytest.raises(ValueError, match="not a regular file"):
        model.set_params(checkpoint=tmp_path).fit(X, Y)
    with pytest.raises(ValueError, match="checkpoint_every=.* must be longer than 0"):
        model.set_params(checkpoint_every=timedelta()).fit(X, Y)
    generator = np.random.RandomState(np.random.PCG64(0))
    with pytest.raises(ValueError, match="RandomState of PCG64"):
        model.set_params(checkpoint_every=1, random_state=generator).fit(X, Y)


def test_partial_fit_writes_none(tmp_path):
    regressor(checkpoint=tmp_path / "fit").partial_fit(X, Y)
    assert not (tmp_path / "fit").exists()


@pytest.fixture
def written(tmp_path):
    """The path of a checkpoint in the middle of a fit, and the model whose it is."""
    model = regressor(max_iter=4, checkpoint=tmp_path / "fit", early_stopping=True)
    model.fit(X, Y)
    tensors, metadata = _files.read_tensors(tmp_path / "fit")
    metadata |= {"finished": False, "n_done": 2, "n_iter": 2}
    for name in History.CURVES:
        tensors[name] = tensors[name][:2]
    _files.write_tensors(tmp_path / "fit", tensors, metadata)
    return tmp_path / "fit", model


def test_a_file_of_another_fit_is_refused(written):
    path, model = written
    model.fit(X, Y)  # its own
    before = path.read_bytes()
    other = clone(model).set_params(max_iter=9, learning_rate_init=0.5, random_state=None)
    changes = (
        "learning_rate_init was .* and is 0.5; max_iter .*; random_state was 0 and is None"
    )
    with pytest.raises(ValueError, match=changes):
        other.fit(X, Y)
    for arguments, what in (
        ((X + 1, Y), "X differ"),
        ((X, Y + 1), "y differ"),
        ((X[:-1], Y[:-1]), "X, y, sample_weight, the held-out part of X differ"),
        ((X, Y, np.arange(len(Y))), "sample_weight differ"),
    ):
        with pytest.raises(ValueError, match=f"other data: .*{what}"):
            model.fit(*arguments)
    with pytest.raises(ValueError, match="X_val, y_val, sample_weight_val differ"):
        model.fit(X, Y, X_val=X, y_val=Y)
    others = classifier(checkpoint=path), language_model(checkpoint=path)
    with pytest.raises(ValueError, match="belongs to 'LSTMRegressor', not to LSTMClassifier"):
        others[0].fit(X, LABELS)
    with pytest.raises(ValueError, match="not to LSTMLanguageModel"):
        others[1].fit(TEXT)
    assert path.read_bytes() == before


def test_values_of_parameters_are_compared_by_what_they_mean(tmp_path, monkeypatch):
    path = tmp_path / "fit"
    alike = [
        {"hidden_layer_sizes": (6,), "class_weight": {"high": 2, "low": 1.0}},
        {"hidden_layer_sizes": [np.int64(6)], "class_weight": {"low": 1.0, "high": 2}},
    ]
    classifier(checkpoint=str(path), dtype="float32", **alike[0]).fit(X, LABELS)
    crash_after(monkeypatch, classifier(), 0)
    classifier(checkpoint=path, n_jobs=2, **alike[1]).fit(X, LABELS)
    with pytest.raises(ValueError, match="class_weight was {'high': 2"):
        classifier(checkpoint=path, class_weight={"high": 3}).fit(X, LABELS)
    with pytest.raises(ValueError, match=r"scoring was None and is .*upside_down"):
        classifier(checkpoint=path, scoring=upside_down, **alike[0]).fit(X, LABELS)


def upside_down(model, X, y):
    return -model.score(X, y)


METADATA = [
    ("kind", "model", "not a checkpoint"),
    ("version", "1", "its version is '1'"),
    ("version", 2, r"newer cylstm \(version 2 of checkpoints; this one reads up to 1\)"),
    ("parameters", None, "does not say which parameters"),
    ("data", [1], "does not say which data"),
    ("seeds", [1], r"seeds is \[1\]"),
    ("seeds", [1, 2**31], "seeds is"),
    ("random_state", [625, 0], "random_state is"),
    ("n_done", -1, "n_done is -1"),
    ("n_done", 5, "n_done is 5 and n_iter is 2"),
    ("n_iter", True, "n_iter is True"),
    ("n_iter", 3, "n_done is 2 and n_iter is 3"),
    ("t", 1.5, "t is 1.5"),
    ("n_steps", 2**53, "n_steps is"),
    ("n_steps", 0, "n_steps is 0"),
    ("n_stalled", None, "n_stalled is None"),
    ("finished", 1, "finished is 1"),
    ("estimator", "\x1b[31m", r"belongs to '\\x1b"),
    ("parameters", {"\x1b[31m" * 99: "1"}, "are not in both"),
    ("data", {"\x1b[31m": "1"}, r"other data: '\\x1b\[31m', X, y"),
]
TENSORS = [
    ("parameters", lambda t: t[:3], "'parameters' has shape"),
    ("parameters", lambda t: t * np.float32(np.nan), "parameters has numbers that it cannot"),
    ("moments.1", lambda t: t[:3], "'moments.1' has shape"),
    ("moments.1", lambda t: -t, "moments.1 has numbers"),
    ("best_parameters", lambda t: t[:1], "'best_parameters' has shape"),
    ("best_parameters", None, "best has numbers"),
    ("best", lambda t: np.float64(np.nan), "best has numbers"),
    ("random_state.key", lambda t: t.astype(np.int64), "has dtype int64"),
    ("random_state.key", np.zeros_like, "random_state.key has numbers"),
    ("learning_rate", lambda t: t.reshape(1), "'learning_rate' has shape"),
    ("learning_rate", lambda t: -t, "learning_rate has numbers"),
    ("seconds", lambda t: t[:1], "'seconds' has shape"),
    ("validation_scores", lambda t: np.float64(0), "'validation_scores' has shape"),
    ("more", lambda t: np.zeros(1), "a tensor 'more', which is not expected"),
    ("loss_curve", None, "no tensor 'loss_curve'"),
]


@pytest.mark.parametrize(
    ("kind", "name", "value", "message"),
    [("metadata", *row) for row in METADATA] + [("tensors", *row) for row in TENSORS],
)
def test_a_forged_file_is_refused(written, kind, name, value, message):
    path, model = written
    tensors, metadata = _files.read_tensors(path)
    if kind == "metadata":
        metadata[name] = value
    elif value is None:
        del tensors[name]
    else:
        tensors[name] = value(tensors.get(name))
    _files.write_tensors(path, tensors, metadata)
    before = training_of(model)
    with pytest.raises(ValueError, match=f"'?{path}'?: .*{message}"):
        model.fit(X, Y)
    assert training_of(model) == before


def test_a_torn_file_is_refused(written):
    path, model = written
    content = path.read_bytes()
    for size in (0, 7, 100, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match="Cannot read"):
            model.fit(X, Y)


def test_files_of_killed_fits_are_removed(written):
    path, model = written
    left = path.with_name(f".{path.name}.0123456789abcdef.tmp")
    left.write_bytes(b"half")
    recent = path.with_name(f".{path.name}.fedcba9876543210.tmp")  # who knows if it is left
    recent.write_bytes(b"half")
    other = path.with_name(".other.0123456789abcdef.tmp")
    other.write_bytes(b"half")
    for file in (left, other):
        os.utime(file, (0, 0))
    model.fit(X, Y)
    assert not left.exists()
    assert recent.exists()
    assert other.exists()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize(
    ("fit", "n_kills"), [("tagger", 20), ("classifier", 20), ("language_model", 10)]
)
def test_killed_fits_go_on_to_the_same_bits(tmp_path, fit, n_kills):
    script = Path(__file__).with_name("killed_fits.py")
    command = [sys.executable, script, tmp_path / "fit", fit, str(n_kills), "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == n_kills
