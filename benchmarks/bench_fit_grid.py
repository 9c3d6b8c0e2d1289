"""Time per mini-batch of fit over a grid of shapes: cylstm against skorch or Keras.

    python benchmarks/bench_fit_grid.py --peer skorch [--threads 2] [--repeats 3]

For each shape, a network of one LSTM layer and a linear head on its last hidden state is
trained with Adam on a few batches of noise. The time per mini-batch is derived from the
difference between two fits with different numbers of epochs, which excludes one-off costs.
Medians.
"""

import argparse
import os
import statistics
import time

import numpy as np
from bench_step import GRID
from measure import geometric_mean

from cylstm import LSTMRegressor


def cylstm_fit(B, n_inputs, n_units, n_threads):
    def fit(X, y, n_epochs):
        LSTMRegressor(
            n_units,
            batch_size=B,
            max_iter=n_epochs,
            n_iter_no_change=n_epochs + 1,
            n_jobs=n_threads,
        ).fit(X, y)

    return fit


def skorch_fit(B, n_inputs, n_units, n_threads):
    import torch
    from bench_fit import last_state_lstm
    from skorch import NeuralNetRegressor

    torch.set_num_threads(n_threads)

    def fit(X, y, n_epochs):
        NeuralNetRegressor(
            last_state_lstm(n_inputs, n_units, 1),
            max_epochs=n_epochs,
            batch_size=B,
            lr=1e-3,
            optimizer=torch.optim.Adam,
            iterator_train__shuffle=True,
            train_split=None,
            verbose=0,
        ).fit(X, y[:, None])

    return fit


def keras_fit(B, n_inputs, n_units, n_threads):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow as tf

    if not tf.config.threading.get_intra_op_parallelism_threads():
        tf.config.threading.set_intra_op_parallelism_threads(n_threads)
        tf.config.threading.set_inter_op_parallelism_threads(n_threads)
    # One model for all fits, so that building it and tracing its graph are not timed.
    model = keras.Sequential(
        [keras.Input((None, n_inputs)), keras.layers.LSTM(n_units), keras.layers.Dense(1)]
    )
    model.compile("adam", "mse")

    def fit(X, y, n_epochs):
        model.fit(X, y, batch_size=B, epochs=n_epochs, verbose=0)

    return fit


PEERS = {"skorch": skorch_fit, "keras": keras_fit}


def per_batch(fit, X, y, n_batches, n_epochs):
    """Microseconds per mini-batch."""
    times = []
    for epochs in (1, 1 + n_epochs):
        start = time.perf_counter()
        fit(X, y, epochs)
        times.append(time.perf_counter() - start)
    return (times[1] - times[0]) / (n_epochs * n_batches) * 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", choices=PEERS, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(f"| B, T, I, H | cylstm us | {arguments.peer} us | ratio |\n|---|---|---|---|")
    ratios = []
    for B, T, n_inputs, n_units in GRID:
        n_batches = max(4, 64 // B)
        rng = np.random.default_rng(0)
        X = rng.normal(size=(n_batches * B, T, n_inputs)).astype(np.float32)
        y = rng.normal(size=len(X)).astype(np.float32)
        fits = [
            make(B, n_inputs, n_units, arguments.threads)
            for make in (cylstm_fit, PEERS[arguments.peer])
        ]
        # So many epochs that each fit takes a few tenths of a second.
        n_epochs = [max(2, int(3e5 / (n_batches * scale))) for scale in (100 + B * T, 3e4)]
        for fit in fits:
            fit(X, y, 1)
        times = [[], []]
        for _ in range(arguments.repeats):
            for fit, epochs, of_fit in zip(fits, n_epochs, times, strict=True):
                time.sleep(0.05)  # idle threads of the other library still spin
                of_fit.append(per_batch(fit, X, y, n_batches, epochs))
        own, other = map(statistics.median, times)
        ratios.append(other / own)
        print(
            f"| {B}, {T}, {n_inputs}, {n_units} "
            f"| {own:.0f} | {other:.0f} | {ratios[-1]:.1f} |",
            flush=True,
        )
    print(f"| geometric mean | | | {geometric_mean(ratios):.1f} |")


if __name__ == "__main__":
    main()
