"""Is the model better than one number for all rows?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from core.evaluation.intervals import bootstrap_replicates, percentile_range, replicate_interval
from core.evaluation.paired_tests import bootstrap_p_value
from core.regression.metrics import REGRESSION_METRICS
from core.regression.predicted_rows import PredictedRows


def naive_gain(
    rows: PredictedRows,
    naive_value: float,
    *,
    num_bootstrap: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> dict[str, Any]:
    """`{value, mae: {value, low, high}, gain: {value, low, high, p_value}}` of the naive value for each row.

    gain: mean absolute error of the naive value minus that of the rows' own values, so that above 0 the model is
    better; both see the same resampled rows, whole groups (N,) where given. In the target's unit.

    Raises:
        BadInputError: groups of another length.
    """
    metric = REGRESSION_METRICS["mae"]
    naive = replace(rows, value=np.full(len(rows), float(naive_value)))
    replicates = bootstrap_replicates(metric, [naive, rows], num_bootstrap=num_bootstrap, seed=seed, groups=groups)
    error = metric.of_rows(naive)
    interval = replicate_interval(metric, error, replicates[0], confidence)
    gains = replicates[0] - replicates[1]
    low, high = percentile_range(gains, confidence)
    return {
        "value": float(naive_value),
        "mae": {"value": interval.value, "low": interval.low, "high": interval.high},
        "gain": {
            "value": error - metric.of_rows(rows),
            "low": low,
            "high": high,
            "p_value": bootstrap_p_value(gains),
        },
    }
