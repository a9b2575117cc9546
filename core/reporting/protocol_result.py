"""The JSON of a benchmark protocol: the figures with the command and the versions that made them."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.artifacts import write_json

PACKAGES = ("numpy", "scikit-learn", "torch")


def write_protocol_result(
    root: Path, vertical: str, protocol: str, result: Mapping[str, Any], packages: Sequence[str] = ()
) -> Path:
    """`verticals/<vertical>/results/<protocol>.json`; the path. packages: whose versions are told beside the usual."""
    path = Path(root) / "verticals" / vertical / "results" / f"{protocol}.json"
    versions = {name: importlib.metadata.version(name) for name in (*PACKAGES, *packages)}
    command = f"crossdomain compare {vertical} --protocol {protocol}"
    write_json(path, {"protocol": protocol, "command": command, **result, "versions": versions})
    return path
