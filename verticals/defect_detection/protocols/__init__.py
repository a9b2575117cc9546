"""Benchmark protocols: `crossdomain compare defect_detection --protocol d1` writes results/d1.json.

Each is a function (root, *, report) -> result dictionary. It imports what it needs when it is called.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

NAMES = ("d1", "d1g", "d2", "d3", "d4", "r2", "r3")


def _run(name: str, root: Path, *, report: Callable[[str], None] = print, **options: Any) -> dict[str, Any]:
    """Import the protocol's module and run it."""
    return importlib.import_module(f"verticals.defect_detection.protocols.{name}").run(root, report=report, **options)


PROTOCOLS: dict[str, Callable[..., dict[str, Any]]] = {name: partial(_run, name) for name in NAMES}
