"""MONAI's own metrics of predicted probabilities, for figures that others compute the same way."""

from __future__ import annotations

import numpy as np
import torch

from core.errors import BadInputError

CONFUSION = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "precision": "precision",
    "negative_predictive_value": "negative predictive value",
    "f1": "f1 score",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
}


def monai_metrics(labels: np.ndarray, positive: np.ndarray, *, threshold: float = 0.5) -> dict[str, float]:
    """AUC by ROCAUCMetric, the rest by ConfusionMatrixMetric of the decision `positive >= threshold`.

    Shape: labels (N,) 0 or 1; positive (N,) probability of class 1. A figure without its denominator is NaN.

    Raises:
        BadInputError: shapes differ, a label is missing, or there is one class only.
    """
    from monai.metrics import ConfusionMatrixMetric, ROCAUCMetric

    labels, positive = np.asarray(labels, dtype=float), np.asarray(positive, dtype=float)
    if labels.shape != positive.shape or labels.ndim != 1 or set(np.unique(labels)) != {0.0, 1.0}:
        raise BadInputError(
            f"Labels {labels.shape} and probabilities {positive.shape}: expected two equal rows, labels 0 and 1 both.",
            repair="Leave unlabelled rows out; a test set needs both classes.",
        )
    truth = torch.from_numpy(labels)
    ranking = ROCAUCMetric()
    ranking(torch.from_numpy(positive), truth)
    confusion = ConfusionMatrixMetric(metric_name=tuple(CONFUSION.values()), compute_sample=False, reduction="sum")
    confusion((torch.from_numpy(positive) >= threshold).double()[:, None], truth[:, None])
    values = [float(value) for value in confusion.aggregate()]
    return {"auc": float(ranking.aggregate()), **dict(zip(CONFUSION, values, strict=True))}
