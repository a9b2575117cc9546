"""The transfer ledger of predicted numbers: did moving knowledge help, at each label budget, by more than chance?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.errors import BadInputError
from core.evaluation.ledger import ledger_of
from core.evaluation.ledger_runs import MethodRun, checked_cells
from core.regression.intervals import defined_value
from core.regression.metrics import MEAN_ERROR, REGRESSION_METRICS, ValueMetric
from core.regression.predicted_rows import PredictedRows


@dataclass(frozen=True)
class RegressionRun(MethodRun):
    """A run with its predicted values (N,) of the common test rows."""

    value: np.ndarray
    fit_seconds: float = 0.0
    info: Mapping[str, Any] = field(default_factory=dict)
    test_ids: np.ndarray | None = None


def build_regression_ledger(
    runs: Sequence[RegressionRun],
    truth: np.ndarray,
    *,
    metric: str = "mae",
    baseline: str,
    confidence: float = 0.95,
    num_bootstrap: int = 1000,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> dict[str, Any]:
    """The JSON-ready ledger of runs on test rows with true values (N,), in the form of `build_ledger`.

    entries, order, intervals, p-values and verdicts are as `core.evaluation.ledger.build_ledger` tells: difference is
    the gain over the baseline, above 0 is better also where a lower metric is. mean, low, high and difference have the
    metric's unit. Each entry has the means of all other metrics that need no band, and mean_error. Whole groups (N,)
    of rows are resampled where given.

    Source: Owen 2007, "The pigeonhole bootstrap".

    Raises:
        BadInputError: no runs, other test rows, missing values, a run given twice, no run of the baseline, a method
            without the draws that the baseline has, a metric of bands, or one that is undefined for these rows.
    """
    chosen = _ranking_metric(metric)
    return ledger_of(
        runs,
        checked_cells(runs, len(truth), "value", lambda told: PredictedRows.checked(truth, told)),
        chosen,
        value_of=defined_value,
        others=[REGRESSION_METRICS[name] for name in _point_metrics() if name != metric] + [MEAN_ERROR],
        counts={"num_test_rows": len(truth)},
        baseline=baseline,
        confidence=confidence,
        num_bootstrap=num_bootstrap,
        seed=seed,
        groups=groups,
    )


def _point_metrics() -> list[str]:
    """Names of the metrics that need no band, which a run does not have."""
    return [name for name in REGRESSION_METRICS if not REGRESSION_METRICS[name].needs_band]


def _ranking_metric(name: str) -> ValueMetric:
    metric = REGRESSION_METRICS[name]
    if metric.needs_band:
        raise BadInputError(
            f"'{name}' is a metric of bands, and the runs of a ledger have values only.",
            repair=f"Choose from: {', '.join(_point_metrics())}.",
        )
    return metric
