"""Told against observed rates: the calibration table. The maps that mend it are in `calibrators/`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.evaluation.calibrators import CALIBRATORS
from core.evaluation.equal_mass_bins import equal_mass_bins
from core.evaluation.intervals import wilson_interval
from core.evaluation.scored_rows import ScoredRows

__all__ = ["CALIBRATORS", "calibration_table"]


def calibration_table(
    is_positive: np.ndarray, score: np.ndarray, *, num_bins: int = 10, confidence: float = 0.95
) -> pd.DataFrame:
    """One row a bin of equal mass: mean probability told, rate observed with its Wilson interval.

    Columns: bin, rows, positives, mean_probability, observed_rate, observed_low, observed_high.

    Raises:
        BadInputError: shapes or missing values.
    """
    rows = ScoredRows.of_score(is_positive, score)
    bins = equal_mass_bins(rows.score, num_bins)
    num_rows = np.bincount(bins)
    num_positive = np.bincount(bins, weights=rows.is_positive)
    low, high = wilson_interval(num_positive, num_rows, confidence)
    return pd.DataFrame(
        {
            "bin": np.arange(1, len(num_rows) + 1),
            "rows": num_rows,
            "positives": num_positive.astype(int),
            "mean_probability": np.bincount(bins, weights=rows.score) / num_rows,
            "observed_rate": num_positive / num_rows,
            "observed_low": low,
            "observed_high": high,
        }
    )
