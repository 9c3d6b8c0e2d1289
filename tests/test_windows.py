"""Windows of a series, each with a shift and a scale, against copies of what they hold; seams,
from which on less is known, and scores of the steps ahead of them."""

import numpy as np
import pytest
from problem import assert_close_to_largest, numerical_gradient

from cylstm import _engine
from cylstm._dataset import Dataset
from cylstm._fingerprint import digest
from cylstm._network import Architecture, Network
from cylstm._sequences import Sequences

F = 3
LENGTHS = {"equal": [12] * 30, "ragged": [12, 5, 9, 1, 12, 7] * 5}
N_AHEAD = 3


def make_windows(lengths):
    """Each starts a step after the one before, but some with it; the series is far from 0 and
    changes by little."""
    rng = np.random.default_rng(0)
    lengths = np.array(lengths, dtype=np.int64)
    values = 1e9 + rng.normal(size=(len(lengths) + max(lengths), F)).cumsum(axis=0)
    starts = np.arange(len(lengths), dtype=np.int64)
    starts[1:3] = starts[0]
    shift = values[starts] + rng.normal(size=(len(lengths), F))
    scale = rng.uniform(0.2, 2, size=shift.shape)
    return Sequences(values, starts, lengths, shift=shift, scale=scale)


def with_seams(windows):
    """As far from their ends as there are steps ahead; some nearer, where a window has fewer
    of these. The second feature goes on."""
    windows.seams = np.maximum(windows.lengths - N_AHEAD, 0)
    windows.seams[1::4] = windows.lengths[1::4] - 1
    windows.beyond = np.array([0.0, np.nan, 1.5])
    return windows


def copies_of(windows, dtype):
    """What a network reads of them, one after the other."""
    of_window = np.repeat(np.arange(len(windows)), windows.lengths)
    read = (windows.values[windows.real_rows()] - windows.shift[of_window]) * windows.scale[
        of_window
    ]
    starts = np.cumsum(windows.lengths) - windows.lengths
    if windows.seams is not None:
        after = np.arange(len(read)) - starts[of_window] >= windows.seams[of_window]
        for j in np.flatnonzero(~np.isnan(windows.beyond)):
            read[after, j] = windows.beyond[j]
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
@pytest.mark.parametrize("change", [lambda w: w, with_seams], ids=["no seams", "seams"])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_windows_have_the_bits_of_copies(
    dtype, lengths, change, per_step, products, instruction_set
):
    windows = change(make_windows(LENGTHS[lengths]))
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
    windows = with_seams(make_windows(LENGTHS["ragged"]))
    assert_windows_are_their_copies(make_network(**architecture), windows)


def test_windows_have_the_bits_of_copies_in_teams(teams):
    windows = make_windows([12] * 3)
    assert_windows_are_their_copies(make_network(sizes=(150,)), windows, n_members=2)


def test_windows_have_the_bits_of_copies_in_int8(instruction_set):
    windows = make_windows(LENGTHS["ragged"])
    network = make_network().copy(weights="int8")
    expected = predict(network, copies_of(windows, "float32"), 2)
    assert predict(network, windows, 2) == expected


@pytest.mark.parametrize("change", [lambda w: w, with_seams], ids=["no seams", "seams"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_chunks_of_windows_have_the_bits_of_chunks_of_copies(dtype, change):
    network = make_network(dtype)
    batch = np.array([6, 4, 2, 0])
    windows = change(make_windows(LENGTHS["ragged"])).take(batch)
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


def steps_ahead(windows):
    """(n_windows, N_AHEAD) rows of the copies, and which there are."""
    steps = windows.seams[:, None] + np.arange(N_AHEAD)
    there = steps < windows.lengths[:, None]
    return np.where(there, copies_of(windows, "float64").starts[:, None] + steps, 0), there


AHEAD = [
    {},
    {"dtype": "float64", "sizes": (5, 4)},
    {"bidirectional": True, "residual": True, "sizes": (F, F)},
    {"cell": "gru", "layer_norm": True},
    {"projection": 5, "residual": True, "sizes": (9, 9)},
    {"sizes": (150,)},
]


@pytest.mark.parametrize("architecture", AHEAD)
@pytest.mark.parametrize("lengths", [*LENGTHS, "few"])
def test_scores_ahead_are_those_of_a_network_per_step(
    architecture, lengths, teams, instruction_set
):
    windows = with_seams(make_windows(LENGTHS.get(lengths, [12] * 3)))
    network = make_network(n_ahead=N_AHEAD, **architecture)
    per_step = make_network(per_step=True, **architecture)
    per_step.parameters[:] = network.parameters
    rows, there = steps_ahead(windows)
    of_steps = per_step.forward(copies_of(windows, network.dtype), 1, features=True)
    for n_threads in (1, 2):
        found = network.forward(windows, n_threads, features=True)
        for ahead, expected in zip(found, of_steps, strict=True):
            ahead = ahead.reshape(len(windows), N_AHEAD, -1)
            assert ahead[there].tobytes() == expected[rows[there]].tobytes()
    alone = network.forward(windows.take([1]), 1)[0]
    assert alone.tobytes() == found[0][[1]].tobytes()


@pytest.mark.parametrize("architecture", AHEAD)
@pytest.mark.parametrize("lengths", ["ragged", "few"])
def test_gradients_ahead_are_those_of_a_network_per_step(
    architecture, lengths, teams, products
):
    """Some targets are missing: of steps that are not there, and of others."""
    architecture = {"dtype": "float64"} | architecture
    windows = with_seams(make_windows(LENGTHS.get(lengths, [12] * 3)))
    network = make_network(n_ahead=N_AHEAD, **architecture)
    per_step = make_network(per_step=True, **architecture)
    per_step.parameters[:] = network.parameters
    rows, there = steps_ahead(windows)
    rng = np.random.default_rng(1)
    targets = rng.normal(size=(len(windows), N_AHEAD, 2))
    targets[~there] = targets[::3, 0, 1] = np.nan
    weights = rng.uniform(0.5, 2, size=len(windows))
    copies = copies_of(windows, "float64")
    of_steps, of_weights = np.zeros((copies.n_rows, 2)), np.zeros(copies.n_rows)
    of_steps[rows[there]] = targets[there]
    of_weights[rows[there]] = np.repeat(weights, there.sum(axis=1))
    found = [network.new_gradients(0) for _ in range(3)]
    batch = np.arange(len(windows))
    losses = [
        network.loss_and_gradients(
            _engine.Workspace(),
            windows,
            targets.reshape(len(windows), -1),
            weights,
            batch,
            gradients,
            n_threads,
        )
        for gradients, n_threads in zip(found[:2], (1, 2), strict=True)
    ]
    assert losses[0] == losses[1]
    assert found[0].flat.tobytes() == found[1].flat.tobytes()
    loss, total = per_step.loss_and_gradients(
        _engine.Workspace(), copies, of_steps, of_weights, batch, found[2], 1
    )
    # Steps that are not there count as much as if they were.
    share = total / (N_AHEAD * weights.sum())
    assert losses[0][0] == pytest.approx(share * loss)
    assert_close_to_largest(found[0].flat, share * found[2].flat, 1e-10, "gradients")


def test_gradients_ahead_with_dropout():
    windows = with_seams(make_windows([6, 4, 7]))
    network = make_network("float64", sizes=(4, 3), n_ahead=N_AHEAD)
    rng = np.random.default_rng(1)
    gradients, workspace = network.new_gradients(0), _engine.Workspace()
    targets, weights = rng.normal(size=(3, 2 * N_AHEAD)), np.ones(3)

    def loss():
        return network.loss_and_gradients(
            workspace,
            windows,
            targets,
            weights,
            np.arange(3),
            gradients,
            1,
            dropout=0.4,
            recurrent_dropout=0.2,
            seed=3,
        )[0]

    loss()
    analytical = gradients.flat.copy()
    numerical = numerical_gradient(loss, network.parameters)
    assert_close_to_largest(analytical, numerical, 1e-6, "gradients")


def test_dropout_ahead_is_drawn_for_each_step():
    windows = with_seams(make_windows([12] * 4))
    network = make_network(n_ahead=N_AHEAD)
    _, features = network.forward(windows, 1, features=True, dropout=0.5, seed=1)
    masks = {step.tobytes() for row in features.reshape(4, N_AHEAD, -1) for step in row == 0}
    # A mask for each step; zeros where a window has fewer.
    assert len(masks) == 3 * N_AHEAD + 1 + 1


def test_scores_ahead_of_more_steps_than_prediction_holds_at_a_time():
    windows = with_seams(make_windows([700, 3, 520, 515]))
    network, per_step = make_network(n_ahead=N_AHEAD), make_network(per_step=True)
    rows, there = steps_ahead(windows)
    scores = network.forward(windows, 2)[0].reshape(4, N_AHEAD, -1)
    expected = per_step.forward(copies_of(windows, "float32"), 2)[0]
    assert scores[there].tobytes() == expected[rows[there]].tobytes()


def test_nothing_beyond_the_seams_is_read_but_what_goes_on():
    windows = with_seams(make_windows([12]))
    network = make_network(n_ahead=N_AHEAD)
    expected = network.forward(windows, 1)[0]
    for value in (np.nan, np.inf, -1e300):
        windows.values[windows.seams[0] :, [0, 2]] = value
        assert network.forward(windows, 1)[0].tobytes() == expected.tobytes()
    windows.values[windows.seams[0] + 1, 1] += 1
    found = network.forward(windows, 1)[0].reshape(N_AHEAD, 2)
    assert ((found != expected.reshape(N_AHEAD, 2)).all(axis=1) == [0, 1, 1]).all()


def test_a_network_with_scores_ahead_needs_seams():
    network = make_network(n_ahead=N_AHEAD)
    with pytest.raises(ValueError, match="needs the seams"):
        network.forward(make_windows([12]), 1)
    with pytest.raises(ValueError, match="no stream"):
        network.stream(1)


@pytest.mark.parametrize("other", [{"per_step": True}, {"pooling": "mean"}], ids=str)
def test_scores_ahead_go_with_no_others(other):
    with pytest.raises(ValueError, match="n_ahead goes with neither per_step nor pooling"):
        make_network(n_ahead=N_AHEAD, **other)


def test_steps_of_another_width_are_refused():
    """Memory beyond them would be read."""
    network = make_network()
    steps = np.zeros((4, network.architecture.n_inputs + 1), np.float32)
    sequences = Sequences(steps, np.zeros(1, np.int64), np.full(1, 4))
    with pytest.raises(ValueError, match="Steps have 4 numbers, not 3"):
        network.forward(sequences, 1)


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
    "seams alone": ({"seams": np.ones(5, np.int64)}, "or neither"),
    "only what is beyond": ({"beyond": np.ones(F)}, "or neither"),
    "seams without a scale": (
        {"shift": None, "scale": None, "values": None, "seams": np.ones(5, np.int64)},
        "with a shift|NoneType",
    ),
    "too few seams": (
        {"seams": np.ones(4, np.int64), "beyond": np.ones(F)},
        "seams has length 4 .* expected 5 sequences and 3 features",
    ),
    "too much beyond": (
        {"seams": np.ones(5, np.int64), "beyond": np.ones(F + 1)},
        "beyond has length 4; expected 5 sequences and 3 features",
    ),
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


def test_data_are_told_apart_by_shift_scale_and_seams():
    windows = with_seams(make_windows(LENGTHS["ragged"]))
    data = Dataset(windows, np.zeros((30, 1)), np.ones(30))
    before = digest(data.arrays()["X"])
    for array in (windows.shift, windows.scale, windows.seams, windows.beyond):
        array.flat[-1] += 1
        assert digest(data.arrays()["X"]) != before
        before = digest(data.arrays()["X"])
    part = data.take(np.array([4, 2])).sequences
    np.testing.assert_array_equal(part.shift, windows.shift[[4, 2]])
    np.testing.assert_array_equal(part.scale, windows.scale[[4, 2]])
    np.testing.assert_array_equal(part.seams, windows.seams[[4, 2]])
    assert part.beyond is windows.beyond
