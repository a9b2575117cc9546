"""How the results of X1 and X2 are shown; see core/reporting/result_tables.py."""

from __future__ import annotations

from collections.abc import Mapping

from core.reporting.result_tables import Result, ResultTable, difference, figure, markdown_table

SPLITS = {"publisher": "as published", "patient_safe": "without patients of the test split"}
RULE = "threshold_of_validation"
X2_SHORT_BUDGETS = (0, 50)
X2_SHORT = {
    True: ("source_only", "aligned", "guarded"),
    False: ("target_only", "pooled", "guarded"),
}  # without labels, with


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
                    entry["verdict"].replace("negative transfer", "loss"),  # both methods move the same backbone
                ]
            )
    head = ["training patients", "method", "AUC [95 %]", "accuracy [95 %]", "sensitivity", "specificity", "verdict"]
    return markdown_table(head, rows)


def x2_table(result: Result, *, is_short: bool = False) -> str:
    """Methods by the number of target labels, with the calibration error; in short the main ones.

    By chance: what a model whose probabilities were all true would show on as many rows.
    """
    by_chance = {(row["budget"], row["method"]): row.get("by_chance") for row in result["calibration"]}
    rows = [
        [
            str(entry["budget"]),
            entry["method"],
            figure(entry, "mean"),
            _calibration_error(entry["ece"], by_chance.get((entry["budget"], entry["method"]))),
            difference(entry),
            entry["verdict"],
        ]
        for entry in result["ledger"]["entries"]
        if not is_short or (entry["budget"] in X2_SHORT_BUDGETS and entry["method"] in X2_SHORT[entry["budget"] == 0])
    ]
    head = ["labels", "method", "AUC [95 %]", "ECE (by chance)", "against its baseline", "verdict"]
    return markdown_table(head, rows)


def x1_pictures_table(result: Result) -> str:
    """Ways to bring the pictures to the learner, on series that its model has not seen."""
    rows = [
        [
            entry["method"],
            figure(entry, "mean"),
            difference(entry),
            entry["verdict"].replace("negative transfer", "loss"),
        ]
        for entry in result["ledger"]["entries"]
    ]
    return markdown_table(["way", "AUC [95 %]", "against as_it_comes", "verdict"], rows)


def _calibration_error(ece: float, by_chance: float | None) -> str:
    """With what chance alone would give, where the result tells it."""
    return f"{ece:.3f}" if by_chance is None else f"{ece:.3f} ({by_chance:.3f})"


TABLES: Mapping[str, ResultTable] = {
    "x1": ResultTable(
        "X1. Children's radiographs, the publisher's test split",
        x1_table,
        is_in_readme=False,
    ),
    "x1_pictures": ResultTable(
        "X1, how the pictures are brought to the learner: training patients alone, across series",
        x1_pictures_table,
        is_in_readme=False,
    ),
    "x2": ResultTable(
        "X2. Children of one hospital to adults of another, folds of whole patients",
        x2_table,
        short=lambda result: x2_table(result, is_short=True),
    ),
}
