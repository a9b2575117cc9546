"""For whom predicted numbers are right: errors of each group, and which differ from the rest beyond chance."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from apps.page import Page
from apps.plain_text import plain
from apps.tables import column_title, show_rows
from apps.value_words import target_spec
from core.data.spreadsheet import harmless_csv
from core.regression.quantity import number_text, range_text, with_unit

SIGNED = partial(number_text, sign=True)


def show_value_slices(page: Page, unit: str) -> None:
    """Flagged groups first, each as a warning; then all groups."""
    st.subheader(page.text("values.slices"))
    slices = page.run.read_table("evaluate", "slices.csv")
    if slices.empty:
        st.write(page.text("values.no_slices"))
        return
    protected = set(target_spec(page).protected)
    flagged = slices[slices["is_flagged"].astype(bool)]
    for row in flagged.itertuples():
        key = "values.flagged_protected" if row.attribute in protected else "values.flagged"
        told = page.text(key, group=f"{row.attribute} = {row.value}", measures=_measures(page, row.flagged_gaps))
        st.warning(plain(told), icon=":material/flag:")
    if flagged.empty:
        st.success(page.text("values.none_flagged", count=int(slices["mae_p"].notna().sum())), icon=":material/check:")
    show_rows(page, slice_table(page, slices, unit))
    st.caption(page.text("values.slices_note"))
    st.download_button(page.text("common.download_csv"), harmless_csv(slices), "slices.csv", "text/csv")


def slice_table(page: Page, slices: pd.DataFrame, unit: str) -> pd.DataFrame:
    """`slices.csv` as texts with unit; a dash where a group is too small."""
    title = {
        name: with_unit(column_title(page, name), unit)
        for name in ("mean_truth", "mae", "mae_gap", "mean_error", "mean_error_gap")
    }
    rows = slices.to_dict("records")
    return pd.DataFrame(
        {
            "attribute": slices["attribute"],
            "value": slices["value"].astype(str),
            "rows": slices["rows"],
            "flagged_gaps": [_measures(page, names) or None for names in slices["flagged_gaps"]],
            title["mean_truth"]: slices["mean_truth"].map(number_text),
            title["mae"]: [_with_range(row, "mae", sign=False) for row in rows],
            title["mae_gap"]: slices["mae_gap"].map(SIGNED),
            title["mean_error"]: [_with_range(row, "mean_error", sign=True) for row in rows],
            title["mean_error_gap"]: slices["mean_error_gap"].map(SIGNED),
            "coverage": [None if pd.isna(share) else f"{share:.1%}" for share in slices["coverage"]],
            "note": slices["note"].fillna("").map(page.word),
        }
    )


def _measures(page: Page, names: object) -> str:
    """`mae, mean_error` in the reader's words; empty where nothing is flagged."""
    return "" if pd.isna(names) else ", ".join(page.metric(name.strip()) for name in str(names).split(","))


def _with_range(row: dict, name: str, *, sign: bool) -> str | None:
    """A measure with its interval where it has one."""
    if pd.isna(row[name]):
        return None
    interval = "" if pd.isna(row[f"{name}_low"]) else f" {range_text(row, f'{name}_', sign=sign)}"
    return f"{number_text(row[name], sign=sign)}{interval}"
