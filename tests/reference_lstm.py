"""The network of DESIGN in plain NumPy, one sequence and one step at a time.

As slow and as close to the equations as can be: the kernels are compared to it, and it
is compared to numerical derivatives.
"""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def layer_forward(W, U, b, xs, h, c):
    """h and c after every step, with what backward needs of it."""
    steps = []
    for x in xs:
        z_i, z_f, z_g, z_o = np.split(W @ x + U @ h + b, 4)
        i, f, g, o = sigmoid(z_i), sigmoid(z_f), np.tanh(z_g), sigmoid(z_o)
        c_before, h_before = c, h
        c = f * c + i * g
        h = o * np.tanh(c)
        steps.append((x, h_before, c_before, i, f, g, o, c, h))
    return steps


def layer_backward(W, U, steps, dhs):
    """Gradients from dL/dh of every step; also dL/dx of every step."""
    dW, dU, db = np.zeros_like(W), np.zeros_like(U), np.zeros(len(W))
    dxs = []
    dh_next, dc_next = np.zeros(U.shape[1]), np.zeros(U.shape[1])
    for (x, h_before, c_before, i, f, g, o, c, _), dh in zip(
        reversed(steps), reversed(dhs), strict=True
    ):
        dh = dh + dh_next
        dc = dc_next + dh * o * (1 - np.tanh(c) ** 2)
        dz = np.concatenate(
            [
                dc * g * i * (1 - i),
                dc * c_before * f * (1 - f),
                dc * i * (1 - g**2),
                dh * np.tanh(c) * o * (1 - o),
            ]
        )
        dW += np.outer(dz, x)
        dU += np.outer(dz, h_before)
        db += dz
        dxs.append(W.T @ dz)
        dh_next = U.T @ dz
        dc_next = dc * f
    return dW, dU, db, dxs[::-1]


def loss_and_gradient(loss, scores, y):
    if loss == "squared_error":
        return np.mean((scores - y) ** 2) / 2, (scores - y) / len(scores)
    if loss == "logistic":
        p = sigmoid(scores)
        return -(y * np.log(p) + (1 - y) * np.log(1 - p))[0], p - y
    p = np.exp(scores) / np.exp(scores).sum()
    label = int(y[0])
    return -np.log(p[label]), p - np.eye(len(scores))[label]


def n_layers(weights):
    return sum(name.endswith("weight_hh") for name in weights)


def forward(weights, x, state=None):
    """Scores of one sequence (T, I), and the steps of every layer."""
    layers = []
    inputs = list(x)
    at = 0
    for k in range(n_layers(weights)):
        W, U, b = (
            weights[f"layers.{k}.{name}"] for name in ("weight_ih", "weight_hh", "bias")
        )
        n_units = U.shape[1]
        h, c = np.zeros(n_units), np.zeros(n_units)
        if state is not None:
            h, c = state[at : at + n_units], state[at + n_units : at + 2 * n_units]
            at += 2 * n_units
        steps = layer_forward(W, U, b, inputs, h, c)
        layers.append(steps)
        inputs = [step[-1] for step in steps]
    return weights["head.weight"] @ inputs[-1] + weights["head.bias"], layers


def batch_loss(weights, loss, xs, ys, sample_weights, states=None):
    """sum(weight * loss) / sum(weight)."""
    states = [None] * len(xs) if states is None else states
    losses = [
        loss_and_gradient(loss, forward(weights, x, state)[0], y)[0]
        for x, y, state in zip(xs, ys, states, strict=True)
    ]
    return np.dot(sample_weights, losses) / np.sum(sample_weights)


def batch_gradients(weights, loss, xs, ys, sample_weights, states=None):
    """Name -> gradient of batch_loss, by backpropagation through time."""
    states = [None] * len(xs) if states is None else states
    gradients = {name: np.zeros_like(w) for name, w in weights.items()}
    for x, y, sample_weight, state in zip(xs, ys, sample_weights, states, strict=True):
        scores, layers = forward(weights, x, state)
        dscores = loss_and_gradient(loss, scores, y)[1]
        dscores = dscores * sample_weight / np.sum(sample_weights)
        last_h = layers[-1][-1][-1]
        gradients["head.weight"] += np.outer(dscores, last_h)
        gradients["head.bias"] += dscores
        dhs = [np.zeros_like(last_h) for _ in x]
        dhs[-1] = weights["head.weight"].T @ dscores
        for k in reversed(range(len(layers))):
            W, U = (weights[f"layers.{k}.{name}"] for name in ("weight_ih", "weight_hh"))
            dW, dU, db, dhs = layer_backward(W, U, layers[k], dhs)
            gradients[f"layers.{k}.weight_ih"] += dW
            gradients[f"layers.{k}.weight_hh"] += dU
            gradients[f"layers.{k}.bias"] += db
    return gradients
