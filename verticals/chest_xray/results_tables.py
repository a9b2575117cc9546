"""How the results of X1 and X2 are shown; see core/reporting/result_tables.py."""

from __future__ import annotations

from collections.abc import Mapping

from core.reporting.result_tables import Result, ResultTable, difference, figure, markdown_table

SPLITS = {"publisher": "as published", "patient_safe": "without patients of the test split"}
RULE = "threshold_of_validation"
X2_SHORT = ("source_only", "target_only", "guarded")


def x1_table(result: Result) -> str:
    """Methods by the patients that training may know; accuracy at the threshold that validation patients set."""
    rows = []
    for split, told in SPLITS.items():
        for entry in result[split]["ledger"]["entries"]:
            accuracy = result[split]["methods"][entry["method"]]["accuracy"][RULE]
            rows.append(
                [
                    told,
                    entry["method"],
                    figure(entry, "mean"),
                    figure(accuracy, "accuracy"),
                    f"{accuracy['sensitivity']:.3f}",
                    f"{accuracy['specificity']:.3f}",
                    entry["verdict"],
                ]
            )
    head = ["training patients", "method", "AUC [95 %]", "accuracy [95 %]", "sensitivity", "specificity", "verdict"]
    return markdown_table(head, rows)


def x2_table(result: Result, methods: tuple[str, ...] = ()) -> str:
    """Methods by the number of target labels, with the calibration error."""
    rows = [
        [
            str(entry["budget"]),
            entry["method"],
            figure(entry, "mean"),
            f"{entry['ece']:.3f}",
            difference(entry),
            entry["verdict"],
        ]
        for entry in result["ledger"]["entries"]
        if not methods or entry["method"] in methods
    ]
    baseline = result["ledger"]["baseline"]
    return markdown_table(["labels", "method", "AUC [95 %]", "ECE", f"against {baseline}", "verdict"], rows)


TABLES: Mapping[str, ResultTable] = {
    "x1": ResultTable("X1. Children's radiographs, the publisher's test split", x1_table),
    "x2": ResultTable(
        "X2. Children of one hospital to adults of another, folds of whole patients",
        x2_table,
        short=lambda result: x2_table(result, X2_SHORT),
    ),
}
