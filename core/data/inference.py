"""Guess the kind of every raw column; the guess is written to domain.yaml, for a person to review."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from core.data.domain import ColumnSpec
from core.data.number_texts import parse_numbers
from core.data.typing_rows import parse_dates

# the order decides between formats that fit equally well
DATE_FORMATS = (
    "%Y-%m-%d",
    "ISO8601",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d-%m-%Y",
    "%b-%Y",
    "%b-%y",
    "%d-%b-%Y",
    "%d %b %Y",
    "%d %B %Y",
    "%B %Y",
    "%m/%d/%Y %H:%M",
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y %H:%M",
)
COMPACT_DATE = "%Y%m%d"
MIN_SHARE = 0.98  # of the known values must fit a kind
CATEGORY_MISSING_WORDS = frozenset({"NA", "N/A", "n/a", "#N/A", "nan", "NaN", "NULL", "null", "<NA>"})
IDENTIFIER_NAME = re.compile(
    r"(?:^|_|\b)(?:id|ids|uuid|guid|key|rownames|rownum|row_number|index|iban|ssn)$|^unnamed_\d+$",
    re.IGNORECASE,
)
PROTECTED_NAME = re.compile(
    r"(?:^|_)(?:age|sex|gender|race|ethnic\w*|relig\w*|nationality|foreign\w*|marital\w*|married|disab\w*|pregnan\w*)"
    r"(?:_|$)",
    re.IGNORECASE,
)
MIN_IDENTIFIER_ROWS = 20


@dataclass(frozen=True)
class KindGuess:
    """A column as guessed, and what a reviewer should know."""

    column: ColumnSpec
    notes: tuple[str, ...] = ()


def infer_column(name: str, texts: pd.Series, *, kind: str | None = None) -> KindGuess:
    """The column's spec from its raw texts; a `kind` that the user has declared is kept."""
    known = texts.dropna().astype(str).str.strip()
    known = known[known != ""]
    column = ColumnSpec(name=name, kind=kind or "category")
    if not len(known):
        empty = KindGuess(replace(column, use="ignore"), (f"'{name}' is empty and will be ignored.",))
        return empty if kind is None else KindGuess(column, (f"'{name}' is empty.",))
    guess = KindGuess(_with_kind(column, known) if kind is None else _with_details(column, known))
    notes = list(guess.notes)
    column = guess.column
    if column.kind == "category":
        words = tuple(sorted(CATEGORY_MISSING_WORDS.intersection(known.unique())))
        if words:
            column = replace(column, missing_values=words)
            notes.append(f"'{name}': {', '.join(words)} is read as missing.")
    if (known == known.iloc[0]).all():
        notes.append(f"'{name}' holds one value only ({known.iloc[0][:60]!r}).")
    if column.kind == "date" and column.date_format in {"%m/%d/%Y", "%d/%m/%Y"} and _is_ambiguous(known):
        notes.append(f"'{name}': day and month cannot be told apart; {column.date_format} is assumed.")
    if kind is None and _is_identifier(name, known, column.kind):
        column = replace(column, kind="category", use="ignore", date_format="")
        notes.append(f"'{name}' looks like an identifier (its values do not repeat) and will be ignored.")
    elif kind is None and column.kind == "category" and known.nunique() > 200:
        notes.append(f"'{name}' has {known.nunique()} categories; is it text, or an identifier?")
    if PROTECTED_NAME.search(name):
        notes.append(f"'{name}' sounds like a protected attribute; declare it with --protected if it is.")
    return KindGuess(column, tuple(notes))


def _with_kind(column: ColumnSpec, known: pd.Series) -> ColumnSpec:
    """The kind that the values fit."""
    unique_texts = known.unique().astype(object)
    compact = pd.Series(unique_texts).str.fullmatch(r"(?:19|20)\d{6}").mean() >= MIN_SHARE
    if compact and _share_of_dates(unique_texts, COMPACT_DATE) >= MIN_SHARE:
        return replace(column, kind="date", date_format=COMPACT_DATE)
    has_code = pd.Series(unique_texts).str.fullmatch(r"0\d+").any()  # a postcode, not a figure
    decimal = infer_decimal(unique_texts)
    if not has_code and _share_of_numbers(known, decimal) >= MIN_SHARE:
        return replace(column, kind="number", decimal=decimal)
    date_format = infer_date_format(known)
    if date_format:
        return replace(column, kind="date", date_format="" if date_format == "ISO8601" else date_format)
    return replace(column, kind="text" if _is_free_text(known) else "category")


def _with_details(column: ColumnSpec, known: pd.Series) -> ColumnSpec:
    """Decimal mark or date format of a column whose kind is declared."""
    if column.kind == "number":
        return replace(column, decimal=infer_decimal(known.unique().astype(object)))
    if column.kind == "date":
        date_format = infer_date_format(known, min_share=0.0)
        return replace(column, date_format="" if date_format == "ISO8601" else date_format)
    return column


def infer_decimal(unique_texts: np.ndarray) -> str:
    """ "," when some values can only be decimal commas and none can only be a decimal point."""
    texts = pd.Series(unique_texts)
    only_comma = texts.str.fullmatch(r"[^\d]*[+-]?(?:\d+|\d{1,3}(?:\.\d{3})+),(?:\d{1,2}|\d{4,})[^\d,.]*")
    only_point = texts.str.fullmatch(r"[^\d]*[+-]?(?:\d*|\d{1,3}(?:,\d{3})+)\.(?:\d{1,2}|\d{4,})(?:e[+-]?\d+)?[^\d,.]*")
    return "," if only_comma.sum() > only_point.sum() else "."


def _share_of_numbers(known: pd.Series, decimal: str) -> float:
    parsed = parse_numbers(known.to_numpy(dtype=object), decimal)
    num_words = int((np.isnan(parsed.values) & ~parsed.is_unreadable & ~parsed.is_infinite).sum())
    num_candidates = len(known) - num_words  # "n/a" speaks neither for nor against
    is_readable = ~parsed.is_unreadable
    return (int(is_readable.sum()) - num_words) / num_candidates if num_candidates else 0.0


def infer_date_format(known: pd.Series, *, min_share: float = MIN_SHARE) -> str:
    """The strptime format that most values fit, "ISO8601" for mixed ISO texts, or "" if too few fit any."""
    unique_texts = known.unique().astype(object)
    sample = unique_texts[:2000]
    # a number or a short word is no date in any of the formats
    if pd.Series(sample).str.contains(r"\d").mean() < min_share:
        return ""
    shares = [(_share_of_dates(sample, date_format), date_format) for date_format in DATE_FORMATS]
    best_share = max(share for share, _ in shares)
    if best_share < min_share or best_share == 0.0:
        return ""
    for share, date_format in shares:
        if share >= best_share - 1e-12:
            return date_format if _share_of_dates(unique_texts, date_format) >= min_share else ""
    return ""


def _share_of_dates(unique_texts: np.ndarray, date_format: str) -> float:
    if date_format == "ISO8601":
        # bare years and numbers are no ISO dates here
        has_shape = pd.Series(unique_texts).str.match(r"\d{4}-\d{2}(?:-\d{2})?").to_numpy(dtype=bool)
        if has_shape.mean() < MIN_SHARE:
            return 0.0
    elif date_format not in {COMPACT_DATE}:
        days = pd.to_datetime(pd.Series(unique_texts), format=date_format, errors="coerce")
        return float(days.notna().mean())
    values, _ = parse_dates(unique_texts, "" if date_format == "ISO8601" else date_format)
    return float((~np.isnat(values)).mean())


def _is_ambiguous(known: pd.Series) -> bool:
    unique_texts = known.unique().astype(object)
    return all(_share_of_dates(unique_texts, form) >= 0.999 for form in ("%m/%d/%Y", "%d/%m/%Y"))


def _is_free_text(known: pd.Series) -> bool:
    """Words that people wrote: long, or rarely the same twice and of several words."""
    sizes = known.str.len()
    unique_share = known.nunique() / len(known)
    has_blank_share = known.str.contains(r"\s").mean()
    is_long = sizes.mean() >= 50 and unique_share > 0.2
    is_various = known.nunique() > 50 and unique_share > 0.3 and has_blank_share > 0.3
    return bool(is_long or is_various)


def _is_identifier(name: str, known: pd.Series, kind: str) -> bool:
    """Values that name a row instead of describing it."""
    unique_share = known.nunique() / len(known)
    if len(known) < MIN_IDENTIFIER_ROWS or unique_share < 0.99:
        return False
    if kind == "category":
        return True
    is_named = bool(IDENTIFIER_NAME.search(name))
    if kind != "number":
        return is_named and kind != "date"
    numbers = parse_numbers(known.to_numpy(dtype=object)).values
    is_counter = bool(np.all(np.diff(numbers) == 1))
    is_whole = bool(np.all(np.mod(numbers[np.isfinite(numbers)], 1) == 0))
    return is_whole and (is_named or is_counter)
