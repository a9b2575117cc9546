"""What the ledger says of a method, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.page import Page


def verdict_text(page: Page, ledger: Mapping[str, Any], verdict: Mapping[str, Any]) -> str:
    """The difference that a verdict of `champion_verdict` rests on, or why there is none."""
    found = [entry for entry in ledger["entries"] if entry["method"] == verdict["method"]][-1]
    if found["difference"] is None or found["verdict"] == "baseline":
        return page.word(verdict["reason"])
    figures = {"difference": "difference", "low": "difference_low", "high": "difference_high"}
    return page.text(
        "common.difference",
        metric=page.metric(ledger["metric"]),
        baseline=ledger["baseline"],
        confidence=f"{ledger['confidence']:.0%}",
        **{name: f"{found[key]:+.3f}" for name, key in figures.items()},
    )
