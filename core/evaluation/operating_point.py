"""The operating point for a stated sensitivity: a cut-off whose sensitivity is promised, not only seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from core.errors import BadInputError
from core.evaluation.scored_rows import ScoredRows
from core.evaluation.thresholds import threshold_for_sensitivity


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold for a target sensitivity, and what it does on the rows that set it.

    sensitivity, specificity: on those rows; specificity is NaN without negatives. sensitivity_low: one-sided lower
    bound at `confidence`. is_bound_reached: whether that bound, and not only the point estimate, is at the target.
    """

    threshold: float
    target_sensitivity: float
    sensitivity: float
    sensitivity_low: float
    specificity: float
    num_positives: int
    num_negatives: int
    confidence: float
    is_bound_reached: bool
    note: str


def operating_point_for_sensitivity(
    is_positive: np.ndarray, score: np.ndarray, target_sensitivity: float, *, confidence: float = 0.95
) -> OperatingPoint:
    """The largest threshold whose lower bound of sensitivity on rows (N,) is at least the target.

    With too few positives for any bound to reach the target, the largest threshold whose point estimate does; `note`
    says so. The bound holds although the rows chose the threshold: of k among n positives found, the true sensitivity
    at the k-th highest positive score follows Beta(k, n - k + 1), of which the bound is a quantile.

    Source: Clopper & Pearson 1934; the chosen threshold: Wilks 1941, tolerance limits by order statistics.

    Raises:
        BadInputError: shapes, missing values, no positive row, or a target or confidence outside (0, 1).
    """
    for name, value in (("target_sensitivity", target_sensitivity), ("confidence", confidence)):
        if not 0 < value < 1:
            raise BadInputError(f"{name} is {value}, expected between 0 and 1.")
    rows = ScoredRows.of_score(is_positive, score)
    falling = np.sort(rows.score[rows.is_positive])[::-1]
    num_positives = len(falling)
    if num_positives == 0:
        raise BadInputError(
            "There is no positive row, so no sensitivity.", repair="Use validation rows of both classes."
        )
    bounds = sensitivity_lower_bound(np.arange(1, num_positives + 1), num_positives, confidence)
    enough = np.flatnonzero(bounds >= target_sensitivity)
    is_bound_reached = len(enough) > 0
    if is_bound_reached:
        threshold = float(falling[enough[0]])
        note = f"The one-sided {confidence:.0%} Clopper-Pearson bound of the sensitivity is at the target or above."
    else:
        threshold = threshold_for_sensitivity(is_positive, score, target_sensitivity)
        needed = int(np.ceil(np.log(1 - confidence) / np.log(target_sensitivity)))
        note = (
            f"{num_positives} positive rows are too few to promise a sensitivity of {target_sensitivity:g} with "
            f"{confidence:.0%} confidence ({needed} that are all found would do): the point estimate is at the target, "
            "the bound is not."
        )
    is_called = rows.score >= threshold
    num_found = int((is_called & rows.is_positive).sum())
    num_negatives = len(rows) - num_positives
    passed = int((~is_called & ~rows.is_positive).sum())
    return OperatingPoint(
        threshold=threshold,
        target_sensitivity=float(target_sensitivity),
        sensitivity=num_found / num_positives,
        sensitivity_low=float(sensitivity_lower_bound(num_found, num_positives, confidence)),
        specificity=passed / num_negatives if num_negatives else float("nan"),
        num_positives=num_positives,
        num_negatives=num_negatives,
        confidence=confidence,
        is_bound_reached=is_bound_reached,
        note=note,
    )


def sensitivity_lower_bound(num_found: np.ndarray | int, num_positives: int, confidence: float = 0.95) -> np.ndarray:
    """One-sided lower bound of a rate of `num_found` among `num_positives`, elementwise; 0 where none was found.

    It is the rate p at which so many or more are found with the chance 1 - confidence.

    Source: Clopper & Pearson 1934, as the quantile Beta(1 - confidence; k, n - k + 1).
    """
    found = np.asarray(num_found, dtype=float)
    bound = beta.ppf(1 - confidence, np.maximum(found, 1), num_positives - np.maximum(found, 1) + 1)
    return np.where(found > 0, bound, 0.0)
