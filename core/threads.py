"""How many threads a fit may use."""

from __future__ import annotations

import os


def num_threads() -> int:
    """`OMP_NUM_THREADS` where it is set to a positive whole number, else the number of processors."""
    told = os.environ.get("OMP_NUM_THREADS", "").strip()
    if told.isdigit() and int(told) > 0:
        return int(told)
    return os.cpu_count() or 1
