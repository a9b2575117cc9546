"""The rows of a list of pictures on their way into a domain: clean paths, cells, quarantine, bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from core.data.domain import DomainSpec
from core.data.domain_folder import batch_names, batch_path
from core.data.raw_table import problem_frame
from core.errors import BadInputError, VerificationError
from core.images.archive import archive_path, read_index
from core.images.checking import PictureCheck
from core.images.layouts import Listing
from core.images.picture_columns import IMAGE, PictureColumns


def with_clean_paths(listing: Listing, columns: PictureColumns) -> pd.DataFrame:
    """The list with its paths in the column `image`; a further column of that name gets another one.

    Raises:
        BadInputError: a column of that name has a role.
    """
    frame = listing.table.frame.astype(object)
    frame = frame.where(frame.notna(), None)
    if IMAGE in frame.columns and listing.file_column != IMAGE:
        if IMAGE in columns.own().values() or IMAGE in columns.declared.roles():
            raise BadInputError(f"The column '{IMAGE}' is no path but has a role.", repair="Rename it in the list.")
        frame = frame.rename(columns={IMAGE: f"{IMAGE}_in_list"})
    frame = frame.rename(columns={listing.file_column: IMAGE})
    for name in (IMAGE, columns.mask):
        if name is not None:
            frame[name] = frame[name].map(_clean_path, na_action="ignore").astype(object)
            frame[name] = frame[name].where(frame[name].notna(), None)
    return frame


def _clean_path(text: str) -> str | None:
    text = text.strip()
    return PurePosixPath(text.replace("\\", "/")).as_posix() if text else None


def known_pictures(folder: Path, spec: DomainSpec | None) -> dict[str, tuple[str, str]]:
    """sha256 -> (batch, label) of what earlier batches have."""
    found: dict[str, tuple[str, str]] = {}
    for batch in batch_names(folder) if spec is not None else ():
        rows = pd.read_parquet(batch_path(folder, batch))
        label = spec.label_column
        words = rows[label].fillna("").tolist() if label in rows.columns else [""] * len(rows)
        word_of = dict(zip(rows[spec.image_column.name], words, strict=True))
        for file, digest in read_index(archive_path(folder, batch))[["file", "sha256"]].itertuples(index=False):
            if file in word_of:  # not a mask
                found.setdefault(digest, (batch, str(word_of[file]).strip()))
    return found


def kept_rows(
    frame: pd.DataFrame, listing: Listing, columns: PictureColumns, check: PictureCheck, batch: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(rows of texts as they are stored, quarantine).

    Raises:
        BadInputError: none is left, or a key stands twice.
    """
    kept = frame.copy()
    lines = listing.table.lines
    if columns.mask is not None:
        kept.loc[list(check.mask_reasons), columns.mask] = None
    kept = kept[~np.isin(np.arange(len(frame)), list(check.reasons))].reset_index(drop=True)
    if not len(kept):
        raise BadInputError(
            f"No picture is left: all {len(frame):,} were set aside ({next(iter(check.reasons.values()))}).",
            repair="Check the paths and the files.",
        )
    key = columns.declared.key
    if key is not None and (kept[key].duplicated().any() or kept[key].isna().any()):
        raise BadInputError(f"'{key}' is no key: a value is missing or stands twice.", repair="Name another --key.")
    for name in (IMAGE, columns.mask):
        if name is not None:
            cells = [None if text is None else f"{batch}/{text}" for text in kept[name]]
            kept[name] = pd.Series(cells, dtype=object)
    problems = [(int(lines[row]), IMAGE, frame[IMAGE].iloc[row] or "", reason) for row, reason in check.reasons.items()]
    problems += [
        (int(lines[row]), columns.mask, frame[columns.mask].iloc[row], f"mask dropped, picture kept: {reason}")
        for row, reason in check.mask_reasons.items()
        if row not in check.reasons
    ]
    quarantined = pd.concat([listing.table.problems, problem_frame(problems)], ignore_index=True)
    return kept, quarantined.sort_values("row", kind="stable", ignore_index=True)


def read_files(
    kept: pd.DataFrame, columns: PictureColumns, check: PictureCheck, batch: str
) -> Iterator[tuple[str, bytes]]:
    """(cell, bytes) of every kept picture and its mask, read once more.

    Raises:
        VerificationError: a file changed since it was checked.
    """
    cells = list(kept[IMAGE]) + ([] if columns.mask is None else [cell for cell in kept[columns.mask] if cell])
    for cell in dict.fromkeys(cells):
        name = cell.removeprefix(f"{batch}/")
        raw = check.paths[name].read_bytes()
        if hashlib.sha256(raw).hexdigest() != check.sha256[name]:
            raise VerificationError(f"{name} changed while it was imported.", repair="Import again.")
        yield cell, raw


def check_new_keys(kept: pd.DataFrame, key: str, folder: Path) -> None:
    """Raise BadInputError if an earlier batch has one of the keys for another picture."""
    for batch in batch_names(folder):
        earlier = set(pd.read_parquet(batch_path(folder, batch), columns=[key])[key].dropna().str.strip())
        repeated = [text for text in kept[key] if text is not None and text.strip() in earlier]
        if repeated:
            raise BadInputError(
                f"{len(repeated)} keys of '{key}' stand in batch '{batch}' for other pictures, such as {repeated[0]}.",
                repair="Correct the keys: they must be unique over all batches.",
            )
