"""Cases that were scored in this session: in the session's memory alone, and gone with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from apps.models import model_digest
from apps.page import Page

MAX_RECENT = 500
MAX_RECENT_PICTURES = 40  # with their heat maps


@dataclass(frozen=True)
class RecentCase:
    """name: of the file or of the row. row: the scored columns. values: of a table's row, as they were read.

    picture: a `ScoredPicture`, of the last 40.
    """

    name: str
    row: Mapping[str, Any]
    values: Mapping[str, Any] | None = None
    picture: Any | None = None
    is_form: bool = False


def remember(page: Page, cases: Sequence[RecentCase]) -> None:
    """Put the cases before those that were scored earlier; the oldest go."""
    found = [*reversed(cases), *recent_cases(page)][:MAX_RECENT]
    with_picture = [case for case in found if case.picture is not None][MAX_RECENT_PICTURES:]
    dropped = {id(case) for case in with_picture}
    st.session_state[_key(page)] = (
        model_digest(page),
        [replace(case, picture=None) if id(case) in dropped else case for case in found],
    )


def recent_cases(page: Page) -> list[RecentCase]:
    """Those that the model as it is now has scored, the latest first."""
    digest, cases = st.session_state.get(_key(page), ("", []))
    return cases if cases and digest == model_digest(page) else []


def _key(page: Page) -> str:
    return f"recent_{page.vertical_name}"
