"""Calibrated stacking of scores that add up: logit = b0 + sum_k b_k score_k with b_k >= 0."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

PRIOR_STRENGTH = 1.0  # keeps the weights finite where the classes are separable


def stacking_loss(
    coefficients: np.ndarray,
    scores: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    prior: np.ndarray | None = None,
    prior_strength: float = PRIOR_STRENGTH,
) -> tuple[float, np.ndarray]:
    """sum_i w_i log(1 + exp(-s_i z_i)) + prior_strength / 2 |b - prior|^2 and its gradient; b0 is free.

    Shape: coefficients (K + 1,), the intercept first; scores (N, K); prior (K,), 1 / K each unless told.
    """
    prior = _equal(scores.shape[1]) if prior is None else prior
    logits = coefficients[0] + scores @ coefficients[1:]
    distance = np.concatenate([[0.0], coefficients[1:] - prior])
    loss = np.sum(weights * (np.logaddexp(0.0, logits) - targets * logits))
    residuals = weights * (expit(logits) - targets)
    gradient = np.concatenate([[residuals.sum()], scores.T @ residuals]) + prior_strength * distance
    return float(loss + 0.5 * prior_strength * distance @ distance), gradient


def fit_stacking(
    scores: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    *,
    prior: np.ndarray | None = None,
    prior_strength: float = PRIOR_STRENGTH,
) -> np.ndarray:
    """(K + 1,) intercept and the weights of (N, K) out-of-fold log-odds; a score that misleads gets weight 0.

    The weights need not sum to one, so parts that each know something of their own can add up.

    Source: Breiman 1996, "Stacked regressions" (non-negative weights), with the logistic loss.
    """
    num_scores = scores.shape[1]
    prior = _equal(num_scores) if prior is None else np.asarray(prior, dtype=float)
    result = minimize(
        stacking_loss,
        np.concatenate([[0.0], prior]),
        args=(scores, targets, weights, prior, prior_strength),
        jac=True,
        method="L-BFGS-B",
        bounds=[(None, None), *[(0.0, None)] * num_scores],
        options={"maxiter": 1000, "ftol": 1e-12, "gtol": 1e-8},
    )
    return result.x


def _equal(num_scores: int) -> np.ndarray:
    """(K,) weights that sum to one."""
    return np.full(num_scores, 1.0 / num_scores)
