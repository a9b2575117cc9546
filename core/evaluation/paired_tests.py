"""Is one model better than another on the same rows, or over the same folds?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student_t

from core.errors import BadInputError
from core.evaluation.delong import auc_covariance
from core.evaluation.intervals import bootstrap_replicates, percentile_range
from core.evaluation.metrics import Metric
from core.evaluation.scored_rows import ScoredRows


@dataclass(frozen=True)
class PairedResult:
    """First minus second, its interval, and the two-sided p-value of no difference."""

    difference: float
    low: float
    high: float
    p_value: float
    method: str


def delong_test(
    is_positive: np.ndarray, scores_a: np.ndarray, scores_b: np.ndarray, confidence: float = 0.95
) -> PairedResult:
    """AUC of `scores_a` (N,) minus that of `scores_b` (N,) on the same rows.

    Source: DeLong, DeLong & Clarke-Pearson 1988, equation 8.

    Raises:
        BadInputError: shapes, missing values, or fewer than two rows of a class.
    """
    if np.shape(scores_a) != np.shape(scores_b):
        raise BadInputError(f"Scores have shapes {np.shape(scores_a)} and {np.shape(scores_b)}, expected equal.")
    value, covariance = auc_covariance(is_positive, np.stack([scores_a, scores_b]))
    difference = float(value[0] - value[1])
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return _normal_result(difference, float(np.sqrt(max(variance, 0))), confidence, norm, "DeLong")


def bootstrap_paired_test(
    metric: Metric,
    labels: np.ndarray,
    probability_a: np.ndarray,
    probability_b: np.ndarray,
    positive_index: int,
    *,
    num_bootstrap: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> PairedResult:
    """The metric of (N, C) `probability_a` minus that of `probability_b`; both see the same resampled rows.

    Raises:
        BadInputError: shapes, missing values, one class only, or most replicates lack a class.
    """
    scored = [ScoredRows.checked(labels, probability, positive_index) for probability in (probability_a, probability_b)]
    difference = metric.of_rows(scored[0]) - metric.of_rows(scored[1])
    replicates = bootstrap_replicates(metric, scored, num_bootstrap=num_bootstrap, seed=seed, groups=groups)
    gaps = replicates[0] - replicates[1]
    low, high = percentile_range(gaps, confidence)
    return PairedResult(difference, low, high, bootstrap_p_value(gaps), "paired bootstrap")


def bootstrap_p_value(replicates: np.ndarray) -> float:
    """Two-sided p-value of zero from replicates (B,) of a difference; never below 2 / (B + 1).

    Source: Davison & Hinkley 1997, equation 4.11, on the inverted percentile interval.
    """
    defined = replicates[np.isfinite(replicates)]
    tail = min((defined <= 0).sum(), (defined >= 0).sum())
    return float(min(1.0, 2 * (tail + 1) / (len(defined) + 1)))


def corrected_resampled_t_test(
    differences: np.ndarray, test_fraction: float, *, confidence: float = 0.95
) -> PairedResult:
    """Mean of F differences (F,) over resampled splits or repeated folds of one data set.

    test_fraction: rows of a split that are tested, 0.2 for five folds. Training sets overlap, so the plain t-test
    calls far too many differences real; the variance is (1/F + n_test/n_train) s^2 instead of s^2/F.

    Source: Nadeau & Bengio 2003, section 4.1; repeated folds: Bouckaert & Frank 2004.

    Raises:
        BadInputError: fewer than two differences, a missing one, or a fraction outside (0, 1).
    """
    differences = np.asarray(differences, dtype=float)
    if differences.ndim != 1 or len(differences) < 2 or not np.isfinite(differences).all():
        raise BadInputError(f"Differences of shape {differences.shape}, expected at least two finite values (F,).")
    if not 0 < test_fraction < 1:
        raise BadInputError(f"test_fraction is {test_fraction}, expected between 0 and 1.")
    num_folds = len(differences)
    factor = 1 / num_folds + test_fraction / (1 - test_fraction)
    error = float(np.sqrt(factor * differences.var(ddof=1)))
    return _normal_result(
        float(differences.mean()), error, confidence, student_t(num_folds - 1), "corrected resampled t"
    )


def _normal_result(difference: float, error: float, confidence: float, distribution: Any, method: str) -> PairedResult:
    """Interval and p-value of a difference with its standard error; an error of zero leaves no doubt."""
    half = float(distribution.ppf((1 + confidence) / 2)) * error
    if error == 0:
        return PairedResult(difference, difference, difference, float(difference == 0), method)
    p_value = float(2 * distribution.sf(abs(difference) / error))
    return PairedResult(difference, difference - half, difference + half, p_value, method)
