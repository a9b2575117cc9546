"""Score bands with observed rates: does A really default less than B?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.errors import BadInputError
from core.evaluation.equal_mass_bins import equal_mass_bins
from core.evaluation.intervals import wilson_interval
from core.evaluation.scored_rows import ScoredRows


def score_band_table(
    is_positive: np.ndarray,
    score: np.ndarray,
    bands: np.ndarray | None = None,
    *,
    num_bands: int = 10,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """One row a band, safest first: rows, share, told and observed rate with its Wilson interval, running totals.

    bands (N,): names such as A to G; without them bands of equal mass are made, named 1, 2, ...
    Columns: band, rows, row_fraction, positives, min_probability, max_probability, mean_probability, observed_rate,
    observed_low, observed_high, cumulative_rows_fraction, cumulative_observed_rate, is_in_order (the observed rate
    is no lower than in the band before).

    Raises:
        BadInputError: shapes or missing values.
    """
    rows = ScoredRows.of_score(is_positive, score)
    if bands is None:
        bands = equal_mass_bins(rows.score, num_bands) + 1
    if np.shape(bands) != (len(rows),) or pd.isna(bands).any():
        raise BadInputError(f"bands has shape {np.shape(bands)}, expected ({len(rows)},) without missing names.")
    frame = pd.DataFrame({"band": bands, "score": rows.score, "is_positive": rows.is_positive})
    table = (
        frame.groupby("band", sort=False)
        .agg(
            rows=("score", "size"),
            positives=("is_positive", "sum"),
            min_probability=("score", "min"),
            max_probability=("score", "max"),
            mean_probability=("score", "mean"),
        )
        .sort_values("mean_probability")
        .reset_index()
    )
    table["observed_rate"] = table["positives"] / table["rows"]
    table["observed_low"], table["observed_high"] = wilson_interval(
        table["positives"].to_numpy(), table["rows"].to_numpy(), confidence
    )
    table.insert(2, "row_fraction", table["rows"] / len(rows))
    running = table["rows"].cumsum()
    table["cumulative_rows_fraction"] = running / len(rows)
    table["cumulative_observed_rate"] = table["positives"].cumsum() / running
    table["is_in_order"] = ~(table["observed_rate"].diff() < 0)
    return table
