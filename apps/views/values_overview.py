"""How good predicted numbers are: metrics with unit, the release decision, figures of the test rows, the band."""

from __future__ import annotations

import streamlit as st

from apps.page import Page
from apps.page_head import show_head
from apps.plain_text import plain
from apps.value_band import show_value_band
from apps.value_card import champion_entries, show_metric_tiles, verdict_line
from apps.value_charts import errors_by_prediction, predicted_against_true
from apps.value_release import show_report_downloads, show_value_release
from apps.value_words import quantity


def show(page: Page) -> None:
    """Everything that a person looks at first; the proof of the transfer has a page of its own."""
    metrics = page.run.read_json("evaluate", "metrics.json")
    predictions = page.run.read_table("evaluate", "predictions.parquet")
    by_prediction = page.run.read_table("evaluate", "errors_by_prediction.csv")
    release = page.run.read_json("report", "release_metrics.json")
    words, known = quantity(page), predictions[predictions["truth"].notna()]
    show_head(page, quantity=plain(words), count=f"{metrics['rows']:,}", target=metrics["domain"])
    show_metric_tiles(page, metrics)
    show_value_release(page, release, transfer_reason=_transfer_reason(page))
    left, right = st.columns(2)
    with left:
        st.subheader(page.text("values.against_true"))
        st.altair_chart(predicted_against_true(page, known, words), width="stretch")
    with right:
        st.subheader(page.text("values.errors"))
        st.altair_chart(errors_by_prediction(page, by_prediction, words), width="stretch")
        st.caption(page.text("values.errors_note"))
    show_value_band(page, metrics, known, num_bins=len(by_prediction), words=words)
    show_report_downloads(page)


def _transfer_reason(page: Page) -> str:
    """What the ledger says of the method in use; empty where it was not compared."""
    train = page.run.find_json("train", "train_metrics.json")
    ledger = page.run.find_json("compare", "ledger_metrics.json")
    entries = champion_entries(train, ledger) if train and ledger else []
    return verdict_line(page, ledger, entries[-1]) if entries else ""
