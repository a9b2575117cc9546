"""How the results of C1 to C4, R1 and R3 are shown; see core/reporting/result_tables.py."""

from __future__ import annotations

from collections.abc import Mapping

from core.reporting.result_tables import (
    Result,
    ResultTable,
    difference,
    figure,
    ledger_table,
    markdown_table,
    replay_table,
    warm_start_table,
)

C2_SHORT = ("xgboost_plain", "logistic_regression", "boosted_trees", "fused", "text_fusion")
C1_SHORT = ("xgboost_plain", "logistic_regression", "scorecard", "boosted_trees", "blend")
SHOWN = ("source_only", "target_only", "pooled", "continued_training", "stacked_score", "auto")


def c1_table(result: Result, methods: tuple[str, ...] = ()) -> str:
    """Methods on German credit."""
    rows = [
        [row["method"], figure(row, "auc"), difference(row), str(row.get("folds_won", "–")), row["verdict"]]
        for row in result["methods"]
        if not methods or row["method"] in methods
    ]
    return markdown_table(["method", "AUC [95 %]", f"against {result['baseline']}", "folds won of 10", "verdict"], rows)


def c2_table(result: Result, methods: tuple[str, ...] = ()) -> str:
    """Methods on LendingClub with texts."""
    rows = [
        [row["method"], figure(row, "auc"), difference(row), row["verdict"]]
        for row in result["methods"]
        if not methods or row["method"] in methods
    ]
    return markdown_table(["method", "AUC 2012 [95 %]", f"against {result['baseline']}", "verdict"], rows)


def c3_table(result: Result) -> str:
    """LendingClub over time, against the source alone and against the better single method."""
    ledger = result["ledger"]["against_target_only"]
    return ledger_table([row for row in ledger["entries"] if row["method"] in SHOWN], ledger["baseline"])


def c4_table(result: Result) -> str:
    """Other lenders to German credit."""
    return ledger_table(result["entries"], result["baseline"])


TABLES: Mapping[str, ResultTable] = {
    "c1": ResultTable(
        "C1. German credit, 5 folds twice (seed 0); intervals: corrected resampled t",
        c1_table,
        short=lambda result: c1_table(result, C1_SHORT),
    ),
    "c2": ResultTable(
        "C2. LendingClub with texts: fitted on loans issued before 2012, scored on 2012; intervals: DeLong",
        c2_table,
        short=lambda result: c2_table(result, C2_SHORT),
    ),
    "c3": ResultTable(
        "C3. The same lender over time: source before 2012, n labels of early 2012, scored on late 2012",
        c3_table,
        is_in_readme=False,
    ),
    "c4": ResultTable("C4. Other lenders to German credit, few labels", c4_table, is_in_readme=False),
    "r1": ResultTable(
        "R1. LendingClub month by month, 2011 and 2012, through the retraining loop", replay_table, is_in_readme=False
    ),
    "r3": ResultTable(
        "R3. LendingClub month by month: trained on from the last model, or from scratch on all months",
        warm_start_table,
        is_in_readme=False,
    ),
}
