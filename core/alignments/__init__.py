"""Alignments: what makes two domains look alike to a model. Losses for torch, and closed-form maps for cached features.

The losses need torch, the maps and the selection do not: torch is imported when a loss is first asked for.
"""

from __future__ import annotations

from typing import Any

__all__ = ["ALIGNMENTS", "Alignment", "AlignmentViews"]


def __getattr__(name: str) -> Any:
    """ALIGNMENTS with every loss filed in it, and the base classes."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    for module in ("cdan", "coral", "dann", "entropy", "information_maximisation", "mcc", "mmd", "pseudo_label"):
        import_module(f"{__name__}.{module}")
    return getattr(import_module(f"{__name__}.base"), name)
