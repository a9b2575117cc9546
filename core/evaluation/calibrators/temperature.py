"""Temperature scaling: one number that makes all logits bolder or shyer; the order of rows stays."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import softmax

from core.evaluation.calibrators.base import CALIBRATORS, SMALLEST_PROBABILITY, Calibrator

# 1/T is searched here. Separable rows would drive it to infinity, useless scores to zero or below.
SHYEST, BOLDEST = 0.02, 20.0


@CALIBRATORS.register("temperature")
class TemperatureCalibrator(Calibrator):
    """softmax(log p / T), T chosen by maximum likelihood.

    Source: Guo, Pleiss, Sun & Weinberger 2017, equation 9; log p stands for the logits, which differ from it by a
    constant per row that softmax removes.
    """

    temperature_: float

    def _fit(self, probability: np.ndarray, labels: np.ndarray) -> None:
        logits = _log(probability)
        logits = logits - logits.max(axis=1, keepdims=True)  # no overflow; a constant per row does not matter
        of_truth = logits[np.arange(len(labels)), labels].mean()

        def slope(boldness: float) -> float:
            """Derivative of the mean negative log-likelihood by 1/T; it only rises, so its zero is the minimum."""
            odds = np.exp(boldness * logits)
            return float(((odds * logits).sum(axis=1) / odds.sum(axis=1)).mean() - of_truth)

        if slope(SHYEST) >= 0:
            boldness = SHYEST
        elif slope(BOLDEST) <= 0:
            boldness = BOLDEST
        else:
            boldness = brentq(slope, SHYEST, BOLDEST, xtol=1e-10)
        self.temperature_ = 1 / boldness

    def _transform(self, probability: np.ndarray) -> np.ndarray:
        return softmax(_log(probability) / self.temperature_, axis=1)

    def _state(self) -> dict[str, Any]:
        return {"temperature": float(self.temperature_)}

    def _load(self, values: dict[str, Any]) -> None:
        self.temperature_ = float(values["temperature"])


def _log(probability: np.ndarray) -> np.ndarray:
    return np.log(np.clip(probability, SMALLEST_PROBABILITY, 1))
