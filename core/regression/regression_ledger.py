"""The transfer ledger of predicted numbers: did moving knowledge help, at each label budget, by more than chance?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.errors import BadInputError
from core.evaluation.intervals import bootstrap_replicates
from core.evaluation.ledger import BASELINE, NO_BASELINE, combine_draws, ledger_entry
from core.evaluation.ledger_runs import Budget, Cell, check_draws
from core.evaluation.multiple_testing import holm
from core.regression.intervals import defined_value
from core.regression.metrics import MEAN_ERROR, REGRESSION_METRICS, ValueMetric
from core.regression.predicted_rows import PredictedRows

Cells = Mapping[Cell, Mapping[int, PredictedRows]]


@dataclass(frozen=True)
class RegressionRun:
    """One method fitted with one draw of labels, and its predicted values (N,) of the common test rows.

    budget: number of target labels, or "all". draw: which sample of labels; methods with the same draw saw the same
    labels. test_ids (N,): where given, they must be the same in all runs.
    """

    method: str
    budget: Budget
    draw: int
    seed: int
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
    cells = _predicted_cells(runs, truth)
    check_draws(cells, baseline)
    values = {cell: {d: defined_value(chosen, rows) for d, rows in draws.items()} for cell, draws in cells.items()}
    replicates = _replicates(chosen, cells, num_bootstrap, seed, groups)
    others = [REGRESSION_METRICS[name] for name in _point_metrics() if name != metric] + [MEAN_ERROR]
    entries = []
    for cell, draws in cells.items():
        entry = ledger_entry(chosen, cell, values, replicates, baseline, confidence)
        means = {other.name: float(np.mean([other.of_rows(rows) for rows in draws.values()])) for other in others}
        seconds = [run.fit_seconds for run in runs if (run.budget, run.method) == cell]
        entries.append({**entry, metric: entry["mean"], **means, "fit_seconds": float(np.mean(seconds))})
    compared = [entry for entry in entries if entry["verdict"] not in {BASELINE, NO_BASELINE}]
    for entry, adjusted in zip(compared, holm([e["p_value"] for e in compared]), strict=True):
        entry["p_adjusted"] = float(adjusted)
    sign = -1 if chosen.is_higher_better else 1
    entries.sort(key=lambda entry: (_budget_order(entry["budget"]), sign * entry["mean"]))
    best = {str(entry["budget"]): entry["method"] for entry in reversed(entries)}
    return {
        "metric": metric,
        "metric_title": chosen.title,
        "is_higher_better": chosen.is_higher_better,
        "baseline": baseline,
        "confidence": confidence,
        "num_bootstrap": num_bootstrap,
        "num_test_rows": len(truth),
        "best_method": best[str(entries[-1]["budget"])],
        "best_by_budget": dict(reversed(best.items())),
        "entries": entries,
        "runs": [
            {
                "budget": run.budget,
                "method": run.method,
                "draw": run.draw,
                "seed": run.seed,
                "value": values[run.budget, run.method][run.draw],
                "fit_seconds": run.fit_seconds,
                "info": dict(run.info),
            }
            for run in runs
        ],
    }


def _predicted_cells(runs: Sequence[RegressionRun], truth: np.ndarray) -> dict[Cell, dict[int, PredictedRows]]:
    """(budget, method) -> draw -> checked rows; a run that does not fit is named."""
    if not runs:
        raise BadInputError("The ledger got no runs.")
    cells: dict[Cell, dict[int, PredictedRows]] = defaultdict(dict)
    known_ids = next((run.test_ids for run in runs if run.test_ids is not None), None)
    for run in runs:
        name = f"{run.method} at {run.budget} labels, draw {run.draw}"
        if len(run.value) != len(truth):
            raise BadInputError(
                f"{name} predicted {len(run.value)} test rows, expected {len(truth)}.",
                repair="All runs of a ledger must predict the same test rows.",
            )
        if run.test_ids is not None and not np.array_equal(run.test_ids, known_ids):
            raise BadInputError(f"{name} predicted other test rows than the first run, or in another order.")
        if run.draw in cells[run.budget, run.method]:
            raise BadInputError(f"{name} is given twice.")
        try:
            cells[run.budget, run.method][run.draw] = PredictedRows.checked(truth, run.value)
        except BadInputError as error:
            raise BadInputError(f"{name}: {error.message}", repair=error.repair) from None
    return dict(cells)


def _replicates(
    metric: ValueMetric, cells: Cells, num_bootstrap: int, seed: int, groups: np.ndarray | None
) -> dict[Cell, np.ndarray]:
    """(B,) replicates of each cell's mean; replicate b draws the same rows everywhere, the same draws in a budget."""
    places = [(cell, draw) for cell, draws in cells.items() for draw in sorted(draws)]
    all_rows = [cells[cell][draw] for cell, draw in places]
    by_run = bootstrap_replicates(metric, all_rows, num_bootstrap=num_bootstrap, seed=seed, groups=groups)
    combined = {}
    for cell in cells:
        matrix = by_run[[place == cell for place, _ in places]].T  # (B, D)
        drawn = np.random.default_rng([seed, matrix.shape[1]]).integers(matrix.shape[1], size=matrix.shape)
        combined[cell] = combine_draws(matrix, drawn)
    return combined


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


def _budget_order(budget: Budget) -> float:
    """Rising; "all" comes last."""
    return np.inf if budget == "all" else float(budget)
