"""Platt scaling: a logistic curve over the raw log odds."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit

from core.evaluation.calibrators.base import CALIBRATORS, Calibrator, each_class, joined, logit

MAX_STEPS, TOLERANCE, RIDGE = 100, 1e-10, 1e-10


@CALIBRATORS.register("platt")
class PlattCalibrator(Calibrator):
    """p = 1 / (1 + exp(-(slope f + intercept))), f = raw log odds; several classes one against the rest.

    Source: Platt 1999, with its smoothed targets (N+ + 1)/(N+ + 2) and 1/(N- + 2), which keep the curve finite on
    separable rows; Newton's method with step halving as in Lin, Lin & Weng 2007.
    """

    curves_: list[tuple[float, float]]  # (slope, intercept) of each mapped class

    def _fit(self, probability: np.ndarray, labels: np.ndarray) -> None:
        self.curves_ = [
            fit_logistic_curve(logit(probability[:, column]), labels == column) for column in each_class(probability)
        ]

    def _transform(self, probability: np.ndarray) -> np.ndarray:
        columns = [
            expit(slope * logit(probability[:, column]) + intercept)
            for column, (slope, intercept) in zip(each_class(probability), self.curves_, strict=True)
        ]
        return joined(columns, probability)

    def _state(self) -> dict[str, Any]:
        return {"curves": [[float(slope), float(intercept)] for slope, intercept in self.curves_]}

    def _load(self, values: dict[str, Any]) -> None:
        self.curves_ = [(float(slope), float(intercept)) for slope, intercept in values["curves"]]


def fit_logistic_curve(log_odds: np.ndarray, is_positive: np.ndarray) -> tuple[float, float]:
    """(slope, intercept) that minimise the cross-entropy to Platt's smoothed targets; log_odds (N,)."""
    num_positive, num_negative = int(is_positive.sum()), int((~is_positive).sum())
    targets = np.where(is_positive, (num_positive + 1) / (num_positive + 2), 1 / (num_negative + 2))
    inputs = np.column_stack([log_odds, np.ones_like(log_odds)])
    curve = np.array([0.0, np.log((num_positive + 1) / (num_negative + 1))])
    loss = _cross_entropy(inputs @ curve, targets)
    for _ in range(MAX_STEPS):
        told = expit(inputs @ curve)
        gradient = inputs.T @ (told - targets)
        if np.abs(gradient).max() < TOLERANCE * len(targets):
            break
        curvature = (inputs * (told * (1 - told))[:, None]).T @ inputs + RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        for _ in range(30):
            new_loss = _cross_entropy(inputs @ (curve - step), targets)
            if new_loss <= loss:
                break
            step = step / 2
        else:
            break  # no shorter step is better either: the minimum within rounding
        curve, loss = curve - step, new_loss
    return float(curve[0]), float(curve[1])


def _cross_entropy(linear: np.ndarray, targets: np.ndarray) -> float:
    """-sum t ln p + (1 - t) ln(1 - p) for p = expit(linear), without overflow."""
    return float((np.logaddexp(0, linear) - targets * linear).sum())
