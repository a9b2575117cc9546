"""Logistic regression with an L2 penalty around a centre: zero, or the coefficients of another domain."""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.special import expit

MAX_NEWTON_STEPS = 50
MAX_NEWTON_COLUMNS = 400  # with more, a step costs more than many of L-BFGS


def penalised_loss(
    coefficients: np.ndarray,
    design: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    strength: float,
    centre: np.ndarray,
) -> tuple[float, np.ndarray]:
    """sum_i w_i log(1 + exp(-s_i z_i)) + strength / 2 * |b - centre|^2 and its gradient, s = +1 or -1.

    Shape: coefficients and centre (P + 1,), the intercept first and never penalised; design (N, P), whose products
    are computed in its own precision.
    """
    logits = coefficients[0] + design @ coefficients[1:].astype(design.dtype)
    distance = coefficients - centre
    distance[0] = 0.0
    loss = np.sum(weights * (np.logaddexp(0.0, logits) - targets * logits))
    residuals = weights * (expit(logits) - targets)
    gradient = np.concatenate([[residuals.sum()], residuals.astype(design.dtype) @ design]) + strength * distance
    return float(loss + 0.5 * strength * distance @ distance), gradient


def fit_centred_ridge(
    design: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    strength: float,
    *,
    centre: np.ndarray | None = None,
    start: np.ndarray | None = None,
    tolerance: float = 1e-8,
    loss_tolerance: float = 1e-12,
) -> np.ndarray:
    """The coefficients (P + 1,), intercept first, that minimise `penalised_loss`.

    Newton steps with halving; L-BFGS takes over where the curvature is singular or the columns are many, and ends when
    a step gains less than the fraction `loss_tolerance`.

    Source: le Cessie & van Houwelingen 1992, "Ridge estimators in logistic regression", eq. 2.2, with the origin
    of the penalty moved to `centre` (as in Chelba & Acero 2006, "Adaptation of maximum entropy capitalizer").
    """
    num_columns = design.shape[1]
    centre = np.zeros(num_columns + 1) if centre is None else np.asarray(centre, dtype=float)
    coefficients = (centre if start is None else np.asarray(start, dtype=float)).copy()
    problem = (design, targets, weights, strength, centre)
    loss, gradient = penalised_loss(coefficients, *problem)
    threshold = tolerance * max(1.0, float(np.sum(weights)))
    for _ in range(MAX_NEWTON_STEPS if num_columns <= MAX_NEWTON_COLUMNS else 0):
        if np.abs(gradient).max() < threshold:
            return coefficients
        try:
            step = cho_solve(cho_factor(_curvature(coefficients, design, weights, strength)), gradient)
        except LinAlgError:
            break
        size = 1.0
        while size > 1e-6:
            trial = coefficients - size * step
            trial_loss, trial_gradient = penalised_loss(trial, *problem)
            if trial_loss <= loss:
                break
            size /= 2
        else:  # rounding is all that is left to gain
            return coefficients
        coefficients, loss, gradient = trial, trial_loss, trial_gradient
    result = minimize(
        penalised_loss,
        coefficients,
        args=problem,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 2000, "ftol": loss_tolerance},
    )
    return result.x


def _curvature(coefficients: np.ndarray, design: np.ndarray, weights: np.ndarray, strength: float) -> np.ndarray:
    """(P + 1, P + 1) second derivative of the penalised loss."""
    probability = expit(coefficients[0] + design @ coefficients[1:])
    row_curvature = weights * probability * (1.0 - probability)
    weighted_design = design * row_curvature[:, None]
    curvature = np.empty((design.shape[1] + 1,) * 2)
    curvature[0, 0] = row_curvature.sum() + 1e-12
    curvature[0, 1:] = curvature[1:, 0] = weighted_design.sum(axis=0)
    curvature[1:, 1:] = design.T @ weighted_design
    curvature[np.arange(1, len(curvature)), np.arange(1, len(curvature))] += strength
    return curvature
