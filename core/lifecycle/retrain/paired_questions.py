"""Questions to two models on the same rows, all answered from the same resampled groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm

from core.evaluation.intervals import MAX_UNDEFINED_FRACTION, percentile_range
from core.evaluation.multiple_testing import holm
from core.evaluation.paired_tests import bootstrap_p_value
from core.evaluation.resampling import resample_counts

Measure = Callable[[np.ndarray], np.ndarray]  # weights (B, M) of rows -> (B,)


@dataclass(frozen=True)
class Question:
    """A measure of some of the rows: `members` (M,) positions; `measures` champion's, then challenger's.

    sign: 1 where a higher measure is better, else -1. slice: "" for all rows.
    """

    metric: str
    slice: str
    members: np.ndarray
    measures: tuple[Measure, Measure]
    sign: int
    is_answerable: bool = True

    def values(self, weights: np.ndarray) -> np.ndarray:
        """(2, B) of weights (B, N) of all rows."""
        if not self.is_answerable:
            return np.full((2, len(weights)), np.nan)
        return np.stack([measure(weights[:, self.members]) for measure in self.measures])


@dataclass(frozen=True)
class Answer:
    """Both models' values in the measure's unit, and the challenger's gain with its interval; None: cannot be told.

    difference: above 0 the challenger is better. p_value: two-sided; of a slice adjusted for the slices (Holm).
    """

    champion: float | None
    challenger: float | None
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None


def answer(
    questions: Sequence[Question], groups: np.ndarray, *, num_bootstrap: int, confidence: float, seed: int
) -> list[Answer]:
    """An answer each, of rows in groups (N,), which are resampled whole.

    The p-value of a slice is normal with the bootstrap's standard error, since counted replicates end at 2 / (B + 1),
    which no correction over many slices survives.
    """
    chunks = [
        np.stack([question.values(counts) for question in questions])
        for counts in resample_counts(len(groups), num_bootstrap, seed=seed, groups=groups)
    ]
    replicates = np.concatenate(chunks, axis=2)
    whole = np.ones((1, len(groups)))
    told = [
        _answer(one, one.values(whole)[:, 0], drawn, confidence)
        for one, drawn in zip(questions, replicates, strict=True)
    ]
    return _with_adjusted_slices(questions, told)


def _answer(question: Question, values: np.ndarray, replicates: np.ndarray, confidence: float) -> Answer:
    """From the values (2,) and replicates (2, B) of both models."""
    champion, challenger = values
    gaps = question.sign * (replicates[1] - replicates[0]) + 0.0
    difference = question.sign * (challenger - champion) + 0.0
    low, high, p_value = np.nan, np.nan, np.nan
    if np.isfinite(gaps).sum() >= (1 - MAX_UNDEFINED_FRACTION) * len(gaps):
        low, high = percentile_range(gaps, confidence)
        p_value = _normal_p_value(difference, gaps) if question.slice else bootstrap_p_value(gaps)
    numbers = (champion, challenger, difference, low, high, p_value)
    return Answer(*(float(number) if np.isfinite(number) else None for number in numbers))


def _normal_p_value(difference: float, gaps: np.ndarray) -> float:
    """Two-sided, with the standard error of replicates (B,); an error of zero leaves no doubt."""
    error = gaps[np.isfinite(gaps)].std(ddof=1)
    return float(2 * norm.sf(abs(difference) / error)) if error > 0 else float(difference == 0)


def _with_adjusted_slices(questions: Sequence[Question], told: list[Answer]) -> list[Answer]:
    """The same list, p-values of slices Holm-corrected together."""
    pairs = enumerate(zip(questions, told, strict=True))
    tested = [place for place, (question, one) in pairs if question.slice and one.p_value is not None]
    adjusted = dict(zip(tested, holm(np.array([told[place].p_value for place in tested])), strict=True))
    return [replace(one, p_value=float(adjusted[p])) if p in adjusted else one for p, one in enumerate(told)]
