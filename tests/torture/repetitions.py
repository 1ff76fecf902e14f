"""How often torture repeats: all of it on demand, a tenth of it in every CI run."""

import os


def times(full: int) -> int:
    """`full` with FACEMEM_TORTURE=full in the environment, else a tenth of it, at least 1."""
    return full if os.environ.get("FACEMEM_TORTURE") == "full" else max(1, full // 10)
