"""How the results of D1 to D4 and R2 are shown; see core/reporting/result_tables.py."""

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


def d1_table(result: Result) -> str:
    """Methods on the random split, with accuracy."""
    accuracy, entries = result["accuracy"], result["ledger"]["entries"]
    rows = [
        [
            row["method"],
            figure(row, "mean"),
            figure(accuracy[row["method"]], "accuracy"),
            difference(row),
            row["verdict"],
        ]
        for row in entries
    ]
    head = ["method", "AUC [95 %]", "accuracy [95 %]", f"against {result['ledger']['baseline']}", "verdict"]
    return markdown_table(head, rows)


def d1g_table(
    result: Result, kinds: tuple[str, ...] = ("blocks", "contiguous", "random"), *, leaky: tuple[str, ...] = ()
) -> str:
    """Methods on folds of whole blocks, and the same on contiguous and random folds; of random ones only `leaky`."""
    rows = []
    for kind in kinds:
        more = result[kind]["methods"]
        for row in result[kind]["ledger"]["entries"]:
            if kind == "random" and leaky and row["method"] not in leaky:
                continue
            told = more[row["method"]]
            rows.append(
                [kind, row["method"], figure(row, "mean"), f"{told['mean_fold_auc']:.4f}", figure(told, "accuracy"),
                 difference(row), row["verdict"]]
            )  # fmt: skip
    baseline = result["blocks"]["ledger"]["baseline"]
    head = [
        "folds",
        "method",
        "pooled AUC [95 %]",
        "mean of folds",
        "accuracy [95 %]",
        f"against {baseline}",
        "verdict",
    ]
    return markdown_table(head, rows)


def d2_table(result: Result) -> str:
    """Both directions, without labels and with fifty."""
    parts = []
    for key, told in (("elpv_mono_to_elpv_poly", "mono to poly"), ("elpv_poly_to_elpv_mono", "poly to mono")):
        ledger = result[key]["ledger"]
        parts.append(f"{told}:\n\n{ledger_table(ledger['entries'], ledger['baseline'])}")
    return "\n\n".join(parts)


def d3_table(result: Result) -> str:
    """Few labels."""
    return ledger_table(result["ledger"]["entries"], result["ledger"]["baseline"])


def d4_table(result: Result) -> str:
    """Good-only and supervised; macro-F1 over the six kinds where kinds are told apart."""
    rows = [
        [row["part"].replace("_", " "), row["method"], figure(row, "value"), *(_number(row, name) for name in PIXELS)]
        for row in result["methods"]
    ]
    head = ["labels", "method", "image AUROC [95 %]", "pixel AUROC", "AUPRO", "macro-F1 of kinds"]
    return markdown_table(head, rows)


def _number(row: Result, name: str) -> str:
    return "–" if row.get(name) is None else f"{row[name]:.3f}"


PIXELS = ("pixel_auroc", "aupro", "macro_f1")
TABLES: Mapping[str, ResultTable] = {
    "d1g": ResultTable(
        "D1g. Solar cells, 5 folds, whole module blocks held out: the headline",
        d1g_table,
        short=lambda result: d1g_table(result, ("blocks", "random"), leaky=("multi_stage",)),
    ),
    "d1": ResultTable(
        "D1. Solar cells, the literature's random split (leaks: modules stand on both sides)",
        d1_table,
        is_in_readme=False,
    ),
    "d2": ResultTable(
        "D2. One cell type to the other, without target labels and with fifty; whole blocks",
        d2_table,
        is_in_readme=False,
    ),
    "d3": ResultTable("D3. Few labels of D1's training part, five draws", d3_table, is_in_readme=False),
    "d4": ResultTable("D4. Magnetic tiles, split by tile", d4_table, is_in_readme=False),
    "r2": ResultTable(
        "R2. A line of mono cells turns to poly, ten deliveries, labels two late, through the retraining loop",
        replay_table,
        is_in_readme=False,
    ),
    "r3": ResultTable(
        "R3. The deliveries of R2: trained on from the last model, or from scratch on all",
        warm_start_table,
        is_in_readme=False,
    ),
}
