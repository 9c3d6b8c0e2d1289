"""Write golden_others.npz: outputs of onnxruntime's LSTM with peepholes and with the input
gate coupled to the forget gate, of its GRU in both forms, and of Keras' LSTM with relu and
GRU.

Run with onnx, onnxruntime, keras and a backend of it (KERAS_BACKEND) installed:
``python tests/make_golden_others.py``. The tests read the file and need none of them.
"""

from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

N, T, I, H = 5, 7, 3, 4  # noqa: E741  I inputs, as everywhere
LENGTHS = np.array([7, 2, 5, 1, 7], dtype=np.int32)


def reorder(stacked, source, wanted):
    """Blocks of H rows in the order of `wanted` gates instead of `source`."""
    blocks = dict(zip(source, np.split(stacked, len(source)), strict=True))
    return np.concatenate([blocks[gate] for gate in wanted])


def arrays_of(cell, x, lengths, outputs, weights, *, activation="tanh", bidirectional=False):
    """A case as the file has it: x (N, T, I), outputs of each step, and our weights."""
    return {
        "cell": np.array(cell),
        "activation": np.array(activation),
        "bidirectional": np.array(bidirectional),
        "x": x,
        "lengths": lengths,
        "outputs": outputs,
        **{f"w/{name}": value for name, value in weights.items()},
    }


def run_onnx(operator, x, constants, n_directions, **attributes):
    """Outputs (N, T, n_directions * H) of a recurrent operator of ONNX."""
    names = ["X", "W", "R", "B", "lengths", "", ""] + (["P"] if "P" in constants else [])
    node = helper.make_node(
        operator,
        names if "P" in constants else names[:5],
        ["Y", "Y_h"],
        hidden_size=H,
        direction="bidirectional" if n_directions == 2 else "forward",
        **attributes,
    )
    graph = helper.make_graph(
        [node],
        operator.lower(),
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, x.shape)],
        [
            helper.make_tensor_value_info("Y", TensorProto.FLOAT, (T, n_directions, N, H)),
            helper.make_tensor_value_info("Y_h", TensorProto.FLOAT, (n_directions, N, H)),
        ],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    y, _ = session.run(None, {"X": x})
    return y.transpose(2, 0, 1, 3).reshape(N, T, n_directions * H)


def onnx_case(rng, *, peephole, coupled, bidirectional):
    # ONNX stacks i, o, f, c; its peepholes are i, o, f.
    n_directions = 1 + bidirectional
    x = rng.normal(size=(T, N, I)).astype(np.float32)
    W = rng.normal(scale=0.5, size=(n_directions, 4 * H, I)).astype(np.float32)
    R = rng.normal(scale=0.5, size=(n_directions, 4 * H, H)).astype(np.float32)
    B = rng.normal(scale=0.5, size=(n_directions, 8 * H)).astype(np.float32)
    B[:, 4 * H :] = 0
    P = rng.normal(scale=0.5, size=(n_directions, 3 * H)).astype(np.float32)
    constants = {"W": W, "R": R, "B": B, "lengths": LENGTHS}
    if peephole:
        constants["P"] = P
    outputs = run_onnx("LSTM", x, constants, n_directions, input_forget=int(coupled))
    gates = "igo" if coupled else "ifgo"
    weights = {}
    for d, direction in enumerate(["", "reverse."][:n_directions]):
        prefix = f"layers.0.{direction}"
        weights[f"{prefix}weight_ih"] = reorder(W[d], "iofg", gates)
        weights[f"{prefix}weight_hh"] = reorder(R[d], "iofg", gates)
        weights[f"{prefix}bias"] = reorder(B[d, : 4 * H], "iofg", gates)
        if peephole:
            weights[f"{prefix}peephole"] = reorder(P[d], "iof", "ifo").reshape(3, H)
    return arrays_of(
        "peephole" if peephole else "coupled" if coupled else "lstm",
        x.transpose(1, 0, 2).copy(),
        LENGTHS.astype(np.int64),
        outputs,
        weights,
        bidirectional=bidirectional,
    )


def gru_weights(prefix, kernel, recurrent, input_bias, recurrent_bias, *, reset_after):
    """Ours, from rows and biases of the gates z, r, n."""
    both = reorder(input_bias + recurrent_bias, "zrn", "rzn")
    weights = {
        f"{prefix}weight_ih": reorder(kernel, "zrn", "rzn"),
        f"{prefix}weight_hh": reorder(recurrent, "zrn", "rzn"),
        f"{prefix}bias": both,
    }
    if reset_after:
        both[2 * H :] = input_bias[2 * H :]
        weights[f"{prefix}bias_hn"] = recurrent_bias[2 * H :]
    return weights


def onnx_gru_case(rng, *, reset_after, bidirectional):
    n_directions = 1 + bidirectional
    x = rng.normal(size=(T, N, I)).astype(np.float32)
    W = rng.normal(scale=0.5, size=(n_directions, 3 * H, I)).astype(np.float32)
    R = rng.normal(scale=0.5, size=(n_directions, 3 * H, H)).astype(np.float32)
    B = rng.normal(scale=0.5, size=(n_directions, 6 * H)).astype(np.float32)
    constants = {"W": W, "R": R, "B": B, "lengths": LENGTHS}
    weights = {}
    for d, direction in enumerate(["", "reverse."][:n_directions]):
        weights |= gru_weights(
            f"layers.0.{direction}",
            W[d],
            R[d],
            B[d, : 3 * H],
            B[d, 3 * H :],
            reset_after=reset_after,
        )
    return arrays_of(
        "gru" if reset_after else "gru_v1",
        x.transpose(1, 0, 2).copy(),
        LENGTHS.astype(np.int64),
        run_onnx("GRU", x, constants, n_directions, linear_before_reset=int(reset_after)),
        weights,
        bidirectional=bidirectional,
    )


def keras_gru_case(rng):
    x = rng.normal(size=(N, T, I)).astype(np.float32)
    layer = keras.layers.GRU(H, return_sequences=True)
    layer.build(x.shape)
    kernel, recurrent, bias = [
        rng.normal(scale=0.5, size=v.shape).astype(np.float32) for v in layer.get_weights()
    ]
    layer.set_weights([kernel, recurrent, bias])
    weights = gru_weights("layers.0.", kernel.T, recurrent.T, *bias, reset_after=True)
    return arrays_of(
        "gru",
        x,
        np.full(N, T, dtype=np.int64),
        keras.ops.convert_to_numpy(layer(x)),
        weights,
    )


def keras_case(rng, *, bidirectional):
    # Keras stacks i, f, c, o like us, and transposes.
    x = rng.normal(size=(N, T, I)).astype(np.float32)
    layer = keras.layers.LSTM(H, activation="relu", return_sequences=True)
    if bidirectional:
        layer = keras.layers.Bidirectional(layer)
    layer.build(x.shape)
    arrays = [
        rng.normal(scale=0.5, size=v.shape).astype(np.float32) for v in layer.get_weights()
    ]
    layer.set_weights(arrays)
    weights = {}
    for d, direction in enumerate(["", "reverse."][: 1 + bidirectional]):
        kernel, recurrent, bias = arrays[3 * d : 3 * d + 3]
        weights[f"layers.0.{direction}weight_ih"] = kernel.T.copy()
        weights[f"layers.0.{direction}weight_hh"] = recurrent.T.copy()
        weights[f"layers.0.{direction}bias"] = bias
    return arrays_of(
        "lstm",
        x,
        np.full(N, T, dtype=np.int64),
        keras.ops.convert_to_numpy(layer(x)),
        weights,
        activation="relu",
        bidirectional=bidirectional,
    )


def main():
    rng = np.random.default_rng(0)
    cases = {}
    for bidirectional in (False, True):
        ways = "both ways" if bidirectional else "one way"
        cases[f"onnx peephole, {ways}"] = onnx_case(
            rng, peephole=True, coupled=False, bidirectional=bidirectional
        )
        cases[f"onnx coupled, {ways}"] = onnx_case(
            rng, peephole=False, coupled=True, bidirectional=bidirectional
        )
        cases[f"keras relu, {ways}"] = keras_case(rng, bidirectional=bidirectional)
    for bidirectional in (False, True):
        directions = "both directions" if bidirectional else "forward"
        for reset_after in (False, True):
            form = "reset after" if reset_after else "reset before"
            cases[f"onnx gru, {form}, {directions}"] = onnx_gru_case(
                rng, reset_after=reset_after, bidirectional=bidirectional
            )
    cases["keras gru"] = keras_gru_case(rng)
    np.savez_compressed(
        Path(__file__).with_name("golden_others.npz"),
        **{f"{name}/{k}": v for name, case in cases.items() for k, v in case.items()},
    )


if __name__ == "__main__":
    main()
