"""Predictions of many sequences on dask's workers. It needs ``pip install cylstm[dask]``."""

from __future__ import annotations

from functools import cache
from typing import Any

import dask.array as da
import numpy as np
from dask.bag import Bag
from dask.delayed import Delayed, delayed
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import ThreadpoolController

from ._arguments import shown

__all__ = ["predict"]

METHODS = ["predict", "predict_proba", "predict_log_proba", "decision_function", "transform"]


def predict(model: Any, blocks: Any, *, method: str = "predict") -> Any:
    """Predict for blocks of sequences, lazily, with the same bits as the model.

    A worker gets the model once, and predicts a block on the one thread that dask gives to a
    task, or on `n_jobs` threads if the model has that set.

    Parameters
    ----------
    model : fitted estimator
        An estimator of this package, or a Pipeline with one.
    blocks : dask array, dask bag, or list of Delayed
        An array (n_samples, n_timesteps, n_features), or (n_samples, n_columns) of columns or
        tokens, is chunked along the first axis only. A bag has sequences of any lengths, each
        (n_timesteps_k, n_features), or tokens. Each Delayed is of what the method takes: a
        list of sequences, or, for an LSTMForecaster, series.
    method : str, default="predict"
        Or "predict_proba", "predict_log_proba", "decision_function", "transform".

    Returns
    -------
    predictions : dask array, dask bag or list of Delayed, as `blocks`
        An array has the chunks of `blocks`; computing labels per step of one with padding is
        an error, since its dtype has none for padding. A bag has an item for each sequence.

    Raises
    ------
    NotFittedError
    TypeError
        If `blocks` is none of these.
    ValueError
        If the model has no such method, or an array has other axes, is chunked along others
        than the first, or does not fit the model.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> import cylstm.dask
    >>> from cylstm import LSTMRegressor
    >>> X = np.random.default_rng(0).normal(size=(40, 5, 2))
    >>> model = LSTMRegressor(8, max_iter=2, random_state=0).fit(X, X[:, :, 0].sum(axis=1))
    >>> predictions = cylstm.dask.predict(model, da.from_array(X, chunks=(10, -1, -1)))
    >>> bool((predictions.compute() == model.predict(X)).all())
    True
    """
    if method not in METHODS or not hasattr(model, method):
        raise ValueError(
            f"method={shown(method)} must be one that {type(model).__name__} has of {METHODS}."
        )
    check_is_fitted(model)
    # A task of its own; else each of the others would carry a copy.
    sent = delayed(model, traverse=False)
    if isinstance(blocks, da.Array):
        row = getattr(model, method)(_any_row(blocks))
        return da.map_blocks(
            _predict_chunk,
            blocks,
            sent,
            method,
            row[:0],
            drop_axis=range(1, blocks.ndim),
            new_axis=range(1, row.ndim),
            chunks=(blocks.chunks[0], *row.shape[1:]),
            meta=row[:0],
        )
    if isinstance(blocks, Bag):
        return blocks.map_partitions(_predict_partition, sent, method)
    if isinstance(blocks, list) and all(isinstance(block, Delayed) for block in blocks):
        return [delayed(_predict)(block, sent, method) for block in blocks]
    raise TypeError(
        f"blocks is {shown(blocks)}; expected a dask array, a dask bag or a list of Delayed."
    )


def _any_row(X):
    """A sequence in the form of those of a dask array, checked."""
    if X.ndim not in (2, 3):
        raise ValueError(
            f"blocks has shape {X.shape}; expected sequences, or rows of columns or tokens."
        )
    cut = {axis: -1 for axis in range(1, X.ndim) if X.numblocks[axis] > 1}
    if cut:
        raise ValueError(
            f"blocks is chunked along axes {[*cut]}, through sequences; use "
            f"blocks.rechunk({cut})."
        )
    if np.isnan(X.shape[1:]).any():
        raise ValueError(f"blocks has shape {X.shape}; use blocks.compute_chunk_sizes().")
    return np.zeros((1, *X.shape[1:]), X.dtype)


@cache
def _threads():
    return ThreadpoolController()


def _predict(X, model, method):
    # A limit of this thread alone.
    with _threads().limit(limits=1, user_api="openmp"):
        return getattr(model, method)(X)


def _predict_chunk(X, model, method, none):
    found = _predict(X, model, method) if len(X) else none
    if found.dtype != none.dtype:  # dask would write it into an array of that of others
        raise ValueError(f"An array of {none.dtype} has no label for padding: pass a bag.")
    return found


def _predict_partition(sequences, model, method):
    sequences = list(sequences)
    return list(_predict(sequences, model, method)) if sequences else []
