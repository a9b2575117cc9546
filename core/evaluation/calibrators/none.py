"""No calibration: the learner's probabilities as they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.evaluation.calibrators.base import CALIBRATORS, Calibrator


@CALIBRATORS.register("none")
class NoCalibrator(Calibrator):
    """The identity."""

    needs_every_class = False

    def _fit(self, probability: np.ndarray, labels: np.ndarray) -> None:
        """Nothing to learn."""

    def _transform(self, probability: np.ndarray) -> np.ndarray:
        return probability.copy()

    def _state(self) -> dict[str, Any]:
        return {}

    def _load(self, values: dict[str, Any]) -> None:
        """Nothing to load."""
