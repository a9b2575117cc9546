"""Score rows of a table: one by a form that domain.yaml draws, or a file of them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from apps.evidence import personal_columns
from apps.models import open_scorer, rows_of
from apps.page import Page
from apps.plain_text import plain
from apps.uploads import MAX_MEGABYTES, TABLES, shown_name, stored
from core.data.domain import ColumnSpec
from core.data.raw_table import text_frame
from core.data.reading import iterate_raw_table
from core.data.reading_records import as_text
from core.data.scoring_rows import columns_needed, samples_for_scoring
from core.data.spreadsheet import harmless_csv
from core.data.typing_rows import type_rows
from core.errors import CrossdomainError
from core.explain.counterfactual import find_counterfactuals
from core.explain.feature_ranges import quantiles_of

FORM_COLUMNS = 3
MAX_CATEGORIES = 200
MAX_CASES = 200  # offered to start from
ROWS_PER_CHUNK = 20_000
MAX_SHOWN_ROWS = 1_000


def show_table(page: Page) -> None:
    """The two ways in."""
    st.caption(page.text("lead_table"))
    scorer = open_scorer(page)
    by_form, by_file = st.tabs([page.text("form"), page.text("file")])
    with by_form:
        _show_form(page, scorer)
    with by_file:
        _show_file(page, scorer)


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
        return st.number_input(title, low, high, value, key=key, placeholder=page.text("missing"), help=told)
    if column.kind == "category":
        words = list(column.order or known.get("categories", []))[:MAX_CATEGORIES]
        place = words.index(start) if start in words else None
        return st.selectbox(title, words, index=place, key=key, placeholder=page.text("missing"), help=told)
    return st.text_area(title, str(start) if is_known else "", key=key, height=80, help=told) or None


def show_record(page: Page, scorer: Any, values: dict[str, Any]) -> None:
    """Decision, probability, the vertical's own columns, reasons, and what would change it."""
    frame = text_frame(list(values), [[as_text(value) for value in values.values()]])
    columns, notes = scorer.score(frame)
    row = {name: found[0] for name, found in columns.items()}
    st.subheader(page.text("result"))
    shown = [name for name in row if not name.startswith(("reason_", "probability_")) and name != "problems"]
    for place, name in zip(st.columns(len(shown)), shown, strict=True):
        value = f"{row[name]:.3f}" if name == "probability" else _plain_number(row[name])
        place.metric(name.replace("_", " "), value)
    st.caption(
        f"{page.text('common.interval')}: {row['probability_low']:.3f} – {row['probability_high']:.3f}; "
        f"{page.text('common.threshold')}: {scorer.model.threshold:.3f}"
    )
    reasons = [row[name] for name in row if name.startswith("reason_") and row[name]]
    if reasons:
        st.markdown(f"**{page.text('reasons')}**\n\n" + "\n".join(f"1. {plain(reason)}" for reason in reasons))
    for told in [row.get("problems"), *notes]:
        if told:
            st.warning(plain(told), icon=":material/warning:")
    _show_changes(page, scorer, frame)


def _show_changes(page: Page, scorer: Any, frame: pd.DataFrame) -> None:
    """Counterfactuals within what the visitor allows to change."""
    ranges = page.run.find_json("train", "feature_ranges.json")
    if ranges is None:
        return
    st.markdown(f"**{page.text('change')}**")
    st.caption(page.text("change_text"))
    model = scorer.model
    typed = type_rows(frame, model.spec, required=columns_needed(model.spec, model.schema))
    sample = samples_for_scoring(typed.frame, model.spec, model.schema)
    offered = [
        column.name
        for column in model.spec.columns
        if column.name in ranges["features"] and not column.is_protected and not column.is_after_outcome
    ]
    numbers = [name for name in offered if ranges["features"][name]["kind"] == "number"]
    allowed = st.multiselect(page.text("allowed"), offered, default=numbers, key=f"score_allowed_{page.vertical_name}")
    if not allowed:
        return
    found = find_counterfactuals(model, sample, quantiles=quantiles_of(ranges), columns=allowed)
    if not found.alternatives:
        st.write(page.text("no_change"), plain(found.note))
        return
    rows = [
        {
            **{f"{name}": f"{_plain_number(before)} → {_plain_number(after)}" for name, before, after in one.changes},
            page.text("common.probability"): f"{found.probability:.3f} → {one.probability:.3f}",
        }
        for one in found.alternatives
    ]
    st.dataframe(pd.DataFrame(rows).fillna(""), hide_index=True, width="stretch")


def _show_file(page: Page, scorer: Any) -> None:
    """A file of rows to a table to download; a file that cannot be read says why."""
    upload = st.file_uploader(
        page.text("upload_table", megabytes=MAX_MEGABYTES),
        type=[end.lstrip(".") for end in TABLES],
        max_upload_size=MAX_MEGABYTES,
        key=f"score_table_{page.vertical_name}",
    )
    if upload is None:
        return
    try:
        with stored(upload, suffixes=TABLES) as path:
            table, num_bad = _score_file(page, scorer, path)
    except CrossdomainError as error:
        st.error(page.text("bad_file", name=plain(shown_name(upload.name)), reason=plain(str(error))))
        return
    st.success(page.text("scored", count=f"{len(table):,}", bad=f"{num_bad:,}"))
    st.dataframe(table.head(MAX_SHOWN_ROWS), hide_index=True, width="stretch")
    st.download_button(page.text("common.download_csv"), harmless_csv(table), "scores.csv", "text/csv")


def _score_file(page: Page, scorer: Any, path: Any) -> tuple[pd.DataFrame, int]:
    """(scored rows, rows that could not be read), with progress."""
    parts, num_bad = [], 0
    with st.status(page.text("score_it"), expanded=False) as status:
        for raw in iterate_raw_table(path, ROWS_PER_CHUNK):
            columns, notes = scorer.score(raw.frame)
            keys = {name: raw.frame[name].to_numpy() for name in scorer.key_names if name in raw.frame}
            parts.append(pd.DataFrame({**keys, **columns}))
            num_bad += len(raw.problems)
            status.update(label=page.text("common.rows", count=f"{sum(map(len, parts)):,}"))
            for note in notes:
                status.write(plain(note))
        status.update(state="complete")
    return pd.concat(parts, ignore_index=True), num_bad


def _plain_number(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)
