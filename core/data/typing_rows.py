"""Texts to typed values by domain.yaml: one path for prepare and predict, and never a crash on a stray value."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data.domain import ColumnSpec, DomainSpec
from core.data.number_texts import MISSING_WORDS, parse_numbers
from core.data.raw_table import PROBLEM_COLUMNS, shorten
from core.errors import BadInputError, nearest

MAX_TEXT_CHARACTERS = 20_000


@dataclass(frozen=True)
class TypedRows:
    """frame: the rows as given; number -> float64, date -> datetime64[us], category and text -> object (None missing).

    problems: columns row (position in `frame`), column, value, reason; the value itself became missing or was cut.
    notes: what a person should know of each column.
    """

    frame: pd.DataFrame
    problems: pd.DataFrame
    notes: tuple[str, ...]


class ProblemList:
    """Gathers problem rows column by column."""

    def __init__(self) -> None:
        self._parts: list[pd.DataFrame] = []

    def add(self, column: str, rows: np.ndarray, texts: np.ndarray, reason: str | list[str]) -> None:
        """File the rows (positions) with their texts under one reason or one a row."""
        if len(rows):
            shown = [shorten(text) for text in texts[rows]]
            part = {"row": rows, "column": column, "value": shown, "reason": reason}
            self._parts.append(pd.DataFrame(part))

    def frame(self) -> pd.DataFrame:
        """All problems in row order."""
        if not self._parts:
            return pd.DataFrame({name: [] for name in PROBLEM_COLUMNS}).astype({"row": "int64"})
        return pd.concat(self._parts, ignore_index=True).sort_values("row", kind="stable", ignore_index=True)


def type_rows(raw: pd.DataFrame, spec: DomainSpec, *, required: Collection[str] | None = None) -> TypedRows:
    """The raw rows typed by the domain's columns, in the columns' order.

    `required`: columns that must be there; by default every feature known before the outcome. A further column of the
    domain that is absent is missing in every row. A category never seen before is no problem here.

    Raises:
        BadInputError: a required column is absent; the nearest names of the file are offered.
    """
    if required is None:
        required = [c.name for c in spec.raw_columns if c.use == "feature" and not c.is_after_outcome]
    check_columns(raw.columns, required, where=f"domain '{spec.name}'")
    problems, notes, typed = ProblemList(), [], {}
    for column in spec.raw_columns:
        if column.name in raw.columns:
            texts = raw[column.name].to_numpy(dtype=object)
        else:
            texts = np.full(len(raw), None, dtype=object)
        values = TYPERS[column.kind](texts, column, problems, notes)
        typed[column.name] = pd.Series(values, dtype=values.dtype)
    for column in spec.columns:
        if column.ratio is not None:
            typed[column.name] = divide(*(typed[name] for name in column.ratio))
    extra = [str(name) for name in raw.columns if name not in typed]
    if extra:
        notes.append(f"Columns that the domain does not have were ignored: {', '.join(extra)}.")
    frame = pd.DataFrame(typed, index=pd.RangeIndex(len(raw)))
    return TypedRows(frame, problems.frame(), tuple(notes))


def type_column(texts: np.ndarray, column: ColumnSpec) -> tuple[np.ndarray, pd.DataFrame]:
    """One column's texts (N,) as `type_rows` types them, and its problems."""
    problems = ProblemList()
    return TYPERS[column.kind](texts, column, problems, []), problems.frame()


def divide(numerator: pd.Series, denominator: pd.Series) -> pd.Series:
    """(N,) ratio; missing where a part is missing or the denominator is zero."""
    return numerator / denominator.where(denominator != 0)


def check_columns(present: Collection[str], required: Collection[str], *, where: str) -> None:
    """Raise BadInputError with the nearest names if a required column is absent."""
    present = [str(name) for name in present]
    absent = [name for name in required if name not in present]
    if not absent:
        return
    unclaimed = [name for name in present if name not in required]
    hints = []
    for name in absent[:10]:
        close = nearest(name, unclaimed)
        offered = " or ".join(f"'{choice}'" for choice in close)
        hints.append(f"'{name}'" + (f" (renamed? the file has {offered})" if close else ""))
    more = f" and {len(absent) - 10} more" if len(absent) > 10 else ""
    raise BadInputError(
        f"{len(absent)} column{'s' if len(absent) > 1 else ''} of {where} missing: {', '.join(hints)}{more}.",
        repair=f"Rename or add them; the file has: {', '.join(present[:40])}.",
    )


def _is_missing(texts: np.ndarray, column: ColumnSpec) -> np.ndarray:
    """(N,) bool: null, blank, or one of the column's words for missing."""
    missing = {"", *(word.strip() for word in column.missing_values)}
    return np.fromiter((not isinstance(t, str) or t.strip() in missing for t in texts), dtype=bool, count=len(texts))


def _numbers(texts: np.ndarray, column: ColumnSpec, problems: ProblemList, notes: list[str]) -> np.ndarray:
    if column.missing_values:
        texts = np.where(_is_missing(texts, column), None, texts)
    parsed = parse_numbers(texts, column.decimal)
    problems.add(column.name, np.flatnonzero(parsed.is_unreadable), texts, "not a number")
    problems.add(column.name, np.flatnonzero(parsed.is_infinite), texts, "infinite")
    for manner, count in parsed.manners.items():
        notes.append(f"{count} value{'s' if count > 1 else ''} of '{column.name}' with {manner} read.")
    values = parsed.values
    low, high = column.allowed
    is_outside = np.zeros(len(values), dtype=bool)
    if low is not None:
        is_outside |= values < low
    if high is not None:
        is_outside |= values > high
    allowed = f"outside the allowed {'' if low is None else low}..{'' if high is None else high}"
    problems.add(column.name, np.flatnonzero(is_outside), texts, allowed)
    return np.where(is_outside, np.nan, values)


def _categories(texts: np.ndarray, column: ColumnSpec, problems: ProblemList, notes: list[str]) -> np.ndarray:
    return _cut(texts, column, problems, is_stripped=True)


def _texts(texts: np.ndarray, column: ColumnSpec, problems: ProblemList, notes: list[str]) -> np.ndarray:
    return _cut(texts, column, problems, is_stripped=False)


def _cut(texts: np.ndarray, column: ColumnSpec, problems: ProblemList, *, is_stripped: bool) -> np.ndarray:
    """Texts with missing ones as None and endless ones cut."""
    is_missing = _is_missing(texts, column)
    values = np.empty(len(texts), dtype=object)
    for row in np.flatnonzero(~is_missing):
        values[row] = texts[row].strip() if is_stripped else texts[row]
    sizes = np.fromiter((0 if v is None else len(v) for v in values), dtype=int, count=len(values))
    long_rows = np.flatnonzero(sizes > MAX_TEXT_CHARACTERS)
    reasons = [f"a text of {sizes[row]:,} characters was cut to {MAX_TEXT_CHARACTERS:,}" for row in long_rows]
    problems.add(column.name, long_rows, values, reasons)
    for row in long_rows:
        values[row] = values[row][:MAX_TEXT_CHARACTERS]
    return values


def _dates(texts: np.ndarray, column: ColumnSpec, problems: ProblemList, notes: list[str]) -> np.ndarray:
    if column.missing_values:
        texts = np.where(_is_missing(texts, column), None, texts)
    values, is_unreadable = parse_dates(texts, column.date_format)
    reason = f"not a date like {column.date_format or 'YYYY-MM-DD'}"
    problems.add(column.name, np.flatnonzero(is_unreadable), texts, reason)
    return values


def parse_dates(texts: np.ndarray, date_format: str) -> tuple[np.ndarray, np.ndarray]:
    """(N,) datetime64[us] with NaT where missing or unreadable, and (N,) bool unreadable.

    A text that does not fit `date_format` may still be an ISO date, which can mean only one thing.
    """
    codes, unique_texts = pd.factorize(texts)  # -1: missing
    words = pd.Series([str(text).strip() for text in unique_texts], dtype=object)
    is_word = words.str.lower().isin(MISSING_WORDS).to_numpy(dtype=bool)
    days = _to_days(words, date_format or "ISO8601")
    if date_format and len(words):
        is_open = np.isnat(days) & ~is_word
        if is_open.any():
            days[is_open] = _to_days(words[is_open], "ISO8601")
    days = np.append(days, np.datetime64("NaT", "us"))  # code -1
    is_word = np.append(is_word, True)
    values = days[codes]
    return values, np.isnat(values) & ~is_word[codes]


def _to_days(words: pd.Series, date_format: str) -> np.ndarray:
    """Parsed texts as UTC without a zone; NaT where they do not fit."""
    if not len(words):
        return np.empty(0, dtype="datetime64[us]")
    parsed = pd.to_datetime(words, format=date_format, errors="coerce", utc=True)
    return parsed.dt.tz_localize(None).to_numpy(dtype="datetime64[us]").copy()


# A picture's cell names it in the domain's archive; it is decoded by prepare and by predict.
TYPERS = {"number": _numbers, "category": _categories, "text": _texts, "date": _dates} | {
    "image": _categories,
    "mask": _categories,
}
