"""Benchmark protocol M1: `crossdomain compare market_risk --protocol m1` writes results/m1.json."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

NAMES = ("m1",)


def _run(name: str, root: Path, *, report: Callable[[str], None] = print, **options: Any) -> dict[str, Any]:
    """Import the protocol's module and run it."""
    return importlib.import_module(f"verticals.market_risk.protocols.{name}").run(root, report=report, **options)


PROTOCOLS: dict[str, Callable[..., dict[str, Any]]] = {name: partial(_run, name) for name in NAMES}
