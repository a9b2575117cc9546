"""One batch of rows as the champion saw it: inputs, embedding, groups, probability, labels where they are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.errors import BadInputError


@dataclass(frozen=True)
class Snapshot:
    """N rows, checked when made.

    inputs: (N, F) frame of numbers and categories without texts; F may be 0 (pictures). features: (N, P) embedding
    rows, or None. group: (N,) who or what a row belongs to; equal to distinct ids where no group is known.
    probability: (N,) of the positive class, calibrated. targets: (N,) float, 1 positive, 0 negative, NaN unknown.
    threshold: probability from which a row is adverse.

    The reference should be rows that the champion did not learn from (validation or test): on training rows its
    probabilities are too good, and every later batch would look drifted.

    Raises:
        BadInputError: no rows, lengths that differ, a value that is no probability, or a target that is no label.
    """

    inputs: pd.DataFrame
    features: np.ndarray | None
    group: np.ndarray
    probability: np.ndarray
    targets: np.ndarray
    threshold: float

    def __post_init__(self) -> None:
        num_rows = len(self.inputs)
        if num_rows == 0:
            raise BadInputError("The batch has no rows.", repair="Give the rows of at least one case.")
        for name in ("group", "probability", "targets"):
            values = np.asarray(getattr(self, name))
            if values.shape != (num_rows,):
                raise BadInputError(f"{name} has shape {values.shape}, expected ({num_rows},) as the inputs have.")
            object.__setattr__(self, name, values if name == "group" else values.astype(float))
        _check_probability(self.probability)
        if not np.isin(self.targets[~np.isnan(self.targets)], (0.0, 1.0)).all():
            raise BadInputError("targets hold values other than 0, 1 and NaN.", repair="1 is the positive class.")
        if not np.isfinite(self.threshold):
            raise BadInputError(f"threshold is {self.threshold}, expected a number.")
        if self.features is not None:
            object.__setattr__(self, "features", _checked_features(self.features, num_rows))

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def is_labelled(self) -> np.ndarray:
        """(N,) bool."""
        return ~np.isnan(self.targets)

    @property
    def num_groups(self) -> int:
        """How many groups the rows are of."""
        return len(np.unique(self.group.astype(str)))

    def has_labels(self, min_labelled: int) -> bool:
        """Whether at least so many rows are labelled, of two groups or more."""
        known = self.is_labelled
        return bool(known.sum() >= min_labelled) and len(np.unique(self.group[known].astype(str))) > 1


def one_class_chance(batch: Snapshot) -> float | None:
    """Chance under the probabilities that all labelled rows are of one class; None where they are of two or none is."""
    known = batch.is_labelled
    if not known.any() or 0 < np.nansum(batch.targets) < known.sum():
        return None
    told = batch.probability[known]
    return float(np.prod(told) + np.prod(1 - told))


def _check_probability(probability: np.ndarray) -> None:
    """Raises:
    BadInputError: a value is missing or outside of 0 to 1.
    """
    is_fine = (probability >= 0) & (probability <= 1)
    if not is_fine.all():
        raise BadInputError(
            f"{int((~is_fine).sum())} probabilities are missing or outside of 0 to 1.",
            repair="The champion must score every row; look at the rows it failed on.",
        )


def _checked_features(features: np.ndarray, num_rows: int) -> np.ndarray:
    """(N, P) float64.

    Raises:
        BadInputError: another shape.
    """
    features = np.asarray(features, dtype=float)
    if features.ndim != 2 or len(features) != num_rows or not features.shape[1]:
        raise BadInputError(f"features have shape {features.shape}, expected ({num_rows}, P) with P >= 1.")
    return features
