"""The figures of a forecaster by which its versions and runs are compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LOSSES_SHOWN = ("qlike", "squared_error", "absolute_error")


def headline_metrics(metrics: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """name -> {value, low, high} of what evaluate wrote: losses of the shortest horizon, QLIKE of the others by days.

    The shortest, since its days ahead do not overlap: a month of new days tells something of it. Without an interval
    where there is none.
    """
    shortest, *others = sorted(metrics["horizons"], key=int)
    found = {}
    for name in LOSSES_SHOWN:
        value = metrics["horizons"][shortest][name]
        found[name] = dict(value) if isinstance(value, Mapping) else {"value": value, "low": None, "high": None}
    return found | {f"qlike_{days}_days": dict(metrics["horizons"][days]["qlike"]) for days in others}
