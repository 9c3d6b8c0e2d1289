"""The kernels at every instruction set, with our own products and with BLAS, on one thread and
in teams."""

import numpy as np
import pytest
from problem import Problem, assert_close_to_largest, assert_same_bits

from cylstm import _engine, _plan, _simd, _updates
from cylstm._network import Architecture, Network
from cylstm._sequences import Sequences, ragged_to_sequences

# Wide enough for whole vectors of every instruction set with some units left over, and
# for several shards.
WIDE = {"sizes": (37, 19), "lengths": [7, 3, 5, 1, 9] * 11, "loss": "softmax"}


pytestmark = pytest.mark.usefixtures("instruction_set")


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("cell", _plan.CELLS)
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    # float32: some hundred roundings of 6e-8 add up along a gradient.
    [("float64", 1e-10), ("float32", 1e-5)],
)
def test_wide_layers_and_several_shards_equal_the_oracle(
    dtype, tolerance, cell, activation, products
):
    problem = Problem(**WIDE, dtype=dtype, cell=cell, activation=activation)
    # So that relu, which is not bounded, neither dies nor explodes.
    problem.network.parameters[:] *= 0.3
    problem.check_oracle(tolerance, n_threads=2)


@pytest.mark.parametrize("per_step", [False, True], ids=["last step", "every step"])
@pytest.mark.parametrize("cell", _plan.CELLS)
def test_gradients_with_blas(cell, per_step, monkeypatch):
    monkeypatch.setenv("CYLSTM_PRODUCTS", "blas")
    problem = Problem((3, 2), [4, 9, 1, 6], "squared_error", cell=cell, per_step=per_step)
    problem.check_central_differences()
    problem.check_oracle()


# One unit more and one less than a block of 16 and a panel of 64; tiles of 1 to 6 rows.
@pytest.mark.parametrize("n_units", [1, 15, 16, 17, 63, 64, 65, 100])
@pytest.mark.parametrize("n_inputs", [1, 33])
@pytest.mark.parametrize("n_rows", [1, 2, 3, 4, 5, 6, 23])
def test_packed_products_equal_blas(n_rows, n_inputs, n_units, monkeypatch):
    results = []
    for products in ("packed", "blas"):
        monkeypatch.setenv("CYLSTM_PRODUCTS", products)
        problem = Problem(
            (n_units, 5),
            [4, 6] * (n_rows // 2) + [5] * (n_rows % 2),
            "squared_error",
            n_inputs=n_inputs,
        )
        problem.network.parameters[:] *= 0.3
        loss, gradients = problem.loss_and_gradients()
        results.append((loss, problem.named(gradients)))
    (loss, named), (expected_loss, expected) = results
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    for name in expected:
        # float64: sums of some hundred numbers in another order.
        assert_close_to_largest(named[name], expected[name], 1e-12, name)


def test_packed_products_of_long_sequences_equal_blas(monkeypatch):
    # More rows than the products take at once.
    results = []
    for products in ("packed", "blas"):
        monkeypatch.setenv("CYLSTM_PRODUCTS", products)
        problem = Problem((20, 17), [150, 90, 140], "squared_error", vocabulary=7)
        problem.network.parameters[:] *= 0.3
        results.append(problem.named(problem.loss_and_gradients()[1]))
    for name, expected in results[1].items():
        assert_close_to_largest(results[0][name], expected, 1e-12, name)


def activations(dtype, x):
    """sigmoid(x) and tanh(x) of the kernels: gates of a unit that sees x alone."""
    network = Network(Architecture(1, [1], 1, "squared_error", dtype))
    network.weights["layers.0.weight_ih"][:] = 1
    sequences = Sequences.from_equal_lengths(x.astype(dtype).reshape(-1, 1, 1))
    traces = [np.empty((len(x), 6), dtype)]
    network.forward(sequences, 2, scores=False, traces=traces)
    return traces[0][:, 0], traces[0][:, 2]


def in_ulps(actual, exact):
    """Distance in units of the last place of the correctly rounded float32."""
    correct = exact.astype(np.float32)
    return np.abs(actual.view(np.int32).astype(np.int64) - correct.view(np.int32))


def test_activations_over_all_of_float32():
    # Every 499th positive number, prime to the spacing of powers of two; and its negative.
    bits = np.arange(0, 0x7F800000, 499, dtype=np.int64).astype(np.int32)
    x = bits.view(np.float32)
    sigmoid, tanh = activations("float32", x)
    exact = x.astype(np.float64)
    # Below the normal numbers nothing is promised but that tanh(x) is about x.
    normal = x >= np.finfo(np.float32).tiny
    assert in_ulps(tanh, np.tanh(exact))[normal].max() <= 4
    assert np.abs(tanh - exact)[~normal].max() <= np.finfo(np.float32).tiny
    assert np.abs(sigmoid - 1 / (1 + np.exp(-exact))).max() <= 2**-22
    negative_sigmoid, negative_tanh = activations("float32", -x)
    np.testing.assert_array_equal(negative_tanh, -tanh)
    with np.errstate(over="ignore"):
        assert np.abs(negative_sigmoid - 1 / (1 + np.exp(exact))).max() <= 2**-22


def test_activations_in_float64():
    x = np.concatenate([np.linspace(-40, 40, 100_001), 10.0 ** np.arange(-300, 300)])
    sigmoid, tanh = activations("float64", x)
    np.testing.assert_allclose(tanh, np.tanh(x), rtol=1e-15)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(sigmoid, 1 / (1 + np.exp(-x)), rtol=0, atol=3e-16)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations_saturate_and_keep_nan(dtype):
    sigmoid, tanh = activations(dtype, np.array([np.inf, -np.inf, 100, -100, np.nan]))
    np.testing.assert_array_equal(sigmoid, [1, 0, 1, 0, np.nan])
    np.testing.assert_array_equal(tanh, [1, -1, 1, -1, np.nan])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("lengths", ["equal", "ragged"])
def test_bits_do_not_depend_on_threads(lengths, dtype):
    problem = Problem(
        (32, 16),
        {"equal": [20] * 150, "ragged": list(range(1, 31)) * 5}[lengths],
        "squared_error",
        dtype=dtype,
        cell="peephole",
        bidirectional=True,
        per_step=True,
        vocabulary=50,
        n_inputs=12,
        dropout=0.2,
        recurrent_dropout=0.2,
        weight_dropout=0.3,
        embedding_dropout=0.1,
    )
    assert_same_bits(problem)


# More rows of recurrent weights than a thread drops at a time, and units left over.
@pytest.mark.parametrize("cell", [*_plan.CELLS])
def test_dropped_weights_and_tokens_equal_the_oracle(cell, products):
    problem = Problem(
        (37, 19),
        [7, 3, 5, 1, 9] * 3,
        "squared_error",
        cell=cell,
        bidirectional=True,
        vocabulary=9,
        weight_dropout=0.5,
        embedding_dropout=0.4,
    )
    problem.network.parameters[:] *= 0.3
    problem.check_oracle(n_threads=3)


def test_bits_where_one_thread_is_done_long_before_the_other():
    assert_same_bits(Problem((40,), [400] + [1] * 8, "squared_error"))


def test_teams_have_no_more_threads_than_the_machine(teams):
    problem = Problem((130,), [60], "squared_error")
    problem.loss_and_gradients(n_threads=2)
    assert problem.workspace.n_members == 2
    _engine.allow_team_threads(1)
    problem.loss_and_gradients(n_threads=2)
    assert problem.workspace.n_members == 1


@pytest.mark.skipif(not _engine.HAS_OPENMP, reason="built without OpenMP")
def test_a_batch_has_the_same_gradients_in_teams_and_without(teams):
    problem = Problem((130,), [60], "squared_error")
    members, gradients = [], []
    for used in (1, 0):
        _engine.allow_team_threads(2, used)
        gradients.append(problem.loss_and_gradients(n_threads=2)[1].used.tobytes())
        members.append(problem.workspace.n_members)
    assert members == [2, 1]
    assert len(set(gradients)) == 1


@pytest.mark.parametrize("cell", _plan.CELLS)
def test_normalized_rows_do_not_depend_on_threads(cell, teams):
    recurrent = 0.0 if cell == "input_gated" else 0.3
    options = {"cell": cell, "recurrent_dropout": recurrent, "layer_norm": True}
    for lengths in ([60, 31, 60, 7], [40] * 13):  # members share rows and units
        problem = Problem((130, 90), lengths, "squared_error", n_inputs=120, **options)
        assert_same_bits(problem)
        problem.loss_and_gradients(n_threads=4)
        assert problem.workspace.n_members > 1
        if len(lengths) == 4:
            problem.check_oracle(n_threads=4)
    lengths = list(range(1, 31)) * 5
    assert_same_bits(
        Problem((32, 16), lengths, "squared_error", dtype="float32", dropout=0.2, **options)
    )


# So few rows that the threads of a team share the units, and work enough for that.
@pytest.mark.parametrize("per_step", [False, True], ids=["last step", "every step"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
@pytest.mark.parametrize("cell", _plan.CELLS)
@pytest.mark.parametrize("lengths", [[60], [60, 31, 60, 7], [40] * 13], ids=len)
def test_teams_do_not_change_the_bits(lengths, cell, bidirectional, per_step, teams):
    problem = Problem(
        (130, 90),
        lengths,
        "squared_error",
        cell=cell,
        bidirectional=bidirectional,
        per_step=per_step,
        n_inputs=120,
    )
    problem.network.parameters[:] *= 0.2
    assert_same_bits(problem)
    problem.loss_and_gradients(n_threads=4)
    assert problem.workspace.n_members > 1


@pytest.mark.parametrize("n_scores", [1, 5, 130])
@pytest.mark.parametrize("per_step", [False, True], ids=["last step", "every step"])
def test_teams_share_heads_and_draw_the_same_masks(per_step, n_scores, teams):
    dropout = {"dropout": 0.2, "recurrent_dropout": 0.3, "weight_dropout": 0.2}
    problem = Problem(
        (130, 90),
        [60, 31, 60, 7],
        "squared_error",
        per_step=per_step,
        n_scores=n_scores,
        bidirectional=True,
        **dropout,
    )
    problem.network.parameters[:] *= 0.2
    assert_same_bits(problem)
    problem.loss_and_gradients(n_threads=4)
    assert problem.workspace.n_members > 1


@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
@pytest.mark.parametrize("pooling", _plan.POOLINGS)
def test_teams_and_shards_pool_the_same_bits(pooling, bidirectional, teams):
    architecture = {"pooling": pooling, "bidirectional": bidirectional, "residual": True}
    problem = Problem((130, 130), [60, 31, 60, 7], "squared_error", **architecture)
    problem.network.parameters[:] *= 0.2
    assert_same_bits(problem)
    problem.loss_and_gradients(n_threads=4)
    assert problem.workspace.n_members > 1
    assert_same_bits(Problem(**WIDE, **architecture))


@pytest.mark.parametrize("pooling", _plan.POOLINGS)
def test_pooled_layers_equal_the_oracle(pooling, products):
    Problem(**WIDE, pooling=pooling, bidirectional=True).check_oracle()


@pytest.mark.parametrize("n_threads", [2, 3])
def test_teams_equal_the_oracle(n_threads, teams):
    problem = Problem(
        (100, 70),
        [30, 12],
        "squared_error",
        vocabulary=9,
        dropout=0.3,
        recurrent_dropout=0.2,
        per_step=True,
        n_scores=67,
    )
    problem.network.parameters[:] *= 0.3
    problem.check_oracle(1e-10, n_threads)
    assert problem.workspace.n_members > 1


# One shard of more steps than a gradient is summed over at a time, and several shards.
@pytest.mark.parametrize(
    "lengths", [[30] * 9, [25, 3] * 10, [2] * 40], ids=["equal", "ragged", "shards"]
)
def test_layers_of_many_weights_equal_the_oracle(lengths, teams):
    problem = Problem((360,), lengths, "squared_error")
    problem.network.parameters[:] *= 0.1
    problem.check_oracle(1e-10, n_threads=2)
    assert_same_bits(problem)
    problem.loss_and_gradients(n_threads=2)
    assert problem.workspace.n_members == (1 if len(lengths) > 32 else 2)


@pytest.mark.parametrize("per_step", [False, True], ids=["last step", "every step"])
def test_teams_predict_the_same_bits(per_step, teams):
    # More steps than prediction holds at a time.
    problem = Problem((130,), [900, 700], "squared_error", dtype="float32", per_step=per_step)
    forward = problem.network.forward
    expected = forward(problem.sequences, 1)[0].tobytes()
    assert {forward(problem.sequences, n)[0].tobytes() for n in (2, 3, 4, 7)} == {expected}


# Heads of one vector and of several, with columns left over, of one block and of more.
@pytest.mark.parametrize("n_scores", [1, 2, 5, 16, 33, 64, 130])
@pytest.mark.parametrize("per_step", [False, True], ids=["last step", "every step"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sequence_has_the_same_bits_in_any_batch(dtype, per_step, n_scores):
    rng = np.random.default_rng(0)
    network = Network(
        Architecture(5, [70, 33], n_scores, "squared_error", dtype, per_step=per_step)
    )
    network.initialize(np.random.RandomState(0))
    lengths = np.tile([12, 7, 1], 25)
    xs = [rng.normal(size=(T, 5)) for T in lengths]

    def outputs(rows):
        sequences = ragged_to_sequences([xs[k] for k in rows], dtype)
        cuts = sequences.starts[1:] if per_step else np.arange(1, len(rows))
        both = network.forward(sequences, 2, features=True)
        return [np.split(output, cuts) for output in both]

    whole = outputs(np.arange(75))
    for n in (1, 2, 3, 7, 8, 9, 40):
        rows = rng.permutation(75)[:n]
        for some, of_all in zip(outputs(rows), whole, strict=True):
            for k, output in zip(rows, some, strict=True):
                np.testing.assert_array_equal(output, of_all[k])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_stream_has_the_bits_of_the_whole_sequence(dtype):
    x = np.random.default_rng(0).normal(size=(19, 12, 5)).astype(dtype)
    network = Network(Architecture(5, [70, 33], 37, "squared_error", dtype, per_step=True))
    network.initialize(np.random.RandomState(0))
    expected = network.forward(Sequences.from_equal_lengths(x), 2)[0].reshape(19, 12, 37)
    stream = network.stream(19)
    for t in range(12):
        stream.inputs[:] = x[:, t]
        stream.step()
        np.testing.assert_array_equal(stream.scores, expected[:, t])


@pytest.fixture
def wide_heads():
    """Heads of any number of scores go over all steps of a batch."""
    before = _engine.wide_heads_from(1)
    yield
    _engine.wide_heads_from(before)


HEADS = {
    "numbers": {},
    "tokens": {"vocabulary": 7},
    "tied": {"vocabulary": 6, "n_inputs": 3, "tied": True},
    "bidirectional": {"bidirectional": True},
    "dropout": {"vocabulary": 7, "dropout": 0.3, "recurrent_dropout": 0.2, "first_step": 5},
    "tied, dropout": {"vocabulary": 4, "n_inputs": 3, "tied": True, "dropout": 0.3},
    "tied, dropout of parameters": {
        "vocabulary": 6,
        "n_inputs": 3,
        "tied": True,
        "weight_dropout": 0.4,
        "embedding_dropout": 0.3,
    },
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("wide", [False, True], ids=["narrow", "wide"])
def test_heads_by_central_differences(head, wide, request, products):
    if wide:
        request.getfixturevalue("wide_heads")
    # 13 sequences are two shards.
    lengths = [4, 5, 1, 2, 3, 1, 1, 2, 1, 1, 1, 1, 3]
    problem = Problem((4, 3), lengths, "softmax", per_step=True, **HEADS[head])
    problem.check_oracle(n_threads=3)
    problem.check_central_differences()


@pytest.mark.parametrize("loss", ["squared_error", "logistic", "quantile", "poisson"])
def test_wide_heads_of_every_loss(loss, wide_heads, products):
    Problem((4, 3), [4, 5, 1] * 4, loss, per_step=True).check_oracle()


# More classes and more steps than a thread takes at a time, none a multiple of a vector.
LARGE_HEAD = {"sizes": (21, 37), "lengths": [9, 20, 30, 17] * 6, "loss": "softmax",
              "per_step": True, "n_scores": 807}  # fmt: skip


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-10), ("float32", 1e-5)])
def test_large_heads_equal_the_oracle(dtype, tolerance, tied, products):
    n_inputs = 37 if tied else 5
    problem = Problem(**LARGE_HEAD, dtype=dtype, vocabulary=811, n_inputs=n_inputs, tied=tied)
    problem.network.parameters[:] *= 0.3
    problem.check_oracle(tolerance, n_threads=2)


def test_a_large_head_has_the_bits_of_one_thread(teams):
    problem = Problem(**LARGE_HEAD, dtype="float32", vocabulary=900, n_inputs=12, dropout=0.2)
    assert_same_bits(problem)
    few = Problem((130, 40), [60, 31, 60], "softmax", per_step=True, n_scores=600)
    assert_same_bits(few)
    few.loss_and_gradients(n_threads=4)
    assert few.workspace.n_members > 1


# Several lanes, and a number of the head's gradients that is no multiple of a cache line.
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_heads_of_several_lanes_equal_the_oracle(tied, products):
    n_inputs = 9 if tied else 5
    problem = Problem(
        (6, 9),
        [5, 3, 8] * 7,
        "softmax",
        per_step=True,
        n_scores=7,
        vocabulary=11,
        n_inputs=n_inputs,
        tied=tied,
    )
    problem.check_oracle(n_threads=3)


@pytest.mark.parametrize("n_rows", [4, 16, 32])
@pytest.mark.parametrize("recurrent_dropout", [0.0, 0.2])
def test_more_threads_than_shards_share_a_large_head(n_rows, recurrent_dropout, teams):
    problem = Problem(
        (20,),
        [12] * n_rows,
        "softmax",
        per_step=True,
        n_scores=600,
        vocabulary=20,
        recurrent_dropout=recurrent_dropout,
        dtype="float32",
    )
    expected, gradients = problem.loss_and_gradients(n_threads=1)
    expected_bytes = gradients.used.tobytes()
    for n_threads in [2, 3, 5, 6, 7, 8] * 5:
        loss, gradients = problem.loss_and_gradients(n_threads=n_threads)
        assert loss == expected
        assert gradients.used.tobytes() == expected_bytes


def test_a_large_head_of_very_unequal_sequences():
    # As long as the longest they would be 600,000 steps: the head goes with the shards.
    problem = Problem((3,), [3000] + [1] * 199, "softmax", per_step=True, n_scores=600)
    problem.network.parameters[:] *= 0.3
    assert_same_bits(problem)


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_a_sample_of_all_classes_is_no_sample(tied, products):
    options = {"vocabulary": 13, "n_inputs": 3, "tied": tied, "n_scores": 12}
    problem = Problem((4, 3), [4, 5, 1, 7], "softmax", per_step=True, **options)
    loss, gradients = problem.loss_and_gradients()
    expected = problem.named(gradients)
    order = np.random.default_rng(1).permutation(12)
    sampled, gradients = problem.loss_and_gradients(classes=order, log_shares=np.zeros(12))
    assert sampled == pytest.approx(loss, rel=1e-12)
    for name, gradient in problem.named(gradients).items():
        assert_close_to_largest(gradient, expected[name], 1e-12, name)


def sample_of(problem, shares, drawn):
    """The classes of a sample: those drawn, and the targets that it lacks."""
    targets = np.unique(problem.ys.astype(int))
    sample = np.flatnonzero(drawn)
    return {
        "classes": np.concatenate([sample, np.setdiff1d(targets, sample)]),
        "log_shares": np.log(shares[sample]),
    }


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_gradients_of_a_sample_of_classes(tied, products):
    options = {"vocabulary": 20, "n_inputs": 3, "tied": tied, "n_scores": 19}
    problem = Problem((4, 3), [4, 5, 1, 2], "softmax", per_step=True, **options)
    rng = np.random.default_rng(1)
    shares = rng.uniform(0.3, 1, size=19)
    sample = sample_of(problem, shares, rng.uniform(size=19) < 0.4)
    n_others = len(sample["classes"]) - len(sample["log_shares"])
    assert 1 < n_others < len(sample["classes"]) < 19
    problem.check_central_differences(**sample)
    assert_same_bits(problem, **sample)


def test_samples_give_the_sum_over_all_classes_in_the_mean():
    # One step, whose target is one of 5 classes: all 32 samples there are.
    problem = Problem((3,), [1], "softmax", per_step=True, n_scores=5, states=False)
    target = int(problem.ys[0, 0])
    shares = np.array([0.2, 0.9, 0.5, 1.0, 0.7])
    scores = problem.network.forward(problem.sequences, 1)[0][0]
    mean = 0.0
    for bits in range(32):
        drawn = np.array([bits >> k & 1 for k in range(5)], dtype=bool)
        probability = np.prod(np.where(drawn, shares, 1 - shares))
        loss, _ = problem.loss_and_gradients(**sample_of(problem, shares, drawn))
        mean += probability * np.exp(loss + scores[target])
    assert mean == pytest.approx(np.exp(scores).sum(), rel=1e-12)


def test_samples_need_a_softmax_for_each_step():
    problem = Problem((3,), [4], "squared_error", per_step=True)
    with pytest.raises(ValueError, match="needs a softmax per step"):
        problem.loss_and_gradients(classes=np.arange(2), log_shares=np.zeros(2))


@pytest.mark.parametrize("n_threads", [1, 3])
def test_reading_counts_the_bytes_of_all_threads(n_threads):
    whole = n_threads * 2 * 512  # each thread reads multiples of 512 bytes
    memory = np.ones(whole // 4 + 32, np.float32)  # and the first starts on a cache line
    for first in range(16):
        n_before = -memory[first:].ctypes.data % 64 // 4
        part = memory[first : first + n_before + whole // 4]
        assert _simd.read_bytes(part, 5, n_threads) == 5 * whole
        if n_before:
            assert _simd.read_bytes(part[:-1], 5, n_threads) < 5 * whole


def test_lanes_of_several_shards_equal_the_oracle():
    # More shards than lanes: the first of a lane writes its gradients, the others add to them.
    problem = Problem((5,), [2] * 300, "squared_error")
    problem.check_oracle(n_threads=2)


# No number, fewer than a vector, and whole vectors with some left over.
@pytest.mark.parametrize("n", [0, 1, 3, 16, 67])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_finite_numbers_and_others_at_every_place(dtype, n):
    all_finite = _updates.all_finite[_engine.PRECISIONS[np.dtype(dtype)]]
    limits = np.finfo(dtype)
    x = np.resize([limits.max, -limits.max, limits.smallest_subnormal, -0.0, 0.3], n)
    x = x.astype(dtype)  # any sum of two of the largest is infinite
    assert all_finite(x)
    # The NaN whose bits are next to those of infinity.
    (signalling,) = (np.array([np.inf], dtype).view(f"u{x.itemsize}") + 1).view(dtype)
    for bad in (np.nan, -np.nan, np.inf, -np.inf, signalling):
        for k in range(n):
            y = x.copy()
            y[k] = bad
            assert not all_finite(y)
            assert all_finite(y[:k])
            assert all_finite(y[k + 1 :])
