"""Bootstrap intervals of metrics of predicted numbers."""

from __future__ import annotations

import numpy as np

from core.errors import BadInputError
from core.evaluation.intervals import MAX_UNDEFINED_FRACTION, Interval, bootstrap_replicates, replicate_interval
from core.evaluation.metrics import Metric
from core.regression.predicted_rows import PredictedRows


def bootstrap_value_interval(
    metric: Metric,
    rows: PredictedRows,
    *,
    num_bootstrap: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> Interval:
    """The metric of the rows with its bootstrap interval (see `replicate_interval`).

    groups (N,): resample whole groups.

    Raises:
        BadInputError: the metric needs a band that the rows lack, is undefined (R squared of equal true values), or is
            so in most replicates; or groups of another length.
    """
    value = defined_value(metric, rows)
    replicates = bootstrap_replicates(metric, [rows], num_bootstrap=num_bootstrap, seed=seed, groups=groups)[0]
    num_undefined = int((~np.isfinite(replicates)).sum())
    if num_undefined > MAX_UNDEFINED_FRACTION * len(replicates):
        raise BadInputError(
            f"{metric.title} is undefined in {num_undefined} of {len(replicates)} bootstrap replicates: their true"
            " values are all equal.",
            repair="Use more rows or more groups.",
        )
    return replicate_interval(metric, value, replicates, confidence)


def defined_value(metric: Metric, rows: PredictedRows) -> float:
    """The metric of the rows.

    Raises:
        BadInputError: the rows lack a band that it needs, or it is undefined for them.
    """
    value = metric.of_rows(rows)
    if not np.isfinite(value):
        raise BadInputError(
            f"{metric.title} of {len(rows)} rows is undefined: all true values are {rows.truth[0]:g}.",
            repair="Use rows with different true values, or another metric, for example mae.",
        )
    return value
