"""Threads: their number, concurrent fits, forks, BLAS inside them, memory."""

import multiprocessing
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from cylstm import LSTMRegressor, _engine, _threads

RNG = np.random.default_rng(0)
# Enough work for several threads.
X = RNG.normal(size=(128, 40, 8)).astype(np.float32)
Y = RNG.normal(size=128)


def fitted(**settings):
    return LSTMRegressor(32, max_iter=2, random_state=0, **settings).fit(X, Y)


def weights_of(model):
    return model._network.parameters.tobytes()


def blas_threads():
    return {k["num_threads"] for k in threadpool_info() if k["user_api"] == "blas"}


def test_n_jobs(monkeypatch):
    monkeypatch.setattr(_engine, "max_threads", lambda: 6)
    asked = (None, -1, -2, -9, 1, 4, 40, 2**70)
    expected = [6, 6, 5, 1, 1, 4, 40, 256]
    assert [_threads.effective_n_threads(n) for n in asked] == expected


def test_fits_have_the_same_bits_in_teams_and_without():
    few = LSTMRegressor(64, max_iter=3, random_state=0, batch_size=8, n_jobs=2)
    before = _engine.allow_team_threads(2)
    try:
        expected = weights_of(few.fit(X[:24], Y[:24])), few.predict(X[:4]).tobytes()
        _engine.allow_team_threads(2, used=0)
        assert (weights_of(few.fit(X[:24], Y[:24])), few.predict(X[:4]).tobytes()) == expected
    finally:
        _engine.allow_team_threads(*before)


def calls(alone, team, n=20_000):
    """Times of n calls without and with teams; a number, or one drawn for each call."""
    return np.column_stack([np.broadcast_to(alone, n), np.broadcast_to(team, n)]).astype(float)


def test_the_faster_of_teams_and_none_is_taken():
    assert np.mean(_engine.choices(calls(1, 0.7))) > 0.99
    assert np.mean(_engine.choices(calls(1, 3))) < 0.01
    assert _engine.choices(calls(1, 0.7))[0]  # a script may call once
    disturbed = calls(1, 0.7, 60)
    disturbed[8, 1] = 30
    assert np.sum(_engine.choices(disturbed)) > 40
    # On a busy machine a team is often as fast as ever, and sometimes waits for a time slice.
    waits = np.random.default_rng(0).random(20_000) < 0.2
    assert np.mean(_engine.choices(calls(1, np.where(waits, 30, 0.6)))) < 0.05


def test_the_choice_changes_when_the_machine_does():
    chosen = _engine.choices(np.concatenate([calls(1, 0.7), calls(1, 30), calls(1, 0.7)]))
    first, second, third = np.split(np.array(chosen), 3)
    assert first[-1000:].mean() > 0.99
    assert second[100:].mean() < 0.01
    assert third[-1000:].mean() > 0.99


@pytest.mark.skipif(not _engine.HAS_OPENMP, reason="built without OpenMP")
def test_limits_of_threadpoolctl_are_obeyed():
    with threadpool_limits(limits=1, user_api="openmp"):
        assert _threads.effective_n_threads(None) == 1
    with threadpool_limits(limits=3, user_api="openmp"):
        assert _threads.effective_n_threads(None) == 3


@pytest.mark.parametrize("choice", [{}, {"OMP_WAIT_POLICY": "passive"}])
def test_loading_leaves_the_environment_as_it_was(choice):
    script = "import os; before = dict(os.environ); import cylstm; assert before == os.environ"
    environment = {k: v for k, v in os.environ.items() if "OMP" not in k} | choice
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)


def test_blas_is_limited_until_the_last_caller_leaves():
    before = blas_threads()
    with _threads.single_threaded_blas():
        with _threads.single_threaded_blas():
            assert blas_threads() == {1}
        assert blas_threads() == {1}
    assert blas_threads() == before


def in_a_thread(function):
    """The result of function() called in another thread."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


@pytest.mark.skipif(blas_threads() == {1}, reason="BLAS has one thread anyway")
def test_blas_is_limited_in_every_thread():
    def inside():
        with _threads.single_threaded_blas():
            return blas_threads()

    before = blas_threads()
    assert inside() == {1}  # threadpoolctl would now ignore all other threads
    assert in_a_thread(inside) == {1}
    assert blas_threads() == before


@pytest.mark.skipif(blas_threads() == {1}, reason="BLAS has one thread anyway")
def test_blas_is_restored_whoever_leaves_last():
    before = blas_threads()
    entered, leave = threading.Event(), threading.Event()

    def stay():
        with _threads.single_threaded_blas():
            entered.set()
            leave.wait(10)

    worker = threading.Thread(target=stay)
    with _threads.single_threaded_blas():
        worker.start()
        assert entered.wait(10)
    assert blas_threads() == {1}
    leave.set()
    worker.join()
    assert blas_threads() == before


def test_openmp_keeps_its_limit():
    with threadpool_limits(limits=2, user_api="openmp"):
        fitted()
        assert _engine.max_threads() == (2 if _engine.HAS_OPENMP else 1)


def test_blas_is_restored_after_an_error():
    before = blas_threads()
    with pytest.raises(RuntimeError), _threads.single_threaded_blas():
        raise RuntimeError
    assert blas_threads() == before


def test_fits_in_several_python_threads_do_not_disturb_each_other():
    expected = weights_of(fitted())
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(weights_of(fitted()))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 6


def test_kernels_release_the_gil():
    # While one thread is inside a single long kernel call, another runs Python code.
    long = LSTMRegressor(64, max_iter=1, batch_size=4096, n_jobs=1)
    big = np.zeros((4096, 100, 8), np.float32)
    ticks = []
    worker = threading.Thread(target=lambda: long.fit(big, np.zeros(4096)))
    worker.start()
    while worker.is_alive():
        ticks.append(None)
        worker.join(0.001)
    # The call takes about half a second; were the GIL held, there would be a few ticks.
    assert len(ticks) > 20


def test_one_model_predicts_in_several_threads_at_once():
    model = fitted()
    expected = model.predict(X).tobytes()
    results = []
    threads = [
        threading.Thread(
            target=lambda: results.extend(model.predict(X).tobytes() for _ in range(20))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(results) == {expected}


def _fit_in_child(queue):
    queue.put(weights_of(fitted()))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fit_fork_fit():
    expected = weights_of(fitted(n_jobs=2))
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_fit_in_child, args=(queue,))
    child.start()
    try:
        assert queue.get(timeout=60) == expected
    finally:
        child.kill()
        child.join()


def resident_kib():
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmRSS"))
    return int(line.split()[1])


@pytest.mark.slow
def test_memory_is_flat_over_200_fits():
    def fit_and_predict(count):
        for _ in range(count):
            LSTMRegressor(16, max_iter=1).fit(X, Y).predict(X)

    fit_and_predict(50)
    before = resident_kib()
    fit_and_predict(200)
    # A leak of one batch's workspace a fit would be some 500 MiB, of one parameter
    # vector 1.3 MiB.
    assert resident_kib() - before < 1024
