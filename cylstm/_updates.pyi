# The compiled module's names are not listed: it checks its arguments itself.
from typing import Any

def __getattr__(name: str) -> Any: ...
