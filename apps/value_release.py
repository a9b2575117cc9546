"""May the model of a number be used? The decision, its gates, and the report to keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from apps.page import Page
from apps.plain_text import plain
from apps.tables import column_title

DECISION_COLOURS = {"ship": "green", "hold": "orange", "refuse": "red"}


def show_value_release(page: Page, release: Mapping[str, Any], *, transfer_reason: str = "") -> None:
    """The decision as a badge; a line a gate with what was found, what is wanted and why.

    transfer_reason: markdown in the place of what the run wrote of the transfer, in the reader's language.
    """
    st.subheader(page.text("values.release"))
    decision = release["decision"]
    st.markdown(f":{DECISION_COLOURS[decision]}-badge[{page.word(decision)}] {plain(page.word(release['headline']))}")
    for gate in release["gates"]:
        left, right = st.columns([2, 5])  # one below the other on a phone
        consequence = plain(page.word(gate["consequence"]))
        mark = (
            f":green[:material/check:] {page.text('values.passed')}"
            if gate["is_passed"]
            else f":red[:material/close:] {consequence}"
        )
        left.markdown(f"**{plain(page.word(gate['name']))}**  \n{mark}")
        value = f"{gate['value']:.3f}" if isinstance(gate["value"], float) else page.word(gate["value"])
        right.markdown(plain(f"{value} · {column_title(page, 'wanted')}: {page.word(gate['wanted'])}"))
        reason = transfer_reason if gate["name"] == "transfer" else ""
        right.caption(reason or plain(page.word(gate["reason"])))


def show_report_downloads(page: Page) -> None:
    """The report and the model card as files, where they are there."""
    files = (
        ("values.download_report", "report.html", f"{page.vertical_name}_report.html", "text/html"),
        ("values.download_card", "MODEL_CARD.md", "MODEL_CARD.md", "text/markdown"),
    )
    for column, (key, file, name, kind) in zip(st.columns(3), files, strict=False):
        text = page.run.find_text("report", file)
        if text is not None:
            column.download_button(page.text(key), text, name, kind, width="stretch")
