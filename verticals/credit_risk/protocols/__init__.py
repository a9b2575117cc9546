"""Benchmark protocols C1-C4, R1 and R3: `crossdomain compare credit_risk --protocol c1` writes results/c1.json.

Each is a function (root, *, report) -> result dictionary. It imports what it needs when it is called.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

NAMES = ("c1", "c2", "c3", "c4", "r1", "r3")


def _run(name: str, root: Path, *, report: Callable[[str], None] = print, **options: Any) -> dict[str, Any]:
    """Import the protocol's module and run it."""
    return importlib.import_module(f"verticals.credit_risk.protocols.{name}").run(root, report=report, **options)


PROTOCOLS: dict[str, Callable[..., dict[str, Any]]] = {name: partial(_run, name) for name in NAMES}
