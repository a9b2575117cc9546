"""`crossdomain cache`: what frozen backbones computed once and keep on disk, and how to be rid of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.data.feature_cache import FeatureCache, cache_root

HELP = """Show how much the caches of features and activations hold, or clear them.

Example: crossdomain cache --clear

They are kept below CROSSDOMAIN_CACHE (or the user's cache folder), bounded in size, and made again when needed.
"""
KINDS = ("features", "activations")


def cache(clear: Annotated[bool, typer.Option("--clear", help="Remove everything that is cached.")] = False) -> None:
    """Print sizes, or clear."""
    root = cache_root()
    for kind in KINDS:
        typer.echo(f"{kind}: {folder_bytes(root / kind) / 2**20:,.0f} MB in {root / kind}")
    if clear:
        from core.learners.activation_cache import clear_activations

        FeatureCache(root).clear()
        clear_activations(root)
        typer.echo("cleared.")


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; 0 where there is none."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
