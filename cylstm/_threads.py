"""How many threads a call may use, and one thread for the BLAS inside them."""

import os
import threading
from contextlib import contextmanager
from functools import cache
from itertools import product
from numbers import Integral

from threadpoolctl import ThreadpoolController

from . import _engine

MAX_THREADS = 256

_forked = False


def effective_n_threads(n_jobs):
    """Threads for `n_jobs`, asked anew at each call.

    None is what OpenMP allows (OMP_NUM_THREADS, threadpoolctl and joblib's process
    workers set it), a negative number counts down from it, a positive one is taken
    as it is. A forked child gets one: libgomp's threads do not survive a fork and
    waiting for them would hang. More than MAX_THREADS are never started.
    """
    if n_jobs is not None and (not isinstance(n_jobs, Integral) or n_jobs == 0):
        raise ValueError(f"n_jobs={n_jobs!r} must be None or an int other than 0.")
    if _forked:
        return 1
    if n_jobs is None:
        return _engine.max_threads()
    if n_jobs < 0:
        return max(1, _engine.max_threads() + n_jobs + 1)
    return min(n_jobs, MAX_THREADS)


@cache
def _blas_libraries():
    """(library, function that sets its number of threads) for each BLAS of the process.

    OpenBLAS is asked directly: threadpoolctl lets only one thread of the process set its
    number, and silently ignores all others.
    """
    libraries = []
    for library in ThreadpoolController().lib_controllers:
        if library.user_api != "blas":
            continue
        setter = library.set_num_threads
        if library.info().get("threading_layer") == "pthreads":
            for prefix, suffix in product(("", "scipy_"), ("", "64_", "_64")):
                name = f"{prefix}openblas_set_num_threads{suffix}"
                setter = getattr(library.dynlib, name, setter)
        libraries.append((library, setter))
    return libraries


class _BlasLimit:
    """BLAS on one thread from the first caller in to the last caller out.

    The limit holds for the whole process. Were each caller to set and restore it by
    itself, the first to leave would let BLAS loose in all the others.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.n_callers = 0
        self.before = []

    @contextmanager
    def __call__(self):
        with self.lock:
            if self.n_callers == 0:
                self.before = [
                    (setter, library.num_threads)
                    for library, setter in _blas_libraries()
                    if library.num_threads != 1
                ]
                for setter, _ in self.before:
                    setter(1)
            self.n_callers += 1
        try:
            yield
        finally:
            with self.lock:
                self.n_callers -= 1
                if self.n_callers == 0:
                    for setter, n_threads in self.before:
                        setter(n_threads)


single_threaded_blas = _BlasLimit()


def _after_fork():
    global _forked
    _forked = True
    single_threaded_blas.__init__()  # its lock may have been held by another thread


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
