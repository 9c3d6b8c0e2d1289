"""Imports the compiled engine, which loads OpenMP's runtime."""

import os

# How long a thread of GNU's OpenMP spins for the next piece of work before it sleeps. Its
# own choice (300,000 turns and more) keeps spinning on a core that another process wants,
# and holds up the very thread it waits for: small fits then took 20 times as long. At
# 5,000 they take the same time on an idle machine and twice as long on a busy one.
SPIN_COUNT = "5000"

# Read once, when the library is loaded: so it is set for just that moment, and only where
# the user has not chosen.
_chosen = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys()
if not _chosen:
    os.environ["GOMP_SPINCOUNT"] = SPIN_COUNT
try:
    import cylstm._engine  # noqa: F401
except ModuleNotFoundError as error:
    if not (error.name or "").startswith("cylstm._"):
        raise
    raise ImportError(
        "cylstm's compiled modules are not here. In a source tree, build them with "
        "`pip install -e .`, or leave the directory to import an installed cylstm."
    ) from error
finally:
    if not _chosen:
        del os.environ["GOMP_SPINCOUNT"]
