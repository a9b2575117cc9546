"""Trailing means, the scale of a series without look-ahead, and the three averages that HAR models read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HAR_DAYS = (1, 5, 22)  # a day, a week, a month of trading
WARM_UP_ROWS = HAR_DAYS[-1] - 1  # of a series, which have no whole month behind them and no forecast
MIN_HISTORY = 100  # days that a method needs to learn from
SCALE_DAYS = 250  # about a year
EWMA_DECAY = 0.94  # of daily data
MIN_SHARE = 0.05  # a forecast is at least this share of the mean of the variances that were learned from
MAX_MULTIPLE = 10.0  # and at most so many times the largest of them: a crisis may be wilder than all that was seen


def trailing_mean(values: np.ndarray, num_days: int, *, min_days: int | None = None) -> np.ndarray:
    """(N,) mean of the last `num_days` values up to and with each row; NaN with fewer than `min_days` (default: all).

    Shape: values (N,).
    """
    min_days = num_days if min_days is None else min_days
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=float)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - num_days, 0)
    counts = ends - starts
    means = (sums[ends] - sums[starts]) / np.maximum(counts, 1)
    return np.where(counts >= min_days, np.maximum(means, 0.0), np.nan)  # the difference of two sums may be -1e-17


def har_features(day_variance: np.ndarray) -> np.ndarray:
    """(N, 3) means of the last day, week and month; NaN in the first 21 rows.

    Source: Corsi 2009, "A simple approximate long-memory model of realized volatility", section 2.
    """
    return np.stack([trailing_mean(day_variance, days) for days in HAR_DAYS], axis=1)


def ewma(day_variance: np.ndarray, decay: float = EWMA_DECAY) -> np.ndarray:
    """(N,) exponentially weighted mean up to and with each row; it starts at the mean of the first month's days so far.

    Row t: decay * row t-1 + (1 - decay) * day_variance[t].

    Source: J.P. Morgan/Reuters 1996, "RiskMetrics - Technical Document", section 5.2.
    """
    means = trailing_mean(day_variance, HAR_DAYS[-1], min_days=1)
    found = np.empty(len(day_variance))
    level = np.nan
    for row, value in enumerate(day_variance):
        level = means[row] if row < HAR_DAYS[-1] else decay * level + (1.0 - decay) * value
        found[row] = level
    return found


def trailing_scale(day_variance: np.ndarray) -> np.ndarray:
    """(N,) percent^2: the mean of the last 250 days, or of as many as there are; in the first month NaN."""
    return trailing_mean(day_variance, SCALE_DAYS, min_days=HAR_DAYS[-1])


@dataclass(frozen=True)
class Bounds:
    """Between what forecasts are held: (H,) each, percent^2.

    After the "insanity filter" of Bollerslev, Patton & Quaedvlieg 2016, "Exploiting the errors", section 4. Theirs
    allows what was seen before and no more; with a calm year of history that would forbid every forecast of a crisis.
    """

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, targets: np.ndarray) -> Bounds:
        """A twentieth of the mean and ten times the maximum of what is learned from (N, H); NaN is left out."""
        low = MIN_SHARE * np.nanmean(targets, axis=0)
        return cls(low, np.maximum(MAX_MULTIPLE * np.nanmax(targets, axis=0), low))

    def hold(self, forecast: np.ndarray) -> np.ndarray:
        """The forecasts (N, H) within the bounds."""
        return np.clip(forecast, self.low, self.high)
