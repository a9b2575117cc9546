"""A form for one row, made of what the model reads; fields know what training rows had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from apps.evidence import personal_columns
from apps.page import Page
from apps.plain_text import plain
from apps.value_models import value_test_rows
from core.data.domain import ColumnSpec
from core.data.scoring_rows import columns_needed
from core.explain.reasons import format_number
from core.regression.quantity import with_unit

FORM_COLUMNS = 3
MAX_CATEGORIES = 200
MAX_CASES = 200  # offered to start from
SHORTEST = "%.10g"  # 18, not 18.00


def value_form(page: Page, scorer: Any) -> dict[str, Any] | None:
    """Fields in the order of the schema; what was sent last, None before that."""
    ranges = feature_ranges_of(page)
    start = _starting_values(page, scorer)
    spec = scorer.model.spec
    values: dict[str, Any] = {}
    with st.form("values_form"):
        columns = st.columns(FORM_COLUMNS)
        for place, name in enumerate(columns_needed(spec, scorer.model.schema)):
            with columns[place % FORM_COLUMNS]:
                values[name] = _field(page, spec.column(name), ranges.get(name, {}), start.get(name))
        is_sent = st.form_submit_button(page.text("values.predict"), type="primary", icon=":material/calculate:")
    key = f"values_record_{page.vertical_name}"
    if is_sent:
        st.session_state[key] = values
    return st.session_state.get(key)


def feature_ranges_of(page: Page) -> Mapping[str, Any]:
    """Feature -> what its training rows had; empty where the run did not tell."""
    return (page.run.find_json("train", "feature_ranges.json") or {"features": {}})["features"]


def unusual_values(page: Page, values: Mapping[str, Any]) -> list[str]:
    """A sentence for each number beyond those of the training rows, where the model guesses."""
    told = []
    for name, known in feature_ranges_of(page).items():
        value = values.get(name)
        if not isinstance(value, (int, float)) or known.get("min") is None:
            continue
        if not known["min"] <= value <= known["max"]:
            texts = {end: format_number(known[end]) for end in ("min", "max")}
            shown = with_unit(name.replace("_", " "), known.get("unit", ""))
            told.append(page.text("values.unusual", name=shown, value=format_number(value), **texts))
    return told


def _starting_values(page: Page, scorer: Any) -> dict[str, Any]:
    """Typical values, or those of a test row."""
    predictions = page.run.find_table("evaluate", "predictions.parquet")
    ids = [] if predictions is None else list(predictions["sample_id"].head(MAX_CASES))
    typical = page.text("values.typical")
    chosen = st.selectbox(
        page.text("values.start_from"), [None, *ids], key="values_start", format_func=lambda one: one or typical
    )
    if chosen is None:
        return dict(scorer.model.typical)
    rows = value_test_rows(page)
    places = [place for place, sample_id in enumerate(rows.sample_ids) if sample_id == chosen]
    values = rows.inputs.iloc[places[0]].to_dict() if places else {}
    hidden = set() if page.may("see_personal") else set(personal_columns(page))
    return {name: value for name, value in values.items() if name not in hidden}


def _field(page: Page, column: ColumnSpec, known: Mapping[str, Any], start: Any) -> Any:
    """A number, a choice among the words known, or a text; its help tells meaning and usual range."""
    title = plain(with_unit(column.name.replace("_", " "), column.unit))
    key = f"values_field_{page.vertical_name}_{column.name}_{start}"
    missing = page.text("values.missing")
    usual = ""
    if known.get("min") is not None:
        usual = page.text("values.usual", low=format_number(known["min"]), high=format_number(known["max"]))
    told = " · ".join(text for text in (plain(column.meaning), usual) if text) or None
    is_known = start is not None and start == start
    if column.kind == "number":
        low, high = column.allowed
        is_whole = all(float(one).is_integer() for one in known.get("quantiles") or [0.5])
        value = float(start) if is_known and not isinstance(start, str) else None
        step = 1.0 if is_whole else None
        return st.number_input(title, low, high, value, step, SHORTEST, key=key, placeholder=missing, help=told)
    if column.kind == "category":
        words = list(column.order or known.get("categories", []))[:MAX_CATEGORIES]
        place = words.index(start) if start in words else None
        return st.selectbox(title, words, index=place, key=key, placeholder=missing, help=told)
    return st.text_input(title, str(start) if is_known else "", key=key, placeholder=missing, help=told) or None
