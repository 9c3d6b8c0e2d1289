"""Set-up of the whole suite."""

import os

# Before SciPy is imported: scikit-learn skips its array API check without it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
from example_texts import FORMS

from cylstm import _engine, _simd

# Scripts that need other programs; not tests.
collect_ignore_glob = ["make_golden_*.py"]


@pytest.fixture(params=FORMS)
def texts(request):
    return FORMS[request.param]


@pytest.fixture(params=_simd.names())
def instruction_set(request):
    """The test runs at all that this CPU has."""
    before = _simd.use(request.param)
    yield request.param
    _simd.use(before)


@pytest.fixture(params=["packed", "blas"])
def products(request, monkeypatch):
    """What multiplies in networks that the test makes."""
    monkeypatch.setenv("CYLSTM_PRODUCTS", request.param)


@pytest.fixture
def teams():
    """As many threads as are asked for, whatever the machine has."""
    before = _engine.allow_team_threads(16)
    yield
    _engine.allow_team_threads(*before)
