"""Ledgers of label budgets at which other methods ran or other draws were made, joined into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.data.samples import Samples
from core.evaluation.ledger import LedgerRun, build_ledger


def ledger_by_budget(
    runs: Sequence[LedgerRun], target: Samples, budgets: Sequence[int | str], *, baseline: str | Mapping[Any, str]
) -> dict[str, Any]:
    """One AUC ledger a budget, since methods and draws differ, joined; entries in the order of the budgets.

    baseline: for all budgets, or budget -> method; each entry names the one that it was compared with. Intervals are by
    whole groups of the target's rows, which every run scored. p-values are adjusted within a budget.
    """
    baseline_of = {budget: baseline if isinstance(baseline, str) else baseline[budget] for budget in budgets}
    parts = [
        build_ledger(
            [run for run in runs if run.budget == budget], target.targets,
            metric="auc", positive_index=1, baseline=baseline_of[budget], groups=target.groups,
        )
        for budget in budgets
    ]  # fmt: skip
    for part in parts:
        for entry in part["entries"]:
            entry["baseline"] = part["baseline"]
    joined = {name: [row for part in parts for row in part[name]] for name in ("entries", "runs")}
    best = {budget: method for part in parts for budget, method in part["best_by_budget"].items()}
    return {**parts[-1], **joined, "best_by_budget": best}
