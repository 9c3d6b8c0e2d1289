"""Write golden_models/: files of models, as this version writes them, and what the models make
of the data in example_models.py.

``python tests/make_golden_models.py NUMBER`` adds files with the number of a new version of
the format. Those that are there stay as they are: every later version has to read them.
"""

import sys
from pathlib import Path

import numpy as np
from example_models import models, numbers_of, used

import cylstm

NAMES = [
    "regressor of quantiles",
    "classifier",
    "classes of times",
    "tagger",
    "tokens",
    "words",
    "imputer",
    "pipeline",
    "stepwise Pipeline",
    "list of series",
    "known and past columns",
    "panel with a time zone",
]

folder = Path(__file__).with_name("golden_models")
folder.mkdir(exist_ok=True)
fitted = models()
for name in NAMES:
    model, data = fitted[name]
    path = folder / f"{name.replace(' ', '-')}@{int(sys.argv[1])}.safetensors"
    if path.exists():
        raise SystemExit(f"{path} is there already.")
    cylstm.save(model, path, optimizer=name == "classifier")
    arrays = {f"{k}": array for k, array in enumerate(numbers_of(used(model, data)))}
    np.savez_compressed(path.with_suffix(".npz"), **arrays)
