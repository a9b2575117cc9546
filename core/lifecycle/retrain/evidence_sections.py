"""Sections of the retraining report on the evidence: the monitor, challenger against champion, and earlier runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from core.lifecycle.retrain.inline_svg import inline_svg
from core.lifecycle.retrain.journal_facts import (
    SYMBOLS,
    alarms_of,
    champion_figures,
    monitor_report,
    outcome_of,
    result_of,
    time_of,
)
from core.lifecycle.retrain.report_sections import RetrainSection
from core.lifecycle.retrain.report_words import (
    MISSING,
    figure_text,
    interval_text,
    metric_title,
    p_value_text,
)
from core.lifecycle.retrain.retrain_figures import MAX_COMPARISONS, MAX_RUNS, draw_comparisons, draw_history

PERFORMANCE_COLUMNS = {
    "observed": "observed",
    "reference_observed": "reference, observed",
    "estimated": "estimated",
    "reference_estimated": "reference, estimated",
}

COMPARISONS, RUNS = "Comparisons in numbers", "Runs, newest first"
HOW_TO_READ = (
    "Below: the difference of both models on the same rows with its interval. A full triangle points to the better "
    "side where the interval leaves out 0; a hollow circle is no clear difference."
)
MAX_RUNS_OPEN = 8


def monitor_section(journal: Mapping[str, Any]) -> RetrainSection | None:
    """What the monitor advises and why, its alarms, and how good the champion is."""
    watched = result_of(journal, "watch")
    if not watched:
        return None
    advice = watched.get("recommendation") or {}
    reasons = " ".join(str(reason) for reason in advice.get("reasons") or ())
    action = str(advice.get("action") or "").replace("_", " ")
    text = f"Recommendation: {action}. {reasons}".strip() if action else "There is no champion to watch yet."
    bullets, tables = [], []
    for each in watched.get("reports") or ():
        report, name = each.get("report") or {}, str(each.get("name") or "report")
        bullets += [str(sentence) for sentence in report.get("summary") or ()]
        of = f"{name} ({_batches(each.get('batches') or ())})" if each.get("batches") else name
        tables += [
            (f"Alarms: {of}", _alarms_table(report)),
            (f"Champion: {of}, against its reference", _performance_table(report)),
        ]
    return RetrainSection(
        "Monitor",
        text,
        tables=tuple((caption, table) for caption, table in tables if len(table)),
        warnings=tuple(map(str, watched.get("batch_problems") or ())),
        bullets=tuple(bullets),
    )


def judge_section(journal: Mapping[str, Any]) -> RetrainSection | None:
    """The gates, and a forest plot for each metric of the comparisons."""
    judged = result_of(journal, "judge")
    if not judged:
        return None
    comparisons = judged.get("comparisons") or []
    tables = [("Gates", _gates_table(judged.get("gates") or ()))]
    text = [str(judged.get("headline") or "")]
    if comparisons:
        tables.append((COMPARISONS, _comparisons_table(comparisons)))
        text.append(HOW_TO_READ)
    else:
        text.append("Champion and challenger were not compared row by row.")
    return RetrainSection(
        "Challenger against champion",
        "\n\n".join(filter(None, text)),
        tables=tuple(tables),
        drawings=tuple(_forest_plots(comparisons)),
        folded=(COMPARISONS,),
    )


def _forest_plots(comparisons: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Markup]]:
    """(caption, drawing) of each metric; metrics have units of their own, so each has its own axis."""
    for metric in dict.fromkeys(one["metric"] for one in comparisons):
        of_metric = [one for one in comparisons if one["metric"] == metric]
        more = len(of_metric) - MAX_COMPARISONS
        caption = f"{more} more in the table." if more > 0 else ""
        title = metric_title(metric)
        yield caption, inline_svg(draw_comparisons(of_metric, title=title), f"{title}: challenger less champion")


def history_section(journals: Sequence[Mapping[str, Any]], *, metric: str) -> RetrainSection:
    """All runs up to this one; the figure shows the newest."""
    title = metric_title(metric)
    caption = (
        f"{title} of the champion on what was watched, with its interval: full where labels observed it, hollow where "
        "it is estimated without; alarms of the monitor; outcome. A dotted line: a new champion."
    )
    caption += f" The newest {MAX_RUNS} of {len(journals)} runs." if len(journals) > MAX_RUNS else ""
    rows = [_run_row(journal, metric) for journal in reversed(journals)]
    is_watched = any(champion_figures(journal, metric) for journal in journals[-MAX_RUNS:])
    drawings = [(caption, draw_history(journals, metric=metric, title=title))] if is_watched else []
    return RetrainSection(
        "From run to run",
        tables=((RUNS, pd.DataFrame(rows)),),
        drawings=tuple((told, inline_svg(figure, told)) for told, figure in drawings),
        folded=(RUNS,) if len(rows) > MAX_RUNS_OPEN else (),
    )


def _run_row(journal: Mapping[str, Any], metric: str) -> dict[str, str]:
    ended, report = time_of(journal.get("ended_at")), monitor_report(journal)
    told = {figure.kind: figure for figure in champion_figures(journal, metric)}
    outcome = outcome_of(journal)
    intervals = {
        kind: MISSING if kind not in told else interval_text(vars(told[kind])) for kind in ("observed", "estimated")
    }
    return {
        "run": str(journal.get("run") or MISSING),
        "ended": MISSING if ended is None else f"{ended:%Y-%m-%d}",
        "batch": str((journal.get("batch") or {}).get("name") or MISSING),
        "outcome": f"{SYMBOLS.get(outcome, '?')} {outcome}",
        "champion": str(result_of(journal, "decide").get("champion") or MISSING),
        **intervals,
        "alarms": MISSING if report is None else str(len(alarms_of(report))),
    }


def _alarms_table(report: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "what": test["name"],
            "kind": test["kind"],
            "effect": f"{test['effect_name']} {figure_text(test['effect'])}",
            "limit": figure_text(test["effect_limit"]),
            "adjusted p": p_value_text(test["p_adjusted"]),
            "test": test["method"],
        }
        for test in alarms_of(report)
    )


def _performance_table(report: Mapping[str, Any]) -> pd.DataFrame:
    """A row a figure; columns without any figure are left out."""
    told = report.get("performance") or {}
    sides = {column: told[key] for key, column in PERFORMANCE_COLUMNS.items() if told.get(key)}
    names = [name for name in next(iter(sides.values()), {}) if name != "num_rows"]
    rows = [{"figure": metric_title(name), **{column: interval_text(side.get(name)) for column, side in sides.items()}}
            for name in names]  # fmt: skip
    counts = {column: f"{side['num_rows']:,}" for column, side in sides.items()}
    return pd.DataFrame([*rows, {"figure": "Rows", **counts}] if rows else [])


def _gates_table(gates: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    rows = []
    for gate in gates:
        failed = f"{SYMBOLS['held']} hold" if gate["consequence"] == "hold" else f"{SYMBOLS['refused']} refuse"
        rows.append(
            {
                "gate": gate["name"],
                "passed": f"{SYMBOLS['promoted']} passed" if gate["is_passed"] else failed,
                "found": gate["value"] if isinstance(gate["value"], str) else figure_text(gate["value"]),
                "wanted": gate["wanted"],
                "why": gate["reason"],
            }
        )
    return pd.DataFrame(rows)


def _comparisons_table(comparisons: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "rows": one["rows"],
            "metric": metric_title(one["metric"]),
            "slice": one.get("slice") or "all rows",
            "number": f"{one['num_rows']:,}",
            "champion": figure_text(one.get("champion")),
            "challenger": figure_text(one.get("challenger")),
            "difference": interval_text({**one, "value": one.get("difference")}),
            "p-value": p_value_text(one.get("p_value")),
        }
        for one in comparisons
    )


def _batches(names: Sequence[str]) -> str:
    """The first and the last of many."""
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} to {names[-1]}, {len(names)} batches"
