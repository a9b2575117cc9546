"""Score rows of a table: one by a form that domain.yaml draws, or a file of them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from apps.evidence import personal_columns
from apps.models import open_scorer, rows_of
from apps.page import Page
from apps.plain_text import plain
from apps.recent import RecentCase, recent_cases, remember
from apps.row_result import scored_row, show_record
from apps.score_file import show_file
from core.data.domain import ColumnSpec
from core.data.scoring_rows import columns_needed

FORM_COLUMNS = 3
MAX_CATEGORIES = 200
MAX_CASES = 200  # offered to start from
SHORTEST = "%.10g"  # 18, not 18.00


def show_table(page: Page) -> None:
    """The two ways in."""
    st.caption(page.text("lead_table"))
    scorer = open_scorer(page)
    by_form, by_file = st.tabs([page.text("form"), page.text("file")])
    with by_form:
        _show_form(page, scorer)
    with by_file:
        show_file(page, scorer)


def _show_form(page: Page, scorer: Any) -> None:
    """Fields in the order of domain.yaml; the answer stays until the next one."""
    ranges = page.run.find_json("train", "feature_ranges.json") or {"features": {}}
    start = _starting_values(page, scorer)
    spec = scorer.model.spec
    names = columns_needed(spec, scorer.model.schema)
    values: dict[str, Any] = {}
    with st.form("score_form"):
        columns = st.columns(FORM_COLUMNS)
        for place, name in enumerate(names):
            with columns[place % FORM_COLUMNS]:
                known = ranges["features"].get(name, {})
                values[name] = _field(page, spec.column(name), known, start.get(name))
        is_sent = st.form_submit_button(page.text("score_it"), type="primary", icon=":material/fact_check:")
    key = f"score_record_{page.vertical_name}"
    if is_sent:
        st.session_state[key] = values
        number = sum(case.is_form for case in recent_cases(page)) + 1
        name = page.text("from_form", number=number)
        remember(page, [RecentCase(name, scored_row(page, scorer, values)[0], values=values, is_form=True)])
    if key in st.session_state:
        show_record(page, scorer, st.session_state[key])


def _starting_values(page: Page, scorer: Any) -> dict[str, Any]:
    """Typical values, or those of a test case."""
    predictions = page.run.find_table("evaluate", "predictions.parquet")
    ids = [] if predictions is None else list(predictions["sample_id"].head(MAX_CASES))
    chosen = st.selectbox(
        page.text("start_from"), [None, *ids], key="score_start", format_func=lambda one: one or page.text("typical")
    )
    if chosen is None:
        return dict(scorer.model.typical)
    values = rows_of(page, [chosen]).inputs.iloc[0].to_dict()
    hidden = set() if page.may("see_personal") else set(personal_columns(page))
    return {name: value for name, value in values.items() if name not in hidden}


def _field(page: Page, column: ColumnSpec, known: dict[str, Any], start: Any) -> Any:
    """A number with its range, a choice among the words known, or a text."""
    title = plain(column.name.replace("_", " ")) + (f" ({plain(column.unit)})" if column.unit else "")
    key = f"score_field_{page.vertical_name}_{column.name}_{start}"
    is_known = start is not None and start == start
    usual = f"{known['min']:g} – {known['max']:g}" if known.get("min") is not None else ""
    told = " · ".join(text for text in (plain(column.meaning), usual) if text) or None
    if column.kind == "number":
        low, high = column.allowed
        value = float(start) if is_known and not isinstance(start, str) else None
        is_whole = all(float(one).is_integer() for one in known.get("quantiles") or [0.5])
        step = 1.0 if is_whole else None
        missing = page.text("missing")
        return st.number_input(title, low, high, value, step, SHORTEST, key=key, placeholder=missing, help=told)
    if column.kind == "category":
        words = list(column.order or known.get("categories", []))[:MAX_CATEGORIES]
        place = words.index(start) if start in words else None
        return st.selectbox(title, words, index=place, key=key, placeholder=page.text("missing"), help=told)
    return st.text_area(title, str(start) if is_known else "", key=key, height=80, help=told) or None
