"""The typical applicant: what an explanation compares a row with."""

from __future__ import annotations

import pandas as pd

from core.data.table_schema import TableSchema


def typical_values(frame: pd.DataFrame, schema: TableSchema) -> dict[str, float | str | None]:
    """Feature -> median of a number, most frequent value of a category, None for a text, a picture or an empty column.

    Of equally frequent categories the first in alphabetical order is taken, so that a second run agrees.
    """
    typical: dict[str, float | str | None] = {}
    for feature in schema.features:
        known = frame[feature.name].dropna()
        if feature.kind in ("text", "image") or known.empty:
            typical[feature.name] = None
        elif feature.kind == "number":
            typical[feature.name] = float(known.median())
        else:
            typical[feature.name] = str(known.astype(str).mode().iloc[0])
    return typical
