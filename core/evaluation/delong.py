"""DeLong's covariance of correlated AUCs in O(N log N), and the interval of one AUC."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm, rankdata

from core.errors import BadInputError
from core.evaluation.intervals import Interval
from core.evaluation.scored_rows import ScoredRows


def auc_covariance(is_positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUCs (K,) of K scores (K, N) on the same rows, and their covariance (K, K).

    Source: DeLong, DeLong & Clarke-Pearson 1988, equations 4 to 7; midranks: Sun & Xu 2014, equation 10.

    Raises:
        BadInputError: shapes, missing values, or fewer than two rows of a class.
    """
    scored = [ScoredRows.of_score(is_positive, score) for score in np.atleast_2d(scores)]
    mask = scored[0].require_both_classes().is_positive
    num_positive, num_negative = int(mask.sum()), int((~mask).sum())
    if min(num_positive, num_negative) < 2:
        raise BadInputError(
            f"DeLong's variance needs two rows of each class; got {num_positive} positive and {num_negative} negative."
        )
    of_positive = np.empty((len(scored), num_positive))  # V10: share of negatives below each positive
    of_negative = np.empty((len(scored), num_negative))  # V01: share of positives above each negative
    for index, rows in enumerate(scored):
        ranks = rankdata(rows.score)
        of_positive[index] = (ranks[mask] - rankdata(rows.score[mask])) / num_negative
        of_negative[index] = 1 - (ranks[~mask] - rankdata(rows.score[~mask])) / num_positive
    covariance = np.cov(of_positive) / num_positive + np.cov(of_negative) / num_negative
    return of_positive.mean(axis=1), np.atleast_2d(covariance)


def delong_interval(is_positive: np.ndarray, score: np.ndarray, confidence: float = 0.95) -> Interval:
    """The AUC of one score (N,) with its normal interval, cut at 0 and 1.

    Raises:
        BadInputError: as `auc_covariance`.
    """
    value, covariance = auc_covariance(is_positive, score)
    half = norm.ppf((1 + confidence) / 2) * np.sqrt(covariance[0, 0])
    return Interval(float(value[0]), float(max(value[0] - half, 0)), float(min(value[0] + half, 1)), confidence)
