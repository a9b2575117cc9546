"""Did other markets help a forecast? Losses by history, gains over the same from scratch and over a rival, gates."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from apps.charts import interval_points
from apps.page import Page
from apps.page_head import show_head
from apps.tables import show_rows
from core.data.spreadsheet import harmless_csv
from core.forecasting.forecast_ledger import ALL_HORIZONS

COLUMNS = (
    "method", "mean", "low", "high", "difference", "difference_low", "difference_high", "p_value", "standing",
    "transfer_difference", "transfer_difference_low", "transfer_difference_high", "transfer_p_value", "verdict",
    "is_in_set", "fit_seconds",
)  # fmt: skip


def show(page: Page) -> None:
    """One history and horizon at a time; the sentence that the intervals support, and the table as it was written."""
    ledger = page.run.read_json("compare", "ledger_metrics.json")
    release = page.run.read_json("report", "release_metrics.json")
    show_head(page, baseline=ledger["baseline"], first=ledger["first_test_day"])
    entries = pd.DataFrame(ledger["entries"]).drop(columns="info")
    left, right = st.columns(2)
    budgets = list(dict.fromkeys(entries["budget"]))
    budget = left.segmented_control(
        page.text("history"), budgets, default=budgets[-1], key="proof_history", format_func=lambda b: page.word(b)
    )
    horizons = [ALL_HORIZONS, *ledger["horizons"]]
    horizon = right.segmented_control(
        page.text("days_ahead"), horizons, default=ALL_HORIZONS, key="proof_days", format_func=lambda h: page.word(h)
    )
    is_shown = (entries["budget"] == (budget or budgets[-1])) & (entries["horizon"] == (horizon or ALL_HORIZONS))
    shown = entries[is_shown].reset_index(drop=True)
    left, right = st.columns(2)
    with left:
        st.subheader(page.text("losses"))
        points = interval_points(shown, value="mean", low="low", high="high", label="method", title="QLIKE")
        st.altair_chart(points, width="stretch")
        st.caption(page.text("losses_note"))
    with right:
        st.subheader(page.text("transfer"))
        _show_transfer(page, shown)
    st.subheader(page.text("gates"))
    gates = pd.DataFrame(release["gates"])
    gates["is_passed"] = gates["is_passed"].map({True: page.text("passed"), False: page.text("failed")})
    st.markdown(f"**{page.word(release['headline'])}**")
    show_rows(page, gates[["name", "value", "wanted", "is_passed"]].astype(str))
    with st.expander(page.text("table")):
        show_rows(page, shown[[name for name in COLUMNS if name in shown]])
        written = harmless_csv(entries)
        st.download_button(page.text("common.download_csv"), written, "ledger.csv", "text/csv")


def _show_transfer(page: Page, shown: pd.DataFrame) -> None:
    """Gains of what transfers over the same from scratch."""
    moved = shown[shown["transfer_difference"].notna()] if "transfer_difference" in shown else shown.iloc[:0]
    if not len(moved):
        st.write(page.text("common.none"))
        return
    points = interval_points(
        moved,
        value="transfer_difference",
        low="transfer_difference_low",
        high="transfer_difference_high",
        label="method",
        title=page.text("gain"),
        zero=0.0,
    )
    st.altair_chart(points, width="stretch")
    for _, entry in moved.iterrows():
        st.markdown(
            f"- **{entry['method']}**: {page.word(entry['verdict'])} ({page.text('against')} {entry['from_scratch']})"
        )
