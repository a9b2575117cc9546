"""Rows with a known class and predicted probabilities: checked once, sorted once, shared by all metrics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.errors import BadInputError

SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class ScoredRows:
    """N rows: labels (N,) class indices, probability (N, C), and the column that counts as positive.

    Make it with `checked` or `of_score`; both refuse what no metric can be computed from.
    """

    labels: np.ndarray
    probability: np.ndarray
    positive_index: int

    @classmethod
    def checked(cls, labels: np.ndarray, probability: np.ndarray, positive_index: int) -> ScoredRows:
        """Labels (N,) in 0..C-1 and probabilities (N, C) whose rows sum to one.

        Raises:
            BadInputError: shapes do not fit, no rows, a missing label, or a value that is no probability.
        """
        probability = np.asarray(probability, dtype=float)
        if probability.ndim != 2 or probability.shape[1] < 2:
            raise BadInputError(
                f"Probabilities have shape {probability.shape}, expected (N, C) with C >= 2.",
                repair="Give one column a class, also for two classes.",
            )
        num_classes = probability.shape[1]
        labels = checked_labels(labels, num_rows=len(probability), num_classes=num_classes)
        if not 0 <= positive_index < num_classes:
            raise BadInputError(f"positive_index is {positive_index}, expected 0 to {num_classes - 1}.")
        _check_finite(probability, "probability")
        if (probability < 0).any() or (probability > 1).any():
            raise BadInputError(
                f"Probabilities run from {probability.min():.4g} to {probability.max():.4g}, expected 0 to 1."
            )
        if (np.abs(probability.sum(axis=1) - 1) > SUM_TOLERANCE).any():
            raise BadInputError("Some rows of the probabilities do not sum to one.")
        return cls(labels, probability, positive_index)

    @classmethod
    def of_score(cls, is_positive: np.ndarray, score: np.ndarray) -> ScoredRows:
        """Two classes told by a mask (N,) and one score (N,), higher = more likely positive.

        Raises:
            BadInputError: shapes do not fit, no rows, or a missing value.
        """
        score = np.asarray(score, dtype=float)
        if score.ndim != 1:
            raise BadInputError(f"Scores have shape {score.shape}, expected (N,).")
        labels = checked_labels(is_positive, num_rows=len(score), num_classes=2)
        _check_finite(score, "score")
        return cls(labels, np.column_stack([1 - score, score]), 1)

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def is_positive(self) -> np.ndarray:
        """(N,) bool."""
        return self.labels == self.positive_index

    @cached_property
    def score(self) -> np.ndarray:
        """(N,) probability of the positive class."""
        return self.probability[:, self.positive_index]

    @cached_property
    def ascending(self) -> tuple[np.ndarray, np.ndarray]:
        """((N,) rows by rising score, (G,) where each of the G distinct scores starts in that order)."""
        order = np.argsort(self.score, kind="stable")
        in_order = self.score[order]
        return order, np.flatnonzero(np.r_[True, in_order[1:] != in_order[:-1]])

    def require_both_classes(self) -> ScoredRows:
        """The rows themselves.

        Raises:
            BadInputError: all rows are positive or all are negative.
        """
        num_positive = int(self.is_positive.sum())
        if num_positive in (0, len(self)):
            kind = "positive" if num_positive else "negative"
            raise BadInputError(
                f"All {len(self)} rows are {kind}; this needs rows of both classes.",
                repair="Use more rows, or a stratified split.",
            )
        return self


def checked_labels(labels: np.ndarray, *, num_rows: int, num_classes: int) -> np.ndarray:
    """(N,) int class indices of a Boolean, int or float array.

    Raises:
        BadInputError: wrong shape, no rows, a missing label, or a value that is no class index.
    """
    labels = np.asarray(labels)
    if labels.shape != (num_rows,):
        raise BadInputError(f"Labels have shape {labels.shape}, expected ({num_rows},) as the predictions have.")
    if num_rows == 0:
        raise BadInputError("There are no rows to evaluate.")
    values = labels.astype(float)
    num_missing = int(np.isnan(values).sum())
    if num_missing:
        raise BadInputError(f"{num_missing} of {num_rows} labels are missing.", repair="Evaluate labelled rows only.")
    if (values != np.round(values)).any() or values.min() < 0 or values.max() >= num_classes:
        raise BadInputError(
            f"Labels run from {values.min():g} to {values.max():g}, expected class indices 0 to {num_classes - 1}."
        )
    return values.astype(int)


def _check_finite(values: np.ndarray, what: str) -> None:
    num_bad = int((~np.isfinite(values)).sum())
    if num_bad:
        raise BadInputError(
            f"{num_bad} {what} values are missing or infinite.",
            repair="A learner must score every row; look at the rows it failed on.",
        )
