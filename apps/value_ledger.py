"""What transfer gave a predicted number at each label budget: gains with intervals, verdicts, p after Holm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from apps.charts import HEIGHT, QUIET, colour, hints, shape
from apps.page import Page
from apps.tables import column_title, show_rows
from apps.value_card import champion_entries, verdict_line
from apps.value_words import p_text
from core.data.spreadsheet import harmless_csv
from core.evaluation.ledger import BASELINE
from core.regression.quantity import number_text, range_text, with_unit

SIGNED = "+,.6~r"


def show_value_ledger(page: Page, train: Mapping[str, Any], ledger: Mapping[str, Any]) -> None:
    """The method in use at each budget, the gains of all methods as a figure, and the table."""
    st.subheader(page.text("values.in_use", method=f"{train['transfer']} · {train['regressor']}"))
    entries = champion_entries(train, ledger)
    if not entries:
        st.markdown(page.text("overview.unproven"))
    for entry in entries:
        st.markdown(f"- {verdict_line(page, ledger, entry)}")
    st.subheader(page.text("values.gains", baseline=ledger["baseline"]))
    _show_gains(page, gain_table(page, ledger), ledger)
    st.subheader(page.text("values.ledger"))
    show_rows(page, ledger_table(page, ledger))
    count, floor = ledger["num_bootstrap"], 2 / (ledger["num_bootstrap"] + 1)
    told = {"confidence": f"{ledger['confidence']:.0%}", "count": f"{count:,}", "floor": f"{floor:.2g}"}
    st.caption(page.text("values.ledger_note", **told))
    written = harmless_csv(pd.DataFrame(ledger["entries"]))
    st.download_button(page.text("common.download_csv"), written, "ledger.csv", "text/csv")


def gain_table(page: Page, ledger: Mapping[str, Any]) -> pd.DataFrame:
    """budget, method, difference with difference_low and difference_high, verdict, p_adjusted: all but the baseline."""
    rows = [
        {
            "budget": str(page.word(entry["budget"])),
            "method": entry["method"],
            **{name: entry[name] for name in ("difference", "difference_low", "difference_high")},
            "verdict": page.word(entry["verdict"]),
            "p_adjusted": p_text(entry.get("p_adjusted")),
        }
        for entry in ledger["entries"]
        if entry["difference"] is not None and entry["verdict"] != BASELINE
    ]
    return pd.DataFrame(rows)


def ledger_table(page: Page, ledger: Mapping[str, Any]) -> pd.DataFrame:
    """A row a method and budget, as texts: error, gain, p after Holm, verdict, seconds."""
    error = with_unit(page.metric(ledger["metric"]), ledger["metric_unit"])
    gain = with_unit(column_title(page, "difference"), ledger["metric_unit"])
    rows = []
    for entry in ledger["entries"]:
        is_compared = entry["difference"] is not None and entry["verdict"] != BASELINE
        difference = number_text(entry["difference"], sign=True) if is_compared else None
        rows.append(
            {
                "budget": str(page.word(entry["budget"])),
                "method": entry["method"],
                error: f"{number_text(entry['mean'])} {range_text(entry)}",
                gain: f"{difference} {range_text(entry, 'difference_', sign=True)}" if is_compared else None,
                "verdict": page.word(entry["verdict"]),
                "p_adjusted": p_text(entry.get("p_adjusted") if is_compared else None),
                "fit_seconds": entry["fit_seconds"],
            }
        )
    return pd.DataFrame(rows)


def _show_gains(page: Page, gains: pd.DataFrame, ledger: Mapping[str, Any]) -> None:
    """The gains of the chosen methods; at first of those with the regressor in use, whose rivals dwarf them."""
    if not len(gains):
        st.write(page.text("common.none"))
        return
    methods = list(dict.fromkeys(gains["method"]))
    default = [name for name in methods if ":" not in name] or methods
    chosen = st.multiselect(page.text("values.methods"), methods, default, key="values_methods")
    shown = gains[gains["method"].isin(chosen or default)]
    st.altair_chart(_gains_by_budget(page, shown, ledger), width="stretch")


def _gains_by_budget(page: Page, table: pd.DataFrame, ledger: Mapping[str, Any]) -> alt.LayerChart:
    """A point and its interval for each method at each budget; above the rule is better than the baseline."""
    methods, budgets = sorted(table["method"].unique()), list(dict.fromkeys(table["budget"]))
    title = with_unit(page.text("columns.difference"), ledger["metric_unit"])
    base = alt.Chart(table).encode(
        x=alt.X("budget:O", sort=budgets, title=page.text("columns.budget"), axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset("method:N"),
        color=colour("method", methods, page.text("common.method")),
    )
    room = alt.Scale(padding=8)  # else the longest interval ends on the frame as if it were cut
    bars = base.mark_rule(strokeWidth=2).encode(
        y=alt.Y("difference_low:Q", title=title, scale=room), y2=alt.Y2("difference_high:Q")
    )
    told = hints(
        method="", budget="", difference=SIGNED, difference_low=SIGNED, difference_high=SIGNED, verdict="",
        p_adjusted="",
    )  # fmt: skip
    points = base.mark_point(filled=True, size=80, opacity=1).encode(
        y=alt.Y("difference:Q", title=title), shape=shape("method", methods), tooltip=told
    )
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(strokeDash=[4, 3], color=QUIET).encode(y=alt.Y("zero:Q"))
    return alt.layer(zero, bars, points).properties(height=HEIGHT + 60)
