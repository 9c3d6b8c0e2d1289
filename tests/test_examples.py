"""The scripts in examples/ that take seconds run and show what they say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(script, *arguments, cwd):
    """The lines that it prints."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / script, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        # One thread, since the workers of pytest-xdist share the cores.
        env={
            **os.environ,
            "MPLBACKEND": "Agg",
            "OMP_NUM_THREADS": "1",
            "PYTHONWARNINGS": "error",
        },
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_forecasting(tmp_path):
    pytest.importorskip("matplotlib")
    lines = run("forecasting.py", "--series", "8", "--days", "400", cwd=tmp_path)
    head, *rows = (line.split() for line in lines[1:5])
    mase = {row[0]: float(row[head.index("mase")]) for row in rows}
    assert mase["LSTMForecaster"] < 0.8 * mase["seasonal_naive"]
    assert any("y_hat-hi-95" in line for line in lines)
    assert (tmp_path / "forecasts.png").stat().st_size > 10_000


@pytest.mark.slow
def test_many_machines(tmp_path):
    pytest.importorskip("distributed")
    lines = run("many_machines.py", "--series", "8", "--epochs", "4", cwd=tmp_path)
    of_weeks, of_groups, of_all = (float(line.split("MASE ")[1]) for line in lines)
    assert max(of_groups, of_all) < 0.9 * of_weeks
