"""A table as it stands in its file: every value a text or missing, and the rows that could not be read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import BadInputError

PROBLEM_COLUMNS = ("row", "column", "value", "reason")
MAX_SHOWN_CHARACTERS = 2000


@dataclass(frozen=True)
class RawTable:
    """Rows as texts.

    frame: N rows; every value a str or missing. lines: (N,) int, where each row begins in the file (CSV and JSON
    lines: the line, the header being line 1; else the number of the record, from 1).
    problems: rows left out, columns row (as `lines`), column, value, reason. notes: what a person should know.
    """

    frame: pd.DataFrame
    problems: pd.DataFrame
    notes: tuple[str, ...]
    lines: np.ndarray


def problem_frame(problems: Iterable[tuple[int, str, str, str]]) -> pd.DataFrame:
    """(row, column, value, reason) tuples as the frame that quarantine files hold."""
    rows = [(row, column, shorten(value), reason) for row, column, value, reason in problems]
    return pd.DataFrame(rows, columns=list(PROBLEM_COLUMNS)).astype({"row": "int64"})


def shorten(value: object) -> str:
    """A value as a text that fits a quarantine file."""
    text = str(value)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[:MAX_SHOWN_CHARACTERS] + "…"


def text_frame(columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> pd.DataFrame:
    """Rows of texts as a frame; the empty text becomes missing."""
    values = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    arrays = [_text_array(column) for column in values]
    return pa.Table.from_arrays(arrays, names=list(columns)).to_pandas()


def _text_array(values: Sequence[str | None]) -> pa.Array:
    try:
        array = pa.array(values, pa.string())
    except UnicodeEncodeError:  # JSON may hold half of a surrogate pair
        clean = [None if v is None else v.encode("utf-8", "replace").decode() for v in values]
        array = pa.array(clean, pa.string())
    return pc.if_else(pc.equal(array, ""), pa.scalar(None, pa.string()), array)


def checked_columns(names: Sequence[str], file_name: str) -> tuple[list[str], list[str]]:
    """Column names without outer blanks, and notes on what was changed.

    Raises:
        BadInputError: a name occurs twice, or the header consists of numbers only.
    """
    columns, notes = [], []
    for position, name in enumerate(names, start=1):
        clean = str(name).strip()
        if not clean:
            clean = f"unnamed_{position}"
            notes.append(f"Column {position} has no name; it is called '{clean}'.")
        columns.append(clean)
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise BadInputError(
            f"{file_name}: the column name {', '.join(map(repr, twice))} occurs more than once.",
            repair="Give every column its own name.",
        )
    if columns and all(_is_number(name) for name in columns):
        raise BadInputError(
            f"{file_name}: the first line holds only numbers ({', '.join(columns[:5])}), no column names.",
            repair="Add a header line.",
        )
    return columns, notes


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
