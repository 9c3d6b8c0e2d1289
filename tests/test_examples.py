"""The scripts in examples/ that take seconds run and show what they say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.slow
def test_forecasting(tmp_path):
    pytest.importorskip("matplotlib")
    done = subprocess.run(
        [sys.executable, EXAMPLES / "forecasting.py", "--series", "8", "--days", "400"],
        cwd=tmp_path,
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
    head, *rows = (line.split() for line in done.stdout.splitlines()[1:5])
    mase = {row[0]: float(row[head.index("mase")]) for row in rows}
    assert mase["LSTMForecaster"] < 0.8 * mase["seasonal_naive"]
    assert "y_hat-hi-95" in done.stdout
    assert (tmp_path / "forecasts.png").stat().st_size > 10_000
