"""The rows of a hold-out as champion and challenger score them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.errors import BadInputError
from core.evaluation.scored_rows import checked_labels


@dataclass(frozen=True)
class Scored:
    """N rows that neither model has learned from.

    name: "fresh hold-out" or "regression set". targets: (N,) 0 or 1. champion, challenger: (N,) probability of 1; a row
    is adverse from the model's own threshold upwards. groups: (N,) whose rows are one piece of evidence (a patient, a
    borrower). slices: N rows, a column an attribute, which may be none.

    Raises:
        BadInputError: no rows, another shape, a target other than 0 and 1, a missing value, or no probability.
    """

    name: str
    targets: np.ndarray
    champion: np.ndarray
    challenger: np.ndarray
    champion_threshold: float
    challenger_threshold: float
    groups: np.ndarray
    slices: pd.DataFrame

    def __post_init__(self) -> None:
        num_rows = np.size(self.targets)
        try:
            targets = checked_labels(self.targets, num_rows=num_rows, num_classes=2)
        except BadInputError as error:
            raise BadInputError(f"{self.name}: {error.message}", repair=error.repair) from None
        object.__setattr__(self, "targets", targets)
        # Scores as float64: a float32 score would pull the threshold it is compared with to float32.
        for name, dtype in (("champion", float), ("challenger", float), ("groups", None)):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=dtype))
            shape = getattr(self, name).shape
            if shape != (num_rows,):
                raise BadInputError(f"{self.name}: {name} has shape {shape}, expected ({num_rows},) as the targets.")
        if len(self.slices) != num_rows:
            raise BadInputError(f"{self.name}: slices has {len(self.slices)} rows, expected {num_rows}.")
        if pd.isna(self.groups).any():
            raise BadInputError(
                f"{self.name}: {int(pd.isna(self.groups).sum())} groups are missing.",
                repair="Give a row without a group its sample id.",
            )
        for side in ("champion", "challenger"):
            self._check_side(side)

    def __len__(self) -> int:
        return len(self.targets)

    def groups_by_class(self, members: np.ndarray) -> tuple[int, int]:
        """How many groups hold a positive row, and how many a negative one, among the rows at positions (M,)."""
        targets, groups = self.targets[members], self.groups[members]
        return len(pd.unique(groups[targets == 1])), len(pd.unique(groups[targets == 0]))

    def _check_side(self, side: str) -> None:
        probability, threshold = getattr(self, side), getattr(self, f"{side}_threshold")
        num_bad = int((~((probability >= 0) & (probability <= 1))).sum())
        if num_bad:
            raise BadInputError(
                f"{self.name}: {num_bad} of {len(self)} {side} scores are missing or no probability.",
                repair="A model must score every row from 0 to 1; look at the rows it failed on.",
            )
        if not np.isfinite(threshold):
            raise BadInputError(f"{self.name}: {side}_threshold is {threshold}, expected a number.")
