"""Write golden_interop.npz: weights and outputs of PyTorch's and Keras' modules, with what
from_torch and from_keras are to be told of them.

Run with torch, keras and a backend of it (KERAS_BACKEND) installed:
``python tests/make_golden_interop.py``. The tests read the file and need neither.
"""

import json
from pathlib import Path

import keras
import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

N, T, I, H, V = 4, 6, 3, 5, 9  # noqa: E741  I inputs, as everywhere
LENGTHS = torch.tensor([6, 1, 4, 6])


class Tagger(nn.Module):
    """Embedding, LSTM or GRU and a linear layer, as people write it."""

    def __init__(self, cell, n_scores, *, embedding=False, **options):
        super().__init__()
        if embedding:
            self.embed = nn.Embedding(V, I, dtype=options["dtype"])
        self.encoder = cell(I, H, batch_first=True, **options)
        n_outputs = options.get("proj_size") or H
        n_outputs *= 1 + options.get("bidirectional", False)
        self.out = nn.Linear(n_outputs, n_scores, dtype=options["dtype"])

    def forward(self, x, per_step):
        if hasattr(self, "embed"):
            x = self.embed(x)
        packed = pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
        outputs, state = self.encoder(packed)
        if per_step:
            return self.out(pad_packed_sequence(outputs, batch_first=True)[0])
        h = state[0] if isinstance(state, tuple) else state
        both = self.encoder.bidirectional
        return self.out(torch.cat([h[-2], h[-1]], dim=1) if both else h[-1])


def torch_case(cell, n_scores, told, *, embedding=False, dtype=torch.float64, **options):
    torch.manual_seed(0)
    module = Tagger(cell, n_scores, embedding=embedding, dtype=dtype, **options)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(2)
        x = torch.randint(V, (N, T)) if embedding else torch.randn(N, T, I, dtype=dtype)
        outputs = module(x, told.get("return_sequences", False))
    return {
        "told": np.array(json.dumps(told)),
        "x": x.numpy(),
        "lengths": LENGTHS.numpy(),
        "outputs": outputs.numpy(),
        **{f"state/{name}": value.numpy() for name, value in module.state_dict().items()},
    }


def keras_case(layers, told, *, tokens=False):
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input((None,) if tokens else (None, I)), *layers()])
    for layer in model.layers:
        layer.set_weights([rng.normal(scale=0.5, size=v.shape) for v in layer.get_weights()])
    x = (
        rng.integers(V, size=(N, T))
        if tokens
        else rng.normal(size=(N, T, I)).astype(np.float32)
    )
    outputs = keras.ops.convert_to_numpy(model(x))
    described = [(type(layer).__name__, layer.get_config()) for layer in model.layers]
    return {
        "told": np.array(json.dumps(told)),
        "layers": np.array(json.dumps(described)),
        "x": x,
        "lengths": np.full(N, T),
        "outputs": outputs,
        **{
            f"state/{k}.{j}": array
            for k, layer in enumerate(model.layers)
            for j, array in enumerate(layer.get_weights())
        },
    }


def main():
    labels, per_step = {"classes": ["c", "a", "b"]}, {"return_sequences": True}
    cases = {
        "torch lstm": torch_case(nn.LSTM, 2, {}, dtype=torch.float32),
        "torch lstm, 2 layers, both ways": torch_case(
            nn.LSTM, 3, labels | per_step, num_layers=2, bidirectional=True
        ),
        "torch lstm, projected, both ways": torch_case(
            nn.LSTM, 1, {}, num_layers=2, bidirectional=True, proj_size=2
        ),
        "torch lstm, no bias, tokens": torch_case(
            nn.LSTM, 2, {"classes": ["no", "yes"]}, embedding=True, bias=False
        ),
        "torch gru": torch_case(nn.GRU, 1, {"classes": [1, 0]}),
        "torch gru, 2 layers, both ways, tokens": torch_case(
            nn.GRU, 3, labels, embedding=True, num_layers=2, bidirectional=True
        ),
    }
    layers = keras.layers
    cases |= {
        "keras lstm": keras_case(lambda: [layers.LSTM(H), layers.Dense(2)], {}),
        "keras lstm, relu, 2 layers": keras_case(
            lambda: [
                layers.LSTM(H, activation="relu", return_sequences=True),
                layers.Dropout(0.5),
                layers.LSTM(H - 1, activation="relu"),
                layers.Dense(1, activation="exponential"),
            ],
            {},
        ),
        "keras lstm, both ways, mean": keras_case(
            lambda: [
                layers.Bidirectional(layers.LSTM(H, return_sequences=True)),
                layers.GlobalAveragePooling1D(),
                layers.Dense(3, activation="softmax"),
            ],
            labels,
        ),
        "keras lstm, no bias, every step": keras_case(
            lambda: [
                layers.LSTM(H, use_bias=False, return_sequences=True),
                layers.TimeDistributed(layers.Dense(1, use_bias=False)),
            ],
            {},
        ),
        "keras gru, tokens": keras_case(
            lambda: [
                layers.Embedding(V, I),
                layers.GRU(H),
                layers.Dense(1),
                layers.Activation("sigmoid"),
            ],
            {"classes": [False, True]},
            tokens=True,
        ),
        "keras gru, both ways, reset before": keras_case(
            lambda: [
                layers.Bidirectional(layers.GRU(H, reset_after=False, return_sequences=True)),
                layers.Bidirectional(layers.GRU(H - 1, reset_after=False)),
                layers.Dense(3, activation="sigmoid"),
            ],
            {"multilabel": True},
        ),
        "keras gru, no bias": keras_case(
            lambda: [layers.GRU(H, use_bias=False), layers.Dense(2)], {}
        ),
        "keras gru, 2 layers": keras_case(
            lambda: [
                layers.GRU(H, return_sequences=True),
                layers.GRU(H),
                layers.Dense(2, activation="softmax"),
            ],
            {"classes": ["no", "yes"]},
        ),
    }
    np.savez_compressed(
        Path(__file__).with_name("golden_interop.npz"),
        **{f"{name}/{k}": v for name, case in cases.items() for k, v in case.items()},
    )


if __name__ == "__main__":
    main()
