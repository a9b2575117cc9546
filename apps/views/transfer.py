"""The ledger as figures: did moving knowledge help, at which budget, at what cost; and how far the domains are."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from apps.charts import HEIGHT, QUIET, VERDICT_COLOURS, colour, hints, interval_points, legend, shape
from apps.page import Page
from apps.page_head import show_head
from apps.tables import show_rows
from core.data.spreadsheet import harmless_csv

LEDGER_COLUMNS = (
    "budget",
    "method",
    "mean",
    "low",
    "high",
    "difference",
    "difference_low",
    "difference_high",
    "p_adjusted",
    "verdict",
    "fit_seconds",
)
DISTANCE_COLUMNS = ("domain", "proxy_a_distance", "proxy_a_distance_low", "proxy_a_distance_high", "mmd_squared")


def show(page: Page) -> None:
    """Curves, gains, cost, the map of the features, distances, and the table."""
    ledger = page.run.read_json("compare", "ledger_metrics.json")
    show_head(page, baseline=ledger["baseline"])
    table = pd.DataFrame(ledger["entries"])
    table["budget"] = [page.word(budget) for budget in table["budget"]]
    budgets = list(dict.fromkeys(table["budget"]))
    left, right = st.columns([3, 2])
    with left:
        st.subheader(page.text("curves"))
        st.altair_chart(_curves(page, table, budgets, ledger), width="stretch")
    with right:
        st.subheader(page.text("gains", baseline=ledger["baseline"]))
        budget = st.segmented_control(page.text("budget"), budgets, default=budgets[-1], key="transfer_budget")
        _show_gains(page, table[table["budget"] == (budget or budgets[-1])], ledger)
    st.subheader(page.text("cost"))
    st.altair_chart(_cost(page, table, budgets), width="stretch")
    _show_map(page)
    _show_distances(page)
    with st.expander(page.text("table")):
        columns = [name for name in LEDGER_COLUMNS if name in table]
        show_rows(page, table[columns].assign(verdict=table["verdict"].map(page.word)))
        as_written = harmless_csv(pd.DataFrame(ledger["entries"])[columns])
        st.download_button(page.text("common.download_csv"), as_written, "ledger.csv", "text/csv")


def _curves(page: Page, table: pd.DataFrame, budgets: list[str], ledger: dict[str, Any]) -> alt.LayerChart:
    """Mean and interval of each method over the budgets."""
    methods = sorted(table["method"].unique())
    base = alt.Chart(table).encode(
        x=alt.X("budget:O", sort=budgets, title=page.text("labels"), axis=alt.Axis(labelAngle=0)),
        color=colour("method", methods, page.text("common.method")),
    )
    title = page.metric(ledger["metric"])
    tooltip = hints(budget="", method="", mean=".3f", low=".3f", high=".3f", verdict="")
    mean = alt.Y("mean:Q", title=title, scale=alt.Scale(zero=False))
    dodge = alt.XOffset("method:N")
    low = alt.Y("low:Q", title=title, scale=alt.Scale(zero=False))
    bars = base.mark_rule(opacity=0.55, strokeWidth=1.5).encode(y=low, y2=alt.Y2("high:Q"), xOffset=dodge)
    points = base.mark_point(filled=True, size=70).encode(
        y=mean, xOffset=dodge, shape=shape("method", methods), tooltip=tooltip
    )
    return alt.layer(bars, points).properties(height=HEIGHT + 100)


def _show_gains(page: Page, table: pd.DataFrame, ledger: dict[str, Any]) -> None:
    """Differences with their intervals at one budget, and the sentence that they support."""
    compared = table[table["difference_low"].notna() & (table["verdict"] != "baseline")]
    if not len(compared):
        st.write(page.text("common.none"))
        return
    st.altair_chart(
        interval_points(
            compared,
            value="difference",
            low="difference_low",
            high="difference_high",
            label="method",
            title=page.text("gain"),
            zero=0.0,
        ),
        width="stretch",
    )
    best = compared.sort_values("difference").iloc[-1]
    told = {"budget": best["budget"], "baseline": ledger["baseline"]}
    if best["verdict"] != "gain":
        st.write(page.text("verdict_none", **told))
        return
    figures = {"difference": "difference", "low": "difference_low", "high": "difference_high"}
    values = {name: f"{best[column]:+.3f}" for name, column in figures.items()}
    st.write(page.text("verdict_gain", method=best["method"], **told, **values))


def _cost(page: Page, table: pd.DataFrame, budgets: list[str]) -> alt.LayerChart:
    """Seconds of fitting against the gain."""
    known = table[table["difference"].notna()].assign(fit_seconds=table["fit_seconds"].clip(lower=0.01))
    verdicts = [name for name in VERDICT_COLOURS if name in set(known["verdict"])]
    known = known.assign(verdict=known["verdict"].map(page.word))
    words = [page.word(name) for name in verdicts]
    scale = alt.Scale(domain=words, range=[VERDICT_COLOURS[name] for name in verdicts])
    points = (
        alt.Chart(known)
        .mark_point(filled=True, size=90, opacity=0.9)
        .encode(
            x=alt.X("fit_seconds:Q", scale=alt.Scale(type="log"), title=page.text("seconds")),
            y=alt.Y("difference:Q", title=page.text("gain")),
            color=alt.Color("verdict:N", scale=scale, legend=legend(None)),
            shape=alt.Shape("budget:N", sort=budgets, legend=legend(page.text("budget"))),
            tooltip=hints(method="", budget="", fit_seconds=".1f", difference="+.3f", verdict=""),
        )
    )
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(strokeDash=[4, 3], color=QUIET).encode(y=alt.Y("zero:Q"))
    return alt.layer(zero, points).properties(height=HEIGHT - 60)


def _show_map(page: Page) -> None:
    """Rows of source and target in the plane."""
    rows = page.run.find_table("evaluate", "feature_map.parquet")
    st.subheader(page.text("map"))
    if rows is None or not len(rows):
        distances = page.run.find_json("evaluate", "domain_distances.json") or {}
        st.write(page.text("no_map", reason=distances.get("reason") or page.text("common.nothing_yet")))
        return
    st.caption(page.text("map_text"))
    ways = {"by_domain": "domain", "by_role": "role", "by_error": "is_wrong"}
    way = st.segmented_control(
        page.text("map_colour"), list(ways), default="by_domain", format_func=page.text, key="transfer_map"
    )
    field = ways[way or "by_domain"]
    shown = rows
    if field == "is_wrong":
        shown = rows[rows["is_wrong"].notna()]
        words = shown["is_wrong"].astype(bool).map({True: page.text("wrong"), False: page.text("right")})
        shown = shown.assign(is_wrong=words)
    if field == "role":
        shown = shown.assign(role=shown["role"].map(page.word))
    names = sorted(shown[field].astype(str).unique())
    chart = (
        alt.Chart(shown)
        .mark_point(filled=True, size=28, opacity=0.6)
        .encode(
            x=alt.X("x:Q", title=None, axis=alt.Axis(labels=False, ticks=False)),
            y=alt.Y("y:Q", title=None, axis=alt.Axis(labels=False, ticks=False)),
            color=colour(field, names, page.text(way or "by_domain")),
            shape=shape(field, names),
            tooltip=hints(sample_id="", domain="", role="", label=""),
        )
    )
    st.altair_chart(chart.properties(height=HEIGHT + 80), width="stretch")


def _show_distances(page: Page) -> None:
    """How far each source is from the target, in two measures."""
    found = page.run.find_json("evaluate", "domain_distances.json") or {}
    rows = found.get("distances") or []
    if not rows:
        return
    st.subheader(page.text("distances"))
    st.caption(page.text("distances_text"))
    table = pd.DataFrame(rows)
    first = [name for name in DISTANCE_COLUMNS if name in table]
    show_rows(page, table[[*first, *(name for name in table if name not in (*first, "left_out")), "left_out"]])
