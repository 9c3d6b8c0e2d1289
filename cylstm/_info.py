"""What `python -m cylstm info` prints."""

import os
import platform
from importlib.metadata import version

import threadpoolctl

from . import _engine, _plan, _simd

# Kernels of OpenBLAS that stop at AVX2, which it falls back to on a CPU it does not
# know.
_AVX2_KERNELS = {"Haswell", "Zen", "Excavator"}


# Who multiplies in the layers.
_PRODUCTS = {
    "packed": "packed weights and our kernels in the layers, BLAS in the head",
    "blas": "BLAS everywhere (CYLSTM_PRODUCTS)",
}


def blas_of_scipy():
    """threadpoolctl's description of the BLAS that SciPy brings, or None."""
    libraries = [
        library for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"
    ]
    own = [library for library in libraries if "scipy" in library["filepath"]]
    return (own or libraries or [None])[0]


def blas_hint(architecture, highest_simd):
    """Advice where BLAS uses less than the CPU has, else None."""
    if architecture not in _AVX2_KERNELS or not highest_simd.startswith("avx512"):
        return None
    return (
        f"The CPU has AVX-512, but OpenBLAS runs its {architecture} kernels, which stop "
        "at AVX2.\nMatrix products of wide heads may run up to twice as fast with this set "
        "before Python starts:\n    OPENBLAS_CORETYPE=SkylakeX"
    )


def describe():
    """Versions, threads, BLAS and instruction sets, a line each."""
    lines = [
        f"{name:13s} {version(name)}"
        for name in ("cylstm", "numpy", "scipy", "scikit-learn", "threadpoolctl")
    ]
    lines.insert(1, f"{'python':13s} {platform.python_version()}")
    if _engine.HAS_OPENMP:
        openmp = f"{_engine.max_threads()} threads allowed, {os.cpu_count()} CPUs seen"
    else:
        openmp = "not in this build: one thread"
    lines.append(f"{'OpenMP':13s} {openmp}")
    blas = blas_of_scipy()
    architecture = None
    if blas is None:
        lines.append(f"{'BLAS':13s} unknown to threadpoolctl")
    else:
        architecture = blas.get("architecture")
        lines.append(
            f"{'BLAS':13s} {blas['internal_api']} {blas['version']}, "
            f"{architecture or 'unnamed'} kernels, {blas['num_threads']} threads "
            "(1 inside cylstm)"
        )
    used, highest = _simd.in_use(), _simd.names()[-1]
    lines.append(f"{'SIMD':13s} {used} in use, {highest} is the CPU's highest")
    lines.append(f"{'products':13s} {_PRODUCTS[_plan.products()]}")
    hint = blas_hint(architecture, highest)
    return "\n".join(lines + (["", hint] if hint else []))
