"""Write golden_torch.npz: outputs and gradients of torch.nn.LSTM on packed sequences.

Run with PyTorch installed: ``python tests/make_golden_torch.py``. The tests read the
file and need no PyTorch.
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence

LENGTHS = {"equal": [6, 6, 6, 6, 6], "ragged": [3, 9, 1, 6, 4, 9, 2]}


def case(n_layers, lengths, loss_name, dtype):
    torch.manual_seed(0)
    n, T, n_inputs, n_units = len(lengths), max(lengths), 4, 6
    n_scores = {"squared_error": 2, "logistic": 1, "softmax": 3}[loss_name]
    lstm = torch.nn.LSTM(n_inputs, n_units, n_layers, batch_first=True, dtype=dtype)
    head = torch.nn.Linear(n_units, n_scores, dtype=dtype)
    with torch.no_grad():
        for k in range(n_layers):  # one bias is enough
            getattr(lstm, f"bias_hh_l{k}").zero_()
    x = torch.randn(n, T, n_inputs, dtype=dtype)
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    _, (h, _) = lstm(packed)
    features = h[-1]
    scores = head(features)
    if loss_name == "squared_error":
        y = torch.randn(n, n_scores, dtype=dtype)
        loss = ((scores - y) ** 2).mean() / 2
    elif loss_name == "logistic":
        y = torch.randint(2, (n, 1)).to(dtype)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(scores, y)
    else:
        y = torch.randint(n_scores, (n, 1))
        loss = torch.nn.functional.cross_entropy(scores, y[:, 0])
        y = y.to(dtype)
    loss.backward()
    parameters = {"head.weight": head.weight, "head.bias": head.bias}
    for k in range(n_layers):
        parameters[f"layers.{k}.weight_ih"] = getattr(lstm, f"weight_ih_l{k}")
        parameters[f"layers.{k}.weight_hh"] = getattr(lstm, f"weight_hh_l{k}")
        parameters[f"layers.{k}.bias"] = getattr(lstm, f"bias_ih_l{k}")
    arrays = {
        "x": x.numpy(),
        "lengths": np.array(lengths, dtype=np.int64),
        "y": y.numpy(),
        "loss_name": np.array(loss_name),
        "loss": loss.detach().numpy(),
        "scores": scores.detach().numpy(),
        "features": features.detach().numpy(),
    }
    for name, parameter in parameters.items():
        arrays[f"w/{name}"] = parameter.detach().numpy()
        arrays[f"dw/{name}"] = parameter.grad.numpy()
    return arrays


def main():
    arrays = {}
    for n_layers in (1, 2, 3):
        for shape, lengths in LENGTHS.items():
            for loss_name in ("squared_error", "logistic", "softmax"):
                for dtype in (torch.float32, torch.float64):
                    precision = str(dtype).removeprefix("torch.")
                    name = f"{n_layers} layers, {shape}, {loss_name}, {precision}"
                    for key, value in case(n_layers, lengths, loss_name, dtype).items():
                        arrays[f"{name}/{key}"] = value
    np.savez_compressed(Path(__file__).with_name("golden_torch.npz"), **arrays)


if __name__ == "__main__":
    main()
