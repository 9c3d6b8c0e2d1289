"""Instruction sets: the one in use, and what it can do at most."""

from cython.parallel cimport prange

import os

cdef extern from "kernels/simd.h" nogil:
    int N_ISAS
    const char** simd_names
    int simd_highest()
    const simd_isa* simd_kernels(int isa, size_t item)


def names():
    """The instruction sets that this CPU runs, from the lowest to the highest."""
    return [(<bytes> simd_names[k]).decode() for k in range(simd_highest() + 1)]


cdef int current = simd_highest()


cdef const simd_isa* kernels_in_use(size_t item) noexcept nogil:
    return simd_kernels(current, item)


def in_use():
    """Name of the instruction set in use."""
    return (<bytes> simd_names[current]).decode()


def use(name):
    """Use an instruction set for networks made from now on and for optimizers; return the
    name of the one in use before.

    Raises
    ------
    ValueError
        If it is none that this CPU runs.
    """
    global current
    before = in_use()
    if name not in names():
        raise ValueError(f"Instruction set {name!r} is not available; choose from {names()}.")
    current = names().index(name)
    return before


# CYLSTM_SIMD in the environment chooses another than the highest.
if os.environ.get("CYLSTM_SIMD"):
    use(os.environ["CYLSTM_SIMD"])


def multiply_adds(long rounds, int n_threads):
    """Do multiply-adds in registers, float32, on each of n_threads; return how many
    floating-point operations that were. For benchmarks."""
    cdef const simd_isa* kernels = kernels_in_use(sizeof(float))
    cdef double done = 0
    cdef int _thread
    with nogil:
        for _thread in prange(n_threads, num_threads=n_threads, schedule="static"):
            done += kernels.multiply_adds(rounds)
    return done


def read_bytes(const float[::1] memory, long rounds, int n_threads):
    """Read memory `rounds` times over, each of n_threads its own part of it; return how many
    bytes that were. For benchmarks."""
    cdef const simd_isa* kernels = kernels_in_use(sizeof(float))
    cdef const char* start = <const char*> &memory[0]
    cdef Py_ssize_t to_cache_line = (64 - <size_t> start % 64) % 64
    # Whole groups of 8 vectors of every instruction set.
    cdef Py_ssize_t part = (4 * len(memory) - to_cache_line) // n_threads // 512 * 512
    cdef int thread
    with nogil:
        for thread in prange(n_threads, num_threads=n_threads, schedule="static"):
            kernels.read_numbers(part // 4, start + to_cache_line + thread * part, rounds)
    return float(part) * n_threads * rounds
