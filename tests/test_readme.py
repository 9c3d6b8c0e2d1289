"""Every example of the README runs, one after the other as a reader would run them."""

import re
from pathlib import Path

import numpy as np

README = Path(__file__).parent.parent / "README.md"


def test_examples():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) == 6
    names = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    assert names["search"].best_score_ > 0.5
    assert names["tagger"].score(names["tokens"], names["tags"]) == 1
    to_come = np.sin(400 / 5)
    assert abs(names["model"].predict(names["series"][None, -24:, None])[0] - to_come) < 0.1
    assert abs(names["prediction"][0] - to_come) < 0.1


def test_the_table_names_every_parameter():
    from cylstm import LSTMClassifier, LSTMRegressor

    table = README.read_text().split("## Parameters")[1].split("## Speed")[0]
    documented = set(
        re.findall(r"\w+", " ".join(re.findall(r"^\| ([\w, ]+) \|", table, re.MULTILINE)))
    )
    parameters = {*LSTMRegressor().get_params(), *LSTMClassifier().get_params()}
    assert documented == parameters | {"parameter"}
