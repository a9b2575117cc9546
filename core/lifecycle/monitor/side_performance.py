"""How good the champion is on one side of a comparison: expected of all its rows, observed of the labelled ones."""

from __future__ import annotations

from typing import Any

from core.lifecycle.monitor.options import MonitorOptions
from core.lifecycle.monitor.performance_estimate import Performance, estimate_performance, observe_performance
from core.lifecycle.monitor.snapshot import Snapshot


def estimated_performance(side: Snapshot, options: MonitorOptions, *, seed: int) -> Performance:
    """Of all rows, no label read."""
    return estimate_performance(side.probability, side.threshold, groups=side.group, **_settings(options, seed))


def observed_performance(side: Snapshot, options: MonitorOptions, *, seed: int) -> Performance | None:
    """Of the labelled rows; None where they are too few."""
    if not side.has_labels(options.min_labelled):
        return None
    known = side.is_labelled
    told = side.targets[known], side.probability[known]
    return observe_performance(*told, side.threshold, groups=side.group[known], **_settings(options, seed))


def _settings(options: MonitorOptions, seed: int) -> dict[str, Any]:
    return {
        "cost_false_negative": options.cost_false_negative,
        "cost_false_positive": options.cost_false_positive,
        "num_bootstrap": options.num_bootstrap,
        "confidence": options.confidence,
        "seed": seed,
    }
