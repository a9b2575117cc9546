"""How many threads a fit may use, and a score."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from threadpoolctl import ThreadpoolController

# Threads that wait for each other cost more than so few rows; where other processes run, many times more.
FEW_ROWS = 1000


def num_threads() -> int:
    """`OMP_NUM_THREADS` where it is set to a positive whole number, else the number of processors."""
    told = os.environ.get("OMP_NUM_THREADS", "").strip()
    if told.isdigit() and int(told) > 0:
        return int(told)
    return os.cpu_count() or 1


def num_threads_for(num_rows: int) -> int:
    """One for few rows, else `num_threads`."""
    return 1 if num_rows <= FEW_ROWS else num_threads()


@contextmanager
def matrix_threads_for(num_rows: int) -> Iterator[None]:
    """Inside, NumPy's matrix products of few rows run on one thread."""
    if num_rows > FEW_ROWS:
        yield
        return
    with _controller().limit(limits=1, user_api="blas"):
        yield


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    """The libraries that are loaded; to look for them takes milliseconds."""
    return ThreadpoolController()
