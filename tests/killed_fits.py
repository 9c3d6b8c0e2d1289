"""Kill fits at random moments, and let them go on until one ends.

    python killed_fits.py CHECKPOINT NAME N_KILLS SEED

prints how many fits were killed, and the digest of the training that the last one ended with;
with N_KILLS = 0 that of an undisturbed fit, which needs no CHECKPOINT.
"""

import hashlib
import os
import signal
import sys
import time

import numpy as np
from example_sequences import LABELS, TOKENS, X, training_of

from cylstm import LSTMClassifier, LSTMLanguageModel


def tagger(**settings):
    return LSTMClassifier(
        6,
        embedding_dim=4,
        max_iter=60,
        batch_size=8,
        dropout=0.2,
        early_stopping=True,
        n_iter_no_change=60,
        validation_fraction=0.3,
        random_state=0,
        **settings,
    ).fit(TOKENS, LABELS)


def classifier(**settings):
    return LSTMClassifier(
        12, max_iter=80, learning_rate="cosine", solver="adamw", random_state=3, **settings
    ).fit(X, LABELS)


def language_model(**settings):
    text = "to be or not to be, that is the question. " * 10
    return LSTMLanguageModel(
        8, max_iter=30, batch_size=4, softmax_samples=5, random_state=1, **settings
    ).fit(text)


FITS = {fit.__name__: fit for fit in (tagger, classifier, language_model)}


def digest(model):
    *state, history, random_state = training_of(model)
    history = history.loss_curve, history.validation_scores, history.learning_rates
    return hashlib.sha256(repr([*state, history, random_state]).encode()).hexdigest()


def main(path, name, n_kills, seed):
    fit, rng = FITS[name], np.random.default_rng(seed)
    began = time.monotonic()
    expected = digest(fit())
    seconds = time.monotonic() - began
    n_killed = 0
    while n_killed < n_kills:
        child = os.fork()
        if child == 0:
            fit(checkpoint=path, n_jobs=1)
            os._exit(0)
        time.sleep(rng.uniform(0, seconds))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            n_killed += 1
        elif n_killed < n_kills:  # it had ended: start afresh
            assert digest(fit(checkpoint=path)) == expected
            os.unlink(path)
    assert digest(fit(checkpoint=path)) == expected
    print(n_killed)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
