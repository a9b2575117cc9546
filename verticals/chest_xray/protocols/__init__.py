"""Benchmark protocols: `crossdomain compare chest_xray --protocol x1` writes results/x1.json.

Each is a function (root, *, report) -> result dictionary. It imports what it needs when it is called.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

NAMES = ("x1", "x1_pictures", "x2")


def _run(name: str, root: Path, *, report: Callable[[str], None] = print, **options: Any) -> dict[str, Any]:
    """Import the protocol's module and run it."""
    return importlib.import_module(f"verticals.chest_xray.protocols.{name}").run(root, report=report, **options)


PROTOCOLS: dict[str, Callable[..., dict[str, Any]]] = {name: partial(_run, name) for name in NAMES}
