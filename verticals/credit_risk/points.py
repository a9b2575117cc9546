"""Probability of default <-> points, on the logarithmic odds scale that credit scores use."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from core.learners.points_scale import PointsScale
from verticals.credit_risk.options import CreditOptions


def points_scale(options: CreditOptions) -> PointsScale:
    """The scale of the options; the scorecard learner's points are on the same one."""
    return PointsScale(options.base_points, options.base_odds, options.points_to_double_odds)


def points_from_probability(probability: np.ndarray, options: CreditOptions) -> np.ndarray:
    """Unrounded points of default probabilities, clipped to `options.min_points .. max_points`.

    score = offset + factor * ln((1 - p) / p), factor = points_to_double_odds / ln 2,
    offset = base_points - factor * ln(base_odds): a higher score is a safer applicant. NaN stays NaN.

    Shape: (N,) in [0, 1] -> (N,).
    """
    points = points_scale(options).points_of(logit(np.asarray(probability, dtype=float)))
    return np.clip(points, options.min_points, options.max_points)


def probability_from_points(points: np.ndarray, options: CreditOptions) -> np.ndarray:
    """Default probabilities of (unclipped) points; inverse of `points_from_probability`.

    Shape: (N,) -> (N,) in (0, 1).
    """
    return expit(points_scale(options).logits_of(points))
