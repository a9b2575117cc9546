"""What a vertical knows of well-known column names: their shared word, words of their categories, direction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

from core.data.domain import ColumnSpec


@dataclass(frozen=True, kw_only=True)
class KnownColumns:
    """names: lower-case column name -> (concept, kind). words: concept -> lower-case category -> the concept's word.

    directions: concept -> +1 or -1, of numbers alone (`ColumnSpec.monotone`). Names are whole names: tying the wrong
    columns costs more than tying none.
    """

    names: Mapping[str, tuple[str, str]]
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    directions: Mapping[str, int] = field(default_factory=dict)

    def complete(self, column: ColumnSpec, texts: pd.Series) -> ColumnSpec:
        """The column with its shared word, and its categories' shared words, where name and kind are well known."""
        concept, kind = self.names.get(column.name.strip().lower(), ("", ""))
        if column.concept or not concept or kind != column.kind or column.use != "feature":
            return column
        words = self.words.get(concept, {})
        known = (text for text in texts.dropna().unique() if text.strip().lower() in words)
        values = {text.strip(): words[text.strip().lower()] for text in sorted(known)}
        monotone = self.directions.get(concept, 0) if column.kind == "number" else 0
        return replace(column, concept=concept, concept_values=values, monotone=monotone)
