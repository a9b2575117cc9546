"""Bins that hold equally many rows: for calibration, gains and stability."""

from __future__ import annotations

import numpy as np


def equal_mass_edges(values: np.ndarray, num_bins: int) -> np.ndarray:
    """The distinct inner quantiles of `values` (N,), rising, at most num_bins - 1 of them."""
    return np.unique(np.quantile(values, np.arange(1, num_bins) / num_bins, method="inverted_cdf"))


def equal_mass_bins(values: np.ndarray, num_bins: int) -> np.ndarray:
    """(N,) bin numbers 0, 1, ... by rising value, without gaps.

    Bin b holds the values in (edge b-1, edge b]. Equal values always share a bin, so there are fewer bins than asked
    for when many values tie.
    """
    bins = np.searchsorted(equal_mass_edges(values, num_bins), values, side="left")
    return np.unique(bins, return_inverse=True)[1]
