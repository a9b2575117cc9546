"""Curves as tables, ready to be written as CSV for `dvc plots`."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_curve

from core.evaluation.scored_rows import ScoredRows

MAX_POINTS = 500


def roc_table(is_positive: np.ndarray, score: np.ndarray) -> pd.DataFrame:
    """Columns threshold, false_positive_rate, true_positive_rate, from nobody called positive to all.

    At most 500 points are kept, evenly along the curve, so that a plot of a million rows stays small.

    Raises:
        BadInputError: shapes, missing values, or one class only.
    """
    rows = ScoredRows.of_score(is_positive, score).require_both_classes()
    false_positive, true_positive, threshold = roc_curve(rows.is_positive, rows.score)
    threshold[0] = np.nextafter(max(1.0, rows.score.max()), np.inf)  # scikit-learn: infinity
    return _thinned(
        pd.DataFrame(
            {
                "threshold": threshold,
                "false_positive_rate": false_positive,
                "true_positive_rate": true_positive,
            }
        )
    )


def precision_recall_table(is_positive: np.ndarray, score: np.ndarray) -> pd.DataFrame:
    """Columns threshold, recall, precision, recall falling from 1.

    Raises:
        BadInputError: shapes, missing values, or one class only.
    """
    rows = ScoredRows.of_score(is_positive, score).require_both_classes()
    precision, recall, threshold = precision_recall_curve(rows.is_positive, rows.score)
    # The last point (recall 0, precision 1) belongs to no threshold.
    return _thinned(pd.DataFrame({"threshold": threshold, "recall": recall[:-1], "precision": precision[:-1]}))


def gains_table(is_positive: np.ndarray, score: np.ndarray, *, num_bins: int = 20) -> pd.DataFrame:
    """What one catches by going through the rows from the highest score down.

    Columns: population_fraction, threshold, rows, positives, captured_fraction (of all positives), lift
    (captured_fraction / population_fraction), bin_rate (positives among the bin's own rows), bin_lift (bin_rate /
    overall rate). Row 0 is the empty start. Rows with equal scores at a bin's edge count in part: each carries the
    share of positives of its score, as if they were shuffled.

    Raises:
        BadInputError: shapes, missing values, or one class only.
    """
    rows = ScoredRows.of_score(is_positive, score).require_both_classes()
    order, starts = rows.ascending
    sizes = np.diff(np.r_[starts, len(rows)])
    rate = np.add.reduceat(rows.is_positive[order].astype(float), starts) / sizes
    expected = np.repeat(rate, sizes)[::-1]  # (N,) chance of a positive, highest score first
    captured = np.r_[0, np.cumsum(expected)]
    ends = np.unique(np.round(np.linspace(0, len(rows), num_bins + 1)).astype(int))
    population = ends / len(rows)
    fraction = captured[ends] / captured[-1]
    bin_rows = np.diff(ends, prepend=0)
    bin_positives = np.diff(captured[ends], prepend=0)
    highest_first = rows.score[order][::-1]
    with np.errstate(invalid="ignore"):
        bin_rate = bin_positives / bin_rows
        lift = fraction / population
    return pd.DataFrame(
        {
            "population_fraction": population,
            "threshold": np.r_[np.nextafter(max(1.0, highest_first[0]), np.inf), highest_first[ends[1:] - 1]],
            "rows": ends,
            "positives": captured[ends],
            "captured_fraction": fraction,
            "lift": lift,
            "bin_rate": bin_rate,
            "bin_lift": bin_rate / rows.is_positive.mean(),
        }
    )


def _thinned(table: pd.DataFrame) -> pd.DataFrame:
    """At most MAX_POINTS rows, the first and the last among them."""
    if len(table) <= MAX_POINTS:
        return table
    kept = np.unique(np.linspace(0, len(table) - 1, MAX_POINTS).round().astype(int))
    return table.iloc[kept].reset_index(drop=True)
