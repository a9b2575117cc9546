"""Score pictures: decision, heat map with a slider, area; for radiographs window and level; a table to download."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from apps.evidence import overlaid
from apps.models import model_digest, open_scorer
from apps.page import Page
from apps.plain_text import plain
from apps.recent import RecentCase, remember
from apps.tables import column_title, show_rows
from apps.uploads import ARCHIVES, MAX_MEGABYTES, PICTURES, picture_files, shown_name
from core.data.spreadsheet import harmless_csv
from core.errors import CrossdomainError
from core.images.decoding import BadImage
from core.images.image import Image

CHUNK = 32
MAX_KEPT_PICTURES = 40  # with their heat maps, in the session; the table has all


@dataclass(frozen=True)
class ScoredPicture:
    """One picture as it was scored. heat: (S, S) in 0..1."""

    name: str
    image: Image
    heat: np.ndarray
    row: dict[str, Any]


def show_pictures(page: Page) -> None:
    """Upload or camera, then the table and the picture in front."""
    st.caption(page.text("lead_image"))
    scorer = open_scorer(page)
    by_file, by_camera = st.tabs([page.text("file"), page.text("camera")])
    uploads = by_file.file_uploader(
        page.text("upload_image", megabytes=MAX_MEGABYTES),
        type=[end.lstrip(".") for end in (*PICTURES, *ARCHIVES)],
        accept_multiple_files=True,
        max_upload_size=MAX_MEGABYTES,
        key=f"score_pictures_{page.vertical_name}",
    )
    if by_camera.toggle(page.text("camera"), key="score_use_camera"):
        taken = by_camera.camera_input(page.text("camera"), label_visibility="collapsed")
        uploads = [*uploads, *([taken] if taken else [])]
    if not uploads:
        return
    kept, table = _scored(page, scorer, uploads)
    _show_results(page, scorer, kept, table)


def _scored(page: Page, scorer: Any, uploads: list[Any]) -> tuple[list[ScoredPicture], pd.DataFrame]:
    """What was scored of these uploads; the same ones with the same model are not scored twice in a session."""
    digest = (
        model_digest(page),
        tuple((upload.name, upload.file_id) for upload in uploads if hasattr(upload, "file_id")),
    )
    key = f"score_done_{page.vertical_name}"
    if st.session_state.get(key, (None,))[0] != digest:
        kept, table = score_uploads(page, scorer, uploads)
        st.session_state[key] = (digest, kept, table)
        remember(page, [RecentCase(one.name, one.row, picture=one) for one in kept])
    return st.session_state[key][1:]


def score_uploads(page: Page, scorer: Any, uploads: list[Any]) -> tuple[list[ScoredPicture], pd.DataFrame]:
    """(pictures to look at, a row for every file, also for those that could not be read)."""
    kept: list[ScoredPicture] = []
    rows: list[dict[str, Any]] = []
    bar = st.progress(0.0)
    for place, upload in enumerate(uploads):
        try:
            with picture_files(upload) as files:
                for start in range(0, len(files), CHUNK):
                    found = list(_score_chunk(scorer, files[start : start + CHUNK], rows))
                    kept += found[: max(MAX_KEPT_PICTURES - len(kept), 0)]
                    bar.progress((place + min(start + CHUNK, len(files)) / len(files)) / len(uploads))
        except CrossdomainError as error:
            rows.append({"file": shown_name(upload.name), "decision": scorer.words.doubtful, "problem": str(error)})
    bar.empty()
    return kept, pd.DataFrame(rows)


def _score_chunk(scorer: Any, files: list[tuple[str, Path]], rows: list[dict[str, Any]]) -> Iterator[ScoredPicture]:
    """Scores the files that can be read; each file adds its row."""
    images: list[Image] = []
    names: list[str] = []
    for name, path in files:
        try:
            images.append(scorer.read(path.read_bytes()))
            names.append(name)
        except BadImage as error:
            rows.append({"file": name, "decision": scorer.words.doubtful, "problem": error.reason})
    if not images:
        return
    scored = scorer.score(scorer.samples_of(images, names), is_every_map=True)
    for place, (name, image) in enumerate(zip(names, images, strict=True)):
        row = {"file": name, **{key: values[place] for key, values in scored.columns.items()}, "problem": ""}
        rows.append(row)
        yield ScoredPicture(name, image, scored.heat[place], row)


def _show_results(page: Page, scorer: Any, kept: list[ScoredPicture], table: pd.DataFrame) -> None:
    """Counts, the table, and one picture with its evidence."""
    is_bad = table["problem"].fillna("") != ""
    st.success(page.text("scored", count=int((~is_bad).sum()), bad=int(is_bad.sum())))
    for row in table[is_bad].itertuples():
        st.warning(page.text("bad_file", name=plain(row.file), reason=plain(row.problem)), icon=":material/warning:")
    show_rows(page, table)
    st.download_button(page.text("common.download_csv"), harmless_csv(table), "decisions.csv", "text/csv")
    if kept:
        place = 0
        if len(kept) > 1:
            place = st.selectbox(page.text("file"), range(len(kept)), format_func=lambda one: kept[one].name)
        show_picture(page, scorer, kept[place])


def show_picture(page: Page, scorer: Any, picture: ScoredPicture) -> None:
    """Decision and probability; the picture by window and level, and under its heat map."""
    row, words = picture.row, scorer.words
    colour = {words.negative: "green", words.doubtful: "orange"}.get(row["decision"], "red")
    st.markdown(
        f"### :{colour}-badge[{page.word(row['decision'])}] {page.text('common.probability')} {row['probability']:.3f}"
    )
    st.caption(f"{page.text('common.threshold')}: {scorer.model.threshold:.3f}")
    if row.get("abstain"):
        st.warning(page.text("refer"), icon=":material/person_search:")
    if row.get("ood"):
        st.warning(page.text("outside", reason=plain(row["ood_reason"])), icon=":material/block:")
    _show_subgroup_note(page)
    first, second, third = st.columns(3)
    black, white = first.slider(page.text("window"), 0, 255, (0, 255), key="score_window")
    opacity = second.slider(page.text("opacity"), 0.0, 1.0, 0.55, 0.05, key="score_opacity")
    level = third.slider(page.text("level"), 0.0, 1.0, float(scorer.level), 0.01, key="score_level")
    shown = windowed(np.asarray(picture.image.pixels), black, white)
    left, right = st.columns(2)
    left.image(np.squeeze(shown), caption=page.text("cases.as_it_came"), width="stretch")
    right.image(overlaid(shown, picture.heat, level, opacity), width="stretch")
    right.caption(f"{page.text('area')}: {float((picture.heat >= level).mean()):.1%}")


def windowed(pixels: np.ndarray, low: int, high: int) -> np.ndarray:
    """(S, S, C) uint8 with grey values from `low` to `high` spread over the full range."""
    spread = max(high - low, 1)
    return np.clip((pixels.astype(np.float32) - low) * (255.0 / spread), 0, 255).astype(np.uint8)


def _show_subgroup_note(page: Page) -> None:
    """Groups for which the model differs significantly from the rest, as the run found them."""
    evidence = page.run.find_json("evaluate", "evidence/evidence.json") or {}
    told = []
    for group in evidence.get("flagged_subgroups", []):
        gaps = ", ".join(column_title(page, gap) for gap in group["gaps"].split(", "))
        told.append(f"{group['attribute']} {group['value']} ({gaps})")
    if told:
        st.caption(f":material/groups: {page.text('groups', groups=plain('; '.join(told)))}")
