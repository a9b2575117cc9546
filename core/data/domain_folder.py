"""The folder of a domain on disk: domain.yaml, rows, quarantine and the list of batches."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from core.artifacts import read_json, remove_leftovers, replacing_folder, write_json, write_table
from core.data.domain import DomainSpec, write_domain_spec
from core.errors import BadInputError

FIRST_BATCH = "initial"
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file, read in pieces."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_name(name: str, what: str) -> None:
    """Raise BadInputError unless `name` can be a file name everywhere."""
    if not NAME_PATTERN.fullmatch(name):
        raise BadInputError(
            f"'{name}' is no {what} name.", repair="Use letters, digits, '_', '-' and '.', such as my_bank_2024."
        )


def batch_path(folder: Path, batch: str) -> Path:
    """The Parquet file of a batch's rows."""
    return Path(folder) / "rows" / f"{batch}.parquet"


def batch_names(folder: Path) -> list[str]:
    """The batches in the order in which they came; those that nobody noted last, `initial` first and then by name."""
    known = [entry["name"] for entry in read_batches(folder)]
    present = [path.stem for path in (Path(folder) / "rows").glob("[!.]*.parquet")]
    present.sort(key=lambda name: (name != FIRST_BATCH, name))
    return [name for name in known if name in present] + [name for name in present if name not in known]


def read_batches(folder: Path) -> list[dict[str, Any]]:
    """The entries of batches.json: name, file, sha256, rows, quarantined."""
    path = Path(folder) / "batches.json"
    return read_json(path) if path.exists() else []


def create_domain_folder(
    folder: Path,
    spec: DomainSpec,
    frame: pd.DataFrame,
    quarantined: pd.DataFrame,
    entry: dict[str, Any],
    *,
    write_more: Callable[[Path], None] | None = None,
) -> None:
    """Write a new domain with its first batch; the folder appears complete or not at all.

    `write_more(folder)` writes what belongs to the rows besides, such as their pictures.

    Raises:
        BadInputError: the folder is there and holds anything.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise BadInputError(
            f"{folder} is there already and is no domain (it has no domain.yaml).",
            repair="Move its files away, or choose another domain name.",
        )
    with replacing_folder(folder) as new:
        if write_more is not None:
            write_more(new)
        _write_rows(new, frame, quarantined, entry["name"])
        write_json(new / "batches.json", [entry])
        write_domain_spec(new, spec)


def add_batch(
    folder: Path,
    frame: pd.DataFrame,
    quarantined: pd.DataFrame,
    entry: dict[str, Any],
    *,
    write_more: Callable[[Path], None] | None = None,
) -> None:
    """Write a further batch. Its rows come last: until they are there the batch does not exist and can be repeated.

    `write_more(folder)` writes what belongs to the rows besides, such as their pictures.
    """
    for name in (f"{entry['name']}.parquet", f"{entry['name']}.csv", "batches.json"):
        remove_leftovers(folder, name)
    if write_more is not None:
        write_more(folder)
    others = [known for known in read_batches(folder) if known["name"] != entry["name"]]
    write_table(folder / "quarantine" / f"{entry['name']}.csv", quarantined)
    write_json(folder / "batches.json", [*others, entry])
    write_table(batch_path(folder, entry["name"]), frame)


def _write_rows(folder: Path, frame: pd.DataFrame, quarantined: pd.DataFrame, batch: str) -> None:
    write_table(batch_path(folder, batch), frame)
    write_table(folder / "quarantine" / f"{batch}.csv", quarantined)
