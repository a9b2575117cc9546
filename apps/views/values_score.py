"""Numbers predicted for new rows: one by a form, or a file of them."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from apps.page import Page
from apps.page_head import show_head
from apps.plain_text import plain
from apps.score_file import show_file
from apps.value_form import value_form
from apps.value_models import open_value_scorer
from apps.value_result import show_value_result
from apps.value_words import quantity


def show(page: Page) -> None:
    """The two ways in."""
    scorer = open_value_scorer(page)
    show_head(page, quantity=plain(quantity(page)))
    if not page.may("score"):
        st.info(page.text("common.not_allowed", role=page.text(f"common.role_{page.visitor.role}")))
        return
    by_form, by_file = st.tabs([page.text("values.form"), page.text("values.file")])
    with by_form:
        values = value_form(page, scorer)
        if values is not None:
            show_value_result(page, scorer, values)
    with by_file:
        show_file(replace(page, name="score"), scorer)  # with the texts of that page
