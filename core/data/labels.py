"""Label texts to 1.0, 0.0 and NaN by domain.yaml."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data.domain import DomainSpec


@dataclass(frozen=True)
class Labels:
    """values: (N,) float, 1.0 positive, 0.0 negative, NaN no outcome. no_outcome: counts of texts in neither list."""

    values: np.ndarray
    no_outcome: dict[str, int]
    num_missing: int


def label_word(text: object) -> str:
    """A label text as it is compared: trimmed, and 1.0 or 01 as 1, so that CSV and Parquet agree."""
    word = str(text).strip()
    try:
        number = float(word)
    except ValueError:
        return word
    return str(int(number)) if np.isfinite(number) and number == int(number) else word


def read_labels(texts: pd.Series, spec: DomainSpec) -> Labels:
    """(N,) raw label texts as numbers; texts that are neither positive nor negative are counted, not guessed."""
    column = spec.column(spec.label_column)
    missing = {"", *(word.strip() for word in column.missing_values)}
    positive = {label_word(word) for word in spec.positive}
    negative = {label_word(word) for word in spec.negative}
    codes, unique_texts = pd.factorize(texts.to_numpy(dtype=object))  # -1: missing
    counts = np.bincount(codes[codes >= 0], minlength=len(unique_texts))
    values, no_outcome, num_missing = [], Counter(), int((codes < 0).sum())
    for text, count in zip(unique_texts, counts, strict=True):
        word = label_word(text)
        if word in positive or word in negative:
            values.append(1.0 if word in positive else 0.0)
            continue
        values.append(np.nan)
        if word in missing:
            num_missing += int(count)
        else:
            no_outcome[word] += int(count)
    return Labels(np.append(values, np.nan).astype(float)[codes], dict(no_outcome), num_missing)
