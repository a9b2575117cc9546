"""Metrics of predicted numbers, each written for a matrix of row weights as those of `core.evaluation.metrics` are.

A metric gets `rows` (N of them) and weights (B, N), how many times each replicate drew each row, and gives B values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.errors import BadInputError
from core.evaluation.metrics import Metric
from core.registry import Registry
from core.regression.predicted_rows import PredictedRows

WeightedValueMetric = Callable[[PredictedRows, np.ndarray], np.ndarray]
# Rounding leaves less than this share of the sum of squares where all true values are equal.
SMALLEST_SPREAD_FRACTION = 1e-12


@dataclass(frozen=True)
class ValueMetric(Metric):
    """One number of how good predicted values or their bands are; use it by `of_rows` (`function` is for classes).

    needs_band: it is about low and high, not about the value, and raises BadInputError for rows without a band.
    """

    needs_band: bool = False


REGRESSION_METRICS: Registry[ValueMetric] = Registry("regression metric")


def _metric(name: str, title: str, **claims: bool) -> Callable[[WeightedValueMetric], WeightedValueMetric]:
    """File a weighted function as a metric; claims: the Boolean fields of ValueMetric."""

    def file_metric(weighted: WeightedValueMetric) -> WeightedValueMetric:
        REGRESSION_METRICS.register(name)(ValueMetric(name, title, weighted, **claims))
        return weighted

    return file_metric


@_metric("mae", "Mean absolute error", is_higher_better=False)
def mae(rows: PredictedRows, weights: np.ndarray) -> np.ndarray:
    """Mean of |predicted - true|, in the target's unit; the median of the truth is its best constant.

    Source: Hyndman & Koehler 2006, section 2.1 (MAE).
    """
    return _mean(weights, np.abs(rows.error))


@_metric("rmse", "Root mean squared error", is_higher_better=False)
def rmse(rows: PredictedRows, weights: np.ndarray) -> np.ndarray:
    """Root of the mean of (predicted - true)^2, in the target's unit; a few large errors decide it.

    Source: Hyndman & Koehler 2006, section 2.1 (RMSE).
    """
    return np.sqrt(_mean(weights, rows.error**2))


@_metric("r2", "Share of variance explained (R squared)")
def r2(rows: PredictedRows, weights: np.ndarray) -> np.ndarray:
    """1 - sum (predicted - true)^2 / sum (true - mean true)^2, the mean being that of each replicate.

    1 is perfect, 0 as good as the mean of these very rows, below 0 worse; NaN where the truth has no spread.

    Source: Kvålseth 1985, equation 1.
    """
    centred = rows.truth - rows.truth.mean()  # else large values lose the spread to rounding
    squares = weights @ centred**2
    spread = squares - _divide((weights @ centred) ** 2, weights.sum(axis=1))
    spread = np.where(spread > SMALLEST_SPREAD_FRACTION * squares, spread, np.nan)
    return 1 - (weights @ rows.error**2) / spread


@_metric("median_absolute_error", "Median absolute error", is_higher_better=False)
def median_absolute_error(rows: PredictedRows, weights: np.ndarray) -> np.ndarray:
    """The middle |predicted - true|, of an even number the mean of both middle ones; half of the rows may be wild.

    Source: Hyndman & Koehler 2006, section 2.1 (MdAE).
    """
    order, size = rows.by_absolute_error
    reached = np.cumsum(np.take(weights, order, axis=1), axis=1)  # (B, N)
    half = reached[:, -1:] / 2
    middle = (size[(reached >= half).argmax(axis=1)] + size[(reached > half).argmax(axis=1)]) / 2
    return np.where(half[:, 0] > 0, middle, np.nan)


@_metric("coverage", "Share of true values inside the band", needs_band=True)
def coverage(rows: PredictedRows, weights: np.ndarray) -> np.ndarray:
    """Share of rows with low <= true <= high, to be read beside 1 - error_rate: the widest band has the highest.

    Raises:
        BadInputError: the rows have no band.
    """
    low, high = rows.require_band()
    return _mean(weights, (low <= rows.truth) & (rows.truth <= high))


@_metric("band_width", "Mean width of the band", is_higher_better=False, needs_band=True)
def band_width(rows: PredictedRows, weights: np.ndarray) -> np.ndarray:
    """Mean of high - low, in the target's unit, to be read beside the coverage: no band is narrower than an empty one.

    Source: Gneiting & Raftery 2007, equation 43, its first term.

    Raises:
        BadInputError: the rows have no band.
    """
    low, high = rows.require_band()
    return _mean(weights, high - low)


@_metric(
    "interval_score", "Interval score (band width plus penalty for misses)", is_higher_better=False, needs_band=True
)
def interval_score(rows: PredictedRows, weights: np.ndarray) -> np.ndarray:
    """Mean of (high - low) + 2/e (low - true) where true < low, + 2/e (true - high) where true > high; e = error_rate.

    In the target's unit. A proper score: the true quantiles at e/2 and 1 - e/2 have the lowest mean.

    Source: Gneiting & Raftery 2007, equation 43.

    Raises:
        BadInputError: the rows have no band, or a band without an error_rate.
    """
    low, high = rows.require_band()
    if rows.error_rate is None:
        raise BadInputError(
            "The band has no error_rate, and a miss costs 2 / error_rate.", repair="Give error_rate with the band."
        )
    missed_by = np.maximum(low - rows.truth, 0) + np.maximum(rows.truth - high, 0)
    return _mean(weights, (high - low) + 2 / rows.error_rate * missed_by)


def mean_error(rows: PredictedRows, weights: np.ndarray) -> np.ndarray:
    """Mean of predicted - true (bias), in the target's unit: above 0 the predictions are too high."""
    return _mean(weights, rows.error)


# Not in the registry: the best bias is 0, so that neither the highest nor the lowest may win a ledger.
MEAN_ERROR = ValueMetric("mean_error", "Mean error (predicted minus true)", mean_error)


def _mean(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(B,) weighted means of values (N,)."""
    return _divide(weights @ values.astype(float), weights.sum(axis=1))


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """The quotient, NaN where a replicate drew no row."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return numerator / denominator
