"""Score a file of rows: a table to download; a file that cannot be read says why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from apps.models import model_digest
from apps.page import Page
from apps.plain_text import plain
from apps.recent import MAX_RECENT, RecentCase, remember
from apps.tables import show_rows
from apps.uploads import MAX_MEGABYTES, TABLES, shown_name, stored
from core.data.reading import iterate_raw_table
from core.data.spreadsheet import harmless_csv
from core.errors import CrossdomainError

ROWS_PER_CHUNK = 20_000
MAX_SHOWN_ROWS = 1_000


def show_file(page: Page, scorer: Any) -> None:
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
        table, num_bad = _scored_file(page, scorer, upload)
    except CrossdomainError as error:
        st.error(page.text("bad_file", name=plain(shown_name(upload.name)), reason=plain(str(error))))
        return
    st.success(page.text("scored", count=f"{len(table):,}", bad=f"{num_bad:,}"))
    show_rows(page, table.head(MAX_SHOWN_ROWS))
    st.download_button(page.text("common.download_csv"), harmless_csv(table), "scores.csv", "text/csv")


def _scored_file(page: Page, scorer: Any, upload: Any) -> tuple[pd.DataFrame, int]:
    """What was scored of this upload; the same one with the same model is not scored twice in a session."""
    digest, key = (model_digest(page), upload.name, upload.file_id), f"score_done_{page.vertical_name}"
    if st.session_state.get(key, (None,))[0] != digest:
        with stored(upload, suffixes=TABLES) as path:
            table, num_bad, cases = _score_file(page, scorer, path)
        st.session_state[key] = (digest, table, num_bad)
        remember(page, cases)
    return st.session_state[key][1:]


def _score_file(page: Page, scorer: Any, path: Any) -> tuple[pd.DataFrame, int, list[RecentCase]]:
    """(scored rows, rows that could not be read, the first rows to look at again), with progress."""
    parts, num_bad = [], 0
    cases: list[RecentCase] = []
    with st.status(page.text("score_it"), expanded=False) as status:
        for raw in iterate_raw_table(path, ROWS_PER_CHUNK):
            columns, notes = scorer.score(raw.frame)
            keys = {name: raw.frame[name].to_numpy() for name in scorer.key_names if name in raw.frame}
            parts.append(pd.DataFrame({**keys, **columns}))
            num_bad += len(raw.problems)
            cases += _cases_of(scorer, raw.frame.head(MAX_RECENT - len(cases)), columns)
            status.update(label=page.text("common.rows", count=f"{sum(map(len, parts)):,}"))
            for note in notes:
                status.write(plain(note))
        status.update(state="complete")
    return pd.concat(parts, ignore_index=True), num_bad, cases


def _cases_of(scorer: Any, frame: pd.DataFrame, columns: Mapping[str, Any]) -> list[RecentCase]:
    """Rows of a file with what was said of them, named by their key where they have one."""
    keys = [name for name in scorer.key_names if name in frame]
    cases = []
    for place, values in enumerate(frame.to_dict("records")):
        name = " ".join(str(values[key]) for key in keys) or str(place + 1)
        cases.append(RecentCase(name, {key: found[place] for key, found in columns.items()}, values=values))
    return cases
