"""Write golden_torch.npz, golden_torch_projection.npz and golden_torch_gru.npz: outputs and
gradients of torch.nn.LSTM, without and with proj_size, and of torch.nn.GRU on packed
sequences; golden_torch_around.npz: of torch.nn.LSTM with residual connections and pooling;
golden_crf.npz: with a CRF, and best paths; and golden_layer_norm.npz: of an LSTM and a GRU
that torch does not have, written in its functions.

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
WAYS = ("one way", "both ways")


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


def surrounded_case(pooling, bidirectional, residual):
    """Two layers, each a torch.nn.LSTM, with residual connections around both or none, and all
    steps of the second pooled; squared error, on ragged sequences in float64."""
    torch.manual_seed(0)
    lengths, n_units, n_scores, dtype = LENGTHS["ragged"], 4, 2, torch.float64
    directions = list(DIRECTIONS.items())[: 1 + bidirectional]
    n, T = len(lengths), max(lengths)
    n_outputs = n_units * len(directions)
    shapes = {"head.weight": (n_scores, n_outputs), "head.bias": (n_scores,)}
    if pooling == "attention":
        shapes["attention.weight"] = (n_outputs, n_outputs)
        shapes["attention.bias"] = shapes["attention.query"] = (n_outputs,)
    w = random_weights(shapes)
    outputs = x = torch.randn(n, T, n_outputs, dtype=dtype)
    for k in range(2):
        layer = torch.nn.LSTM(
            n_outputs, n_units, batch_first=True, bidirectional=bidirectional, dtype=dtype
        )
        for ours, suffix in directions:
            with torch.no_grad():
                getattr(layer, f"bias_hh_l0{suffix}").zero_()  # one bias is enough
            for name, theirs in (
                ("weight_ih", "weight_ih"),
                ("weight_hh", "weight_hh"),
                ("bias", "bias_ih"),
            ):
                w[f"layers.{k}.{ours}{name}"] = getattr(layer, f"{theirs}_l0{suffix}")
        packed = pack_padded_sequence(outputs, lengths, batch_first=True, enforce_sorted=False)
        padded, _ = pad_packed_sequence(layer(packed)[0], batch_first=True, total_length=T)
        outputs = padded + outputs if residual else padded
    features = pooled(w, pooling, outputs, torch.tensor(lengths), n_units)
    settings = {"pooling": np.array(pooling), "residual": np.array(residual)}
    return settings | squared_errors(w, x, lengths, features, [n_units] * 2, bidirectional)


def pooled(w, pooling, outputs, lengths, n_units):
    """One vector of each sequence of padded outputs; "last": each direction's last step."""
    rows, real = torch.arange(len(lengths)), torch.arange(outputs.shape[1]) < lengths[:, None]
    if pooling == "last":
        return torch.cat(
            [outputs[rows, lengths - 1, :n_units], outputs[:, 0, n_units:]], dim=1
        )
    real = real[:, :, None]
    if pooling == "mean":
        return (outputs * real).sum(dim=1) / lengths[:, None]
    if pooling == "max":
        return outputs.masked_fill(~real, -torch.inf).amax(dim=1)
    scores = torch.tanh(outputs @ w["attention.weight"].T + w["attention.bias"])
    scores = (scores @ w["attention.query"])[:, :, None].masked_fill(~real, -torch.inf)
    return (outputs * torch.softmax(scores, dim=1)).sum(dim=1)


def normalized_case(lengths, cell="lstm", bidirectional=False):
    """Two layers with layer normalization (Ba et al. 2016, eqs. 20 to 22), squared error of
    the last step, in float64."""
    torch.manual_seed(0)
    n, T, n_inputs, n_units, n_scores = len(lengths), max(lengths), 4, 6, 2
    n_gates = 3 if cell == "gru" else 4
    directions = [*DIRECTIONS][: 1 + bidirectional]
    n_outputs = n_units * len(directions)
    shapes = {}
    for k, direction in product(range(2), directions):
        layer = f"layers.{k}.{direction}"
        shapes[f"{layer}weight_ih"] = (n_gates * n_units, n_outputs if k else n_inputs)
        shapes[f"{layer}weight_hh"] = (n_gates * n_units, n_units)
        for name in ("bias", "norm_ih", "norm_hh"):
            shapes[f"{layer}{name}"] = (n_gates * n_units,)
        for name in ("bias_hn",) if cell == "gru" else ("norm_c", "bias_c"):
            shapes[f"{layer}{name}"] = (n_units,)
    shapes |= {"head.weight": (n_scores, n_outputs), "head.bias": (n_scores,)}
    w = random_weights(shapes)
    x = torch.randn(n, T, n_inputs, dtype=torch.float64)
    features = []
    for sequence, length in zip(x, lengths, strict=True):
        outputs = sequence[:length]
        for k in range(2):
            both = [normalized_layer(w, f"layers.{k}.", outputs)]
            if bidirectional:
                backward = normalized_layer(w, f"layers.{k}.reverse.", outputs.flip(0))
                both.append(backward.flip(0))
            outputs = torch.cat(both, dim=1)
        features.append(torch.cat([outputs[-1, :n_units], outputs[0, n_units:]]))
    arrays = squared_errors(w, x, lengths, torch.stack(features), [n_units] * 2, bidirectional)
    return {"cell": np.array(cell)} | arrays


def normalized_layer(w, layer, inputs):
    """Outputs of all steps of one sequence; a GRU has a bias_hn, an LSTM none."""
    weights = {
        name.removeprefix(layer): weight
        for name, weight in w.items()
        if name.rpartition(".")[0] + "." == layer
    }
    norm = torch.nn.functional.layer_norm
    n_gates, n_units = len(weights["bias"]), weights["weight_hh"].shape[1]
    h = c = torch.zeros(n_units, dtype=inputs.dtype)
    outputs = []
    for x in inputs:
        of_x = norm(weights["weight_ih"] @ x, (n_gates,), weights["norm_ih"], weights["bias"])
        of_h = norm(weights["weight_hh"] @ h, (n_gates,), weights["norm_hh"])
        if "bias_hn" in weights:
            (r, z, n), (r_of_h, z_of_h, m) = of_x.chunk(3), of_h.chunk(3)
            r, z = torch.sigmoid(r + r_of_h), torch.sigmoid(z + z_of_h)
            n = torch.tanh(n + r * (m + weights["bias_hn"]))
            h = (1 - z) * n + z * h
        else:
            i, f, g, o = (of_x + of_h).chunk(4)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            phi_c = torch.tanh(norm(c, (n_units,), weights["norm_c"], weights["bias_c"]))
            h = torch.sigmoid(o) * phi_c
        outputs.append(h)
    return torch.stack(outputs)


def random_weights(shapes):
    """Name -> weights in float64."""
    return {
        name: torch.randn(shape, dtype=torch.float64).mul_(0.7).requires_grad_()
        for name, shape in shapes.items()
    }


def squared_errors(w, x, lengths, features, sizes, bidirectional):
    """The arrays of a case whose head, on `features`, has a squared error."""
    scores = features @ w["head.weight"].T + w["head.bias"]
    y = torch.randn(*scores.shape, dtype=scores.dtype)
    loss = ((scores - y) ** 2).mean() / 2
    loss.backward()
    arrays = {
        "x": x.numpy(),
        "lengths": np.array(lengths, dtype=np.int64),
        "y": y.numpy(),
        "loss_name": np.array("squared_error"),
        "bidirectional": np.array(bidirectional),
        "per_step": np.array(False),
        "sizes": np.array(sizes),
        "loss": loss.detach().numpy(),
        "scores": scores.detach().numpy(),
        "features": features.detach().numpy(),
    }
    return arrays | side_by_side({name: (weight, weight.grad) for name, weight in w.items()})


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


AROUND_CASES = (
    *product(("mean", "max", "attention"), (False, True), (False,)),
    *product(("last", "attention"), (False, True), (True,)),
)


NORMALIZED_CASES = (
    ("lstm", False, "equal"),
    ("lstm", False, "ragged"),
    ("lstm", True, "ragged"),
    ("gru", False, "ragged"),
)


def write(name, cases, cell=torch.nn.LSTM, **options):
    made = {}
    for n_layers, bidirectional, shape, (loss_name, per_step, dtype) in cases:
        label = (
            f"{n_layers} layers, {WAYS[bidirectional]}, "
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
    around = {
        f"{pooling}, {WAYS[both]}{', residual' * residual}": (pooling, both, residual)
        for pooling, both, residual in AROUND_CASES
    }
    save(
        "torch_around", {name: surrounded_case(*settings) for name, settings in around.items()}
    )
    normalized = {
        f"normalized, {cell}, {WAYS[both]}, {shape}": (LENGTHS[shape], cell, both)
        for cell, both, shape in NORMALIZED_CASES
    }
    save("layer_norm", {name: normalized_case(*of) for name, of in normalized.items()})


if __name__ == "__main__":
    main()
