"""Write golden_others.npz: outputs of onnxruntime's LSTM with peepholes and with the input
gate coupled to the forget gate, and of Keras' LSTM with relu.

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


def onnx_case(rng, *, peephole, coupled, bidirectional):
    # ONNX stacks i, o, f, c; its peepholes are i, o, f.
    n_directions = 1 + bidirectional
    x = rng.normal(size=(T, N, I)).astype(np.float32)
    W = rng.normal(scale=0.5, size=(n_directions, 4 * H, I)).astype(np.float32)
    R = rng.normal(scale=0.5, size=(n_directions, 4 * H, H)).astype(np.float32)
    B = rng.normal(scale=0.5, size=(n_directions, 8 * H)).astype(np.float32)
    B[:, 4 * H :] = 0
    P = rng.normal(scale=0.5, size=(n_directions, 3 * H)).astype(np.float32)
    names = ["X", "W", "R", "B", "lengths", "", ""] + (["P"] if peephole else [])
    node = helper.make_node(
        "LSTM",
        names,
        ["Y", "Y_h"],
        hidden_size=H,
        input_forget=int(coupled),
        direction="bidirectional" if bidirectional else "forward",
    )
    constants = {"W": W, "R": R, "B": B, "lengths": LENGTHS}
    if peephole:
        constants["P"] = P
    graph = helper.make_graph(
        [node],
        "lstm",
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
    gates = "igo" if coupled else "ifgo"
    weights = {}
    for d, direction in enumerate(["", "reverse."][:n_directions]):
        prefix = f"layers.0.{direction}"
        weights[f"{prefix}weight_ih"] = reorder(W[d], "iofg", gates)
        weights[f"{prefix}weight_hh"] = reorder(R[d], "iofg", gates)
        weights[f"{prefix}bias"] = reorder(B[d, : 4 * H], "iofg", gates)
        if peephole:
            weights[f"{prefix}peephole"] = reorder(P[d], "iof", "ifo").reshape(3, H)
    return {
        "cell": np.array("peephole" if peephole else "coupled" if coupled else "lstm"),
        "activation": np.array("tanh"),
        "bidirectional": np.array(bidirectional),
        "x": x.transpose(1, 0, 2).copy(),
        "lengths": LENGTHS.astype(np.int64),
        "outputs": y.transpose(2, 0, 1, 3).reshape(N, T, n_directions * H),
        **{f"w/{name}": value for name, value in weights.items()},
    }


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
    return {
        "cell": np.array("lstm"),
        "activation": np.array("relu"),
        "bidirectional": np.array(bidirectional),
        "x": x,
        "lengths": np.full(N, T, dtype=np.int64),
        "outputs": keras.ops.convert_to_numpy(layer(x)),
        **{f"w/{name}": value for name, value in weights.items()},
    }


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
    np.savez_compressed(
        Path(__file__).with_name("golden_others.npz"),
        **{f"{name}/{k}": v for name, case in cases.items() for k, v in case.items()},
    )


if __name__ == "__main__":
    main()
