"""Confidence intervals: the bootstrap for any metric, Wilson for a rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from core.errors import BadInputError
from core.evaluation.metrics import Metric
from core.evaluation.resampling import resample_counts
from core.evaluation.scored_rows import ScoredRows

# With more undefined replicates than this the remaining ones no longer stand for the data.
MAX_UNDEFINED_FRACTION = 0.5


@dataclass(frozen=True)
class Interval:
    """A value with its interval at `confidence` (0 to 1)."""

    value: float
    low: float
    high: float
    confidence: float


def bootstrap_interval(
    metric: Metric,
    labels: np.ndarray,
    probability: np.ndarray,
    positive_index: int,
    *,
    num_bootstrap: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    groups: np.ndarray | None = None,
    is_stratified: bool = False,
) -> Interval:
    """The metric of labels (N,) and probabilities (N, C) with its bootstrap interval (see `replicate_interval`).

    groups (N,): resample whole groups. is_stratified: keep the number of rows of each class.

    Raises:
        BadInputError: shapes, missing values, one class only, or most replicates lack a class.
    """
    rows = ScoredRows.checked(labels, probability, positive_index)
    value = metric.of_rows(rows)
    replicates = bootstrap_replicates(
        metric,
        [rows],
        num_bootstrap=num_bootstrap,
        seed=seed,
        groups=groups,
        strata=rows.labels if is_stratified else None,
    )[0]
    return replicate_interval(metric, value, replicates, confidence)


def replicate_interval(metric: Metric, value: float, replicates: np.ndarray, confidence: float) -> Interval:
    """The interval of a metric's `value` from its replicates (B,); it always holds the value.

    The percentile interval, or for a metric with upward bias (ks, ece) the basic one, 2 value - quantile, cut at 0:
    on 250 rows the percentile interval of those held the truth in 78 % of draws instead of 95 %, the basic in 90 %.

    Source: Efron & Tibshirani 1993, equation 13.5; basic: Davison & Hinkley 1997, equation 5.6.
    """
    low, high = percentile_range(replicates, confidence)
    if metric.has_upward_bias:
        low, high = max(2 * value - high, 0.0), 2 * value - low
    return Interval(value, min(low, value), max(high, value), confidence)


def bootstrap_replicates(
    metric: Metric,
    scored: Sequence[ScoredRows],
    *,
    num_bootstrap: int,
    seed: int,
    groups: np.ndarray | None = None,
    strata: np.ndarray | None = None,
) -> np.ndarray:
    """(S, B) replicates of S predictions on the same rows; replicate b draws the same rows for all of them."""
    chunks = [
        np.stack([metric.weighted(rows, counts) for rows in scored])
        for counts in resample_counts(len(scored[0]), num_bootstrap, seed=seed, groups=groups, strata=strata)
    ]
    return np.concatenate(chunks, axis=1)


def percentile_range(replicates: np.ndarray, confidence: float) -> tuple[float, float]:
    """The middle `confidence` part of the replicates (B,); undefined ones (a class is missing) are left out.

    Raises:
        BadInputError: confidence is not between 0 and 1, or most replicates are undefined.
    """
    if not 0 < confidence < 1:
        raise BadInputError(f"confidence is {confidence}, expected between 0 and 1, for example 0.95.")
    defined = replicates[np.isfinite(replicates)]
    if len(defined) < (1 - MAX_UNDEFINED_FRACTION) * len(replicates):
        raise BadInputError(
            f"{len(replicates) - len(defined)} of {len(replicates)} bootstrap replicates lack a class.",
            repair="Use more rows, or stratified resampling.",
        )
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def wilson_interval(
    num_hits: np.ndarray | float, num_rows: np.ndarray | float, confidence: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Low and high end of a rate, elementwise; NaN where there are no rows.

    Source: Wilson 1927; Brown, Cai & DasGupta 2001, equation 4.
    """
    hits, total = np.asarray(num_hits, dtype=float), np.asarray(num_rows, dtype=float)
    z = norm.ppf((1 + confidence) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = hits / total
        centre = (rate + z**2 / (2 * total)) / (1 + z**2 / total)
        half = z / (1 + z**2 / total) * np.sqrt(rate * (1 - rate) / total + z**2 / (4 * total**2))
    # Rounding may leave the end at a rate of 0 or 1 a hair inside of it.
    return np.clip(centre - half, 0, rate), np.clip(centre + half, rate, 1)
