"""What the stages of one run wrote, read once for all sessions and again when a file changes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core.errors import MissingArtifactError, VerificationError
from core.lifecycle.registry.model_files import MANIFEST_FILE, folder_digest
from core.lifecycle.served_model import served_model

MAX_FILES = 128  # kept in memory over all runs; the oldest goes first


@dataclass(frozen=True)
class RunFiles:
    """Files of `artifacts/<vertical>/`. `read_*` raise where a file is missing; `find_*` give None."""

    root: Path
    vertical: str

    def path(self, stage: str, name: str = "") -> Path:
        """Where a stage's file is, there or not."""
        return self.root / "artifacts" / self.vertical / stage / name

    def has(self, stage: str, name: str) -> bool:
        """Whether the stage wrote it."""
        return self.path(stage, name).exists()

    def read_json(self, stage: str, name: str) -> Any:
        """A JSON file.

        Raises:
            MissingArtifactError: it is not there.
            VerificationError: it is no JSON.
        """
        return _read(self._existing(stage, name), "json")

    def read_table(self, stage: str, name: str) -> pd.DataFrame:
        """A parquet or CSV file; the frame is shared, so it must not be edited.

        Raises:
            MissingArtifactError: it is not there.
            VerificationError: it cannot be read.
        """
        return _read(self._existing(stage, name), "table")

    def find_json(self, stage: str, name: str) -> Any | None:
        """As `read_json`; None where there is no such file."""
        return self.read_json(stage, name) if self.has(stage, name) else None

    def find_table(self, stage: str, name: str) -> pd.DataFrame | None:
        """As `read_table`; None where there is no such file."""
        return self.read_table(stage, name) if self.has(stage, name) else None

    def find_text(self, stage: str, name: str) -> str | None:
        """A text file, or None."""
        return _read(self.path(stage, name), "text") if self.has(stage, name) else None

    @property
    def model_folder(self) -> Path:
        """The scoring model that serves: the registry's champion, else what the run trained.

        Raises:
            MissingArtifactError: the champion's model is not on this machine.
            VerificationError: the registry's file of stages is damaged.
        """
        return served_model(self.root, self.vertical).folder

    @property
    def other_champion(self) -> str:
        """The champion's version where another model serves than the run's pages tell of; else empty."""
        served, own = served_model(self.root, self.vertical), self.path("train", "model")
        if served.version is None or not (own / MANIFEST_FILE).exists():
            return ""
        return served.version if folder_digest(served.folder) != folder_digest(own) else ""

    @property
    def has_model(self) -> bool:
        """Whether there is one."""
        return (self.model_folder / MANIFEST_FILE).exists()

    def _existing(self, stage: str, name: str) -> Path:
        path = self.path(stage, name)
        if not path.exists():
            raise MissingArtifactError(
                f"{stage}/{name} of {self.vertical} is not there.", repair=f"Run `crossdomain run {self.vertical}`."
            )
        return path


def _read(path: Path, kind: str) -> Any:
    """The file's content from the cache, keyed by its time and size, so that a new run shows at once."""
    found = path.stat()
    try:
        return _read_version(str(path), kind, found.st_mtime_ns, found.st_size)
    except (ValueError, OSError, KeyError) as error:
        raise VerificationError(
            f"{path.name} cannot be read ({type(error).__name__}): it is damaged or half-written.",
            repair="Run `dvc checkout`, or `dvc repro` to make it again.",
        ) from error


@st.cache_data(max_entries=MAX_FILES, show_spinner=False)
def _read_version(path: str, kind: str, time_ns: int, size: int) -> Any:
    """One version of a file; time and size are part of the key."""
    file = Path(path)
    if kind == "json":
        return json.loads(file.read_text(encoding="utf-8"))
    if kind == "text":
        return file.read_text(encoding="utf-8")
    return pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file)
