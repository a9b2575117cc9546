"""The groups that belong together when rows are resampled, or the news that there are none."""

from __future__ import annotations

import numpy as np

from core.data.samples import Samples


def row_groups(samples: Samples) -> np.ndarray | None:
    """(N,) the rows' groups where at least one has two rows; None where each row stands for itself."""
    groups = samples.groups.astype(str)
    return groups if len(np.unique(groups)) < len(groups) else None
