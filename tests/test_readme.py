"""Every example of the README runs, one after the other as a reader would run them."""

import re
from pathlib import Path

import numpy as np

README = Path(__file__).parent.parent / "README.md"


def test_examples():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) == 3
    names = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    assert names["search"].best_score_ > 0.5
    assert np.corrcoef(names["model"].predict(names["X"]), names["y"])[0, 1] > 0.9


def test_the_table_names_every_parameter():
    from cylstm import LSTMClassifier, LSTMRegressor

    table = README.read_text().split("## Parameters")[1].split("## Speed")[0]
    documented = set(
        re.findall(r"\w+", " ".join(re.findall(r"^\| ([\w, ]+) \|", table, re.MULTILINE)))
    )
    parameters = {*LSTMRegressor().get_params(), *LSTMClassifier().get_params()}
    assert documented == parameters | {"parameter"}
