"""Is a delivery of days to be believed? What the import lets through and no market does."""

from __future__ import annotations

import numpy as np

from core.forecasting.retrain.series_retrain_params import DeliveryLimits
from core.forecasting.series import Series, shown_days
from core.prices.checks import split_ratio


def delivery_doubts(series: Series, all_days: np.ndarray, is_new_day: np.ndarray, limits: DeliveryLimits) -> list[str]:
    """Why the new days of a market are doubted, in numbers; empty where they are not.

    series: the market with the new days. all_days: (T,) rising days that have a row, with a return or without.
    is_new_day: (T,) bool, those of the delivery.
    """
    is_new = np.isin(series.dates, all_days[is_new_day])
    doubts = [
        _scale_doubt(series.returns[is_new], series.returns[~is_new], limits),
        _jump_doubt(series, is_new, limits),
        _gap_doubt(all_days, is_new_day, limits),
        _stuck_doubt(series, is_new, limits),
    ]
    return [doubt for doubt in doubts if doubt]


def longest_run(is_equal: np.ndarray) -> int:
    """The most True in a row of Booleans (N,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_equal, [False]]).astype(int)))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _scale_doubt(new: np.ndarray, known: np.ndarray, limits: DeliveryLimits) -> str:
    """Percent for fractions: the medians of the days that moved; one wild day moves no median."""
    new, known = np.abs(new[new != 0]), np.abs(known[known != 0])
    if len(new) < limits.min_scale_days or not len(known):
        return ""
    ratio = float(np.median(new) / np.median(known))
    if 1 / limits.max_scale_ratio <= ratio <= limits.max_scale_ratio:
        return ""
    return (
        f"The scale is off: half of the {len(new):,} new returns are beyond {np.median(new):.3g} % in size, {ratio:.3g}"
        f" times the {np.median(known):.3g} % of the days before (percent for fractions, or another market?)."
    )


def _jump_doubt(series: Series, is_new: np.ndarray, limits: DeliveryLimits) -> str:
    """Splits, and returns beyond all that was seen, on the new days and where the old ones go on after them."""
    is_asked = is_new.copy()
    is_asked[1:] |= is_new[:-1]
    size = np.abs(series.returns)
    largest = float(size[~is_asked].max(initial=0.0))
    shown = []
    for row in np.flatnonzero(is_asked & (size > limits.jump_percent)):
        ratio = split_ratio(series.returns[row])
        if ratio or size[row] > largest:
            like = f", like a split {ratio}" if ratio else ""
            shown.append(f"{series.dates[row]} ({series.returns[row]:+.1f} %{like})")
    if not shown:
        return ""
    return (
        f"{len(shown):,} returns beyond {limits.jump_percent:g} %: {shown_days(shown)}; before at most {largest:.1f} %."
    )


def _gap_doubt(all_days: np.ndarray, is_new_day: np.ndarray, limits: DeliveryLimits) -> str:
    """Days before a new day that no delivery has."""
    gaps = np.diff(all_days).astype(int)
    found = np.flatnonzero(is_new_day[1:] & (gaps > limits.max_gap_days))
    if not len(found):
        return ""
    shown = shown_days([f"{all_days[place]} to {all_days[place + 1]}" for place in found])
    return f"More than {limits.max_gap_days} days without a row: {shown}. Is a delivery missing?"


def _stuck_doubt(series: Series, is_new: np.ndarray, limits: DeliveryLimits) -> str:
    """A price, or a return, that repeats itself: a feed that stands still."""
    is_same = np.append(False, np.diff(series.returns) == 0) | (series.returns == 0)
    run, before = longest_run(is_same[is_new]), longest_run(is_same[~is_new])
    if run < limits.stuck_days or run <= before:
        return ""
    what = "price" if not series.returns[is_new & is_same].any() else "return"
    return f"The same {what} on {run:,} days in a row; before on at most {before:,}. Does the feed stand still?"
