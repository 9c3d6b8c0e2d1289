"""Write golden_torch.npz, golden_torch_projection.npz and golden_torch_gru.npz: outputs and
gradients of torch.nn.LSTM, without and with proj_size, and of torch.nn.GRU on packed
sequences; golden_crf.npz: the same with a CRF, and best paths; and golden_layer_norm.npz: of
an LSTM that torch does not have, written in its functions.

Run with PyTorch and pytorch-crf installed: ``python tests/make_golden_torch.py``. The tests
read the files and need neither.
"""

from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torchcrf import CRF

LENGTHS = {"equal": [6, 6, 6, 6, 6], "ragged": [3, 9, 1, 6, 4, 9, 2]}
DIRECTIONS = {"": "", "reverse.": "_reverse"}


def case(
    n_layers, bidirectional, lengths, loss_name, per_step, dtype, cell=torch.nn.LSTM, **options
):
    torch.manual_seed(0)
    n, T, n_inputs, n_units = len(lengths), max(lengths), 4, 6
    n_scores = {"squared_error": 2, "logistic": 1, "softmax": 3, "crf": 3}[loss_name]
    directions = list(DIRECTIONS.items())[: 1 + bidirectional]
    network = cell(
        n_inputs,
        n_units,
        n_layers,
        batch_first=True,
        bidirectional=bidirectional,
        dtype=dtype,
        **options,
    )
    n_outputs = network.proj_size or n_units
    head = torch.nn.Linear(n_outputs * len(directions), n_scores, dtype=dtype)
    n_once = 2 * n_units if cell is torch.nn.GRU else 4 * n_units
    with torch.no_grad():
        for k in range(n_layers):  # one bias is enough, but for U_n h of a GRU
            for _, suffix in directions:
                getattr(network, f"bias_hh_l{k}{suffix}")[:n_once].zero_()
    x = torch.randn(n, T, n_inputs, dtype=dtype)
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    outputs, state = network(packed)
    h = state if cell is torch.nn.GRU else state[0]
    if per_step:
        padded, _ = pad_packed_sequence(outputs, batch_first=True, total_length=T)
        real = torch.arange(T) < torch.tensor(lengths)[:, None]
        features = padded[real]
    else:
        features = torch.cat(list(h[-len(directions) :]), dim=1)
    scores = head(features)
    extra, parameters = {}, {"head.weight": head.weight, "head.bias": head.bias}
    if loss_name == "squared_error":
        y = torch.randn(*scores.shape, dtype=dtype)
        loss = ((scores - y) ** 2).mean() / 2
    elif loss_name == "logistic":
        y = torch.randint(2, scores.shape).to(dtype)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(scores, y)
    elif loss_name == "crf":
        crf = CRF(n_scores, batch_first=True).to(dtype)
        with torch.no_grad():
            for parameter in crf.parameters():
                parameter.normal_()
        y = torch.randint(n_scores, (len(scores), 1))
        padded = torch.zeros(n, T, dtype=torch.int64)
        padded[real] = y[:, 0]
        emissions = torch.zeros(n, T, n_scores, dtype=dtype)
        emissions[real] = scores
        loss = -crf(emissions, padded, mask=real, reduction="token_mean")
        extra = {"best_paths": np.concatenate(crf.decode(emissions, mask=real))}
        parameters["crf.transitions"] = crf.transitions
        parameters["crf.start"] = crf.start_transitions
        parameters["crf.end"] = crf.end_transitions
        y = y.to(dtype)
    else:
        y = torch.randint(n_scores, (len(scores), 1))
        loss = torch.nn.functional.cross_entropy(scores, y[:, 0])
        y = y.to(dtype)
    loss.backward()
    pairs = {name: (parameter, parameter.grad) for name, parameter in parameters.items()}
    gradients = {name: p.grad for name, p in network.named_parameters()}
    for k in range(n_layers):
        for ours, suffix in directions:
            named = [("weight_ih",) * 2, ("weight_hh",) * 2, ("bias", "bias_ih")]
            if network.proj_size:
                named.append(("weight_hr",) * 2)
            for name, theirs in named:
                theirs = f"{theirs}_l{k}{suffix}"
                pairs[f"layers.{k}.{ours}{name}"] = getattr(network, theirs), gradients[theirs]
            if cell is torch.nn.GRU:
                theirs = f"bias_hh_l{k}{suffix}"
                pairs[f"layers.{k}.{ours}bias_hn"] = (
                    getattr(network, theirs)[n_once:],
                    gradients[theirs][n_once:],
                )
    arrays = {
        "x": x.numpy(),
        "lengths": np.array(lengths, dtype=np.int64),
        "y": y.numpy(),
        "loss_name": np.array(loss_name),
        "bidirectional": np.array(bidirectional),
        "per_step": np.array(per_step),
        "sizes": np.array([n_units] * n_layers),
        "loss": loss.detach().numpy(),
        "scores": scores.detach().numpy(),
        "features": features.detach().numpy(),
        **extra,
    }
    return arrays | side_by_side(pairs)


def normalized_case(lengths):
    """Two layers in one direction with layer normalization (Ba et al. 2016, eqs. 20 to 22),
    squared error of the last step, in float64."""
    torch.manual_seed(0)
    n, T, n_inputs, n_units, n_scores, dtype = (
        len(lengths),
        max(lengths),
        4,
        6,
        2,
        torch.float64,
    )
    shapes = {}
    for k in range(2):
        layer = f"layers.{k}."
        shapes[f"{layer}weight_ih"] = (4 * n_units, n_units if k else n_inputs)
        shapes[f"{layer}weight_hh"] = (4 * n_units, n_units)
        for name in ("bias", "norm_ih", "norm_hh"):
            shapes[f"{layer}{name}"] = (4 * n_units,)
        shapes[f"{layer}norm_c"] = shapes[f"{layer}bias_c"] = (n_units,)
    shapes |= {"head.weight": (n_scores, n_units), "head.bias": (n_scores,)}
    w = {
        name: torch.randn(shape, dtype=dtype).mul_(0.7).requires_grad_()
        for name, shape in shapes.items()
    }
    x = torch.randn(n, T, n_inputs, dtype=dtype)
    features = []
    for sequence, length in zip(x, lengths, strict=True):
        outputs = sequence[:length]
        for k in range(2):
            outputs = normalized_layer(w, f"layers.{k}.", outputs)
        features.append(outputs[-1])
    features = torch.stack(features)
    scores = features @ w["head.weight"].T + w["head.bias"]
    y = torch.randn(n, n_scores, dtype=dtype)
    loss = ((scores - y) ** 2).mean() / 2
    loss.backward()
    arrays = {
        "x": x.numpy(),
        "lengths": np.array(lengths, dtype=np.int64),
        "y": y.numpy(),
        "loss_name": np.array("squared_error"),
        "bidirectional": np.array(False),
        "per_step": np.array(False),
        "sizes": np.array([n_units] * 2),
        "loss": loss.detach().numpy(),
        "scores": scores.detach().numpy(),
        "features": features.detach().numpy(),
    }
    return arrays | side_by_side({name: (weight, weight.grad) for name, weight in w.items()})


def normalized_layer(w, layer, inputs):
    weights = {
        name.removeprefix(layer): weight
        for name, weight in w.items()
        if name.startswith(layer)
    }
    norm = torch.nn.functional.layer_norm
    n_units = len(weights["norm_c"])
    h = c = torch.zeros(n_units, dtype=inputs.dtype)
    outputs = []
    for x in inputs:
        z = norm(weights["weight_ih"] @ x, (4 * n_units,), weights["norm_ih"], weights["bias"])
        z = z + norm(weights["weight_hh"] @ h, (4 * n_units,), weights["norm_hh"])
        i, f, g, o = z.chunk(4)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        phi_c = torch.tanh(norm(c, (n_units,), weights["norm_c"], weights["bias_c"]))
        h = torch.sigmoid(o) * phi_c
        outputs.append(h)
    return torch.stack(outputs)


def side_by_side(pairs):
    """Name -> (weight, gradient) as one array each: a few large arrays make a small file."""
    names = sorted(pairs)
    arrays = {"names": np.array(names)}
    for what, which in (("weights", 0), ("gradients", 1)):
        arrays[what] = np.concatenate(
            [pairs[name][which].detach().numpy().ravel() for name in names]
        )
    return arrays


LOSSES = (
    ("squared_error", False, torch.float32),
    ("squared_error", True, torch.float64),
    ("logistic", False, torch.float64),
    ("softmax", False, torch.float64),
    ("softmax", True, torch.float32),
)
LOSSES_OF_CRF = (("crf", True, torch.float64), ("crf", True, torch.float32))


GRU_CASES = (
    (1, False, "equal", ("squared_error", False, torch.float32)),
    (2, True, "ragged", ("softmax", True, torch.float64)),
    (2, False, "ragged", ("squared_error", False, torch.float64)),
)


PROJECTION_CASES = (
    (1, False, "equal", ("squared_error", False, torch.float32)),
    (2, False, "ragged", ("softmax", True, torch.float64)),
    (2, True, "ragged", ("squared_error", False, torch.float64)),
)


def write(name, cases, cell=torch.nn.LSTM, **options):
    made = {}
    for n_layers, bidirectional, shape, (loss_name, per_step, dtype) in cases:
        label = (
            f"{n_layers} layers, {'both ways' if bidirectional else 'one way'}, "
            f"{shape}, {loss_name}, {'every' if per_step else 'last'} step, "
            f"{str(dtype).removeprefix('torch.')}"
        )
        lengths = LENGTHS[shape]
        made[label] = case(
            n_layers, bidirectional, lengths, loss_name, per_step, dtype, cell, **options
        )
    save(name, made)


def save(name, cases):
    arrays = {
        f"{label}/{key}": value for label, case in cases.items() for key, value in case.items()
    }
    np.savez_compressed(Path(__file__).with_name(f"golden_{name}.npz"), **arrays)


def main():
    write("torch", product((1, 2, 3), (False, True), LENGTHS, LOSSES))
    write("torch_projection", PROJECTION_CASES, proj_size=3)
    write("torch_gru", GRU_CASES, torch.nn.GRU)
    write("crf", product((1,), (False, True), ["ragged"], LOSSES_OF_CRF))
    save(
        "layer_norm",
        {f"normalized, {shape}": normalized_case(LENGTHS[shape]) for shape in LENGTHS},
    )


if __name__ == "__main__":
    main()
