"""Text generation: LSTMLanguageModel.sample and iter_sample."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, validate_parameter_constraints
from sklearn.utils.validation import check_is_fitted

from ._arguments import check_64_bits
from ._docs import fill_docstrings
from ._sampling import write_tokens
from ._vocabulary import Vocabulary, read_texts

_AT_LEAST_ONE = Interval(Integral, 1, None, closed="left")

_CONSTRAINTS = {
    "n_tokens": [_AT_LEAST_ONE],
    "n_samples": [_AT_LEAST_ONE, None],
    "temperature": [Interval(Real, 0, None, closed="left")],
    "top_k": [_AT_LEAST_ONE, None],
    "top_p": [Interval(Real, 0, 1, closed="right"), None],
    "random_state": ["random_state"],
}

SETTINGS = """\
prompt : str, list of words or array of int, default=None
    The text to continue, in the form of one sequence. None or an empty one is the start
    of a sequence.
temperature : float, default=1.0
    The scores are divided by it: below 1 likely tokens become more likely. At 0 the most
    likely token is taken.
top_k : int or None, default=None
    Draw only from the k most likely tokens (Fan et al., arXiv:1805.04833).
top_p : float or None, default=None
    Draw only from the smallest set of most likely tokens whose total probability is at
    least top_p (Holtzman et al., arXiv:1904.09751), after top_k.
random_state : int, RandomState instance or None, default=None
    Pass an int for the same tokens in every call.
"""


@fill_docstrings(settings=SETTINGS)
class GenerationMixin:
    """The methods of a fitted language model that generate text."""

    _vocabulary: Vocabulary
    _network: Any

    def sample(
        self,
        n_tokens: int,
        prompt: npt.ArrayLike | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        n_samples: int | None = None,
    ) -> Any:
        """Write a continuation of the prompt.

        Parameters
        ----------
        n_tokens : int
            Number of tokens to write; fewer if the sequence ends before, which it can if
            fit was given a list.
        %(settings)s
        n_samples : int or None, default=None
            Number of continuations to write in parallel. If None, return a single one
            instead of a list.

        Returns
        -------
        sample : str, list of words or int64 array, as in fit, or a list of n_samples
            Without the prompt. The unknown token is never written.
        """
        settings = {
            "n_tokens": n_tokens,
            "n_samples": n_samples,
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "random_state": random_state,
        }
        self._check_generation("sample", _CONSTRAINTS, settings)
        n_drawn = int(n_samples or 1)
        arrays = self._draw_tokens(self._network, prompt, **{**settings, "n_samples": n_drawn})
        drawn: list[list[int]] = [[] for _ in range(n_drawn)]
        for tokens in arrays:
            for sequence, token in zip(drawn, tokens, strict=True):
                if token >= 0:
                    sequence.append(token)
        written = [self._vocabulary.decode(sequence) for sequence in drawn]
        return written[0] if n_samples is None else written

    def iter_sample(
        self,
        n_tokens: int | None = None,
        prompt: npt.ArrayLike | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> Iterator[Any]:
        """Write token by token.

        Parameters
        ----------
        n_tokens : int or None, default=None
            Number of tokens to write. If None, continue until the sequence ends, which it
            never does if fit was given a single one.
        %(settings)s

        Returns
        -------
        tokens : iterator of str or int
            Joined, they are what `sample` returns for the same random_state.
        """
        settings = {
            "n_tokens": n_tokens,
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "random_state": random_state,
        }
        constraints = {**_CONSTRAINTS, "n_tokens": [_AT_LEAST_ONE, None]}
        self._check_generation("iter_sample", constraints, settings)
        # A copy: training may go on between two tokens.
        drawn = self._draw_tokens(self._network.copy(), prompt, n_samples=1, **settings)
        tokens = list(self._vocabulary.numbers)
        return (tokens[numbers[0]] for numbers in drawn)

    def _check_generation(self, method, constraints, settings):
        check_is_fitted(self)
        check_64_bits(settings)
        constraints = {name: constraints[name] for name in settings}
        caller = f"{type(self).__name__}.{method}"
        validate_parameter_constraints(constraints, settings, caller_name=caller)

    def _draw_tokens(self, network, prompt, n_tokens, n_samples, random_state, **limits):
        """Iterator over arrays with a token for each sample, -1 after its end. The prompt is
        checked at once, not at the first token."""
        vocabulary = self._vocabulary
        if len(vocabulary) == 1 and vocabulary.unknown is not None:
            raise ValueError(
                "The model knows no token but the unknown one, which is never written."
            )
        return write_tokens(
            network,
            self._read_prompt(prompt),
            n_tokens,
            n_samples,
            never=vocabulary.unknown,
            end=len(vocabulary),
            random_state=check_random_state(random_state),
            **limits,
        )

    def _read_prompt(self, prompt):
        """The tokens before the first one to draw: a start token and those of the prompt."""
        start = np.array([self._boundary])
        sized = isinstance(prompt, (str, list, tuple)) or np.ndim(prompt) == 1
        if prompt is None or (sized and len(prompt) == 0):
            return start
        vocabulary = self._vocabulary
        words = vocabulary.kind == "words" and not isinstance(prompt, str)
        texts = read_texts([prompt] if words else prompt, "prompt")
        if len(texts.sequences) > 1:
            raise ValueError("prompt is a list of several sequences; give one.")
        return np.append(start, vocabulary.encode(texts, "prompt")[0])
