"""The report of a retraining run: one page for people that needs no network, and the same as JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import core.reporting.render
from core.artifacts import to_plain, write_json, write_text
from core.lifecycle.retrain.evidence_sections import history_section, judge_section, monitor_section
from core.lifecycle.retrain.journal_facts import (
    SYMBOLS,
    alarms_of,
    champion_figures,
    duration_seconds,
    headline_of,
    monitor_report,
    outcome_of,
    previous_champion,
    reasons_of,
    result_of,
    time_of,
)
from core.lifecycle.retrain.report_sections import batch_section, lineage_section, steps_section
from core.lifecycle.retrain.report_words import duration_text, figure_text, metric_title
from core.reporting.sections import format_cell

TEMPLATE = "retrain_report.html.j2"
TONES = {"promoted": "ship", "kept": "kept", "held": "hold"}  # of the house style; all others: refuse


def write_report(
    folder: Path,
    journal: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    *,
    vertical_title: str,
    metric: str,
) -> None:
    """Write `report.html` and `report.json` (`{format, summary, journal}`) of one run into a folder.

    journal: of the run, whichever steps it reached. history: earlier journals, oldest first. metric: the vertical's
    headline metric, a name of METRICS; where the monitor does not know it, the AUC is shown from run to run.
    """
    journal, history = to_plain(dict(journal)), [to_plain(dict(each)) for each in history]
    watched = metric if champion_figures(journal, metric) else "auc"
    page = _page(journal, history, vertical_title=vertical_title, metric=watched)
    summary = _summary(journal, metric=watched)
    write_text(Path(folder) / "report.html", _render(page))
    write_json(Path(folder) / "report.json", {"format": 1, "summary": summary, "journal": journal})


def _summary(journal: Mapping[str, Any], *, metric: str) -> dict[str, Any]:
    """What another program asks for first."""
    taken, decided, report = result_of(journal, "take_in"), result_of(journal, "decide"), monitor_report(journal)
    figures = champion_figures(journal, metric)
    return {
        "run": journal.get("run"),
        "vertical": journal.get("vertical"),
        "outcome": outcome_of(journal),
        "headline": headline_of(journal),
        "reasons": reasons_of(journal),
        "champion": decided.get("champion"),
        "previous": previous_champion(journal),
        "challenger": decided.get("challenger"),
        "batch": (journal.get("batch") or {}).get("name"),
        "rows": taken.get("rows"),
        "quarantined": taken.get("quarantined"),
        "num_alarms": None if report is None else len(alarms_of(report)),
        "champion_metric": {
            figure.kind: {"metric": metric, "value": figure.value, "low": figure.low, "high": figure.high}
            for figure in figures
        },
        "duration_seconds": duration_seconds(journal),
    }


def _page(
    journal: Mapping[str, Any], history: Sequence[Mapping[str, Any]], *, vertical_title: str, metric: str
) -> dict[str, Any]:
    """What the template shows."""
    outcome = outcome_of(journal)
    sections = [
        batch_section(journal),
        monitor_section(journal),
        judge_section(journal),
        lineage_section(journal),
        history_section([*history, journal], metric=metric),
        steps_section(journal),
    ]
    headline, *reasons = [headline_of(journal), *reasons_of(journal)]
    return {
        "title": f"{vertical_title}: retraining run {journal.get('run') or ''}".rstrip(),
        "subtitle": _subtitle(journal),
        "outcome": outcome,
        "symbol": SYMBOLS.get(outcome, "?"),
        "tone": TONES.get(outcome, "refuse"),
        "headline": headline,
        "reasons": reasons,
        "cards": _cards(journal, metric=metric),
        "sections": [section for section in sections if section is not None],
        "house_style": _house_style(),
        "footer": "Made from the run's journal, which is in report.json beside this page. Times are UTC.",
    }


def _subtitle(journal: Mapping[str, Any]) -> str:
    """Batch, end and duration, as far as they are known."""
    batch, ended, seconds = journal.get("batch") or {}, time_of(journal.get("ended_at")), duration_seconds(journal)
    parts = [f"Batch {batch['name']} of {batch['domain']}" if batch.get("name") else "Without a new batch"]
    if ended is not None:
        parts.append(f"ended {ended:%Y-%m-%d %H:%M} UTC")
    if seconds is not None:
        parts.append(f"took {duration_text(seconds)}")
    return ", ".join(parts) + "."


def _cards(journal: Mapping[str, Any], *, metric: str) -> list[dict[str, str]]:
    """The few numbers one looks for first."""
    taken, report, cards = result_of(journal, "take_in"), monitor_report(journal), []
    if taken.get("rows") is not None:
        note = f"{taken.get('quarantined') or 0:,} in the quarantine"
        cards.append({"value": f"{taken['rows']:,}", "name": "rows taken in", "note": note})
    if report is not None:
        note = f"of {len(report['tests'])} tests of the monitor"
        cards.append({"value": str(len(alarms_of(report))), "name": "alarms", "note": note})
    for figure in champion_figures(journal, metric)[:1]:
        name = f"{metric_title(metric)}, {figure.kind}"
        note = f"champion, {figure.num_rows:,} rows; {figure_text(figure.low)} to {figure_text(figure.high)}"
        cards.append({"value": figure_text(figure.value), "name": name, "note": note})
    for one in (result_of(journal, "judge").get("comparisons") or [])[:1]:
        difference = "–" if one.get("difference") is None else f"{one['difference']:+.3f}"
        note = f"{metric_title(one['metric'])}, {one['rows']}; above 0 is better"
        cards.append({"value": difference, "name": "challenger against champion", "note": note})
    return cards


def _house_style() -> Markup:
    """The style sheet of the report stage's page: one look, written once."""
    source = Path(core.reporting.render.__file__).with_name("report.html.j2").read_text(encoding="utf-8")
    return Markup(source.partition("<style>")[2].partition("</style>")[0])


def _render(page: Mapping[str, Any]) -> str:
    """The page; everything is escaped, a missing name is an error."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["cell"] = format_cell
    return environment.get_template(TEMPLATE).render(**page)
