"""The variance of a trading session from its open, high, low and close."""

from __future__ import annotations

import numpy as np

ROUNDING = 1e-9  # relative; adjusted prices are products of floating point numbers


def garman_klass_variance(open_: np.ndarray, high: np.ndarray, low: np.ndarray, close: np.ndarray) -> np.ndarray:
    """(N,) variance of each session in percent^2, >= 0; what happens overnight is not in it.

    100^2 times 0.5 ln(high / low)^2 - (2 ln 2 - 1) ln(close / open)^2.

    Shape: four arrays (N,) of prices that `has_sound_range` accepts.

    Source: Garman and Klass (1980), On the Estimation of Security Price Volatilities from Historical Data, Journal of
    Business 53(1), 67-78, the practical estimator.
    """
    high_low, close_open = np.log(high / low), np.log(close / open_)
    variance = 0.5 * high_low**2 - (2.0 * np.log(2.0) - 1.0) * close_open**2
    return np.maximum(1e4 * variance, 0.0)


def has_sound_range(open_: np.ndarray, high: np.ndarray, low: np.ndarray, close: np.ndarray) -> np.ndarray:
    """(N,) bool: all four prices are known and positive, and open and close lie between low and high."""
    prices = np.stack([open_, high, low, close])
    is_known = (np.isfinite(prices) & (prices > 0)).all(axis=0)
    highest, lowest = np.maximum(open_, close), np.minimum(open_, close)
    return is_known & (high * (1 + ROUNDING) >= highest) & (low * (1 - ROUNDING) <= lowest)
