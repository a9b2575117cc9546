"""Result tables of the README and of each vertical's RESULTS.md, made from the JSON that the protocols wrote.

`python -m core.reporting.result_tables` writes them all; a test compares the files with this.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.artifacts import read_json, write_text
from core.vertical import vertical_names

Result = Mapping[str, Any]
REPLAY_WAYS = {"never": "never retrain", "loop": "the loop", "always": "always retrain, unjudged"}


@dataclass(frozen=True)
class ResultTable:
    """A protocol's table. short: the rows for the README, where they are fewer than all."""

    title: str
    table: Callable[[Result], str]
    short: Callable[[Result], str] | None = None
    is_in_readme: bool = True


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figure(row: Result, value: str, low: str = "low", high: str = "high", *, sign: bool = False) -> str:
    """`0.812 [0.767, 0.857]`, or a dash where there is none."""
    if row.get(value) is None:
        return "–"
    form = "+.4f" if sign else ".4f"
    return f"{row[value]:{form}} [{row[low]:{form}}, {row[high]:{form}}]"


def difference(row: Result) -> str:
    """The paired difference with its interval."""
    return figure(row, "difference", "difference_low", "difference_high", sign=True)


def ledger_table(entries: Sequence[Result], baseline: str) -> str:
    """Label budget x method."""
    rows = [
        [str(row["budget"]), row["method"], figure(row, "mean"), difference(row), row["verdict"]] for row in entries
    ]
    return markdown_table(["labels", "method", "AUC [95 %]", f"against {baseline}", "verdict"], rows)


def replay_table(result: Result) -> str:
    """Never retraining, the loop and always retraining on the same cases."""
    rows = []
    for way, title in REPLAY_WAYS.items():
        told, gain = result["ways"][way], result["gain_of_the_loop_over"].get(way, {})
        gains = [figure(gain[name], "value", sign=True) if gain else "–" for name in ("auc", "cost_per_case")]
        figures = [figure(told[name], "value") for name in ("auc", "brier", "cost_per_case")]
        rows.append([title, *figures, *gains])
    head = ["way", "AUC [95 %]", "Brier score", "cost per case", "the loop gains AUC", "the loop saves a case"]
    return markdown_table(head, rows)


def warm_start_table(result: Result) -> str:
    """Each learner from scratch, grown on, and with old rows beside; the next delivery and the first period."""
    rows = []
    for learner, told in result["learners"].items():
        for way, next_told in told["next_delivery"].items():
            sides = (next_told, told["first_period"][way])
            aucs = [figure(side["auc"], "value") for side in sides]
            gaps = [figure(side.get("auc_minus_scratch", {}), "value", sign=True) for side in sides]
            rows.append([learner, way, aucs[0], gaps[0], aucs[1], gaps[1]])
    head = [
        "learner",
        "way",
        "AUC of the next delivery [95 %]",
        "minus scratch",
        "AUC of the first period",
        "minus scratch",
    ]
    return markdown_table(head, rows)


def results_of(root: Path, vertical: str) -> Iterator[tuple[ResultTable, Result]]:
    """(table, JSON) of every protocol of a vertical that has a result file."""
    tables = importlib.import_module(f"verticals.{vertical}.results_tables").TABLES
    for name, table in tables.items():
        path = root / "verticals" / vertical / "results" / f"{name}.json"
        if path.exists():
            yield table, read_json(path)


def results_page(root: Path, vertical: str) -> str:
    """The vertical's RESULTS.md: every table in full."""
    parts = [f"# Results of {vertical}", "Made by `python -m core.reporting.result_tables`; do not edit."]
    parts += [
        f"**{t.title}**\n\n`{result['command']}`\n\n{t.table(result)}" for t, result in results_of(root, vertical)
    ]
    return "\n\n".join(parts) + "\n"


def readme_text(root: Path, vertical: str) -> str:
    """The vertical's tables in the README, each under its title and command, in short where it has a short form."""
    parts = [
        f"**{t.title}** (`{result['command']}`)\n\n{(t.short or t.table)(result)}"
        for t, result in results_of(root, vertical)
        if t.is_in_readme
    ]
    return "\n\n".join(parts)


def replaced(root: Path, readme: str) -> str:
    """The README with the text between each vertical's markers made anew."""
    for vertical in reporting_verticals(root):
        begin, end = (f"<!-- {vertical}:{word} -->" for word in ("begin", "end"))
        if begin in readme:
            before, rest = readme.split(begin)
            readme = f"{before}{begin}\n\n{readme_text(root, vertical)}\n\n{end}{rest.split(end)[1]}"
    return readme


def reporting_verticals(root: Path) -> list[str]:
    """The verticals that say how their results are shown."""
    return [name for name in vertical_names() if (root / "verticals" / name / "results_tables.py").exists()]


def write_all(root: Path) -> None:
    """README.md and every RESULTS.md."""
    readme = root / "README.md"
    write_text(readme, replaced(root, readme.read_text(encoding="utf-8")))
    for vertical in reporting_verticals(root):
        write_text(root / "verticals" / vertical / "RESULTS.md", results_page(root, vertical))


if __name__ == "__main__":
    write_all(Path.cwd())
