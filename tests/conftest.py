"""Set-up of the whole suite."""

import os

# Before SciPy is imported: scikit-learn skips its array API check without it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
