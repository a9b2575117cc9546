"""Label texts to numbers by domain.yaml: 1.0, 0.0 and NaN of classes, the number itself where that is predicted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data.domain import DomainSpec
from core.data.typing_rows import type_column


@dataclass(frozen=True)
class Labels:
    """values: (N,) float, 1.0 positive, 0.0 negative or the number, NaN no label. no_outcome: counts of other texts."""

    values: np.ndarray
    no_outcome: dict[str, int]
    num_missing: int

    @property
    def is_labelled(self) -> np.ndarray:
        """(N,) bool."""
        return ~np.isnan(self.values)


def label_word(text: object) -> str:
    """A label text as it is compared: trimmed, and 1.0 or 01 as 1, so that CSV and Parquet agree."""
    word = str(text).strip()
    try:
        number = float(word)
    except ValueError:
        return word
    return str(int(number)) if np.isfinite(number) and number == int(number) else word


def read_labels(texts: pd.Series, spec: DomainSpec) -> Labels:
    """(N,) raw label texts as numbers; what is neither positive nor negative, or no number, is counted, not guessed.

    A number outside the column's `allowed` is none. Without a label column (labels that come later) the domain's words
    hold.
    """
    if spec.has_number_label:
        return _read_numbers(texts, spec)
    missing = {""}
    if spec.label_column is not None:
        missing |= {word.strip() for word in spec.column(spec.label_column).missing_values}
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


def _read_numbers(texts: pd.Series, spec: DomainSpec) -> Labels:
    """The label column typed as prepare types it."""
    values, problems = type_column(texts.to_numpy(dtype=object), spec.column(spec.label_column))
    no_outcome = {str(text): int(count) for text, count in problems["value"].value_counts().items()}
    num_missing = int(np.isnan(values).sum()) - len(problems)
    return Labels(values, no_outcome, num_missing)
