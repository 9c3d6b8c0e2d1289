"""How much memory a call takes."""

import tracemalloc


def peak(function):
    """Peak of the bytes that a call allocates."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
