"""How far off a predicted number may be, and where its band keeps the promise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from apps.page import Page
from apps.value_charts import coverage_by_prediction, coverage_table
from apps.value_words import p_text
from core.regression.quantity import in_unit


def show_value_band(page: Page, metrics: Mapping[str, Any], known: pd.DataFrame, *, num_bins: int, words: str) -> None:
    """What the band rests on and held of the test rows, and its share inside by size of the prediction.

    known: labelled rows of `predictions.parquet`. words: what is predicted, with unit.
    """
    st.subheader(page.text("values.band"))
    band, unit = metrics["band"], metrics["unit"]
    if band is None:
        note = (page.run.find_json("train", "train_metrics.json") or {}).get("band_note", "")
        st.info(f"{page.text('values.no_band')} {_sentence(note)}", icon=":material/info:")
        return
    promise = 1 - band["error_rate"]
    told = {
        "below": in_unit(band["below"], unit),
        "above": in_unit(band["above"], unit),
        "promise": f"{100 * promise:.4g} %",
        "calibration": f"{band['num_calibration_units']:,}",
        "units": page.word(band["units"]),
        "count": f"{band['num_units']:,}",
        "share": f"{band['share']:.1%}",
        "low": f"{band['low']:.1%}",
        "high": f"{band['high']:.1%}",
        "p": p_text(band["p_value"]),
    }
    st.write(page.text("values.band_text", **told))
    table = coverage_table(known, num_bins=num_bins, confidence=metrics["confidence"])
    st.altair_chart(coverage_by_prediction(page, table, promise, words), width="stretch")
    st.caption(page.text("values.band_note"))


def _sentence(note: str) -> str:
    """A run's note as a sentence."""
    return f"{note[:1].upper()}{note[1:]}." if note else ""
