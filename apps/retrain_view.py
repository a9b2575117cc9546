"""What the retraining loop did: its runs, the champions in their order, deliveries that a person has to look at."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from apps.page import Page
from apps.tables import show_rows
from core.data.held_batches import held_batches
from core.lifecycle.registry import list_versions, read_stages, stage_of
from core.lifecycle.retrain.journal import Journal, read_journals

MAX_RUNS = 36


def show_retraining(page: Page) -> None:
    """Nothing where the vertical was never retrained and has no version."""
    journals, versions = read_journals(page.root, page.vertical_name), list_versions(page.root, page.vertical_name)
    if journals:
        st.subheader(page.text("retraining"))
        show_rows(page, pd.DataFrame([_run_row(one) for one in reversed(journals[-MAX_RUNS:])]))
        _show_held(page)
    if versions:
        st.subheader(page.text("versions"))
        stages, metric = read_stages(page.root, page.vertical_name), page.vertical.metrics[0]
        rows = [
            {
                "version": version.version,
                "stage": stage_of(version, stages),
                "date": version.created_at[:19],
                metric: (version.metrics.get(metric) or {}).get("value"),
                "data": version.lineage.data_md5[:8],
                "commit": version.lineage.code_commit[:8],
            }
            for version in reversed(versions)
        ]
        show_rows(page, pd.DataFrame(rows))
        st.caption(page.text("go_back"))
        st.code(f'crossdomain registry rollback {page.vertical_name} --reason "..."', language="bash")


def _run_row(journal: Journal) -> dict[str, Any]:
    watched, decided = journal.result("watch") or {}, journal.result("decide") or {}
    alarms = [test for told in watched.get("reports", []) for test in told["report"]["tests"] if test["is_alarm"]]
    return {
        "run": journal.run,
        "date": journal.values["started_at"][:19],
        "batch": (journal.values["batch"] or {}).get("name", ""),
        "action": (watched.get("recommendation") or {}).get("action", ""),
        "alarms": len(alarms),
        "outcome": journal.outcome or "…",
        "champion": decided.get("champion") or "",
        "reason": decided.get("reason", ""),
    }


def _show_held(page: Page) -> None:
    """Deliveries that are set aside, and the command that takes one back."""
    told = page.run.find_json("evaluate", "metrics.json") or {}
    target = told.get("domain") or (page.run.find_json("prepare", "data_report.json") or {}).get("target_domain", "")
    folder = page.root / "data" / page.vertical_name / target
    held = [one for one in held_batches(folder) if not one.accepted_by] if target else []
    for one in held:
        st.warning(page.text("held", batch=one.batch, reason=one.reason), icon=":material/front_hand:")
        st.code(
            f'crossdomain batches take-back {page.vertical_name} {target} {one.batch} --reason "..."', language="bash"
        )
