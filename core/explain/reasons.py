"""Reasons in words: which columns raised the risk of a row most, and how to say so."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data.table_schema import Feature, TableSchema

NOT_GIVEN = "not given"
FREE_TEXT = "Free-text description"
PROTECTED_MARK = "[protected attribute]"
MAX_VALUE_CHARACTERS = 80
# Contributions (log odds) are compared to so many decimals: what differs less is rounding noise of single-precision
# sums, and a tie must not fall otherwise for one record than for the same row in a file.
CONTRIBUTION_DECIMALS = 5


def top_adverse(contributions: np.ndarray, num_reasons: int) -> np.ndarray:
    """Columns of the largest contributions that raise the risk, largest first; -1 where there are fewer.

    Of equal contributions the earlier column comes first (`argmax` takes the first), so the order never
    changes.

    Shape: (N, F) log odds -> (N, num_reasons) int.
    """
    left = np.round(np.asarray(contributions, dtype=float), CONTRIBUTION_DECIMALS)
    left[~(left > 0.0)] = 0.0
    rows = np.arange(len(left))
    chosen = np.full((len(left), num_reasons), -1)
    for rank in range(min(num_reasons, left.shape[1])):
        best = left.argmax(axis=1)
        chosen[:, rank] = np.where(left[rows, best] > 0.0, best, -1)
        left[rows, best] = 0.0
    return chosen


@dataclass(frozen=True)
class ReasonWriter:
    """Puts a column and a row's value into words: `Duration of the loan: 48 months (typical 18)`.

    A phrase is made once for each distinct value, never once for each row.
    typical: feature -> typical training value; told for numbers, where it shows the direction.
    """

    schema: TableSchema
    typical: Mapping[str, float | str | None]

    def write(self, contributions: pd.DataFrame, inputs: pd.DataFrame, num_reasons: int) -> np.ndarray:
        """The top reasons of each row, most important first; None where fewer columns raised the risk.

        Shape: contributions (N, F) and inputs (N, ...) row by row -> (N, num_reasons) str or None.
        """
        chosen = top_adverse(contributions.to_numpy(), num_reasons)
        texts = np.full(chosen.shape, None, dtype=object)
        for position in np.unique(chosen[chosen >= 0]):
            name = contributions.columns[position]
            cells = np.nonzero(chosen == position)
            values = inputs[name].to_numpy()[cells[0]]
            texts[cells] = self.phrases(self.schema[name], values)
        return texts

    def phrases(self, feature: Feature, values: np.ndarray) -> np.ndarray:
        """One phrase a value. Shape: (M,) -> (M,) str."""
        if feature.kind == "text":
            given = np.full(len(values), self._free_text(feature), dtype=object)
            given[pd.isna(values)] = self._phrase(feature, NOT_GIVEN)
            return given
        if feature.kind == "number":
            return _for_each_distinct(
                values.astype(float), lambda value: self._phrase(feature, self._number(feature, value))
            )
        return _for_each_distinct(values, lambda value: self._phrase(feature, value_in_words(value, feature.unit)))

    def _phrase(self, feature: Feature, value: str) -> str:
        """Meaning, value and the mark that a protected attribute must carry."""
        mark = f" {PROTECTED_MARK}" if feature.is_protected else ""
        return f"{meaning_in_words(feature)}: {value}{mark}"

    def _free_text(self, feature: Feature) -> str:
        """The text itself is not repeated; where there are several texts, which one it was."""
        mark = f" {PROTECTED_MARK}" if feature.is_protected else ""
        several = len(self.schema.names("text")) > 1
        return FREE_TEXT + (f": {meaning_in_words(feature)}" if several else "") + mark

    def _number(self, feature: Feature, value: float) -> str:
        """`48 months (typical 18)`; the typical value is left out where the row has it, too."""
        typical = self.typical.get(feature.name)
        expected = None if typical is None else format_number(float(typical), feature.unit)
        if np.isnan(value):
            return NOT_GIVEN
        given = format_number(value, feature.unit)
        comparison = f" (typical {expected})" if expected not in (None, given) else ""
        return with_unit(given, feature.unit) + comparison


def _for_each_distinct(values: np.ndarray, make: Callable[[object], str]) -> np.ndarray:
    """`make` called once for each distinct value; a missing one is NaN for numbers, else None."""
    codes, distinct = pd.factorize(values, use_na_sentinel=False)
    missing = float("nan") if values.dtype == float else None
    phrases = [make(missing if pd.isna(value) else value) for value in distinct]
    return np.array(phrases, dtype=object)[codes]


def format_number(value: float, unit: str = "") -> str:
    """`1,169`, `12.5`: whole from 1,000 upwards, else four significant digits; years have no comma."""
    if unit in {"year", "calendar year"}:
        return f"{value:.0f}"
    return f"{value:,.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:.4g}"


def with_unit(number: str, unit: str) -> str:
    """`48 months`, `12%`, `1 month`."""
    if unit.split(" ")[0] == "class":  # a class has a number, but nobody says "4 classes"
        return f"class {number}"
    if unit == "%":
        return f"{number}%"
    if number == "1" and unit in {"days", "months", "years"}:
        unit = unit.removesuffix("s")
    return f"{number} {unit}".strip()


def meaning_in_words(feature: Feature) -> str:
    """The column's meaning up to its first full stop or semicolon, else its name as words."""
    text = re.split(r"[;\n]|\.(?:\s|$)", feature.meaning.strip())[0].strip().rstrip(":")
    text = text or feature.name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def value_in_words(value: str | None, unit: str = "") -> str:
    """A category on one short line; German credit's open intervals (`... < 0 DM`) are spelled out."""
    if value is None:
        return NOT_GIVEN
    text = " ".join(str(value)[: 4 * MAX_VALUE_CHARACTERS].split())
    for pattern, words in (
        (r"(\S+) <= \.\.\. < (.+)", r"\1 to below \2"),
        (r"\.\.\. < (.+)", r"below \1"),
        (r"\.\.\. >= (.+)", r"at least \1"),
    ):
        text = re.sub(pattern, words, text)
    if len(text) > MAX_VALUE_CHARACTERS:
        text = text[: MAX_VALUE_CHARACTERS - 1].rstrip() + "…"
    return with_unit(text, unit) if re.fullmatch(r"[\d.,]+", text) else text
