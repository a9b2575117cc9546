"""The Mahalanobis distance from a Gaussian whose covariance is shrunk to its diagonal."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

RIDGE_FRACTION = 1e-3  # of the mean variance: a channel that never moved must not weigh without bound


def fit_gaussian(rows: np.ndarray, shrinkage: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) and weight (D, D), float32, of rows (N, D): |(x - mean) @ weight| is the Mahalanobis distance.

    Covariance: (1 - a) S + a diag(S) + r I, S with the divisor N - 1, r a thousandth of the mean variance.

    Source: Ledoit & Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices", eq. 2, with
    the diagonal as the target (Schafer & Strimmer 2005, table 2, target D) and the ridge of Defard 2021, section III-B.
    """
    rows = rows.astype(np.float64)
    centre = rows.mean(axis=0)
    apart = rows - centre
    covariance = apart.T @ apart / max(len(rows) - 1, 1)
    variances = np.diag(covariance).copy()
    covariance *= 1.0 - shrinkage
    np.fill_diagonal(covariance, variances + RIDGE_FRACTION * variances.mean() + 1e-12)
    lower = np.linalg.cholesky(covariance)
    weight = solve_triangular(lower, np.eye(len(lower)), lower=True).T  # weight @ weight.T is the inverse
    return centre.astype(np.float32), weight.astype(np.float32)


def mahalanobis(rows: np.ndarray, centre: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(N,) distances of rows (N, D)."""
    return np.linalg.norm((rows.astype(np.float32) - centre) @ weight, axis=1)
