"""Rows unlike anything in the reference: a broken feed, another coding, pictures of something else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.lifecycle.monitor.column_tests import is_number_column, number_values
from core.lifecycle.monitor.snapshot import Snapshot

RANGE_MARGIN = 0.5  # of the reference's range, on either side
DISTANCE_FACTOR = 2.0  # of the farthest reference row's distance
MAX_MISSING_IN_REFERENCE = 0.5


@dataclass(frozen=True)
class Outliers:
    """share: rows outside of the reference's range, 0 to 1. columns: column -> rows outside by it, most first.

    vanished: columns that have no value in the batch although most reference rows have one.
    """

    share: float
    columns: dict[str, int]
    vanished: tuple[str, ...]


def find_outliers(reference: Snapshot, batch: Snapshot) -> Outliers:
    """A row is outside when a number is beyond the reference's range by more than half of it, a category was never
    seen, or its embedding is more than twice as far from the reference's centre as the farthest reference row.

    Distance of embeddings: Euclidean over features divided by the reference's deviation; NaN counts as the mean.
    """
    is_outside, columns, vanished = np.zeros(len(batch), dtype=bool), {}, []
    for name in reference.inputs.columns:
        before, after = reference.inputs[name], batch.inputs[name]
        if after.isna().all() and before.isna().mean() < MAX_MISSING_IN_REFERENCE:
            vanished.append(str(name))
        is_number = is_number_column(before) and is_number_column(after)
        outside = _numbers_outside(before, after) if is_number else _categories_outside(before, after)
        if outside.any():
            columns[str(name)] = int(outside.sum())
        is_outside |= outside
    if reference.features is not None and batch.features is not None:
        is_outside |= _features_outside(reference.features, batch.features)
    ordered = dict(sorted(columns.items(), key=lambda item: -item[1]))
    return Outliers(float(is_outside.mean()), ordered, tuple(vanished))


def _numbers_outside(before: pd.Series, after: pd.Series) -> np.ndarray:
    known = number_values(before)
    known = known[~np.isnan(known)]
    if not len(known):
        return np.zeros(len(after), dtype=bool)
    margin = RANGE_MARGIN * np.ptp(known)
    values = number_values(after)
    return (values < known.min() - margin) | (values > known.max() + margin)


def _categories_outside(before: pd.Series, after: pd.Series) -> np.ndarray:
    seen = before.dropna().unique()
    if not len(seen):
        return np.zeros(len(after), dtype=bool)
    return (after.notna() & ~after.isin(seen)).to_numpy()


def _features_outside(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    is_known = np.isfinite(before)
    counts = np.maximum(is_known.sum(axis=0), 1)
    centre = np.where(is_known, before, 0.0).sum(axis=0) / counts
    scales = np.sqrt((np.where(is_known, before - centre, 0.0) ** 2).sum(axis=0) / counts)
    scales = np.where(scales > 1e-9, scales, np.inf)
    distances = [np.linalg.norm(np.nan_to_num((side - centre) / scales), axis=1) for side in (before, after)]
    return distances[1] > DISTANCE_FACTOR * distances[0].max()
