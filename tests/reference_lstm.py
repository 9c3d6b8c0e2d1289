"""The network of DESIGN in plain NumPy, one sequence and one step at a time.

As slow and as close to the equations as can be: the kernels are compared to it, and it
is compared to numerical derivatives. `a` is an Architecture, weights are its named
arrays; a model without recurrent matrix has no weight_hh, one without projection no weight_hr.
A GRU's c is a copy of h, through
which gradients of h go that bypass the products.
"""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


PHI = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0)}
# Slopes from the output value.
SLOPE = {"tanh": lambda y: 1 - y**2, "relu": lambda y: (y > 0).astype(float)}


# Layer normalization (Ba et al., arXiv:1607.06450)


def standardize(a):
    return (a - a.mean()) / np.sqrt(a.var() + 1e-5)


def standardize_backward(a, d):
    """dL/da where d is dL/d standardize(a)."""
    y = standardize(a)
    return (d - d.mean() - y * np.mean(d * y)) / np.sqrt(a.var() + 1e-5)


def normalize(w, gain, a, rows=slice(None)):
    """gain * LN(a), with these rows of the gain; a itself where there is none."""
    return w[gain][rows] * standardize(a) if gain in w else a


def normalize_backward(w, gain, a, d, gradients, rows=slice(None)):
    """dL/da; adds to the gradient of the gain."""
    if gain not in w:
        return d
    gradients[gain][rows] += d * standardize(a)
    return standardize_backward(a, d * w[gain][rows])


# One step of one layer


def gru_forward(a, w, x, h_before, c_before, mask):
    seen = h_before * mask
    H = len(h_before)
    U, U_n = w["weight_hh"], w["weight_hh"][2 * H :]
    z_r, z_z, z_n = np.split(normalize(w, "norm_ih", w["weight_ih"] @ x) + w["bias"], 3)
    if a.cell == "gru":
        seen_by_r, seen_by_z, m = np.split(normalize(w, "norm_hh", U @ seen), 3)
        m = m + w["bias_hn"]
        r, z = sigmoid(z_r + seen_by_r), sigmoid(z_z + seen_by_z)
        n = PHI[a.activation](z_n + r * m)
    else:
        first, last = slice(0, 2 * H), slice(2 * H, None)
        seen_by_r, seen_by_z = np.split(normalize(w, "norm_hh", U[first] @ seen, first), 2)
        r, z = sigmoid(z_r + seen_by_r), sigmoid(z_z + seen_by_z)
        m = r * seen
        n = PHI[a.activation](z_n + normalize(w, "norm_hh", U_n @ m, last))
    h = (1 - z) * n + z * c_before
    return {
        "x": x, "h_before": h_before, "c_before": c_before, "mask": mask,
        "r": r, "z": z, "n": n, "m": m, "h": h, "c": h,
    }  # fmt: skip


def gru_backward(a, w, step, dh, gradients):
    x, r, z, n, m, h_before, mask = (
        step[k] for k in ("x", "r", "z", "n", "m", "h_before", "mask")
    )
    H = len(h_before)
    U, dU = w["weight_hh"], gradients["weight_hh"]
    seen = h_before * mask
    dz_n = dh * (1 - z) * SLOPE[a.activation](n)
    dz_z = dh * (step["c_before"] - n) * z * (1 - z)
    if a.cell == "gru":
        dm = dz_n * r
        dz_r = dz_n * m * r * (1 - r)
        gradients["bias_hn"] += dm
        dseen_by = np.concatenate([dz_r, dz_z, dm])
        dproduct = normalize_backward(w, "norm_hh", U @ seen, dseen_by, gradients)
        dU += np.outer(dproduct, seen)
        dseen = U.T @ dproduct
    else:
        first, last = slice(0, 2 * H), slice(2 * H, None)
        dproduct = normalize_backward(w, "norm_hh", U[last] @ m, dz_n, gradients, last)
        dU[last] += np.outer(dproduct, m)
        dm = U[last].T @ dproduct
        dz_r = dm * seen * r * (1 - r)
        dseen_by = np.concatenate([dz_r, dz_z])
        dproduct = normalize_backward(
            w, "norm_hh", U[first] @ seen, dseen_by, gradients, first
        )
        dU[first] += np.outer(dproduct, seen)
        dseen = dm * r + U[first].T @ dproduct
    dz = np.concatenate([dz_r, dz_z, dz_n])
    gradients["bias"] += dz
    dproduct = normalize_backward(w, "norm_ih", w["weight_ih"] @ x, dz, gradients)
    gradients["weight_ih"] += np.outer(dproduct, x)
    return w["weight_ih"].T @ dproduct, dseen * mask, dh * z


def cell_forward(a, w, x, h_before, c_before, mask):
    """Gates, c and h after one step; `mask` is recurrent dropout's."""
    if a.cell.startswith("gru"):
        return gru_forward(a, w, x, h_before, c_before, mask)
    phi = PHI[a.activation]
    z = normalize(w, "norm_ih", w["weight_ih"] @ x) + w["bias"]
    if a.cell != "input_gated":
        z = z + normalize(w, "norm_hh", w["weight_hh"] @ (h_before * mask))
    if a.cell == "coupled":
        z_i, z_g, z_o = np.split(z, 3)
        i = sigmoid(z_i)
        f = 1 - i
    else:
        z_i, z_f, z_g, z_o = np.split(z, 4)
        if a.cell.startswith("peephole"):
            z_i = z_i + w["peephole"][0] * c_before
            z_f = z_f + w["peephole"][1] * c_before
        i, f = sigmoid(z_i), sigmoid(z_f)
    g = phi(z_g)
    c = f * c_before + i * g
    if a.cell == "peephole":
        z_o = z_o + w["peephole"][2] * c
    elif a.cell == "peephole_lagged":
        z_o = z_o + w["peephole"][2] * c_before
    o = sigmoid(z_o)
    phi_c = phi(normalize(w, "norm_c", c) + w.get("bias_c", 0))
    return {
        "x": x, "h_before": h_before, "c_before": c_before, "mask": mask,
        "i": i, "f": f, "g": g, "o": o, "c": c, "phi_c": phi_c, "h": o * phi_c,
    }  # fmt: skip


def cell_backward(a, w, step, dh, dc, gradients):
    """Add to the gradients of the layer; return dx, dh and dc of the step before."""
    if a.cell.startswith("gru"):
        return gru_backward(a, w, step, dh + dc, gradients)
    slope = SLOPE[a.activation]
    i, f, g, o, c, c_before, phi_c = (
        step[k] for k in ("i", "f", "g", "o", "c", "c_before", "phi_c")
    )
    dz_o = dh * phi_c * o * (1 - o)
    dphi = dh * o * slope(phi_c)
    if "bias_c" in w:
        gradients["bias_c"] += dphi
    dc = dc + normalize_backward(w, "norm_c", c, dphi, gradients)
    if a.cell == "peephole":
        dc = dc + dz_o * w["peephole"][2]
    di, df, dg = dc * g, dc * c_before, dc * i
    dc_before = dc * f
    dz_g = dg * slope(g)
    if a.cell == "coupled":
        dz_i = (di - df) * i * (1 - i)
        dz = np.concatenate([dz_i, dz_g, dz_o])
    else:
        dz_i, dz_f = di * i * (1 - i), df * f * (1 - f)
        dz = np.concatenate([dz_i, dz_f, dz_g, dz_o])
        if a.cell.startswith("peephole"):
            seen_by_o = c if a.cell == "peephole" else c_before
            gradients["peephole"] += [dz_i * c_before, dz_f * c_before, dz_o * seen_by_o]
            dc_before = dc_before + dz_i * w["peephole"][0] + dz_f * w["peephole"][1]
            if a.cell == "peephole_lagged":
                dc_before = dc_before + dz_o * w["peephole"][2]
    gradients["bias"] += dz
    x, seen = step["x"], step["h_before"] * step["mask"]
    dh_before = np.zeros_like(step["h_before"])
    if a.cell != "input_gated":
        U = w["weight_hh"]
        dproduct = normalize_backward(w, "norm_hh", U @ seen, dz, gradients)
        gradients["weight_hh"] += np.outer(dproduct, seen)
        dh_before = (U.T @ dproduct) * step["mask"]
    dproduct = normalize_backward(w, "norm_ih", w["weight_ih"] @ x, dz, gradients)
    gradients["weight_ih"] += np.outer(dproduct, x)
    return w["weight_ih"].T @ dproduct, dh_before, dc_before


# One layer in one direction


def layer_forward(a, w, xs, h, c, mask):
    steps = []
    for x in xs:
        step = cell_forward(a, w, x, h, c, mask)
        if "weight_hr" in w:  # h is a projection of what the cells put out
            step["m"] = step["h"]
            step["h"] = w["weight_hr"] @ step["m"]
        steps.append(step)
        h, c = step["h"], step["c"]
    return steps


def layer_backward(a, w, steps, dhs, gradients):
    """dx of every step from dL/dh of every step."""
    dxs = []
    dh_next, dc = np.zeros_like(dhs[0]), np.zeros_like(steps[0]["c"])
    for step, dh in zip(reversed(steps), reversed(dhs), strict=True):
        dh = dh + dh_next
        if "weight_hr" in w:
            gradients["weight_hr"] += np.outer(dh, step["m"])
            dh = w["weight_hr"].T @ dh
        dx, dh_next, dc = cell_backward(a, w, step, dh, dc, gradients)
        dxs.append(dx)
    return dxs[::-1]


# Dropout


def hash_round(x):
    x = (x + 0x9E3779B97F4A7C15) % 2**64
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) % 2**64
    return x ^ (x >> 31)


class Dropout:
    """The masks of one update: numbers to multiply with, 0 or 1 / (1 - rate). Those of weights
    and tokens are drawn from `parameter_update`."""

    def __init__(
        self,
        rate=0.0,
        recurrent_rate=0.0,
        seed=0,
        update=0,
        first_step=0,
        weight_rate=0.0,
        embedding_rate=0.0,
        parameter_update=0,
    ):
        self.first_step = first_step
        self.rate = rate
        self.recurrent_rate = recurrent_rate
        self.seed = seed
        self.update = update
        self.weight_rate = weight_rate
        self.embedding_rate = embedding_rate
        self.parameter_update = parameter_update

    def mask(self, rate, place, row, step, width, update=None):
        key = hash_round(self.seed)
        for part in (self.update if update is None else update, place, row, step):
            key = hash_round(key ^ part)
        bits = (key + np.arange(width, dtype=object) * (key >> 32 | 1)) % 2**32
        bits = ((bits ^ (bits >> 16)) * 0x85EBCA6B) % 2**32
        bits = ((bits ^ (bits >> 13)) * 0xC2B2AE35) % 2**32
        bits = bits ^ (bits >> 16)
        return (bits >= int(rate * 2**32)).astype(float) / (1 - rate)

    def inputs(self, layer, row, step, width):
        if self.rate == 0:
            return np.ones(width)
        return self.mask(self.rate, layer, row, self.first_step + step, width)

    def last_state(self, layer, row, width):
        """Of the head's inputs where there is one for each sequence."""
        return self.mask(self.rate, layer, row, 0, width) if self.rate else np.ones(width)

    def recurrent(self, direction, row, width):
        if self.recurrent_rate == 0:
            return np.ones(width)
        return self.mask(self.recurrent_rate, 128 + direction, row, 0, width)

    def token(self, token):
        if self.embedding_rate == 0:
            return 1.0
        return self.mask(self.embedding_rate, 384, int(token), 0, 1, self.parameter_update)[0]

    def weights(self, a, named):
        """The weights, those of the hidden state dropped; or their gradients."""
        names = [f"layers.{k}.{d}weight_hh" for k, _ in enumerate(a.hidden_layer_sizes)
                 for d in a.directions]  # fmt: skip
        dropped = dict(named)
        for place, name in enumerate(names, start=256):
            if self.weight_rate and name in named:
                n_rows, width = named[name].shape
                dropped[name] = named[name] * [
                    self.mask(self.weight_rate, place, row, 0, width, self.parameter_update)
                    for row in range(n_rows)
                ]
        return dropped


# Pooling


class Pool:
    """The steps of a sequence as one vector, after those that `state` tells of."""

    def __init__(self, a, weights, outputs, state):
        self.outputs, self.pooling = outputs, a.pooling
        T, D = outputs.shape
        if a.pooling == "mean":
            n, total = (0, 0) if state is None else (state[0], state[1:])
            self.shares = np.full(T, 1 / (n + T))
            self.features = (total + outputs.sum(axis=0)) / (n + T)
            self.state = np.array([n + T, *(total + outputs.sum(axis=0))])
        elif a.pooling == "max":
            n, before = (0, []) if state is None or state[0] == 0 else (state[0], [state[1:]])
            rows = np.array([*before, *outputs])
            self.features = rows.max(axis=0)
            self.found = rows.argmax(axis=0) - len(before)
            self.state = np.array([n + T, *self.features])
        else:
            self.A, self.v = weights["attention.weight"], weights["attention.query"]
            self.u = np.tanh(outputs @ self.A.T + weights["attention.bias"])
            scores = self.u @ self.v
            m, n, total = (
                (-np.inf, 0, np.zeros(D)) if state is None else (*state[:2], state[2:])
            )
            largest = max(m, scores.max())
            powers = np.exp(scores - largest)
            n = n * np.exp(m - largest) + powers.sum()
            total = total * np.exp(m - largest) + powers @ outputs
            self.shares = powers / n
            self.features = total / n
            self.state = np.array([largest, n, *total])

    def backward(self, dfeatures, gradients):
        """dL/d outputs."""
        if self.pooling == "max":
            return (self.found == np.arange(len(self.outputs))[:, None]) * dfeatures
        doutputs = np.outer(self.shares, dfeatures)
        if self.pooling == "attention":
            dscores = self.shares * ((self.outputs - self.features) @ dfeatures)
            dz = np.outer(dscores, self.v) * (1 - self.u**2)
            gradients["attention.query"] += dscores @ self.u
            gradients["attention.bias"] += dz.sum(axis=0)
            gradients["attention.weight"] += dz.T @ self.outputs
            doutputs += dz @ self.A
        return doutputs


# The whole network


def head_weight(a, named):
    """A view; of tied weights the first rows of the embedding."""
    return named["embedding.weight"][: a.n_scores] if a.tied else named["head.weight"]


def of_layer(named, layer, direction):
    prefix = f"layers.{layer}.{direction}"
    names = (name.removeprefix(prefix) for name in named if name.startswith(prefix))
    return {name: named[prefix + name] for name in names if "." not in name}


def forward(a, weights, x, state=None, row=0, dropout=None):
    """Scores of one sequence (n_steps, n_inputs) or of its tokens (n_steps,): an array
    (K,) of its last step or (n_steps, K); and what backward needs. The weights are those
    that the layers see: with weight dropout dropout.weights."""
    dropout = dropout or Dropout()
    n_steps = len(x)
    masks = {}
    if a.vocabulary:
        masks[0] = [
            dropout.inputs(0, row, t, a.n_inputs) * dropout.token(k) for t, k in enumerate(x)
        ]
        outputs = [
            weights["embedding.weight"][k] * m for k, m in zip(x, masks[0], strict=True)
        ]
    else:
        outputs = list(x)
    layers = []
    at = 0
    for k, n_units in enumerate(a.hidden_layer_sizes):
        if k > 0:
            width = len(outputs[0])
            masks[k] = [dropout.inputs(k, row, t, width) for t in range(n_steps)]
            outputs = [y * m for y, m in zip(outputs, masks[k], strict=True)]
        layers.append([])
        n_outputs = a.projection or n_units
        for d, direction in enumerate(a.directions):
            h, c = np.zeros(n_outputs), np.zeros(n_units)
            if state is not None:
                h = c = state[at : at + n_outputs]
                at += n_outputs
                if not a.cell.startswith("gru"):
                    c = state[at : at + n_units]
                    at += n_units
            mask = dropout.recurrent(k * len(a.directions) + d, row, n_outputs)
            inputs = outputs[::-1] if direction else outputs
            w = of_layer(weights, k, direction)
            layers[k].append(layer_forward(a, w, inputs, h, c, mask))
        hs = [[step["h"] for step in steps] for steps in layers[k]]
        last = np.concatenate([h[-1] for h in hs])
        if a.bidirectional:
            hs[1].reverse()
        outputs, inputs = [np.concatenate(both) for both in zip(*hs, strict=True)], outputs
        if a.residual and len(outputs[0]) == len(inputs[0]):
            # The backward direction ends at the first step.
            last = last + np.concatenate([inputs[-1][:n_outputs], inputs[0][n_outputs:]])
            outputs = [y + x for y, x in zip(outputs, inputs, strict=True)]
    top = len(layers)
    pool = None
    if a.per_step:
        masks[top] = [dropout.inputs(top, row, t, len(last)) for t in range(n_steps)]
        features = np.array(outputs) * masks[top]
    else:
        masks[top] = dropout.last_state(top, row, len(last))
        if a.pooling != "last":
            carried = None if state is None else state[at:]
            pool = Pool(a, weights, np.array(outputs), carried)
            last = pool.features
        features = last * masks[top]
    scores = features @ head_weight(a, weights).T + weights["head.bias"]
    return scores, (layers, features, masks, pool)


def loss_and_gradient(a, scores, y):
    """Of one vector of scores; the quantiles of an output follow each other. A target that is
    NaN counts nothing."""
    if a.loss == "softmax":
        p = np.exp(scores) / np.exp(scores).sum()
        label = int(y[0])
        return -np.log(p[label]), p - np.eye(len(scores))[label]
    y = np.repeat(y, len(scores) // len(y))
    share = np.where(np.isnan(y), 0, 1 if a.loss == "logistic" else 1 / len(y))
    losses, slopes = losses_and_slopes(a, scores, np.where(np.isnan(y), 0, y))
    return np.sum(share * losses), share * slopes


def losses_and_slopes(a, scores, y):
    """Of each score by itself."""
    r = scores - y
    if a.loss == "squared_error":
        return r**2 / 2, r
    if a.loss == "absolute_error":
        return np.abs(r), np.sign(r)
    if a.loss == "huber":
        small = np.abs(r) <= 1
        return np.where(small, r**2 / 2, np.abs(r) - 0.5), np.where(small, r, np.sign(r))
    if a.loss == "poisson":
        return np.exp(scores) - y * scores, np.exp(scores) - y
    if a.loss == "quantile":
        slopes = np.where(r > 0, 1 - np.array(a.levels), -np.array(a.levels))
        return slopes * r, slopes
    # -(y log p + (1 - y) log(1 - p)) of p = sigmoid(score)
    return np.logaddexp(0, scores) - y * scores, sigmoid(scores) - y


def log_sum_exp(x, axis=None):
    return np.logaddexp.reduce(x, axis=axis)


def chain_of(weights):
    return [weights[f"crf.{name}"] for name in ("transitions", "start", "end")]


def chain_loss(weights, scores, labels):
    """-log p(labels) of a CRF (Lafferty et al. 2001) by the forward algorithm."""
    transitions, start, end = chain_of(weights)
    alpha = start + scores[0]
    value = (start + scores[0])[labels[0]] + end[labels[-1]]
    for t in range(1, len(scores)):
        alpha = log_sum_exp(alpha[:, None] + transitions, axis=0) + scores[t]
        value += transitions[labels[t - 1], labels[t]] + scores[t, labels[t]]
    return log_sum_exp(alpha + end) - value


def chain_gradients(weights, scores, labels):
    """Of chain_loss: expected less observed counts of each label of a step, of each pair of
    labels, and of the first and last label."""
    transitions, start, end = chain_of(weights)
    T, K = scores.shape
    alphas, betas = np.empty((T, K)), np.empty((T, K))
    alphas[0], betas[-1] = start + scores[0], end
    for t in range(1, T):
        alphas[t] = log_sum_exp(alphas[t - 1][:, None] + transitions, axis=0) + scores[t]
        back = T - 1 - t
        betas[back] = log_sum_exp(transitions + scores[back + 1] + betas[back + 1], axis=1)
    total = log_sum_exp(alphas[-1] + end)
    dscores = np.exp(alphas + betas - total)
    dscores[np.arange(T), labels] -= 1
    dtransitions = np.zeros((K, K))
    for t in range(1, T):
        pairs = alphas[t - 1][:, None] + transitions + scores[t] + betas[t]
        dtransitions += np.exp(pairs - total)
        dtransitions[labels[t - 1], labels[t]] -= 1
    return dscores, dtransitions, dscores[0], dscores[-1]


def batch_loss(a, weights, xs, ys, sample_weights, states=None, dropout=None):
    """sum(weight * loss) / sum(weight), over sequences or over all of their steps; of a CRF
    the losses are those of sequences, the weights those of steps. Per step, ys and
    sample_weights hold an array for each sequence."""
    dropout = dropout or Dropout()
    weights = dropout.weights(a, weights)
    total = total_weight = 0
    for row, (x, y, s) in enumerate(zip(xs, ys, sample_weights, strict=True)):
        state = None if states is None else states[row]
        scores, _ = forward(a, weights, x, state, row, dropout)
        if a.loss == "crf":
            total += s[0] * chain_loss(weights, scores, y[:, 0].astype(int))
            total_weight += np.sum(s)
            continue
        for score, target, weight in per_score(a, scores, y, s):
            total += weight * loss_and_gradient(a, score, target)[0]
            total_weight += weight
    return total / total_weight


def per_score(a, scores, y, sample_weight):
    if a.per_step:
        return list(zip(scores, y, sample_weight, strict=True))
    return [(scores, y, sample_weight)]


def batch_gradients(a, weights, xs, ys, sample_weights, states=None, dropout=None):
    """Name -> gradient of batch_loss, by backpropagation through time; under "x" that of
    the inputs of each sequence."""
    dropout = dropout or Dropout()
    weights = dropout.weights(a, weights)
    total_weight = sum(np.sum(s) for s in sample_weights)
    gradients = {name: np.zeros_like(w) for name, w in weights.items()}
    input_gradients = []
    for row, (x, y, s) in enumerate(zip(xs, ys, sample_weights, strict=True)):
        state = None if states is None else states[row]
        scores, (layers, features, masks, pool) = forward(a, weights, x, state, row, dropout)
        if a.loss == "crf":
            dscores, *of_chain = chain_gradients(weights, scores, y[:, 0].astype(int))
            dscores = dscores * s[0] / total_weight
            for gradient, part in zip(chain_of(gradients), of_chain, strict=True):
                gradient += part * s[0] / total_weight
        else:
            dscores = np.array(
                [
                    loss_and_gradient(a, score, target)[1] * weight / total_weight
                    for score, target, weight in per_score(a, scores, y, s)
                ]
            )
        head_weight(a, gradients)[...] += dscores.T @ np.atleast_2d(features)
        gradients["head.bias"] += dscores.sum(axis=0)
        dfeatures = dscores @ head_weight(a, weights) * masks[len(layers)]
        dys = list(dfeatures) if a.per_step else None
        if pool:
            dys = list(pool.backward(dfeatures[0], gradients))
        for k in reversed(range(len(layers))):
            n_outputs = a.projection or a.hidden_layer_sizes[k]
            dxs = 0
            n_inputs = len(layers[k][0][0]["x"])
            if a.residual and n_inputs == n_outputs * len(a.directions):
                dxs = np.array(dys if dys is not None else np.zeros((len(x), n_inputs)))
                if dys is None:
                    dxs[-1, :n_outputs] += dfeatures[0][:n_outputs]
                    dxs[0, n_outputs:] += dfeatures[0][n_outputs:]
            for d, direction in enumerate(a.directions):
                columns = slice(d * n_outputs, (d + 1) * n_outputs)
                if dys is None:  # of the last step alone
                    dhs = [np.zeros(n_outputs) for _ in x]
                    dhs[-1] = dfeatures[0][columns]
                else:
                    dhs = [dy[columns] for dy in (dys[::-1] if direction else dys)]
                dx = np.array(
                    layer_backward(
                        a,
                        of_layer(weights, k, direction),
                        layers[k][d],
                        dhs,
                        of_layer(gradients, k, direction),
                    )
                )
                dxs = dxs + (dx[::-1] if direction else dx)
            dys = list(dxs * np.array(masks[k]) if k in masks else dxs)
        input_gradients.append(np.array(dys))
        if a.vocabulary:
            for token, dx in zip(x, dys, strict=True):
                gradients["embedding.weight"][token] += dx
    return {**dropout.weights(a, gradients), "x": input_gradients}
