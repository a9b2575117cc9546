"""Finding columns: one column a finding, each cell read as present, absent or unknown."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data.domain import ColumnSpec, DomainSpec
from core.data.labels import label_word
from core.data.manifest import FINDING_PREFIX
from core.data.number_texts import MISSING_WORDS
from core.errors import BadInputError

PRESENT_WORDS = frozenset({"1", "yes", "y", "true", "present", "positive"})
ABSENT_WORDS = frozenset({"0", "no", "n", "false", "absent", "negative"})
# Lists made by a report labeller write -1 where the report hedges. Source: Irvin et al. 2019, CheXpert, section 3.
UNKNOWN_WORDS = MISSING_WORDS | {"-1", "uncertain"}


@dataclass(frozen=True)
class FindingCells:
    """values: (N,) float, 1.0 present, 0.0 absent, NaN unknown. strange: counts of texts that are none of the words."""

    values: np.ndarray
    strange: dict[str, int]


def read_finding(texts: pd.Series, column: ColumnSpec) -> FindingCells:
    """(N,) raw texts of one finding; a text that is no known word is unknown and counted, never guessed."""
    unknown = UNKNOWN_WORDS | {label_word(word).lower() for word in column.missing_values}
    values, strange = np.full(len(texts), np.nan), Counter()
    for row, text in enumerate(texts):
        word = "" if pd.isna(text) else label_word(text).lower()
        if word in unknown:
            continue
        if word in PRESENT_WORDS or word in ABSENT_WORDS:
            values[row] = float(word in PRESENT_WORDS)
        else:
            strange[str(text).strip()] += 1
    return FindingCells(values, dict(strange))


def read_findings(raw: pd.DataFrame, spec: DomainSpec) -> tuple[dict[str, np.ndarray], list[tuple]]:
    """Manifest columns `finding_<column>` of raw texts, and (row, column, value, reason, count) of what was not read.

    A batch that lacks a finding's column does not know it.
    """
    found: dict[str, np.ndarray] = {}
    problems: list[tuple] = []
    for column in spec.with_use("finding"):
        texts = raw[column.name] if column.name in raw else pd.Series(None, index=raw.index, dtype=object)
        cells = read_finding(texts, column)
        found[f"{FINDING_PREFIX}{column.name}"] = cells.values
        reason = "finding neither present nor absent: unknown"
        problems += [(None, column.name, text, reason, count) for text, count in cells.strange.items()]
    return found, problems


def finding_notes(kept: pd.DataFrame, spec: DomainSpec, *, is_first: bool, noun: str) -> list[str]:
    """How often each finding is present, absent and unknown, and which texts could not be read. noun: what a row is.

    Raises:
        BadInputError: a column of the first batch holds other texts only, so it is no finding.
    """
    notes = []
    for column in spec.with_use("finding"):
        if column.name not in kept.columns:
            continue
        cells = read_finding(kept[column.name], column)
        strange = ", ".join(f"'{text}' ({count:,})" for text, count in list(cells.strange.items())[:5])
        num_known = int((~np.isnan(cells.values)).sum())
        if is_first and strange and not num_known:
            raise BadInputError(
                f"The column '{column.name}' says of no {noun} whether the finding is there; it holds {strange}.",
                repair=f"Write {', '.join(sorted(PRESENT_WORDS))} or {', '.join(sorted(ABSENT_WORDS))}; empty, -1, "
                "uncertain or unknown where nobody knows. Or leave --finding out.",
            )
        num_present = int((cells.values == 1).sum())
        notes.append(
            f"Finding '{column.name}': {num_present:,} present, {num_known - num_present:,} absent, "
            f"{len(kept) - num_known:,} unknown."
        )
        if strange:
            notes.append(f"Texts of '{column.name}' that are neither, kept as unknown: {strange}.")
    return notes
