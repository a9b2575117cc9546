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
