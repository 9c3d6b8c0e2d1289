"""Scores, distributions and hidden states of texts, from a fitted language model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.utils.validation import check_is_fitted

from ._docs import fill_docstrings
from ._sequences import Sequences
from ._threads import effective_n_threads
from ._vocabulary import Vocabulary, read_texts

TEXTS = """\
X : str, list of str, list of lists of str, array-like of int or list of them
    One sequence: a str, whose characters are the tokens, or a 1-D array of integers. Or
    several, each of them a document or a sentence: a list of str, of lists of words, or
    of 1-D arrays of integers.
"""


@fill_docstrings(X=TEXTS)
class TextScoringMixin:
    """The methods of a fitted language model that score texts."""

    _vocabulary: Vocabulary
    _network: Any
    _forward_sequences: Callable[..., Any]

    def score(self, X: npt.ArrayLike, y: Any = None) -> float:
        """Mean log-likelihood per token in nats, where ends of sequences count as tokens.

        Each token is predicted from all those before it in its sequence, whatever bptt_steps
        and batch_size are.

        Parameters
        ----------
        %(X)s
        y : ignored

        Returns
        -------
        score : float
        """
        encoded, _ = self._encode(X)
        return self._log_likelihood([self._targets(numbers) for numbers in encoded])

    def perplexity(self, X: npt.ArrayLike) -> float:
        """exp(-score): the number of equally likely tokens that would be as hard to predict.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        perplexity : float
        """
        with np.errstate(over="ignore"):
            return float(np.exp(-self.score(X)))

    def bits_per_token(self, X: npt.ArrayLike) -> float:
        """-score / log(2): the cross-entropy in bits.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        bits : float
        """
        return float(-self.score(X) / np.log(2))

    def predict_proba(self, X: npt.ArrayLike) -> Any:
        """Distribution of the next token after each token of X.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        p : float64 array of shape (n_tokens, n_outputs), or a list with one per sequence
            Columns are those of `vocabulary_`, followed by the end of the sequence if fit
            was given a list.
        """
        sequences, single = self._inputs(X)
        scores, _ = self._forward_sequences(sequences)
        p = softmax(_after_tokens(sequences, scores).astype(np.float64), axis=1)
        return p if single else np.split(p, np.cumsum(sequences.lengths - 1)[:-1])

    def transform(self, X: npt.ArrayLike) -> np.ndarray:
        """Hidden states of the last layer, as features of texts.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        states : array of shape (n_sequences, n_units), or (n_tokens, n_units)
            The state after the last token of each of several sequences, or after each token
            of a single one; projection_size in the place of n_units if that is set.
        """
        sequences, single = self._inputs(X)
        if single:
            _, states = self._forward_sequences(sequences, scores=False, features=True)
            return _after_tokens(sequences, states)
        a = self._network.architecture
        if a.residual:  # outputs are not states alone
            _, outputs = self._forward_sequences(sequences, scores=False, features=True)
            return outputs[sequences.starts + sequences.lengths - 1]
        states = np.empty((len(sequences), a.n_state), self._network.dtype)
        self._forward_sequences(sequences, scores=False, state_out=states)
        return states[:, a.last_h].copy()

    @property
    def _boundary(self):
        """The token before the first and, if the model predicts ends, after the last."""
        return len(self._vocabulary)

    def _encode(self, X):
        check_is_fitted(self)
        texts = read_texts(X)
        return self._vocabulary.encode(texts), texts.single

    def _targets(self, numbers):
        return np.append(numbers, self._boundary) if self._ends else numbers

    def _log_likelihood(self, targets):
        """Mean over all tokens."""
        lengths = np.array([len(target) for target in targets], dtype=np.int64)
        starts = np.cumsum(lengths) - lengths
        targets = np.concatenate(targets)
        inputs = np.empty_like(targets)
        inputs[1:] = targets[:-1]
        inputs[starts] = self._boundary
        network = self._network
        losses = network.losses(
            Sequences(None, starts, lengths, inputs),
            targets.astype(network.dtype)[:, None],
            effective_n_threads(self.n_jobs),
        )
        return -float(losses.mean())

    def _inputs(self, X):
        """Sequences of tokens, each after a start token, and whether X was a single one."""
        encoded, single = self._encode(X)
        lengths = np.array([len(numbers) + 1 for numbers in encoded], dtype=np.int64)
        starts = np.cumsum(lengths) - lengths
        tokens = np.insert(
            np.concatenate(encoded), starts - np.arange(len(starts)), self._boundary
        )
        return Sequences(None, starts, lengths, tokens), single


def _after_tokens(sequences, rows):
    """The rows of the steps after a token, without those after a start token."""
    return np.delete(rows, sequences.starts, axis=0)
