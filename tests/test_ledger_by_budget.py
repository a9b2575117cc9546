"""Ledgers of single budgets, joined."""

from types import SimpleNamespace

import numpy as np

from core.evaluation.ledger import LedgerRun, build_ledger
from core.evaluation.ledger_by_budget import ledger_by_budget


def test_ledger_by_budget_joins_the_ledgers_of_budgets_with_other_methods():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 20)
    target = SimpleNamespace(targets=labels, groups=np.arange(40).astype(str))

    def run(method, budget, draw):
        positive = np.clip(0.3 * labels + rng.uniform(0.1, 0.6, 40), 0, 1)
        return LedgerRun(method, budget, draw, draw, np.column_stack([1 - positive, positive]))

    runs = [run("plain", 0, 0), run("aligned", 0, 0), *(run(m, 50, d) for m in ("plain", "pooled") for d in (0, 1))]
    joined = ledger_by_budget(runs, target, (0, 50), baseline="plain")
    assert {(row["budget"], row["method"]) for row in joined["entries"]} == {
        (0, "plain"), (0, "aligned"), (50, "plain"), (50, "pooled"),
    }  # fmt: skip
    alone = build_ledger(runs[2:], labels, metric="auc", positive_index=1, baseline="plain", groups=target.groups)
    found = [row for row in joined["entries"] if row["budget"] == 50]
    assert found == [{**row, "baseline": "plain"} for row in alone["entries"]]
    assert len(joined["runs"]) == len(runs)
    assert set(joined["best_by_budget"]) == {"0", "50"}


def test_ledger_by_budget_with_a_baseline_for_each_budget_compares_with_it():
    labels = np.repeat([0, 1], 20)
    target = SimpleNamespace(targets=labels, groups=np.arange(40).astype(str))
    rng = np.random.default_rng(1)

    def run(method, budget):
        positive = np.clip(0.3 * labels + rng.uniform(0.1, 0.6, 40), 0, 1)
        return LedgerRun(method, budget, 0, 0, np.column_stack([1 - positive, positive]))

    runs = [run(method, budget) for budget in (0, 50) for method in ("source", "target")]
    joined = ledger_by_budget(runs, target, (0, 50), baseline={0: "source", 50: "target"})
    verdict = {(row["budget"], row["method"]): row["verdict"] for row in joined["entries"]}
    assert verdict[0, "source"] == "baseline" and verdict[50, "target"] == "baseline"
    by_name = {(row["budget"], row["method"]): row for row in joined["entries"]}
    gap = by_name[50, "source"]["mean"] - by_name[50, "target"]["mean"]
    np.testing.assert_allclose(by_name[50, "source"]["difference"], gap)
