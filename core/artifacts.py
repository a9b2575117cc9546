"""Where stages put their files, and how a file or folder is written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.errors import MissingArtifactError

BESIDE = ".part-"  # in the name of what is not whole yet


@dataclass(frozen=True)
class Artifacts:
    """The folder `artifacts/<vertical>/`, one folder a stage below it."""

    root: Path
    vertical: str

    def path(self, stage: str, name: str = "") -> Path:
        """The path of a stage's file (or of its folder); nothing is created."""
        return self.root / self.vertical / stage / name

    def require(self, stage: str, name: str) -> Path:
        """The path of a file that an earlier stage has written.

        Raises:
            MissingArtifactError: the file is not there; the repair names the command.
        """
        path = self.path(stage, name)
        if not path.exists():
            raise MissingArtifactError(
                f"{path} is missing.", repair=f"Run `crossdomain run {self.vertical} --to {stage}` first."
            )
        return path


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Write beside, then rename: yields a temporary path that becomes `path` on success."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}{BESIDE}", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """As `replacing_file`, for a folder: the old one stays until the new one is complete."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}{BESIDE}"))
    retired = temporary.with_name(temporary.name + ".old")
    try:
        yield temporary
        temporary.chmod(0o755)
        if path.exists():
            path.replace(retired)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(retired, ignore_errors=True)


def remove_leftovers(folder: Path, name: str = "*") -> None:
    """Take away what writers of `name` that were killed left below a folder; only where nobody writes it now."""
    for path in list(Path(folder).rglob(f".{name}{BESIDE}*")):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def to_plain(value: Any) -> Any:
    """NumPy and path values as JSON types; NaN and infinities become null."""
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, np.ndarray)):
        return [to_plain(item) for item in value]
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    if isinstance(value, (Path, pd.Timestamp)):
        return str(value)
    if value is pd.NA or value is pd.NaT:
        return None
    return value


def write_json(path: Path, value: Any) -> None:
    """Indented JSON in the order given with a final newline, so that git shows small diffs."""
    with replacing_file(path) as temporary:
        text = json.dumps(to_plain(value), indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """The parsed file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_table(path: Path, table: pd.DataFrame) -> None:
    """A parquet or CSV file, by its ending, without the index."""
    with replacing_file(path) as temporary:
        if path.suffix == ".csv":
            table.to_csv(temporary, index=False)
        else:
            table.to_parquet(temporary, index=False)


def write_text(path: Path, text: str) -> None:
    """A UTF-8 text file."""
    with replacing_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
