"""Every example of the README runs, one after the other as a reader would run them."""

import importlib.util
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from cylstm import LSTMClassifier, LSTMForecaster, LSTMLanguageModel, LSTMRegressor

README = Path(__file__).parent.parent / "README.md"


def test_examples(tmp_path, monkeypatch):
    (tmp_path / "examples").symlink_to(README.parent / "examples")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) == 15
    if importlib.util.find_spec("sklearn.callback") is None:  # scikit-learn < 1.9
        blocks = [block for block in blocks if "sklearn.callback" not in block]
    names = {}
    # The workers of pytest-xdist share the cores.
    with threadpool_limits(limits=1, user_api="openmp"):
        for block in blocks:
            exec(compile(block, str(README), "exec"), names)
            if block is blocks[0]:
                assert names["model"].score(names["X_test"], names["y_test"]) >= 0.97
    assert names["search"].best_score_ > 0.5
    filled = names["pipeline"][1].transform(names["gaps"])
    assert not any(np.isnan(x).any() for x in filled)
    X = names["gaps"][:3]
    np.testing.assert_array_equal(names["same"].predict(X), names["pipeline"].predict(X))
    assert names["tagger"].score(names["tokens"], names["tags"]) == 1
    assert names["model"].sample(9, prompt=["a"], temperature=0) == ["dog", "barks"]
    to_come = np.sin(400 / 5)
    assert abs(names["prediction"][0] - to_come) < 0.1


def test_nothing_is_left_to_fill_in():
    assert "<<" not in README.read_text()
    assert "<<" not in (README.parent / "benchmarks" / "README.md").read_text()


def documented(section):
    """Names in the first column of the tables of a section."""
    text = README.read_text().split(f"## {section}\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| ([\w, ]+) \|", text.split("| parameter")[1], re.MULTILINE)
    return set(re.findall(r"\w+", " ".join(cells)))


def test_the_tables_name_every_parameter():
    of_y = {*LSTMRegressor().get_params(), *LSTMClassifier().get_params()}
    assert documented("Parameters") == of_y
    of_texts, own = set(LSTMLanguageModel().get_params()), documented("Language models")
    assert own <= of_texts <= own | of_y
    assert of_y - of_texts == {
        "bidirectional",
        "return_sequences",
        "pooling",
        "vocabulary_size",
        "loss",
        "quantile",
        "class_weight",
        "scoring",
        "n_step_features",
    }
    for name in of_texts - own:
        default = LSTMLanguageModel().get_params()[name]
        assert LSTMClassifier().get_params()[name] == default
    of_series, own = LSTMForecaster().get_params(), documented("Forecasting")
    assert own <= of_series.keys() <= own | of_y
    for name in of_series.keys() - own:
        assert of_series[name] == LSTMRegressor().get_params()[name], name


@pytest.mark.parametrize(
    "cls", [LSTMClassifier, LSTMRegressor, LSTMLanguageModel, LSTMForecaster]
)
def test_docstrings_are_complete(cls):
    public = [cls, *(method for name, method in inspect.getmembers(cls) if name[0] != "_")]
    documented = [inspect.getdoc(thing) for thing in public if callable(thing)]
    assert all(documented)
    assert not [doc for doc in documented if "<<" in doc]
    own = inspect.getdoc(cls)
    for name in cls().get_params():
        assert re.search(rf"^(\w+, )?{name}(, \w+)? : ", own, re.MULTILINE), name
