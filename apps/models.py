"""The saved model and the prepared rows, loaded once for all sessions; those of a new run when first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from apps.page import IMPORT_LOCK, Page
from apps.shared_model import SharedModel
from core.artifacts import Artifacts
from core.data.prepared import PREPARED_SPLITS, open_prepared
from core.data.samples import Samples, concatenate
from core.errors import CrossdomainError, MissingArtifactError
from core.lifecycle.proposals import model_digest as digest_of_model
from core.params import load_params
from core.vertical import load_vertical

MAX_MODELS = 4  # in memory at a time; the oldest goes first
MAX_DOMAINS = 3


def open_scorer(page: Page) -> Any:
    """The vertical's scorer of the saved model.

    Raises:
        MissingArtifactError: there is no model yet.
        VerificationError: its files were changed.
        CrossdomainError: the vertical cannot score single cases.
    """
    if not page.run.has_model:
        raise MissingArtifactError("No model was trained yet.", repair=f"Run `crossdomain run {page.vertical_name}`.")
    if page.vertical.open_scorer is None:
        raise CrossdomainError(f"{page.vertical_name} has no scorer for single cases.")
    return _scorer(page.vertical_name, str(page.run.model_folder), model_digest(page))


def model_digest(page: Page) -> str:
    """Of the saved model, as a proposal is compared with it when it is adopted."""
    return digest_of_model(page.root, page.vertical_name)


@st.cache_resource(max_entries=MAX_MODELS, show_spinner="…")
def _scorer(vertical: str, folder: str, digest: str) -> Any:
    """One version of a model; its digest is part of the key."""
    with IMPORT_LOCK:
        chosen = load_vertical(vertical)
        scorer = chosen.open_scorer(Path(folder))
    if chosen.modality != "image":
        scorer.model = SharedModel.of(scorer.model)
    return scorer


@dataclass(frozen=True)
class PreparedRows:
    """by_split: `source_train` to `test`. rows: all of them. places: id -> its place in `rows`."""

    by_split: Mapping[str, Samples]
    rows: Samples
    places: Mapping[str, int]


def prepared_rows(page: Page) -> PreparedRows:
    """Every prepared row of source and target; pictures stay on disk until they are looked at.

    Raises:
        MissingArtifactError: prepare has not run, or ran with other domains than params.yaml names now.
    """
    manifest = page.run.path("prepare", "manifest.parquet")
    if not manifest.exists():
        raise MissingArtifactError("Nothing was prepared yet.", repair=f"Run `crossdomain run {page.vertical_name}`.")
    return _rows(page.vertical_name, str(page.root), manifest.stat().st_mtime_ns)


@st.cache_resource(max_entries=MAX_DOMAINS, show_spinner="…")
def _rows(vertical_name: str, root: str, time_ns: int) -> PreparedRows:
    """One version of the prepared rows; the manifest's time is part of the key."""
    vertical, folder = load_vertical(vertical_name), Path(root)
    params = load_params(folder / "params.yaml", vertical_name)
    opened = open_prepared(vertical, params, Artifacts(folder / "artifacts", vertical_name), splits=PREPARED_SPLITS)
    rows = concatenate([opened[name] for name in PREPARED_SPLITS])
    return PreparedRows(opened, rows, {sample_id: place for place, sample_id in enumerate(rows.sample_ids)})


def rows_of(page: Page, sample_ids: list[str]) -> Samples:
    """The prepared rows of these ids, in their order; ids that are not there are left out."""
    found = prepared_rows(page)
    return found.rows.take([found.places[sample_id] for sample_id in sample_ids if sample_id in found.places])
