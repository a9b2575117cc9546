"""What the journal of a retraining run tells, whichever steps the run reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

OUTCOMES = ("promoted", "kept", "refused", "held", "failed", "abandoned")
STEPS = ("take_in", "prepare", "watch", "set_aside", "train", "judge", "register", "push", "decide", "commit", "tell")
MAIN_STEPS = ("take_in", "watch", "train", "judge", "decide")  # that a run is about, reached or not
# Never colour alone.
SYMBOLS = {"promoted": "✓", "kept": "=", "refused": "✕", "held": "‖", "failed": "!", "abandoned": "–"}


@dataclass(frozen=True)
class ChampionFigure:
    """One figure of the champion on the watched rows. kind: observed (by labels) or estimated (by probabilities)."""

    kind: str
    value: float
    low: float | None
    high: float | None
    num_rows: int


def result_of(journal: Mapping[str, Any], step: str) -> Mapping[str, Any]:
    """What a step found; empty where the run did not reach it."""
    return ((journal.get("steps") or {}).get(step) or {}).get("result") or {}


def last_step(journal: Mapping[str, Any]) -> str | None:
    """The last step that was done; None where none was."""
    done = [step for step in STEPS if step in (journal.get("steps") or {})]
    return done[-1] if done else None


def outcome_of(journal: Mapping[str, Any]) -> str:
    """One of OUTCOMES; a run that ended without saying is a failed one."""
    return journal.get("outcome") or "failed"


def headline_of(journal: Mapping[str, Any]) -> str:
    """The outcome in a sentence, with the versions as far as the run knew them."""
    decided, outcome = result_of(journal, "decide"), outcome_of(journal)
    champion = decided.get("champion") or "the champion"
    if outcome == "promoted":
        before = previous_champion(journal)
        return f"{decided.get('champion') or 'The challenger'} is the new champion" + (
            f" in place of {before}." if before else "."
        )
    if outcome == "kept":
        return f"{decided['champion']} stays the champion." if decided.get("champion") else "The champion stays."
    if outcome == "refused":
        return f"{_what_was_judged(journal)} was refused; {champion} stays in service."
    if outcome == "held":
        return f"{_what_was_judged(journal)} is held for a person to decide; {champion} stays in service meanwhile."
    if outcome == "abandoned":
        return "The run was given up."
    done = last_step(journal)
    when = f"after the step '{done.replace('_', ' ')}'" if done else "before its first step was done"
    return f"The run failed {when}."


def previous_champion(journal: Mapping[str, Any]) -> str | None:
    """The champion that this run replaced; None where it replaced none."""
    decided = result_of(journal, "decide")
    previous = decided.get("previous")
    return previous if previous != decided.get("champion") else None


def reasons_of(journal: Mapping[str, Any]) -> list[str]:
    """Why: an error, the decision's own reason, failed gates, the monitor's reasons, problems of the batch."""
    judged, watched = result_of(journal, "judge"), result_of(journal, "watch")
    gates = [gate for gate in judged.get("gates") or () if not gate["is_passed"]]
    reasons = [
        journal.get("error"),
        result_of(journal, "decide").get("reason"),
        *(f"Gate '{gate['name']}': {gate['value']}, wanted {gate['wanted']}." for gate in gates),
        *((watched.get("recommendation") or {}).get("reasons") or ()),
        *(watched.get("batch_problems") or ()),
    ]
    told: list[str] = []
    for reason in (str(reason) for reason in reasons if reason):
        if not any(reason in earlier for earlier in told):  # a decision quotes what it was made on
            told.append(reason)
    return told


def monitor_report(journal: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The monitor's (first) report, as MonitorReport.as_dict made it; None where nothing was watched."""
    reports = result_of(journal, "watch").get("reports") or []
    return (reports[0].get("report") or None) if reports else None


def alarms_of(report: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The monitor's tests that alarm."""
    return [test for test in (report or {}).get("tests") or () if test["is_alarm"]]


def champion_figures(journal: Mapping[str, Any], metric: str) -> list[ChampionFigure]:
    """The metric as observed and as estimated on the watched rows, observed first; what is not known is left out."""
    report = monitor_report(journal)
    performance = (report or {}).get("performance") or {}
    figures = []
    for kind in ("observed", "estimated"):
        told = performance.get(kind) or {}
        interval = told.get(metric) or {}
        if interval.get("value") is not None:
            bounds = interval.get("low"), interval.get("high")
            figures.append(ChampionFigure(kind, float(interval["value"]), *bounds, int(told["num_rows"])))
    return figures


def time_of(text: str | None) -> datetime | None:
    """An ISO time of the journal; UTC where it names no zone; None where it is none."""
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def duration_seconds(journal: Mapping[str, Any]) -> float | None:
    """From start to end; None where one of them is not told."""
    started, ended = time_of(journal.get("started_at")), time_of(journal.get("ended_at"))
    return (ended - started).total_seconds() if started and ended else None


def _what_was_judged(journal: Mapping[str, Any]) -> str:
    """The challenger, or without one the batch."""
    challenger, batch = result_of(journal, "decide").get("challenger"), (journal.get("batch") or {}).get("name")
    if challenger or result_of(journal, "judge"):
        return str(challenger or "The challenger")
    return f"Batch {batch}" if batch else "The run"
