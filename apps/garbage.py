"""Streamlit collects all garbage after every run of a page; what stays for good need not be looked through again."""

from __future__ import annotations

import gc
from functools import lru_cache


@lru_cache(maxsize=256)
def leave_out(page: str, vertical: str) -> None:
    """Leave what is loaded by now out of later collections; once, after a page of a vertical was shown for the first
    time: libraries, schemas and models are half a million objects, a quarter of a second in which no session moves.
    """
    gc.collect()
    gc.freeze()
