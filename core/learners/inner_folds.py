"""Folds inside a training set: stratified, and whole groups where groups are known."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from core.data.samples import Samples


def inner_folds(samples: Samples, num_folds: int, *, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(train rows, held-out rows) of each fold; every row is held out once.

    The number of folds shrinks to the rows of the rarer class. Folds whose training part lacks a class are left
    out, so the list is empty when the labels are too few to hold any out.
    """
    targets = samples.targets
    num_folds = min(num_folds, int(np.bincount(targets, minlength=2).min()))
    if num_folds < 2:
        return []
    groups = np.asarray(samples.groups).astype(str)
    has_groups = len(np.unique(groups)) < len(groups)
    splitter = StratifiedGroupKFold if has_groups else StratifiedKFold
    folds = splitter(num_folds, shuffle=True, random_state=seed).split(
        np.zeros(len(targets)), targets, groups if has_groups else None
    )
    return [(fit, held) for fit, held in folds if len(np.unique(targets[fit])) == 2 and len(held)]
