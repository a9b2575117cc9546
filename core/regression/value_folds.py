"""Folds inside a training set whose labels are numbers: whole groups, shuffled."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import GroupKFold

from core.data.samples import Samples


def value_folds(labelled: Samples, num_folds: int, *, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(train rows, held-out rows) of each fold; every row is held out once.

    The number of folds shrinks to the number of groups. Folds whose training labels are all equal are left out, so the
    list is empty when the rows are too few to hold any out.
    """
    groups = np.asarray(labelled.groups).astype(str)
    num_folds = min(num_folds, len(np.unique(groups)))
    if num_folds < 2:
        return []
    splitter = GroupKFold(num_folds, shuffle=True, random_state=seed)
    folds = splitter.split(np.zeros(len(groups)), groups=groups)
    return [(fit, held) for fit, held in folds if np.ptp(labelled.labels[fit]) > 0]
