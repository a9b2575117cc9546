"""The rows of both sides that a month's tests read, and how their groups are dealt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from core.lifecycle.monitor.drawn_rows import draw_sides
from core.lifecycle.monitor.permuted_units import PermutedUnits
from core.lifecycle.monitor.snapshot import Snapshot


@dataclass(frozen=True)
class PooledRows:
    """Drawn rows of both sides, reference first, and their deals. reference_rows, batch_rows: their positions."""

    reference_rows: np.ndarray
    batch_rows: np.ndarray
    units: PermutedUnits

    @classmethod
    def draw(
        cls,
        reference: Snapshot,
        batch: Snapshot,
        *,
        max_rows: int,
        num_permutations: int,
        seed: int,
        is_labelled: bool = False,
    ) -> Self:
        """At most `max_rows` of each side, labelled ones alone where `is_labelled`.

        Raises:
            BadInputError: a side has fewer than two groups.
        """
        sides = reference, batch
        known = [np.flatnonzero(side.is_labelled) if is_labelled else np.arange(len(side)) for side in sides]
        groups = [side.group[rows] for side, rows in zip(sides, known, strict=True)]
        drawn = draw_sides(*groups, max_rows, seed=seed)
        kept = [group[rows] for group, rows in zip(groups, drawn, strict=True)]
        units = PermutedUnits.deal(*kept, num_permutations=num_permutations, seed=seed)
        return cls(*(rows[places] for rows, places in zip(known, drawn, strict=True)), units)

    def pool(self, reference: np.ndarray, batch: np.ndarray) -> np.ndarray:
        """(N, ...) values of the drawn rows."""
        return np.concatenate([reference[self.reference_rows], batch[self.batch_rows]])

    def pool_frames(self, reference: pd.DataFrame, batch: pd.DataFrame) -> pd.DataFrame:
        """The drawn rows of two frames or columns."""
        return pd.concat([reference.iloc[self.reference_rows], batch.iloc[self.batch_rows]], ignore_index=True)
