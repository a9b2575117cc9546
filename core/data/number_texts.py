"""Numbers from texts as people write them: thousands separators, currency signs, percent; never a guess."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

# texts that mean "not known" in a number or a date; a category's are declared in domain.yaml
MISSING_WORDS = frozenset(
    {
        "",
        "na",
        "n/a",
        "#n/a",
        "nan",
        "nat",
        "nil",
        "null",
        "none",
        "undefined",
        "unknown",
        "missing",
        "?",
        "-",
        "--",
        ".",
    }
    | {"not available"}
)
CURRENCY = re.compile(
    r"^(?:US\$|NT\$|USD|EUR|GBP|CHF|JPY|CNY|INR|TWD|NTD|DM|[$€£¥₹])\s*"
    r"|\s*(?:USD|EUR|GBP|CHF|JPY|CNY|INR|TWD|NTD|DM|[$€£¥₹])$",
    re.IGNORECASE,
)
PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:([, '\u00a0\u202f])\d{3})(?:\1\d{3})*(?:\.\d+)?")
# texts that can only be meant with the other decimal mark: 12,5  0,125  1.234,5  1.234.567
OTHER_MARK = re.compile(
    r"[+-]?(?:\d+,(?:\d{1,2}|\d{4,})|0,\d+|\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?:\.\d{3}){2,})(?:[eE][+-]?\d+)?"
)
SWAP_MARKS = str.maketrans(",.", ".,")


@dataclass(frozen=True)
class ParsedNumbers:
    """values: (N,) float64, NaN where missing, unreadable or infinite. is_unreadable, is_infinite: (N,) bool.

    manners: how many values needed what ("a thousands separator": 12).
    """

    values: np.ndarray
    is_unreadable: np.ndarray
    is_infinite: np.ndarray
    manners: dict[str, int]


def parse_numbers(texts: np.ndarray, decimal: str = ".") -> ParsedNumbers:
    """(N,) object texts or missing as numbers.

    `decimal` is the column's decimal mark: with ".", 1,234 is 1234 and 12,5 (which can mean only one thing) 12.5.
    With ",", 1.234 is 1234. A percent sign is dropped and the figure kept: 13.5% is 13.5.
    """
    values = pd.to_numeric(texts, errors="coerce").astype(float)
    is_open = np.isnan(values) if decimal == "." else np.ones(len(texts), dtype=bool)
    is_open &= ~pd.isna(texts)
    is_unreadable = np.zeros(len(texts), dtype=bool)
    manners: Counter[str] = Counter()
    if is_open.any():
        rows = np.flatnonzero(is_open)
        codes, unique_texts = pd.factorize(texts[rows])
        parsed = [parse_number(str(text), decimal) for text in unique_texts]
        values[rows] = np.array([value for value, _ in parsed])[codes]
        is_unreadable[rows] = np.array([manner == "unreadable" for _, manner in parsed])[codes]
        for (_, manner), count in zip(parsed, np.bincount(codes), strict=True):
            if manner not in {"", "unreadable"}:
                manners[manner] += int(count)
    is_infinite = np.isinf(values)
    values[is_infinite] = np.nan
    return ParsedNumbers(values, is_unreadable, is_infinite, dict(manners))


def parse_number(text: str, decimal: str = ".") -> tuple[float, str]:
    """One text as (number, manner); manner is "" if plain or missing, "unreadable", or what had to be tolerated."""
    bare = text.strip().replace("\u2212", "-")
    if bare.lower() in MISSING_WORDS:
        return np.nan, ""
    manner = ""
    if bare.endswith("%"):
        bare, manner = bare[:-1].rstrip(), "a percent sign"
    without_currency = CURRENCY.sub("", bare)
    if without_currency != bare:
        bare, manner = without_currency, "a currency sign"
    if decimal == ",":
        bare = bare.translate(SWAP_MARKS)
    if PLAIN.fullmatch(bare):
        return float(bare), manner
    if GROUPED.fullmatch(bare):
        return float(re.sub(r"[, '\u00a0\u202f]", "", bare)), "a thousands separator"
    if OTHER_MARK.fullmatch(bare):
        number = float(bare.replace(".", "").replace(",", "."))
        if "," not in bare:
            return number, "a thousands separator"
        return number, "a decimal comma" if decimal == "." else "a decimal point"
    if bare.lower().lstrip("+-") in {"inf", "infinity"}:
        return np.inf, ""
    return np.nan, "unreadable"
