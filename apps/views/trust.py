"""Calibration, groups, robustness, shortcuts, gates and the model card; the report as one file to print."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from apps.charts import COLOURS, QUIET, colour, dash, hints
from apps.page import Page
from apps.page_head import show_head
from apps.plain_text import plain
from apps.printing import find_chromium, print_to_pdf
from apps.tables import column_title, show_rows
from apps.verdicts import verdict_text
from core.evaluation.ledger import champion_verdict

SLICE_COLUMNS = (
    "attribute",
    "value",
    "rows",
    "auc",
    "auc_low",
    "auc_high",
    "adverse_rate",
    "true_positive_rate",
    "false_positive_rate",
    "is_flagged",
    "note",
)


def show(page: Page) -> None:
    """Everything that a person needs who has to stand for the model."""
    release = page.run.read_json("report", "release_metrics.json")
    show_head(page)
    _show_release(page, release)
    left, right = st.columns(2)
    with left:
        st.subheader(page.text("calibration"))
        st.altair_chart(_calibration(page), width="stretch")
    with right:
        _show_robustness(page)
    _show_slices(page)
    _show_shortcuts(page)
    _show_card(page)


def _show_release(page: Page, release: dict) -> None:
    """The decision and its gates."""
    st.subheader(f"{page.text('release')}: {page.word(release['headline'])}")
    ledger = page.run.find_json("compare", "ledger_metrics.json")
    for gate in release["gates"]:
        left, right = st.columns([2, 5])  # one below the other on a phone
        consequence = plain(page.word(gate["consequence"]))
        mark = (
            f":green[:material/check:] {page.text('passed')}"
            if gate["is_passed"]
            else f":red[:material/close:] {consequence}"
        )
        left.markdown(f"**{plain(page.word(gate['name']))}**  \n{mark}")
        value = f"{gate['value']:.3f}" if isinstance(gate["value"], float) else page.word(gate["value"])
        wanted = f"{column_title(page, 'wanted')}: {page.word(gate['wanted'])}"
        right.markdown(plain(f"{value} · {wanted}"))
        right.caption(plain(_reason(page, gate, ledger)))


def _reason(page: Page, gate: dict, ledger: dict | None) -> str:
    """Why the gate is there; of the transfer what the ledger says."""
    method = (page.run.find_json("train", "train_metrics.json") or {}).get("transfer")
    if gate["name"] != "transfer" or ledger is None or all(one["method"] != method for one in ledger["entries"]):
        return page.word(gate["reason"])
    return verdict_text(page, ledger, champion_verdict(ledger, method))


def _calibration(page: Page) -> alt.LayerChart:
    """Bins with their intervals beside the diagonal."""
    table = page.run.read_table("evaluate", "calibration.csv")
    base = alt.Chart(table).encode(
        x=alt.X("mean_probability:Q", title=page.text("said"), scale=alt.Scale(domain=[0, 1]))
    )
    bars = base.mark_rule(color=COLOURS[0]).encode(
        y=alt.Y("observed_low:Q", title=page.text("came"), scale=alt.Scale(domain=[0, 1])), y2=alt.Y2("observed_high:Q")
    )
    points = base.mark_point(filled=True, size=70, color=COLOURS[0]).encode(
        y=alt.Y("observed_rate:Q"), tooltip=hints(rows="", mean_probability=".3f", observed_rate=".3f")
    )
    ideal = alt.Chart(pd.DataFrame({"x": [0, 1], "y": [0, 1]})).mark_line(color=QUIET, strokeDash=[4, 3])
    return alt.layer(ideal.encode(x=alt.X("x:Q"), y=alt.Y("y:Q")), bars, points).properties(height=320)


def _show_robustness(page: Page) -> None:
    """AUC over the strength of what was done to the pictures."""
    st.subheader(page.text("robustness"))
    for name, kind in (("corruptions", "corruption"), ("robustness", "disturbance")):
        table = page.run.find_table("evaluate", f"evidence/{name}.csv")
        if table is None or not len(table):
            continue
        names = sorted(set(table[kind]) - {"none"})
        lines = (
            alt.Chart(table[table[kind] != "none"])
            .mark_line(point=True)
            .encode(
                x=alt.X("strength:O", title=page.text("strength"), axis=alt.Axis(labelAngle=0)),
                y=alt.Y("auc:Q", title="AUC", scale=alt.Scale(zero=False)),
                color=colour(kind, names, "", is_line=True),
                strokeDash=dash(kind, names),
                tooltip=hints(**{kind: "", "strength": "", "auc": ".3f"}),
            )
        )
        plain = (
            alt.Chart(table[table[kind] == "none"]).mark_rule(strokeDash=[4, 3], color=QUIET).encode(y=alt.Y("auc:Q"))
        )
        st.altair_chart(alt.layer(plain, lines).properties(height=320 + 12 * len(names)), width="stretch")
        return
    st.write(page.text("nothing"))


def _show_slices(page: Page) -> None:
    """Slices of every vertical, subgroups where they were measured."""
    st.subheader(page.text("slices"))
    slices = page.run.find_table("evaluate", "slices.csv")
    if slices is None or not len(slices):
        st.write(page.text("nothing"))
    else:
        show_rows(page, slices[[n for n in SLICE_COLUMNS if n in slices]])
    subgroups = page.run.find_table("evaluate", "evidence/subgroups.csv")
    if subgroups is not None and len(subgroups):
        with st.expander(page.text("subgroups")):
            show_rows(page, subgroups)


def _show_shortcuts(page: Page) -> None:
    table = page.run.find_table("evaluate", "evidence/shortcuts.csv")
    if table is None or not len(table):
        return
    st.subheader(page.text("shortcuts"))
    st.caption(page.text("shortcuts_text"))
    words = {name: table[name].map(page.word) for name in ("asked_of", "measure")}
    show_rows(page, table.assign(**words))


def _show_card(page: Page) -> None:
    """The model card, and the report to keep or print."""
    card, report = page.run.find_text("report", "MODEL_CARD.md"), page.run.find_text("report", "report.html")
    st.subheader(page.text("report"))
    first, second, third = st.columns(3)
    name = f"{page.vertical_name}_report"
    if report is not None:
        first.download_button(page.text("download_report"), report, f"{name}.html", "text/html", width="stretch")
        if find_chromium() is None:
            second.caption(page.text("no_pdf"))
        elif second.button(page.text("download_pdf"), width="stretch"):
            with st.spinner(""):
                pdf = print_to_pdf(page.run.path("report", "report.html"))
            second.download_button("PDF", pdf, f"{name}.pdf", "application/pdf", width="stretch")
    if card is not None:
        third.download_button(page.text("download_card"), card, "MODEL_CARD.md", "text/markdown", width="stretch")
        with st.expander(page.text("card")):
            st.markdown(card)
