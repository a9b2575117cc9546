"""Isotonic calibration: the best rising step curve, for plenty of validation rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.isotonic import IsotonicRegression

from core.evaluation.calibrators.base import CALIBRATORS, Calibrator, each_class, joined


@CALIBRATORS.register("isotonic")
class IsotonicCalibrator(Calibrator):
    """Pool-adjacent-violators curve over the raw probability, straight between its knots.

    The curve is held within 1/(N+2) and 1 - 1/(N+2): N rows cannot prove that something never happens, and a
    probability of 0 makes the log loss infinite.

    Source: Zadrozny & Elkan 2002; fitted by scikit-learn.
    """

    knots_: list[tuple[np.ndarray, np.ndarray]]  # (raw, calibrated) of each mapped class, (K,) each

    def _fit(self, probability: np.ndarray, labels: np.ndarray) -> None:
        floor = 1 / (len(labels) + 2)
        self.knots_ = []
        for column in each_class(probability):
            curve = IsotonicRegression().fit(probability[:, column], labels == column)
            held = np.clip(curve.y_thresholds_.astype(float), floor, 1 - floor)
            self.knots_.append((curve.X_thresholds_.astype(float), held))

    def _transform(self, probability: np.ndarray) -> np.ndarray:
        columns = [
            np.interp(probability[:, column], raw, calibrated)
            for column, (raw, calibrated) in zip(each_class(probability), self.knots_, strict=True)
        ]
        return joined(columns, probability)

    def _state(self) -> dict[str, Any]:
        return {"knots": [[raw.tolist(), calibrated.tolist()] for raw, calibrated in self.knots_]}

    def _load(self, values: dict[str, Any]) -> None:
        self.knots_ = [(np.array(raw), np.array(calibrated)) for raw, calibrated in values["knots"]]
