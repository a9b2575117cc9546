"""The saved model of a number and its test rows, loaded once for all sessions; those of a new run when first asked."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import streamlit as st

from apps.models import model_digest
from apps.page import IMPORT_LOCK, Page
from apps.shared_model import TURN
from core.artifacts import Artifacts
from core.data.prepared import open_prepared
from core.data.samples import Samples
from core.errors import CrossdomainError, MissingArtifactError
from core.params import load_params
from core.regression.regression_model import RegressionModel
from core.vertical import load_vertical

MAX_MODELS = 4  # in memory at a time; the oldest goes first
MAX_DOMAINS = 3


class SharedRegressionModel(RegressionModel):
    """A model that many sessions ask, one at a time: trees are told before every answer how many threads to use."""

    @classmethod
    def of(cls, model: RegressionModel) -> Self:
        """The same model, asked in turns."""
        return cls(**{one.name: getattr(model, one.name) for one in fields(model)})

    def predict(self, samples: Samples) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Value (N,), low (N,) and high (N,), in units of the label."""
        with TURN:
            return super().predict(samples)

    def contributions(self, samples: Samples) -> pd.DataFrame:
        """(N, F) contributions to the value, in units of the label."""
        with TURN:
            return super().contributions(samples)


def open_value_scorer(page: Page) -> Any:
    """The vertical's `core.regression.value_scorer.ValueScorer` of the saved model.

    Raises:
        MissingArtifactError: there is no model yet.
        VerificationError: its files were changed.
        CrossdomainError: the vertical cannot score single cases.
    """
    if not page.run.has_model:
        raise MissingArtifactError("No model was trained yet.", repair=f"Run `crossdomain run {page.vertical_name}`.")
    if page.vertical.open_scorer is None:
        raise CrossdomainError(
            f"{page.vertical_name} has no scorer for single cases.",
            repair="Name one in its VERTICAL, for example open_scorer=ValueScorer.load.",
        )
    return _scorer(page.vertical_name, str(page.run.model_folder), model_digest(page))


def value_test_rows(page: Page) -> Samples:
    """The prepared test rows, labels among them.

    Raises:
        MissingArtifactError: prepare has not run, or ran with other domains than params.yaml names now.
    """
    manifest = page.run.path("prepare", "manifest.parquet")
    if not manifest.exists():
        raise MissingArtifactError("Nothing was prepared yet.", repair=f"Run `crossdomain run {page.vertical_name}`.")
    return _rows(page.vertical_name, str(page.root), manifest.stat().st_mtime_ns)


@st.cache_resource(max_entries=MAX_MODELS, show_spinner="…")
def _scorer(vertical: str, folder: str, digest: str) -> Any:
    """One version of a model; its digest is part of the key."""
    with IMPORT_LOCK:
        scorer = load_vertical(vertical).open_scorer(Path(folder))
    scorer.model = SharedRegressionModel.of(scorer.model)
    return scorer


@st.cache_resource(max_entries=MAX_DOMAINS, show_spinner="…")
def _rows(vertical_name: str, root: str, time_ns: int) -> Samples:
    """One version of the test rows; the manifest's time is part of the key."""
    vertical, folder = load_vertical(vertical_name), Path(root)
    params = load_params(folder / "params.yaml", vertical_name, vertical.params_type)
    return open_prepared(vertical, params, Artifacts(folder / "artifacts", vertical_name), splits=("test",))["test"]
