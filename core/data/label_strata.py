"""Labels as strata: what splits and label budgets keep the shares of."""

from __future__ import annotations

import numpy as np

from core.evaluation.equal_mass_bins import equal_mass_bins

NUM_STRATA = 5


def label_strata(labels: np.ndarray, *, is_number: bool) -> np.ndarray:
    """(N,) the labels themselves where they are classes, fifths of them where they are numbers; NaN stays NaN.

    Fifths are 0 to 4 by rising label (N,). A fifth of a single row (few labels, or many that tie) joins its neighbour,
    so that each can be split.
    """
    labels = np.asarray(labels, dtype=float)
    if not is_number:
        return labels
    is_known = ~np.isnan(labels)
    strata = np.full(len(labels), np.nan)
    if is_known.any():
        bins = equal_mass_bins(labels[is_known], NUM_STRATA)
        while bins.max() > 0 and len(single := np.flatnonzero(np.bincount(bins) < 2)):
            bins = np.where(bins >= max(single[-1], 1), bins - 1, bins)
        strata[is_known] = bins
    return strata
