"""One draw of the transfer ledger for labels that are numbers: stratified by fifths of the label."""

from __future__ import annotations

import numpy as np

from core.data.label_budget import draw_budget
from core.data.samples import Samples
from core.evaluation.equal_mass_bins import equal_mass_bins

NUM_STRATA = 5


def draw_value_budget(samples: Samples, budget: int, seed: int) -> Samples:
    """The same rows with at most `budget` labels, the rest NaN; small and large labels in their shares.

    As `core.data.label_budget.draw_budget`, with fifths of the label in the place of classes: groups of up to twelve
    rows whole, and for one seed the labels of a smaller budget are a subset of those of a larger one.

    Raises:
        BadParamsError: a negative budget.
    """
    drawn = draw_budget(samples.with_labels(label_fifths(samples.labels)), budget, seed)
    return samples.with_labels(np.where(drawn.is_labelled, samples.labels, np.nan))


def label_fifths(labels: np.ndarray) -> np.ndarray:
    """(N,) 0 to 4 by rising label (N,), fewer where labels tie; NaN stays NaN."""
    is_known = ~np.isnan(labels)
    fifths = np.full(len(labels), np.nan)
    if is_known.any():
        fifths[is_known] = equal_mass_bins(labels[is_known], NUM_STRATA)
    return fifths
