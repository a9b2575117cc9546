"""Committed runs over time, what changed between two of them, drift of the data, and the audit log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from apps.charts import COLOURS, hints
from apps.page import Page
from apps.retrain_view import show_retraining
from apps.stores import open_page_store
from apps.tables import show_rows
from core.data.spreadsheet import harmless_csv
from core.lifecycle.history import NOW, Run, compare_runs, runs_of

MAX_AUDIT_ROWS = 1_000


def show(page: Page) -> None:
    """Figure, table, comparison, what retraining did, drift, audit."""
    st.title(page.text("title"))
    st.caption(page.text("lead"))
    runs = _runs(page)
    _show_metrics(page, runs)
    st.subheader(page.text("runs"))
    show_rows(page, pd.DataFrame([_row(page, run) for run in runs]))
    if len(runs) > 1:
        _show_comparison(page, runs)
    else:
        st.write(page.text("one_run"))
    show_retraining(page)
    _show_drift(page)
    if page.may("read_audit"):
        _show_audit(page)


def _runs(page: Page) -> list[Run]:
    """Read again when a commit or a metric is new."""
    metrics = page.run.path("evaluate", "metrics.json")
    head = page.root / ".git" / "logs" / "HEAD"
    version = tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in (metrics, head))
    return _read(str(page.root), page.vertical_name, version)


@st.cache_data(max_entries=16, show_spinner=False)
def _read(root: str, vertical: str, version: tuple[int, ...]) -> list[Run]:
    return runs_of(Path(root), vertical)


def run_name(run: Run) -> str:
    """`now`, or the first letters of the commit with its day."""
    return run.commit if run.commit == NOW else f"{run.commit[:8]} ({run.date[:10]})"


def _row(page: Page, run: Run) -> dict[str, Any]:
    name = page.vertical.metrics[0]
    found = run.metrics.get(name) or {}
    return {
        "run": page.word(run_name(run)),
        "date": run.date[:19],
        name: found.get("value"),
        "low": found.get("low"),
        "high": found.get("high"),
        "verdict": page.word(run.verdict),
        "release": page.word(run.release),
        "data": run.data_md5[:8],
        "subject": run.subject,
    }


def _show_metrics(page: Page, runs: list[Run]) -> None:
    """One metric with its interval, oldest run first."""
    names = [name for name in page.vertical.metrics if any(name in run.metrics for run in runs)]
    if not names:
        return
    st.subheader(page.text("over_time"))
    name = st.selectbox(page.text("metric"), names, format_func=page.metric, key="history_metric")
    table = pd.DataFrame(
        [
            {
                "run": page.word(run_name(run)),
                "order": place,
                **{key: run.metrics[name][key] for key in ("value", "low", "high")},
            }
            for place, run in enumerate(reversed(runs))
            if name in run.metrics
        ]
    )
    base = alt.Chart(table).encode(
        x=alt.X("run:N", sort=alt.SortField("order"), title=None, axis=alt.Axis(labelAngle=-40, labelLimit=160))
    )
    title = page.metric(name)
    bars = base.mark_rule(color=COLOURS[0], strokeWidth=2).encode(
        y=alt.Y("low:Q", title=title, scale=alt.Scale(zero=False)), y2=alt.Y2("high:Q")
    )
    points = base.mark_line(point=True, color=COLOURS[0]).encode(
        y=alt.Y("value:Q"), tooltip=hints(run="", value=".3f", low=".3f", high=".3f")
    )
    st.altair_chart(alt.layer(bars, points).properties(height=280), width="stretch")


def _show_comparison(page: Page, runs: list[Run]) -> None:
    """Parameters, data and metrics of two runs side by side."""
    st.subheader(page.text("compare"))
    names = [run_name(run) for run in runs]
    left, right = st.columns(2)
    later = right.selectbox(page.text("later"), names, index=0, key="history_later", format_func=page.word)
    earlier = left.selectbox(page.text("earlier"), names, index=1, key="history_earlier", format_func=page.word)
    by_name = {run_name(run): run for run in runs}
    found = compare_runs(by_name[earlier], by_name[later])
    st.markdown(f"**{page.text('params')}**")
    if found.params:
        rows = [{"path": one.path, "before": str(one.before), "after": str(one.after)} for one in found.params]
        show_rows(page, pd.DataFrame(rows))
    else:
        st.write(page.text("same"))
    data = page.text("same") if found.data is None else " → ".join(one[:12] or "–" for one in found.data)
    st.markdown(f"**{page.text('data')}**: {data}")
    st.markdown(f"**{page.text('metrics')}**")
    table = pd.DataFrame([vars(one) for one in found.metrics])
    if len(table):
        table = table.assign(name=table["name"].map(page.metric)).rename(columns={"name": "metric"}).round(4)
    show_rows(page, table)


def _show_drift(page: Page) -> None:
    """What prepare measured between the target's own rows and the sources'."""
    report = page.run.find_json("prepare", "data_report.json") or {}
    rows = report.get("shift") or []
    if rows:
        st.subheader(page.text("drift"))
        st.caption(page.text("drift_text"))
        show_rows(page, pd.DataFrame(rows).rename(columns=lambda name: _of_domain(page, name)))


def _of_domain(page: Page, name: str) -> str:
    """`train of bank` in the reader's language; other names as they are."""
    split, between, domain = name.partition(" of ")
    return page.text(f"{split}_of", domain=domain) if between and split in ("train", "test") else name


def _show_audit(page: Page) -> None:
    """Who did what, and whether the chain holds."""
    store = open_page_store(page)
    st.subheader(page.text("audit"))
    rows, check = store.audit_rows(limit=MAX_AUDIT_ROWS), store.verify_audit()
    if check.is_whole:
        st.success(page.text("audit_ok", count=check.num_rows))
    else:
        st.error(page.text("audit_broken", row=check.first_broken))
    shown = rows.drop(columns=["previous_hash", "hash"], errors="ignore").astype({"details": str})
    show_rows(page, shown)
    st.download_button(page.text("common.download_csv"), harmless_csv(shown), "audit.csv", "text/csv")
