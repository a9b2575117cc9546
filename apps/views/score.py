"""New cases scored with the saved model: rows of a table, or pictures."""

from __future__ import annotations

import streamlit as st

from apps.page import Page
from apps.page_head import show_head
from apps.score_pictures import show_pictures
from apps.score_table import show_table


def show(page: Page) -> None:
    """By what the vertical is made of."""
    show_head(page, "")
    if not page.may("score"):
        st.info(page.text("common.not_allowed", role=page.text(f"common.role_{page.visitor.role}")))
    elif page.vertical.modality == "image":
        show_pictures(page)
    else:
        show_table(page)
