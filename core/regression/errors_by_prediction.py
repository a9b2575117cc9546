"""Are small predictions right and large ones too low? The error by decile of the prediction."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.errors import BadInputError
from core.evaluation.equal_mass_bins import equal_mass_bins
from core.regression.intervals import bootstrap_value_interval
from core.regression.metrics import MEAN_ERROR
from core.regression.predicted_rows import PredictedRows

# A bin of fewer rows shows chance: few rows get fewer bins.
MIN_BIN_ROWS = 10


def errors_by_prediction(
    rows: PredictedRows,
    *,
    num_bins: int = 10,
    num_bootstrap: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> pd.DataFrame:
    """One row a bin of equal mass, by rising prediction; at least ten rows a bin where predictions do not tie.

    Columns: bin, rows, mean_value (predicted), mean_error (predicted minus true) with mean_error_low, mean_error_high
    (bootstrap of the bin's rows, or of whole groups (N,) of them), error_quantile_10 and error_quantile_90 (the middle
    80 % of its errors), in the target's unit.

    Raises:
        BadInputError: groups of another length.
    """
    if groups is not None and len(groups) != len(rows):
        raise BadInputError(f"groups has {len(groups)} rows, expected {len(rows)}.")
    bins = equal_mass_bins(rows.value, max(1, min(num_bins, len(rows) // MIN_BIN_ROWS)))
    found = []
    for number in range(bins.max() + 1):
        mask = bins == number
        part = rows.part(mask)
        interval = bootstrap_value_interval(
            MEAN_ERROR,
            part,
            num_bootstrap=num_bootstrap,
            confidence=confidence,
            seed=seed,
            groups=None if groups is None else np.asarray(groups)[mask],
        )
        quantile_10, quantile_90 = np.quantile(part.error, [0.1, 0.9])
        found.append(
            {
                "bin": number + 1,
                "rows": len(part),
                "mean_value": part.value.mean(),
                "mean_error": interval.value,
                "mean_error_low": interval.low,
                "mean_error_high": interval.high,
                "error_quantile_10": quantile_10,
                "error_quantile_90": quantile_90,
            }
        )
    return pd.DataFrame(found)
