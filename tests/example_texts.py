"""Small texts in every form, and a small language model to fit to them."""

import numpy as np

from cylstm import LSTMLanguageModel

TEXT = "to be, or not to be: that is the question. " * 30
DOCUMENTS = ["to be", "or not to be", "that is", "the question", "or that"] * 8
WORDS = [document.split() for document in DOCUMENTS]
IDS = np.array([ord(character) for character in TEXT])
SMALL = {
    "hidden_layer_sizes": 12,
    "embedding_dim": 6,
    "batch_size": 4,
    "learning_rate": "constant",
    "dropout": 0.0,
    "random_state": 0,
}


def model(**parameters):
    return LSTMLanguageModel(**{**SMALL, "max_iter": 3, **parameters})


FORMS = {
    "characters": TEXT,
    "documents": DOCUMENTS,
    "words": WORDS,
    "ids": IDS,
    "sequences of ids": [IDS[:90], IDS[90:200].tolist(), IDS[200:207]],
}


def as_list(X):
    """X as a list of sequences."""
    return (
        [X] if isinstance(X, str) or (np.ndim(X[0]) == 0 and isinstance(X, np.ndarray)) else X
    )
