"""Fitted models as files of ONNX, and back. It needs ``pip install cylstm[onnx]``."""

from __future__ import annotations

import os
from numbers import Integral
from typing import Any

from sklearn.pipeline import Pipeline

from ._arguments import shown
from ._onnx_estimator import add_estimator, check_estimator
from ._onnx_graph import Graph, import_package
from ._onnx_import import read_model
from ._onnx_steps import add_step, register_converters
from ._regressor import LSTMRegressor

__all__ = ["from_onnx", "register", "to_onnx"]

# The oldest whose operators we name; the one that most programs read.
OLDEST_OPSET = DEFAULT_OPSET = 18


def to_onnx(
    model: Any,
    *,
    opset: int | None = None,
    lengths: bool | None = None,
    features: bool = False,
) -> Any:
    """A fitted model as an ONNX model.

    Parameters
    ----------
    model : LSTMRegressor, LSTMClassifier, or Pipeline that ends in one
        The steps before it may be StepwiseTransformer, or, where the model was fitted on 2-D
        data, any transformers that skl2onnx converts; it is needed for them.
    opset : int or None, default=None
        Version of the operators, 18 or higher. If None, 18.
    lengths : bool or None, default=None
        Whether there is an input of the lengths of the sequences. If None, there is where
        the model was fitted on a list of sequences or on tokens.
    features : bool, default=False
        Whether there is an output more, the last: "features", which `transform` returns.

    Returns
    -------
    model : onnx.ModelProto
        ``onnx.save(model, path)`` writes it to a file. Its inputs:

        - "X" of shape (n_samples, n_timesteps, n_features), or (n_samples, n_columns) where
          the model was fitted on 2-D data, in the model's dtype; or int64 tokens of shape
          (n_samples, n_timesteps). What stands beyond the end of a sequence may be anything,
          also NaN, but must be tokens among tokens.
        - "lengths", if any: int64 of shape (n_samples,), the number of real steps of each
          sequence, from its first on, all at least 1.

        Its outputs, with return_sequences for every step, without meaning beyond the end of
        a sequence:

        - of LSTMRegressor "prediction", in the shape that `predict` returns.
        - of LSTMClassifier "label", strings or int64, and "probabilities".

    Raises
    ------
    ImportError
        If onnx is not installed, or skl2onnx, where it is needed.
    NotFittedError
    TypeError
        If the model is none of these.
    ValueError
        If ONNX cannot express the model: loss="crf", quantized weights, a transformer that
        skl2onnx does not convert.

    See Also
    --------
    register : For skl2onnx.to_onnx with pipelines of other shapes.

    Notes
    -----
    Layers are the operators LSTM or GRU where these can express them. The cells "input_gated"
    and "peephole_lagged", projection_size, layer_norm=True and dtype="float64", in which
    onnxruntime's operators do not compute, are loops over plain operators (Scan). The forget
    gate of "coupled" has the negative weights of the input gate, so that it is 1 - i also for
    programs that do not know the attribute input_forget. The offset and scale of the targets
    are in the weights of the head.

    What skl2onnx makes of a SimpleImputer onnxruntime runs in float32 only.
    """
    opset = _checked_opset(opset)
    steps, estimator = [], model
    if isinstance(model, Pipeline):
        *steps, estimator = (step for _, step in model.steps)
        steps = [step for step in steps if step not in (None, "passthrough")]
    check_estimator(estimator)
    form = estimator._input_format.form
    if lengths is None:
        lengths = form in ("ragged", "tokens")
    if lengths and form == "columns":
        raise ValueError(
            "lengths=True cannot be combined with a model that was fitted on 2-D data, whose "
            "sequences are all of one length."
        )
    graph = Graph(estimator._network.architecture.dtype)
    if form == "tokens":
        x = graph.input("X", "int64", ["n_samples", "n_timesteps"])
    else:
        axes = ["n_samples", "n_timesteps"][: 1 if form == "columns" else 2]
        first = steps[0] if steps else estimator
        x = graph.input("X", graph.dtype, [*axes, first.n_features_in_])
    ends = graph.input("lengths", "int64", ["n_samples"]) if lengths else None
    for step in steps:
        x = add_step(graph, step, x, opset, of_columns=form == "columns")
    add_estimator(graph, estimator, x, ends, features)
    return graph.model(type(estimator).__name__, opset)


def _checked_opset(opset):
    if opset is None:
        return DEFAULT_OPSET
    newest = import_package("onnx").defs.onnx_opset_version()
    if not isinstance(opset, Integral) or not OLDEST_OPSET <= opset <= newest:
        raise ValueError(
            f"opset={shown(opset)} must be an int from {OLDEST_OPSET} to {newest}, or None."
        )
    return int(opset)


def from_onnx(path: str | os.PathLike[str] | Any) -> LSTMRegressor:
    """A fitted model of an ONNX file that has a stack of LSTM or GRU operators.

    Parameters
    ----------
    path : str, path-like or onnx.ModelProto
        The model takes sequences with the samples or the steps on the first axis, and perhaps
        their lengths. Its first output is a linear function (Gemm, or MatMul and Add) of
        the hidden state of the last layer at the end of each sequence or at every step, or
        that state itself.

    Returns
    -------
    model : LSTMRegressor
        It predicts what the file computes, of X with the samples on the first axis: without
        a linear function the hidden state, so that `predict` and `transform` give the same.
        With several outputs of the file, the first. partial_fit continues to train it, as
        does fit with warm_start=True.

    Raises
    ------
    ImportError
        If onnx is not installed.
    OSError
        If the file cannot be read.
    ValueError
        If it is no ONNX model, or one that computes anything else: what it has that is not
        read is named. The model made of its weights is compared with the file, by onnx's
        evaluator, on random sequences.

    Examples
    --------
    ::

        onnx.save(to_onnx(model), "model.onnx")
        same = from_onnx("model.onnx")
    """
    onnx = import_package("onnx")
    proto = path
    if not isinstance(proto, onnx.ModelProto):
        decode_error = import_package("google.protobuf.message").DecodeError
        try:
            proto = onnx.load(path)
        except decode_error as error:
            raise ValueError(f"{os.fsdecode(path)} is not an ONNX model: {error}.") from error
    try:
        onnx.checker.check_model(proto)
    except onnx.checker.ValidationError as error:
        raise ValueError(f"The ONNX model is not valid: {error}") from error
    return read_model(proto)


def register() -> None:
    """Make skl2onnx convert LSTMRegressor, LSTMClassifier and StepwiseTransformer, wherever
    they stand in a model that it converts.

    Sequences are then all of one length. The outputs of a classifier are "label" and
    "probabilities" as those of `to_onnx`, whatever its option "zipmap".

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Examples
    --------
    ::

        cylstm.onnx.register()
        skl2onnx.to_onnx(pipeline, X[:1].astype(np.float32))
    """
    register_converters()
