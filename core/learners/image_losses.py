"""Losses and weights for classes of unequal size; targets are (N, C) probabilities, one-hot or soft."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def focal_loss(logits: Tensor, target_probability: Tensor, weights: Tensor, *, gamma: float = 2.0) -> Tensor:
    """Weighted mean of -sum_c p_c (1 - q_c)^gamma log q_c; gamma 0 is the cross-entropy.

    Shape: logits and target_probability (N, C), weights (N,) >= 0; a scalar comes out.
    Source: Lin et al. 2017, "Focal loss for dense object detection", eq. 4; eq. 5 with class weights in `weights`.
    """
    log_probability = torch.log_softmax(logits, dim=1)
    modulation = (1.0 - log_probability.exp()).clamp(min=0.0).pow(gamma)
    losses = -(target_probability * modulation * log_probability).sum(dim=1)
    return (weights * losses).sum() / weights.sum().clamp(min=1e-12)


def balanced_class_weights(target_probability: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(C,) total / (C * weight of the class): afterwards every class weighs the same, and all of them as before.

    Shape: target_probability (N, C), weights (N,). A class without weight gets 1.
    Source: King & Zeng 2001, "Logistic regression in rare events data", section 4.2, with equal shares for all classes.
    """
    weight_of_class = weights @ target_probability
    share = weight_of_class.sum() / (len(weight_of_class) * np.maximum(weight_of_class, 1e-12))
    return np.where(weight_of_class > 0, share, 1.0)


def prior_log_odds(target_probability: np.ndarray, weights: np.ndarray) -> float:
    """Log-odds of class 1 in the training rows: what a model of balanced classes must get back.

    Shape: target_probability (N, 2), weights (N,).
    Source: King & Zeng 2001, "Logistic regression in rare events data", eq. 7, with a share of one half in the sample.
    """
    weight_of_class = np.maximum(weights @ target_probability, 1e-12)
    return float(np.log(weight_of_class[1] / weight_of_class[0]))


def balanced_batch(targets: np.ndarray, num_rows: int, generator: torch.Generator) -> np.ndarray:
    """(num_rows,) positions of rows for one batch, as many of each class as of the others (give or take one).

    targets: (N,) class numbers. No row comes twice before every row of its class came once.
    """
    classes = np.unique(targets)
    order = classes[torch.randperm(len(classes), generator=generator).numpy()]  # who gets the odd row
    drawn = []
    for place, label in enumerate(order):
        rows = np.flatnonzero(targets == label)
        num_drawn = num_rows // len(classes) + (place < num_rows % len(classes))
        num_passes = -(-num_drawn // len(rows))
        passes = [rows[torch.randperm(len(rows), generator=generator).numpy()] for _ in range(num_passes)]
        drawn.append(np.concatenate([*passes, rows[:0]])[:num_drawn])
    return np.concatenate(drawn)[torch.randperm(num_rows, generator=generator).numpy()]
