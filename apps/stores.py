"""The store of labels, proposals and the audit, opened once for all sessions."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from apps.page import Page
from core.lifecycle.store import Store, open_store


@st.cache_resource(max_entries=2, show_spinner=False)
def _store(root: str) -> Store:
    return open_store(Path(root))


def open_page_store(page: Page) -> Store:
    """The project's store.

    Raises:
        CrossdomainError: the database cannot be reached; the repair says what to check.
    """
    return _store(str(page.root))
