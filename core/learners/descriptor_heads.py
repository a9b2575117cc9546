"""Heads on a design of descriptors: every one ends as coefficients of log-odds, intercept first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy.linalg import solve

from core.data.samples import Samples
from core.learners.centred_ridge import fit_centred_ridge
from core.learners.inner_folds import inner_folds

RIDGE_STRENGTHS = (30000.0, 10000.0, 3000.0, 1000.0, 300.0, 100.0, 30.0, 10.0, 3.0)
PLATT_STRENGTH = 0.01  # keeps the slope finite where the held-out scores divide the classes without error


def spread_soft_labels(labelled: Samples) -> tuple[np.ndarray, Samples]:
    """(M,) rows of `labelled`, and samples: a row graded p in 0..1 is there as class 1 with weight p and 0 with 1 - p.

    Its log loss is then the cross-entropy to p, with any head and with the inner folds as they are.
    """
    probability = np.clip(labelled.target_probability, 0.0, 1.0)
    classes = [
        (np.flatnonzero(share > 0), float(target), share) for target, share in ((0, 1 - probability), (1, probability))
    ]
    rows = np.concatenate([found for found, _, _ in classes])
    labels = np.concatenate([np.full(len(found), target) for found, target, _ in classes])
    weights = np.concatenate([share[found] for found, _, share in classes]) * labelled.weights[rows]
    order = np.lexsort((labels, rows))
    taken = labelled.take(rows[order])
    return rows[order], replace(taken, labels=labels[order], weights=weights[order])


def balance_classes(samples: Samples) -> Samples:
    """Weights such that both classes weigh the same, their sum unchanged."""
    totals = np.bincount(samples.targets, weights=samples.weights, minlength=2)
    return samples.with_weights(samples.weights * (totals.sum() / 2 / totals)[samples.targets])


def fit_ridge_scores(design: np.ndarray, targets: np.ndarray, weights: np.ndarray, strength: float) -> np.ndarray:
    """(1 + P,) least squares on targets -1 and 1 with an L2 penalty; the intercept is free.

    Source: Hoerl & Kennard 1970, "Ridge regression", equation 2.1.
    """
    signs = 2.0 * targets - 1.0
    share = weights / weights.sum()
    mean, mean_sign = share @ design, share @ signs
    centred = (design - mean) * np.sqrt(weights)[:, None]
    aims = (signs - mean_sign) * np.sqrt(weights)
    if design.shape[1] <= len(design):
        slopes = solve(centred.T @ centred + strength * np.eye(design.shape[1]), centred.T @ aims, assume_a="pos")
    else:
        slopes = centred.T @ solve(centred @ centred.T + strength * np.eye(len(design)), aims, assume_a="pos")
    return np.r_[mean_sign - mean @ slopes, slopes]


def fit_cosine_scores(design: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(1 + P,) cosine to the mean direction of class 1 less that of class 0, of rows of length one.

    Source: Snell et al. 2017, "Prototypical networks", equation 1, with cosines as in Gidaris & Komodakis 2018, 3.2.
    """
    means = [np.average(design[targets == target], axis=0, weights=weights[targets == target]) for target in (0, 1)]
    units = [mean / max(np.linalg.norm(mean), 1e-12) for mean in means]
    return np.r_[0.0, units[1] - units[0]]


def fit_scores_as_logits(
    design: np.ndarray,
    samples: Samples,
    fit: Callable[[np.ndarray, np.ndarray, np.ndarray, float], np.ndarray],
    strengths: Sequence[float],
    *,
    num_folds: int,
    seed: int,
) -> tuple[np.ndarray, float]:
    """(coefficients of log-odds, strength): held-out scores choose the strength and tell slope and intercept (Platt).

    Source: Platt 1999, "Probabilistic outputs for support vector machines", equation 7.
    """
    targets, weights = samples.targets, samples.weights
    folds = inner_folds(samples, num_folds, seed=seed)
    best = None
    for strength in strengths:
        scores, is_held = np.zeros(len(targets)), np.zeros(len(targets), dtype=bool)
        for fit_rows, held_rows in folds or [(np.arange(len(targets)), np.arange(len(targets)))]:
            coefficients = fit(design[fit_rows], targets[fit_rows], weights[fit_rows], strength)
            scores[held_rows] = coefficients[0] + design[held_rows] @ coefficients[1:]
            is_held[held_rows] = True
        held = (scores[is_held][:, None], targets[is_held], weights[is_held])
        loss = float(np.average((scores[is_held] - 2.0 * held[1] + 1.0) ** 2, weights=held[2]))
        if best is None or loss < best[0]:
            best = (loss, strength, held)
    _, strength, (scores, held_targets, held_weights) = best
    deviation = max(float(scores.std()), 1e-12)
    intercept, slope = fit_centred_ridge(scores / deviation, held_targets, held_weights, PLATT_STRENGTH)
    coefficients = fit(design, targets, weights, strength) * max(slope, 0.0) / deviation
    coefficients[0] += intercept
    return coefficients, float(strength)
