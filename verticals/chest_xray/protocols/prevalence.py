"""Another share of disease in the test rows: estimated from their own probabilities, labels unread."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

MAX_STEPS, TOLERANCE = 1000, 1e-7


def estimate_prevalence(logits: np.ndarray, train_prevalence: float) -> float:
    """The share of positives that explains calibrated log-odds (N,) best, if only the prevalence differs.

    Source: Saerens, Latinne & Decaestecker 2002, "Adjusting the outputs of a classifier to new a priori
    probabilities", equations 2.2 and 2.9 (expectation maximisation).

    Raises:
        ValueError: a training prevalence outside of 0..1.
    """
    if not 0 < train_prevalence < 1:
        raise ValueError(f"train_prevalence is {train_prevalence}, expected between 0 and 1")
    share = train_prevalence
    for _ in range(MAX_STEPS):
        step = float(expit(logits + logit(share) - logit(train_prevalence)).mean())
        step = min(max(step, 1e-6), 1 - 1e-6)
        if abs(step - share) < TOLERANCE:
            return step
        share = step
    return share


def adjust_to_prevalence(logits: np.ndarray, train_prevalence: float, prevalence: float) -> np.ndarray:
    """(N,) log-odds under another prevalence."""
    return logits + logit(prevalence) - logit(train_prevalence)
