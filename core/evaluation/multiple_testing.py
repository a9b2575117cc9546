"""Corrections of p-values for the number of questions asked."""

from __future__ import annotations

import numpy as np
from scipy.stats import false_discovery_control


def holm(p_values: np.ndarray) -> np.ndarray:
    """Adjusted p-values (T,) that keep the chance of any false alarm; NaN (no test) stays NaN and is not counted.

    Source: Holm 1979: p(i) becomes max over j <= i of (m - j + 1) p(j), at most 1.
    """
    p_values = np.asarray(p_values, dtype=float)
    adjusted = np.full_like(p_values, np.nan)
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[np.argsort(p_values[tested], kind="stable")]
    steps = np.arange(len(order), 0, -1) * p_values[order]
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1) if len(order) else steps
    return adjusted


def benjamini_hochberg(p_values: np.ndarray) -> np.ndarray:
    """Adjusted p-values (T,) that keep the share of false alarms among the alarms; NaN stays NaN.

    Source: Benjamini & Hochberg 1995, by `scipy.stats.false_discovery_control`.
    """
    p_values = np.asarray(p_values, dtype=float)
    adjusted = np.full_like(p_values, np.nan)
    is_tested = ~np.isnan(p_values)
    if is_tested.any():
        adjusted[is_tested] = false_discovery_control(p_values[is_tested], method="bh")
    return adjusted


CORRECTIONS = {"holm": holm, "benjamini_hochberg": benjamini_hochberg}
