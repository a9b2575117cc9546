"""What was said of one row of a table: decision, probability, reasons, and what would change the decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from apps.models import model_digest
from apps.page import Page
from apps.page_head import told_errors
from apps.plain_text import plain
from apps.tables import column_title, show_rows
from core.data.manifest import FINDING_PREFIX
from core.data.raw_table import text_frame
from core.data.reading_records import as_text
from core.data.samples import Samples
from core.data.scoring_rows import columns_needed, samples_for_scoring
from core.data.typing_rows import type_rows
from core.explain.counterfactual import Counterfactuals, find_counterfactuals
from core.explain.feature_ranges import quantiles_of
from core.explain.row_changes import columns_that_may_change
from core.tables.scorer import KIND_PREFIX

LAST_ROW, LAST_CHANGES = "scored_row", "found_changes"  # in the session: (of what, result)


def show_record(page: Page, scorer: Any, values: Mapping[str, Any]) -> None:
    """Decision, probability, the vertical's own columns, reasons, and on demand what would change it."""
    row, notes = scored_row(page, scorer, values)
    st.subheader(page.text("result"))
    hidden = ("reason_", "probability_", KIND_PREFIX, FINDING_PREFIX)
    shown = [name for name in row if not name.startswith(hidden) and name != "problems" and row[name] is not None]
    for place, name in zip(st.columns(len(shown)), shown, strict=True):
        value = f"{row[name]:.3f}" if name == "probability" else page.word(plain_number(row[name]))
        place.metric(column_title(page, name), value)
    st.caption(
        f"{page.text('common.interval')}: {row['probability_low']:.3f} – {row['probability_high']:.3f}; "
        f"{page.text('common.threshold')}: {scorer.model.threshold:.3f}"
    )
    _show_beside(page, row)
    reasons = [row[name] for name in row if name.startswith("reason_") and row[name]]
    if reasons:
        st.markdown(f"**{page.text('reasons')}**\n\n" + "\n".join(f"1. {plain(reason)}" for reason in reasons))
    for told in [row.get("problems"), *notes]:
        if told:
            st.warning(plain(told), icon=":material/warning:")
    _show_changes(page, scorer, values)


def _show_beside(page: Page, row: Mapping[str, Any]) -> None:
    """The probabilities of kinds and of findings, of a model that tells them."""
    for prefix, title in ((KIND_PREFIX, "kinds"), (FINDING_PREFIX, "findings")):
        told = {name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)}
        if told:
            table = pd.DataFrame({page.text(title): list(told), page.text("common.probability"): list(told.values())})
            show_rows(page, table, bars=(page.text("common.probability"),))


def scored_row(page: Page, scorer: Any, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """As `score_values`; what the session scored last is not scored again."""
    of = _content(page, values)
    if st.session_state.get(LAST_ROW, (None,))[0] != of:
        st.session_state[LAST_ROW] = (of, score_values(scorer, values))
    return st.session_state[LAST_ROW][1]


def score_values(scorer: Any, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """(scored columns of one row, notes)."""
    columns, notes = scorer.score(_frame(values))
    return {name: found[0] for name, found in columns.items()}, notes


def samples_of_values(scorer: Any, values: Mapping[str, Any]) -> Samples:
    """One row as the model sees it."""
    model = scorer.model
    typed = type_rows(_frame(values), model.spec, required=columns_needed(model.spec, model.schema))
    return samples_for_scoring(typed.frame, model.spec, model.schema)


def _frame(values: Mapping[str, Any]) -> pd.DataFrame:
    """One row of texts, as from a file."""
    return text_frame(list(values), [[as_text(value) for value in values.values()]])


def _content(page: Page, values: Mapping[str, Any]) -> tuple[str, str]:
    """Equal for equal rows before the same model."""
    return model_digest(page), repr(sorted(values.items()))


@st.fragment
def _show_changes(page: Page, scorer: Any, values: Mapping[str, Any]) -> None:
    """Counterfactuals within what the visitor allows to change, looked for once somebody wants to see them."""
    with told_errors(page):
        ranges = page.run.find_json("train", "feature_ranges.json")
        if ranges is None:
            return
        key = f"score_changes_{page.vertical_name}"
        with st.expander(page.text("change"), key=key, on_change="rerun") as box:
            if box.open:
                _show_alternatives(page, scorer, values, ranges)


def _show_alternatives(page: Page, scorer: Any, values: Mapping[str, Any], ranges: Mapping[str, Any]) -> None:
    """The columns that may change, and a row for each way to the other decision."""
    st.caption(page.text("change_text"))
    model, sample = scorer.model, samples_of_values(scorer, values)
    offered = [name for name in columns_that_may_change(sample, model.spec) if name in ranges["features"]]
    numbers = [name for name in offered if ranges["features"][name]["kind"] == "number"]
    key = f"score_allowed_{page.vertical_name}"
    allowed = st.multiselect(page.text("allowed"), offered, numbers, key=key, format_func=lambda n: n.replace("_", " "))
    if not allowed:
        return
    of = (*_content(page, values), tuple(allowed))
    if st.session_state.get(LAST_CHANGES, (None,))[0] != of:
        with st.spinner(""):
            found = find_counterfactuals(model, sample, quantiles=quantiles_of(ranges), columns=allowed)
        st.session_state[LAST_CHANGES] = (of, found)
    _show_table(page, st.session_state[LAST_CHANGES][1])


def _show_table(page: Page, found: Counterfactuals) -> None:
    if not found.alternatives:
        st.write(page.text("no_change"), plain(found.note))
        return
    rows = [
        {
            page.text("common.probability"): f"{found.probability:.3f} → {one.probability:.3f}",
            **{name: f"{plain_number(before)} → {plain_number(after)}" for name, before, after in one.changes},
        }
        for one in found.alternatives
    ]
    show_rows(page, pd.DataFrame(rows).fillna(""))


def plain_number(value: Any) -> str:
    """Four digits of a number; a word as it is."""
    return f"{value:,.4g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)
