"""How sure the calibration map itself is: a bootstrap band over the raw score, saved as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.special import expit

from core.evaluation.calibrators.base import Calibrator
from core.evaluation.resampling import resample_counts
from core.evaluation.scored_rows import ScoredRows

# Even steps of log odds: as fine at one in a thousand as at one half.
GRID = np.concatenate([[0.0], expit(np.linspace(-9, 9, 181)), [1.0]])
# Replicates that lack a class are drawn anew, at most this many times as many as are wanted.
MAX_EXTRA_DRAWS = 20


@dataclass(frozen=True)
class CalibrationBand:
    """Low and high end of the calibrated positive-class probability at raw scores `grid`; all (G,), grid rising.

    It tells what the size of the calibration sample leaves open, not the spread between borrowers. Without a
    calibration map there is nothing to be unsure of, and its width is zero.
    """

    grid: np.ndarray
    low: np.ndarray
    high: np.ndarray
    confidence: float

    @classmethod
    def fit(
        cls,
        calibrator_class: type[Calibrator],
        probability: np.ndarray,
        labels: np.ndarray,
        *,
        positive_index: int,
        confidence: float = 0.95,
        seed: int = 0,
        num_refits: int = 200,
        groups: np.ndarray | None = None,
    ) -> Self:
        """Refit the map on bootstrap samples of raw probabilities (N, C) and class indices (N,).

        Several classes are seen as the positive one against the rest, which is exact for two.

        Source: percentile band, Efron & Tibshirani 1993, section 13.3.

        Raises:
            BadInputError: shapes, missing values, or one class only.
        """
        rows = ScoredRows.checked(labels, probability, positive_index).require_both_classes()
        raw, is_positive = _two_columns(rows.score), rows.is_positive.astype(int)
        centre = _map_on_grid(calibrator_class, raw, is_positive)
        curves = []
        for counts in resample_counts(len(rows), MAX_EXTRA_DRAWS * num_refits, seed=seed, groups=groups):
            for count in counts.astype(int):
                drawn = np.repeat(np.arange(len(rows)), count)
                if 0 < is_positive[drawn].sum() < len(drawn):
                    curves.append(_map_on_grid(calibrator_class, raw[drawn], is_positive[drawn]))
                if len(curves) == num_refits:
                    break
            if len(curves) == num_refits:
                break
        curves = curves or [centre]
        low, high = np.quantile(curves, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
        return cls(GRID.copy(), np.minimum(low, centre), np.maximum(high, centre), confidence)

    @classmethod
    def identity(cls, confidence: float = 0.95) -> Self:
        """The band of no map at all: its width is zero."""
        return cls(GRID.copy(), GRID.copy(), GRID.copy(), confidence)

    def transform(self, raw_positive: np.ndarray, calibrated: np.ndarray | None = None) -> np.ndarray:
        """(N, 2) low and high end for raw positive-class probabilities (N,).

        calibrated (N,): the map's own values; the band is widened to hold them. At grid points it does so anyway;
        a curve with corners can leave it between two of them.
        """
        low = np.interp(raw_positive, self.grid, self.low)
        high = np.interp(raw_positive, self.grid, self.high)
        if calibrated is not None:
            low, high = np.minimum(low, calibrated), np.maximum(high, calibrated)
        return np.column_stack([low, high])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "grid": self.grid.tolist(),
            "low": self.low.tolist(),
            "high": self.high.tolist(),
            "confidence": self.confidence,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Inverse of `to_dict`, to the last bit."""
        return cls(*(np.array(values[name], dtype=float) for name in ("grid", "low", "high")), values["confidence"])


def _two_columns(positive: np.ndarray) -> np.ndarray:
    return np.column_stack([1 - positive, positive])


def _map_on_grid(calibrator_class: type[Calibrator], raw: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(G,) calibrated values of a fresh map at the grid's raw scores."""
    return calibrator_class().fit(raw, labels).transform(_two_columns(GRID))[:, 1]
