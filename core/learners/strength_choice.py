"""How strong an L2 penalty should be, told by inner folds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import roc_auc_score

from core.data.samples import Samples
from core.learners.centred_ridge import fit_centred_ridge
from core.learners.held_out_loss import mean_log_loss
from core.learners.inner_folds import inner_folds

STRENGTHS = (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3)  # strongest first, so that each starts the next
CENTRED_STRENGTHS = (30_000.0, 10_000.0, 3000.0, *STRENGTHS)  # a good centre may hardly need to move
FEW_LABELS_STRENGTH = 10.0


def choose_strength(
    design: np.ndarray,
    labelled: Samples,
    *,
    num_folds: int,
    large_num_rows: int,
    select_by: str,
    seed: int,
    centre: np.ndarray | None = None,
    strengths: Sequence[float] | None = None,
) -> float:
    """The strength whose held-out rows score best by `log_loss` or `auc`; FEW_LABELS_STRENGTH where none can be held.

    From `large_num_rows` rows on, one fold decides instead of all. design: (N, P) of the labelled rows. strengths: what
    is tried, strongest first, where the usual choice does not fit the design.
    """
    folds = inner_folds(labelled, num_folds, seed=seed)
    if not folds:
        return FEW_LABELS_STRENGTH
    if len(labelled) >= large_num_rows:
        folds = folds[:1]
    if strengths is None:
        strengths = STRENGTHS if centre is None else CENTRED_STRENGTHS
    targets, weights = labelled.targets, labelled.weights
    losses = np.zeros(len(strengths))
    for fit_rows, held_rows in folds:
        coefficients = None
        for position, strength in enumerate(strengths):
            coefficients = fit_centred_ridge(
                design[fit_rows],
                targets[fit_rows],
                weights[fit_rows],
                strength,
                centre=centre,
                start=coefficients,
                tolerance=1e-6,
            )
            logits = coefficients[0] + design[held_rows] @ coefficients[1:]
            losses[position] += _held_out_loss(targets[held_rows], logits, weights[held_rows], select_by)
    return float(strengths[int(np.argmin(losses))])


def _held_out_loss(targets: np.ndarray, logits: np.ndarray, weights: np.ndarray, select_by: str) -> float:
    """Log loss, or one minus the AUC."""
    if select_by == "auc":
        return 1.0 - roc_auc_score(targets, logits, sample_weight=weights)
    return mean_log_loss(logits, targets, weights)
