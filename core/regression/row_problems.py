"""What was wrong with a row that was predicted nevertheless, in the words that scored tables use."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from core.data.samples import Samples

MAX_SHOWN_CHARACTERS = 80


def row_problems(
    typing_problems: pd.DataFrame, samples: Samples, categories: Mapping[str, Collection[str]]
) -> np.ndarray:
    """(N,) problems of each row, separated by semicolons, or None: stray values first, then categories unknown.

    typing_problems: of `type_rows`. categories: column -> those that training has seen; a missing one is no problem.
    """
    found: dict[int, list[str]] = {}
    for problem in typing_problems.itertuples():
        found.setdefault(problem.row, []).append(f"{problem.column}: {_shown(problem.value)} is {problem.reason}")
    for name, known in categories.items():
        values = samples.inputs[name]
        is_unseen = values.notna() & ~values.isin(list(known))
        for row in np.flatnonzero(is_unseen):
            found.setdefault(row, []).append(f"{name}: {_shown(values.iloc[row])} was never seen in training")
    problems = np.full(len(samples), None, dtype=object)
    for row, texts in found.items():
        problems[row] = "; ".join(texts)
    return problems


def _shown(value: object) -> str:
    """A stray value, quoted, on one short line."""
    text = " ".join(str(value)[: 4 * MAX_SHOWN_CHARACTERS].split())
    shortened = text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 1] + "…"
    return f"'{shortened}'"
