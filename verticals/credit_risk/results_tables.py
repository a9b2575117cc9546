"""The README's result tables, made from the JSON that the protocols wrote.

`python -m verticals.credit_risk.results_tables` prints them; `--write README.md` puts them between its markers.
A test compares the README with this.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.artifacts import read_json, write_text

RESULTS = Path(__file__).parent / "results"
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figure(row: Mapping[str, Any], value: str, low: str = "low", high: str = "high", *, sign: bool = False) -> str:
    """`0.812 [0.767, 0.857]`, or a dash where there is none."""
    if row.get(value) is None:
        return "–"
    form = "+.4f" if sign else ".4f"
    return f"{row[value]:{form}} [{row[low]:{form}}, {row[high]:{form}}]"


def difference(row: Mapping[str, Any]) -> str:
    """The paired difference with its interval."""
    return figure(row, "difference", "difference_low", "difference_high", sign=True)


def c1_table(result: Mapping[str, Any]) -> str:
    """Methods on German credit."""
    rows = [
        [row["method"], figure(row, "auc"), difference(row), str(row.get("folds_won", "–")), row["verdict"]]
        for row in result["methods"]
    ]
    return markdown_table(["method", "AUC [95 %]", f"against {result['baseline']}", "folds won of 10", "verdict"], rows)


def c2_table(result: Mapping[str, Any]) -> str:
    """Methods on LendingClub with texts."""
    rows = [[row["method"], figure(row, "auc"), difference(row), row["verdict"]] for row in result["methods"]]
    return markdown_table(["method", "AUC 2012 [95 %]", f"against {result['baseline']}", "verdict"], rows)


def ledger_table(entries: Sequence[Mapping[str, Any]], baseline: str) -> str:
    """Label budget x method."""
    rows = [
        [str(row["budget"]), row["method"], figure(row, "mean"), difference(row), row["verdict"]] for row in entries
    ]
    return markdown_table(["labels", "method", "AUC [95 %]", f"against {baseline}", "verdict"], rows)


def c3_table(result: Mapping[str, Any]) -> str:
    """LendingClub over time, against the source alone and against the better single method."""
    ledger = result["ledger"]["against_target_only"]
    return ledger_table([row for row in ledger["entries"] if row["method"] in SHOWN], ledger["baseline"])


def c4_table(result: Mapping[str, Any]) -> str:
    """Other lenders to German credit."""
    return ledger_table(result["entries"], result["baseline"])


SHOWN = ("source_only", "target_only", "pooled", "continued_training", "stacked_score", "auto")
TABLES: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "c1": ("C1. German credit, 5 folds twice (seed 0); intervals: corrected resampled t", c1_table),
    "c2": (
        "C2. LendingClub with texts: fitted on loans issued before 2012, scored on 2012; intervals: DeLong",
        c2_table,
    ),
    "c3": ("C3. The same lender over time: source before 2012, n labels of early 2012, scored on late 2012", c3_table),
    "c4": ("C4. Other lenders to German credit, few labels", c4_table),
}


def results_text() -> str:
    """All tables that have a result file, each under its title and command."""
    parts = []
    for name, (title, table) in TABLES.items():
        path = RESULTS / f"{name}.json"
        if path.exists():
            result = read_json(path)
            parts.append(f"**{title}**\n\n`{result['command']}`\n\n{table(result)}")
    return "\n\n".join(parts)


def replaced(readme: str) -> str:
    """The README with the text between its markers made anew."""
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n\n{results_text()}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="README to change")
    chosen = parser.parse_args()
    if chosen.write:
        write_text(chosen.write, replaced(chosen.write.read_text(encoding="utf-8")))
    else:
        print(results_text())
