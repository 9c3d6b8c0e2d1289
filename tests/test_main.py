"""The commands python -m cylstm and python -m cylstm info."""

import os
import re
import subprocess
import sys

import pytest

from cylstm._info import blas_hint


def run(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "cylstm", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        # One thread, since the workers of pytest-xdist share the cores.
        env={**os.environ, "PYTHONWARNINGS": "error", "OMP_NUM_THREADS": "1"},
    )


def number_after(label, text):
    return float(re.search(rf"{label}\s+([\d.]+)", text)[1])


@pytest.mark.slow
def test_demo_learns_and_beats_the_baselines(tmp_path):
    done = run(cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    digits, sunspots = done.stdout.split("Sunspots:")
    assert number_after("  LSTMClassifier", digits) >= 0.96
    assert number_after("majority class", digits) < 0.2
    assert number_after("  LogisticRegression", digits) > 0.9
    assert number_after("  LSTMForecaster", sunspots) < 16
    assert number_after("persistence", sunspots) == 30.0
    assert "context of 28 years" in sunspots
    assert number_after("Inside the 80% intervals.*:", sunspots) >= 80
    assert "Epoch 10 of 50, loss" in digits
    assert (tmp_path / "cylstm-demo.png").stat().st_size > 10_000


def test_info(tmp_path):
    done = run("info", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for what in ("cylstm", "scikit-learn", "OpenMP", "BLAS", "SIMD", "products"):
        assert re.search(rf"^{what} +\S", done.stdout, re.MULTILINE), what


def test_unknown_command(tmp_path):
    assert run("train", cwd=tmp_path).returncode == 2


@pytest.mark.parametrize(
    ("architecture", "simd", "hint"),
    [
        ("Haswell", "avx512", True),
        ("Zen", "avx512", True),
        ("Zen", "avx512_vnni", True),
        ("SkylakeX", "avx512", False),
        ("Haswell", "avx2", False),
        (None, "avx512", False),
    ],
)
def test_hint_where_blas_uses_less_than_the_cpu_has(architecture, simd, hint):
    text = blas_hint(architecture, simd)
    assert (text is not None) == hint
    assert not hint or "OPENBLAS_CORETYPE=SkylakeX" in text
