"""A table row told as a sentence, so that a text encoder can read what it never saw as a column."""

from __future__ import annotations

import math

import pandas as pd

from core.data.table_schema import Feature, TableSchema

NUM_SIGNIFICANT_DIGITS = 4
NO_WORDS = ("currency", "")  # units that say nothing in a sentence


def row_sentences(frame: pd.DataFrame, schema: TableSchema) -> list[str]:
    """A sentence a row: "Loan amount is 1,169 DM; duration is 6 months; purpose is car."

    Features in schema order, free texts last; missing values are left out, a row without any value is "".
    """
    features = sorted(schema.features, key=lambda feature: feature.kind == "text")
    columns = [_phrases(frame[feature.name], feature) for feature in features]
    sentences = []
    for row in range(len(frame)):
        phrases = [column[row] for column in columns if column[row]]
        sentence = "; ".join(phrases)
        sentences.append(sentence[:1].upper() + sentence[1:] + "." if sentence else "")
    return sentences


def _phrases(values: pd.Series, feature: Feature) -> list[str]:
    """ "<meaning> is <value> <unit>" a row, "" where the value is missing."""
    meaning = feature.meaning.strip().rstrip(".") or feature.name.replace("_", " ")
    meaning = meaning if meaning[:2].isupper() else meaning[:1].lower() + meaning[1:]
    if feature.kind != "number":
        return ["" if _is_missing(value) else f"{meaning} is {str(value).strip()}" for value in values]
    unit = "" if feature.unit in NO_WORDS else feature.unit
    joint = "" if unit.startswith("%") or not unit else " "
    return [
        "" if _is_missing(value) else f"{meaning} is {spoken_number(float(value))}{joint}{unit}" for value in values
    ]


def spoken_number(value: float) -> str:
    """A number as a person would write it: 1,169 and 0.1235 and 12.5 and 1.2e-07.

    Whole numbers in full; others with four significant digits, but never less than their whole part.
    """
    if not math.isfinite(value):
        return "unlimited" if value > 0 else "minus unlimited"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 10 ** (NUM_SIGNIFICANT_DIGITS - 1):
        return f"{round(value):,}"
    return f"{value:.{NUM_SIGNIFICANT_DIGITS}g}"


def _is_missing(value: object) -> bool:
    """None, NaN or blank."""
    return value is None or (isinstance(value, float) and math.isnan(value)) or not str(value).strip()
