"""Tables of the pages: one look, and column names in the reader's language."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from apps.language import catalogue
from apps.page import Page
from core.data.spreadsheet import harmless_csv

ROWS_WITHOUT_SCROLLING = 6
TIMES = ("at", "date", "decided_at")  # as 2026-11-26T18:48:11+00:00
REASON = "reason_"  # reason_1, reason_2, ...
ENDS = ("_gap", "_low", "_high", "_p")  # of a measure's own name, told once for all measures


def column_title(page: Page, name: str) -> str:
    """What a column is called; names that only the vertical knows stay as they are, in words."""
    known = catalogue()
    if f"columns.{name}" in known:
        return page.text(f"columns.{name}")
    if name.startswith(REASON) and name.removeprefix(REASON).isdigit():
        return f"{page.text('columns.reason')} {name.removeprefix(REASON)}"
    for end in ENDS:
        if name.endswith(end) and f"columns.{name.removesuffix(end)}" in known:
            return page.text(f"columns.of{end}", name=page.text(f"columns.{name.removesuffix(end)}"))
    return name.replace("_", " ")


def show_rows(page: Page, table: pd.DataFrame, *, into: Any = None, bars: tuple[str, ...] = (), **more: Any) -> Any:
    """The table at full width; what `st.dataframe` gives back. bars: columns of shares from 0 to 1, drawn as bars."""
    titles = {str(name): column_title(page, str(name)) for name in table.columns}
    config: dict[str, Any] = dict(titles)
    config |= {name: st.column_config.ProgressColumn(titles[name], min_value=0, max_value=1) for name in bars}
    texts = table.select_dtypes(exclude=["number", "bool"]).columns
    shown = table.assign(**{name: table[name].fillna("–") for name in texts})
    for name in set(TIMES) & set(texts):
        shown[name] = shown[name].astype(str).str.slice(0, 16).str.replace("T", " ")
    return (into or st).dataframe(
        shown, hide_index=True, width="stretch", column_config=config, placeholder="–", **more
    )


def choose_row(page: Page, cases: pd.DataFrame, *, key: str, file_name: str) -> int | None:
    """A table of cases with its download; the place of the row that was clicked, None where none was."""
    height = 260 if len(cases) > ROWS_WITHOUT_SCROLLING else "auto"
    event = show_rows(
        page, cases, bars=("probability",), height=height, on_select="rerun", selection_mode="single-row", key=key
    )
    st.download_button(page.text("common.download_csv"), harmless_csv(cases), file_name, "text/csv")
    return event.selection.rows[0] if event.selection.rows else None
