"""Weighted ridge regression in closed form, for many strengths at the cost of one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def ridge_path(design: np.ndarray, labels: np.ndarray, weights: np.ndarray, strengths: Sequence[float]) -> np.ndarray:
    """The minimisers b of sum_i w_i (y_i - b_0 - x_i b)^2 + strength * |b|^2, one a strength; b_0 is not penalised.

    A strength is in units of rows: a design column of deviation 1 that alone explains the label keeps the fraction
    N / (N + strength) of its slope. Labels in another unit have coefficients in that unit, and no other strength.

    Shape: design (N, P), labels and weights (N,), S strengths > 0 -> (S, P + 1), the intercept first.
    Source: Hoerl & Kennard 1970, "Ridge regression: biased estimation for nonorthogonal problems".
    """
    centre = np.average(design, axis=0, weights=weights)
    mean = np.average(labels, weights=weights)
    weighted = (design - centre) * weights[:, None]
    values, vectors = np.linalg.eigh(weighted.T @ (design - centre))
    values = np.maximum(values, 0.0)  # rounding alone makes one negative
    turned = vectors.T @ (weighted.T @ (labels - mean))
    slopes = np.stack([vectors @ (turned / (values + strength)) for strength in strengths])
    return np.column_stack([mean - slopes @ centre, slopes])
