"""Do the told probabilities hold on labelled rows? Spiegelhalter's z, calibration in the large, Cox's line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student_t

from core.errors import BadInputError
from core.evaluation.intervals import Interval
from core.evaluation.scored_rows import ScoredRows

SMALLEST_PROBABILITY = 1e-6  # its log-odds are finite
MAX_STEPS, STEP_TOLERANCE, LARGEST_WEIGHT = 50, 1e-10, 1e3


@dataclass(frozen=True)
class CalibrationDrift:
    """How far N labelled rows are from what they were told.

    observed, expected: count of positives, seen and told (sum of p). calibration_gap: (observed - expected) / N.
    excess_brier: mean (y - p)(1 - 2 p), the Brier score less what it would be if p held; below 0: too timid.
    *_z, *_p_value: two-sided, NaN where every p leaves no doubt. intercept, slope: of the log-odds; 0 and 1 if p
    holds, slope below 1: too bold; NaN where p is constant or the classes are apart.
    """

    num_rows: int
    observed: float
    expected: float
    calibration_gap: float
    in_the_large_z: float
    in_the_large_p_value: float
    excess_brier: float
    spiegelhalter_z: float
    spiegelhalter_p_value: float
    intercept: Interval
    slope: Interval


def calibration_drift(
    is_positive: np.ndarray, probability: np.ndarray, *, groups: np.ndarray | None = None, confidence: float = 0.95
) -> CalibrationDrift:
    """Calibration of labelled rows (N,) with told probabilities (N,).

        in the large:  z = sum (y - p) / sqrt(sum p (1 - p))
        Spiegelhalter: z = sum (y - p)(1 - 2 p) / sqrt(sum (1 - 2 p)^2 p (1 - p))
        Cox:           log-odds of y = intercept + slope * log-odds of p, by maximum likelihood

    groups (N,) with several rows each: rows of a group depend on each other, so the variance is the sum of squared
    group sums times G / (G - 1) where that is larger, and the reference is Student's t with G - 1 degrees; Cox's
    covariance is the sandwich over groups.

    Source: Spiegelhalter 1986, "Probabilistic prediction in patient management and clinical trials", section 4; Cox
    1958, "Two further applications of a model for binary regression"; in the large: Miller, Langefeld, Tierney, Hui &
    McDonald 1993; groups: Liang & Zeger 1986, equation 7.

    Raises:
        BadInputError: shapes, missing values, probabilities outside of 0 to 1, or fewer than two groups.
    """
    rows = ScoredRows.of_score(is_positive, probability)
    told, seen = rows.score, rows.is_positive.astype(float)
    if told.min() < 0 or told.max() > 1:
        raise BadInputError(f"Probabilities run from {told.min():.4g} to {told.max():.4g}, expected 0 to 1.")
    member, num_groups = _members(groups, len(rows))
    residual, doubt = seen - told, told * (1 - told)
    large = _z_and_p_value(residual, doubt, member, num_groups)
    tilt = 1 - 2 * told
    spread = _z_and_p_value(residual * tilt, doubt * tilt**2, member, num_groups)
    intercept, slope = _cox_line(seen, told, member, num_groups, confidence)
    return CalibrationDrift(
        num_rows=len(rows),
        observed=float(seen.sum()),
        expected=float(told.sum()),
        calibration_gap=float(residual.mean()),
        in_the_large_z=large[0],
        in_the_large_p_value=large[1],
        excess_brier=float((residual * tilt).mean()),
        spiegelhalter_z=spread[0],
        spiegelhalter_p_value=spread[1],
        intercept=intercept,
        slope=slope,
    )


def _members(groups: np.ndarray | None, num_rows: int) -> tuple[np.ndarray | None, int]:
    """((N,) group of each row or None where each has one row, number of groups)."""
    if groups is None:
        return None, num_rows
    if len(groups) != num_rows:
        raise BadInputError(f"groups has {len(groups)} rows, expected {num_rows}.")
    names, member = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    if len(names) == num_rows:
        return None, num_rows
    if len(names) < 2:
        raise BadInputError("All rows are of one group; its rows can't be told from its own ways.")
    return member, len(names)


def _z_and_p_value(
    residual: np.ndarray, variance: np.ndarray, member: np.ndarray | None, num_groups: int
) -> tuple[float, float]:
    """Sum of residuals (N,) in standard errors, and its two-sided p-value."""
    total = float(variance.sum())
    if member is not None:
        sums = np.bincount(member, weights=residual)
        total = max(total, float((sums**2).sum()) * num_groups / (num_groups - 1))
    if total <= 0:
        return float("nan"), float("nan")
    z = float(residual.sum() / np.sqrt(total))
    return z, float(2 * _distribution(member, num_groups).sf(abs(z)))


def _distribution(member: np.ndarray | None, num_groups: int):
    return norm if member is None else student_t(num_groups - 1)


def _cox_line(
    seen: np.ndarray, told: np.ndarray, member: np.ndarray | None, num_groups: int, confidence: float
) -> tuple[Interval, Interval]:
    """(intercept, slope) with Wald intervals."""
    unknown = Interval(float("nan"), float("nan"), float("nan"), confidence)
    clipped = np.clip(told, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    log_odds = np.log(clipped) - np.log1p(-clipped)
    if np.ptp(log_odds) < STEP_TOLERANCE or seen.min() == seen.max():
        return unknown, unknown
    design = np.column_stack([np.ones(len(seen)), log_odds])
    weights = np.array([0.0, 1.0])
    for _ in range(MAX_STEPS):  # Newton
        fitted = 1 / (1 + np.exp(-np.clip(design @ weights, -500, 500)))
        information = design.T @ (design * (fitted * (1 - fitted))[:, None])
        if np.linalg.cond(information) > 1 / STEP_TOLERANCE:
            return unknown, unknown
        step = np.linalg.solve(information, design.T @ (seen - fitted))
        weights = weights + step
        if np.abs(step).max() < STEP_TOLERANCE:
            break
    if not np.abs(weights).max() < LARGEST_WEIGHT or np.abs(step).max() > 1e-6:
        return unknown, unknown  # the classes are apart: the likelihood has no largest value
    covariance = np.linalg.inv(information)
    if member is not None:
        scores = design * (seen - fitted)[:, None]
        of_group = np.column_stack([np.bincount(member, weights=column) for column in scores.T])
        covariance = covariance @ (of_group.T @ of_group) @ covariance * num_groups / (num_groups - 1)
    half = _distribution(member, num_groups).ppf((1 + confidence) / 2) * np.sqrt(np.diag(covariance))
    intervals = [
        Interval(float(value), float(value - width), float(value + width), confidence)
        for value, width in zip(weights, half, strict=True)
    ]
    return intervals[0], intervals[1]
