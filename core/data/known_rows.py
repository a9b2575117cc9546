"""Rows to set aside on import: keys that stand twice in a file, and rows that an earlier batch has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from core.data.domain_folder import batch_names, batch_path
from core.errors import BadInputError

MAX_REPEATED_SHARE = 0.5


def check_is_key(keys: pd.Series) -> None:
    """Raise BadInputError if most keys repeat: then the column is no key."""
    known = keys.dropna()
    num_repeats = int(known.duplicated().sum())
    if len(known) > 1 and num_repeats > MAX_REPEATED_SHARE * len(known):
        raise BadInputError(
            f"'{keys.name}' is no key: {num_repeats:,} of {len(known):,} values repeat an earlier one.",
            repair="Name a column that is different in every row, or --group if it names a borrower.",
        )


def find_key_problems(keys: pd.Series, lines: np.ndarray) -> dict[int, str]:
    """Position -> reason for rows without a key and for the later rows of each repeated key."""
    reasons = {int(row): "no key" for row in np.flatnonzero(keys.isna())}
    first_line: dict[str, int] = {}
    for row in np.flatnonzero(keys.duplicated(keep=False) & keys.notna()):
        key = str(keys.iloc[row])
        if key in first_line:
            reasons[int(row)] = f"the key stands already in row {first_line[key]}"
        else:
            first_line[key] = int(lines[row])
    return reasons


def find_earlier_rows(frame: pd.DataFrame, folder: Path, key: str | None, columns: Sequence[str]) -> dict[int, str]:
    """Position -> reason for rows that an earlier batch has: by the key or, without one, by all columns."""
    compared = [key] if key else [name for name in columns if name in frame.columns]
    hashes = row_hashes(frame, compared)
    reasons: dict[int, str] = {}
    for batch in batch_names(folder):
        path = batch_path(folder, batch)
        present = [name for name in compared if name in pq.read_schema(path).names]
        earlier = pd.read_parquet(path, columns=present)
        is_known = np.isin(hashes, row_hashes(earlier.reindex(columns=compared), compared))
        what = "the key stands" if key else "the same row stands"
        for row in np.flatnonzero(is_known):
            reasons.setdefault(int(row), f"{what} already in batch '{batch}'")
    return reasons


def row_hashes(frame: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """(N,) uint64, equal for rows whose trimmed texts are equal in all columns; missing counts as the empty text."""
    texts = {name: frame[name].astype("str").str.strip().fillna("") for name in columns}
    return pd.util.hash_pandas_object(pd.DataFrame(texts), index=False).to_numpy()
