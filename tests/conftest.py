"""Set-up of the whole suite."""

import os

# Before SciPy is imported: scikit-learn skips its array API check without it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
from example_texts import FORMS

# Scripts that need other programs; not tests.
collect_ignore_glob = ["make_golden_*.py"]


@pytest.fixture(params=FORMS)
def texts(request):
    return FORMS[request.param]
