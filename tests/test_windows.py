"""Windows of a series, each with a shift and a scale, against copies of what they hold."""

import numpy as np
import pytest

from cylstm import _engine
from cylstm._dataset import Dataset
from cylstm._fingerprint import digest
from cylstm._network import Architecture, Network
from cylstm._sequences import Sequences

F = 3
LENGTHS = {"equal": [12] * 30, "ragged": [12, 5, 9, 1, 12, 7] * 5}


def make_windows(lengths):
    """Each starts a step after the one before, but some with it; the series is far from 0 and
    changes by little."""
    rng = np.random.default_rng(0)
    lengths = np.array(lengths, dtype=np.int64)
    values = 1e9 + rng.normal(size=(len(lengths) + 12, F)).cumsum(axis=0)
    starts = np.arange(len(lengths), dtype=np.int64)
    starts[1:3] = starts[0]
    shift = values[starts] + rng.normal(size=(len(lengths), F))
    scale = rng.uniform(0.2, 2, size=shift.shape)
    return Sequences(values, starts, lengths, shift=shift, scale=scale)


def copies_of(windows, dtype):
    """What a network reads of them, one after the other."""
    of_window = np.repeat(np.arange(len(windows)), windows.lengths)
    read = (windows.values[windows.real_rows()] - windows.shift[of_window]) * windows.scale[
        of_window
    ]
    starts = np.cumsum(windows.lengths) - windows.lengths
    return Sequences(read.astype(dtype), starts, windows.lengths)


def make_network(dtype="float32", sizes=(32, 9), **architecture):
    network = Network(Architecture(F, sizes, 2, "squared_error", dtype, **architecture))
    network.initialize(np.random.RandomState(0))
    return network


def learn(network, sequences, targets, weights, batch, n_threads, **options):
    """Bits of the loss and of the gradients, and how many threads were in a team."""
    gradients, workspace = network.new_gradients(0), _engine.Workspace()
    loss, _ = network.loss_and_gradients(
        workspace, sequences, targets, weights, batch, gradients, n_threads, **options
    )
    assert gradients.flat.any()
    return (loss, gradients.flat.tobytes()), workspace.n_members


def predict(network, sequences, n_threads):
    """Bits of scores and features, of all sequences or of their steps, and of last states."""
    states = np.empty((len(sequences), network.architecture.n_state), network.dtype)
    outputs = network.forward(sequences, n_threads, features=True, state_out=states)
    rows = sequences.real_rows() if network.architecture.per_step else slice(None)
    outputs = [*(output[rows] for output in outputs), states]
    assert all(np.isfinite(output).all() for output in outputs)
    return [output.tobytes() for output in outputs]


def assert_windows_are_their_copies(network, windows, n_members=1, **options):
    rng = np.random.default_rng(1)
    copies = copies_of(windows, network.dtype)
    per_step = network.architecture.per_step
    n = windows.n_rows if per_step else len(windows)
    rows = windows.real_rows() if per_step else slice(None)  # of the copies
    targets = rng.normal(size=(n, 2)).astype(network.dtype)
    weights = rng.uniform(0.5, 2, size=n).astype(network.dtype)
    batch = rng.permutation(len(windows))
    for n_threads in (1, 2):
        bits, members = learn(network, windows, targets, weights, batch, n_threads, **options)
        expected, _ = learn(
            network, copies, targets[rows], weights[rows], batch, n_threads, **options
        )
        assert bits == expected
        assert members == (n_members if n_threads == 2 else 1)
        # Per step, windows write to rows that others share.
        alone = [[k] for k in batch] if per_step else [batch]
        for some in alone:
            bits = predict(network, windows.take(some), n_threads)
            assert bits == predict(network, copies.take(some), n_threads)


@pytest.mark.parametrize("per_step", [False, True], ids=["last step", "every step"])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_windows_have_the_bits_of_copies(dtype, lengths, per_step, products, instruction_set):
    windows = make_windows(LENGTHS[lengths])
    for rate in (0, 0.3):
        assert_windows_are_their_copies(
            make_network(dtype, per_step=per_step),
            windows,
            dropout=rate,
            recurrent_dropout=rate,
            weight_dropout=rate,
            seed=3,
        )


@pytest.mark.parametrize(
    "architecture",
    [
        {"bidirectional": True},
        {"cell": "gru", "layer_norm": True},
        {"projection": 5, "pooling": "attention"},
        {"sizes": (3, 3), "residual": True},
    ],
)
def test_windows_have_the_bits_of_copies_in_any_network(architecture):
    windows = make_windows(LENGTHS["ragged"])
    assert_windows_are_their_copies(make_network(**architecture), windows)


def test_windows_have_the_bits_of_copies_in_teams(teams):
    windows = make_windows([12] * 3)
    assert_windows_are_their_copies(make_network(sizes=(150,)), windows, n_members=2)


def test_windows_have_the_bits_of_copies_in_int8(instruction_set):
    windows = make_windows(LENGTHS["ragged"])
    network = make_network().copy(weights="int8")
    expected = predict(network, copies_of(windows, "float32"), 2)
    assert predict(network, windows, 2) == expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_chunks_of_windows_have_the_bits_of_chunks_of_copies(dtype):
    network = make_network(dtype)
    batch = np.array([6, 4, 2, 0])
    windows = make_windows(LENGTHS["ragged"]).take(batch)
    both = windows, copies_of(windows, dtype)
    targets = np.random.default_rng(1).normal(size=(4, 2)).astype(dtype)
    states = [np.zeros((4, network.architecture.n_state), dtype) for _ in both]
    for first in (0, 3):
        bits = [
            learn(
                network,
                sequences.chunk(first, 3),
                targets,
                np.ones(4, dtype),
                np.arange(4),
                2,
                state_in=state.copy(),
                state_out=state,
                first_step=first,
                dropout=0.3,
            )
            for sequences, state in zip(both, states, strict=True)
        ]
        assert bits[0] == bits[1]
        np.testing.assert_array_equal(*states)


def test_a_series_far_from_0_keeps_its_digits():
    windows = make_windows(LENGTHS["ragged"])
    windows.values[:] = np.rint(windows.values)
    windows.shift[:] = np.rint(windows.shift)
    near = Sequences(
        windows.values - 1e9,
        windows.starts,
        windows.lengths,
        shift=windows.shift - 1e9,
        scale=windows.scale,
    )
    network = make_network("float32")
    assert predict(network, windows, 1) == predict(network, near, 1)


def test_sequences_without_shift_and_scale_have_the_bits_of_those_with_0_and_1():
    plain = copies_of(make_windows(LENGTHS["ragged"]), "float64")
    zeros, ones = np.zeros((30, F)), np.ones((30, F))
    scaled = Sequences(plain.values, plain.starts, plain.lengths, shift=zeros, scale=ones)
    network = make_network("float64")
    assert predict(network, scaled, 1) == predict(network, plain, 1)


WRONG = {
    "only a shift": ({"scale": None}, "a shift and a scale, or neither"),
    "only a scale": ({"shift": None}, "a shift and a scale, or neither"),
    "too few": ({"scale": np.ones((4, F))}, r"scale has shape \(4, 3\); expected .*\(5, 3\)"),
    "too narrow": ({"shift": np.ones((5, 2))}, r"shift has shape \(5, 2\) and"),
    "float32 values": ({"values": np.ones((17, F), np.float32)}, "Buffer dtype mismatch"),
    "float32 shift": ({"shift": np.ones((5, F), np.float32)}, "Buffer dtype mismatch"),
    "float32 scale": ({"scale": np.ones((5, F), np.float32)}, "Buffer dtype mismatch"),
    "Fortran order": ({"shift": np.ones((F, 5)).T}, "not C-contiguous"),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_wrong_arrays_are_refused(change, message, dtype):
    windows = make_windows([3] * 5)
    vars(windows).update(change)
    network = make_network(dtype)
    with pytest.raises(ValueError, match=message):
        network.forward(windows, 1)
    with pytest.raises(ValueError, match=message):
        learn(network, windows, np.ones((5, 2), dtype), np.ones(5, dtype), np.arange(5), 1)


def test_tokens_have_no_shift_and_no_scale():
    tokens = make_windows([3] * 5)
    tokens.values, tokens.tokens = None, np.zeros(17, np.int64)
    with pytest.raises(ValueError, match="Tokens have no shift and no scale"):
        make_network(vocabulary=4).forward(tokens, 1)


def test_data_are_told_apart_by_shift_and_scale():
    windows = make_windows(LENGTHS["ragged"])
    data = Dataset(windows, np.zeros((30, 1)), np.ones(30))
    before = digest(data.arrays()["X"])
    for array in (windows.shift, windows.scale):
        array[-1, -1] += 1e-6
        assert digest(data.arrays()["X"]) != before
        before = digest(data.arrays()["X"])
    part = data.take(np.array([4, 2])).sequences
    np.testing.assert_array_equal(part.shift, windows.shift[[4, 2]])
    np.testing.assert_array_equal(part.scale, windows.scale[[4, 2]])
