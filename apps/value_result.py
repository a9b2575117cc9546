"""What is predicted for one row: the value with its band, what moved it, and what is unusual about the row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from apps.page import Page
from apps.plain_text import plain
from apps.row_result import scored_row
from apps.value_form import unusual_values
from apps.value_words import quantity
from core.regression.quantity import in_unit, number_text


def show_value_result(page: Page, scorer: Any, values: Mapping[str, Any]) -> None:
    """Value and band in the label's unit, the band's record on test rows, reasons, warnings."""
    row, notes = scored_row(page, scorer, values)
    unit = row["unit"] or ""
    st.subheader(page.text("values.result"))
    if "data" in row:
        st.badge(row["data"], icon=":material/science:", color="violet")
    left, right = st.columns([1, 2])
    left.metric(plain(quantity(page)), in_unit(row["value"], unit), border=True)
    with right:
        _show_band(page, scorer, row, unit)
    for told in unusual_values(page, values):
        st.warning(plain(told), icon=":material/straighten:")
    for told in [row["problems"], *notes]:
        if told:
            st.warning(plain(told), icon=":material/warning:")
    reasons = [row[name] for name in scorer.reason_names if row[name]]
    if reasons:
        st.markdown(f"**{page.text('values.reasons')}**")
        st.markdown("\n".join(f"1. {plain(reason)}" for reason in reasons))
        st.caption(page.text("values.reasons_note"))


def _show_band(page: Page, scorer: Any, row: Mapping[str, Any], unit: str) -> None:
    """From where to where, with what promise, and whether test rows kept it."""
    band = scorer.model.band
    if band is None:
        st.info(page.text("values.no_band"), icon=":material/info:")
        return
    promise = f"{100 * (1 - band.error_rate):.4g} %"
    span = f"{number_text(row['low'])} – {in_unit(row['high'], unit)}"
    st.metric(page.text("values.band_of", promise=promise), span, border=True)
    tested = (page.run.find_json("evaluate", "metrics.json") or {}).get("band")
    if tested:
        units = page.word(tested["units"])
        told = {"share": f"{tested['share']:.1%}", "count": f"{tested['num_units']:,}", "units": units}
        st.caption(page.text("values.band_record", **told))
