"""Does a conformal band hold on new rows what was promised, as far as luck allows?"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import betabinom

from core.errors import BadInputError
from core.evaluation.intervals import wilson_interval
from core.regression.conformal_band import ConformalBand, conformal_rank
from core.regression.predicted_rows import PredictedRows


def band_coverage(
    rows: PredictedRows,
    band: ConformalBand,
    *,
    is_symmetric: bool,
    groups: np.ndarray | None = None,
    confidence: float = 0.95,
) -> dict[str, Any]:
    """What is inside, and the p-value that the band misses more than its error_rate.

    units: `rows`, or `groups` (N,), which are inside where all their rows are. num_units, num_inside, share with its
    Wilson interval low and high. num_calibration_units: those that the band was fitted on. p_value: one-sided.

    The limit is the k-th smallest of n calibration scores. That alone makes the share of new units inside vary, by the
    Beta(k, n + 1 - k) law, so that of m new ones a BetaBinomial(m, k, n + 1 - k) number is inside: an interval of the
    m test rows alone would find fault with honest bands far more often than it says. Limits of their own are tested
    one by one, the smaller p-value doubled.

    Source: Angelopoulos & Bates 2023, "Conformal prediction: a gentle introduction", section 3.2 and appendix C.

    Raises:
        BadInputError: rows without a band, groups of another length, or a band without an end.
    """
    low, high = rows.require_band()
    if not np.isfinite([band.below, band.above]).all():
        raise BadInputError("The band has no end: it was fitted on too few rows.", repair="Leave it out.")
    if groups is not None and len(groups) != len(rows):
        raise BadInputError(f"groups has {len(groups)} rows, expected {len(rows)}.")
    held = [_held(low <= rows.truth, groups), _held(rows.truth <= high, groups)]
    is_inside = held[0] & held[1]
    if is_symmetric:
        p_value = _p_value(is_inside, band.num_units, band.error_rate)
    else:
        p_value = min(1.0, 2 * min(_p_value(side, band.num_units, band.error_rate / 2) for side in held))
    num_inside = int(is_inside.sum())
    bottom, top = wilson_interval(num_inside, len(is_inside), confidence)
    return {
        "error_rate": band.error_rate,
        "units": "rows" if groups is None else "groups",
        "num_calibration_units": band.num_units,
        "below": band.below,
        "above": band.above,
        "num_units": len(is_inside),
        "num_inside": num_inside,
        "share": num_inside / len(is_inside),
        "low": float(bottom),
        "high": float(top),
        "p_value": p_value,
    }


def _held(is_held: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """(U,) whether the limit holds for each row, or for all rows of each group."""
    if groups is None:
        return is_held
    member = np.unique(np.asarray(groups).astype(str), return_inverse=True)[1]
    return np.bincount(member, ~is_held) == 0


def _p_value(is_held: np.ndarray, num_calibration: int, error_rate: float) -> float:
    """Chance of no more units (U,) inside than these, where the promise holds; ties make it larger."""
    rank = conformal_rank(num_calibration, error_rate)
    return float(betabinom.cdf(is_held.sum(), len(is_held), rank, num_calibration + 1 - rank))
