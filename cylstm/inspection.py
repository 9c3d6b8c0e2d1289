"""What the predictions of a fitted model depend on."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.metrics import check_scoring
from sklearn.utils import Bunch, check_random_state

from ._arguments import as_array, check_64_bits, check_collection, reading_numbers, shown
from ._sequences import form_of, library_of

__all__ = ["permutation_importance"]


def permutation_importance(
    model: Any,
    X: Any,
    y: Any,
    *,
    by: str = "feature",
    scoring: Any = None,
    n_repeats: int = 5,
    random_state: int | np.random.RandomState | None = None,
    sample_weight: Any = None,
) -> Bunch:
    """How much the score falls when a feature, or a step, comes from other sequences
    (Breiman 2001).

    Parameters
    ----------
    model : fitted estimator
        Any that predicts from X: an LSTM of this package, or a Pipeline that ends in one.
    X : array of shape (n_samples, n_timesteps, n_features) or list of arrays
        Sequences, as `model` takes them: a 3-D array, in which steps that are NaN in every
        feature at the end of a sequence are padding, or a list of 2-D arrays
        (n_timesteps_k, n_features). Not tokens.
    y : targets, as `model.score` takes them
    by : {"feature", "step"}, default="feature"
        "feature": the feature's values are taken from another sequence, repeated if that is
        shorter. "step": at a step, counted from the start, the sequences that have one
        exchange all their features.
    scoring : str, callable or None, default=None
        As in scikit-learn; None is the model's `score`.
    n_repeats : int, default=5
        Permutations of each feature or step.
    random_state : int, RandomState instance or None, default=None
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Passed to the scorer.

    Returns
    -------
    result : Bunch
        ``importances``: array of shape (n_features or n_timesteps, n_repeats), the score on X
        less that on each permutation; ``importances_mean`` and ``importances_std`` over the
        repeats.

    Raises
    ------
    ValueError
        If X holds no sequences of steps, there are fewer than two of them, or a setting is
        invalid.

    See Also
    --------
    sklearn.inspection.permutation_importance : The same for the columns of a 2-D X.

    Examples
    --------
    >>> import numpy as np
    >>> from cylstm import LSTMRegressor
    >>> from cylstm.inspection import permutation_importance
    >>> X = np.random.default_rng(0).normal(size=(200, 5, 3))
    >>> model = LSTMRegressor(16, learning_rate_init=0.01, random_state=0)
    >>> model = model.fit(X, X[:, 2, 1])
    >>> int(permutation_importance(model, X, X[:, 2, 1]).importances_mean.argmax())
    1
    >>> by_step = permutation_importance(model, X, X[:, 2, 1], by="step")
    >>> int(by_step.importances_mean.argmax())
    2
    """
    if not isinstance(by, str) or by not in _PERMUTE:
        raise ValueError(f"by={shown(by)} must be one of {list(_PERMUTE)}.")
    check_64_bits({"n_repeats": n_repeats})
    if not isinstance(n_repeats, Integral) or n_repeats < 1:
        raise ValueError(f"n_repeats={shown(n_repeats)} must be an int of at least 1.")
    if scoring is not None and not isinstance(scoring, str) and not callable(scoring):
        raise ValueError(f"scoring={shown(scoring)} must be a str, a callable or None.")
    sequences = _read(X)
    scorer = check_scoring(model, scoring=scoring)
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    random_state = check_random_state(random_state)
    score = scorer(model, X, y, **weights)
    n_items, permute = _PERMUTE[by]
    importances = np.array(
        [
            [
                score - scorer(model, _in_form_of(X, permuted), y, **weights)
                for permuted in (
                    permute(sequences, item, random_state) for _ in range(n_repeats)
                )
            ]
            for item in range(n_items(sequences))
        ]
    )
    return Bunch(
        importances_mean=importances.mean(axis=1),
        importances_std=importances.std(axis=1),
        importances=importances,
    )


def _read(X):
    """The real steps of each sequence, as a list of arrays of one dtype."""
    expected = (
        "(n_samples, n_timesteps, n_features) or a list of arrays (n_timesteps_k, n_features)"
    )
    check_collection(X, "X", expected)
    form = form_of(X)
    sequences = [as_array(x, f"X[{k}]") for k, x in enumerate(X)] if form != "columns" else []
    shapes = {x.shape[1:] for x in sequences}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        what = f"steps of shapes {sorted(shapes)}" if shapes else f"shape {np.shape(X)}"
        raise ValueError(f"X has {what}; expected numbers of shape {expected}.")
    if len(sequences) < 2:
        raise ValueError("X has 1 sequence; at least 2 are needed to exchange steps.")
    dtype = np.result_type(*sequences)
    with reading_numbers("X"):
        sequences = [x.astype(np.float64 if dtype.kind == "O" else dtype) for x in sequences]
    return [_without_padding(x) for x in sequences] if form == "steps" else sequences


def _without_padding(x):
    real = np.flatnonzero(~_is_gap(x))
    return x[: real[-1] + 1] if len(real) else x[:0]


def _is_gap(steps):
    """Whether steps are NaN in every feature."""
    if steps.dtype.kind != "f":
        return np.zeros(steps.shape[:-1], bool)
    return np.isnan(steps).all(axis=-1)


def _in_form_of(X, sequences):
    """The permuted sequences in the place of those of a 3-D X, or as a list."""
    if form_of(X) != "steps":
        return [_with_names_of(given, x) for given, x in zip(X, sequences, strict=True)]
    X = np.array(X, dtype=sequences[0].dtype)
    for row, x in zip(X, sequences, strict=True):
        row[: len(x)] = x
    return X


def _with_names_of(given, x):
    """x as a data frame of pandas or polars if the sequence was given as one."""
    if library_of(given) == "pandas":
        return type(given)(x, given.index, given.columns)
    if library_of(given) == "polars":
        return type(given)(x, given.columns, orient="row")
    return x


def _permute_feature(sequences, feature, random_state):
    """All sequences, with this feature of others."""
    donors = random_state.permutation(len(sequences))
    permuted = []
    for x, donor in zip(sequences, donors, strict=True):
        changed = x.copy()
        changed[:, feature] = np.resize(sequences[donor][:, feature], len(x))
        permuted.append(_as_long(changed, x))
    return permuted


def _permute_step(sequences, step, random_state):
    """All sequences, with this step of others where they have it."""
    having = [k for k, x in enumerate(sequences) if len(x) > step]
    permuted = list(sequences)
    for k, donor in zip(having, random_state.permutation(having), strict=True):
        changed = sequences[k].copy()
        changed[step] = sequences[donor][step]
        permuted[k] = _as_long(changed, sequences[k])
    return permuted


def _as_long(changed, x):
    """With the last step of x where it has become a gap, which would be read as padding."""
    if len(x) and _is_gap(changed[-1]):
        changed[-1] = x[-1]
    return changed


# by -> how many items there are, and one permutation of an item.
_PERMUTE = {
    "feature": (lambda sequences: sequences[0].shape[1], _permute_feature),
    "step": (lambda sequences: max(map(len, sequences)), _permute_step),
}
