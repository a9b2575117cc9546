"""How the results of M1 are shown; see core/reporting/result_tables.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.reporting.result_tables import Result, ResultTable, figure, markdown_table

MEAN = "mean"  # of the horizons
README_BUDGETS = (250, 1000, "all")
RIVAL, SCRATCH, MOVED = "gjr_garch", "network", "network_lp_ft"


def m1_table(result: Result) -> str:
    """Market x history x method, the mean of the horizons; each horizon by itself is in the JSON."""
    rows = [
        [
            market,
            str(entry["budget"]),
            entry["method"],
            figure(entry, "mean"),
            _difference(entry, ""),
            entry["standing"],
            _difference(entry, "transfer_") if entry.get("transfer_difference") is not None else "–",
            entry["verdict"],
            "yes" if entry["is_in_set"] else "no",
        ]
        for market, ledger in result["markets"].items()
        for entry in ledger["entries"]
        if entry["horizon"] == MEAN
    ]
    head = ["market", "history", "method", "QLIKE [95 %]", f"gain over {RIVAL}", "standing"]
    head += ["gain over the same from scratch", "transfer", "in the best set"]
    return markdown_table(head, rows)


def m1_short(result: Result) -> str:
    """Market x history, the mean of the horizons: the moved network against itself from scratch and the rival."""
    rows = []
    for market, ledger in result["markets"].items():
        told = {(e["budget"], e["method"]): e for e in ledger["entries"] if e["horizon"] == MEAN}
        for budget in README_BUDGETS:
            moved = told[budget, MOVED]
            rows.append(
                [
                    market,
                    str(budget),
                    f"{told[budget, RIVAL]['mean']:.4f}",
                    f"{told[budget, SCRATCH]['mean']:.4f}",
                    figure(moved, "mean"),
                    f"{_difference(moved, 'transfer_')} p {moved['transfer_p_value']:.3f}",
                    moved["verdict"],
                    f"{_difference(moved, '')} p {moved['p_value']:.3f}",
                ]
            )
    head = ["market", "days of history", RIVAL, SCRATCH, f"{MOVED} [95 %]", "gain over scratch", "transfer"]
    return markdown_table([*head, f"gain over {RIVAL}"], rows)


def _difference(entry: Mapping[str, Any], prefix: str) -> str:
    if entry[f"{prefix}difference"] is None:
        return "–"
    value, low, high = (entry[f"{prefix}difference{end}"] for end in ("", "_low", "_high"))
    return f"{value:+.4f} [{low:+.4f}, {high:+.4f}]"


TABLES = {
    "m1": ResultTable(
        "M1. Volatility from other markets to one: mean QLIKE of 1, 5 and 22 days ahead, walked forward from 2007 on; "
        "sources end before; intervals and p of gains: Diebold-Mariano",
        m1_table,
        m1_short,
    )
}
