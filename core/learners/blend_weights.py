"""Weights of a convex blend of log-odds, and the straight lines that put its parts on one scale."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from core.learners.centred_ridge import fit_centred_ridge
from core.learners.held_out_loss import mean_log_loss

MAP_STRENGTH = 4.0  # how hard a part's slope is held at 1, in rows' worth of curvature


def fit_part_map(
    logits: np.ndarray, targets: np.ndarray, weights: np.ndarray, *, strength: float = MAP_STRENGTH
) -> tuple[float, float]:
    """(offset, slope) of `offset + slope * logits`, the slope drawn towards 1 and never negative.

    Source: Platt 1999, "Probabilistic outputs for support vector machines", eq. 1, with an L2 prior.
    """
    offset, slope = fit_centred_ridge(logits[:, None], targets, weights, strength, centre=np.array([0.0, 1.0]))
    if slope >= 0:
        return float(offset), float(slope)
    share = np.average(targets, weights=weights)  # a part that points the wrong way says nothing
    return float(np.log(share) - np.log1p(-share)), 0.0


def fit_convex_weights(
    part_logits: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    *,
    prior: np.ndarray | None = None,
    prior_strength: float = 1.0,
    use_guard: bool = True,
) -> np.ndarray:
    """(K,) non-negative weights v that sum to one and minimise the log loss of `part_logits @ v`.

    The objective is sum_i w_i loss_i + prior_strength / 2 |v - prior|^2, the prior equal weights unless told. With
    `use_guard`, a single part that has a lower loss than the blend gets all the weight.

    Shape: part_logits (N, K) out of fold, targets and weights (N,).
    Source: van der Laan, Polley & Hubbard 2007, "Super learner", section 3; Breiman 1996, "Stacked regressions".
    """
    num_parts = part_logits.shape[1]
    prior = np.full(num_parts, 1.0 / num_parts) if prior is None else np.asarray(prior, dtype=float)
    total = float(np.sum(weights))

    def objective(mix: np.ndarray) -> tuple[float, np.ndarray]:
        logits = part_logits @ mix
        loss = mean_log_loss(logits, targets, weights)
        gradient = part_logits.T @ (weights * (expit(logits) - targets)) / total
        distance = mix - prior
        shrink = prior_strength / total
        return loss + 0.5 * shrink * distance @ distance, gradient + shrink * distance

    result = minimize(
        objective,
        prior,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * num_parts,
        constraints={"type": "eq", "fun": lambda mix: mix.sum() - 1.0, "jac": np.ones_like},
        options={"maxiter": 500, "ftol": 1e-12},
    )
    mix = np.clip(result.x, 0.0, None)
    mix = mix / mix.sum()
    if use_guard:
        losses = [mean_log_loss(part_logits[:, part], targets, weights) for part in range(num_parts)]
        best = int(np.argmin(losses))
        if losses[best] < mean_log_loss(part_logits @ mix, targets, weights):
            return np.eye(num_parts)[best]
    return mix
