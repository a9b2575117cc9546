"""Labelled rows of both sides: did calibration or discrimination change? Deals of whole groups give the p-values.

An absolute test of the batch would call a champion drifted that was never calibrated to the last digit; these compare
with the reference, so that only a change alarms.
"""

from __future__ import annotations

import numpy as np

from core.evaluation.metrics import METRICS
from core.evaluation.scored_rows import ScoredRows
from core.lifecycle.monitor.permuted_units import PermutedUnits


def mean_changes(values: np.ndarray, units: PermutedUnits) -> tuple[np.ndarray, float]:
    """((1 + B,) |t| of the batch's mean less the reference's for each deal, that difference as it was) of values (N,).

    t = (m_b - m_r) / sqrt(v_b + v_r), v = G / (G - 1) * sum_g (U_g - m n_g)^2 / n^2 over a side's G groups with sums
    U_g of n_g rows: the variance of a ratio of group sums. Studentised, the test also holds its level for large sides
    whose spread differs (a batch of riskier cases), not only for sides that are alike in everything.

    Source: Janssen 1997, "Studentized permutation tests for non-i.i.d. hypotheses"; Chung & Romano 2013, theorem 3.1;
    variance: Cochran 1977, Sampling Techniques, equation 9.22.
    """
    sums, sizes = units.sums(values), units.sizes
    means, variances = [], []
    for side in (1 - units.sides, units.sides):
        rows, num_units = sizes @ side, side.sum(axis=0)
        mean = sums @ side / rows
        squares = (sums**2) @ side - 2 * mean * ((sums * sizes) @ side) + mean**2 * ((sizes**2) @ side)
        means.append(mean)
        variances.append(np.maximum(squares, 0) * num_units / np.maximum(num_units - 1, 1) / rows**2)
    difference, error = means[1] - means[0], np.sqrt(variances[0] + variances[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        statistics = np.where(error > 0, np.abs(difference) / error, np.where(difference == 0, 0.0, np.inf))
    return statistics, float(difference[0])


def calibration_residuals(is_positive: np.ndarray, probability: np.ndarray) -> dict[str, np.ndarray]:
    """`in the large`: y - p, and `spread`: (y - p)(1 - 2 p), whose sum is Spiegelhalter's numerator; (N,) each."""
    residual = np.asarray(is_positive, dtype=float) - probability
    return {"in the large": residual, "spread": residual * (1 - 2 * probability)}


def auc_drops(is_positive: np.ndarray, probability: np.ndarray, units: PermutedUnits) -> np.ndarray:
    """(1 + B,) AUC of the reference less that of the batch for each deal; NaN where a side lacks a class."""
    rows = ScoredRows.of_score(is_positive, probability)
    of_batch = units.sides[units.unit].T
    return METRICS["auc"].weighted(rows, 1 - of_batch) - METRICS["auc"].weighted(rows, of_batch)
