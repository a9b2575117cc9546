"""Log-odds as the points of a credit score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PointsScale:
    """`base_points` at odds of `base_odds` good to one bad; `points_to_double_odds` more double the odds.

    points = offset - factor * log-odds of bad, factor = points_to_double_odds / ln 2,
    offset = base_points - factor * ln(base_odds).

    Source: Siddiqi 2006, Credit Risk Scorecards, chapter 6, "Scaling".
    """

    base_points: float = 600.0
    base_odds: float = 50.0
    points_to_double_odds: float = 20.0

    @property
    def factor(self) -> float:
        """Points for one unit of log-odds."""
        return float(self.points_to_double_odds / np.log(2.0))

    @property
    def offset(self) -> float:
        """Points at even odds."""
        return float(self.base_points - self.factor * np.log(self.base_odds))

    def points_of(self, logits: np.ndarray) -> np.ndarray:
        """(N,) points of log-odds of class 1 (bad)."""
        return self.offset - self.factor * np.asarray(logits, dtype=float)

    def logits_of(self, points: np.ndarray) -> np.ndarray:
        """(N,) log-odds of class 1; inverse of `points_of`."""
        return (self.offset - np.asarray(points, dtype=float)) / self.factor
