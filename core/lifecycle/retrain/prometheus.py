"""The last run of every vertical as a textfile for Prometheus' node_exporter."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.lifecycle.retrain.journal_facts import (
    OUTCOMES,
    alarms_of,
    champion_figures,
    duration_seconds,
    monitor_report,
    outcome_of,
    result_of,
    time_of,
)

FIGURES = ("auc", "accuracy", "sensitivity", "specificity", "cost_per_case", "qlike")  # of the monitor's Performance
HELP = {
    "crossdomain_retrain_last_run_timestamp_seconds": "When the last retraining run ended, in seconds since 1970.",
    "crossdomain_retrain_outcome": "1 for the outcome of the last retraining run, 0 for all others.",
    "crossdomain_retrain_duration_seconds": "How long the last retraining run took.",
    "crossdomain_monitor_alarms": "Tests of the drift monitor that alarm in the last retraining run.",
    "crossdomain_champion_metric": "The champion on the watched rows, observed by labels or estimated without.",
    "crossdomain_batch_rows": "Rows of the newest batch that were taken in.",
    "crossdomain_batch_quarantined_rows": "Rows of the newest batch that were put aside as unusable.",
    "crossdomain_champion_info": "1 for the version in service after the last retraining run.",
}
Sample = tuple[str, dict[str, str], float]  # family, labels, value


def write_prometheus(path: Path, journals: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the last journal of each vertical (name -> journal) to a file that must end in .prom.

    Whole or not at all: node_exporter reads every *.prom of the folder at any time, so the part that is being written
    has another ending. What a run did not reach has no sample; a run without an end counts by its start.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    beside = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(prometheus_text(journals))
        beside.chmod(0o644)  # node_exporter runs as somebody else
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def prometheus_text(journals: Mapping[str, Mapping[str, Any]]) -> str:
    """The text exposition format, all samples of a family together, families without a sample left out.

    Source: Prometheus documentation, "Exposition formats", text format 0.0.4.
    """
    samples = [sample for vertical, journal in journals.items() for sample in _samples(vertical, journal)]
    lines = []
    for family, told in HELP.items():
        own = [f"{family}{_labels(labels)} {value:.17g}" for name, labels, value in samples if name == family]
        if own:
            lines += [f"# HELP {family} {_escaped(told)}", f"# TYPE {family} gauge", *own]
    return "".join(line + "\n" for line in lines)


def _samples(vertical: str, journal: Mapping[str, Any]) -> Iterator[Sample]:
    of = {"vertical": vertical}
    told_at = time_of(journal.get("ended_at")) or time_of(journal.get("started_at"))
    taken, decided, report = result_of(journal, "take_in"), result_of(journal, "decide"), monitor_report(journal)
    values = {
        "crossdomain_retrain_last_run_timestamp_seconds": told_at.timestamp() if told_at else None,
        "crossdomain_retrain_duration_seconds": duration_seconds(journal),
        "crossdomain_monitor_alarms": None if report is None else len(alarms_of(report)),
        "crossdomain_batch_rows": taken.get("rows"),
        "crossdomain_batch_quarantined_rows": taken.get("quarantined"),
    }
    for family, value in values.items():
        if value is not None:
            yield family, of, float(value)
    for outcome in OUTCOMES:
        is_it = outcome == outcome_of(journal)
        yield "crossdomain_retrain_outcome", {**of, "outcome": outcome}, float(is_it)
    for metric in FIGURES:
        for figure in champion_figures(journal, metric):
            yield "crossdomain_champion_metric", {**of, "metric": metric, "kind": figure.kind}, figure.value
    if decided.get("champion"):
        yield "crossdomain_champion_info", {**of, "version": decided["champion"]}, 1.0


def _labels(labels: Mapping[str, str]) -> str:
    inside = ",".join(f'{name}="{_escaped(value, is_label=True)}"' for name, value in labels.items())
    return "{" + inside + "}"


def _escaped(text: str, *, is_label: bool = False) -> str:
    """Backslash and line feed; in a label's value the double quote too."""
    text = str(text).replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if is_label else text
