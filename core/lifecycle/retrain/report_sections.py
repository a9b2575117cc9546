"""Sections of the retraining report on the run itself: what came in, its steps, and which version is in service."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from core.lifecycle.retrain.journal_facts import (
    MAIN_STEPS,
    STEPS,
    alarms_of,
    monitor_report,
    outcome_of,
    previous_champion,
    result_of,
    time_of,
)
from core.lifecycle.retrain.report_words import MISSING, duration_text
from core.reporting.sections import Section

WORDS_OF_STEPS = {
    "train": ("kind", "reason"),
    "register": ("version",),
    "push": ("reason",),
    "decide": ("reason",),
    "set_aside": ("batch",),
}


@dataclass(frozen=True)
class RetrainSection(Section):
    """warnings: sentences to see first. bullets: a list below the text. drawings: (caption, `<svg>`).

    commands: (what for, command line). folded: captions of tables that open on a click.
    """

    warnings: tuple[str, ...] = ()
    bullets: tuple[str, ...] = ()
    drawings: tuple[tuple[str, Markup], ...] = ()
    commands: tuple[tuple[str, str], ...] = ()
    folded: tuple[str, ...] = ()


def batch_section(journal: Mapping[str, Any]) -> RetrainSection:
    """The delivery, how much of it was usable, and what the import had to say."""
    batch, taken = journal.get("batch") or {}, result_of(journal, "take_in")
    if not batch and not taken.get("batch"):
        return RetrainSection("What came in", "No new batch: the run looked at the data that were there.")
    watched = result_of(journal, "watch")
    since = taken.get("new_batches") or watched.get("batches") or ()
    facts = {
        "Batch": batch.get("name") or taken.get("batch"),
        "Domain": batch.get("domain") or taken.get("domain"),
        "File": batch.get("file"),
        "SHA-256": batch.get("sha256"),
        "Rows taken in": taken.get("rows"),
        "Rows in the quarantine": taken.get("quarantined"),
        "Rows without a label": taken.get("unlabelled"),
        "Batches since the champion": ", ".join(since) or None,
        "Labelled rows in them": watched.get("num_new_labels"),
    }
    warnings = () if taken else ("The batch was not taken in.",)
    table = _facts_table(facts)
    notes = tuple(taken.get("notes") or ())
    return RetrainSection("What came in", tables=(("", table),), warnings=warnings, bullets=notes)


def steps_section(journal: Mapping[str, Any]) -> RetrainSection:
    """Every step with its time, those that the run did not reach too."""
    done = journal.get("steps") or {}
    otherwise = "not needed" if "decide" in done else "not reached"
    rows = [
        {
            "step": step.replace("_", " "),
            "what happened": _happened(journal, step) if step in done else otherwise,
            "took": duration_text((done.get(step) or {}).get("seconds")),
            "done at": _clock((done.get(step) or {}).get("done_at")),
        }
        for step in STEPS
        if step in done or step in MAIN_STEPS
    ]
    return RetrainSection("Steps", tables=(("", pd.DataFrame(rows)),))


def lineage_section(journal: Mapping[str, Any]) -> RetrainSection:
    """Which version serves, what it replaced, what it was made of, and the way back."""
    decided, registered = result_of(journal, "decide"), result_of(journal, "register")
    facts = {
        "Champion": decided.get("champion"),
        "Champion before this run": previous_champion(journal),
        "Challenger of this run": decided.get("challenger") or registered.get("version"),
        "Batches set aside": ", ".join(decided.get("set_aside") or ()) or None,
        "Data (MD5 of data.dvc)": registered.get("data_md5") or result_of(journal, "take_in").get("data_md5"),
        "Model trained in this run (SHA-256)": result_of(journal, "train").get("model_digest"),
    }
    text = "" if decided.get("champion") else "The run ended without a version in service that it knows of."
    return RetrainSection("Lineage", text, tables=(("", _facts_table(facts)),), commands=tuple(_commands(journal)))


def _commands(journal: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a person may do next: (what for, command line)."""
    decided, outcome = result_of(journal, "decide"), outcome_of(journal)
    vertical = shlex.quote(str(journal.get("vertical") or "VERTICAL"))
    domain = shlex.quote(str(result_of(journal, "take_in").get("domain") or "DOMAIN"))
    champion, challenger, before = decided.get("champion"), decided.get("challenger"), previous_champion(journal)
    for batch in decided.get("set_aside") or ():
        line = f'crossdomain batches take-back {vertical} {domain} {shlex.quote(str(batch))} --reason "..."'
        yield f"Believe batch {batch}, once you have looked at it", line
    if outcome == "held" and challenger:
        line = f'crossdomain registry promote {vertical} {shlex.quote(challenger)} --reason "..."'
        yield f"Put {challenger} into service, once you have looked at it", line
    if outcome == "refused" and challenger:
        yield f"See what {challenger} was made of", f"crossdomain registry show {vertical} {shlex.quote(challenger)}"
    if champion and (before or outcome != "promoted"):
        back = f"Roll back to {before}" if before else f"Roll back to the champion before {champion}, if there is one"
        yield back, f'crossdomain registry rollback {vertical} --reason "..."'
    yield "All versions", f"crossdomain registry list {vertical}"


def _facts_table(facts: Mapping[str, Any]) -> pd.DataFrame:
    """Two columns; what is not known is left out."""
    rows = [(name, value if isinstance(value, str) else f"{value:,}") for name, value in facts.items()
            if value is not None]  # fmt: skip
    return pd.DataFrame(rows, columns=["fact", "value"])


def _happened(journal: Mapping[str, Any], step: str) -> str:
    """A step in a few words."""
    result = result_of(journal, step)
    if step == "take_in":
        rows = result.get("rows")
        return (
            "no new batch" if rows is None else f"{rows:,} rows, {result.get('quarantined') or 0:,} in the quarantine"
        )
    if step == "watch":
        report, action = monitor_report(journal), (result.get("recommendation") or {}).get("action")
        told = f"{len(alarms_of(report))} alarms; " if report is not None else ""
        return f"{told}the monitor says: {action.replace('_', ' ')}" if action else "there is no champion to watch"
    if step == "judge":
        return str(result.get("headline") or result.get("decision") or "")
    if step == "prepare":
        return "splits and checks of all batches in use"
    words = WORDS_OF_STEPS.get(step, ())
    return ": ".join(str(result[key]) for key in words if result.get(key))


def _clock(text: str | None) -> str:
    time = time_of(text)
    return MISSING if time is None else f"{time:%H:%M:%S}"
