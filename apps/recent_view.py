"""Cases that were scored in this session, to sort and to open again, beside the nearest training cases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from apps.evidence import show_near
from apps.models import model_digest, open_scorer, prepared_rows
from apps.page import Page
from apps.plain_text import plain
from apps.recent import RecentCase
from apps.row_result import samples_of_values, show_record
from apps.score_pictures import show_picture
from apps.tables import choose_row
from core.data.samples import Samples
from core.evaluation.feature_map import fit_axes, nearest_neighbours
from core.evaluation.feature_rows import TRAINING_ROLES, draw_feature_rows

ALWAYS_SHOWN = ("probability", "decision")


def show_recent(page: Page, cases: list[RecentCase]) -> None:
    """The table, the chosen case as the Score page shows it, and its neighbours."""
    scorer = open_scorer(page)
    st.caption(page.text("recent_text"))
    table = recent_table(cases)
    start = choose_row(page, table, key="cases_recent", file_name="recent.csv") or 0
    chosen = st.selectbox(page.text("case"), range(len(cases)), start, format_func=lambda one: cases[one].name)
    _show_case(page, scorer, cases[chosen])


def recent_table(cases: list[RecentCase]) -> pd.DataFrame:
    """One row a case: name, probability, decision, and what else was said of all of them."""
    rows = [{"sample_id": case.name, **case.row} for case in cases]
    table = pd.DataFrame(rows)
    first = ["sample_id", *(name for name in ALWAYS_SHOWN if name in table)]
    return table[[*first, *(name for name in table if name not in first and not name.startswith("reason_"))]]


def _show_case(page: Page, scorer: Any, case: RecentCase) -> None:
    st.subheader(plain(case.name))
    scored_page = replace(page, name="score")  # whose texts its evidence uses
    if case.picture is not None:
        show_picture(scored_page, scorer, case.picture)
        samples = scorer.samples_of([case.picture.image], [case.name])
    elif case.values is not None:
        show_record(scored_page, scorer, case.values)
        samples = samples_of_values(scorer, case.values)
    else:
        st.write(page.text("picture_gone"))
        return
    with st.spinner(page.text("neighbours")):
        near = _near(page, scorer, samples, (page.vertical_name, model_digest(page), _content(case)))
    show_near(page, samples, near)


@st.cache_data(max_entries=64, show_spinner=False)
def _near(_page: Page, _scorer: Any, _samples: Samples, key: tuple[str, str, str]) -> pd.DataFrame:
    """The nearest labelled training rows of one new row; kept by the model and what is in the row."""
    training = {role: rows for role, rows in prepared_rows(_page).by_split.items() if role in TRAINING_ROLES}
    drawn = draw_feature_rows(_scorer.model.learner, {**training, "test": _samples}, _page.vertical.classes, seed=0)
    return nearest_neighbours(drawn, fit_axes(drawn))


def _content(case: RecentCase) -> str:
    """Equal for cases that are the same."""
    return case.picture.image.digest if case.picture is not None else repr(sorted((case.values or {}).items()))
