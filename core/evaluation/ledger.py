"""The transfer ledger: did moving knowledge help, at each label budget, by more than chance?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from core.errors import BadInputError, did_you_mean
from core.evaluation.intervals import percentile_range, replicate_interval
from core.evaluation.ledger_runs import Budget, Cell, LedgerRun, check_draws, scored_cells
from core.evaluation.metrics import METRICS, Metric
from core.evaluation.multiple_testing import holm
from core.evaluation.paired_tests import bootstrap_p_value
from core.evaluation.resampling import resample_counts

__all__ = ["LedgerRun", "build_ledger", "champion_verdict"]

GAIN, NO_DIFFERENCE, NEGATIVE = "gain", "no difference", "negative transfer"
BASELINE, NO_BASELINE = "baseline", "no baseline"


def build_ledger(
    runs: Sequence[LedgerRun],
    labels: np.ndarray,
    *,
    metric: str,
    positive_index: int,
    baseline: str,
    confidence: float = 0.95,
    num_bootstrap: int = 1000,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> dict[str, Any]:
    """The JSON-ready ledger of runs on test rows with labels (N,).

    entries, by rising budget, best mean first: budget, method, draws, mean (of `metric` over the draws), sd (between
    draws), low, high; difference = gain over the baseline at the same budget, draws and rows, so that above 0 is
    better also where a lower metric is; its difference_low, difference_high, p_value, p_adjusted (Holm over the
    ledger); verdict: gain or negative transfer where the interval of the difference leaves out 0, else no difference
    ("baseline" for itself, "no baseline" where it has no run at that budget, for example without labels); all other
    metrics' means by name; fit_seconds (mean). best_by_budget, best_method (at the largest budget); runs: the value
    of every run.

    Intervals resample draws and test rows, both with replacement and independently (see `combine_draws`), whole
    groups (N,) of rows where given.

    Source: Owen 2007, "The pigeonhole bootstrap".

    Raises:
        BadInputError: no runs, other test rows, missing values, a run given twice, no run of the baseline, or a method
            without the draws that the baseline has.
    """
    scored = scored_cells(runs, labels, positive_index)
    any_rows = next(iter(next(iter(scored.values())).values()))
    return ledger_of(
        runs,
        scored,
        METRICS[metric],
        value_of=Metric.of_rows,
        others=[METRICS[name] for name in METRICS if name != metric],
        counts={"num_test_rows": len(any_rows), "num_test_positives": int(any_rows.is_positive.sum())},
        baseline=baseline,
        confidence=confidence,
        num_bootstrap=num_bootstrap,
        seed=seed,
        groups=groups,
    )


def ledger_of(
    runs: Sequence[Any],
    cells: Mapping[Cell, Mapping[int, Any]],
    chosen: Metric,
    *,
    value_of: Callable[[Metric, Any], float],
    others: Sequence[Metric],
    counts: Mapping[str, int],
    baseline: str,
    confidence: float,
    num_bootstrap: int,
    seed: int,
    groups: np.ndarray | None,
) -> dict[str, Any]:
    """The ledger of runs whose checked rows are `cells`, as `build_ledger` tells it, whatever the rows hold.

    value_of: the chosen metric of one run's rows. others: metrics whose means stand beside. counts: of the test rows.
    """
    check_draws(cells, baseline)
    values = {cell: {draw: value_of(chosen, rows) for draw, rows in draws.items()} for cell, draws in cells.items()}
    replicates = _replicates(chosen, cells, num_bootstrap, seed, groups)
    entries = []
    for cell, draws in cells.items():
        entry = ledger_entry(chosen, cell, values, replicates, baseline, confidence)
        means = {other.name: float(np.mean([other.of_rows(rows) for rows in draws.values()])) for other in others}
        seconds = [run.fit_seconds for run in runs if (run.budget, run.method) == cell]
        entries.append({**entry, chosen.name: entry["mean"], **means, "fit_seconds": float(np.mean(seconds))})
    compared = [entry for entry in entries if entry["verdict"] not in {BASELINE, NO_BASELINE}]
    for entry, adjusted in zip(compared, holm([e["p_value"] for e in compared]), strict=True):
        entry["p_adjusted"] = float(adjusted)
    sign = -1 if chosen.is_higher_better else 1
    entries.sort(key=lambda entry: (_budget_order(entry["budget"]), sign * entry["mean"]))
    best = {str(entry["budget"]): entry["method"] for entry in reversed(entries)}
    return {
        "metric": chosen.name,
        "metric_title": chosen.title,
        "is_higher_better": chosen.is_higher_better,
        "baseline": baseline,
        "confidence": confidence,
        "num_bootstrap": num_bootstrap,
        **counts,
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


def champion_verdict(ledger: Mapping[str, Any], method: str) -> dict[str, Any]:
    """May `method` be promoted as far as transfer goes? `{method, budget, verdict, is_promotable, reason, by_budget}`.

    The verdict is that at the method's largest budget, the one it would be used with; `by_budget` has the others.

    Raises:
        BadInputError: the ledger has no entry of the method; the nearest is named.
    """
    entries = [entry for entry in ledger["entries"] if entry["method"] == method]
    if not entries:
        known = {entry["method"] for entry in ledger["entries"]}
        raise BadInputError(f"The ledger has no method '{method}'.", repair=did_you_mean(method, known))
    last = entries[-1]
    if last["difference"] is None:
        reason = f"No run of {ledger['baseline']} at {last['budget']} labels to compare with."
    elif last["verdict"] == BASELINE:
        reason = "It is the baseline itself: nothing was moved."
    else:
        reason = (
            f"{last['verdict'].capitalize()} at {last['budget']} labels: {last['difference']:+.3f} in"
            f" {ledger['metric_title']} against {ledger['baseline']}, {ledger['confidence']:.0%} interval"
            f" {last['difference_low']:+.3f} to {last['difference_high']:+.3f}."
        )
    return {
        "method": method,
        "budget": last["budget"],
        "verdict": last["verdict"],
        "is_promotable": last["verdict"] != NEGATIVE,
        "reason": reason,
        "by_budget": {str(entry["budget"]): entry["verdict"] for entry in entries},
    }


def _replicates(
    metric: Metric,
    scored: Mapping[Cell, Mapping[int, Any]],
    num_bootstrap: int,
    seed: int,
    groups: np.ndarray | None,
) -> dict[Cell, np.ndarray]:
    """(B,) replicates of each cell's mean; replicate b draws the same rows everywhere, the same draws in a budget."""
    num_rows = len(next(iter(next(iter(scored.values())).values())))
    by_cell: dict[Cell, list[np.ndarray]] = defaultdict(list)
    for counts in resample_counts(num_rows, num_bootstrap, seed=seed, groups=groups):
        for cell, draws in scored.items():
            by_cell[cell].append(np.stack([metric.weighted(draws[d], counts) for d in sorted(draws)], axis=1))
    combined = {}
    for cell, parts in by_cell.items():
        matrix = np.concatenate(parts)
        rng = np.random.default_rng([seed, matrix.shape[1]])
        drawn = rng.integers(matrix.shape[1], size=matrix.shape)
        combined[cell] = combine_draws(matrix, drawn)
    return combined


def combine_draws(values: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """(B,) means over resampled draws; values (B, D) are the metric on replicate b's rows, drawn (B, D) indices.

    The deviation that resampling draws adds is stretched by sqrt(D / (D - 1)): of few draws the plain bootstrap
    sees only (D - 1) / D of their variance, half of it for two.
    """
    num_draws = values.shape[1]
    mean = values.mean(axis=1)
    if num_draws == 1:
        return mean
    resampled = np.take_along_axis(values, drawn, axis=1).mean(axis=1)
    return mean + np.sqrt(num_draws / (num_draws - 1)) * (resampled - mean)


def ledger_entry(
    metric: Metric,
    cell: Cell,
    values: Mapping[Cell, Mapping[int, float]],
    replicates: Mapping[Cell, np.ndarray],
    baseline: str,
    confidence: float,
) -> dict[str, Any]:
    """One row of the ledger, without the secondary metrics."""
    budget, method = cell
    by_draw = np.array(list(values[cell].values()))
    interval = replicate_interval(metric, float(by_draw.mean()), replicates[cell], confidence)
    entry = {
        "budget": budget,
        "method": method,
        "draws": len(by_draw),
        "mean": interval.value,
        "sd": float(by_draw.std(ddof=1)) if len(by_draw) > 1 else 0.0,
        "low": interval.low,
        "high": interval.high,
    }
    against = (budget, baseline)
    if against not in values:
        gap = dict.fromkeys(("difference", "difference_low", "difference_high", "p_value", "p_adjusted"))
        return {**entry, **gap, "verdict": NO_BASELINE}
    sign = 1 if metric.is_higher_better else -1
    gaps = sign * (replicates[cell] - replicates[against])
    low, high = percentile_range(gaps, confidence)
    is_baseline = method == baseline
    return {
        **entry,
        "difference": sign * (interval.value - float(np.mean(list(values[against].values())))) + 0.0,
        "difference_low": low,
        "difference_high": high,
        "p_value": bootstrap_p_value(gaps),
        "p_adjusted": 1.0 if is_baseline else None,
        "verdict": BASELINE if is_baseline else GAIN if low > 0 else NEGATIVE if high < 0 else NO_DIFFERENCE,
    }


def _budget_order(budget: Budget) -> float:
    """Rising; "all" comes last."""
    return np.inf if budget == "all" else float(budget)
