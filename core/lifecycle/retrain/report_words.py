"""Numbers of the retraining report as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.evaluation.metrics import METRICS
from core.regression.metrics import REGRESSION_METRICS

MISSING = "–"
TITLES = {"qlike": "QLIKE"}  # of metrics in no registry that are no words


def metric_title(name: str) -> str:
    """A metric for a heading; `cost_per_case` and such are in no registry."""
    for registry in (METRICS, REGRESSION_METRICS):
        if name in registry:
            return registry[name].title
    return TITLES.get(name) or name.replace("_", " ").capitalize()


def figure_text(value: float | None) -> str:
    """Three decimals, a dash where nothing is known."""
    return MISSING if value is None else f"{value:.3f}"


def interval_text(interval: Mapping[str, Any] | None) -> str:
    """`0.801 [0.737, 0.856]`, as far as it is known."""
    told = interval or {}
    if told.get("value") is None:
        return MISSING
    if told.get("low") is None or told.get("high") is None:
        return figure_text(told["value"])
    return f"{told['value']:.3f} [{told['low']:.3f}, {told['high']:.3f}]"


def p_value_text(value: float | None) -> str:
    """Three decimals; the smallest ones as a bound."""
    if value is None:
        return MISSING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def duration_text(seconds: float | None) -> str:
    """`42 s`, `3 min 05 s` or `2 h 07 min`."""
    if seconds is None:
        return MISSING
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
